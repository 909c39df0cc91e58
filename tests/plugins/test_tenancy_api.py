"""The tenancy's API, as a housing system, a desk and a landlord call it over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer

from menwei.callers import CSRF_HEADER
from menwei.openapi import describe
from menwei.web import application
from small_house import HOUSE, PASSWORD, sign_in
from tenancy_house import TenancyHouse, card, tenancy_house

pytestmark = pytest.mark.slow

BASE = "/api/tenancy"
LIN, WANG = card("A1A1A1A1"), card("B2B2B2B2")


@pytest.fixture
async def house(tmp_path):
    async with tenancy_house(tmp_path) as opened:
        yield opened


@pytest.fixture
async def client(house: TenancyHouse):
    app = application(house, [route for plugin in house.plugins.values() for route in plugin.routes])
    app[HOUSE] = house
    async with TestClient(TestServer(app, host="127.0.0.1"), cookie_jar=CookieJar(unsafe=True)) as opened:
        yield opened


async def send(
    client: TestClient[Any, Any], method: str, path: str, body: Any = None, status: int = 200
) -> Any:
    answer = (
        await client.request(method, BASE + path, json=body)
        if method != "GET"
        else await client.get(BASE + path)
    )
    text = await answer.text()
    assert answer.status == status, text
    return await answer.json()


async def landlord(house, client, name):
    """A landlord's account, and a browser of theirs."""
    account = await house.accounts.create(name, "landlord", PASSWORD)
    await send(client, "PUT", f"/landlords/{name}", {"account": account.id})
    browser = TestClient(client.server, cookie_jar=CookieJar(unsafe=True))
    answer = await browser.post("/api/login", json={"name": name, "password": PASSWORD})
    browser.session.headers[CSRF_HEADER] = (await answer.json())["csrf"]
    return browser


async def synced(client, flat_landlord=None):
    """Building, unit, flat and household, as a housing system sends them; the household's number."""
    await send(client, "PUT", "/buildings/B1", {"name": "1号楼"})
    await send(client, "PUT", "/units/B1-1", {"building": "B1", "name": "1单元", "profiles": ["unit-1"]})
    flat = {"unit": "B1-1", "name": "302室", "landlord": flat_landlord}
    made = await send(client, "PUT", "/flats/B1-1-302", flat)
    household = await send(
        client, "PUT", "/synced-households/contract%2017", {"flat": "B1-1-302", "last_day": "2026-06-30"}
    )
    return made["id"], household["id"]


async def test_numbers_sent_in_full_width_are_those_of_the_same_places(house, client):
    await sign_in(client)
    flat, household = await synced(client)
    await send(
        client, "PUT", "/units/Ｂ１－１", {"building": "Ｂ１", "name": "1单元", "profiles": ["unit-1"]}
    )
    again = await send(client, "PUT", "/flats/Ｂ１－１－３０２", {"unit": "Ｂ１－１", "name": "302室"})
    moved = {"flat": "Ｂ１－１－３０２", "last_day": "2026-06-30"}
    same = await send(client, "PUT", "/synced-households/contract%20１７", moved)
    assert (again["id"], same["id"]) == (flat, household)


async def test_a_housing_system_sends_the_same_twice_and_it_is_there_once(house, client):
    await sign_in(client)
    first, second = await synced(client), await synced(client)
    assert first == second
    member = {"role": "lessee", "name": "林", "external_id": "person-4"}
    one = await send(client, "POST", f"/households/{first[1]}/members", member)
    two = await send(client, "POST", f"/households/{first[1]}/members", {**member, "role": "co-applicant"})
    assert one == two
    found = await send(client, "GET", "/synced-households/contract%2017")
    assert [(m["role"], m["name"]) for m in found["members"]] == [("co-applicant", "林")]
    assert (found["last_day"], found["state"]) == ("2026-06-30", "active")


async def test_from_moving_in_to_checking_out_and_back(house, client):
    await sign_in(client)
    _, household = await synced(client)
    member = (
        await send(client, "POST", f"/households/{household}/members", {"role": "lessee", "name": "林"})
    )["id"]
    await send(
        client,
        "POST",
        f"/members/{member}/passes",
        {"format": "uid", "value": "A1A1A1A1", "kind": "citizen-card"},
    )
    assert house.opens(LIN, point="unit-in")
    await send(client, "POST", f"/households/{household}/extend", {"last_day": "2027-06-30"})
    ended = await send(client, "POST", f"/households/{household}/check-out")
    assert ended["undo_until"] == house.clock.now() + 600
    assert not house.opens(LIN)
    assert (await send(client, "GET", f"/households/{household}"))["undo_until"] == ended["undo_until"]
    await send(client, "POST", f"/households/{household}/undo")
    assert house.opens(LIN)
    refused = await send(client, "POST", f"/households/{household}/undo", status=409)
    assert refused["error"] == "tenancy.too_late_to_undo"


async def test_a_cohabitant_is_collected_by_a_touch_at_a_reader_and_never_by_a_number(house, client):
    await sign_in(client)
    _, household = await synced(client)
    member = (
        await send(client, "POST", f"/households/{household}/members", {"role": "cohabitant", "name": "王"})
    )["id"]
    typed = {"format": "uid", "value": "B2B2B2B2"}
    assert (await send(client, "POST", f"/members/{member}/passes", typed, 409))[
        "error"
    ] == "tenancy.collect_first"
    body = {"reader": "board/in", "seconds": 20, "consent": "2026-1", "kind": "key-card"}
    for extra in ({"value": "B2B2B2B2"}, {"at": 0}, {"valid_to": 9e9}):
        await send(client, "POST", f"/members/{member}/collect", body | extra, 400)
    asking = asyncio.create_task(send(client, "POST", f"/members/{member}/collect", body))
    await house.devices.touch("in", "B2B2B2B2")
    credential = (await asking)["id"]
    assert house.opens(WANG)
    for path, moved in (
        ("validity", {"valid_to": "2035-01-01T00:00:00Z"}),
        ("validity", {"last_day": "2035-01-01"}),
        ("validity", {}),
    ):
        answer = await client.post(f"/api/credentials/{credential}/{path}", json=moved)
        assert (answer.status, (await answer.json())["error"]) == (409, "tenancy.collect_again")
    assert len(house.rights.snapshot.of_holder(house.rights.snapshot.credential(credential).holder)) == 1


async def test_nobody_touches_anything_and_nothing_changes(house, client):
    await sign_in(client)
    _, household = await synced(client)
    member = (
        await send(client, "POST", f"/households/{household}/members", {"role": "cohabitant", "name": "王"})
    )["id"]
    body = {"reader": "board/in", "seconds": 1, "consent": "2026-1"}
    assert (await send(client, "POST", f"/members/{member}/collect", body, 409))["error"] == "web.no_card"
    away = await send(client, "POST", f"/members/{member}/collect", body | {"reader": "board/attic"}, 404)
    assert away["error"] == "web.no_reader"
    assert (await send(client, "GET", f"/households/{household}"))["members"][0]["collected"] is None


async def test_names_are_shown_to_an_unlocked_session_only(house, client):
    await sign_in(client)
    _, household = await synced(client)
    await send(client, "POST", f"/households/{household}/members", {"role": "lessee", "name": "林"})
    assert (await send(client, "GET", f"/households/{household}"))["members"][0]["name"] == "林"
    client.session.cookie_jar.clear()
    await sign_in(client, "registrar")
    assert (await send(client, "GET", f"/households/{household}"))["members"][0]["name"] is None


async def test_what_was_done_is_in_the_audit_log_with_who_did_it(house, client):
    await sign_in(client)
    _, household = await synced(client)
    await send(client, "POST", f"/households/{household}/check-out")
    entry = (await house.audits())[-1]
    assert (entry["action"], entry["actor"], entry["household"]) == ("tenancy.check_out", "admin", household)


# ------------------------------------------------------------------------------------------- landlords: their own rooms


@pytest.fixture
async def village(house, client):
    """Two landlords; the one flat is B's, and somebody lives there."""
    await sign_in(client)
    ann, ben = await landlord(house, client, "A"), await landlord(house, client, "B")
    flat, household = await synced(client, "B")
    member = (
        await send(client, "POST", f"/households/{household}/members", {"role": "lessee", "name": "林"})
    )["id"]
    given = await send(client, "POST", f"/members/{member}/passes", {"format": "uid", "value": "A1A1A1A1"})
    names = {"flat": flat, "household": household, "member": member, "credential": given["id"]}
    yield ann, ben, names
    for browser in (ann, ben):
        await browser.session.close()


BODIES: dict[str, Any] = {
    "/households": {"flat": None, "last_day": "2026-12-31", "name": "王"},
    "/lease": {"last_day": "2026-12-31"},
    "/extend": {"last_day": "2026-12-31"},
    "/members": {"role": "carer", "name": "王"},
    "/passes": {"format": "uid", "value": "B2B2B2B2"},
}


def landlord_routes():
    from menwei_tenancy.api import routes

    mine = [route for route in routes() if "landlord" in route.roles]
    return [
        (route.method, route.template)
        for route in mine
        if "{" in route.template or route.template == BASE + "/households"
    ]


@pytest.mark.parametrize(("method", "template"), landlord_routes())
async def test_landlord_a_on_bs_room_finds_nothing(house, village, method, template):
    ann, ben, names = village
    path = template.format(**names).removeprefix(BASE)
    body = next((value for end, value in BODIES.items() if template.endswith(end)), {})
    if "flat" in body:
        body = {**body, "flat": names["flat"]}
    revision = house.rights.snapshot.revision
    refused = await send(ann, method, path, body, 404)
    assert refused["error"].startswith("tenancy.no_")
    assert house.rights.snapshot.revision == revision
    assert house.opens(LIN)
    mine = await ben.request(method, BASE + path, json=body if method == "POST" else None)
    assert mine.status in (200, 409), await mine.text()  # the same call in the own room is understood


async def test_lists_show_a_landlord_their_own(village):
    ann, ben, _ = village
    assert (await send(ann, "GET", "/flats"))["flats"] == []
    assert len((await send(ben, "GET", "/flats"))["flats"]) == 1
    for browser, count in ((ann, 0), (ben, 1)):
        assert len((await send(browser, "GET", "/expiring?days=180"))["members"]) == count


async def test_a_landlord_gives_a_room_extends_ends_and_restores(house, village):
    _, ben, names = village
    given = await send(
        ben, "POST", "/households", {"flat": names["flat"], "last_day": "2026-06-30", "name": "王"}
    )
    made = await send(
        ben, "POST", f"/members/{given['member']}/passes", {"format": "uid", "value": "B2B2B2B2"}
    )
    await send(ben, "POST", f"/households/{given['household']}/extend", {"last_day": "2026-12-31"})
    await send(ben, "POST", f"/passes/{made['id']}/lost")
    assert not house.opens(WANG)
    await send(ben, "POST", f"/passes/{made['id']}/restore")
    assert house.opens(WANG)
    await send(ben, "POST", f"/households/{given['household']}/check-out")
    assert not house.opens(WANG)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/buildings/B9", {"name": "x"}),
        ("PUT", "/flats/B1-1-302", {"unit": "B1-1", "name": "x", "landlord": "A"}),
        ("PUT", "/landlords/A", {"account": None}),
        ("PUT", "/synced-households/contract%2017", {"flat": "B1-1-302"}),
        ("GET", "/synced-households/contract%2017", None),
        ("POST", "/members/{member}", {"role": "carer"}),
        ("POST", "/members/{member}/touch", {"reader": "board/in"}),
        ("POST", "/members/{member}/collect", {"reader": "board/in", "consent": "1"}),
        ("GET", "/cancelled", None),
    ],
)
async def test_what_is_the_desks_is_not_a_landlords(village, method, path, body):
    _, ben, names = village
    refused = await send(ben, method, path.format(**names), body, 403)
    assert refused["error"] == "web.not_your_role"


async def test_a_landlords_token_is_nobodys_and_an_account_without_rooms_neither(house, client):
    await sign_in(client)
    _, secret = await house.accounts.tokens.create("program", "landlord")
    client.session.cookie_jar.clear()
    answer = await client.get(BASE + "/flats", headers={"Authorization": f"Bearer {secret}"})
    assert (answer.status, (await answer.json())["error"]) == (403, "tenancy.no_landlord_account")
    await sign_in(client, "landlord")
    assert (await send(client, "GET", "/flats", status=403))["error"] == "tenancy.no_landlord_account"


@pytest.mark.parametrize("role", ["guard", "tenant", "installer", "auditor"])
async def test_other_roles_have_no_business_here(house, client, role):
    await sign_in(client, role)
    for method, template in landlord_routes():
        path = template.removeprefix(BASE)
        for name in ("flat", "household", "member", "credential"):
            path = path.replace("{" + name + "}", "1")
        await send(client, method, path, {}, 403)


async def test_only_a_landlords_account_becomes_a_landlord(house, client):
    me = await sign_in(client)
    accounts = await house.accounts.list()
    refused = await send(client, "PUT", "/landlords/A", {"account": accounts[0].id}, 409)
    assert refused["error"] == "tenancy.not_a_landlord_account"
    assert me.name == "admin"


async def test_the_committee_sees_tries_with_cancelled_cards(house, client):
    await sign_in(client)
    data = {"passage": "1-7", "state": "Lost"}
    await house.tenancy.context.facts.record("CancelledUse", door="gate", access_point="gate-in", data=data)
    (found,) = (await send(client, "GET", "/cancelled"))["tries"]
    assert (found["door"], found["state"], found["passage"]) == ("gate", "Lost", "1-7")


# -------------------------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize("language", ["zh-CN", "en"])
async def test_every_sentence_the_plugin_says_stands_in_both_catalogues(house, language):
    import re
    from pathlib import Path

    import menwei_tenancy

    routes = [route for plugin in house.plugins.values() for route in plugin.routes]
    describe(routes, "x", lambda key: house.messages.t(language, key))  # a missing summary raises
    folder = Path(menwei_tenancy.__file__).parent
    source = "".join(path.read_text("utf-8") for path in folder.glob("*.py"))
    keys = set(re.findall(r'"(tenancy\.[a-z_.]+[a-z])"', source))
    keys |= {f"tenancy.no_{what}" for what in re.findall(r'not_found\("(\w+)"\)', source)}
    assert len(keys) > 40
    for key in keys - {"tenancy.api", "tenancy.role"}:
        assert house.messages.find(language, key), key
