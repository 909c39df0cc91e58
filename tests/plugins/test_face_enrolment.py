"""Faces of people: who may be enrolled, what is written, what is left after a crash, and what a withdrawal takes."""

# ruff: noqa: E402 (what can be skipped is asked for before it is imported)
from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

pytestmark = pytest.mark.slow

np = pytest.importorskip("numpy", reason="NO FACE CODE TESTED: the extra 'face' (numpy) is not installed")

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from face_house import DESK, YES, Guardian, enrol, face_house, faces_of, refused
from menwei import CredentialState, IdentifierType, InvalidValidity
from menwei_face.subject import identifier
from menwei_face.tables import TABLES, metadata
from menwei_face.trouble import VaultTrouble
from menwei_face.words import Answer, Ended, FaceError, Source

FACE, CARD = IdentifierType.FACE, IdentifierType.CARD


@pytest.fixture
async def house(tmp_path):
    async with face_house(tmp_path) as opened:
        yield opened


# ----------------------------------------------------------------------------------------------------------- enrolling


async def test_a_face_is_enrolled_beside_the_card_and_opens_what_the_card_opens(house):
    holder = await house.person()
    await house.enrolment.agree(DESK, holder, YES)
    made = await enrol(house, holder)
    (card,), (face,) = house.credentials(holder, CARD), house.credentials(holder, FACE)
    assert (face.profiles, face.valid_to, face.factors) == (card.profiles, card.valid_to, {FACE})
    assert made.credential == face.id
    assert house.rights.snapshot.find(house.line.hashes.digest(identifier(made.subject))) == face
    assert await house.known() == {made.subject}
    assert house.opens(identifier(made.subject)) is False  # this door asks for a card


async def test_nobody_is_enrolled_without_a_consent(house):
    holder = await house.person()
    assert await refused(enrol(house, holder)) == "face.consent.missing"
    assert await house.known() == frozenset()


async def test_nobody_is_enrolled_who_could_not_pass_without_a_face(house):
    holder = await house.person(carded=False)
    await house.enrolment.agree(DESK, holder, YES)
    assert await refused(enrol(house, holder)) == "face.enrol.no_other_way"
    lost = await house.consented("04B0")
    await house.set_state(house.credentials(lost, CARD)[0].id, CredentialState.LOST)
    assert await refused(enrol(house, lost)) == "face.enrol.no_other_way"
    assert await house.known() == frozenset()


async def test_the_face_itself_is_no_other_way_in(house):
    holder = await house.enrolled()
    await house.set_state(house.credentials(holder, CARD)[0].id, CredentialState.DISABLED)
    assert await refused(enrol(house, holder)) == "face.enrol.no_other_way"


async def test_enrolling_again_replaces_the_templates_and_keeps_the_credential(house):
    holder = await house.enrolled()
    before = (await house.enrolment.standing(holder)).enrolled
    await house.enrolment.enrol(DESK, holder, faces_of("lin", 5), Source.CAMERA)
    after = (await house.enrolment.standing(holder)).enrolled
    assert (after.subject, after.credential) == (before.subject, before.credential)
    assert (before.templates, after.templates, after.source) == (3, 5, Source.CAMERA)
    assert len(house.credentials(holder, FACE)) == 1


async def test_who_could_be_taken_for_somebody_enrolled_is_not_enrolled_and_that_person_is_not_named(house):
    await house.enrolled("lin", "0401")
    other = await house.consented("0402")
    with pytest.raises(FaceError) as caught:
        await enrol(house, other, "lin")
    assert caught.value.says == "face.reject.too_alike"
    assert caught.value.values == {}
    assert len(await house.known()) == 1


async def test_a_consent_can_come_with_the_photos_and_is_written_with_them_or_not_at_all(house):
    holder = await house.person()
    await enrol(house, holder, said=YES)
    assert (await house.enrolment.standing(holder)).consent.holds
    await house.enrolled("wang", "0402")
    other = await house.person("0403")
    assert await refused(enrol(house, other, "wang", said=YES)) == "face.reject.too_alike"
    assert (await house.enrolment.standing(other)).consent is None


async def test_the_same_person_enrolled_at_two_desks_at_once_is_not_too_like_themselves(house):
    holder = await house.consented()
    first, second = await asyncio.gather(enrol(house, holder), enrol(house, holder))
    assert first.subject == second.subject
    assert await house.known() == {first.subject}
    assert len(house.credentials(holder, FACE)) == 1


async def test_whether_somebody_would_be_enrolled_is_asked_without_doing_it(house):
    await house.enrolled("lin", "0401")
    other = await house.consented("0402")
    assert await refused(house.enrolment.would_enrol(other, faces_of("lin"))) == "face.reject.too_alike"
    await house.enrolment.would_enrol(other, faces_of("wang"))
    assert (await house.enrolment.standing(other)).enrolled is None
    assert len(await house.known()) == 1


async def test_a_child_is_enrolled_with_the_guardian_who_is_entered_by_name_and_sealed(house):
    child = await house.person()
    said = house.wrong(under_14=True, guardian=Guardian(name="林父"), guardian_agreed=True)
    given = await house.enrolment.agree(DESK, child, said)
    assert given.minor
    assert given.guardian in await house.enrolment.context.people.read([given.guardian])
    await enrol(house, child)
    everything = b"".join(file.read_bytes() for file in house.folder.rglob("*") if file.is_file())
    assert "林父".encode() not in everything
    await house.enrolment.withdraw(DESK, child)
    assert await house.enrolment.context.people.read([given.guardian]) == {}


async def guardian_of(house, child, name="林父"):
    """Somebody of this name is entered as the child's guardian, and agrees."""
    said = house.wrong(under_14=True, guardian=Guardian(name=name), guardian_agreed=True)
    return (await house.enrolment.agree(DESK, child, said)).guardian


async def test_the_name_of_a_guardian_goes_when_the_child_says_no(house):
    child = await house.person()
    guardian = await guardian_of(house, child)
    await house.enrolment.refuse(DESK, child)
    assert await house.enrolment.context.people.read([guardian]) == {}


async def test_the_name_of_a_guardian_goes_when_another_speaks_in_their_place(house):
    child = await house.person()
    father = await guardian_of(house, child)
    mother = await guardian_of(house, child, "林母")
    assert set(await house.enrolment.context.people.read([father, mother])) == {mother}


async def test_the_name_of_a_guardian_goes_with_the_child(house):
    child = await house.person()
    guardian = await guardian_of(house, child)
    await house.people.remove(child, actor=house.ACTOR)
    assert await house.enrolment.tending.forget_removed() == 1
    assert await house.enrolment.context.people.read([guardian]) == {}


async def test_a_guardian_who_speaks_for_another_child_stays(house):
    first, second = await house.person("0401"), await house.person("0402")
    said = house.wrong(under_14=True, guardian=Guardian(name="林父"), guardian_agreed=True)
    guardian = (await house.enrolment.agree(DESK, first, said)).guardian
    said = house.wrong(under_14=True, guardian=Guardian(holder=guardian), guardian_agreed=True)
    await house.enrolment.agree(DESK, second, said)
    await house.enrolment.withdraw(DESK, first)
    assert guardian in await house.enrolment.context.people.read([guardian])


async def test_nobody_is_their_own_guardian_and_an_unknown_one_is_none(house):
    child = await house.person()
    for holder, says in ((child, "own_guardian"), (4711, "guardian_unknown")):
        said = house.wrong(under_14=True, guardian=Guardian(holder=holder), guardian_agreed=True)
        assert await refused(house.enrolment.agree(DESK, child, said)) == f"face.consent.{says}"


async def test_a_refusal_is_written_down_and_changes_nothing_else(house):
    holder = await house.person()
    before = house.rights.snapshot.of_holder(holder)
    assert (await house.enrolment.refuse(DESK, holder)).answer is Answer.REFUSED
    assert house.rights.snapshot.of_holder(holder) == before
    assert await refused(enrol(house, holder)) == "face.consent.missing"
    assert (await house.enrolment.counts()).refused == 1
    await house.enrolment.agree(DESK, holder, YES)
    assert (await house.enrolment.counts()).refused == 0
    await enrol(house, holder)
    assert await refused(house.enrolment.refuse(DESK, holder)) == "face.withdraw.first"


async def test_a_paper_that_is_older_than_a_withdrawal_brings_nobody_back(house):
    holder = await house.person()
    paper = house.wrong(given=house.clock.now() - 86_400)
    await enrol(house, holder, said=paper)
    await house.enrolment.withdraw(DESK, holder)
    assert await refused(enrol(house, holder, said=paper)) == "face.consent.older"
    assert await refused(house.enrolment.may_enrol(holder, paper)) == "face.consent.older"
    house.time += 86_400 * 2
    await enrol(house, holder, said=house.wrong(given=house.clock.now() - 86_400))
    other = await house.person("0402")
    await house.enrolment.refuse(DESK, other)
    assert await refused(house.enrolment.agree(DESK, other, paper)) == "face.consent.older"


async def test_somebody_who_does_not_exist_or_has_left_is_not_enrolled(house):
    assert await refused(house.enrolment.agree(DESK, 4711, YES)) == "face.enrol.no_person"
    holder = await house.consented()
    await house.people.end(holder, actor=house.ACTOR)
    assert await refused(enrol(house, holder)) == "rights.holder_ended"


# ------------------------------------------------------------------------------------------------- crashes and failures


async def test_a_vault_that_fails_leaves_neither_a_credential_nor_a_consent(house, monkeypatch):
    holder = await house.person()

    async def broken(*words):
        raise VaultTrouble("the disk is full")

    monkeypatch.setattr(house.faces, "enrol", broken)
    assert await refused(enrol(house, holder, said=YES)) == "face.enrol.vault"
    assert house.credentials(holder, FACE) == []
    assert (await house.enrolment.standing(holder)).consent is None


async def test_a_credential_that_is_refused_leaves_no_template(house, monkeypatch):
    holder = await house.consented()

    async def refuse(*words, **more):
        raise InvalidValidity("not like this")

    class Others:
        """The desk that refuses; everything else is the real one."""

        def __init__(self, real):
            self._real = real

        def __getattr__(self, name):
            return refuse if name == "add_credential" else getattr(self._real, name)

    monkeypatch.setitem(house.enrolment.context.granted, "people", Others(house.enrolment.context.people))
    with pytest.raises(InvalidValidity):
        await enrol(house, holder)
    assert await house.known() == frozenset()
    assert (await house.enrolment.standing(holder)).enrolled is None


async def test_templates_without_a_credential_are_destroyed_at_the_next_start(house):
    kept = await house.subject_of(await house.enrolled())
    await house.faces.enrol("0" * 32, faces_of("nobody"), 1.0)  # the crash between vault and commit
    await house.enrolment.tending.repair()
    assert await house.known() == {kept}


async def test_templates_of_a_credential_that_somebody_else_gave_are_left_alone(house):
    holder = await house.person()
    async with house.rights.store.transaction() as tx:
        await house.people.add_credential(holder, [identifier("1" * 32)], actor=house.ACTOR, tx=tx)
    await house.faces.enrol("1" * 32, faces_of("lin"), 1.0)
    await house.enrolment.tending.repair()
    assert await house.known() == {"1" * 32}


async def test_a_credential_without_templates_is_ended_at_the_next_start_with_a_receipt(house):
    holder = await house.enrolled()
    await house.faces.withdraw(await house.subject_of(holder))  # what a backup without the keys brings back
    await house.enrolment.tending.repair()
    assert house.face_of(holder).state is CredentialState.ENDED
    (receipt,) = (await house.enrolment.standing(holder)).withdrawals
    assert (receipt.why, receipt.templates) == (Ended.REPAIRED, 0)


async def test_a_vault_that_does_not_open_is_never_taken_for_an_empty_one(house, monkeypatch):
    holder = await house.enrolled()

    async def locked():
        raise VaultTrouble("made under another machine key")

    monkeypatch.setattr(house.faces, "known", locked)
    with pytest.raises(VaultTrouble):
        await house.enrolment.tending.repair()
    assert house.face_of(holder).state is CredentialState.ENABLED


# --------------------------------------------------------------------------------------------------------- withdrawing


async def test_a_withdrawal_destroys_the_templates_ends_the_credential_and_leaves_the_card(house):
    holder = await house.enrolled()
    receipt = await house.enrolment.withdraw(DESK, holder)
    assert (receipt.templates, receipt.key_destroyed, receipt.why) == (3, True, Ended.WITHDRAWN)
    assert receipt.done is not None
    assert await house.known() == frozenset()
    assert house.face_of(holder).state is CredentialState.ENDED
    assert house.credentials(holder, CARD)[0].state is CredentialState.ENABLED
    standing = await house.enrolment.standing(holder)
    assert (standing.enrolled, standing.consent.holds, standing.other_way) == (None, False, True)
    assert await refused(enrol(house, holder)) == "face.consent.missing"
    (told,) = await house.told("menwei_face.Withdrawn")
    assert (told["templates"], told["key_destroyed"]) == (3, True)


async def test_a_consent_without_a_face_can_be_withdrawn_too_and_only_once(house):
    holder = await house.consented()
    receipt = await house.enrolment.withdraw(DESK, holder)
    assert (receipt.templates, receipt.done is not None) == (0, True)
    assert await refused(house.enrolment.withdraw(DESK, holder)) == "face.withdraw.nothing"


async def test_after_a_withdrawal_somebody_may_agree_again_under_another_subject(house):
    holder = await house.enrolled()
    before = await house.subject_of(holder)
    await house.enrolment.withdraw(DESK, holder)
    await house.enrolment.agree(DESK, holder, YES)
    await enrol(house, holder)
    assert await house.subject_of(holder) != before


async def test_a_withdrawal_that_the_vault_cannot_do_ends_the_credential_and_is_done_as_soon_as_it_can(
    house, monkeypatch
):
    holder = await house.enrolled()
    real = house.faces.withdraw

    async def away(subject):
        raise VaultTrouble("in use elsewhere")

    monkeypatch.setattr(house.faces, "withdraw", away)
    receipt = await house.enrolment.withdraw(DESK, holder)
    assert (receipt.done, receipt.key_destroyed) == (None, False)
    assert house.face_of(holder).state is CredentialState.ENDED
    assert (await house.enrolment.counts()).waiting == 1
    assert "face.repair.withdrawals" in {repair.message for repair in house.enrolment.repairs()}
    with capture_logs() as logs:
        for _ in range(3):
            await house.enrolment.tending.tidy()
    assert [entry for entry in logs if entry["log_level"] == "error"] == [], "it is in the log already"
    assert "face.repair.withdrawals" in {repair.message for repair in house.enrolment.repairs()}
    monkeypatch.setattr(house.faces, "withdraw", real)
    await house.enrolment.tending.tidy()
    assert (await house.enrolment.receipt(receipt.id)).templates == 3
    assert await house.known() == frozenset()
    assert house.enrolment.repairs() == []


async def test_the_subject_is_forgotten_with_the_templates(house):
    holder = await house.enrolled()
    subject = await house.subject_of(holder)
    await house.enrolment.withdraw(DESK, holder)
    async with house.enrolment.read() as reading:
        for table in metadata.tables.values():
            rows = (await reading.execute(table.select())).all()
            assert not any(subject in map(str, row) for row in rows), table.name


# -------------------------------------------------------------------------------------------------------------- tables


async def test_the_migrations_make_the_tables_that_the_code_names(house):
    def differences(connection):
        context = MigrationContext.configure(
            connection, opts={"include_object": lambda o, name, kind, *_: kind != "table" or name in TABLES}
        )
        return compare_metadata(context, metadata)

    async with house.rights.store.read() as connection:
        assert await connection.run_sync(differences) == []


async def test_the_manifest_names_every_table(house):
    assert set(house.plugins["face"].manifest.permissions.tables) == set(TABLES)
