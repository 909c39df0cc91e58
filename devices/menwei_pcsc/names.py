"""PC/SC reader names: which one a config means, and what of a name stays when a reader is plugged in elsewhere.

pcsc-lite makes names as `MODEL [INTERFACE] (SERIAL) RR SS`: RR counts readers in the order they were found, so it
changes; SS is the slot within the reader and stays. Interface and serial stand there only for readers that have them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2s

_INDICES = re.compile(r"^(?P<model>.*?) (?P<reader>[0-9A-F]{2}) (?P<slot>[0-9A-F]{2})$", re.DOTALL)

LONGEST_WORDS = 44
"""A device id has at most 64 characters; `pcsc-`, `-slot-255` and a twin's number want theirs."""


@dataclass(frozen=True, slots=True)
class ReaderName:
    """A reader's name in parts. `slot` is None for a name that is not made as pcsc-lite makes them."""

    full: str
    model: str
    slot: int | None

    @classmethod
    def of(cls, full: str) -> ReaderName:
        parts = _INDICES.match(full)
        return cls(full, parts["model"], int(parts["slot"], 16)) if parts else cls(full, full, None)

    @property
    def id(self) -> str:
        """Stays the same wherever the reader is plugged in. Two readers of one model without serials share it."""
        words = re.sub(r"[^a-z0-9]+", "-", self.model.lower()).strip("-")
        if not words or len(words) > LONGEST_WORDS:
            digest = blake2s(self.model.encode("utf-8", "surrogateescape"), digest_size=4).hexdigest()
            words = f"{words[: LONGEST_WORDS - 9].strip('-')}-{digest}".strip("-")
        return f"pcsc-{words}-slot-{self.slot}" if self.slot else f"pcsc-{words}"

    @property
    def pattern(self) -> str:
        """What to write in a config so that the reader is found wherever it is plugged in."""
        return self.full if self.slot is None else f"{self.model} ?? {self.slot:02X}"


def matching(pattern: str, readers: Sequence[str]) -> list[str]:
    """The readers that `pattern` means: the one of exactly this name, or those it fits with its wildcards.

    `*` stands for any text and `?` for one character; letters may be large or small. Brackets are themselves, because
    reader names have them.
    """
    if pattern in readers:
        return [pattern]
    wild = "".join(
        {"*": ".*", "?": "."}.get(part, re.escape(part))
        for part in re.split(r"([*?])", re.sub(r"\*+", "*", pattern))
    )
    return [reader for reader in readers if re.fullmatch(wild, reader, re.IGNORECASE | re.DOTALL)]
