from __future__ import annotations

import builtins
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from menwei import messages
from menwei.problems import Fault
from menwei.schedules import DAYS_AHEAD, DAYS_BACK, ScheduleError, Schedules, ScheduleSpec, SpecialDays, check

SHANGHAI = ZoneInfo("Asia/Shanghai")
NEW_YORK = ZoneInfo("America/New_York")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")  # its clocks change by half an hour
TODAY = date(2026, 9, 1)  # a Tuesday
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def compiled(zone: ZoneInfo = SHANGHAI, today: date = TODAY, **specs: ScheduleSpec) -> Schedules:
    return Schedules.compile(specs, zone, today)


def at(text: str, zone: ZoneInfo = SHANGHAI, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold).timestamp()


def event(start: str, end: str, *more: str) -> str:
    return "\r\n".join(
        ["BEGIN:VEVENT", f"UID:{start}@test", f"DTSTART{start}", f"DTEND{end}", *more, "END:VEVENT"]
    )


def calendar(*events: str) -> ScheduleSpec:
    return ScheduleSpec(
        ical="\r\n".join(["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:test", *events, "END:VCALENDAR", ""])
    )


def faults_of(spec: ScheduleSpec) -> list[tuple[tuple[str | int, ...], str]]:
    return [(fault.path, fault.key) for fault in check(spec, SHANGHAI, TODAY)]


# ------------------------------------------------------------------------------------------------ hours of the week


def test_hours_hold_from_the_first_minute_to_before_the_last() -> None:
    times = compiled(office=ScheduleSpec(weekly=("Mon-Fri 08:00-20:00",)))
    assert times.allows("office", at("2026-09-01T08:00:00")) is True
    assert times.allows("office", at("2026-09-01T19:59:59.999")) is True
    assert times.allows("office", at("2026-09-01T07:59:59.999")) is False
    assert times.allows("office", at("2026-09-01T20:00:00")) is False
    assert times.allows("office", at("2026-09-05T12:00:00")) is False


def test_a_night_goes_on_past_midnight_and_into_monday() -> None:
    times = compiled(weekend=ScheduleSpec(weekly=("Sat,Sun 22:00-06:00",)))
    assert times.allows("weekend", at("2026-09-07T05:59")) is True  # Monday, the night of Sunday
    assert times.allows("weekend", at("2026-09-07T22:00")) is False
    assert times.allows("weekend", at("2026-09-05T05:59")) is False  # Saturday, the night of Friday


def test_weekdays_may_run_over_the_end_of_the_week_and_hours_may_be_several() -> None:
    times = compiled(s=ScheduleSpec(weekly=("fri - MON 8:00-12:00, 14:00-18:00",)))
    days = [times.allows("s", at(f"2026-09-{day:02d}T09:00")) for day in range(1, 8)]  # Tuesday to Monday
    assert days == [False, False, False, True, True, True, True]
    assert times.allows("s", at("2026-09-04T13:00")) is False
    assert times.allows("s", at("2026-09-04T14:00")) is True


def test_a_whole_day_is_midnight_to_twenty_four() -> None:
    times = compiled(s=ScheduleSpec(weekly=("Tue 00:00-24:00",)))
    assert times.allows("s", at("2026-09-01T00:00")) is True
    assert times.allows("s", at("2026-09-01T23:59:59")) is True
    assert times.allows("s", at("2026-09-02T00:00")) is False


# ------------------------------------------------------------------------------------------------ special days


def test_a_special_day_has_its_own_hours_instead_of_the_ordinary_ones() -> None:
    holiday = SpecialDays(days=("2026-10-01",), hours=("10:00-12:00",))
    times = compiled(s=ScheduleSpec(weekly=("Mon-Sun 08:00-20:00",), special_days=(holiday,)))
    assert times.allows("s", at("2026-10-01T09:00")) is False
    assert times.allows("s", at("2026-10-01T11:00")) is True
    assert times.allows("s", at("2026-10-02T09:00")) is True


def test_an_ordinary_night_ends_where_a_special_day_begins() -> None:
    closed = SpecialDays(days=("2026-10-01",))
    times = compiled(s=ScheduleSpec(weekly=("Mon-Sun 22:00-06:00",), special_days=(closed,)))
    assert times.allows("s", at("2026-09-30T23:59")) is True
    assert times.allows("s", at("2026-10-01T00:00")) is False
    assert times.allows("s", at("2026-10-01T23:00")) is False
    assert (
        times.allows("s", at("2026-10-02T05:00")) is False
    )  # that night would have begun on the special day
    assert times.allows("s", at("2026-10-02T22:00")) is True


def test_nights_of_a_week_of_special_days_go_on_over_midnight() -> None:
    week = SpecialDays(days=("2026-10-01", "2026-10-02"), hours=("20:00-08:00",))
    times = compiled(s=ScheduleSpec(weekly=("Mon-Sun 12:00-13:00",), special_days=(week,)))
    assert times.allows("s", at("2026-10-01T07:00")) is False
    assert times.allows("s", at("2026-10-02T07:00")) is True
    assert times.allows("s", at("2026-10-03T07:00")) is True
    assert times.allows("s", at("2026-10-03T12:30")) is True


def test_of_two_entries_for_one_day_the_later_counts() -> None:
    holidays = SpecialDays(holidays="CN")
    worked = SpecialDays(days=("2026-10-02",), hours=("08:00-12:00",))
    times = compiled(s=ScheduleSpec(weekly=("Mon-Sun 00:00-24:00",), special_days=(holidays, worked)))
    assert times.allows("s", at("2026-10-01T09:00")) is False  # National Day
    assert times.allows("s", at("2026-10-02T09:00")) is True
    assert times.allows("s", at("2026-10-02T13:00")) is False
    assert times.allows("s", at("2027-01-01T12:00")) is False  # the next year's are known too


def test_a_country_nobody_knows_is_told() -> None:
    assert faults_of(ScheduleSpec(special_days=(SpecialDays(holidays="XX"),))) == [
        (("special_days", 0, "holidays"), "schedule.holidays_unknown")
    ]


def test_the_missing_holidays_package_is_told_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "holidays":
            raise ModuleNotFoundError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    [fault] = check(ScheduleSpec(special_days=(SpecialDays(holidays="CN"),)), SHANGHAI, TODAY)
    assert "pip install holidays" in messages.t("en", fault.key, **fault.values)


# ------------------------------------------------------------------------------------------------ iCalendar


def test_a_repeated_event_holds_but_not_on_its_exceptions() -> None:
    times = compiled(
        s=calendar(
            event(
                ":20260907T070000", ":20260907T090000", "RRULE:FREQ=WEEKLY;BYDAY=MO", "EXDATE:20260914T070000"
            )
        )
    )
    assert times.allows("s", at("2026-09-07T08:00")) is True
    assert times.allows("s", at("2026-09-14T08:00")) is False
    assert times.allows("s", at("2026-09-21T08:00")) is True
    assert times.allows("s", at("2026-09-21T09:00")) is False


def test_events_written_alone_are_a_calendar() -> None:
    alone = event(":20260907T070000", ":20260907T090000", "RRULE:FREQ=WEEKLY;BYDAY=MO")
    times = compiled(s=ScheduleSpec(ical=f"\n{alone}\n{alone}"))
    assert times.allows("s", at("2026-09-14T08:00")) is True
    assert times.allows("s", at("2026-09-14T10:00")) is False


def test_an_event_in_another_zone_is_moved_to_the_site_s_wall_clock() -> None:
    times = compiled(
        s=calendar(event(";TZID=America/New_York:20260907T200000", ";TZID=America/New_York:20260907T210000"))
    )
    assert times.allows("s", at("2026-09-08T08:00")) is True
    assert times.allows("s", at("2026-09-08T09:00")) is False


def test_an_event_of_whole_days_holds_all_day() -> None:
    times = compiled(s=calendar(event(";VALUE=DATE:20260907", ";VALUE=DATE:20260909")))
    held = [
        times.allows("s", at(f"2026-09-{day:02d}T{hour}"))
        for day in (6, 7, 8, 9)
        for hour in ("00:00", "23:59")
    ]
    assert held == [False, False, True, True, True, True, False, False]


def test_a_cancelled_occurrence_does_not_hold_and_a_moved_one_holds_elsewhere() -> None:
    series = "BEGIN:VEVENT\r\nUID:a\r\nDTSTART:20260907T070000\r\nDTEND:20260907T080000\r\nRRULE:FREQ=DAILY\r\nEND:VEVENT"
    cancelled = "BEGIN:VEVENT\r\nUID:a\r\nRECURRENCE-ID:20260908T070000\r\nDTSTART:20260908T070000\r\nDTEND:20260908T080000\r\nSTATUS:CANCELLED\r\nEND:VEVENT"
    moved = "BEGIN:VEVENT\r\nUID:a\r\nRECURRENCE-ID:20260909T070000\r\nDTSTART:20260909T170000\r\nDTEND:20260909T180000\r\nEND:VEVENT"
    times = compiled(s=calendar(series, cancelled, moved))
    assert times.allows("s", at("2026-09-07T07:30")) is True
    assert times.allows("s", at("2026-09-08T07:30")) is False
    assert times.allows("s", at("2026-09-09T07:30")) is False
    assert times.allows("s", at("2026-09-09T17:30")) is True


def test_seconds_in_an_event_never_give_more_than_was_written() -> None:
    times = compiled(s=calendar(event(":20260907T070030", ":20260907T080030")))
    assert times.allows("s", at("2026-09-07T07:00:59")) is False
    assert times.allows("s", at("2026-09-07T07:01:00")) is True
    assert times.allows("s", at("2026-09-07T08:00:00")) is False


def test_a_special_day_cuts_its_piece_out_of_a_long_event() -> None:
    month = calendar(event(";VALUE=DATE:20261001", ";VALUE=DATE:20261101"))
    times = compiled(s=ScheduleSpec(ical=month.ical, special_days=(SpecialDays(days=("2026-10-01",)),)))
    assert times.allows("s", at("2026-10-01T12:00")) is False
    assert times.allows("s", at("2026-10-02T12:00")) is True


def test_a_calendar_s_night_from_a_special_day_does_not_come_back_at_midnight() -> None:
    night = calendar(event(":20260901T220000", ":20260902T060000", "RRULE:FREQ=DAILY"))
    times = compiled(s=ScheduleSpec(ical=night.ical, special_days=(SpecialDays(days=("2026-10-01",)),)))
    assert times.allows("s", at("2026-10-01T05:00")) is False
    assert times.allows("s", at("2026-10-02T05:00")) is False
    assert times.allows("s", at("2026-10-02T23:00")) is True


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("rubbish", "schedule.ical_unreadable"),
        ("BEGIN:VCALENDAR\nEND:VCALENDAR", "schedule.ical_no_events"),
        (calendar(event(":20260907T07", ":20260907T08")).ical, "schedule.ical_unreadable"),
        (
            calendar(event(":20260907T070000", ":20260907T080000", "RRULE:FREQ=SECONDLY")).ical,
            "schedule.ical_too_often",
        ),
        (
            calendar(event(":20260907T070000", ":20260907T080000", "RRULE:FREQ=MINU\r\n TELY")).ical,
            "schedule.ical_too_often",
        ),
        (
            calendar(event(":20260907T070000", ":20260907T080000", "RRULE:FREQ=OFTEN")).ical,
            "schedule.ical_unreadable",
        ),
        (calendar(*[event(":20260907T070000", ":20260907T080000")] * 300).ical, "schedule.ical_too_many"),
    ],
)
def test_a_calendar_that_cannot_be_used_is_told(text: str, key: str) -> None:
    assert faults_of(ScheduleSpec(ical=text)) == [(("ical",), key)]


ical_like = st.lists(
    st.sampled_from(["BEGIN:VCALENDAR", "END:VCALENDAR", "BEGIN:VEVENT", "END:VEVENT", "DTSTART:20260907T070000", "DTSTART;VALUE=DATE:20260907", "DTSTART;TZID=No/Where:20260907T070000", "DTEND:20260907T060000Z", "DTEND:20260908T060000", "DURATION:PT1H", "DURATION:-PT1H", "RRULE:FREQ=DAILY", "RRULE:FREQ=", "EXDATE:x", "RDATE:20260910T070000", "UID:a", "RECURRENCE-ID:20260908T070000", "X-WR-TIMEZONE:Asia/Nowhere", " folded", "STATUS:CANCELLED"])
    | st.text(max_size=20)
).map("\r\n".join)  # fmt: skip


@given(
    st.text(max_size=80)
    | ical_like
    | ical_like.map(lambda inner: f"BEGIN:VCALENDAR\r\n{inner}\r\nEND:VCALENDAR")
)
@settings(max_examples=settings.default.max_examples * 5 // 2)
def test_any_calendar_text_compiles_or_is_told(text: str) -> None:
    for fault in check(ScheduleSpec(ical=text), SHANGHAI, TODAY):
        assert messages.t("zh-CN", fault.key, **fault.values)


# ------------------------------------------------------------------------------------------------ the clock


def test_always_and_never_are_there_without_being_written() -> None:
    times = compiled()
    assert "always" in times and "never" in times and "office" not in times
    for moment in (0.0, at("2026-09-01T12:00"), at("2126-09-01T12:00")):
        assert times.allows("always", moment) is True
        assert times.allows("never", moment) is False


def test_beyond_what_is_compiled_there_is_no_answer() -> None:
    times = compiled(s=ScheduleSpec(weekly=("Mon-Sun 00:00-24:00",)))
    end = datetime.combine(times.horizon, datetime.min.time(), SHANGHAI).timestamp()
    begin = datetime.combine(TODAY - timedelta(days=DAYS_BACK), datetime.min.time(), SHANGHAI).timestamp()
    assert times.horizon == TODAY + timedelta(days=DAYS_AHEAD)
    assert times.allows("s", end - 1) is True
    assert times.allows("s", end) is None
    assert times.allows("s", begin) is True
    assert times.allows("s", begin - 1) is None
    for nonsense in (float("inf"), float("-inf"), float("nan"), 1e30, -1e30):
        assert times.allows("s", nonsense) is None
    assert times.allows("nobody", at("2026-09-01T12:00")) is None


def test_a_day_later_the_horizon_is_a_day_further() -> None:
    times = compiled(s=ScheduleSpec(weekly=("Tue 08:00-09:00",)))
    later = times.recompile(TODAY + timedelta(days=1))
    assert later.horizon == times.horizon + timedelta(days=1)
    assert later.allows("s", at("2026-09-01T08:30")) is True
    assert times.horizon == TODAY + timedelta(days=DAYS_AHEAD)


def test_ordinary_weeks_share_their_days() -> None:
    times = compiled(s=ScheduleSpec(weekly=("Mon-Fri 08:00-20:00", "Sat,Sun 09:00-18:00")))
    assert len({id(bits) for bits in times.days["s"]}) == 2


def test_when_clocks_go_back_the_repeated_hour_holds_twice() -> None:
    # New York, 2026-11-01: 02:00 EDT becomes 01:00 EST
    times = compiled(NEW_YORK, s=ScheduleSpec(weekly=("Sun 01:00-01:30",)))
    for fold in (0, 1):
        assert times.allows("s", at("2026-11-01T01:15", NEW_YORK, fold)) is True
        assert times.allows("s", at("2026-11-01T01:45", NEW_YORK, fold)) is False


def test_when_clocks_go_forward_the_night_is_an_hour_shorter() -> None:
    # New York, 2027-03-14: 02:00 EST becomes 03:00 EDT
    times = compiled(NEW_YORK, s=ScheduleSpec(weekly=("Sun 01:00-03:00",)))
    before = at("2027-03-14T01:59", NEW_YORK)
    assert times.allows("s", before) is True
    assert times.allows("s", before + 60) is False


def test_an_event_across_the_clock_change_covers_its_minutes() -> None:
    utc = calendar(event(":20261101T054500Z", ":20261101T061500Z"))  # 01:45 EDT to 01:15 EST
    times = compiled(NEW_YORK, s=utc)
    start = datetime(2026, 11, 1, 5, 45, tzinfo=UTC).timestamp()
    assert all(times.allows("s", start + minute * 60) for minute in range(30))
    assert times.allows("s", start - 40 * 60) is True  # 01:05 EDT reads 01:05 on the wall, as 01:05 EST does
    assert times.allows("s", start - 20 * 60) is False
    assert times.allows("s", start + 30 * 60) is False


# ------------------------------------------------------------------------------------------------ an independent oracle


clock = st.integers(0, 1439)
spans_of_day = st.tuples(clock, st.integers(0, 1440)).filter(lambda span: span[0] != span[1])
weeks = st.lists(st.tuples(st.sets(st.integers(0, 6), min_size=1), spans_of_day), max_size=4)
specials = st.lists(
    st.tuples(st.sets(st.integers(-3, 30), min_size=1, max_size=4), st.lists(spans_of_day, max_size=2)),
    max_size=3,
)


def hhmm(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"


def spec_of(week: list[Any], special: list[Any]) -> ScheduleSpec:
    return ScheduleSpec(
        weekly=tuple(
            f"{','.join(WEEKDAYS[d] for d in sorted(days))} {hhmm(a)}-{hhmm(b)}" for days, (a, b) in week
        ),
        special_days=tuple(
            SpecialDays(
                days=tuple((TODAY + timedelta(days=d)).isoformat() for d in sorted(days)),
                hours=tuple(f"{hhmm(a)}-{hhmm(b)}" for a, b in spans),
            )
            for days, spans in special
        ),
    )


def oracle(week: list[Any], special: list[Any], moment: float, zone: ZoneInfo) -> bool:
    """The rules in words, asked minute by minute: no bits, no tables."""
    local = datetime.fromtimestamp(moment, zone)
    minute, today = local.hour * 60 + local.minute, local.date()

    def entry_of(day: date) -> int | None:
        return max((i for i, (days, _) in enumerate(special) if (day - TODAY).days in days), default=None)

    def hours_of(day: date) -> list[tuple[int, int]]:
        entry = entry_of(day)
        if entry is not None:
            return list(special[entry][1])
        return [span for days, span in week if day.weekday() in days]

    for begin, end in hours_of(today):
        if begin < end and begin <= minute < end:
            return True
        if begin > end and minute >= begin:
            return True
    yesterday = today - timedelta(days=1)
    if entry_of(today) is not None and entry_of(today) != entry_of(yesterday):
        return False
    return any(begin > end and minute < end for begin, end in hours_of(yesterday))


@pytest.mark.parametrize("zone", [SHANGHAI, NEW_YORK, LORD_HOWE], ids=str)
@given(
    week=weeks,
    special=specials,
    offsets=st.lists(st.integers(-20 * 86_400, 350 * 86_400), min_size=5, max_size=30),
)
def test_the_compiled_table_agrees_with_the_rules(
    zone: ZoneInfo, week: list[Any], special: list[Any], offsets: list[int]
) -> None:
    assume(week or special)
    times = Schedules.compile({"s": spec_of(week, special)}, zone, TODAY)
    noon = at("2026-09-01T12:00", zone)
    changes = [
        at("2026-10-04T02:00", LORD_HOWE),
        at("2026-11-01T02:00", NEW_YORK),
        at("2027-03-14T03:00", NEW_YORK),
    ]
    moments = [noon + offset for offset in offsets]
    moments += [change + offset % 14_400 - 7_200 for change in changes for offset in offsets[:5]]
    for moment in moments:
        assert times.allows("s", moment) is oracle(week, special, moment, zone)


@pytest.mark.parametrize("zone", [SHANGHAI, NEW_YORK, LORD_HOWE], ids=str)
@given(
    start=st.integers(0, 300 * 1440), minutes=st.integers(1, 3 * 1440), probes=st.lists(st.integers(-1440, 4 * 1440), min_size=10)
)  # fmt: skip
def test_an_event_holds_for_the_wall_clock_minutes_it_covers(
    zone: ZoneInfo, start: int, minutes: int, probes: list[int]
) -> None:
    begin = datetime(2026, 9, 1, tzinfo=UTC) + timedelta(minutes=start)
    spec = calendar(
        event(f":{begin:%Y%m%dT%H%M%SZ}", f":{begin + timedelta(minutes=minutes):%Y%m%dT%H%M%SZ}")
    )
    times = Schedules.compile({"s": spec}, zone, TODAY)
    covered = {(begin + timedelta(minutes=n)).astimezone(zone).strftime("%F %R") for n in range(minutes)}
    for probe in probes:
        moment = begin + timedelta(minutes=probe)
        assert times.allows("s", moment.timestamp()) is (moment.astimezone(zone).strftime("%F %R") in covered)


# ------------------------------------------------------------------------------------------------ mistakes


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        ("Mon-Fri", "schedule.weekly"),
        ("", "schedule.weekly"),
        ("Mo 08:00-09:00", "schedule.weekday"),
        ("Mon-Tue-Wed 08:00-09:00", "schedule.weekday"),
        ("08:00-09:00", "schedule.weekly"),
        ("Mon,, Tue 08:00-09:00", "schedule.weekday"),
        ("Mon 8-9", "schedule.hours"),
        ("Mon 08:00", "schedule.hours"),
        ("Mon 25:00-26:00", "schedule.no_such_time"),
        ("Mon 24:00-06:00", "schedule.no_such_time"),
        ("Mon 08:60-09:00", "schedule.no_such_time"),
        ("Mon 08:00-24:01", "schedule.no_such_time"),
        ("Mon 08:00-08:00", "schedule.same_time"),
        ("Mon ٠٨:٠٠-٠٩:٠٠", "schedule.weekly"),
    ],
)
def test_a_bad_second_entry_is_told_at_its_place(entry: str, key: str) -> None:
    assert faults_of(ScheduleSpec(weekly=("Mon 08:00-09:00", entry))) == [(("weekly", 1), key)]


def test_every_mistake_of_every_schedule_is_told_in_one_run() -> None:
    specs = {
        "one": ScheduleSpec(weekly=("Mon 08:00-25:00", "Xxx 8:00-9:00")),
        "two": ScheduleSpec(
            special_days=(SpecialDays(days=("2026-02-30", "2026-3-1"), hours=("x",)), SpecialDays())
        ),
        "three": ScheduleSpec(),
    }
    with pytest.raises(ScheduleError) as caught:
        Schedules.compile(specs, SHANGHAI, TODAY)
    assert [(fault.path, fault.key) for fault in caught.value.faults] == [
        (("one", "weekly", 0), "schedule.no_such_time"),
        (("one", "weekly", 1), "schedule.weekday"),
        (("two", "special_days", 0, "hours", 0), "schedule.hours"),
        (("two", "special_days", 0, "days", 0), "schedule.date"),
        (("two", "special_days", 0, "days", 1), "schedule.date"),
        (("two", "special_days", 1), "schedule.no_days"),
        (("three",), "schedule.empty"),
    ]


@given(
    st.lists(
        st.text() | st.from_regex(r"[A-Z][a-z]{2}[-,][A-Z][a-z]{2} \d\d:\d\d-\d\d:\d\d"), max_size=3
    ).map(tuple),
    st.text(),
)
def test_any_words_compile_or_are_told(words: tuple[str, ...], day: str) -> None:
    spec = ScheduleSpec(weekly=words, special_days=(SpecialDays(days=(day,), hours=words),))
    found: list[Fault] = check(spec, SHANGHAI, TODAY, ("schedules", "s"))
    for fault in found:
        values: Mapping[str, str] = fault.values
        assert fault.path[:2] == ("schedules", "s")
        assert messages.t("en", fault.key, **values)
