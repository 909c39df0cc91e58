"""Changes of rights: one revision each, in step with the snapshot, or not at all."""

import json
import math

import pytest
from sqlalchemy import insert, select, text

from menwei import schema
from menwei.columns import new_id
from menwei.keys import KeyMismatch, Keys
from menwei.model import FOREVER, CredentialState, IdentifierType
from menwei.rights import (
    EndHolder,
    ExternalIdTaken,
    HolderEnded,
    IdentifierTaken,
    InvalidPin,
    InvalidValidity,
    ProfileInUse,
    ProfileOfConfig,
    PutProfile,
    RemoveHolder,
    RemoveIdentifier,
    RemoveProfile,
    Rights,
    SetPin,
    SetState,
    UnknownCredential,
    UnknownHolder,
    UnknownProfile,
)
from rights_support import (
    DESK,
    KEYS,
    RESIDENTS,
    card,
    credential,
    holder,
    identifier,
    opened,
    person,
    profile,
)

LIN, WANG = 1, 2
LIN_CREDENTIAL, WANG_CREDENTIAL = 101, 102


@pytest.fixture
async def house(tmp_path):
    async with opened(tmp_path) as house:
        await house.apply(PutProfile(RESIDENTS), *person(LIN, "04A1", "residents"))
        yield house


async def test_a_card_that_was_enrolled_is_found(house):
    found = house.snapshot.find(KEYS.digest(card("04A1")))
    assert (found.id, found.holder, found.profiles) == (LIN_CREDENTIAL, LIN, ("residents",))
    assert found.factors == {IdentifierType.CARD}
    assert house.snapshot.find(KEYS.digest(card("04A2"))) is None


async def test_revisions_are_contiguous_from_one(house):
    assert house.snapshot.revision == 1
    assert [await house.apply(holder(number)) for number in (5, 6, 7)] == [2, 3, 4]
    assert house.snapshot.revision == 4


async def test_no_changes_are_no_revision(house):
    assert await house.apply() == 1


async def test_rights_survive_a_restart(tmp_path):
    async with opened(tmp_path) as house:
        await house.apply(
            PutProfile(RESIDENTS), *person(LIN, "04A1", "residents"), SetPin(LIN_CREDENTIAL, b"p" * 16)
        )
        before = house.snapshot
    async with opened(tmp_path) as again:
        assert again.snapshot == before
        assert again.snapshot.credential(LIN_CREDENTIAL).factors == {IdentifierType.CARD, IdentifierType.PIN}


async def test_doors_know_of_a_change_when_the_transaction_ends_and_not_before(house):
    digest = KEYS.digest(card("04B2"))
    async with house.store.transaction() as tx:
        await house.rights.apply(tx, person(WANG, "04B2"), actor=DESK)
        assert house.snapshot.find(digest) is None
    assert house.snapshot.find(digest).holder == WANG


async def test_a_rollback_changes_neither_doors_nor_store(house):
    before = await house.fresh()
    with pytest.raises(RuntimeError):
        async with house.store.transaction() as tx:
            await house.rights.apply(tx, person(WANG, "04B2"), actor=DESK)
            raise RuntimeError
    assert house.snapshot == before == await house.fresh()


async def test_a_plugins_rows_and_the_rights_stand_or_fall_together(house):
    with pytest.raises(IdentifierTaken):
        async with house.store.transaction() as tx:
            await tx.execute(insert(schema.tokens), [{
                "id": 1, "digest": b"d", "name_sealed": b"", "role": "guard", "scope": [], "created": 0.0, "expires": None,
            }])  # fmt: skip
            await house.rights.apply(tx, person(WANG, "04A1"), actor=DESK)
    async with house.store.read() as connection:
        assert (await connection.execute(select(schema.tokens))).all() == []


async def test_a_refused_batch_leaves_no_half_even_when_its_error_is_caught(house):
    async with house.store.transaction() as tx:
        with pytest.raises(IdentifierTaken):
            await house.rights.apply(tx, person(WANG, "04A1"), actor=DESK)
        assert await house.rights.apply(tx, [holder(3)], actor=DESK) == 2
    assert house.snapshot.credential(WANG_CREDENTIAL) is None
    assert house.snapshot == await house.fresh()
    with pytest.raises(UnknownHolder):
        await house.apply(credential(9, WANG))


async def test_several_revisions_in_one_transaction_reach_the_doors_in_order(house):
    async with house.store.transaction() as tx:
        await house.rights.apply(tx, [SetState(LIN_CREDENTIAL, CredentialState.LOST)], actor=DESK)
        await house.rights.apply(tx, [SetState(LIN_CREDENTIAL, CredentialState.DISABLED)], actor=DESK)
    assert house.snapshot.credential(LIN_CREDENTIAL).state is CredentialState.DISABLED
    assert house.snapshot.revision == 3


async def test_applying_twice_is_applying_once(house):
    changes = (*person(LIN, "04A1", "residents"), SetPin(LIN_CREDENTIAL, b"p" * 16), PutProfile(RESIDENTS))
    await house.apply(*changes)
    once = house.snapshot.credential(LIN_CREDENTIAL)
    await house.apply(*changes, *changes)
    assert house.snapshot.credential(LIN_CREDENTIAL) == once
    assert house.snapshot == await house.fresh()


# ------------------------------------------------------------------------------------------------------- refusals


async def test_an_identifier_of_somebody_else_is_taken(house):
    await house.apply(holder(WANG), credential(WANG_CREDENTIAL, WANG))
    with pytest.raises(IdentifierTaken, match="already belongs to credential 101") as taken:
        await house.apply(identifier(WANG_CREDENTIAL, "04A1"))
    assert (taken.value.holder, taken.value.credential) == (LIN, LIN_CREDENTIAL)
    assert "04A1" not in str(taken.value)


async def test_two_credentials_of_one_batch_can_not_have_one_card(house):
    changes = [
        holder(2),
        credential(20, 2),
        credential(21, 2),
        identifier(20, "04C3"),
        identifier(21, "04C3"),
    ]
    with pytest.raises(IdentifierTaken):
        await house.apply(*changes)


async def test_a_lost_card_still_belongs_to_its_credential(house):
    await house.apply(SetState(LIN_CREDENTIAL, CredentialState.LOST))
    with pytest.raises(IdentifierTaken):
        await house.apply(*person(WANG, "04A1"))


async def test_the_card_of_an_ended_person_can_be_given_to_another(house):
    await house.apply(EndHolder(LIN))
    await house.apply(*person(WANG, "04A1"))
    assert house.snapshot.find(KEYS.digest(card("04A1"))).holder == WANG
    assert house.snapshot.credential(LIN_CREDENTIAL).factors == frozenset()
    assert house.snapshot == await house.fresh()


async def test_unknown_things_are_named(house):
    for error, change, name in (
        (UnknownHolder, credential(9, 77), "77"),
        (UnknownHolder, EndHolder(77), "77"),
        (UnknownCredential, identifier(77, "04"), "77"),
        (UnknownCredential, SetState(77, CredentialState.LOST), "77"),
        (UnknownCredential, SetPin(77), "77"),
        (UnknownProfile, credential(9, LIN, profiles=("no-such",)), "no-such"),
    ):
        with pytest.raises(error, match=name):
            await house.apply(change)


@pytest.mark.parametrize(
    ("valid_from", "valid_to"), [(5.0, 5.0), (6.0, 5.0), (math.nan, 5.0), (0.0, math.nan), (-math.inf, 5.0)]
)
async def test_a_validity_must_begin_before_it_ends(house, valid_from, valid_to):
    with pytest.raises(InvalidValidity):
        await house.apply(credential(9, LIN, valid_from=valid_from, valid_to=valid_to))


async def test_a_duress_pin_is_another_than_the_pin(house):
    for change in (SetPin(LIN_CREDENTIAL, b"p" * 16, b"p" * 16), SetPin(LIN_CREDENTIAL, b"", b"p" * 16)):
        with pytest.raises(InvalidPin):
            await house.apply(change)


async def test_an_external_id_belongs_to_one_person(house):
    await house.apply(holder(LIN, external_id=b"e" * 16))
    await house.apply(holder(LIN, external_id=b"e" * 16))
    with pytest.raises(ExternalIdTaken):
        await house.apply(holder(WANG, external_id=b"e" * 16))
    with pytest.raises(ExternalIdTaken):
        await house.apply(holder(3, external_id=b"f" * 16), holder(4, external_id=b"f" * 16))


# ------------------------------------------------------------------------------------------------ people that leave


async def test_who_has_ended_has_no_credential_that_works_and_gets_none(house):
    await house.apply(credential(9, LIN))
    await house.apply(EndHolder(LIN))
    assert {one.state for one in house.snapshot.of_holder(LIN)} == {CredentialState.ENDED}
    for change in (SetState(9, CredentialState.ENABLED), credential(10, LIN)):
        with pytest.raises(HolderEnded):
            await house.apply(change)


async def test_nothing_of_a_removed_person_is_left_in_the_store(house):
    await house.apply(SetPin(LIN_CREDENTIAL, b"p" * 16))
    await house.apply(RemoveHolder(LIN))
    assert house.snapshot.find(KEYS.digest(card("04A1"))) is None
    assert house.snapshot.of_holder(LIN) == ()
    async with house.store.read() as connection:
        for table in ("holders", "credentials", "identifiers", "credential_profiles"):
            assert (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar() == 0
    await house.apply(RemoveHolder(LIN))


async def test_a_person_who_needs_longer_gets_it_with_every_credential(house):
    await house.apply(holder(LIN, extended=True))
    assert house.snapshot.credential(LIN_CREDENTIAL).extended
    await house.apply(holder(LIN, extended=False))
    assert not house.snapshot.credential(LIN_CREDENTIAL).extended


async def test_an_identifier_taken_away_means_nobody(house):
    await house.apply(RemoveIdentifier(KEYS.digest(card("04A1"))))
    assert house.snapshot.find(KEYS.digest(card("04A1"))) is None
    assert house.snapshot.credential(LIN_CREDENTIAL).factors == frozenset()
    assert house.snapshot == await house.fresh()


# -------------------------------------------------------------------------------------------------------- profiles


async def test_a_profile_opens_its_access_points_in_its_schedules(house):
    await house.apply(PutProfile(profile("couriers", ({"gate"}, "mornings"), ({"gate", "box"}, "evenings"))))
    assert house.snapshot.rules_for("couriers", "gate") == ("mornings", "evenings")
    assert house.snapshot.rules_for("couriers", "box") == ("evenings",)
    assert house.snapshot.rules_for("couriers", "unit") == ()
    assert house.snapshot.rules_for("no-such", "gate") == ()


async def test_a_profile_that_is_put_again_has_only_its_new_rules(house):
    await house.apply(PutProfile(profile("residents", ({"gate"}, "days"))))
    assert house.snapshot.rules_for("residents", "gate") == ("days",)
    assert house.snapshot.rules_for("residents", "unit") == ()
    assert house.snapshot == await house.fresh()


async def test_a_profile_that_somebody_carries_stays(house):
    with pytest.raises(ProfileInUse, match="1 credentials"):
        await house.apply(RemoveProfile("residents"))
    await house.apply(credential(LIN_CREDENTIAL, LIN, profiles=()))
    await house.apply(RemoveProfile("residents"))
    assert house.snapshot.profile("residents") is None
    assert house.snapshot.rules_for("residents", "gate") == ()


async def test_credentials_may_carry_a_profile_of_the_config(house):
    house.snapshot.set_config_profiles([profile("guards", ({"gate"}, "always"))])
    await house.apply(credential(LIN_CREDENTIAL, LIN, profiles=("guards", "residents")))
    assert house.snapshot.credential(LIN_CREDENTIAL).profiles == ("guards", "residents")


async def test_the_store_can_not_have_a_profile_of_the_config(house):
    house.snapshot.set_config_profiles([profile("guards", ({"gate"}, "always"))])
    with pytest.raises(ProfileOfConfig, match="guards"):
        await house.apply(PutProfile(profile("guards", ({"unit"}, "always"))))


# -------------------------------------------------------------------------------------------------------- the log


async def test_the_log_says_who_changed_what_and_nothing_personal(house):
    await house.apply(SetPin(LIN_CREDENTIAL, KEYS.pin(LIN_CREDENTIAL, "2468")))
    first, second = await house.rights.history()
    assert [change["change"] for change in first.changes] == [
        "PutProfile", "PutHolder", "PutCredential", "PutIdentifier",
    ]  # fmt: skip
    assert (second.revision, second.at, second.actor) == (2, 1000.0, DESK)
    assert second.changes == (
        {"change": "SetPin", "credential": LIN_CREDENTIAL, "pin": True, "duress": False},
    )
    async with house.store.read() as connection:
        kept = json.dumps((await connection.execute(text("SELECT changes FROM revisions"))).scalars().all())
        actors = (await connection.execute(text("SELECT actor_sealed FROM revisions"))).scalars().all()
    assert "sealed name" not in kept
    assert KEYS.digest(card("04A1")).hex() not in kept
    assert all("周".encode() not in actor for actor in actors)


async def test_a_store_of_another_machine_key_is_refused(house):
    with pytest.raises(KeyMismatch):
        await Rights(house.store, Keys(bytes(32))).load()


async def test_sql_in_a_profile_or_a_card_is_data(house):
    trick = "x'); DROP TABLE holders; --"
    await house.apply(PutProfile(profile(trick, ({trick}, trick))), *person(WANG, trick, trick))
    assert house.snapshot.find(KEYS.digest(card(trick))).holder == WANG
    assert house.snapshot.rules_for(trick, trick) == (trick,)
    assert house.snapshot == await house.fresh()


async def test_a_thousand_people_in_one_revision(house):
    ids = [new_id() for _ in range(1000)]
    changes = [
        *(holder(number) for number in ids),
        *(credential(number, number, profiles=("residents",), valid_to=FOREVER) for number in ids),
        *(identifier(number, str(number)) for number in ids),
        *(SetPin(number, KEYS.pin(number, "2468")) for number in ids),
    ]
    assert await house.apply(*changes) == 2
    assert len(house.snapshot) == 1001
    assert house.snapshot == await house.fresh()
