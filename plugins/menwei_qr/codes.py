"""Which texts are codes of ours, and when one that is held before a camera counts as shown anew. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

OURS = re.compile(r"MW[1-9]\.[\x21-\x7e]{1,196}")
"""A version, a dot, printable ASCII, 200 characters at most (the codes of the visitors' desk)."""
GONE = 2.0
"""Seconds without being seen after which a code was taken away; a hand that shakes hides it for a moment."""


class Shown:
    """What is before one camera now."""

    def __init__(self, gone: float = GONE) -> None:
        self._gone = gone
        self._seen: dict[str, float] = {}

    def add(self, texts: Iterable[str], at: float) -> Iterator[str | None]:
        """The codes of a frame taken at `at` that were not there before; None once for all that are not ours."""
        self._seen = {text: when for text, when in self._seen.items() if 0 <= at - when < self._gone}
        for text in {text.strip() for text in texts if text}:
            ours = text if OURS.fullmatch(text) else ""
            new = ours not in self._seen
            self._seen[ours] = at
            if new:
                yield ours or None
