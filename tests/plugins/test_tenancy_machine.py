"""Leases, roles, clocks and zones in any order: no path opens a door outside somebody's validity, and none shuts out
somebody inside it. Decided by the functions of the real line on the real store; what should hold is told by a model
that knows only the sentences of the rules."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule

from menwei import FOREVER, CredentialState, RightsError
from menwei_tenancy.terms import Role
from menwei_tenancy.words import TenancyError, Touch
from tenancy_house import TenancyHouse, at, card, tenancy_house

pytestmark = pytest.mark.slow

ZONES = [
    "Asia/Shanghai",
    "Europe/Berlin",
    "America/Sao_Paulo",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "Pacific/Apia",
]
GRACE = 3
DAY = 86_400.0
days = st.sampled_from([-400, -4, -1, 0, 1, 30, 364, 800])
own_days = st.sampled_from([None, None, -1, 0, 20, 400])
steps = st.sampled_from([1.0, 599.0, 601.0, 3600.0, 11 * 3600.0, DAY, 29 * DAY, 181 * DAY, 364 * DAY])


@dataclass
class Person:
    """What the rules say of one member, in the plainest words."""

    household: Home
    role: Role
    until: date | None
    collected: float | None = None
    left: bool = False
    cards: dict[str, Card] = field(default_factory=dict)


@dataclass
class Card:
    number: int
    issued: float
    state: str = "Enabled"


@dataclass
class Home:
    first: date | None
    last: date | None
    gone: bool = False
    endings: list[tuple[float, list[tuple[Person, dict[str, str]]]]] = field(default_factory=list)


class Model:
    """Who may pass at a moment; each sentence of the rules once, written anew."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone

    def local(self, moment: float) -> datetime:
        return datetime.fromtimestamp(moment, self.zone).replace(tzinfo=None)

    def may(self, person: Person, shown: Card, moment: float) -> bool:
        home = person.household
        if person.left or home.gone or shown.state != "Enabled" or moment < shown.issued:
            return False
        if home.first is not None and self.local(moment).date() < home.first:
            return False
        for last in (home.last, person.until):
            if last is not None and not self.within(last, moment):
                return False
        if person.role is Role.COHABITANT:
            return person.collected is not None and self.within_the_year(person.collected, moment)
        return True

    def within(self, last: date, moment: float) -> bool:
        """Through the grace days, and then until it is day: from eight, or as soon as clocks show it is past eight."""
        over = datetime.combine(last + timedelta(days=1 + GRACE), time())
        shown = self.local(moment)
        return shown < over or not self.woke_since(over, moment)

    def woke_since(self, over: datetime, moment: float) -> bool:
        """Whether there was a waking minute from `over` on, up to this moment. Every ten minutes is enough to find one."""
        minute = moment // 60 * 60
        while self.local(minute) >= over:
            if 8 <= self.local(minute).hour < 20:
                return True
            minute -= 600
        return False

    def within_the_year(self, collected: float, moment: float) -> bool:
        """Until a year after; were that at night, until the evening before it."""
        then = self.local(collected)
        year = then.replace(year=then.year + 1, day=28 if (then.month, then.day) == (2, 29) else then.day)
        end = year.replace(tzinfo=self.zone).timestamp()
        end = min(end, year.replace(tzinfo=self.zone, fold=1).timestamp())
        minute = end // 60 * 60
        while not 8 <= self.local(minute).hour < 20:
            minute -= 60
        return moment < minute


class Tenancies(RuleBasedStateMachine):
    homes: Bundle[tuple[int, Home]] = Bundle("homes")
    people: Bundle[tuple[int, Person]] = Bundle("people")

    @initialize(
        target=homes,
        length=st.sampled_from([1, 90, 500]),
        zone=st.sampled_from(ZONES),
        start=st.integers(at("2010-06-01 00:00"), at("2030-01-01 00:00")),
    )
    def begin(self, zone, start, length):
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.zone = ZoneInfo(zone)
        self.model = Model(self.zone)
        self.everybody: list[Person] = []
        self.everybody_with_number: list[tuple[int, Person]] = []
        self.serial = 0
        self.opened = tenancy_house(
            Path(self.folder.name), zone=self.zone, time=float(start), grace_days=GRACE
        )
        self.house: TenancyHouse = self.wait(self.opened.__aenter__())
        self.flat = self.wait(self.house.places())
        home = self.move_in(None, length)
        self.settle(home, Role.LESSEE, None)
        self.settle(home, Role.COHABITANT, None)
        return home

    def wait(self, work):
        return self.loop.run_until_complete(work)

    def do(self, *call, **more):
        return self.wait(self.house.do(*call, **more))

    def day(self, offset):
        return None if offset is None else self.model.local(self.house.time).date() + timedelta(days=offset)

    # ------------------------------------------------------------------------------------------------- what happens

    @rule(
        target=homes,
        first=st.sampled_from([None, -30, 1, 40]),
        length=st.sampled_from([None, 0, 29, 400, 900]),
    )
    def somebody_moves_in(self, first, length):
        home = self.move_in(first, length)
        self.settle(home, Role.CO_APPLICANT, None)
        return home

    def move_in(self, first, length):
        begins = self.day(first)
        last = None if length is None else (begins or self.day(0)) + timedelta(days=length)
        return self.do("households", "move_in", self.flat, begins, last), Home(begins, last)

    @rule(target=people, home=homes, role=st.sampled_from(Role), until=own_days)
    def somebody_joins(self, home, role, until):
        person = self.settle(home, role, until)
        return multiple() if person is None else person

    @rule(target=people, home=homes)
    def known(self, home):
        """Anybody who lives there, for the rules below."""
        return multiple(*[pair for pair in self.everybody_with_number if pair[1].household is home[1]])

    def settle(self, home, role, until):
        """A new member, with a card straight away (a cohabitant: collected)."""
        number, facts = home
        if facts.gone:
            return None
        last = self.day(until)
        member = self.do("households", "add_member", number, role, name="林", until=last)
        person = Person(facts, role, last)
        self.everybody.append(person)
        self.everybody_with_number.append((member, person))
        (self.collect if role is Role.COHABITANT else self.give)((member, person))
        return member, person

    @rule(person=people)
    def one_more_card(self, person):
        self.give(person)

    @rule(person=people)
    def collected_with_another_card(self, person):
        self.collect(person)

    def give(self, person):
        member, facts = person
        self.new_card(facts, lambda shown: self.do("passes", "give", member, shown))

    def collect(self, person):
        member, facts = person
        before, facts.collected = facts.collected, self.house.time
        touch = self.house.time

        def call(shown):
            return self.do("passes", "collect", member, "2026-1", Touch(shown, touch))

        if not self.new_card(facts, call):
            facts.collected = before

    def new_card(self, facts, give):
        self.serial += 1
        value = f"{0x10000000 + self.serial:08X}"
        try:
            number = give(card(value))
        except TenancyError:
            return False
        facts.cards[value] = Card(number, self.house.time)
        return True

    @rule(person=people)
    def collect_again_with_the_same_card(self, person):
        member, facts = person
        value = next((value for value, one in facts.cards.items() if one.state == "Enabled"), None)
        if value is None:
            return
        touch = Touch(card(value), self.house.time)
        try:
            self.do("passes", "collect", member, "2026-1", touch)
        except TenancyError:
            return
        facts.collected = self.house.time

    @rule(home=homes, last=st.one_of(st.none(), days))
    def extend(self, home, last):
        number, facts = home
        try:
            self.do("households", "extend", number, self.day(last))
        except TenancyError:
            return
        facts.last = self.day(last)

    @rule(person=people, role=st.sampled_from(Role), until=own_days)
    def become(self, person, role, until):
        member, facts = person
        last = self.day(until)
        try:
            self.do("households", "set_member", member, role, last)
        except TenancyError:
            return
        facts.role, facts.until = role, last

    @rule(home=homes)
    def check_out(self, home):
        number, facts = home
        try:
            self.do("households", "check_out", number)
        except TenancyError:
            assert facts.gone
            return
        left = [
            (one, {v: c.state for v, c in one.cards.items()})
            for one in self.everybody
            if one.household is facts and not one.left
        ]
        for one, _ in left:
            self.leave(one)
        facts.gone = True
        self.ended(facts, left)

    @rule(person=people)
    def one_leaves(self, person):
        member, facts = person
        try:
            self.do("households", "leave", member)
        except TenancyError:
            return
        states = {value: one.state for value, one in facts.cards.items()}
        self.leave(facts)
        self.ended(facts.household, [(facts, states)])

    def ended(self, home, left):
        home.endings.append((self.house.time, left))
        self.house.time += 0.001  # no two things happen in one moment

    def leave(self, person):
        person.left = True
        for one in person.cards.values():
            one.state = "Ended"

    @rule(home=homes)
    def undo(self, home):
        number, facts = home
        possible = bool(facts.endings) and self.house.time < facts.endings[-1][0] + 600
        try:
            self.do("households", "undo", number)
        except TenancyError:
            assert not possible
            return
        assert possible
        for person, states in facts.endings.pop()[1]:
            person.left = False
            for value, state in states.items():
                person.cards[value].state = state
        facts.gone = False

    @rule(person=people, what=st.sampled_from(["report_lost", "restore", "end"]))
    def turn(self, person, what):
        _, facts = person
        if not facts.cards:
            return
        one = next(iter(facts.cards.values()))
        try:
            self.do("passes", what, one.number)
        except TenancyError:
            return
        one.state = {"report_lost": "Lost", "restore": "Enabled", "end": "Ended"}[what]

    @rule(person=people, longer=st.sampled_from([1.0, 400 * DAY, float("inf")]))
    def somebody_moves_the_date_of_a_cohabitant(self, person, longer):
        _, facts = person
        if facts.role is not Role.COHABITANT or facts.collected is None or not facts.cards:
            return
        one = next(iter(facts.cards.values()))
        held = self.house.rights.snapshot.credential(one.number)
        year = self.wait(self.latest(facts.collected))
        try:
            self.wait(
                self.house.people.set_validity(
                    one.number, held.valid_from, year + longer, actor=self.house.ACTOR
                )
            )
        except RightsError:
            return
        raise AssertionError("the date alone was moved past the year")

    async def latest(self, collected):
        from menwei_tenancy.terms import year_from

        return year_from(collected, self.house.tenancy.rules)

    @rule(step=steps)
    def time_passes(self, step):
        self.house.time += step

    @rule()
    def upkeep(self):
        self.wait(self.house.tenancy.upkeep())

    # ------------------------------------------------------------------------------------------------- what must hold

    @invariant()
    def doors_open_for_exactly_those_who_may(self):
        now = self.house.clock.now()
        for person in self.everybody:
            for value, one in person.cards.items():
                held = self.house.rights.snapshot.credential(one.number)
                edges = (held.valid_from - 1, held.valid_from, held.valid_to - 1, held.valid_to)
                later = (now, now + 9 * 3600, now + 30 * DAY, now + 366 * DAY)
                for moment in {*later, *(edge for edge in edges if now <= edge < FOREVER)}:
                    opens = self.house.opens(card(value), moment)
                    assert opens == self.model.may(person, one, moment), (
                        person.role,
                        self.model.local(moment),
                    )

    @invariant()
    def what_a_restart_would_load_is_what_the_doors_have(self):
        assert all(
            held.state in CredentialState for held in self.house.rights.snapshot
        )  # complete facts, no half-written ones

    def teardown(self):
        if hasattr(self, "house"):
            self.wait(self.opened.__aexit__(None, None, None))
            self.folder.cleanup()
            self.loop.close()


TestTenancies = Tenancies.TestCase
TestTenancies.settings = settings(
    max_examples=10, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
