"""Weekly hours as the board's time profiles, for boards that decide alone. Pure; `Board.set_profile` stores them.

A profile has days of the week, up to three spans of whole minutes within a day, first and last date, and one profile
it is linked to: it holds when any of the chain does. There are 253 of them, numbered 2 to 254 (the library's limits);
0 and 1 are the board's own "never" and "always".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, time
from typing import Final

from uhppoted.structs import TimeProfile, TimeSegment, Weekdays

LOWEST, HIGHEST = 2, 254
SPANS: Final = 3
DAY_END: Final = time(23, 59)
"""The board knows no 24:00; a span that ends there ends with its last minute."""


@dataclass(frozen=True, slots=True)
class Hours:
    """From `begin` to `end` on some days of the week, Monday is 0. `end` is exclusive, None is midnight."""

    days: frozenset[int]
    begin: time
    end: time | None


class NotPossible(ValueError):
    """The board cannot hold these hours; the text says why."""


def profiles(hours: Iterable[Hours], first: date, last: date, numbers: Sequence[int]) -> list[TimeProfile]:
    """The chain of profiles that together are `hours` between two dates, both included; its head comes first.

    `numbers` are free profile numbers, used from the front. Hours without any time are no profile at all: the empty
    list. Raises `NotPossible`.
    """
    spans: dict[frozenset[int], list[TimeSegment]] = {}
    for item in hours:
        spans.setdefault(_days(item.days), []).append(_segment(item))
    parts = [
        (days, segments[place : place + SPANS])
        for days, segments in spans.items()
        for place in range(0, len(segments), SPANS)
    ]
    if last < first:
        raise NotPossible("the last day lies before the first")
    if len(parts) > len(numbers):
        raise NotPossible(f"{len(parts)} time profiles are needed and {len(numbers)} are free")
    used = list(numbers[: len(parts)])
    if len(set(used)) != len(used) or any(not LOWEST <= number <= HIGHEST for number in used):
        raise NotPossible(f"time profiles have different numbers from {LOWEST} to {HIGHEST}")
    return [
        TimeProfile(
            id=number,
            start_date=first,
            end_date=last,
            weekdays=Weekdays(*(day in days for day in range(7))),
            segments=dict(enumerate(segments, start=1)),
            linked_profile=linked,
        )
        for number, linked, (days, segments) in zip(used, [*used[1:], 0], parts, strict=True)
    ]


def minutes(parts: Iterable[TimeProfile]) -> tuple[int, ...]:
    """What a chain of profiles says, as one number a weekday whose bits are its minutes."""
    days = [0] * 7
    for part in parts:
        for segment in part.segments.values():
            begin = segment.start.hour * 60 + segment.start.minute
            end = 1440 if segment.end == DAY_END else segment.end.hour * 60 + segment.end.minute
            bits = (1 << end) - (1 << begin) if end > begin else 0
            for day, on in enumerate(_flags(part.weekdays)):
                days[day] |= bits if on else 0
    return tuple(days)


def _flags(weekdays: Weekdays) -> tuple[bool, ...]:
    return (
        weekdays.monday, weekdays.tuesday, weekdays.wednesday, weekdays.thursday, weekdays.friday, weekdays.saturday,
        weekdays.sunday,
    )  # fmt: skip


def _days(days: frozenset[int]) -> frozenset[int]:
    if not days or not days <= frozenset(range(7)):
        raise NotPossible("days are 0 (Monday) to 6 (Sunday)")
    return days


def _segment(hours: Hours) -> TimeSegment:
    end = DAY_END if hours.end is None else hours.end
    if hours.begin.second or end.second:
        raise NotPossible("the board knows whole minutes only")
    if end <= hours.begin:
        raise NotPossible("hours over midnight are two: until midnight and from midnight on the next day")
    return TimeSegment(hours.begin, end)
