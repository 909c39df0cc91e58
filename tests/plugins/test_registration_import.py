"""A village's list entered: as a whole or not at all, twice is once, and every mistake by row and column."""

from __future__ import annotations

import json

import pytest
from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import inspect, select, text

from menwei import Actor, InvalidName
from menwei.schema import credentials, holders, revisions
from menwei.web import application
from menwei_registration import service
from menwei_tenancy.tables import buildings, flats, households, leases, members, passes
from menwei_tenancy.terms import Role
from registration_house import RegistrationHouse, as_csv, number, person, registration_house, village
from small_house import HOUSE, sign_in
from tenancy_house import at, card

pytestmark = pytest.mark.slow

EVERYTHING = (buildings, flats, households, leases, members, passes, holders, credentials)
PATH = "/api/registration/import"


@pytest.fixture
async def house(tmp_path):
    async with registration_house(tmp_path) as opened:
        yield opened


@pytest.fixture
async def client(house: RegistrationHouse):
    app = application(house, [route for plugin in house.plugins.values() for route in plugin.routes])
    app[HOUSE] = house
    async with TestClient(TestServer(app, host="127.0.0.1"), cookie_jar=CookieJar(unsafe=True)) as opened:
        yield opened


def a_card(row: dict[str, str]):
    return card(row["卡号"])


async def faults(house: RegistrationHouse, *rows: dict[str, str]) -> list[tuple[int, str, str]]:
    found = await house.examine(as_csv(list(rows)))
    return [(fault.row, fault.column, fault.key.removeprefix("registration.")) for fault in found.faults]


async def test_everybody_of_the_list_passes_as_long_as_their_lease_says(house: RegistrationHouse):
    rows = village(30, 2)
    counts = await house.enter(as_csv(rows))
    assert (counts.people, counts.known) == (30, 0)
    assert await house.counts(*EVERYTHING) == [2, 10, 10, 10, 30, 30, 30, 30]
    for row in rows:
        assert house.opens(a_card(row))
    assert house.opens(a_card(rows[0]), at("2027-01-01 07:59")), "nobody is stranded at night"
    assert not house.opens(a_card(rows[0]), at("2027-01-01 08:00"))


async def test_what_is_imported_is_what_the_desk_would_have_entered(house: RegistrationHouse):
    """The rows of the bulk way and of the way one by one are the same rows."""
    row = person(1)
    await house.enter(as_csv([row]))
    async with house.tenancy.read() as reading:
        found = await house.tenancy.households.of_external_id(reading, _anyone(house), "1栋-101")
    flat = await house.ask("places", "flat", found.lease.flat)
    household = await house.do(
        "households", "move_in", flat.id, found.lease.first_day, found.lease.last_day, "by hand"
    )
    member = await house.do(
        "households", "add_member", household, Role.LESSEE, name="林", external_id="by hand"
    )
    await house.do("passes", "give", member, card("A1A1A1A1"))
    by_hand = await house.ask("households", "household", household)
    (one,), (other,) = found.members, by_hand.members
    assert (one.role, one.until, one.collected, one.ends, one.left) == (
        other.role, other.until, other.collected, other.ends, other.left,
    )  # fmt: skip
    (mine,), (theirs,) = found.passes, by_hand.passes
    assert (mine.kind, mine.credential.profiles, mine.credential.state) == (
        theirs.kind, theirs.credential.profiles, theirs.credential.state,
    )  # fmt: skip
    assert (mine.credential.valid_from, mine.credential.valid_to) == (
        theirs.credential.valid_from, theirs.credential.valid_to,
    )  # fmt: skip


def _anyone(house: RegistrationHouse):
    from menwei_tenancy.words import Acting

    return Acting(house.ACTOR)


async def test_the_same_file_twice_is_the_same_once(house: RegistrationHouse):
    data = as_csv(village(30, 2))
    await house.enter(data)
    before = await house.counts(*EVERYTHING, revisions)
    counts = await house.enter(data)
    assert (counts.rooms, counts.people, counts.known) == (0, 0, 30)
    assert await house.counts(*EVERYTHING, revisions) == before, "and no right was touched"


async def test_a_corrected_file_corrects(house: RegistrationHouse):
    rows = [person(serial) for serial in range(3)]
    await house.enter(as_csv(rows))
    changed = [row | {"到期日": "2026-06-30"} for row in rows]
    changed[1]["身份"] = "共同申请人"
    changed[2]["卡号"] = "A1A1A1A1"
    counts = await house.enter(as_csv([*changed, person(9)]))
    assert (counts.people, counts.known) == (1, 3)
    assert not house.opens(a_card(rows[0]), at("2026-07-01 08:00"))
    assert house.opens(card("A1A1A1A1"))
    async with house.tenancy.read() as reading:
        found = await house.tenancy.households.of_external_id(reading, _anyone(house), "1栋-101")
    assert {member.role for member in found.members} == {Role.LESSEE, Role.CO_APPLICANT}


async def test_an_import_that_breaks_off_leaves_nothing_and_goes_through_the_next_time(
    house: RegistrationHouse,
):
    """As with a lost connection or a power cut in the middle of the transaction."""
    data = as_csv(village(1200, 52))
    found = await house.examine(data)

    async def lost(done: int, most: int) -> None:
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await house.registration.enter(found, house.ACTOR, lost)
    assert await house.counts(*EVERYTHING) == [0] * len(EVERYTHING)
    assert not house.opens(a_card(village(1)[0]))
    assert (await house.enter(data)).people == 1200


async def test_a_very_large_file_goes_in_whole_flats_and_is_taken_up_where_it_broke_off(house, monkeypatch):
    monkeypatch.setattr(service, "PART", 10)
    data = as_csv(village(33, 2))
    found, heard = await house.examine(data), []

    async def lost(done: int, most: int) -> None:
        heard.append((done, most))
        if done > 15:
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await house.registration.enter(found, house.ACTOR, lost)
    (there, homes) = await house.counts(members, households)
    assert (there, homes) == (9, 3), "three flats of three, and no half flat"
    counts = await house.enter(data)
    assert (counts.people, counts.known) == (24, 9)
    assert await house.counts(members, households, holders) == [33, 11, 33]


async def test_a_file_with_one_fault_is_not_entered(house: RegistrationHouse):
    found = await house.examine(as_csv([*village(9), person(10, 身份证号="1")]))
    with pytest.raises(ValueError, match="faults"):
        await house.registration.enter(found, house.ACTOR)
    assert await house.counts(*EVERYTHING) == [0] * len(EVERYTHING)


class TestAgainstTheHouse:
    async def test_a_card_of_somebody_else(self, house: RegistrationHouse):
        actor = Actor("admin", "committee")
        await house.people.add("林", cards=[a_card(person(1))], profiles=["residents"], actor=actor)
        assert await faults(house, person(1)) == [(2, "卡号", "card_taken")]

    async def test_a_person_who_lives_elsewhere(self, house: RegistrationHouse):
        await house.enter(as_csv([person(1)]))
        assert await faults(house, person(1, 房号="999")) == [(2, "房号", "tenancy.lives_elsewhere")]

    async def test_a_household_that_checked_out(self, house: RegistrationHouse):
        await house.enter(as_csv([person(1)]))
        async with house.tenancy.read() as reading:
            found = await house.tenancy.households.of_external_id(reading, _anyone(house), "1栋-101")
        await house.do("households", "check_out", found.id)
        assert (await faults(house, person(1)))[0] == (2, "房号", "tenancy.checked_out")

    async def test_profiles_and_landlords_that_do_not_exist(self, house: RegistrationHouse):
        row = person(1) | {"房东": "nobody", "权限组": "unit-1;nowhere"}
        assert sorted(await faults(house, row)) == [
            (2, "房东", "tenancy.no_landlord"),
            (2, "权限组", "no_profile"),
        ]

    async def test_a_lease_that_is_over(self, house: RegistrationHouse):
        over = person(1, 起租日="2025-01-01", 到期日="2026-02-01")
        assert await faults(house, over) == [(2, "到期日", "over")]

    async def test_an_identity_number_that_is_registered_under_another_person(self, house: RegistrationHouse):
        await house.enter(as_csv([person(1)]))
        found = await house.examine(as_csv([person(1), person(90, 身份证号=number(1))]))
        assert [(one.key.rpartition(".")[2], one.row) for one in found.likely] == [
            ("number_row", 3),
            ("number_here", 3),
        ]

    async def test_the_rooms_units_profile_is_carried_by_who_lives_there(self, house: RegistrationHouse):
        row = person(1) | {"权限组": "unit-1"}
        await house.enter(as_csv([row]))
        assert house.opens(a_card(row), point="unit-in")


async def test_of_an_identity_number_a_keyed_hash_and_four_characters_are_kept(
    house: RegistrationHouse, tmp_path
):
    await house.enter(as_csv([person(1)]))
    async with house.rights.store.read() as connection:
        (row,) = (await connection.execute(select(holders))).all()
    assert len(row.document) == 16
    assert house.people.documents.last_four(row.id, row.document_sealed) == number(1)[-4:]
    kept = b"".join(file.read_bytes() for file in tmp_path.glob("*.db*"))
    for secret in (number(1), person(1)["姓名"], person(1)["电话"], person(1)["卡号"]):
        assert secret.encode() not in kept


async def test_a_number_that_a_corrected_list_brings_is_known_from_then_on(house: RegistrationHouse):
    await house.enter(as_csv([person(1, 身份证号="")]))
    assert (await house.examine(as_csv([person(90, 身份证号=number(1))]))).likely == ()
    await house.enter(as_csv([person(1)]))
    found = await house.examine(as_csv([person(90, 身份证号=number(1))]))
    assert [one.key for one in found.likely] == ["registration.likely.number_here"]


async def test_numbers_go_with_the_people(house: RegistrationHouse):
    await house.enter(as_csv([person(1)]))
    async with house.rights.store.read() as connection:
        holder = (await connection.execute(select(holders.c.id))).scalar_one()
    await house.people.remove(holder, actor=house.ACTOR)
    assert await house.people.documents.by_numbers([number(1)]) == {}


async def test_a_name_of_spaces_enters_nobody(house: RegistrationHouse):
    from menwei import NewPerson

    async with house.tenancy.transaction() as tx:
        with pytest.raises(InvalidName):
            await house.tenancy.context.people.add_many(tx, [NewPerson("林"), NewPerson(" \u200b ")])
    assert await house.counts(holders) == [0]


async def test_a_list_by_names_enters_people_into_the_places_that_stand(house: RegistrationHouse):
    await house.places()
    row = person(1, 楼栋="1号楼", 单元="１单元", 房号="302室", 姓名="张　三", 编号="", 身份证号="")
    counts = await house.enter(as_csv([row]))
    assert (counts.rooms, counts.people) == (0, 1)
    assert await house.counts(buildings, flats) == [1, 1]
    assert house.opens(a_card(row), point="unit-in"), "by the profile of the unit"
    flat = await house.ask("places", "flat_of", "B1-1-302")
    assert (flat.building, flat.unit, flat.name) == ("1号楼", "1单元", "302室")
    counts = await house.enter(as_csv([row | {"楼栋": "B1", "姓名": "张三"}]))
    assert (counts.rooms, counts.people, counts.known) == (0, 0, 1)


class TestOverHttp:
    async def send(self, client, data: bytes, **query: str):
        answer = await client.post(
            PATH, data=data, params=query, headers={"Content-Type": "application/octet-stream"}
        )
        text = await answer.text()
        return answer.status, [json.loads(line) for line in text.splitlines()]

    async def test_the_answer_tells_the_progress_and_the_end(self, house, client):
        await sign_in(client)
        status, lines = await self.send(client, as_csv(village(1200)))
        found, *progress, end = lines
        assert (status, found["people"], found["faults"]) == (200, 1200, [])
        assert [line["done"] for line in progress] == sorted(line["done"] for line in progress)
        assert progress[-1] == {"done": 1200, "of": 1200}
        assert end["entered"]["people"] == 1200
        assert (await house.audits())[-1]["action"] == "registration.import"

    async def test_a_dry_run_writes_nothing(self, house, client):
        await sign_in(client, "registrar")
        status, (found,) = await self.send(client, as_csv(village(9)), dry_run="true")
        assert (status, found["people"], found["new"]) == (200, 9, ["1栋", "2栋", "3栋"])
        assert await house.counts(*EVERYTHING) == [0] * len(EVERYTHING)

    @pytest.mark.parametrize(("language", "says"), [("zh-CN", "日期应写作"), ("en", "Write days as")])
    async def test_faults_are_sentences_in_the_callers_language(self, house, client, language, says):
        await sign_in(client)
        client.session.headers["Accept-Language"] = language
        _, (found,) = await self.send(client, as_csv([person(1, 到期日="soon")]))
        (fault,) = found["faults"]
        assert (fault["row"], fault["column"]) == (2, "到期日")
        assert fault["message"].startswith(says)

    async def test_likely_duplicates_wait_for_a_decision(self, house, client):
        await sign_in(client)
        data = as_csv([person(1, 身份证号="", 姓名="张伟"), person(2, 身份证号="", 姓名="张玮")])
        _, (found,) = await self.send(client, data)
        assert [(one["row"], one["other"]) for one in found["likely"]] == [(3, 2)]
        assert await house.counts(members) == [0]
        _, lines = await self.send(client, data, accept_likely="true")
        assert lines[-1]["entered"]["people"] == 2

    @pytest.mark.parametrize("role", ["guard", "landlord", "tenant", "installer", "auditor"])
    async def test_others_than_the_desk_import_nothing(self, house, client, role):
        await sign_in(client, role)
        status, _ = await self.send(client, as_csv([person(1)]))
        assert status == 403

    async def test_what_is_no_list_is_refused_in_a_sentence(self, house, client):
        await sign_in(client)
        status, (told,) = await self.send(client, b"\x00\xff\xfe\x00")
        assert (status, told["error"]) == (400, "registration.file.encoding")


async def test_every_word_the_plugin_may_say_is_in_both_catalogues(house: RegistrationHouse):
    import re
    from pathlib import Path

    folder = Path(service.__file__).parent
    text = "".join(file.read_text("utf-8") for file in folder.glob("*.py"))
    keys = {f"registration.{key}" for key in re.findall(r'\.fault\([^"]*"\w+", "(\w+)"', text)}
    keys |= set(re.findall(r'"(registration\.[a-z_.]+[a-z_])"', text))
    assert len(keys) > 30
    for key in keys:
        for language in ("zh-CN", "en"):
            assert house.messages.find(language, key) is not None, key


async def test_a_store_from_before_lets_go_of_the_numbers_that_stood_there(house: RegistrationHouse):
    async with house.rights.store.read() as connection:
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        version = await connection.execute(text("SELECT version_num FROM menwei_version_registration"))
        assert version.scalar_one() == "0002"
    assert "registration_numbers" not in tables


async def test_who_was_entered_with_a_document_at_the_desk_is_pointed_out_in_a_list(house: RegistrationHouse):
    from menwei.model import Document, DocumentKind

    read = Document(DocumentKind.RESIDENT_CARD, "林", number(1))
    held = await house.people.documents.hold(read, house.ACTOR)
    await house.people.add("林", document=held.handle, actor=house.ACTOR)
    found = await house.examine(as_csv([person(1), person(5)]))
    assert [(one.row, one.other) for one in found.likely] == [(2, 0)]


async def test_who_was_entered_from_a_list_is_known_when_their_document_is_read(house: RegistrationHouse):
    from menwei.model import Document, DocumentKind

    await house.enter(as_csv([person(1)]))
    read = Document(DocumentKind.RESIDENT_CARD, "林", number(1))
    held = await house.people.documents.hold(read, house.ACTOR)
    async with house.rights.store.read() as connection:
        holder = (await connection.execute(select(holders.c.id))).scalar_one()
    assert held.holders == (holder,)
    assert (await house.people.get(holder)).document == number(1)[-4:]


async def test_an_import_gives_the_event_loop_back_every_few_people(
    house: RegistrationHouse, monkeypatch: pytest.MonkeyPatch
):
    """Doors are served by the same loop: no step enters more people, no statement writes more rows, than these."""
    from menwei.people import People
    from menwei.store import Transaction

    steps, rows = [], []
    many, execute = People.add_many, Transaction.execute

    async def add_many(self, persons, **more):
        steps.append(len(persons))
        return await many(self, persons, **more)

    async def counted(self, statement, given=None):
        rows.append(len(given) if isinstance(given, list) else 1)
        return await execute(self, statement, given)

    monkeypatch.setattr(People, "add_many", add_many)
    monkeypatch.setattr(Transaction, "execute", counted)
    await house.enter(as_csv(village(600)))
    assert sum(steps) == 600
    assert max(steps) <= 250
    assert max(rows) <= 1500, "250 people with six forms of their card each"
