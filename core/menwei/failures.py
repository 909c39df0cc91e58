"""How often somebody may fail to sign in: counted before the password is looked at, so that a hundred tries at once are
a hundred tries. Kept in memory; a restart forgives."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

LIMIT = 5
PENALTY = 300.0
"""Seconds without any try after the last allowed failure; failures older than this are forgotten."""
_REMEMBERED = 10_000


class TooManyTries(Exception):
    """Not now. `seconds` until the next try is looked at."""

    says = "web.too_many"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"too many failed tries, wait {seconds:.0f} s")
        self.seconds = seconds


class Failures:
    """Failures by whatever tries: a name, an address. `monotonic` in seconds."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._counts: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()

    def begin(self, *who: Hashable) -> None:
        """Count a try as failed until `succeeded` says otherwise. Raises `TooManyTries` and counts nothing."""
        now = self._monotonic()
        held = {one: self._current(one, now) for one in who}
        waits = [until - now for count, until in held.values() if count >= LIMIT]
        if waits:
            raise TooManyTries(max(waits))
        for one, (count, _) in held.items():
            self._counts[one] = (count + 1, now + PENALTY)
            self._counts.move_to_end(one)
        while len(self._counts) > _REMEMBERED:
            self._counts.popitem(last=False)

    def succeeded(self, name: Hashable, *others: Hashable) -> None:
        """The try was good: `name` starts anew; at `others` (the address) only this one try is taken back, or one good
        account would let its owner try all the others for ever."""
        self._counts.pop(name, None)
        for one in others:
            count, until = self._counts.get(one, (1, 0.0))
            if count > 1:
                self._counts[one] = (count - 1, until)
            else:
                self._counts.pop(one, None)

    def _current(self, one: Hashable, now: float) -> tuple[int, float]:
        count, until = self._counts.get(one, (0, 0.0))
        return (count, until) if now < until else (0, 0.0)
