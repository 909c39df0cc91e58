"""The board's clock as seen from here. Pure.

The board tells whole seconds of its wall time. A board that shows `t` at our monotonic moment `m` has a true time in
[t, t+1) at that moment, and `m` lies between sending and receiving; what all looks have in common narrows the offset.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - the board's wall time has no zone
SLACK: Final = 1.5
"""Seconds by which an event may seem to lie in the future, or looks may contradict each other, with sound clocks."""
DRIFT: Final = 0.001
"""Seconds a second that two clocks may drift apart, at worst; the interval is widened by it as it ages."""


class BoardClock:
    """`look` at it with each status; `happened` says when a board's time was, on our monotonic clock."""

    def __init__(self) -> None:
        self._low = self._high = 0.0
        self._seen: float | None = None

    def look(self, shown: datetime, sent: float, received: float) -> bool:
        """The board showed this between these monotonic moments. False when the clock was set since the last look."""
        wall = (shown - EPOCH).total_seconds()
        low, high = wall - received, wall + 1.0 - sent
        if self._seen is None:
            self._low, self._high, self._seen = low, high, received
            return True
        aged = (received - self._seen) * DRIFT
        self._low, self._high, self._seen = self._low - aged, self._high + aged, received
        if low > self._high + SLACK or high < self._low - SLACK:
            self._low, self._high = low, high
            return False
        self._low, self._high = max(self._low, low), min(self._high, high)
        if self._low > self._high:  # within the slack: take the newer one
            self._low, self._high = low, high
        return True

    @property
    def seen(self) -> bool:
        """Whether there was a look since the clock was set by us: before it, the methods below know nothing."""
        return self._seen is not None

    def forget(self) -> None:
        """The clock was set by us: the next look stands alone."""
        self._seen = None

    def happened(self, shown: datetime) -> float:
        """When the board's clock began to show this: never later than the truth by more than what the looks leave
        open, and up to a second earlier."""
        return (shown - EPOCH).total_seconds() - (self._low + self._high) / 2

    def behind(self, wall: float, now: float) -> float:
        """Seconds that the board is behind `wall` (its zone's time since `EPOCH`) at the monotonic moment `now`."""
        return wall - (now + (self._low + self._high) / 2)
