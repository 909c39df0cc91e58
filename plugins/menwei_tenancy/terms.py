"""From when until when somebody may pass, as pure functions of days, zone and the site's rules.

The end of a right is computed once, when it is written, and stands in the credential: a door refuses by it with this
plugin gone. Nobody is stranded at night: an ordinary end is moved to the first whole minute outside the quiet hours at
or after it. A cohabitant's year is never made longer: it is moved to the last such minute at or before.

What a person ends themselves (check-out, a card reported lost) ends at once and does not pass through here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from menwei import FOREVER

_MINUTE = 60
_SEARCHED = 4 * 24 * 60
"""Minutes looked through for a waking one. The longest time a zone's clocks have jumped is a day (Samoa, 2011)."""


class Role(StrEnum):
    """What a person is in a household."""

    LESSEE = "lessee"
    """The applicant: the lease is in their name."""
    CO_APPLICANT = "co-applicant"
    """Passes like the applicant."""
    COHABITANT = "cohabitant"
    """At most one year from collection, then collected again."""
    CARER = "carer"
    GUARDIAN = "guardian"


@dataclass(frozen=True, slots=True)
class Quiet:
    """The hours in which no right runs out, on the site's clocks: from `begins`, over midnight, until `ends`."""

    begins: time = time(20)
    ends: time = time(8)

    def holds(self, at: float, zone: ZoneInfo) -> bool:
        wall = datetime.fromtimestamp(at, zone).time()
        if self.begins <= self.ends:
            return self.begins <= wall < self.ends
        return wall >= self.begins or wall < self.ends


@dataclass(frozen=True, slots=True)
class Rules:
    """The site's: `grace` days after the end of a lease, and its quiet hours."""

    zone: ZoneInfo
    grace: int = 0
    quiet: Quiet = Quiet()


@dataclass(frozen=True, slots=True)
class Term:
    """When a right holds: [begins, ends), seconds since the epoch."""

    begins: float
    ends: float


def begin_of(day: date, zone: ZoneInfo) -> float:
    """The first moment of a local day. Where clocks skip midnight, the moment they skip it; where they skip the whole
    day, the first moment after it."""
    at = _instant(datetime.combine(day, time()), zone)
    return at if at is not None else _skipped(datetime.combine(day, time()), zone)


def end_of(last_day: date, rules: Rules) -> float:
    """When a right until `last_day` (included) runs out: after that day and the grace days, in waking hours."""
    return later(begin_of(last_day + timedelta(days=1 + rules.grace), rules.zone), rules)


def later(at: float, rules: Rules) -> float:
    """The first moment at or after `at` that is outside the quiet hours: `at` itself, else a whole minute."""
    if not rules.quiet.holds(at, rules.zone):
        return at
    minute = -(-at // _MINUTE) * _MINUTE
    return _scan(minute, rules, _MINUTE, at)


def earlier(at: float, rules: Rules) -> float:
    """The last whole minute at or before `at` that is outside the quiet hours."""
    return _scan(at // _MINUTE * _MINUTE, rules, -_MINUTE, at)


def year_from(collected: float, rules: Rules) -> float:
    """When a cohabitant's year ends: one calendar year after the collection, moved earlier out of the quiet hours.

    A year after 29 February is 28 February. A wall time that does not exist a year later, or exists twice, is the
    earlier of the two moments it can mean.
    """
    wall = datetime.fromtimestamp(collected, rules.zone).replace(tzinfo=None, fold=0)
    leap = (wall.month, wall.day) == (2, 29)
    wanted = wall.replace(year=wall.year + 1, day=28 if leap else wall.day)
    meant = [wanted.replace(tzinfo=rules.zone, fold=fold).timestamp() for fold in (0, 1)]
    return earlier(min(meant), rules)


def term_of(
    role: Role,
    first_day: date | None,
    last_day: date | None,
    until: date | None,
    collected: float | None,
    now: float,
    rules: Rules,
) -> Term | None:
    """When a member may pass; None when they may not at all.

    `first_day` and `last_day` are the lease's, both included, None for an open one; `until` is the member's own last
    day; `collected` is when a cohabitant's consent and card were last collected. A right that was never given begins
    now, not in the past.
    """
    if role is Role.COHABITANT and collected is None:
        return None
    begins = now if first_day is None else max(now, begin_of(first_day, rules.zone))
    bound = bound_of(role, last_day, until, collected, rules)
    to = FOREVER if bound is None else bound
    return Term(begins, to) if begins < to else None


def bound_of(
    role: Role, last_day: date | None, until: date | None, collected: float | None, rules: Rules
) -> float | None:
    """What ends a member's right, gone by or not: the first of lease, own last day and a cohabitant's year. None when
    nothing does, and for a cohabitant who has no right yet."""
    if role is Role.COHABITANT and collected is None:
        return None
    ends = [end_of(day, rules) for day in (last_day, until) if day is not None]
    if role is Role.COHABITANT and collected is not None:
        ends.append(year_from(collected, rules))
    return min(ends, default=None)


def holds(
    first_day: date | None, last_day: date | None, until: date | None, now: float, rules: Rules
) -> bool:
    """Whether a member's home is theirs now, by the lease's days and their own last day. Of a cohabitant's year it says
    nothing: they live there, collected or not."""
    begun = first_day is None or begin_of(first_day, rules.zone) <= now
    return begun and all(now < end_of(day, rules) for day in (last_day, until) if day is not None)


class Why(StrEnum):
    """What a member's right ends by."""

    LEFT = "left"
    """They moved out, or the household checked out."""
    NOT_COLLECTED = "not-collected"
    """A cohabitant who was never collected has no right yet."""
    YEAR = "year"
    """A year after a cohabitant was collected."""
    UNTIL = "until"
    """The member's own last day."""
    LEASE = "lease"
    """The lease's last day, with the site's days of grace."""
    OPEN = "open"
    """Nothing ends it."""


def why_of(
    role: Role, last_day: date | None, until: date | None, collected: float | None, left: bool, rules: Rules
) -> Why:
    """By which of its bounds the end that `term_of` computes is what it is."""
    if left:
        return Why.LEFT
    if role is Role.COHABITANT and collected is None:
        return Why.NOT_COLLECTED
    ends = [(end_of(day, rules), why) for day, why in ((last_day, Why.LEASE), (until, Why.UNTIL)) if day]
    if role is Role.COHABITANT and collected is not None:
        ends.append((year_from(collected, rules), Why.YEAR))
    return min(ends, key=lambda end: end[0])[1] if ends else Why.OPEN


def days_left(to: float, now: float, zone: ZoneInfo) -> int:
    """Local days from today to the day on which something ends; 0 on that day."""
    return (datetime.fromtimestamp(to, zone).date() - datetime.fromtimestamp(now, zone).date()).days


def reminder_due(
    to: float, now: float, zone: ZoneInfo, days: tuple[int, ...], sent: int | None
) -> int | None:
    """Which of the reminders (`days` before `to`, such as 30, 7, 1) is due now, None when none is. `sent` is the last one
    sent for this `to`: each is sent once, and a site that was switched off sends only the nearest."""
    if now >= to:
        return None
    left = days_left(to, now, zone)
    due = min((day for day in days if left <= day), default=None)
    return due if due is not None and (sent is None or due < sent) else None


def _scan(minute: float, rules: Rules, step: int, asked: float) -> float:
    for _ in range(_SEARCHED):
        if not rules.quiet.holds(minute, rules.zone):
            return minute
        minute += step
    raise ValueError(f"no waking hour within four days of {asked}: the quiet hours are the whole day")


def _instant(wall: datetime, zone: ZoneInfo) -> float | None:
    """The first moment that the clocks show `wall`; None when they skip it."""
    at = wall.replace(tzinfo=zone, fold=0).timestamp()
    return at if datetime.fromtimestamp(at, zone).replace(tzinfo=None) == wall else None


def _skipped(wall: datetime, zone: ZoneInfo) -> float:
    """The moment at which the clocks jump over `wall`: found by halving between before and after the jump."""
    low, high = (int(wall.replace(tzinfo=zone, fold=fold).timestamp()) for fold in (1, 0))
    low, high = min(low, high), max(low, high)

    def passed(at: int) -> bool:
        return datetime.fromtimestamp(at, UTC).astimezone(zone).replace(tzinfo=None) >= wall

    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if passed(middle) else (middle + 1, high)
    return float(low)
