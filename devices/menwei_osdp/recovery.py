"""When a lost reader is tried again. Pure; times are monotonic seconds.

libosdp 3.2.9 leaves a reader alone for 300 s after any failure, whatever it was. A door cannot wait so long.
"""

from __future__ import annotations

from typing import Final

from menwei_osdp.trouble import Why

FIRST: Final = {Why.LOST: 1.0, Why.SESSION: 0.1, Why.CLEAR_TEXT: 1.0, Why.KEY: 2.0, Why.NO_SECURITY: 2.0}
"""Seconds until the first try. One try of an absent reader holds the wire for 0.2 s."""
LONGEST: Final = 20.0
"""Seconds between two tries of a reader with another key: somebody is mending it and waits beside it."""
GRACE: Final = 3.0
"""Seconds in which a reader that ended its session may come back before anybody is told: it was restarted."""


class Recovery:
    """One reader: whether it is there, since when it is not, and what to do next."""

    def __init__(self, now: float) -> None:
        self.online = False
        self.restarting = False
        """It was disabled and waits to be enabled."""
        self._why: Why | None = None
        self._told: Why | None = None
        self._since = now
        self._retry_at = float("inf")
        self._tries = 0

    def found(self) -> None:
        self.online, self._tries, self._why, self._told = True, 0, None, None
        self._retry_at = float("inf")

    def lost(self, why: Why, now: float) -> None:
        """Also called when a try has failed."""
        if self.online:
            self.online, self._since = False, now
        self._why = why
        wait = FIRST[why]
        if why in (Why.KEY, Why.NO_SECURITY):
            wait = min(LONGEST, wait * 2**self._tries)
        elif why is Why.SESSION and self._tries:
            wait = 1.0
        self._tries = min(self._tries + 1, 16)
        self._retry_at = now + wait

    def due(self, now: float) -> bool:
        """Whether to start it anew."""
        return not self.online and now >= self._retry_at

    def restart(self) -> None:
        self.restarting, self._retry_at = True, float("inf")

    def restarted(self) -> None:
        self.restarting = False

    def to_tell(self, now: float) -> Why | None:
        """Why it is away, once for each reason."""
        if self.online or self._why is None or self._why is self._told:
            return None
        if self._why is Why.SESSION and (self._told is not None or now - self._since < GRACE):
            return None
        self._told = self._why
        return self._why
