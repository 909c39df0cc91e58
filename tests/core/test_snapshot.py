"""The rights in memory: always what a fresh load would be, and small."""

import asyncio
import shutil
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from menwei.model import FOREVER, Credential, CredentialState, IdentifierType
from menwei.rights import (
    EndHolder,
    PutProfile,
    RemoveHolder,
    RemoveIdentifier,
    RemoveProfile,
    RightsError,
    SetPin,
    SetProfiles,
    SetState,
    SetValidity,
)
from menwei.snapshot import Delta, DigestIndex, ProfileDefinedTwice, Snapshot, factor_bit, factors_of
from rights_support import DESK, KEYS, RESIDENTS, credential, holder, identifier, opened, profile

HOLDERS = st.integers(1, 4)
CREDENTIALS = st.integers(11, 16)
CARDS = st.sampled_from(["04A1", "04B2", "04C3"])
PROFILES = st.sampled_from(["residents", "guards", "couriers"])
POINTS = st.sampled_from(["gate", "unit", "flat"])
RULES = st.lists(st.tuples(st.sets(POINTS), st.sampled_from(["always", "days"])), max_size=3)
CHANGES = st.one_of(
    st.builds(lambda number, extended: holder(number, extended=extended), HOLDERS, st.booleans()),
    st.builds(EndHolder, HOLDERS),
    st.builds(RemoveHolder, HOLDERS),
    st.builds(
        lambda number, owner, state, first, length, profiles: credential(
            number, owner, state=state, valid_from=first, valid_to=first + length, profiles=tuple(profiles)
        ),
        CREDENTIALS, HOLDERS, st.sampled_from(CredentialState), st.floats(0, 9), st.sampled_from([1.0, 5.0, FOREVER]),
        st.lists(PROFILES, max_size=3),
    ),
    st.builds(SetState, CREDENTIALS, st.sampled_from(CredentialState)),
    st.builds(SetValidity, CREDENTIALS, st.floats(0, 9), st.sampled_from([5.0, 10.0, FOREVER])),
    st.builds(lambda number, some: SetProfiles(number, tuple(some)), CREDENTIALS, st.lists(PROFILES, max_size=3)),
    st.builds(identifier, CREDENTIALS, CARDS, st.sampled_from(["uid", "decimal"])),
    st.builds(lambda value: RemoveIdentifier(identifier(0, value).digest), CARDS),
    st.builds(SetPin, CREDENTIALS, st.sampled_from([b"", b"p" * 16]), st.sampled_from([b"", b"d" * 16])),
    st.builds(lambda name, rules: PutProfile(profile(name, *rules)), PROFILES, RULES),
    st.builds(RemoveProfile, PROFILES),
)  # fmt: skip


async def make_house(folder):
    """Three people with a card each, so that most changes meet something."""
    async with opened(folder) as house:
        await house.apply(PutProfile(RESIDENTS))
        for number, value in ((1, "04A1"), (2, "04B2"), (3, "04C3")):
            await house.apply(
                holder(number),
                credential(number + 10, number, profiles=("residents",)),
                identifier(number + 10, value),
            )


class InStep(RuleBasedStateMachine):
    """After any sequence of applied, refused and rolled back changes, the snapshot is what a restart would load."""

    migrated = b""
    """The store to begin with, made once: migrating takes longer than everything else here."""

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp())
        if not self.migrated:
            self.runner.run(make_house(self.folder))
            type(self).migrated = (self.folder / "store.db").read_bytes()
        (self.folder / "store.db").write_bytes(self.migrated)
        self.context = opened(self.folder)
        self.house = self.runner.run(self.context.__aenter__())

    def teardown(self):
        self.runner.run(self.context.__aexit__(None, None, None))
        self.runner.close()
        shutil.rmtree(self.folder)

    async def _transaction(self, batches, end):
        class GivenUp(Exception):
            pass

        try:
            async with self.house.store.transaction() as tx:
                for batch in batches:
                    try:
                        await self.house.rights.apply(tx, batch, actor=DESK)
                    except RightsError:
                        if end == "refused":
                            raise
                if end == "given up":
                    raise GivenUp
        except (RightsError, GivenUp):
            return

    @rule(changes=st.lists(CHANGES, min_size=1, max_size=6))
    def apply(self, changes):
        self.runner.run(self._transaction([changes], "refused"))

    @rule(batches=st.lists(st.lists(CHANGES, max_size=4), min_size=1, max_size=3),
          end=st.sampled_from(["committed", "refused", "given up"]))  # fmt: skip
    def several_in_one_transaction(self, batches, end):
        self.runner.run(self._transaction(batches, end))

    @rule(change=CHANGES)
    def twice(self, change):
        self.runner.run(self._transaction([[change]], "refused"))
        before = list(self.house.snapshot)
        self.runner.run(self._transaction([[change]], "refused"))
        assert sorted(before, key=id_of) == sorted(self.house.snapshot, key=id_of)

    @invariant()
    def the_snapshot_is_a_fresh_load(self):
        assert self.house.snapshot == self.runner.run(self.house.fresh())


def id_of(one):
    return one.id


TestInStep = InStep.TestCase
TestInStep.settings = settings(max_examples=15, stateful_step_count=8, deadline=None)
TestInStep.pytestmark = [pytest.mark.slow]


def fact(number, owner=1, **changes):
    facts = {
        "state": CredentialState.ENABLED, "valid_from": 0.0, "valid_to": FOREVER, "profiles": ("residents",),
        "factors": factors_of(factor_bit("Card")),
    }  # fmt: skip
    return Credential(number, owner, **(facts | changes))


def test_a_persons_credentials_are_together_in_order():
    snapshot = Snapshot()
    snapshot.apply(Delta(1, {number: fact(number) for number in (3, 1, 2)} | {9: fact(9, owner=2)}))
    assert [one.id for one in snapshot.of_holder(1)] == [1, 2, 3]
    assert [one.id for one in snapshot.of_holder(2)] == [9]
    assert snapshot.of_holder(3) == ()


def test_the_gallery_of_an_access_point_is_everybody_with_a_rule_there_but_the_ended():
    snapshot = Snapshot()
    snapshot.set_config_profiles(
        [profile("residents", ({"gate"}, "night")), profile("staff", ({"back"}, "always"))]
    )
    people = {
        1: fact(1),
        2: fact(2, profiles=("staff",)),
        3: fact(3, state=CredentialState.ENDED),
        4: fact(4, state=CredentialState.LOST, profiles=("staff", "residents")),
        5: fact(5, profiles=()),
    }
    snapshot.apply(Delta(1, people))
    assert sorted(one.id for one in snapshot.holders_at("gate")) == [1, 4]
    assert sorted(one.id for one in snapshot.holders_at("back")) == [2, 4]
    assert list(snapshot.holders_at("roof")) == []


def test_profiles_of_the_config_are_replaced_together():
    snapshot = Snapshot()
    snapshot.set_config_profiles([profile("residents", ({"gate"}, "always"))])
    snapshot.set_config_profiles([profile("guards", ({"gate"}, "days"))])
    assert snapshot.profile("residents") is None
    assert snapshot.rules_for("residents", "gate") == ()
    assert snapshot.rules_for("guards", "gate") == ("days",)


def test_a_profile_defined_twice_is_an_error_and_nothing_changes():
    snapshot = Snapshot()
    snapshot.apply(Delta(1, profiles={"couriers": profile("couriers", ({"gate"}, "days"))}))
    snapshot.set_config_profiles([profile("guards", ({"gate"}, "days"))])
    guards = profile("guards", ({"gate"}, "never"))
    for wrong in ([guards, guards], [guards, profile("couriers", ({"gate"}, "always"))]):
        with pytest.raises(ProfileDefinedTwice):
            snapshot.set_config_profiles(wrong)
    assert snapshot.rules_for("guards", "gate") == ("days",)
    assert snapshot.rules_for("couriers", "gate") == ("days",)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["put", "remove"]), st.binary(min_size=15, max_size=15), st.integers(0, 2**53)
        )
    )
)
def test_the_packed_index_is_a_dictionary(steps):
    index, expected = DigestIndex(), {}
    for step, digest, number in steps:
        key = b"\0" + digest[:1] + digest[:14]  # few buckets
        if step == "put":
            index.put(key, number)
            expected[key] = number
        else:
            index.remove(key)
            expected.pop(key, None)
    assert dict(index.items()) == expected
    assert len(index) == len(expected)
    assert all(index.get(key) == number for key, number in expected.items())


def test_a_digest_that_lies_across_two_entries_is_not_found():
    """Bytes 4 to 20 of the bucket look like a digest, but belong to one digest and its number."""
    index = DigestIndex()
    first = bytes([0, 0, 0, 0]) + bytes(12)
    index.put(first, 0)
    index.put(bytes(15) + b"\1", 7)
    across = bytes(16)
    assert index.get(across) == 0
    index.remove(across)
    assert index.get(across) is None
    assert index.get(bytes(15) + b"\1") == 7


@pytest.mark.slow
def test_a_further_credential_takes_less_than_0_6_kib():
    """With a PIN, an end of its own and four forms of its card, at 12,000 of them (fuller buckets take less)."""
    count = 12_000
    snapshot = Snapshot()
    snapshot.apply(Delta(1, {0: fact(0, owner=0)}))
    tracemalloc.start()
    try:
        for number in range(1 << 40, (1 << 40) + count):
            pin = KEYS.pin(number, "2468")
            carried = snapshot.carried(("residents", "gym"))
            one = fact(number, owner=number + (1 << 45), valid_to=float(number), pin=pin, profiles=carried)
            forms = {KEYS.pin(number, form): number for form in ("a", "b", "c", "d")}
            snapshot.apply(Delta(number, {number: one}, forms))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(snapshot) == count + 1
    assert taken / count < 0.6 * 1024


def test_factors_name_every_combination_once():
    every = [factors_of(mask) for mask in range(16)]
    assert len(set(every)) == 16
    assert factors_of(factor_bit("Card") | factor_bit("PIN")) == {IdentifierType.CARD, IdentifierType.PIN}
