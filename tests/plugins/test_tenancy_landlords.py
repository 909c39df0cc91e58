"""Who may write what: another system by its own numbers, and a landlord in their own rooms alone."""

from __future__ import annotations

from datetime import date

import pytest

from menwei_tenancy.terms import Role
from menwei_tenancy.words import Acting, TenancyError, Touch
from tenancy_house import COMMITTEE, at, card, tenancy_house

pytestmark = pytest.mark.slow

LIN, WANG, ZHANG = card("A1A1A1A1"), card("B2B2B2B2"), card("04A2B3C4D5E6F7")


@pytest.fixture
async def house(tmp_path):
    async with tenancy_house(tmp_path) as opened:
        yield opened


# ------------------------------------------------------------------------------------------------------- external ids


async def test_what_another_system_sends_twice_is_there_once(house):
    flat = await house.places()
    for last_day in (date(2026, 6, 30), date(2027, 6, 30)):
        household = await house.do("households", "move_in", flat, None, last_day, "contract-17")
        member = await house.do(
            "households", "add_member", household, Role.LESSEE, name="林", external_id="person-4"
        )
        await house.do("passes", "give", member, LIN)
    found = await house.ask("households", "of_external_id", "contract-17")
    assert (found.lease.last_day, len(found.members), len(found.passes)) == (date(2027, 6, 30), 1, 1)
    assert await house.places() == flat


async def test_another_systems_numbers_of_people_are_not_stored(house, tmp_path):
    flat = await house.places()
    household = await house.do("households", "move_in", flat, None, None, "contract-17")
    await house.do(
        "households", "add_member", household, Role.LESSEE, name="林长生", external_id="450103199001011234"
    )
    from sqlalchemy import text

    async with house.rights.store.transaction() as tx:
        await tx.execute(text("SELECT 1"))
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("store.db*"))
    for secret in ("contract-17", "450103199001011234", "林长生"):
        assert secret.encode() not in stored
    assert "302室".encode() in stored  # so the search would have found them


# ------------------------------------------------------------------------------------------- landlords: their own rooms


async def two_landlords(house):
    async with house.tenancy.transaction() as tx:
        ann = await house.tenancy.places.put_landlord(tx, COMMITTEE, "L-A", 11)
        ben = await house.tenancy.places.put_landlord(tx, COMMITTEE, "L-B", 12)
    flat = await house.places(landlord=ben)
    household, member = await house.living(flat)
    credential = await house.do("passes", "give", member, LIN)
    return Acting(house.ACTOR, ann), Acting(house.ACTOR, ben), flat, household, member, credential


OBJECT_RIGHTS = [
    ("households", "move_in", lambda f, h, m, c: (f,), {}),
    ("households", "move_in", lambda f, h, m, c: (f,), {"external_id": "contract-17"}),
    ("households", "add_member", lambda f, h, m, c: (h, Role.CARER), {"name": "x"}),
    ("households", "set_lease", lambda f, h, m, c: (h, None, date(2030, 1, 1)), {}),
    ("households", "extend", lambda f, h, m, c: (h, date(2030, 1, 1)), {}),
    ("households", "set_member", lambda f, h, m, c: (m, Role.CARER, None), {}),
    ("households", "check_out", lambda f, h, m, c: (h,), {}),
    ("households", "leave", lambda f, h, m, c: (m,), {}),
    ("households", "undo", lambda f, h, m, c: (h,), {}),
    ("passes", "give", lambda f, h, m, c: (m, WANG), {}),
    ("passes", "collect", lambda f, h, m, c: (m, "2026-1", Touch(WANG, at("2026-03-02 10:00"))), {}),
    ("passes", "report_lost", lambda f, h, m, c: (c,), {}),
    ("passes", "restore", lambda f, h, m, c: (c,), {}),
    ("passes", "end", lambda f, h, m, c: (c,), {}),
]
READS = [
    ("places", "flat", lambda f, h, m, c: (f,)),
    ("places", "flat_of", lambda f, h, m, c: ("B1-1-302",)),
    ("households", "household", lambda f, h, m, c: (h,)),
    ("households", "in_flat", lambda f, h, m, c: (f,)),
    ("households", "member", lambda f, h, m, c: (m,)),
    ("households", "lease", lambda f, h, m, c: (h,)),
    ("households", "member_of_credential", lambda f, h, m, c: (c,)),
]


@pytest.mark.parametrize(
    ("part", "what", "words", "more"),
    OBJECT_RIGHTS,
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_landlord_changes_nothing_in_another_landlords_room(house, part, what, words, more):
    ann, _, *objects = await two_landlords(house)
    before = house.rights.snapshot.revision
    with pytest.raises(TenancyError) as error:
        await house.do(part, what, *words(*objects), acting=ann, **more)
    assert error.value.status == 404  # not even that it exists
    assert house.rights.snapshot.revision == before
    assert house.opens(LIN)


@pytest.mark.parametrize(
    ("part", "what", "words"), READS, ids=lambda value: value if isinstance(value, str) else ""
)
async def test_a_landlord_reads_nothing_of_another_landlords_room(house, part, what, words):
    ann, ben, *objects = await two_landlords(house)
    with pytest.raises(TenancyError) as error:
        await house.ask(part, what, *words(*objects), acting=ann)
    assert error.value.status == 404
    await house.ask(part, what, *words(*objects), acting=ben)  # so the test above proves something


async def test_every_function_that_takes_who_acts_is_tested_for_other_peoples_rooms(house):
    import inspect

    named = {(part, what) for part, what, *_ in [*OBJECT_RIGHTS, *READS]}
    elsewhere = {
        *(("places", what) for what in ("put_building", "put_unit", "put_flat", "put_landlord", "flats")),
        *(("households", what) for what in ("of_external_id", "expiring", "rewrite", "make_final")),
    }
    public = {
        (part, name)
        for part in ("places", "households", "passes")
        for name, method in inspect.getmembers(getattr(house.tenancy, part), inspect.iscoroutinefunction)
        if not name.startswith("_") and "acting" in inspect.signature(method).parameters
    }
    assert public == named | elsewhere


async def test_a_landlord_lists_only_their_own(house):
    ann, ben, *_, household, _member, _ = await two_landlords(house)
    assert await house.ask("places", "flats", acting=ann) == []
    assert len(await house.ask("places", "flats", acting=ben)) == 1
    await house.do("households", "extend", household, date(2026, 3, 5))
    assert await house.ask("households", "expiring", at("2026-04-01 00:00"), acting=ann) == []
    assert len(await house.ask("households", "expiring", at("2026-04-01 00:00"), acting=ben)) == 1
    with pytest.raises(TenancyError):
        await house.ask("households", "of_external_id", "contract-17", acting=ann)


async def test_a_landlord_gives_extends_ends_reports_lost_and_restores_in_their_own_room(house):
    _, ben, flat, *_ = await two_landlords(house)
    household = await house.do("households", "move_in", flat, None, date(2026, 6, 30), acting=ben)
    member = await house.do("households", "add_member", household, Role.LESSEE, name="王", acting=ben)
    credential = await house.do("passes", "give", member, WANG, acting=ben)
    assert house.opens(WANG, at("2026-06-30 23:59"))
    await house.do("households", "extend", household, date(2026, 12, 31), acting=ben)
    assert house.opens(WANG, at("2026-12-31 23:59"))
    await house.do("passes", "report_lost", credential, acting=ben)
    assert not house.opens(WANG)
    await house.do("passes", "restore", credential, acting=ben)
    assert house.opens(WANG)
    await house.do("households", "check_out", household, acting=ben)
    assert not house.opens(WANG)


async def test_a_landlord_neither_makes_places_nor_takes_over_a_person_who_is_here(house):
    _, ben, _flat, household, *_ = await two_landlords(house)
    stranger = await house.people.add("张", cards=[ZHANG], profiles=["residents"], actor=house.ACTOR)
    for call in (
        ("places", "put_building", "B9", "9号楼"),
        ("places", "put_unit", "B1-9", "B1", "9单元"),
        ("places", "put_flat", "B1-1-302", "B1-1", "302室", (), ben.landlord),
        ("places", "put_landlord", "L-A", 12),
    ):
        with pytest.raises(TenancyError) as error:
            await house.do(*call, acting=ben)
        assert error.value.status == 403
    with pytest.raises(TenancyError, match="not_yours"):
        await house.do("households", "add_member", household, Role.CARER, holder=stranger, acting=ben)
    assert house.opens(ZHANG)


async def test_a_landlord_learns_from_no_external_id_whether_somebody_lives_elsewhere(house):
    ann, ben, flat, household, *_ = await two_landlords(house)
    async with house.tenancy.transaction() as tx:
        await house.tenancy.places.put_flat(tx, COMMITTEE, "B1-1-303", "B1-1", "303室", (), ann.landlord)
    annes = (await house.ask("places", "flat_of", "B1-1-303")).id
    contract = await house.do("households", "move_in", annes, external_id="contract-1")
    await house.do("households", "add_member", contract, Role.LESSEE, name="张", external_id="person-1")
    answers = []
    for number in ("1", "2"):
        for call in (
            ("households", "add_member", household, Role.CARER, f"person-{number}"),
            ("households", "move_in", flat, None, f"contract-{number}"),
        ):
            *words, external_id = call
            with pytest.raises(TenancyError) as error:
                await house.do(*words, external_id=external_id, acting=ben)
            answers.append((error.value.says, error.value.status))
    assert set(answers) == {("tenancy.not_yours", 403)}, "the known and the unknown alike"


async def test_one_account_is_one_landlords(house):
    await two_landlords(house)
    with pytest.raises(TenancyError, match="account_taken"):
        await house.do("places", "put_landlord", "L-C", 11)
