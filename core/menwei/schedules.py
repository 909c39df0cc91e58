"""When a rule holds: schedules, compiled once a day into one bit for each minute of each local day.

A schedule is written as hours of the week, as iCalendar text, or both, with special days that have hours of their
own. Nothing of that is looked at when somebody stands at a door: `allows` turns the instant into the site's wall time,
takes that day's 1440-bit number and looks at one bit. Ordinary weeks share their numbers.

What the words mean
- Minutes are of the site's wall clock. When clocks go back, the repeated hour is treated twice alike; the hour that
  clocks skip does not exist.
- Hours belong to the day on which they begin: `Mon 22:00-06:00` ends on Tuesday at six.
- A special day's hours replace the ordinary ones of that date, the rest of the night before included, unless the day
  before is governed by the same entry. Where two entries name one date, the later entry counts.
- A calendar's span of a day or longer is judged day by day: special days cut a piece out of it.
- Times from a calendar are cut to whole minutes inside what it says: never more than was written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from menwei.calendars import CalendarError, holidays_of, spans
from menwei.problems import Fault, Path, printable

ALWAYS, NEVER = "always", "never"
BUILT_IN: Final = (ALWAYS, NEVER)

DAYS_AHEAD = 400
"""A year and a month: next year's holidays are seen before they come, and a month without a restart is no trouble."""
DAYS_BACK = 35
"""So that last month's passages can be explained."""

DAY = 1440
"""Minutes on a wall clock's day, whatever the length of that day."""
ALL_DAY = (1 << DAY) - 1

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKLY = re.compile(r"([^0-9]+)([0-9].*)", re.DOTALL)
_HOURS = re.compile(r"([0-9]{1,2}):([0-9]{2})\s*-\s*([0-9]{1,2}):([0-9]{2})")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class SpecialDays:
    """Dates (`2026-10-01`), or a country's public holidays (`CN`), with their own hours; no hours: closed."""

    days: tuple[str, ...] = ()
    holidays: str = ""
    hours: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScheduleSpec:
    """A schedule as written: `weekly` entries such as `Mon-Fri 08:00-20:00`, `ical` text, special days."""

    weekly: tuple[str, ...] = ()
    ical: str = ""
    special_days: tuple[SpecialDays, ...] = ()


class ScheduleError(ValueError):
    """A schedule cannot be compiled; `faults` say which part of which one and why."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        super().__init__("; ".join(f"{'.'.join(map(str, fault.path))}: {fault.key}" for fault in faults))


@dataclass(frozen=True, slots=True)
class Schedules:
    """Every schedule of a site, compiled. Immutable: a recompiled one takes its place as a whole."""

    specs: Mapping[str, ScheduleSpec]
    zone: ZoneInfo
    first: int
    """Ordinal of the first day compiled."""
    days: Mapping[str, tuple[int, ...]]

    @classmethod
    def compile(cls, specs: Mapping[str, ScheduleSpec], zone: ZoneInfo, today: date) -> Schedules:
        """Compiles from `DAYS_BACK` days before `today`, the site's date, to `DAYS_AHEAD` after. Raises `ScheduleError`
        with every fault found; paths begin with the schedule's name."""
        first, count = today.toordinal() - DAYS_BACK, DAYS_BACK + DAYS_AHEAD
        faults: list[Fault] = []
        tables: dict[str, tuple[int, ...]] = {}
        shared: dict[int, int] = {}
        for name, spec in specs.items():
            table = _compile(spec, zone, first, count, (name,), faults)
            tables[name] = tuple(shared.setdefault(bits, bits) for bits in table)
        if faults:
            raise ScheduleError(faults)
        return cls(dict(specs), zone, first, tables)

    def recompile(self, today: date) -> Schedules:
        """The same schedules as of another day. Called once a day, off the decision line."""
        return self.compile(self.specs, self.zone, today)

    @property
    def horizon(self) -> date:
        """The first date that is not compiled any more: from here on `allows` has no answer."""
        return date.fromordinal(self.first + DAYS_BACK + DAYS_AHEAD)

    def __contains__(self, schedule: object) -> bool:
        return schedule in self.days or schedule in BUILT_IN

    def allows(self, schedule: str, at: float) -> bool | None:
        """Whether `schedule` holds at `at` (seconds since the epoch). None: nobody knows, because that day is not
        compiled or there is no such schedule; the caller denies and raises a repair. `always` never runs out."""
        table = self.days.get(schedule)
        if table is None:
            return _BUILT_IN_ANSWERS.get(schedule)
        try:
            local = datetime.fromtimestamp(at, self.zone)
        except (ValueError, OverflowError, OSError):  # not a time, or none a calendar has
            return None
        day = local.toordinal() - self.first
        if not 0 <= day < len(table):
            return None
        return table[day] >> (local.hour * 60 + local.minute) & 1 == 1


_BUILT_IN_ANSWERS: Final[Mapping[str, bool]] = {ALWAYS: True, NEVER: False}


def check(spec: ScheduleSpec, zone: ZoneInfo, today: date, path: Path = ()) -> list[Fault]:
    """What is wrong with one schedule, with paths that begin with `path`. Called for each one of a config file."""
    faults: list[Fault] = []
    _compile(spec, zone, today.toordinal() - DAYS_BACK, DAYS_BACK + DAYS_AHEAD, path, faults)
    return faults


def week_of(spec: ScheduleSpec) -> tuple[int, ...] | None:
    """The minutes of each weekday, Monday first, of a schedule that is the same every week; None for one with special
    days or a calendar. For boards that decide by themselves."""
    if spec.ical or spec.special_days:
        return None
    week = _week(spec.weekly, (), [])
    return tuple(week.own[day] | week.after[day - 1] for day in range(7))


# ------------------------------------------------------------------------------------------------- compiling


@dataclass(slots=True)
class _Week:
    """Minutes of a day's own hours, and those that go on after its midnight, by weekday."""

    own: list[int]
    after: list[int]


def _compile(
    spec: ScheduleSpec, zone: ZoneInfo, first: int, count: int, path: Path, faults: list[Fault]
) -> list[int]:
    if not (spec.weekly or spec.ical or spec.special_days):
        faults.append(Fault(path, "schedule.empty"))
    week = _week(spec.weekly, path, faults)
    governed, special = _special_days(spec, first, count, path, faults)
    table = []
    for ordinal in range(first, first + count):
        weekday, entry = (ordinal - 1) % 7, governed.get(ordinal)  # 0001-01-01, ordinal 1, was a Monday
        before = governed.get(ordinal - 1)
        bits = week.own[weekday] if entry is None else special[entry][0]
        if before is None and entry is None:
            bits |= week.after[weekday - 1]
        elif before is not None and entry in (None, before):
            bits |= special[before][1]
        table.append(bits)
    if spec.ical:
        _add_calendar(spec.ical, zone, first, table, governed, (*path, "ical"), faults)
    return table


def _week(entries: tuple[str, ...], path: Path, faults: list[Fault]) -> _Week:
    week = _Week([0] * 7, [0] * 7)
    for index, entry in enumerate(entries):
        match = _WEEKLY.fullmatch(entry.strip())
        where = (*path, "weekly", index)
        if match is None:
            faults.append(Fault(where, "schedule.weekly", {"value": printable(entry)}))
            continue
        weekdays = _weekdays(match[1])
        if weekdays is None:
            faults.append(Fault(where, "schedule.weekday", {"days": printable(match[1].strip())}))
        bits = _hours(match[2], where, faults)
        if weekdays is None or bits is None:
            continue
        for weekday in weekdays:
            week.own[weekday] |= bits[0]
            week.after[weekday] |= bits[1]
    return week


def _weekdays(text: str) -> set[int] | None:
    """`Mon-Fri`, `Sat,Sun`, `Fri-Mon`; None where a word is not a weekday."""
    found: set[int] = set()
    for part in "".join(text.lower().split()).split(","):
        ends = part.split("-")
        if len(ends) > 2 or any(end not in _WEEKDAYS for end in ends):
            return None
        start, end = _WEEKDAYS.index(ends[0]), _WEEKDAYS.index(ends[-1])
        found.update((start + step) % 7 for step in range((end - start) % 7 + 1))
    return found


def _hours(text: str, path: Path, faults: list[Fault]) -> tuple[int, int] | None:
    """The minutes of `22:00-06:00` on its day and on the next. Several spans may stand with commas between."""
    own = after = 0
    for part in text.split(","):
        match = _HOURS.fullmatch(part.strip())
        if match is None:
            faults.append(Fault(path, "schedule.hours", {"hours": printable(part.strip())}))
            return None
        begin = int(match[1]) * 60 + int(match[2])
        end = int(match[3]) * 60 + int(match[4])
        if begin >= DAY or end > DAY or int(match[2]) > 59 or int(match[4]) > 59:
            faults.append(Fault(path, "schedule.no_such_time", {"hours": printable(part.strip())}))
            return None
        if begin == end:
            faults.append(Fault(path, "schedule.same_time", {"hours": printable(part.strip())}))
            return None
        if begin < end:
            own |= _minutes(begin, end)
        else:
            own |= _minutes(begin, DAY)
            after |= _minutes(0, end)
    return own, after


def _minutes(begin: int, end: int) -> int:
    return (1 << end) - (1 << begin) if end > begin else 0


def _special_days(
    spec: ScheduleSpec, first: int, count: int, path: Path, faults: list[Fault]
) -> tuple[dict[int, int], list[tuple[int, int]]]:
    """Which entry governs which date, and each entry's minutes on its day and after midnight."""
    governed: dict[int, int] = {}
    special: list[tuple[int, int]] = []
    for index, entry in enumerate(spec.special_days):
        where = (*path, "special_days", index)
        own = after = 0
        for number, hours in enumerate(entry.hours):
            bits = _hours(hours.strip(), (*where, "hours", number), faults)
            if bits is not None:
                own, after = own | bits[0], after | bits[1]
        special.append((own, after))
        if not (entry.days or entry.holidays):
            faults.append(Fault(where, "schedule.no_days"))
        for number, text in enumerate(entry.days):
            day = _date(text)
            if day is None:
                faults.append(Fault((*where, "days", number), "schedule.date", {"date": printable(text)}))
            else:
                governed[day.toordinal()] = index
        if entry.holidays:
            years = range(date.fromordinal(first - 1).year, date.fromordinal(first + count).year + 1)
            try:
                governed.update((day.toordinal(), index) for day in holidays_of(entry.holidays, years))
            except CalendarError as error:
                faults.append(Fault((*where, "holidays"), error.key, error.values))
    return governed, special


def _date(text: str) -> date | None:
    if not _DATE.fullmatch(text.strip()):
        return None
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


def _add_calendar(
    text: str,
    zone: ZoneInfo,
    first: int,
    table: list[int],
    governed: Mapping[int, int],
    path: Path,
    faults: list[Fault],
) -> None:
    begin, end = date.fromordinal(first), date.fromordinal(first + len(table))
    try:
        found = spans(text, zone, begin, end)
    except CalendarError as error:
        faults.append(Fault(path, error.key, error.values))
        return
    for start, stop in found:
        # A night of the ordinary calendar that began on a special day does not come back at midnight; a span of a day
        # or more is judged day by day.
        if _local(start, zone).toordinal() in governed and stop - start < timedelta(days=1):
            continue
        for ordinal, bits in _wall(start, stop, zone):
            if 0 <= ordinal - first < len(table) and ordinal not in governed:
                table[ordinal - first] |= bits


def _wall(start: datetime, stop: datetime, zone: ZoneInfo) -> Iterator[tuple[int, int]]:
    """The wall-clock minutes of a span, day by day. With a zone it is a span of instants; without, of the wall clock."""
    cut = timedelta(seconds=start.second, microseconds=start.microsecond)
    start, stop = start + (_MINUTE - cut if cut else cut), stop.replace(second=0, microsecond=0)
    if start.tzinfo is None:
        yield from _wall_minutes(start, stop)
        return
    cursor, stop = start.astimezone(UTC), stop.astimezone(UTC)
    while cursor < stop:
        upto = min(cursor + timedelta(days=1), stop)
        if _local(upto - _BLINK, zone) - _local(cursor, zone) != upto - _BLINK - cursor:
            # The clocks change within; every zone in use changes on a quarter of an hour of UTC.
            quarter = cursor.replace(minute=cursor.minute // 15 * 15, second=0, microsecond=0) + timedelta(
                minutes=15
            )
            upto = min(quarter, stop)
        yield from _wall_minutes(_local(cursor, zone), _local(upto - _BLINK, zone) + _BLINK)
        cursor = upto


_BLINK = timedelta(microseconds=1)
_MINUTE = timedelta(minutes=1)


def _local(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment if moment.tzinfo is None else moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _wall_minutes(start: datetime, stop: datetime) -> Iterator[tuple[int, int]]:
    """The minutes of [start, stop), both whole minutes of the wall clock, by day."""
    begin = start.toordinal() * DAY + start.hour * 60 + start.minute
    end = stop.toordinal() * DAY + stop.hour * 60 + stop.minute
    while begin < end:
        ordinal, minute = divmod(begin, DAY)
        upto = min(end - ordinal * DAY, DAY)
        yield ordinal, _minutes(minute, upto)
        begin = ordinal * DAY + upto
