"""Time-outs of one length, all in one timer of the event loop.

Nearly every wait for a disk or a device ends long before its time. A timer made for each and cancelled again costs more
than all else that the waiting takes; here a wait is one entry in a queue that is looked through when the oldest is due.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Deadlines(Generic[T]):
    """Calls `expire` with what was added when its future is not done after `seconds`. Used in one event loop."""

    __slots__ = ("_expire", "_timer", "_waits", "seconds")

    def __init__(self, seconds: float, expire: Callable[[T], None]) -> None:
        self.seconds = seconds
        self._expire = expire
        self._waits: deque[tuple[float, asyncio.Future[Any], T]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, future: asyncio.Future[Any], subject: T) -> None:
        """From now on `future` has `seconds` to be done. Until then both are kept from being collected."""
        waits = self._waits
        while waits and waits[0][1].done():
            waits.popleft()
        loop = future.get_loop()
        due = loop.time() + self.seconds
        waits.append((due, future, subject))
        if self._timer is None:
            self._timer = loop.call_at(due, self._sweep, loop)

    def close(self) -> list[T]:
        """Stop; what was still waited for is returned and does not expire."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        left = [subject for _, future, subject in self._waits if not future.done()]
        self._waits.clear()
        return left

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        waits, now = self._waits, loop.time()
        try:
            while waits:
                due, future, subject = waits[0]
                if not future.done() and due > now:
                    break
                waits.popleft()
                if not future.done():
                    self._expire(subject)
        finally:
            if waits:
                self._timer = loop.call_at(max(waits[0][0], now), self._sweep, loop)
