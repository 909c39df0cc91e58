"""When a right ends, as data: never at night, never past a cohabitant's year, in every zone."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menwei_tenancy.terms import (
    Quiet,
    Role,
    Rules,
    begin_of,
    days_left,
    earlier,
    end_of,
    later,
    reminder_due,
    term_of,
    year_from,
)
from tenancy_house import SHANGHAI, at, wall

ZONES = [
    ZoneInfo(name)
    for name in (
        "Asia/Shanghai", "Europe/Berlin", "America/Sao_Paulo", "Africa/Cairo", "Asia/Beirut", "Australia/Lord_Howe",
        "America/Havana", "Pacific/Apia", "Asia/Gaza", "America/St_Johns", "UTC",
    )
]  # fmt: skip
"""Zones whose clocks jump at midnight, by half an hour, over a whole day, and one that never jumps."""

MOMENTS = st.integers(at("1987-01-01 00:00", ZoneInfo("UTC")), at("2037-12-31 00:00", ZoneInfo("UTC"))).map(
    float
)
DAYS = st.dates(date(1987, 1, 1), date(2036, 12, 31))
zones = st.sampled_from(ZONES)
RULES = Rules(SHANGHAI)


def awake(moment: float, zone: ZoneInfo) -> bool:
    """Outside 20:00–08:00, told independently of the code under test."""
    return 8 <= datetime.fromtimestamp(moment, zone).hour < 20


@given(MOMENTS, zones)
def test_a_right_never_ends_at_night(moment, zone):
    assert awake(later(moment, Rules(zone)), zone)
    assert awake(earlier(moment, Rules(zone)), zone)


@given(MOMENTS, zones)
def test_later_is_the_first_waking_moment_at_or_after(moment, zone):
    found = later(moment, Rules(zone))
    assert found >= moment
    between = range(int(moment) // 60 * 60 + 60, int(found), 60)
    assert not any(awake(minute, zone) for minute in between)
    assert found == moment or not awake(moment, zone)


@given(MOMENTS, zones)
def test_earlier_is_the_last_waking_minute_at_or_before(moment, zone):
    found = earlier(moment, Rules(zone))
    assert found <= moment
    assert not any(awake(minute, zone) for minute in range(int(found) + 60, int(moment) + 1, 60))


@given(DAYS, st.integers(0, 30), zones)
def test_a_lease_holds_through_its_last_day_and_the_grace_days_and_ends_within_a_day_after(
    last_day, grace, zone
):
    ends = end_of(last_day, Rules(zone, grace))
    through = last_day + timedelta(days=grace)
    for hour in range(24):
        moment = datetime.combine(through, time(hour, 59), tzinfo=zone).timestamp()
        if datetime.fromtimestamp(moment, zone).date() == through:
            assert moment < ends
    assert awake(ends, zone)
    assert ends <= datetime.combine(through + timedelta(days=3), time(), tzinfo=zone).timestamp()


@given(DAYS, zones)
def test_a_day_begins_with_its_first_moment(day, zone):
    begins = begin_of(day, zone)
    after = datetime.fromtimestamp(begins, zone).date()
    before = datetime.fromtimestamp(begins - 1, zone).date()
    assert before < day <= after
    assert after == day or (zone.key == "Pacific/Apia" and day == date(2011, 12, 30))


@given(MOMENTS, zones)
def test_a_cohabitants_year_is_never_longer_than_a_year(collected, zone):
    ends = year_from(collected, Rules(zone))
    then, until = (datetime.fromtimestamp(moment, zone).replace(tzinfo=None) for moment in (collected, ends))
    anniversary = then.replace(year=then.year + 1, day=28 if (then.month, then.day) == (2, 29) else then.day)
    assert until <= anniversary
    assert ends - collected <= 366 * 86_400 + 3600
    assert ends - collected > 364 * 86_400 - 86_400  # nor is it cut short by more than a night


@pytest.mark.parametrize(
    ("collected", "ends"),
    [
        ("2026-03-02 10:00", "2027-03-02 10:00"),
        ("2026-03-02 23:30", "2027-03-02 19:59"),  # earlier, not the next morning
        ("2026-03-02 06:00", "2027-03-01 19:59"),
        ("2028-02-29 12:00", "2029-02-28 12:00"),
        ("2027-03-01 20:00", "2028-03-01 19:59"),
    ],
)
def test_a_year_from_collection(collected, ends):
    assert wall(year_from(at(collected), RULES)) == ends


@pytest.mark.parametrize(
    ("last_day", "grace", "ends"),
    [
        (date(2026, 6, 30), 0, "2026-07-01 08:00"),
        (date(2026, 6, 30), 7, "2026-07-08 08:00"),
        (date(2028, 2, 28), 1, "2028-03-01 08:00"),
    ],
)
def test_a_lease_ends_in_the_morning_after_its_last_day_and_the_grace_days(last_day, grace, ends):
    assert wall(end_of(last_day, Rules(SHANGHAI, grace))) == ends


def test_where_clocks_jump_at_midnight_the_day_begins_when_they_jump():
    cairo = ZoneInfo("Africa/Cairo")
    assert wall(begin_of(date(2024, 4, 26), cairo), cairo) == "2024-04-26 01:00"


def test_quiet_hours_of_the_sites_own():
    rules = Rules(SHANGHAI, quiet=Quiet(time(1), time(5)))
    assert wall(later(at("2026-06-01 00:30"), rules)) == "2026-06-01 00:30"
    assert wall(later(at("2026-06-01 01:00"), rules)) == "2026-06-01 05:00"
    assert wall(earlier(at("2026-06-01 04:00"), rules)) == "2026-06-01 00:59"


NOW = at("2026-03-02 10:00")


def term(role, **facts):
    words = {"first_day": None, "last_day": None, "until": None, "collected": None, "now": NOW} | facts
    return term_of(
        role, words["first_day"], words["last_day"], words["until"], words["collected"], words["now"], RULES
    )


def test_a_cohabitant_who_was_not_collected_has_no_right():
    assert term(Role.COHABITANT, last_day=date(2030, 1, 1)) is None


def test_a_cohabitants_right_ends_with_the_lease_when_that_is_sooner():
    found = term(Role.COHABITANT, last_day=date(2026, 6, 30), collected=NOW)
    assert wall(found.ends) == "2026-07-01 08:00"


@given(st.sampled_from([role for role in Role if role is not Role.COHABITANT]))
def test_everybody_else_has_the_lease_and_no_year(role):
    assert wall(term(role, last_day=date(2030, 1, 1), collected=NOW).ends) == "2030-01-02 08:00"
    assert term(role).ends == float("inf")


def test_a_carers_own_last_day_is_theirs_alone():
    assert (
        wall(term(Role.CARER, last_day=date(2030, 1, 1), until=date(2026, 3, 31)).ends) == "2026-04-01 08:00"
    )


def test_a_lease_that_has_run_out_gives_nothing_and_one_to_come_begins_on_its_day():
    assert term(Role.LESSEE, last_day=date(2026, 2, 1)) is None
    assert wall(term(Role.LESSEE, first_day=date(2026, 4, 1)).begins) == "2026-04-01 00:00"


# ---------------------------------------------------------------------------------------------------------- reminders

ENDS = at("2026-06-30 12:00")
DAYS_BEFORE = (30, 7, 1)


def due(now, sent=None):
    return reminder_due(ENDS, at(now), SHANGHAI, DAYS_BEFORE, sent)


def test_reminders_come_thirty_seven_and_one_day_before():
    assert due("2026-05-30 23:59") is None
    assert due("2026-05-31 00:00") == 30
    assert due("2026-06-23 09:00", sent=30) == 7
    assert due("2026-06-29 00:01", sent=7) == 1


def test_each_is_sent_once_and_a_site_that_was_off_sends_only_the_nearest():
    assert due("2026-06-10 09:00", sent=30) is None
    assert due("2026-06-29 09:00") == 1
    assert due("2026-06-30 09:00", sent=1) is None


def test_nobody_is_reminded_of_what_is_over():
    assert due("2026-06-30 12:00") is None


@given(st.lists(MOMENTS, min_size=1, max_size=30), MOMENTS, zones)
def test_whatever_the_rounds_no_reminder_comes_twice(moments, ends, zone):
    sent, told = None, []
    for moment in sorted(moments):
        found = reminder_due(ends, moment, zone, DAYS_BEFORE, sent)
        if found is not None:
            sent = found
            told.append(found)
            assert days_left(ends, moment, zone) <= found
    assert told == sorted(set(told), reverse=True)
