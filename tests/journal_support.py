"""What the journal's tests share: real keys, a real file, entries of a day at the gate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from menwei.journal import Entry, Journal, Position, Recorded
from menwei.journal_keys import MachineKeys
from menwei.keys import Keys

SITE = "yard"
KEYS = MachineKeys(Keys(bytes(range(32))))
OTHER_KEYS = MachineKeys(Keys(bytes(32)))


def passage(
    at: float = 1000.0, door: str = "gate", holder: int | None = 7, kind: str = "AccessGranted", **data: Any
) -> Entry:
    personal = None if holder is None else {"holder": holder, "credential": 11}
    return Entry(kind, at, door, f"{door}-in", data, personal)


def door_mode(door: str, mode: str, at: float = 1000.0) -> Entry:
    return Entry("DoorMode", at, door, "", {"mode": mode})


@asynccontextmanager
async def opened(path: Path, **options: Any) -> AsyncIterator[Journal]:
    journal = await Journal.open(path, SITE, KEYS, **options)
    try:
        yield journal
    finally:
        await journal.close()


async def until_gap(journal: Journal, after: Position) -> list[Recorded]:
    """The `JournalGap` entries after `after`, once there is one."""
    while True:
        seen = journal.head  # before the reading: what is written during it must not be waited past
        if gaps := await journal.read(after=after, kinds={"JournalGap"}):
            return list(gaps)
        await asyncio.wait_for(journal.wait(seen), 60)
