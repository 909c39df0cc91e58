"""Guests, couriers and their cards: where they pass, until when, and what is left of them the next day."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from menwei import CredentialIdentifier as Identifier
from menwei import IdentifierTaken, IdentifierType, UnknownProfile
from menwei.model import Actor, Outcome
from menwei.schema import credentials, holders, identifiers
from menwei_visitors.tables import deletions, passes
from menwei_visitors.words import Means, Purpose, VisitorError
from tenancy_house import at
from visitors_house import FLAT, VisitorsHouse, card, visitors_house

pytestmark = pytest.mark.slow

ID_CARD = card("0123456789ABCDEF", "idcard")


@pytest.fixture
async def house(tmp_path):
    async with visitors_house(tmp_path) as opened:
        yield opened


async def count(house: VisitorsHouse, table) -> int:
    async with house.rights.store.read() as connection:
        return int((await connection.execute(select(func.count()).select_from(table))).scalar_one())


async def refused(what) -> str:
    with pytest.raises(VisitorError) as told:
        await what
    return told.value.says


async def test_a_guest_enters_twenty_times_today_and_not_after_midnight(house: VisitorsHouse):
    guest = await house.invite()
    for minute in range(20):
        house.time = at("2026-03-02 10:00") + minute * 41 * 60
        assert await house.passes(house.digits(guest)), minute
    house.time = at("2026-03-02 23:59:59")
    assert await house.passes(house.digits(guest))
    house.time = at("2026-03-03 00:00")
    verdict = await house.type(house.digits(guest))
    assert (verdict.outcome, verdict.says) == (Outcome.DENIED, "door.expired")
    assert len(house.devices.done) == 21


async def test_the_qr_code_is_the_same_pass(house: VisitorsHouse):
    guest = await house.invite()
    shown = await house.show(house.qr(guest))
    assert shown.outcome is Outcome.GRANTED
    assert shown.credential is not None
    assert shown.credential.id == guest.credential


async def test_a_guest_passes_the_doors_on_the_way_and_no_other(house: VisitorsHouse):
    there = await house.invite("B1-1-302")
    elsewhere = await house.invite("B1-2-101")
    assert await house.passes(house.digits(there), "gate-in")
    assert await house.passes(house.digits(there), "unit-in")
    assert await house.passes(house.digits(elsewhere), "gate-in")
    assert (await house.type(house.digits(elsewhere), "unit-in")).says == "door.no_right"


async def test_the_longest_beginning_of_a_flat_says_the_way(tmp_path):
    async with visitors_house(
        tmp_path, ways={"B1": ("residents",), "B1-1": ("unit-1",)}, profiles=()
    ) as house:
        guest = await house.invite("B1-1-302")
        held = house.rights.snapshot.credential(guest.credential)
    assert held is not None
    assert held.profiles == ("unit-1",)


async def test_a_plugin_that_knows_the_flats_may_name_the_doors_itself(house: VisitorsHouse):
    guest = await house.invite("any flat", profiles=["unit-1"])
    assert await house.passes(house.digits(guest), "unit-in")
    assert not await house.passes(house.digits(guest), "gate-in")


async def test_a_flat_that_no_way_leads_to_is_refused(house: VisitorsHouse):
    assert await refused(house.invite("B9-1-101")) == "visitors.unknown_flat"
    assert await refused(house.invite("  ")) == "visitors.which_flat"


async def test_profiles_that_do_not_exist_are_a_repair_and_no_pass(tmp_path):
    async with visitors_house(tmp_path, profiles=("nowhere",)) as house:
        (repair,) = house.visitors.repairs()
        assert (repair.message, repair.values) == ("visitors.repair.profiles", {"profiles": "nowhere"})
        with pytest.raises(UnknownProfile):
            await house.invite()
        assert await count(house, holders) == 0, "nothing is half there"


async def test_a_flat_invites_so_many_a_day_and_tomorrow_again(tmp_path):
    async with visitors_house(tmp_path, per_flat=2) as house:
        first = await house.invite()
        await house.invite()
        await house.end(first.id)
        assert await refused(house.invite()) == "visitors.enough_today", "an ended pass counts"
        await house.invite("B1-1-303")
        house.time = at("2026-03-03 00:00")
        await house.invite()


async def test_an_ended_pass_opens_nothing_from_now_on(house: VisitorsHouse):
    guest = await house.invite()
    await house.end(guest.id)
    assert (await house.type(house.digits(guest))).says == "door.ended"
    assert (await house.show(house.qr(guest))).outcome is Outcome.DENIED


async def test_a_courier_passes_the_doors_for_couriers(house: VisitorsHouse):
    courier = await house.courier()
    assert (courier.flat, courier.purpose) == ("", Purpose.DELIVERY)
    assert await house.passes(house.digits(courier), "unit-in")
    assert not await house.passes(house.digits(courier), "gate-in")


async def test_where_no_doors_are_for_couriers_none_gets_a_pass(tmp_path):
    async with visitors_house(tmp_path, courier_profiles=(), couriers=1) as house:
        assert await refused(house.courier()) == "visitors.no_doors"


class TestTheirOwnCard:
    async def test_an_id_card_that_was_touched_opens_today_and_not_tomorrow(self, house: VisitorsHouse):
        guest = await house.invite(card=ID_CARD)
        assert (guest.means, house.digits(guest)) == (Means.CARD, "")
        assert (await house.show(ID_CARD)).outcome is Outcome.GRANTED
        house.time = at("2026-03-03 00:00")
        assert (await house.show(ID_CARD)).outcome is Outcome.DENIED

    async def test_of_its_chip_number_a_keyed_hash_is_kept_and_nothing_else(
        self, house: VisitorsHouse, tmp_path
    ):
        await house.invite(card=ID_CARD)
        async with house.rights.store.read() as connection:
            rows = (await connection.execute(select(identifiers))).all()
        assert [len(row.digest) for row in rows] == [16]
        assert all(ID_CARD.value.encode() not in file.read_bytes() for file in tmp_path.glob("*.db*"))

    async def test_touched_again_for_the_same_flat_it_is_the_same_pass(self, house: VisitorsHouse):
        assert await house.invite(card=ID_CARD) == await house.invite(card=ID_CARD)

    async def test_a_second_flat_on_the_same_day_is_refused(self, house: VisitorsHouse):
        guest = await house.invite(card=ID_CARD)
        assert await refused(house.invite("B1-1-303", card=ID_CARD)) == "visitors.card_has_pass"
        await house.end(guest.id)
        await house.invite("B1-1-303", card=ID_CARD)

    async def test_it_comes_again_tomorrow_even_before_anything_was_deleted(self, house: VisitorsHouse):
        first = await house.invite(card=ID_CARD)
        house.time = at("2026-03-03 00:00")
        second = await house.invite(card=ID_CARD)
        assert second.id != first.id
        assert (await house.show(ID_CARD)).outcome is Outcome.GRANTED
        assert await count(house, holders) == 1

    async def test_a_residents_card_does_not_become_a_visitors(self, house: VisitorsHouse):
        actor = Actor("admin", "committee")
        await house.people.add("林", cards=[card("A1A1A1A1")], profiles=["residents"], actor=actor)
        assert await refused(house.invite(card=card("A1A1A1A1"))) == "visitors.card_registered"

    async def test_nor_does_one_that_has_expired(self, house: VisitorsHouse):
        actor, now = Actor("admin", "committee"), house.clock.now()
        await house.people.add(
            "林",
            cards=[card("A1A1A1A1")],
            profiles=["residents"],
            valid_from=now - 9,
            valid_to=now - 1,
            actor=actor,
        )
        with pytest.raises(IdentifierTaken):
            await house.invite(card=card("A1A1A1A1"))

    async def test_a_phone_that_makes_up_its_number_is_refused(self, house: VisitorsHouse):
        assert await refused(house.invite(card=card("08A1B2C3"))) == "card.random"


async def test_the_same_external_id_is_the_same_pass(house: VisitorsHouse):
    first, second = await house.invite(external_id="app-7"), await house.invite(external_id="app-7")
    assert first == second
    assert await count(house, passes) == 1
    house.time = at("2026-03-03 09:00")
    assert (await house.invite(external_id="app-7")).day.isoformat() == "2026-03-03"


async def test_the_same_external_id_for_another_flat_or_a_courier_is_a_pass_of_its_own(house: VisitorsHouse):
    same = "1"
    ours, theirs = await house.invite(external_id=same), await house.invite("B1-2-101", external_id=same)
    courier = await house.courier(external_id=same)
    assert (ours.flat, theirs.flat, courier.flat) == (FLAT, "B1-2-101", "")
    assert len({house.digits(given) for given in (ours, theirs, courier)}) == 3
    assert await house.courier(external_id=same) == courier


async def test_a_flat_and_an_external_id_never_read_like_another_flats(house: VisitorsHouse):
    theirs = await house.invite("B1-2-1/7", external_id="8")
    assert (await house.invite("B1-2-1", external_id="7/8")).id != theirs.id


async def test_two_visitors_never_have_the_same_digits(house: VisitorsHouse, monkeypatch):
    monkeypatch.setattr("menwei_visitors.service.new_id", iter((11, 12)).__next__)
    codes = house.visitors.codes
    drawn = {(11, 0): "40718263", (12, 0): "40718263", (12, 1): "90718264"}
    monkeypatch.setattr(type(codes), "digits", lambda self, number, attempt=0: drawn[number, attempt])
    first, second = await house.invite(), await house.invite()
    assert (house.digits(first), house.digits(second)) == ("40718263", "90718264")
    assert await house.passes("90718264")


class TestTheNextDay:
    async def test_everything_is_deleted_and_the_journal_has_the_proof(self, house: VisitorsHouse):
        guest = await house.invite()
        await house.invite(card=ID_CARD)
        await house.courier()
        await house.visitors.upkeep()
        assert await count(house, passes) == 3, "today's stay"
        house.time = at("2026-03-03 00:00:01")
        await house.visitors.upkeep()
        for table in (passes, holders, credentials, identifiers, deletions):
            assert await count(house, table) == 0, table.name
        assert house.rights.snapshot.find(house.line.hashes.digest(house.qr(guest))) is None
        (proof,) = await house.told("menwei_visitors.Deleted")
        assert (proof["day"], proof["passes"]) == ("2026-03-02", 3)
        assert (await house.type(house.digits(guest))).says == "door.not_registered"

    async def test_a_crash_between_deletion_and_proof_loses_no_proof(self, house: VisitorsHouse):
        await house.invite()
        house.time = at("2026-03-03 00:00:01")
        async with house.visitors.transaction() as tx:
            await house.visitors.clear(tx)
        assert await house.told("menwei_visitors.Deleted") == []
        await house.visitors.upkeep()  # as after a restart
        await house.visitors.upkeep()
        assert [proof["passes"] for proof in await house.told("menwei_visitors.Deleted")] == [1]

    async def test_a_machine_that_was_off_for_days_clears_up_when_it_is_back(self, house: VisitorsHouse):
        await house.invite()
        house.time = at("2026-03-09 12:00")
        await house.visitors.upkeep()
        assert [proof["day"] for proof in await house.told("menwei_visitors.Deleted")] == ["2026-03-02"]
        assert await count(house, holders) == 0

    async def test_residents_stay(self, house: VisitorsHouse):
        await house.people.add(
            "林", cards=[card("A1A1A1A1")], profiles=["residents"], actor=Actor("a", "committee")
        )
        await house.invite()
        house.time = at("2026-03-05 08:00")
        await house.visitors.upkeep()
        assert (await house.show(card("A1A1A1A1"))).outcome is Outcome.GRANTED


async def test_a_guests_code_tells_the_desk_whose_it_is_until_it_ends(house: VisitorsHouse):
    guest = await house.invite()
    text = house.visitors.qr_of(guest)
    async with house.visitors.read() as reading:
        assert await house.visitors.check(reading, text) == guest
    await house.end(guest.id)
    async with house.visitors.read() as reading:
        assert await refused(house.visitors.check(reading, text)) == "visitors.code.ended"


async def test_somebody_who_guesses_finds_the_guest_refused_too_and_in_five_minutes_admitted(
    house: VisitorsHouse,
):
    guest = await house.invite()
    for guess in range(5):
        await house.type(f"{guess:08d}")
    assert (await house.type(house.digits(guest))).says == "door.codes_suspended"
    assert await house.passes(house.digits(guest), "unit-in")
    house.time += 300
    assert await house.passes(house.digits(guest))


async def test_no_name_stands_in_the_plugins_tables_and_no_face_can_be_given(house: VisitorsHouse):
    guest = await house.invite()
    held = house.rights.snapshot.credential(guest.credential)
    assert held is not None
    assert held.factors == {IdentifierType.PIN, IdentifierType.QRCODE}
    assert not any(column.info["personal"] for column in passes.columns if column.name != "external_id")
    assert isinstance(house.qr(guest), Identifier)
    assert guest.flat == FLAT
