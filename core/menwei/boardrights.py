"""What a board that decides by itself should hold, computed from the rights. Pure.

Boards know days, locks and weekly hours; rights know instants, access points and schedules. Where they differ, a board
is given less, never more:

- A validity that ends in the middle of a day ends, on the board, with the day before. On the day of the end itself,
  and not sooner, the board is given that day's hours up to the end: it then ends on time with this program dead too.
- One that begins in the middle of a day begins, on the board, with the next day; when it has begun, with its own day.
- A card that may open a lock may do so at all of its readers: it is given the hours that hold at each of them.
- Hours until 23:59 end at 23:58, because boards take 23:59 for midnight; hours from 23:59 begin at midnight.
- Schedules with special days or a calendar give nothing: a board does not know them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from menwei.boardfacts import DAY_AND_NIGHT, LAST_DAY, MINUTES, BoardCard, WeekHours
from menwei.decide import View
from menwei.model import FOREVER, Credential, CredentialState
from menwei.schedules import ALWAYS, NEVER, ScheduleSpec, week_of

Week = tuple[int, ...]
"""One number a weekday, Monday first, whose bits are its minutes."""

NO_HOURS: Week = (0,) * 7
ALL_HOURS: Week = ((1 << MINUTES) - 1,) * 7


@dataclass(frozen=True, slots=True)
class Holding:
    """What a board should hold of one card now, but for its number; `changes` is the next instant at which that becomes
    something else by itself, infinite when it does not. `card` None: not on the board now."""

    card: BoardCard | None
    changes: float = FOREVER
    within_a_day: bool = False
    """It begins or ends in the middle of a day, which a board knows on that day only."""
    text: str = ""
    """What `BoardCard.holding` says of the card."""


NOTHING = Holding(None)


@dataclass(slots=True)
class BoardRights:
    """The rights as one board sees them. `locks` names for each lock of the board its access points; a lock that is
    shut (blocked, locked down) is left out by the caller. Made anew for each computation: it remembers what it saw."""

    locks: Mapping[str, tuple[str, ...]]
    view: View
    specs: Mapping[str, ScheduleSpec]
    zone: ZoneInfo
    special: set[str] = field(default_factory=set)
    """Schedules met on the way that a board cannot hold."""
    _weeks: dict[str, Week] = field(default_factory=dict)
    _doors: dict[tuple[str, ...], dict[str, Week]] = field(default_factory=dict)
    _hours: dict[Week, WeekHours] = field(default_factory=dict)
    _holdings: dict[tuple[tuple[str, ...], float, float, float], Holding] = field(default_factory=dict)

    def holding(self, credential: Credential, at: float) -> Holding:
        """What the board should hold of a credential's card at `at`. Made once for all who have the same: a house's
        leases begin and end on the same few days, and working out a day is what a look at a village's cards takes long
        for."""
        if credential.state is not CredentialState.ENABLED or at >= credential.valid_to:
            return NOTHING
        same = (credential.profiles, credential.valid_from, credential.valid_to, at)
        found = self._holdings.get(same)
        if found is None:
            found = self._holdings[same] = self._holding(*same)
        return found

    def _holding(self, profiles: tuple[str, ...], valid_from: float, valid_to: float, at: float) -> Holding:
        doors = self.doors(profiles)
        if not doors:
            return NOTHING
        today = self._day(at)
        begins, first = self._begin(valid_from, at)
        ends, last, until = self._end(valid_to, today)
        if until is not None:
            doors = _only(doors, today.weekday(), until)
        card = None
        if first <= last and doors:
            card = BoardCard("", first, last, {lock: self._named(week) for lock, week in doors.items()})
        moments = [moment for moment in (begins, ends, valid_to) if moment > at]
        within = begins < FOREVER or ends < FOREVER or until is not None
        return Holding(card, min(moments), within, card.holding() if card is not None else "")

    def doors(self, profiles: tuple[str, ...]) -> dict[str, Week]:
        """For each lock the minutes of the week at which these profiles open all of its access points."""
        known = self._doors.get(profiles)
        if known is None:
            known = {lock: self._at_all(profiles, points) for lock, points in self.locks.items()}
            known = self._doors[profiles] = {lock: week for lock, week in known.items() if any(week)}
        return known

    def _at_all(self, profiles: tuple[str, ...], points: Iterable[str]) -> Week:
        found = ALL_HOURS
        for point in points:
            schedules = {name for profile in profiles for name in self.view.rules_for(profile, point)}
            there = _any(self._week(name) for name in schedules)
            found = tuple(one & other for one, other in zip(found, there, strict=True))
        return found

    def _week(self, schedule: str) -> Week:
        if schedule not in self._weeks:
            self._weeks[schedule] = self._compiled(schedule)
        return self._weeks[schedule]

    def _compiled(self, schedule: str) -> Week:
        if schedule in {ALWAYS, NEVER}:
            return ALL_HOURS if schedule == ALWAYS else NO_HOURS
        spec = self.specs.get(schedule)
        week = week_of(spec) if spec is not None else None
        if week is None:
            self.special.add(schedule)
            return NO_HOURS
        return week

    def _begin(self, valid_from: float, at: float) -> tuple[float, date]:
        """When the first day may change, and the first day as of `at`."""
        day = self._day(valid_from)
        if valid_from <= at or self._midnight(day) == valid_from:
            return FOREVER, day
        return valid_from, day + timedelta(days=1)

    def _end(self, valid_to: float, today: date) -> tuple[float, date, int | None]:
        """When the last day may change, the last day, and the minute of it at which it ends early."""
        if valid_to == FOREVER:
            return FOREVER, LAST_DAY, None
        day = self._day(valid_to)
        if self._midnight(day) == valid_to:
            return FOREVER, min(day - timedelta(days=1), LAST_DAY), None
        if today < day:
            return self._midnight(day), min(day - timedelta(days=1), LAST_DAY), None
        local = datetime.fromtimestamp(valid_to, self.zone)
        return FOREVER, day, local.hour * 60 + local.minute

    def _day(self, at: float) -> date:
        try:
            return datetime.fromtimestamp(at, self.zone).date()
        except (ValueError, OverflowError, OSError):  # further than any calendar
            return date.min if at < 0 else date.max

    def _midnight(self, day: date) -> float:
        return datetime(day.year, day.month, day.day, tzinfo=self.zone).astimezone(UTC).timestamp()

    def _named(self, week: Week) -> WeekHours:
        if week not in self._hours:
            self._hours[week] = DAY_AND_NIGHT if week == ALL_HOURS else WeekHours.of_minutes(_cut(week))
        return self._hours[week]


def _any(weeks: Iterable[Week]) -> Week:
    found = NO_HOURS
    for week in weeks:
        found = tuple(one | other for one, other in zip(found, week, strict=True))
    return found


def _cut(week: Week) -> Week:
    """Boards that know no 24:00 take 23:59 for it: what ends there for us ends for them a minute sooner, and what begins
    there begins with the next day."""
    last, before = 1 << (MINUTES - 1), 1 << (MINUTES - 2)
    return tuple(bits if bits & last and bits & before else bits & ~(last | before) for bits in week)


def _only(doors: Mapping[str, Week], weekday: int, until: int) -> dict[str, Week]:
    """One weekday's minutes before `until`; nothing of the other days, which do not come any more."""
    before = (1 << until) - 1
    cut = {
        lock: tuple(bits & before if day == weekday else 0 for day, bits in enumerate(week))
        for lock, week in doors.items()
    }
    return {lock: week for lock, week in cut.items() if any(week)}


__all__ = ["BoardRights", "Holding"]
