"""Cards people have, and what happens by itself: reminders, cancelled cards at a door, people who are removed."""

from __future__ import annotations

from datetime import date

import pytest

from menwei import FOREVER, IdentifierTaken, NewCredential, NewPerson, RightsError
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


# ------------------------------------------------------------------------ cards that may come back with an undo


async def checked_out(house) -> tuple[int, int]:
    """A household that left at ten o'clock with its card, and a member of another flat's: (household, member)."""
    flat = await house.places()
    household, member = await house.living(flat)
    await house.do("passes", "give", member, LIN)
    _, other = await house.living(flat)
    await house.do("households", "check_out", household)
    return household, other


async def given(house, way: str, other: int) -> None:
    """The card is given to the member of the other household, or to somebody else, in one of the ways there are."""
    who = (await house.ask("households", "member", other)).holder
    if way == "member":
        await house.do("passes", "give", other, LIN)
    elif way == "collected":
        await house.collect(other, LIN)
    elif way == "desk":
        await house.people.add_credential(who, [LIN], profiles=["residents"], actor=house.ACTOR)
    elif way == "one more":
        credential = await house.do("passes", "give", other, WANG)
        await house.people.add_identifier(credential, LIN, actor=house.ACTOR)
    elif way == "newcomer":
        await house.people.add("张", cards=[LIN], profiles=["residents"], actor=house.ACTOR)
    else:
        entered = NewCredential((LIN,), ("residents",), house.clock.now(), FOREVER)
        await house.people.add_many([NewPerson("张", credentials=(entered,))], actor=house.ACTOR)


WAYS = ("member", "collected", "desk", "one more", "newcomer", "list")


@pytest.mark.parametrize("way", WAYS)
async def test_a_card_is_nobody_elses_while_the_check_out_that_ended_it_can_be_undone(house, way):
    household, other = await checked_out(house)
    owner = house.rights.snapshot.find(house.line.hashes.digest(LIN)).holder
    house.time += 599
    with pytest.raises(RightsError) as refused:
        await given(house, way, other)
    assert (refused.value.says, refused.value.values) == ("tenancy.may_come_back", {"time": "10:10"})
    await house.do("households", "undo", household)
    assert house.opens(LIN)
    assert house.rights.snapshot.find(house.line.hashes.digest(LIN)).holder == owner


@pytest.mark.parametrize("way", WAYS)
async def test_from_the_minute_it_says_the_card_is_free(house, way):
    _, other = await checked_out(house)
    house.time = at("2026-03-02 10:10")
    await given(house, way, other)
    assert house.opens(LIN)


async def test_a_card_that_is_free_is_said_to_be_from_the_next_whole_minute_on(house):
    house.time = at("2026-03-02 10:00:30")
    _, other = await checked_out(house)
    with pytest.raises(RightsError) as refused:
        await given(house, "member", other)
    assert refused.value.values == {"time": "10:11"}


async def test_whoever_moves_within_the_site_takes_their_card_along_at_once(house):
    flat = await house.places()
    household, member = await house.living(flat)
    await house.do("passes", "give", member, LIN)
    holder = (await house.ask("households", "member", member)).holder
    await house.do("households", "check_out", household)
    second = await house.do("households", "move_in", flat)
    moved = await house.do("households", "add_member", second, Role.LESSEE, holder=holder)
    await house.do("passes", "give", moved, LIN)
    assert house.opens(LIN)


async def test_a_card_that_its_holder_gave_back_is_free_at_once(house):
    flat = await house.places()
    _, member = await house.living(flat)
    _, other = await house.living(flat)
    await house.do("passes", "end", await house.do("passes", "give", member, LIN))
    await house.do("passes", "give", other, LIN)
    assert house.opens(LIN)
