"""The rules, each through the same panel as a real door."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from pydantic import ValidationError

from menwei import DoorMode, DoorState, Fact, Reason
from menwei.testing import checks, context, credential, passage, refusals
from menwei_rules.book import PENDING, RuleBook
from menwei_rules.book import Options as BookOptions
from menwei_rules.clone import Clone
from menwei_rules.firstcard import FirstCard
from menwei_rules.interlock import Interlock
from menwei_rules.passback import Passback
from menwei_rules.twoperson import TwoPersons
from tenancy_house import SHANGHAI, at

NOON = at("2026-03-02 12:00")
LIN, WANG = credential(id=1, holder=10), credential(id=2, holder=20)


@dataclass
class World:
    """In place of the house: facts are kept in a list, doors are what a test says."""

    zone: ZoneInfo = SHANGHAI
    told: list[Fact] = field(default_factory=list)
    sealed: list[dict[str, int]] = field(default_factory=list)
    doors: dict[str, SimpleNamespace] = field(default_factory=dict)
    now: float = NOON

    def __post_init__(self):
        made = context("rules", granted={"facts": self})
        self.clock = SimpleNamespace(now=lambda: self.now, monotonic=lambda: 0.0)
        self.context = replace(made, view=self, find_service=lambda _cls: self.book, clock=self.clock)
        self.book = RuleBook(self.context, BookOptions())

    def door(self, name):
        return self.doors[name]

    def publish(self, kind, *, door="", access_point="", data=None, personal=None):
        self.told.append(
            Fact(str(len(self.told)), f"menwei_rules.{kind}", self.now, door, access_point, data)
        )
        self.sealed.append(personal or {})

    async def read(self, kinds, *, since=None, until=None, limit=500, newest_first=False):
        return [fact for fact in self.told if fact.kind in kinds and fact.at >= since]

    def make(self, cls, **options):
        return cls(self.context, cls.Config(**options))

    def kinds(self):
        return [fact.kind.partition(".")[2] for fact in self.told]


@pytest.fixture
def world():
    return World()


def into(who=LIN, when=0.0, point="gate-in", door="gate", **more):
    return passage(
        credential=who, at=NOON + when, access_point=point, door=door, area_from="", area_to="yard", **more
    )


def out(who=LIN, when=0.0, point="gate-out"):
    return passage(
        credential=who, at=NOON + when, access_point=point, door="gate", area_from="yard", area_to=""
    )


async def goes(policy, asked):
    """Asks and, when let through, goes."""
    found = await refusals(policy, asked)
    if not found:
        await policy.taken(asked)
    return found


# ----------------------------------------------------------------------------------------------------- anti-passback


async def test_who_is_inside_does_not_come_in_again_until_they_left(world):
    policy = world.make(Passback, areas=["yard"])
    assert await goes(policy, into()) == []
    assert await goes(policy, into(when=60)) == ["rules.inside_already"]
    assert await goes(policy, into(WANG, 61)) == []
    assert await goes(policy, out(when=62)) == []
    assert await goes(policy, into(when=63)) == []


async def test_the_refusal_is_the_standards_and_told_with_who_it_was_sealed(world):
    policy = world.make(Passback, areas=["yard"])
    await goes(policy, into())
    (check,) = await checks(policy, into(when=60))
    assert check.reason is Reason.ANTIPASSBACK_VIOLATED
    assert world.kinds() == ["PassbackViolated"]
    assert "10" not in str(world.told[0].data)
    assert world.sealed[0] == {"holder": 10, "credential": 1}


async def test_a_second_card_of_the_same_person_is_the_same_person(world):
    policy = world.make(Passback, areas=["yard"])
    await goes(policy, into())
    assert await goes(policy, into(credential(id=9, holder=10), 60)) == ["rules.inside_already"]


async def test_soft_lets_in_and_tells(world):
    policy = world.make(Passback, areas=["yard"], mode="soft")
    await goes(policy, into())
    assert await goes(policy, into(when=60)) == []
    assert world.kinds() == ["PassbackViolated"]


async def test_timed_refuses_for_the_period_only(world):
    policy = world.make(Passback, areas=["yard"], mode="timed", period="5m")
    await goes(policy, into())
    assert await goes(policy, into(when=299)) == ["rules.too_soon"]
    assert await goes(policy, into(when=300)) == []


async def test_a_day_later_nobody_is_held_to_be_inside_still(world):
    policy = world.make(Passback, areas=["yard"], forget="12h")
    await goes(policy, into())
    assert await goes(policy, into(when=12 * 3600 - 1)) == ["rules.inside_already"]
    assert await goes(policy, into(when=12 * 3600)) == []


async def test_leaving_is_never_refused_and_told_when_nobody_came_in(world):
    policy = world.make(Passback, areas=["yard"])
    assert await goes(policy, out()) == []
    assert world.kinds() == ["PassbackViolated"]


async def test_who_was_let_in_and_did_not_go_can_try_again_there_but_not_at_another_door(world):
    policy = world.make(Passback, areas=["yard"])
    assert await refusals(policy, into()) == []
    assert await refusals(policy, into(when=3)) == []
    assert await refusals(policy, into(when=4, point="back-in", door="back")) == ["rules.inside_already"]
    assert await refusals(policy, into(when=3 + PENDING, point="back-in", door="back")) == []


async def test_doors_elsewhere_and_within_the_area_are_not_concerned(world):
    policy = world.make(Passback, areas=["yard"])
    await goes(policy, into())
    elsewhere = replace(into(when=60), area_to="garage")
    inside = replace(into(when=61), area_from="yard", area_to="yard")
    assert await goes(policy, elsewhere) == []
    assert await goes(policy, inside) == []
    assert world.told == []


async def test_explaining_remembers_and_tells_nothing(world):
    policy = world.make(Passback, areas=["yard"])
    assert await refusals(policy, into(dry_run=True)) == []
    assert await refusals(policy, into(when=1, point="back-in", door="back")) == []
    await policy.taken(into(when=1))
    world.now += 60
    assert await refusals(policy, into(when=60, dry_run=True)) == ["rules.passback_refuses"]
    assert world.told == []


@pytest.mark.parametrize("mode", ["hard", "timed"])
async def test_an_explanation_names_the_rule_and_nothing_of_where_the_person_is_or_since_when(world, mode):
    policy = world.make(Passback, areas=["yard"], mode=mode)
    await goes(policy, into())
    world.now += 60
    (check,) = await checks(policy, into(when=60, dry_run=True))
    assert (check.reason, check.detail) == (Reason.ANTIPASSBACK_VIOLATED, "")
    assert check.says == "rules.passback_refuses"


@pytest.mark.parametrize("when", [-3600, 299, 12 * 3600 - 1])
async def test_asking_about_one_moment_after_the_other_does_not_tell_when_somebody_came_in(world, when):
    policy = world.make(Passback, areas=["yard"], mode="timed", period="5m")
    await goes(policy, into())
    assert await refusals(policy, into(when=when, dry_run=True)) == []


async def test_a_guard_forgives(world):
    policy = world.make(Passback, areas=["yard"])
    await goes(policy, into())
    world.book.areas.forgive(10)
    assert await goes(policy, into(when=60)) == []


async def test_an_adoption_makes_the_policy_anew_and_nobody_is_forgotten(world):
    await goes(world.make(Passback, areas=["yard"]), into())
    assert await goes(world.make(Passback, areas=["yard"]), into(when=60)) == ["rules.inside_already"]


class Fence(RuleBasedStateMachine):
    """Whoever is inside is not let in, whoever is outside is, whatever the order."""

    @initialize()
    def begin(self):
        self.world = World()
        self.policy = self.world.make(Passback, areas=["yard"], forget="12h")
        self.loop = asyncio.new_event_loop()
        self.inside: dict[int, float] = {}
        self.time = 0.0

    @rule(who=st.sampled_from([LIN, WANG]), after=st.sampled_from([11.0, 3600.0, 12 * 3600.0]))
    def comes(self, who, after):
        self.time += after
        refused = self.loop.run_until_complete(goes(self.policy, into(who, self.time)))
        since = self.inside.get(who.holder)
        assert bool(refused) == (since is not None and self.time - since < 12 * 3600)
        if not refused:
            self.inside[who.holder] = self.time

    @rule(who=st.sampled_from([LIN, WANG]), after=st.sampled_from([11.0, 3600.0]))
    def leaves(self, who, after):
        self.time += after
        assert self.loop.run_until_complete(goes(self.policy, out(who, self.time))) == []
        self.inside.pop(who.holder, None)

    def teardown(self):
        if hasattr(self, "loop"):
            self.loop.close()


TestFence = Fence.TestCase
TestFence.settings = settings(max_examples=20, stateful_step_count=25, deadline=None)


# --------------------------------------------------------------------------------------------------------- interlock


def door(state=DoorState.CLOSED, mode=DoorMode.LOCKED):
    return SimpleNamespace(state=state, mode=mode)


LOBBY = {"doors": ["gate", "inner"]}


@pytest.mark.parametrize(
    ("other", "lets"),
    [
        (door(), True),
        (door(DoorState.OPEN), False),
        (door(DoorState.FAULT), False),
        (door(DoorState.UNKNOWN), False),
        (door(mode=DoorMode.ACCESSED), False),
        (door(mode=DoorMode.UNLOCKED), False),
        (door(mode=DoorMode.LOCKED_OPEN), False),
    ],
)
async def test_a_door_opens_only_while_the_other_is_closed(world, other, lets):
    world.doors = {"gate": door(), "inner": other}
    assert (await refusals(world.make(Interlock, **LOBBY), into()) == []) is lets


async def test_a_door_that_cannot_tell_may_be_taken_for_closed(world):
    world.doors = {"gate": door(), "inner": door(DoorState.UNKNOWN)}
    assert await refusals(world.make(Interlock, **LOBBY, unknown_is_closed=True), into()) == []


async def test_two_doors_asked_in_the_same_moment_are_not_both_opened(world):
    world.doors = {"gate": door(), "inner": door()}
    policy = world.make(Interlock, **LOBBY)
    assert await refusals(policy, into()) == []
    assert await refusals(policy, into(WANG, 0.1, "inner-in", "inner")) == ["rules.interlocked"]
    assert await refusals(policy, into(WANG, 1.5, "inner-in", "inner")) == []


async def test_a_door_the_site_does_not_have_is_a_denial_and_not_an_opening(world):
    world.doors = {"gate": door()}
    assert await refusals(world.make(Interlock, **LOBBY), into()) == ["door.policy_failed"]


# ------------------------------------------------------------------------------------------------------- two persons


async def test_it_takes_two_people_within_the_time(world):
    policy = world.make(TwoPersons, within="15s")
    assert await refusals(policy, into()) == ["rules.second_person"]
    assert await refusals(policy, into(when=5)) == ["rules.second_person"]
    assert await refusals(policy, into(WANG, 20)) == []
    assert await refusals(policy, into(WANG, 21)) == ["rules.second_person"]


async def test_too_late_the_second_is_the_first(world):
    policy = world.make(TwoPersons, within="15s")
    await refusals(policy, into())
    assert await refusals(policy, into(WANG, 16)) == ["rules.second_person"]
    assert await refusals(policy, into(when=20)) == []


async def test_one_person_with_two_cards_is_one_and_two_doors_are_two(world):
    policy = world.make(TwoPersons)
    await refusals(policy, into())
    assert await refusals(policy, into(credential(id=9, holder=10), 1)) == ["rules.second_person"]
    assert await refusals(policy, into(WANG, 2, "back-in", "back")) == ["rules.second_person"]


# --------------------------------------------------------------------------------------------------------- first card

STAFF = credential(id=3, holder=30, profiles=("staff",))


@pytest.fixture
async def first(world):
    await world.book.run()
    return world.make(FirstCard, profiles=["staff"])


async def test_nobody_passes_before_the_first_card_and_everybody_after_it_that_day(world, first):
    assert await goes(first, into()) == ["rules.first_card"]
    assert await goes(first, into(STAFF, 1)) == []
    assert await goes(first, into(when=2)) == []
    assert await goes(first, into(when=12 * 3600 - 1)) == []
    assert await goes(first, into(when=12 * 3600)) == ["rules.first_card"]


async def test_granted_but_not_gone_through_does_not_open_the_day(world, first):
    assert await refusals(first, into(STAFF)) == []
    assert await refusals(first, into(when=1)) == ["rules.first_card"]


async def test_each_door_by_itself_unless_they_share_a_group(world, first):
    await goes(first, into(STAFF))
    assert await goes(first, into(when=1, point="back-in", door="back")) == ["rules.first_card"]
    shared = world.make(FirstCard, profiles=["staff"], group="hall")
    await goes(shared, into(STAFF))
    assert await goes(shared, into(when=1, point="back-in", door="back")) == []


async def test_a_restart_does_not_shut_the_people_out_again(world, first):
    await goes(first, into(STAFF))
    await goes(first, into(STAFF, 5))
    assert world.kinds() == ["FirstCard"]
    assert world.sealed == [{}]  # nobody's name
    world.now += 60
    world.book = RuleBook(world.context, BookOptions())
    await world.book.run()
    assert await goes(world.make(FirstCard, profiles=["staff"]), into(when=60)) == []


async def test_before_the_journal_was_read_the_passage_is_denied(world):
    policy = world.make(FirstCard, profiles=["staff"])
    assert await refusals(policy, into()) == ["door.policy_failed"]


# -------------------------------------------------------------------------------------------------------- clone alarm

FAR = {"distances": {"gate": {"back": 700.0}}, "speed": 7.0}


async def test_the_same_card_at_two_distant_doors_in_impossible_time_is_an_alarm(world):
    policy = world.make(Clone, **FAR)
    assert await refusals(policy, into()) == []
    assert await refusals(policy, into(when=99, point="back-in", door="back")) == []  # told, not shut out
    (fact,) = world.told
    assert (fact.kind, fact.door) == ("menwei_rules.CloneSuspected", "back")
    assert fact.data == {"other_door": "gate", "metres": 700.0, "seconds": 99.0, "refused": False}
    assert world.sealed == [{"holder": 10, "credential": 1}]


@pytest.mark.parametrize(
    ("who", "when", "where"), [(LIN, 100, "back"), (WANG, 5, "back"), (LIN, 5, "gate"), (LIN, 5, "unit-9")]
)
async def test_walking_other_people_the_same_door_and_a_near_door_are_none(world, who, when, where):
    policy = world.make(Clone, **FAR)
    await refusals(policy, into())
    await refusals(policy, into(who, when, f"{where}-in", where))
    assert world.told == []


async def test_a_site_may_refuse_it(world):
    policy = world.make(Clone, **FAR, refuse=True)
    await refusals(policy, into())
    assert await refusals(policy, into(when=5, point="back-in", door="back")) == ["rules.clone"]


async def test_the_last_door_is_forgotten_when_the_longest_way_has_passed():
    world = World()
    policy = world.make(Clone, distances={"gate": {"back": 0.35}}, speed=7.0)  # 50 ms
    await refusals(policy, into())
    assert policy.remembered == 1
    async with asyncio.timeout(60):
        while policy.remembered:
            await asyncio.sleep(0.01)


async def test_explaining_leaves_no_trace(world):
    policy = world.make(Clone, **FAR)
    await refusals(policy, into(dry_run=True))
    assert policy.remembered == 0
    await refusals(policy, into())
    await refusals(policy, into(when=5, point="back-in", door="back", dry_run=True))
    assert world.told == []


async def test_an_explanation_does_not_say_where_the_card_was_or_how_long_ago(world):
    policy = world.make(Clone, **FAR, refuse=True)
    await refusals(policy, into())
    world.now += 5
    (check,) = await checks(policy, into(when=5, point="back-in", door="back", dry_run=True))
    assert (check.says, check.detail) == ("rules.clone_refuses", "")
    assert await refusals(policy, into(when=90, point="back-in", door="back", dry_run=True)) == []


@pytest.mark.parametrize(
    "distances",
    [{}, {"gate": {"gate": 5.0}}, {"gate": {"back": 5.0}, "back": {"gate": 6.0}}, {"gate": {"back": -1.0}}],
)
def test_a_table_of_distances_that_cannot_be_is_refused(distances):
    with pytest.raises(ValidationError):
        Clone.Config(distances=distances)


# ------------------------------------------------------------------------------------------------------------- words


async def test_every_refusal_has_words_in_both_languages_long_and_short():
    from pathlib import Path

    import menwei_rules
    from menwei.messages import Messages

    words = Messages(strict=True)
    words.add("menwei_rules")
    source = "".join(path.read_text("utf-8") for path in Path(menwei_rules.__file__).parent.glob("*.py"))
    import re

    keys = set(re.findall(r'"(rules\.[a-z_]+)"', source))
    assert len(keys) == 8
    for key in keys:
        for language in ("zh-CN", "en"):
            assert words.says(language, key)
            assert len(words.says(language, key, short=True)) <= 40
