"""What is said between this program and a controller that decides by itself: plain facts, nothing that acts.

A driver whose board can do that hands over its `BoardAbilities`, is given `BoardCard`s, and reports each thing the board
decided as a `BoardDecision`. Boards know days, not instants: what becomes of a validity is in `boardrights.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from typing import Final

from menwei.model import IdentifierType, Reason

MINUTES: Final = 1440
LAST_DAY: Final = date(2099, 12, 31)
"""The last day of a card that does not end."""

Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class WeekHours:
    """For each weekday, Monday first: spans [begin, end) in whole minutes of the site's wall clock, 0 to 1440, in order
    and apart from each other. The same every week: boards know no special days of ours."""

    days: tuple[Spans, ...]

    def __post_init__(self) -> None:
        if len(self.days) != 7:
            raise ValueError("a week has seven days")
        for spans in self.days:
            edges = [edge for span in spans for edge in span]
            if edges != sorted(set(edges)) or any(not 0 <= edge <= MINUTES for edge in edges):
                raise ValueError("spans are in order, apart, and within the day")

    @classmethod
    def of_minutes(cls, days: tuple[int, ...]) -> WeekHours:
        """From one number a weekday whose bits are its minutes, as `schedules.py` has them."""
        return cls(tuple(_spans(bits) for bits in days))

    def text(self) -> str:
        """One short text for each week: equal for equal hours, and for no others."""
        return _text(self)


@lru_cache(maxsize=1024)
def _text(hours: WeekHours) -> str:
    """A site has a handful of hours and many cards."""
    return ";".join(",".join(f"{begin}-{end}" for begin, end in spans) for spans in hours.days)


def _spans(bits: int) -> Spans:
    found = []
    place = 0
    while bits >> place:
        place += ((bits >> place) & -(bits >> place)).bit_length() - 1
        length = (~(bits >> place) & (bits >> place) + 1).bit_length() - 1
        found.append((place, place + length))
        place += length
    return tuple(found)


DAY_AND_NIGHT: Final = WeekHours((((0, MINUTES),),) * 7)


@dataclass(frozen=True, slots=True)
class BoardCard:
    """A card as a board holds it: `value` in the board's `card_format`, valid on both days and all between, and for each
    lock it may open the hours in which it may; a lock that is not named stays shut to it."""

    value: str = field(repr=False)
    first_day: date
    last_day: date
    doors: Mapping[str, WeekHours]

    def holding(self) -> str:
        """Everything but the number, as one text: equal when the board would decide alike."""
        doors = "|".join(f"{lock}={hours.text()}" for lock, hours in sorted(self.doors.items()))
        return f"{self.first_day}..{self.last_day}|{doors}"


def last_day(holding: str) -> str:
    """The last day in what `BoardCard.holding` said, as it stands there: these compare as days do."""
    return holding.partition("..")[2].partition("|")[0]


@dataclass(frozen=True, slots=True)
class BoardAbilities:
    """What one board can hold and decide by itself, as far as its config tells."""

    cards: int
    """How many cards it holds."""
    card_format: str
    """In which of `menwei.cardformats` its readers give cards; the ones it is given are in this."""
    opens: Mapping[str, str]
    """Which lock each of its readers opens. A card that may open a lock may do so at all of that lock's readers."""
    time_profiles: int = 0
    """How many different `WeekHours` it holds, beside day and night; 0: none."""
    levels: frozenset[frozenset[IdentifierType]] = frozenset({frozenset({IdentifierType.CARD})})
    """What it can ask a person for. This program keeps no PIN that a board could be given, only keyed hashes: a board
    that knows PINs is still asked for a card alone."""
    time_zone: str = ""
    """The IANA zone that its clock was configured to show; "": whatever the site's is."""


@dataclass(frozen=True, slots=True)
class BoardDecision:
    """One entry of a board's log: it let somebody in by itself, or refused.

    `epoch` counts the lives of its log, `index` numbers the entries of one life: both together never come twice for one
    device. `shown` is the board's own wall clock then, None when it was no date. `reason` is why it refused.
    """

    epoch: int
    index: int
    reader: str
    format: str
    value: str = field(repr=False)
    granted: bool
    shown: datetime | None
    reason: Reason | None = None
    live: bool = False
    """It happened just now, while this program served the board: the door's contact will tell what comes of it."""


@dataclass(frozen=True, slots=True)
class BoardHealth:
    """How a board is beside its cards, as its driver saw it last; None where that is not known."""

    clock_ahead: float | None = None
    """Seconds by which its clock is ahead of what it should show; below zero it is behind."""
    unread: int | None = None
    """Entries of its log that were not told yet."""


class CannotHold(Exception):
    """The board has no room for this, or cannot express it; the text says what, for the installer."""


__all__ = [
    "DAY_AND_NIGHT", "LAST_DAY", "MINUTES", "BoardAbilities", "BoardCard", "BoardDecision", "BoardHealth", "CannotHold",
    "WeekHours",
]  # fmt: skip
