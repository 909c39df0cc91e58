"""From keys to a finished number. Pure; times are monotonic seconds.

Source: SIA OSDP 2.2, 7.12 (osdp_KEYPAD): digits are ASCII, `*` is 7F (delete), `#` is 0D (return). Readers are seen
that send `*` and `#` themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

DIGITS = 16
"""The longest number that the core takes."""
_FINISH = frozenset(b"\r#")
_CLEAR = frozenset(b"\x7f*")
_DIGIT = frozenset(b"0123456789")


@dataclass(frozen=True, slots=True)
class Typed:
    """A finished number; `at` is the moment of its last key."""

    digits: str
    at: float

    def __repr__(self) -> str:  # a PIN in a traceback is a PIN in a log
        return f"Typed({len(self.digits)} digits)"


class Keypad:
    """The keys of one reader. A number ends with `#`, or when no key came for `patience` seconds; `*` starts anew."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._digits = ""
        self._at = 0.0
        self._spoilt = False

    def press(self, keys: bytes, at: float) -> list[Typed]:
        """Keys were pressed. What is longer than a number can be is thrown away up to its end."""
        finished = self.due(at)
        for key in keys:
            self._at = at
            if key in _CLEAR:
                self.clear()
            elif key in _DIGIT:
                self._digits += chr(key)
                self._spoilt = self._spoilt or len(self._digits) > DIGITS
            elif key in _FINISH:
                finished += self._take()
        return finished

    def due(self, now: float) -> list[Typed]:
        """What is finished because the person stopped typing."""
        waiting = (self._digits or self._spoilt) and now - self._at >= self._patience
        return self._take() if waiting else []

    def clear(self) -> None:
        self._digits, self._spoilt = "", False

    def _take(self) -> list[Typed]:
        typed = [Typed(self._digits, self._at)] if self._digits and not self._spoilt else []
        self.clear()
        return typed
