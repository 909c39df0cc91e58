"""One touch is one read, however often the reader finds the card again."""

from __future__ import annotations

from menwei_pcsc.apdu import CardIdentity


class Debounce:
    """Remembers which cards were on a reader a moment ago.

    A card is the same touch as long as it was never away for `seconds`. Resident identity cards are lost and found
    again about once a second while they lie on a reader; held there for an hour they are still one touch. Times are
    monotonic seconds.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last: dict[CardIdentity, float] = {}

    def arrived(self, card: CardIdentity, at: float) -> bool:
        """The card was found at `at`. True when this is a new touch."""
        known = card in self._last and at - self._last[card] < self._seconds
        self.lay(card, at)
        return not known

    def lay(self, card: CardIdentity, until: float) -> None:
        """The card was on the reader until then, so its absence counts from there."""
        self._last = {other: at for other, at in self._last.items() if until - at < self._seconds}
        self._last[card] = until
