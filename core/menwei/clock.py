"""Time as the core trusts it: it never goes back by itself.

A small board without a battery boots in 1970; a wrong NTP server or a person sets the clock back. Either would make
ended credentials valid again. So the clock starts no earlier than the last journal entry and, when the machine's time
falls behind, goes on by the monotonic clock, with a repair shown, until the machine's time has caught up or the
operator accepts it (`accept`, audited by the caller).

Ahead it follows at once: nobody can tell a machine that was off for a year from one whose clock is wrong. Whoever
destroys something by this time asks `steady` first.
"""

from __future__ import annotations

import time
from collections.abc import Callable

TOLERANCE = 2.0
"""Seconds. NTP slews and small steps back are ordinary and are followed."""
LEAP = 3 * 86_400.0
"""Seconds. A machine is switched off over a weekend; what is further ahead may be a clock with a dead battery."""


class TrustedClock:
    """`wall` and `monotonic` are passed in by tests; the program uses the machine's."""

    def __init__(
        self,
        floor: float = 0.0,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._at = max(floor, wall())
        self._mark = self._steady = monotonic()

    def now(self) -> float:
        """Seconds since the epoch, UTC; never more than `TOLERANCE` before an earlier answer."""
        wall, mark = self._wall(), self._monotonic()
        expected = self._at + (mark - self._mark)
        if wall > expected + LEAP:
            self._steady = mark
        self._at = wall if wall >= expected - TOLERANCE else expected
        self._mark = mark
        return self._at

    def monotonic(self) -> float:
        return self._monotonic()

    @property
    def machine(self) -> float:
        """What the machine's own clock says, right or wrong."""
        return self._wall()

    @property
    def behind(self) -> float:
        """Seconds by which the machine's clock is behind what is trusted; 0 when it is in order."""
        now = self.now()
        lag = now - self._wall()
        return lag if lag > TOLERANCE else 0.0

    @property
    def steady(self) -> float:
        """Seconds, by the monotonic clock, since the time began here or last leapt ahead by more than `LEAP`."""
        self.now()
        return self._monotonic() - self._steady

    def accept(self) -> None:
        """Take the machine's time as it is, even if earlier. Only on a person's word: it can revive ended rights."""
        self._at = self._wall()
        self._mark = self._monotonic()
