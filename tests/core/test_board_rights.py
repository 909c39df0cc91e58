"""What a board that decides alone is given of a right: never more than the right, and what it can of it."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from menwei.boardfacts import DAY_AND_NIGHT, LAST_DAY, BoardCard, WeekHours
from menwei.boardrights import BoardRights
from menwei.model import FOREVER, AccessProfile, AccessRule, CredentialState
from menwei.schedules import Schedules, ScheduleSpec, SpecialDays
from menwei.snapshot import Delta, Snapshot
from menwei.testing import credential

ZONE = ZoneInfo("Asia/Shanghai")
SPECS = {
    "office": ScheduleSpec(weekly=("Mon-Fri 08:00-18:00",)),
    "weekend": ScheduleSpec(weekly=("Sat,Sun 09:00-24:00",)),
    "night": ScheduleSpec(weekly=("Fri 22:00-06:00",)),
    "midnight": ScheduleSpec(weekly=("Mon-Sun 23:59-01:00",)),
    "late": ScheduleSpec(weekly=("Mon-Sun 20:00-23:59",)),
    "holiday": ScheduleSpec(weekly=("Mon-Fri 08:00-18:00",), special_days=(SpecialDays(("2026-10-01",)),)),
}


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp()


def view(**profiles: list[tuple[str, str]]) -> Snapshot:
    """Profiles by name, each a list of (access point, schedule)."""
    made = {
        name: AccessProfile(
            name, tuple(AccessRule(frozenset({point}), schedule) for point, schedule in rules)
        )
        for name, rules in profiles.items()
    }
    snapshot = Snapshot()
    snapshot.apply(Delta(1, profiles=made))
    return snapshot


def rights(locks: dict[str, tuple[str, ...]] | None = None, **profiles: list[tuple[str, str]]) -> BoardRights:
    return BoardRights(locks or {"1": ("gate",)}, view(**profiles), SPECS, ZONE)


def given_now(
    now: str, valid_from: float = 0.0, valid_to: float = FOREVER, **changes: object
) -> BoardCard | None:
    made = credential(valid_from=valid_from, valid_to=valid_to, **changes)
    return rights(residents=[("gate", "always")]).holding(made, at(now)).card


def test_whoever_has_the_same_days_has_the_same_holding():
    """Working out days is what a look at a village's cards would take long for."""
    here = rights(residents=[("gate", "always")])
    one, two = (credential(valid_from=0.0, valid_to=at("2026-12-01 12:30")) for _ in range(2))
    other = credential(valid_from=0.0, valid_to=at("2026-12-02 12:30"))
    now = at("2026-11-22 10:00")
    assert here.holding(one, now) is here.holding(two, now)
    assert here.holding(other, now) != here.holding(one, now)
    assert here.holding(one, at("2026-12-01 10:00")) != here.holding(one, now)
    assert here.holding(one, now).text == here.holding(one, now).card.holding()


def test_a_right_without_end_is_held_until_the_last_day_there_is():
    card = given_now("2026-11-22 10:00", at("2026-11-01 00:00"))
    assert card == BoardCard("", date(2026, 11, 1), LAST_DAY, {"1": DAY_AND_NIGHT})


def test_a_lease_until_midnight_is_held_through_its_last_day():
    card = given_now("2026-11-22 10:00", at("2026-11-01 00:00"), at("2026-12-01 00:00"))
    assert (card.first_day, card.last_day) == (date(2026, 11, 1), date(2026, 11, 30))


def test_a_right_that_ended_is_not_held_nor_one_that_is_lost():
    assert given_now("2026-12-01 00:00", 0.0, at("2026-12-01 00:00")) is None
    assert given_now("2026-11-22 10:00", state=CredentialState.LOST) is None
    assert given_now("2026-11-22 10:00", state=CredentialState.ENDED) is None


def test_a_right_that_begins_later_is_held_ahead_with_its_first_day():
    assert given_now("2026-11-22 10:00", at("2026-11-25 00:00")).first_day == date(2026, 11, 25)


def test_an_end_at_noon_is_the_midnight_before_until_that_day_comes():
    made = credential(valid_from=0.0, valid_to=at("2026-11-25 12:00"))
    before = rights(residents=[("gate", "always")]).holding(made, at("2026-11-24 23:59"))
    assert before.card.last_day == date(2026, 11, 24)
    assert before.changes == at("2026-11-25 00:00")
    assert before.within_a_day


def test_on_that_day_it_is_given_the_hours_until_noon_and_no_more():
    made = credential(valid_from=0.0, valid_to=at("2026-11-25 12:00"))
    holding = rights(residents=[("gate", "always")]).holding(made, at("2026-11-25 00:00"))
    assert holding.card.last_day == date(2026, 11, 25)
    assert holding.card.doors["1"].days == ((), (), ((0, 720),), (), (), (), ())  # a Wednesday
    assert holding.changes == at("2026-11-25 12:00")


def test_a_beginning_at_noon_is_the_next_day_until_it_has_begun():
    made = credential(valid_from=at("2026-11-25 12:00"))
    before = rights(residents=[("gate", "always")]).holding(made, at("2026-11-25 11:00"))
    assert (before.card.first_day, before.changes) == (date(2026, 11, 26), at("2026-11-25 12:00"))
    after = rights(residents=[("gate", "always")]).holding(made, at("2026-11-25 12:00"))
    assert after.card.first_day == date(2026, 11, 25)


def test_a_visit_within_one_day_is_held_only_once_it_began():
    made = credential(valid_from=at("2026-11-25 10:00"), valid_to=at("2026-11-25 12:00"))
    seen = rights(residents=[("gate", "always")])
    assert seen.holding(made, at("2026-11-25 09:00")).card is None
    assert seen.holding(made, at("2026-11-25 10:00")).card.doors["1"].days[2] == ((0, 720),)


def test_hours_of_the_week_are_those_of_the_schedule_over_midnight_too():
    card = rights(residents=[("gate", "night")]).holding(credential(), at("2026-11-22 10:00")).card
    assert card.doors["1"].days == ((), (), (), (), ((1320, 1440),), ((0, 360),), ())


def test_two_rules_are_both_given():
    seen = rights(residents=[("gate", "office"), ("gate", "weekend")])
    days = seen.holding(credential(), at("2026-11-22 10:00")).card.doors["1"].days
    assert days == (((480, 1080),),) * 5 + (((540, 1440),),) * 2


def test_what_ends_at_23_59_ends_a_minute_sooner_because_boards_take_that_for_midnight():
    card = rights(residents=[("gate", "late")]).holding(credential(), at("2026-11-22 10:00")).card
    assert card.doors["1"].days == (((1200, 1438),),) * 7


def test_what_begins_at_23_59_begins_at_midnight():
    card = rights(residents=[("gate", "midnight")]).holding(credential(), at("2026-11-22 10:00")).card
    assert card.doors["1"].days == (((0, 60),),) * 7


def test_a_lock_with_two_sides_opens_in_the_hours_that_hold_at_both():
    both = {"1": ("in", "out")}
    seen = rights(both, residents=[("in", "office"), ("out", "always")])
    assert seen.holding(credential(), at("2026-11-22 10:00")).card.doors["1"].days[0] == ((480, 1080),)
    assert (
        rights(both, residents=[("out", "always")]).holding(credential(), at("2026-11-22 10:00")).card is None
    )


def test_special_days_give_nothing_and_are_named():
    seen = rights(residents=[("gate", "holiday")])
    assert seen.holding(credential(), at("2026-11-22 10:00")).card is None
    assert seen.special == {"holiday"}


def test_without_a_rule_there_nothing_is_held():
    assert rights(residents=[("cellar", "always")]).holding(credential(), at("2026-11-22 10:00")).card is None


MINUTE = st.integers(0, 60 * 24 * 40)


@given(
    begin=MINUTE,
    length=st.integers(1, 60 * 24 * 20),
    pushed=MINUTE,
    asked=MINUTE,
    name=st.sampled_from(sorted(SPECS)),
)
def test_a_board_never_admits_when_the_right_does_not(begin, length, pushed, asked, name):
    """Whatever was pushed at one moment, the board, left alone with it, opens at no later one at which the rules would
    not: the days and hours on the card are within the validity and within the schedule."""
    start = datetime(2026, 3, 2, tzinfo=ZONE)

    def moment(minutes: int) -> float:
        return (start + timedelta(minutes=minutes)).timestamp()

    seen = rights(residents=[("gate", name)])
    made = credential(valid_from=moment(begin), valid_to=moment(begin + length))
    card = seen.holding(made, moment(pushed)).card
    now = moment(max(pushed, asked))
    if card is None or not admits(card, now):
        return
    assert made.valid_from <= now < made.valid_to
    assert TIMES.allows(name, now)


TIMES = Schedules.compile(SPECS, ZONE, date(2026, 3, 20))


def admits(card: BoardCard, now: float) -> bool:
    """As a board does, on its own clock."""
    shown = datetime.fromtimestamp(now, ZONE)
    minute = shown.hour * 60 + shown.minute
    spans = card.doors["1"].days[shown.weekday()]
    return card.first_day <= shown.date() <= card.last_day and any(a <= minute < b for a, b in spans)


@given(st.lists(st.integers(0, (1 << 1440) - 1), min_size=7, max_size=7))
def test_minutes_become_spans_and_nothing_else(days):
    hours = WeekHours.of_minutes(tuple(days))
    back = [sum((1 << end) - (1 << begin) for begin, end in spans) for spans in hours.days]
    assert back == days


def test_a_card_does_not_show_its_number():
    assert "12345" not in repr(BoardCard("12345", date(2026, 1, 1), LAST_DAY, {}))
