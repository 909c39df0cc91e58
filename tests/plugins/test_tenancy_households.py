"""Households and their cards, against the real store and the functions of the real decision line."""

from __future__ import annotations

from datetime import date

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from menwei import CredentialState, PutCredential, RightsError, SetValidity
from menwei.model import Reason
from menwei_tenancy.tables import CardKind, metadata
from menwei_tenancy.terms import Role
from menwei_tenancy.words import TenancyError, Touch
from tenancy_house import COMMITTEE, at, card, tenancy_house

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


async def test_the_migrations_make_exactly_these_tables(house):
    def differences(connection):
        def own(name, kind, _parents):
            return kind != "table" or name.startswith("tenancy_")

        options = {"version_table": "menwei_version_tenancy", "compare_type": True, "include_name": own}
        return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)

    async with house.rights.store.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


# ------------------------------------------------------------------------------------------------- who passes until when


async def test_a_lessee_passes_on_the_way_to_their_flat_until_the_morning_after_the_lease(house):
    flat = await house.places()
    _, member = await house.living(flat, last_day=date(2026, 6, 30))
    await house.do("passes", "give", member, LIN)
    for point in ("gate-in", "unit-in", "gate-out"):
        assert house.opens(LIN, point=point)
    assert house.opens(LIN, at("2026-07-01 07:59"))
    assert refused(house, LIN, at("2026-07-01 08:00")) == (Reason.CREDENTIAL_EXPIRED,)


async def test_a_lease_that_begins_next_month_does_not_open_today(house):
    flat = await house.places()
    _, member = await house.living(flat, first_day=date(2026, 4, 1))
    await house.do("passes", "give", member, LIN)
    assert refused(house, LIN) == (Reason.CREDENTIAL_NOT_ACTIVE,)
    assert house.opens(LIN, at("2026-04-01 00:00"))


async def test_extending_and_shortening_a_lease_moves_every_card_of_the_household(house):
    flat = await house.places()
    household, member = await house.living(flat, last_day=date(2026, 6, 30))
    carer = await house.do(
        "households", "add_member", household, Role.CARER, name="王", until=date(2026, 4, 30)
    )
    await house.do("passes", "give", member, LIN)
    await house.do("passes", "give", carer, WANG)
    await house.do("households", "extend", household, date(2027, 6, 30))
    assert house.opens(LIN, at("2027-06-30 23:00"))
    assert not house.opens(WANG, at("2026-05-01 08:00"))
    await house.do("households", "extend", household, date(2026, 3, 31))
    assert not house.opens(WANG, at("2026-04-01 08:00"))


async def test_a_lease_shortened_into_the_past_is_over_now_and_can_be_extended_again(house):
    flat = await house.places()
    household, member = await house.living(flat)
    await house.do("passes", "give", member, LIN)
    await house.do("households", "set_lease", household, None, date(2026, 2, 1))
    assert refused(house, LIN) == (Reason.CREDENTIAL_EXPIRED,)
    await house.do("households", "extend", household, date(2026, 5, 1))
    assert house.opens(LIN)


async def test_grace_days_follow_the_lease_and_never_the_year(tmp_path):
    async with tenancy_house(tmp_path, grace_days=7) as house:
        flat = await house.places()
        household, member = await house.living(flat, last_day=date(2027, 3, 1))
        cohabitant = await house.do("households", "add_member", household, Role.COHABITANT, name="王")
        await house.do("passes", "give", member, LIN)
        await house.collect(cohabitant, WANG)
        assert house.opens(LIN, at("2027-03-09 07:59"))
        assert not house.opens(LIN, at("2027-03-09 08:00"))
        assert not house.opens(WANG, at("2027-03-02 10:00"))


async def test_the_doors_refuse_with_the_plugin_gone(house):
    """Validity is data: what a restart without the plugin loads decides alike."""
    from menwei.rights import Rights

    flat = await house.places()
    _, member = await house.living(flat, last_day=date(2026, 6, 30))
    await house.do("passes", "give", member, LIN)
    without = Rights(house.rights.store, house.line.hashes)
    await without.load()
    without.snapshot.set_config_profiles(list(house.site.profiles))
    assert house.opens(LIN, at("2026-07-01 07:59"), view=without.snapshot)
    assert not house.opens(LIN, at("2026-07-01 08:00"), view=without.snapshot)


async def test_a_door_that_is_added_to_a_building_opens_for_everybody_who_lives_there(house):
    flat = await house.places()
    _, member = await house.living(flat)
    await house.do("passes", "give", member, LIN)
    async with house.tenancy.transaction() as tx:
        await house.tenancy.places.put_flat(tx, COMMITTEE, "B1-1-302", "B1-1", "302室", [])
        await house.tenancy.places.put_building(tx, COMMITTEE, "B1", "1号楼", ["flat-302"])
    carried = house.rights.snapshot.of_holder((await house.ask("households", "member", member)).holder)[
        0
    ].profiles
    assert carried == ("residents", "flat-302", "unit-1")


# ------------------------------------------------------------------------------------------------------------ cohabitants


async def test_a_cohabitant_is_collected_before_anything_opens(house):
    _, member = await house.cohabiting()
    with pytest.raises(TenancyError, match="collect_first"):
        await house.do("passes", "give", member, WANG)
    await house.collect(member, WANG)
    assert house.opens(WANG)


async def test_a_cohabitants_card_ends_a_year_after_collection_whatever_the_lease_says(house):
    _, member = await house.cohabiting(last_day=date(2035, 1, 1))
    await house.collect(member, WANG)
    assert house.opens(WANG, at("2027-03-02 09:59"))
    assert refused(house, WANG, at("2027-03-02 10:00")) == (Reason.CREDENTIAL_EXPIRED,)


async def test_collected_again_with_the_same_card_the_year_begins_anew(house):
    _, member = await house.cohabiting()
    first = await house.collect(member, WANG)
    house.time = at("2027-02-01 15:00")
    assert await house.collect(member, WANG) == first
    assert house.opens(WANG, at("2028-02-01 14:59"))
    assert not house.opens(WANG, at("2028-02-01 15:00"))


async def test_a_cohabitant_whose_year_has_ended_comes_back_with_a_touch(house):
    _, member = await house.cohabiting()
    await house.collect(member, WANG)
    house.time = at("2027-05-05 12:00")
    assert not house.opens(WANG)
    await house.collect(member, WANG)
    assert house.opens(WANG)


@pytest.mark.parametrize("actor", ["committee", "registrar", "operator"])
async def test_moving_the_date_alone_is_refused_whoever_tries(house, actor):
    from menwei import Actor

    _, member = await house.cohabiting()
    credential = await house.collect(member, WANG)
    held = house.rights.snapshot.credential(credential)
    for longer in (held.valid_to + 1, float("inf")):
        with pytest.raises(RightsError) as error:
            await house.people.set_validity(credential, held.valid_from, longer, actor=Actor("x", actor))
        assert error.value.says == "tenancy.collect_again"
        for change in (
            SetValidity(credential, 0.0, longer),
            PutCredential(credential, held.holder, CredentialState.ENABLED, 0.0, longer, ()),
        ):
            with pytest.raises(RightsError, match="outlast the year"):
                async with house.rights.store.transaction() as tx:
                    await house.rights.apply(tx, [change], actor=Actor("x", actor))
    assert not house.opens(WANG, held.valid_to)
    await house.people.set_validity(credential, held.valid_from, held.valid_to - 60, actor=Actor("x", actor))


async def test_a_disabled_card_is_not_made_longer_and_then_enabled(house):
    _, member = await house.cohabiting()
    credential = await house.collect(member, WANG)
    held = house.rights.snapshot.credential(credential)
    await house.people.set_state(credential, CredentialState.DISABLED, actor=house.ACTOR)
    with pytest.raises(RightsError, match="outlast"):
        await house.people.set_validity(credential, held.valid_from, float("inf"), actor=house.ACTOR)
    reviews, house.rights.reviews = house.rights.reviews, []  # while the plugin was switched off …
    await house.people.set_validity(credential, held.valid_from, float("inf"), actor=house.ACTOR)
    house.rights.reviews = reviews  # … and on again
    with pytest.raises(RightsError, match="outlast"):
        await house.people.set_state(credential, CredentialState.ENABLED, actor=house.ACTOR)


async def test_a_new_card_from_the_desk_does_not_get_round_the_year_either(house):
    _, member = await house.cohabiting()
    holder = (await house.ask("households", "member", member)).holder
    with pytest.raises(RightsError, match="outlast"):
        await house.people.add_credential(holder, [ZHANG], profiles=["residents"], actor=house.ACTOR)
    await house.collect(member, WANG)
    with pytest.raises(RightsError, match="outlast"):
        await house.people.add_credential(holder, [ZHANG], profiles=["residents"], actor=house.ACTOR)
    assert not house.opens(ZHANG)


async def test_extending_the_lease_does_not_extend_the_year(house):
    household, member = await house.cohabiting(last_day=date(2026, 6, 30))
    await house.collect(member, WANG)
    assert not house.opens(WANG, at("2026-07-01 08:00"))
    await house.do("households", "extend", household, date(2040, 1, 1))
    assert house.opens(WANG, at("2026-07-01 08:00"))
    assert not house.opens(WANG, at("2027-03-02 10:00"))


async def test_a_collection_needs_a_consent_and_a_touch_of_just_now(house):
    _, member = await house.cohabiting()
    now = house.clock.now()
    for consent, touched, says in [
        ("", now, "no_consent"),
        ("2026-1", now - 301, "touch_again"),
        ("2026-1", now + 60, "touch_again"),
    ]:
        with pytest.raises(TenancyError, match=says):
            await house.do("passes", "collect", member, consent, Touch(WANG, touched))
    assert not house.opens(WANG)


async def test_all_cards_of_a_cohabitant_follow_their_collection(house):
    _, member = await house.cohabiting()
    await house.collect(member, WANG)
    house.time = at("2026-09-01 10:00")
    await house.collect(member, ID_CARD, kind=CardKind.RESIDENT_ID)
    assert house.opens(WANG, at("2027-09-01 09:59"))
    assert house.opens(ID_CARD, at("2027-09-01 09:59"))
    assert not house.opens(WANG, at("2027-09-01 10:00"))


async def test_nobody_becomes_a_cohabitant_with_cards_that_were_never_collected(house):
    flat = await house.places()
    _, member = await house.living(flat)
    await house.do("passes", "give", member, LIN)
    with pytest.raises(TenancyError, match="collect_first"):
        await house.do("households", "set_member", member, Role.COHABITANT, None)
    await house.collect(member, LIN)
    await house.do("households", "set_member", member, Role.COHABITANT, None)
    assert not house.opens(LIN, at("2027-03-02 10:00"))


async def test_somebody_who_has_cards_of_the_desk_does_not_join_as_a_cohabitant(house):
    holder = await house.people.add("王", cards=[WANG], profiles=["residents"], actor=house.ACTOR)
    flat = await house.places()
    household, _ = await house.living(flat)
    with pytest.raises(TenancyError, match="has_cards"):
        await house.do("households", "add_member", household, Role.COHABITANT, holder=holder)


# --------------------------------------------------------------------------------------------------------------- leaving


async def test_check_out_ends_every_card_of_the_household_at_once_and_can_be_undone_for_ten_minutes(house):
    flat = await house.places()
    household, member = await house.living(flat)
    other = await house.do("households", "add_member", household, Role.CO_APPLICANT, name="王")
    await house.do("passes", "give", member, LIN)
    lost = await house.do("passes", "give", other, WANG)
    await house.do("passes", "report_lost", lost)
    undo = await house.do("households", "check_out", household)
    assert refused(house, LIN) == (Reason.CREDENTIAL_NOT_ENABLED,)
    assert undo.until == house.clock.now() + 600
    house.time += 599
    await house.do("households", "undo", household)
    assert house.opens(LIN)
    assert house.decided(WANG).checks[0].detail == "Lost"  # as it was, not better


async def test_after_ten_minutes_a_check_out_stands_and_the_cards_are_free(house):
    flat = await house.places()
    household, member = await house.living(flat)
    await house.do("passes", "give", member, LIN)
    await house.do("households", "check_out", household)
    house.time += 600
    with pytest.raises(TenancyError, match="too_late"):
        await house.do("households", "undo", household)
    await house.tenancy.upkeep()
    holder = (await house.ask("households", "member", member)).holder
    assert (await house.people.get(holder)).ended is not None
    _, next_tenant = await house.living(flat)
    await house.do("passes", "give", next_tenant, LIN)
    assert house.opens(LIN)


async def test_cards_of_the_desk_end_with_the_household_too(house):
    flat = await house.places()
    household, member = await house.living(flat)
    holder = (await house.ask("households", "member", member)).holder
    await house.people.add_credential(holder, [ZHANG], profiles=["residents"], actor=house.ACTOR)
    assert house.opens(ZHANG)
    await house.do("households", "check_out", household)
    assert not house.opens(ZHANG)


async def test_who_also_lives_elsewhere_keeps_what_they_have_there(house):
    flat = await house.places()
    household, member = await house.living(flat)
    await house.do("passes", "give", member, LIN)
    holder = (await house.ask("households", "member", member)).holder
    second = await house.do("households", "move_in", flat)
    elsewhere = await house.do("households", "add_member", second, Role.LESSEE, holder=holder)
    await house.do("passes", "give", elsewhere, WANG)
    await house.do("households", "check_out", household)
    house.time += 601
    await house.tenancy.upkeep()
    assert not house.opens(LIN)
    assert house.opens(WANG)


async def test_one_member_leaves_and_the_others_stay(house):
    flat = await house.places()
    household, member = await house.living(flat)
    other = await house.do("households", "add_member", household, Role.CO_APPLICANT, name="王")
    await house.do("passes", "give", member, LIN)
    await house.do("passes", "give", other, WANG)
    await house.do("households", "leave", other)
    assert house.opens(LIN)
    assert not house.opens(WANG)
    await house.do("households", "undo", household)
    assert house.opens(WANG)


async def test_nothing_is_given_to_who_has_left(house):
    flat = await house.places()
    household, member = await house.living(flat)
    await house.do("households", "check_out", household)
    for call in (
        ("passes", "give", member, LIN),
        ("households", "extend", household, date(2030, 1, 1)),
        ("households", "add_member", household, Role.CARER),
        ("households", "set_member", member, Role.CARER, None),
        ("households", "check_out", household),
    ):
        with pytest.raises(TenancyError):
            await house.do(*call)
    with pytest.raises(TenancyError, match="has_left"):
        await house.collect(member, LIN)
    assert not house.opens(LIN)


# -------------------------------------------------------------------------------------------------------- what has run out


async def test_a_lease_is_not_extended_to_a_day_gone_by_and_everybody_passes_on(house):
    flat = await house.places()
    household, member = await house.living(flat, last_day=date(2026, 6, 30))
    await house.do("passes", "give", member, LIN)
    with pytest.raises(TenancyError, match="extend_past"):
        await house.do("households", "extend", household, date(2026, 3, 1))
    assert house.opens(LIN, at("2026-06-30 12:00"))
    await house.do("households", "extend", household, date(2026, 3, 2))  # today is still a day
    assert house.opens(LIN)


async def test_a_right_that_has_run_out_keeps_its_end_whatever_is_changed_then(house):
    flat = await house.places()
    household, member = await house.living(flat, last_day=date(2026, 3, 31))
    over = at("2026-04-01 08:00")
    house.time = at("2026-05-01 10:00")
    await house.do("households", "set_member", member, Role.CO_APPLICANT, None)
    late = await house.do("households", "add_member", household, Role.CARER, name="王")
    for one in (member, late):
        assert (await house.ask("households", "member", one)).ends == over
    await house.do("households", "set_lease", household, None, date(2026, 2, 28))
    assert (await house.ask("households", "member", member)).ends == at("2026-03-01 08:00")
    await house.do("households", "set_lease", household, None, None)
    assert (await house.ask("households", "member", member)).ends is None
