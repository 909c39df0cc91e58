"""The visitors' API and pages, as residents, a guard and the committee use them over HTTP."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from menwei.callers import CSRF_HEADER
from menwei.openapi import describe
from menwei.web import application
from menwei_visitors.tables import TABLES, metadata
from small_house import HOUSE, PASSWORD, sign_in
from visitors_house import FLAT, VisitorsHouse, at, visitors_house

pytestmark = pytest.mark.slow

BASE = "/api/visitors"


@pytest.fixture
async def house(tmp_path):
    async with visitors_house(tmp_path, per_flat=3) as opened:
        yield opened


@pytest.fixture
async def client(house: VisitorsHouse):
    app = application(house, [route for plugin in house.plugins.values() for route in plugin.routes])
    app[HOUSE] = house
    async with TestClient(TestServer(app, host="127.0.0.1"), cookie_jar=CookieJar(unsafe=True)) as opened:
        yield opened


async def send(client: Any, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    answer = (
        await client.request(method, BASE + path, json=body)
        if method != "GET"
        else await client.get(BASE + path)
    )
    text = await answer.text()
    assert answer.status == status, text
    return await answer.json()


async def resident(house: VisitorsHouse, client: Any, name: str, flat: str) -> Any:
    """A resident's account for a flat, and a browser of theirs."""
    account = await house.accounts.create(name, "tenant", PASSWORD)
    if flat:
        await send(client, "POST", "/hosts", {"account": account.id, "flat": flat})
    browser = TestClient(client.server, cookie_jar=CookieJar(unsafe=True))
    answer = await browser.post("/api/login", json={"name": name, "password": PASSWORD})
    browser.session.headers[CSRF_HEADER] = (await answer.json())["csrf"]
    return browser


async def test_a_resident_invites_for_their_own_flat_and_the_code_opens(house, client):
    await sign_in(client)
    lin = await resident(house, client, "lin", FLAT)
    made = await send(lin, "POST", "/passes", {"purpose": "repair"})
    assert (made["flat"], made["purpose"], len(made["code"])) == (FLAT, "repair", 8)
    assert await house.passes(made["code"])
    assert (await send(lin, "GET", f"/passes/{made['id']}"))["code"] == made["code"]
    await send(lin, "POST", f"/passes/{made['id']}/end")
    assert not await house.passes(made["code"])


async def test_a_resident_neither_invites_for_nor_sees_nor_ends_what_is_another_flats(house, client):
    await sign_in(client)
    lin = await resident(house, client, "lin", FLAT)
    wang = await resident(house, client, "wang", "B1-1-401")
    made = await send(lin, "POST", "/passes")
    told = await send(wang, "POST", "/passes", {"flat": FLAT}, 403)
    assert told["error"] == "visitors.not_your_flat"
    assert (await send(wang, "GET", "/passes"))["passes"] == []
    for method, path in (("GET", ""), ("POST", "/end")):
        told = await send(wang, method, f"/passes/{made['id']}{path}", status=404)
        assert told["error"] == "visitors.no_pass"
    assert (await wang.get(f"{BASE}/passes/{made['id']}/qr.svg")).status == 404
    assert await house.passes(made["code"])


async def test_nobody_is_given_another_flats_code_for_a_number_they_guessed(house, client):
    await sign_in(client)
    lin = await resident(house, client, "lin", FLAT)
    wang = await resident(house, client, "wang", "B1-1-401")
    made = await send(lin, "POST", "/passes", {"external_id": "1"})
    courier = await send(client, "POST", "/couriers", {"external_id": "c1"})
    for guessed in ("1", "c1"):
        own = await send(wang, "POST", "/passes", {"external_id": guessed})
        assert (own["flat"], own["id"] in (made["id"], courier["id"])) == ("B1-1-401", False)
    at_desk = await send(client, "POST", "/passes", {"flat": "B1-1-401", "external_id": "1"})
    assert at_desk["flat"] == "B1-1-401"


async def test_a_resident_without_a_flat_invites_nobody(house, client):
    await sign_in(client)
    nobody = await resident(house, client, "nobody", "")
    assert (await send(nobody, "POST", "/passes", {"flat": FLAT}, 403))["error"] == "visitors.no_own_flat"
    assert (await send(nobody, "GET", "/passes", status=403))["error"] == "visitors.no_own_flat"


async def test_only_the_desk_gives_courier_passes_and_waits_for_cards_and_only_the_committee_sets_hosts(
    house, client
):
    await sign_in(client)
    lin = await resident(house, client, "lin", FLAT)
    await send(lin, "POST", "/couriers", {}, 403)
    await send(lin, "POST", "/cards", {"flat": FLAT, "reader": "board/in"}, 403)
    await send(lin, "POST", "/check", {"code": "x"}, 403)
    await send(lin, "GET", "/hosts", status=403)
    guard = TestClient(client.server, cookie_jar=CookieJar(unsafe=True))
    await sign_in(guard, "guard")
    assert (await send(guard, "POST", "/couriers"))["kind"] == "courier"
    await send(guard, "GET", "/hosts", status=403)
    for role in ("landlord", "installer", "auditor"):
        other = TestClient(client.server, cookie_jar=CookieJar(unsafe=True))
        await sign_in(other, role)
        await send(other, "POST", "/passes", {"flat": FLAT}, 403)


async def test_a_guard_is_offered_the_reader_of_the_desk_first(house, client):
    await sign_in(client, "guard")
    page = await (await client.get("/visitors", headers={"Accept-Language": "zh-CN"})).text()
    offered = re.findall(r'<option value="(board/[a-z]+)">([^<]+)<', page)
    assert offered[0] == ("board/desk", "发卡读卡器 board/desk")
    assert ("board/in", "小区门 · 进") in offered


async def test_a_guard_lets_a_visitor_touch_their_id_card_at_a_reader(house, client):
    await sign_in(client, "guard")
    touched = asyncio.create_task(house.devices.touch("in", "0123456789ABCDEF", "idcard"))
    made = await send(client, "POST", "/cards", {"flat": FLAT, "reader": "board/in"})
    await touched
    assert (made["means"], made["code"], made["qr"]) == ("card", "", "")
    assert (await client.get(f"{BASE}/passes/{made['id']}/qr.svg")).status == 404
    told = await send(client, "POST", "/cards", {"reader": "board/nowhere"}, 404)
    assert told["error"] == "web.no_reader"


async def test_the_limit_of_a_flat_is_a_sentence_and_says_when_again(house, client):
    await sign_in(client)
    for _ in range(3):
        await send(client, "POST", "/passes", {"flat": FLAT})
    answer = await client.post(f"{BASE}/passes", json={"flat": FLAT})
    told = await answer.json()
    assert (answer.status, told["message"]) == (429, "今日访客数量已达上限，请联系值班室。")
    assert int(answer.headers["Retry-After"]) == 14 * 3600 + 1  # from ten in the morning to midnight


async def test_the_desk_checks_a_qr_code_that_somebody_shows(house, client):
    await sign_in(client)
    made = await send(client, "POST", "/passes", {"flat": FLAT})
    found = await send(client, "POST", "/check", {"code": made["qr"]})
    assert found["id"] == made["id"]
    assert "code" not in found
    for code, error in ((made["qr"][:-1] + "?", "forged"), ("https://example.org", "foreign")):
        told = await send(client, "POST", "/check", {"code": code}, 409)
        assert told["error"] == f"visitors.code.{error}"
    house.time = at("2026-03-03 00:00")
    await sign_in(client)
    told = await send(client, "POST", "/check", {"code": made["qr"]}, 409)
    assert told["error"] == "visitors.code.other_day"


async def test_whoever_invited_and_ended_stands_in_the_audit_without_a_code(house, client):
    await sign_in(client)
    made = await send(client, "POST", "/passes", {"flat": FLAT})
    await send(client, "POST", f"/passes/{made['id']}/end")
    audits = await house.audits()
    assert [a["action"] for a in audits][-2:] == ["visitors.invite", "visitors.end"]
    assert (audits[-1]["actor"], audits[-2]["flat"]) == ("admin", FLAT)
    assert made["code"] not in repr(audits)
    assert made["qr"] not in repr(audits)


async def test_a_pass_is_shown_with_a_qr_code_that_can_be_printed(house, client):
    await sign_in(client)
    made = await send(client, "POST", "/passes", {"flat": FLAT})
    picture = await client.get(f"{BASE}/passes/{made['id']}/qr.svg")
    assert picture.content_type == "image/svg+xml"
    assert (await picture.text()).startswith("<svg")
    page = await (await client.get(f"/visitors/{made['id']}")).text()
    assert f"{made['code'][:4]} {made['code'][4:]}" in page
    assert f"/api/visitors/passes/{made['id']}/qr.svg" in page
    assert "仅限" in page or "当日有效" in page


@pytest.mark.parametrize("language", ["zh-CN", "en"])
async def test_the_pages_of_the_desk_and_of_a_resident(house, client, language):
    await sign_in(client)
    lin = await resident(house, client, "lin", FLAT)
    made = await send(lin, "POST", "/passes", {"purpose": "moving"})
    headers = {"Accept-Language": language}
    for browser, desk in ((client, True), (lin, False)):
        answer = await browser.get("/visitors", headers=headers)
        page = await answer.text()
        assert answer.status == 200, page
        assert f'href="/visitors/{made["id"]}"' in page
        assert ("/api/visitors/couriers" in page, "/api/visitors/hosts" in page) == (desk, desk)
        assert 'aria-current="page"' in page, "the place stands in the navigation"
        assert (await browser.get(f"/visitors/{made['id']}", headers=headers)).status == 200
    assert (await lin.get("/visitors/7", headers=headers)).status == 404


async def test_a_residents_first_page_after_signing_in_is_their_visitors(house, client):
    await sign_in(client)
    lin = await resident(house, client, "lin", FLAT)
    answer = await lin.get("/", allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/visitors")


async def test_the_forms_work_without_javascript(house, client):
    me = await sign_in(client)
    del client.session.headers[CSRF_HEADER]
    form = {"_csrf": me.csrf, "flat": FLAT, "purpose": "help"}
    headers = {"Accept": "text/html", "Origin": str(client.make_url("/")).rstrip("/")}
    answer = await client.post(
        f"{BASE}/passes?_next=/visitors", data=form, headers=headers, allow_redirects=False
    )
    assert (answer.status, answer.headers["Location"]) == (303, "/visitors")


async def test_style_and_module_are_served_under_their_hash(house, client):
    await sign_in(client)
    made = await send(client, "POST", "/passes", {"flat": FLAT})
    page = await (await client.get(f"/visitors/{made['id']}")).text()
    for name in ("visitors.css", "visitors.js"):
        address = next(part for part in page.split('"') if part.endswith(name))
        answer = await client.get(address)
        assert answer.status == 200
        assert "immutable" in answer.headers["Cache-Control"]


async def test_every_route_describes_itself_in_both_languages(house):
    routes = [route for route in house.plugins["visitors"].routes if route.path.startswith(BASE)]
    for language in ("zh-CN", "en"):
        told = describe(
            routes,
            "visitors",
            lambda key, language=language, **values: house.messages.t(language, key, **values),
        )
        assert len(told["paths"]) == 8


async def test_the_migration_makes_exactly_the_tables_that_are_declared(house):
    def differences(connection):
        names = set(TABLES)
        context = MigrationContext.configure(
            connection, opts={"include_object": lambda o, name, kind, *_: kind != "table" or name in names}
        )
        return compare_metadata(context, metadata)

    async with house.rights.store.read() as connection:
        assert await connection.run_sync(differences) == []


async def test_the_manifest_names_every_table(house):
    assert set(house.plugins["visitors"].manifest.permissions.tables) == set(TABLES)
