"""Tablets that wait to be paired: each shows a code, which somebody with the right to enters in the console.

In memory only. The tablet made its token when it asked for the code; the code is worth nothing without somebody who may
pair, and the token nothing before that.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

DIGITS = 6
LIFETIME = 600.0
"""Seconds a code is good for: long enough to walk from the tablet to a computer."""
MOST = 16
"""Tablets that wait at one time. A mistyped code meets one of them once in 60,000."""
MOST_EACH = 3
"""From one address; one more takes the place of the oldest."""


class TooMany(Exception):
    """So many tablets wait that no further one is taken in."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    code: str
    address: str
    until: float


class Pairings:
    """Waiting tablets by the digest of their token. `code` makes a new code; tests bring their own."""

    def __init__(self, code: Callable[[], str] | None = None) -> None:
        self._code = code or random_code
        self._waiting: dict[bytes, _Waiting] = {}

    def begin(self, digest: bytes, address: str, now: float) -> str:
        """A tablet asks; returns its code. Raises `TooMany`."""
        self._forget(now)
        mine = [known for known, one in self._waiting.items() if one.address == address]
        if len(mine) >= MOST_EACH:
            del self._waiting[mine[0]]
        if len(self._waiting) >= MOST:
            raise TooMany
        taken = {one.code for one in self._waiting.values()}
        code = next(code for code in iter(self._code, "") if code not in taken)
        self._waiting[digest] = _Waiting(code, address, now + LIFETIME)
        return code

    def code(self, digest: bytes, now: float) -> str | None:
        """The code this tablet shows; None when it does not wait (any more)."""
        self._forget(now)
        found = self._waiting.get(digest)
        return found.code if found is not None else None

    def find(self, code: str, now: float) -> bytes | None:
        """Whose code this is; None when it is nobody's."""
        self._forget(now)
        return next((known for known, one in self._waiting.items() if one.code == code), None)

    def done(self, digest: bytes) -> None:
        """This tablet was paired: it waits no longer, and its code is worth nothing."""
        self._waiting.pop(digest, None)

    def _forget(self, now: float) -> None:
        for digest in [known for known, one in self._waiting.items() if now >= one.until]:
            del self._waiting[digest]


def random_code() -> str:
    return f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
