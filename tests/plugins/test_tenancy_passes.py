"""Cards people have, and what happens by itself: reminders, cancelled cards at a door, people who are removed."""

from __future__ import annotations

from datetime import date

import pytest

from menwei import IdentifierTaken
from menwei.model import Reason
from menwei_tenancy.tables import CardKind
from menwei_tenancy.terms import Role
from menwei_tenancy.words import TenancyError
from tenancy_house import COMMITTEE, at, card, tenancy_house, wall

pytestmark = pytest.mark.slow

LIN, WANG, ZHANG = card("A1A1A1A1"), card("B2B2B2B2"), card("04A2B3C4D5E6F7")
ID_CARD = card("0102030405060708", "idcard")


@pytest.fixture
async def house(tmp_path):
    async with tenancy_house(tmp_path) as opened:
        yield opened


def refused(house, touched, when=None, point="gate-in"):
    verdict = house.decided(touched, when, point)
    return verdict.reasons


# --------------------------------------------------------------------------------------------------- cards people have


@pytest.mark.parametrize(
    ("kind", "shown"),
    [(CardKind.RESIDENT_ID, ID_CARD), (CardKind.RESIDENCE_PERMIT, ZHANG), (CardKind.CITIZEN_CARD, LIN)],
)
async def test_a_card_the_person_already_has_opens(house, kind, shown):
    flat = await house.places()
    _, member = await house.living(flat)
    await house.do("passes", "give", member, shown, kind)
    assert house.opens(shown)
    assert not house.opens(WANG)


async def test_a_card_of_another_kind_a_random_one_and_somebody_elses_are_refused(house):
    flat = await house.places()
    household, member = await house.living(flat)
    other = await house.do("households", "add_member", household, Role.CO_APPLICANT, name="王")
    await house.do("passes", "give", other, WANG)
    for shown, kind, error in [
        (LIN, CardKind.RESIDENT_ID, TenancyError),
        (ID_CARD, CardKind.CITIZEN_CARD, TenancyError),
        (card("08A1B2C3"), CardKind.CITIZEN_CARD, TenancyError),
        (WANG, CardKind.KEY_CARD, IdentifierTaken),
    ]:
        with pytest.raises(error):
            await house.do("passes", "give", member, shown, kind)
    assert not house.opens(LIN)


async def test_giving_the_same_card_again_changes_nothing(house):
    flat = await house.places()
    _, member = await house.living(flat)
    first = await house.do("passes", "give", member, LIN)
    assert await house.do("passes", "give", member, LIN) == first
    assert len(house.rights.snapshot) == 1


async def test_lost_is_refused_at_once_and_restored_as_it_was_but_ended_is_not(house):
    flat = await house.places()
    _, member = await house.living(flat)
    credential = await house.do("passes", "give", member, LIN)
    await house.do("passes", "report_lost", credential)
    await house.do("passes", "report_lost", credential)  # twice is once
    assert refused(house, LIN) == (Reason.CREDENTIAL_NOT_ENABLED,)
    await house.do("passes", "restore", credential)
    assert house.opens(LIN)
    await house.do("passes", "end", credential)
    for what in ("restore", "report_lost"):
        with pytest.raises(TenancyError, match="not_in_that_state"):
            await house.do("passes", what, credential)
    assert not house.opens(LIN)


# ---------------------------------------------------------------------------------------------------------- by itself


async def test_reminders_are_facts_that_notifiers_hear_once_each(house):
    household, member = await house.cohabiting()
    await house.collect(member, WANG)
    for day in ("2027-01-20", "2027-01-31", "2027-02-01", "2027-02-23", "2027-03-01", "2027-03-02"):
        house.time = at(f"{day} 09:00")
        await house.tenancy.upkeep()
        await house.tenancy.upkeep()
    told = await house.told("menwei_tenancy.Reminder")
    assert [fact["days"] for fact in told] == [30, 7, 1]
    assert {fact["household"] for fact in told} == {household}
    assert wall(told[0]["ends"]) == "2027-03-02 10:00"


async def test_collected_again_there_are_new_reminders(house):
    _, member = await house.cohabiting()
    await house.collect(member, WANG)
    house.time = at("2027-02-10 09:00")
    await house.tenancy.upkeep()
    await house.collect(member, WANG)
    await house.tenancy.upkeep()
    house.time = at("2028-02-01 09:00")
    await house.tenancy.upkeep()
    assert [fact["days"] for fact in await house.told("menwei_tenancy.Reminder")] == [30, 30]


async def test_the_committee_hears_of_a_cancelled_card_at_a_door_and_of_no_other_refusal(house):
    flat = await house.places()
    _, member = await house.living(flat, last_day=date(2026, 6, 30))
    lost = await house.do("passes", "give", member, LIN)
    await house.do("passes", "give", member, WANG)
    await house.do("passes", "report_lost", lost)
    import asyncio

    watching = asyncio.create_task(house.tenancy._watch())
    await asyncio.sleep(0)
    from menwei.model import Request

    for shown, when in ((card("99999999"), None), (LIN, None), (WANG, at("2026-07-01 08:00"))):
        moment = house.clock.now() if when is None else when
        await house.line.request(Request("gate-in", (shown,), moment, house.clock.monotonic()))
    async with asyncio.timeout(60):
        while not await house.told("menwei_tenancy.CancelledUse"):
            await asyncio.sleep(0.01)
    denials = await house.journal.read(kinds={"AccessDenied"})
    async with asyncio.timeout(60):  # all three were looked at, and one was told
        while house.journal.cursor("service:tenancy.cancelled") != denials[-1].position:
            await asyncio.sleep(0.01)
    watching.cancel()
    await asyncio.wait({watching})
    (told,) = await house.told("menwei_tenancy.CancelledUse")
    assert (told["state"], told["door"], told["personal"]) == ("Lost", "gate", None)
    (denied,) = [entry for entry in denials if str(entry.position) == told["passage"]]
    assert denied.data["checks"][0]["detail"] == "Lost"


async def test_who_is_removed_by_the_privacy_desk_leaves_no_row_behind(house):
    household, member = await house.cohabiting()
    await house.collect(member, WANG)
    async with house.tenancy.read() as reading:
        before = await house.tenancy.households.household(reading, COMMITTEE, household)
    for one in before.members:
        await house.people.remove(one.holder, actor=house.ACTOR)
    assert await house.tenancy.forget_removed() == 2
    with pytest.raises(TenancyError, match="no_household"):
        await house.ask("households", "household", household)
