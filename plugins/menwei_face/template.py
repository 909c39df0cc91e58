"""A template as the core handles it: bytes that are kept, sealed and handed on. Needs nothing installed.

Whoever computes with many of them does so in a process of its own, where numpy is (`comparing.py`, the camera worker):
the core's process stays as small as it is without faces.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Template = bytes
"""What a network made of one face: float32, little-endian, one number after the other."""
WIDTH = 4
"""Bytes of a number."""


@dataclass(frozen=True, slots=True)
class Templates:
    """Those of several people, on their way into a process that computes; in no `repr`."""

    rows: Mapping[str, Sequence[Template]] = field(repr=False)

    def __len__(self) -> int:
        """People, not templates."""
        return len(self.rows)

    @property
    def subjects(self) -> tuple[str, ...]:
        return tuple(self.rows)

    def only(self, subjects: Iterable[str]) -> Templates:
        """Those of no others than these people."""
        wanted = set(subjects)
        return Templates({subject: rows for subject, rows in self.rows.items() if subject in wanted})


def numbers(template: Template) -> array[float]:
    """Raises `ValueError` for what is no template: no numbers, half a number, or one that is not finite."""
    if not template or len(template) % WIDTH:
        raise ValueError(f"{len(template)} bytes are no template")
    found = array("f", template)
    if sys.byteorder == "big":
        found.byteswap()
    if not all(map(math.isfinite, found)):
        raise ValueError("a template holds numbers that are not finite")
    return found


def direction(template: Template, unit: bool) -> tuple[float, ...]:
    """The numbers as they are compared with `math.dist`: brought to length 1 for a network compared by angle."""
    found = tuple(numbers(template))
    if not unit:
        return found
    length = max(math.hypot(*found), 1e-12)
    return tuple(number / length for number in found)
