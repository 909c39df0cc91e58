"""A face follows the other ways in: their validity and doors, their pauses, their end, whatever happens in whatever order."""

# ruff: noqa: E402 (what can be skipped is asked for before it is imported)
from __future__ import annotations

import asyncio
from itertools import count

import pytest

from waiting import until

pytestmark = pytest.mark.slow

np = pytest.importorskip("numpy", reason="NO FACE CODE TESTED: the extra 'face' (numpy) is not installed")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from face_house import DESK, YES, enrol, face_house, faces_of
from menwei import CredentialState, IdentifierType
from menwei_face import book, tending
from menwei_face.trouble import VaultTrouble
from menwei_face.words import Ended, FaceError

FACE, CARD = IdentifierType.FACE, IdentifierType.CARD


@pytest.fixture
async def house(tmp_path):
    async with face_house(tmp_path) as opened:
        yield opened


async def test_a_face_follows_the_cards_validity_and_profiles(house):
    holder = await house.enrolled()
    card = house.credentials(holder, CARD)[0]
    end = house.clock.now() + 86_400
    await house.people.set_validity(card.id, card.valid_from, end, actor=house.ACTOR)
    await house.people.set_profiles(card.id, ["unit-1"], actor=house.ACTOR)
    await house.enrolment.tending.tidy()
    face = house.face_of(holder)
    assert (face.valid_to, face.profiles) == (end, ("unit-1",))


async def test_a_face_pauses_with_a_disabled_card_and_comes_back_with_it(house):
    holder = await house.enrolled()
    card = house.credentials(holder, CARD)[0].id
    for state in (CredentialState.DISABLED, CredentialState.ENABLED):
        await house.set_state(card, state)
        await house.enrolment.tending.tidy()
        assert house.face_of(holder).state is state


async def test_a_face_that_the_desk_disabled_itself_stays_disabled(house):
    holder = await house.enrolled()
    await house.set_state(house.face_of(holder).id, CredentialState.DISABLED)
    await house.enrolment.tending.tidy()
    assert house.face_of(holder).state is CredentialState.DISABLED


async def running(house):
    """The service as the program runs it."""
    return asyncio.create_task(house.enrolment.run())


async def test_the_service_follows_every_change_of_rights_by_itself(house):
    holder = await house.enrolled()
    task = await running(house)
    try:
        for state in (CredentialState.DISABLED, CredentialState.ENABLED, CredentialState.ENDED):
            await house.set_state(house.credentials(holder, CARD)[0].id, state)
            await until(lambda state=state: house.face_of(holder).state is state)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_where_the_vault_does_not_open_faces_follow_the_cards_all_the_same(house, monkeypatch):
    holder = await house.enrolled()

    async def locked(*subject):
        raise VaultTrouble("made under another machine key")

    monkeypatch.setattr(house.faces, "known", locked)
    task = await running(house)
    try:
        await house.set_state(house.credentials(holder, CARD)[0].id, CredentialState.ENDED)
        await until(lambda: house.face_of(holder).state is CredentialState.ENDED)
        assert house.enrolment.repairs() == []
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_somebody_with_a_lost_card_keeps_the_face_and_the_desk_is_told(house):
    holder = await house.enrolled()
    await house.set_state(house.credentials(holder, CARD)[0].id, CredentialState.LOST)
    await house.enrolment.tending.tidy()
    assert house.face_of(holder).state is CredentialState.ENABLED
    assert {repair.message for repair in house.enrolment.repairs()} == {"face.repair.only_face"}


async def test_who_moves_out_is_not_recognised_from_then_on_and_the_templates_go_when_nobody_can_undo_it(
    house,
):
    holder = await house.enrolled()
    await house.set_state(house.credentials(holder, CARD)[0].id, CredentialState.ENDED)
    await house.enrolment.tending.tidy()
    assert house.face_of(holder).state is CredentialState.ENDED
    assert len(await house.known()) == 1
    house.time += tending.GRACE + 1
    await house.enrolment.tending.tidy()
    assert await house.known() == frozenset()
    (receipt,) = (await house.enrolment.standing(holder)).withdrawals
    assert (receipt.why, receipt.templates) == (Ended.NO_RIGHTS, 3)


async def test_a_check_out_that_is_undone_leaves_the_face_as_it_was(house):
    holder = await house.enrolled()
    both = [one.id for one in house.rights.snapshot.of_holder(holder)]
    for state in (CredentialState.ENDED, CredentialState.ENABLED):
        for one in both:
            await house.set_state(one, state)
        await house.enrolment.tending.tidy()
    house.time += tending.GRACE + 1
    await house.enrolment.tending.tidy()
    assert house.face_of(holder).state is CredentialState.ENABLED
    assert len(await house.known()) == 1


async def test_what_ran_out_long_ago_keeps_no_template(house):
    holder = await house.enrolled()
    card = house.credentials(holder, CARD)[0]
    await house.people.set_validity(card.id, card.valid_from, house.clock.now() + 10, actor=house.ACTOR)
    house.time += tending.KEPT_EXPIRED - 10
    await house.enrolment.tending.tidy()
    assert len(await house.known()) == 1
    house.time += 60
    await house.enrolment.tending.tidy()
    house.time += tending.GRACE
    await house.enrolment.tending.tidy()
    assert await house.known() == frozenset()


async def test_doors_get_the_event_loop_while_many_faces_are_looked_at(house, monkeypatch):
    for number, who in enumerate(("lin", "wang", "zhang"), start=1):
        await house.enrolled(who, f"040{number}")
    await house.enrolment.tending.tidy()
    monkeypatch.setattr(tending, "SLICE", 1)
    turns, seen, follow = count(), [], house.enrolment.tending._follow
    now = [0]

    async def beside():
        for turn in turns:
            now[0] = turn
            await asyncio.sleep(0)

    async def watched(*words):
        seen.append(now[0])
        return await follow(*words)

    monkeypatch.setattr(house.enrolment.tending, "_follow", watched)
    ticking = asyncio.create_task(beside())
    await house.enrolment.tending.tidy()
    ticking.cancel()
    assert len(seen) == len(set(seen)) == 3


async def test_of_somebody_who_is_removed_nothing_is_left(house):
    holder = await house.enrolled()
    await house.people.remove(holder, actor=house.ACTOR)
    await house.enrolment.tending.tidy()
    assert await house.known() == frozenset()
    assert await house.enrolment.tending.forget_removed() == 1
    async with house.enrolment.read() as reading:
        assert await book.holders(reading) == []


STEPS = [
    "agree",
    "refuse",
    "enrol",
    "withdraw",
    "lose",
    "restore",
    "disable",
    "end",
    "tidy",
    "crash",
    "later",
]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(STEPS), max_size=9))
async def test_whatever_happens_no_template_is_left_that_nobody_agreed_to(house, steps):
    """After any history and one start: every template has a consent that holds and a credential that is not ended."""
    holder = await house.person(f"{house.enrolment.context.tables.blind(str(id(steps))).hex()[:6].upper()}")
    card = house.credentials(holder, CARD)[0].id
    who = f"person {holder}"
    for step in steps:
        try:
            match step:
                case "agree":
                    await house.enrolment.agree(DESK, holder, YES)
                case "refuse":
                    await house.enrolment.refuse(DESK, holder)
                case "enrol":
                    await enrol(house, holder, who)
                case "withdraw":
                    await house.enrolment.withdraw(DESK, holder)
                case "tidy":
                    await house.enrolment.tending.tidy()
                case "crash":
                    await house.faces.enrol(f"{holder:032}", faces_of(who), 1.0)
                case "later":
                    house.time += tending.GRACE + 1
                case _:
                    states = {"lose": CredentialState.LOST, "restore": CredentialState.ENABLED,
                              "disable": CredentialState.DISABLED, "end": CredentialState.ENDED}  # fmt: skip
                    await house.set_state(card, states[step])
        except FaceError:
            continue
    await house.enrolment.tending.repair()
    await house.enrolment.tending.tidy()
    house.time += tending.GRACE + 1
    await house.enrolment.tending.tidy()
    async with house.enrolment.read() as reading:
        people = {one.subject: one for one, *_ in await book.all_enrolled(reading)}
        for subject in await house.known():
            one = people[subject]
            assert (await book.consent(reading, one.holder)).holds
            credential = house.rights.snapshot.credential(one.credential)
            assert credential is not None
            assert credential.state is not CredentialState.ENDED
