"""Who waits at a desk for the next card or document at a reader: one at a time."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")
Place = tuple[str, str]
"""Device, reader."""

LEFT = 1.5
"""Seconds in which a page that was left may still hold its reader: the server looks a few times a second whether whoever
asked is still there, and the next page may ask sooner."""
LOOK = 0.05


class ReaderBusy(RuntimeError):
    """Somebody else waits at this reader."""


class Waits(Generic[T]):
    """The waits of one site for one kind of thing."""

    def __init__(self) -> None:
        self._open: dict[Place, asyncio.Future[T]] = {}

    async def next(self, place: Place, seconds: float) -> T:
        """What comes next at this reader. Raises `TimeoutError`, and `ReaderBusy`."""
        loop = asyncio.get_running_loop()
        end = loop.time() + LEFT
        while place in self._open:
            if loop.time() >= end:
                raise ReaderBusy("somebody is already enrolling at this reader")
            await asyncio.sleep(LOOK)
        self._open[place] = future = loop.create_future()
        try:
            return await asyncio.wait_for(future, seconds)
        finally:
            del self._open[place]

    def wanted(self, place: Place) -> bool:
        """Whether something that comes now is waited for."""
        waiting = self._open.get(place)
        return waiting is not None and not waiting.done()

    def give(self, place: Place, found: T) -> bool:
        """Hand over what came; False when nobody waits (any more)."""
        waiting = self._open.get(place)
        if waiting is None or waiting.done():
            return False
        waiting.set_result(found)
        return True

    def __len__(self) -> int:
        return len(self._open)


__all__ = ["LEFT", "ReaderBusy", "Waits"]
