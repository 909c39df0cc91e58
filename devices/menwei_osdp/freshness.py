"""Which reads are of now, and which are the same touch. Pure; times are monotonic seconds.

A reader keeps what it read while nobody asked it and tells it afterwards, without saying when it was. Such a read must
not open a door, so after a reader was out of touch its reads count only once it has had nothing to say for a while.
"""

from __future__ import annotations

GAP = 2.0
"""Seconds without an answer after which a reader may have kept something. It is asked every 50 ms, less often on a
slow or crowded wire."""
QUIET = 1.0
"""Seconds without a read after which it has none left: it gives one for each question."""
TOUCH = 1.0
"""Seconds a card must have been away to count as a new touch: some readers repeat a card that is held there."""


class Freshness:
    """The reads of one reader."""

    def __init__(self) -> None:
        self._since = float("inf")
        self._last: tuple[int, bytes] | None = None
        self._last_at = 0.0

    def begin(self, at: float) -> None:
        """The reader is in touch from now on: after it was lost, or never was."""
        self._since = at

    def end(self) -> None:
        self._since = float("inf")

    def is_old(self, at: float, before: float) -> bool:
        """Whether what was told at `at` may have been kept. `before` is when the reader answered before that."""
        if at - before > GAP:
            self._since = at
        old = at - self._since < QUIET
        if old:
            self._since = at
        return old

    def is_repeated(self, bits: int, data: bytes, at: float) -> bool:
        """Whether this is the touch that was already told."""
        card = (bits, data)
        repeated = card == self._last and at - self._last_at < TOUCH
        self._last, self._last_at = card, at
        return repeated

    def forget(self, now: float) -> None:
        """Does not keep a card number longer than it is needed."""
        if self._last is not None and now - self._last_at >= TOUCH:
            self._last = None
