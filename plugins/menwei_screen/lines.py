"""What other plugins give a screen to show: a line for the person who just passed, or a notice for the door."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

LONGEST_TEXT = 60
"""Characters of a value: it is read by somebody in passing, from two metres."""
SHORTEST, LONGEST = 1.0, 15.0
"""Seconds. Longer, the next person reads what was meant for the one before."""


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence: a message key of the plugin that gives it, in both languages, and the values of its placeholders.

    Everybody who stands at the door reads it: it says that there is something, never what or about whom. `seconds` is
    how long a person's line stays; a door's notice stays until it is taken back. Raises `ValueError` for a line that
    cannot be shown.
    """

    key: str
    values: Mapping[str, str | int] = field(default_factory=dict)
    seconds: float = 5.0

    def __post_init__(self) -> None:
        if not self.key:
            raise ValueError("a line has a message key")
        if not SHORTEST <= self.seconds <= LONGEST:
            raise ValueError(f"a line is shown for {SHORTEST:g} to {LONGEST:g} seconds")
        if any(len(str(value)) > LONGEST_TEXT for value in self.values.values()):
            raise ValueError(f"a value of a line has at most {LONGEST_TEXT} characters")
