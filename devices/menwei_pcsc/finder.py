"""Proposes the card readers that are plugged into this machine."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from typing import ClassVar

from menwei import Discovered, Finder, NotReady, Propose
from menwei_pcsc.names import ReaderName
from menwei_pcsc.reader_thread import asked
from menwei_pcsc.service import Service, ServiceError
from menwei_pcsc.trouble import Trouble

EVERY = 2.0
"""Seconds between two looks: a person who plugs a reader in should see it at once."""

LISTING = 5.0
"""Seconds pcscd may take for its list; it has it ready."""


class PcscFinder(Finder):
    """Asks pcscd for its list of readers, again and again. It opens no reader and powers no card.

    Raises `NotReady` where there is no pyscard or no pcscd, because then it cannot see anything.
    """

    name: ClassVar[str] = "pcsc"

    async def find(self, propose: Propose) -> None:
        while True:
            try:
                readers = await asked(_readers, LISTING)
            except (Trouble, ServiceError) as error:
                raise NotReady(str(error)) from error
            for device in proposals(readers):
                propose(device)
            await asyncio.sleep(EVERY)


def _readers() -> list[str]:
    with Service() as service:
        return service.readers()


def proposals(readers: Iterable[str]) -> list[Discovered]:
    """One proposal for each reader, in the order of their names.

    Readers of one model without serial numbers cannot be told apart: each is proposed by its full name, with a `twins`
    property, because plugging them in another order swaps them.
    """
    names = [ReaderName.of(reader) for reader in sorted(readers)]
    counts = Counter(name.id for name in names)
    numbers: Counter[str] = Counter()
    found = []
    for name in names:
        numbers[name.id] += 1
        twins = counts[name.id] > 1
        found.append(
            Discovered(
                id=f"{name.id}-{numbers[name.id]}" if twins else name.id,
                driver="pcsc",
                title=name.model,
                address=name.full,
                finder="pcsc",
                config={"reader": name.full if twins else name.pattern},
                properties={"twins": str(counts[name.id])} if twins else {},
            )
        )
    return found
