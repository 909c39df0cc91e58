"""The readers' relays as locks. Nothing is ever switched on without a time after which the reader itself ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from menwei import NotReady
from menwei_osdp.bus import BusThread
from menwei_osdp.signals import LONGEST, Output, tenths

RENEW: Final = 10.0
"""Seconds between two renewals of an output that is held longer than one timer lasts: one may be lost on the way."""
PATIENCE: Final = 2.0
"""Seconds a renewal may take."""


class NoSuchLock(LookupError):
    """The config names an output that is none: a mistake in the config."""


class Relays:
    """The outputs of one wire while it is connected. `locks` maps lock name → reader and number of its output."""

    def __init__(
        self, bus: BusThread, locks: Mapping[str, tuple[str, int]], monotonic: Callable[[], float]
    ) -> None:
        self._bus = bus
        self._locks = locks
        self._monotonic = monotonic
        self._holding: dict[str, asyncio.Task[None]] = {}

    async def pulse(self, lock: str, seconds: float, deadline: float) -> None:
        """On for `seconds`, then off. Returns when the reader confirmed."""
        self._let_go(lock)
        begun = self._monotonic()
        await self._switch(lock, min(seconds, LONGEST), deadline)
        if seconds > LONGEST:
            self._hold(lock, begun + seconds)

    async def open(self, lock: str, deadline: float) -> None:
        """On until told otherwise: held by renewal, so that it ends within `LONGEST` of this program."""
        self._let_go(lock)
        await self._switch(lock, LONGEST, deadline)
        self._hold(lock, float("inf"))

    async def shut(self, lock: str, deadline: float) -> None:
        self._let_go(lock)
        reader, number = self._place(lock)
        await self._bus.order(reader, Output(number, 0), deadline)

    async def close(self) -> None:
        """Stop renewing; what is on goes off by itself."""
        holding, self._holding = self._holding, {}
        for task in holding.values():
            task.cancel()
        if holding:
            await asyncio.wait(holding.values())

    def _hold(self, lock: str, until: float) -> None:
        self._holding[lock] = asyncio.create_task(self._renew(lock, until))

    def _let_go(self, lock: str) -> None:
        if (task := self._holding.pop(lock, None)) is not None:
            task.cancel()

    async def _renew(self, lock: str, until: float) -> None:
        while (left := until - self._monotonic()) > 0:
            await asyncio.sleep(min(RENEW, left))
            left = until - self._monotonic()
            if left <= 0:
                return
            try:
                await self._switch(lock, min(left, LONGEST), self._monotonic() + PATIENCE)
            except (
                TimeoutError,
                NotReady,
            ):  # the lost reader is told to the installer; the next turn tries again
                continue

    async def _switch(self, lock: str, seconds: float, deadline: float) -> None:
        reader, number = self._place(lock)
        await self._bus.order(reader, Output(number, tenths(seconds)), deadline)

    def _place(self, lock: str) -> tuple[str, int]:
        if lock not in self._locks:
            raise NoSuchLock(
                f"{lock!r}: this wire has the locks {', '.join(self._locks) or 'none'}; see `outputs` of the reader"
            )
        return self._locks[lock]
