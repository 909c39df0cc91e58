"""The registration desk: one request enters somebody with everything, or nobody with anything."""

from __future__ import annotations

import asyncio
import re
from datetime import date
from typing import Any

import pytest
from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer

from menwei.model import Document, DocumentKind
from menwei.schema import holders
from menwei.supervisor import DeviceState
from menwei.web import application
from menwei_console import register_routes
from menwei_registration.pages import last_day
from menwei_tenancy.tables import households, members
from registration_house import RegistrationHouse, registration_house
from small_house import HOUSE, sign_in
from tenancy_house import card

pytestmark = pytest.mark.slow

PATH = "/api/registration/members"
LIN, WANG = card("A1A1A1A1"), card("B2B2B2B2")
NUMBER = "110105194912310021"
TOUCH = {"reader": "board/desk", "seconds": 20}


@pytest.fixture
async def house(tmp_path):
    async with registration_house(tmp_path) as opened:
        yield opened


@pytest.fixture
async def client(house: RegistrationHouse):
    if house.messages.find("en", "console.cancel") is None:
        house.messages.add("menwei_console")
    own = [route for plugin in house.plugins.values() for route in plugin.routes]
    app = application(house, [*own, *register_routes()])
    app[HOUSE] = house
    async with TestClient(TestServer(app, host="127.0.0.1"), cookie_jar=CookieJar(unsafe=True)) as opened:
        yield opened


@pytest.fixture
async def flat(house: RegistrationHouse) -> int:
    return await house.places()


async def arrive(client, house, value: str = "", status: int = 200, **body: Any) -> dict[str, Any]:
    """Somebody arrives at the desk; with `value`, they touch that card."""
    given = {**(TOUCH if value else {}), **body}
    asking = asyncio.create_task(client.post(PATH, json=given))
    if value:
        await house.devices.touch("desk", value)
    answer = await asking
    text = await answer.text()
    assert answer.status == status, text
    return dict(await answer.json())


async def test_a_family_is_entered_member_by_member_and_passes(house, client, flat):
    await sign_in(client, "registrar")
    first = await arrive(
        client,
        house,
        "A1A1A1A1",
        flat=flat,
        first_day="2026-03-02",
        last_day="2027-03-01",
        role="lessee",
        name="林",
    )
    second = await arrive(
        client, house, "B2B2B2B2", flat=flat, household=first["household"], role="co-applicant", name="林小满"
    )
    assert second["household"] == first["household"]
    assert house.opens(LIN, point="unit-in") and house.opens(WANG, point="unit-in")
    (home,) = await house.ask("households", "in_flat", flat)
    assert (home.lease.last_day, len(home.members)) == (date(2027, 3, 1), 2)


async def test_the_document_that_was_read_is_theirs_and_they_are_known_by_it_again(house, client, flat):
    me = await sign_in(client, "registrar")
    who = next(account for account in await house.accounts.list() if account.name == me.name).actor
    held = await house.people.documents.hold(Document(DocumentKind.RESIDENT_CARD, "林", NUMBER), who)
    made = await arrive(client, house, "A1A1A1A1", flat=flat, role="lessee", name="林", document=held.handle)
    assert (await house.people.get(made["holder"])).document == "0021"
    again = await house.people.documents.hold(Document(DocumentKind.RESIDENT_CARD, "林", NUMBER), who)
    assert again.holders == (made["holder"],)
    taken = await arrive(
        client, house, flat=flat, role="carer", name="别人", document=again.handle, status=409
    )
    assert taken["error"] == "rights.document_taken"
    assert await house.counts(holders, households) == [1, 1]


async def test_a_cohabitant_consents_and_touches_or_gets_no_card(house, client, flat):
    await sign_in(client, "registrar")
    refused = await client.post(PATH, json={"flat": flat, "role": "cohabitant", "name": "王", **TOUCH})
    assert (await refused.json())["error"] == "tenancy.no_consent"
    made = await arrive(client, house, "B2B2B2B2", flat=flat, role="cohabitant", name="王", consent="1")
    assert house.opens(WANG)
    member = await house.ask("households", "member", made["member"])
    assert member.collected == house.clock.now()
    later = await arrive(client, house, flat=flat, role="cohabitant", name="李")
    assert later["credential"] is None
    assert (await house.ask("households", "member", later["member"])).collected is None


async def test_nobody_touches_a_card_and_nobody_is_entered(house, client, flat):
    await sign_in(client, "registrar")
    answer = await client.post(
        PATH, json={"flat": flat, "role": "lessee", "name": "林", **TOUCH, "seconds": 1}
    )
    assert (await answer.json())["error"] == "web.no_card"
    assert await house.counts(holders, households, members) == [0, 0, 0]


async def test_a_card_that_is_somebodys_enters_nobody(house, client, flat):
    await sign_in(client, "registrar")
    await arrive(client, house, "A1A1A1A1", flat=flat, role="lessee", name="林")
    refused = await arrive(client, house, "A1A1A1A1", 409, flat=flat, role="lessee", name="王")
    assert refused["error"] == "rights.identifier_taken"
    assert await house.counts(holders, households, members) == [1, 1, 1]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"flat": 4711}, "tenancy.no_flat"),
        ({"household": 4711}, "tenancy.no_household"),
        ({"name": ""}, "web.field.missing"),
        ({"first_day": "2026-03-02", "last_day": "2026-03-01"}, "tenancy.days_reversed"),
        ({"reader": "board/documents"}, "web.no_reader"),
        ({"reader": "attic/in"}, "web.no_reader"),
    ],
)
async def test_what_is_wrong_is_told_before_anybody_touches_anything(house, client, flat, body, error):
    await sign_in(client, "registrar")
    answer = await client.post(PATH, json={"flat": flat, "role": "lessee", "name": "林", **TOUCH, **body})
    assert (await answer.json())["error"] == error
    assert not house.devices.captures


async def test_a_household_of_another_flat_is_not_there(house, client, flat):
    await sign_in(client, "registrar")
    made = await arrive(client, house, flat=flat, role="lessee", name="林")
    async with house.tenancy.transaction() as tx:
        from tenancy_house import COMMITTEE

        other = await house.tenancy.places.put_flat(tx, COMMITTEE, "B1-1-303", "B1-1", "303室")
    refused = await arrive(
        client, house, flat=other, household=made["household"], role="carer", name="王", status=404
    )
    assert refused["error"] == "tenancy.no_household"


@pytest.mark.parametrize("role", ["guard", "landlord", "tenant", "installer", "auditor"])
async def test_the_desk_is_the_registrars(client, house, role):
    await sign_in(client, role)
    assert (await client.post(PATH, json={})).status == 403
    for page in ("/register", "/register/import"):
        assert (await client.get(page)).status == 403


async def test_the_pages_name_what_they_need(house, client):
    await sign_in(client, "registrar")
    desk = await (await client.get("/register", headers={"Accept-Language": "zh-CN"})).text()
    assert 'value="2027-03-01"' in desk, "a year from today is proposed"
    assert desk.index("board/desk") < desk.index("board/in"), "a desk's reader comes first"
    house.supervisor.board = DeviceState.RETRYING
    desk = await (await client.get("/register", headers={"Accept-Language": "zh-CN"})).text()
    assert "小区门 · 进（离线）" in desk
    house.supervisor.board = DeviceState.READY
    upload = await (await client.get("/register/import", headers={"Accept-Language": "zh-CN"})).text()
    for heading in ("楼栋", "房号", "身份证号"):
        assert heading in upload
    for name in re.findall(r"/register/static/[0-9a-f]+/[a-z.]+", desk + upload):
        answer = await client.get(name)
        assert answer.status == 200
        assert "immutable" in answer.headers["Cache-Control"]


@pytest.mark.parametrize(
    ("first", "months", "last"),
    [
        ("2026-03-02", 12, "2027-03-01"), ("2026-01-01", 12, "2026-12-31"), ("2026-12-15", 1, "2027-01-14"),
        ("2026-01-31", 1, "2026-02-28"), ("2024-01-31", 1, "2024-02-29"), ("2026-10-31", 1, "2026-11-30"),
        ("2025-12-31", 2, "2026-02-28"), ("2026-11-30", 3, "2027-02-28"),
    ],
)  # fmt: skip
def test_a_lease_of_months_ends_on_the_day_before(first, months, last):
    assert last_day(date.fromisoformat(first), months).isoformat() == last


async def test_who_did_it_is_in_the_audit_log(house, client, flat):
    await sign_in(client, "registrar")
    made = await arrive(client, house, flat=flat, role="lessee", name="林")
    entry = (await house.audits())[-1]
    assert (entry["action"], entry["actor"], entry["member"]) == (
        "registration.arrive",
        "the registrar",
        made["member"],
    )


@pytest.mark.parametrize("language", ["zh-CN", "en"])
async def test_every_word_of_the_pages_stands_in_both_catalogues(house, language):
    from pathlib import Path

    import menwei_registration

    folder = Path(menwei_registration.__file__).parent / "templates"
    text = "".join(file.read_text("utf-8") for file in folder.glob("*.html"))
    keys = set(re.findall(r"[\"']((?:registration|tenancy)\.[a-z_.]+[a-z_])[\"']", text))
    assert len(keys) > 30
    for key in sorted(keys):
        assert house.messages.find(language, key), key
