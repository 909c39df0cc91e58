"""The tenancy's pages as a browser without scripts gets and sends them: who sees what, and what nobody else does."""

from __future__ import annotations

import re
from datetime import date
from html import unescape
from itertools import count
from typing import Any

import pytest
from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer
from sqlalchemy import select, update

from menwei.callers import CSRF_HEADER
from menwei.journal import Entry
from menwei.web import application
from menwei_tenancy.api_mine import routes as tenant_routes
from menwei_tenancy.pages import routes as page_routes
from menwei_tenancy.tables import LeaseState, leases
from menwei_tenancy.terms import Role
from small_house import HOUSE, PASSWORD, sign_in
from tenancy_house import COMMITTEE, TenancyHouse, at, card, tenancy_house

pytestmark = pytest.mark.slow

LIN, WANG = card("A1A1A1A1"), card("B2B2B2B2")


@pytest.fixture
async def house(tmp_path):
    async with tenancy_house(tmp_path) as opened:
        yield opened


@pytest.fixture
async def client(house: TenancyHouse):
    async with browsing(house) as opened:
        yield opened


def browsing(house: TenancyHouse) -> TestClient[Any, Any]:
    from menwei_console import register_routes

    own = [route for plugin in house.plugins.values() for route in plugin.routes]
    app = application(house, [*own, *register_routes()])
    app[HOUSE] = house
    house.messages.add("menwei_console") if house.messages.find("en", "console.cancel") is None else None
    return TestClient(TestServer(app, host="127.0.0.1"), cookie_jar=CookieJar(unsafe=True))


async def see(browser, path: str, status: int = 200) -> str:
    answer = await browser.get(path)
    text = unescape(await answer.text())
    assert answer.status == status, text
    return text


async def send(browser, page: str, action: str, **fields: str) -> Any:
    """A form that stands on `page`, as a browser sends it without a script."""
    shown = await see(browser, page)
    assert f'action="{action}?_next=' in shown, f"no form to {action} on {page}"
    data = {"_csrf": browser.session.headers[CSRF_HEADER], **fields}
    query = re.search(rf'action="{re.escape(action)}\?(_next=[^"]*)"', shown)
    assert query is not None
    return await browser.post(
        f"{action}?{query[1]}",
        data=data,
        headers={"Accept": "text/html", "Referer": str(browser.make_url(page))},
    )


async def visitor(house, client, role: str, name: str):
    """Another browser, signed in with an account of that role: (browser, account)."""
    account = await house.accounts.create(name, role, PASSWORD)
    browser = TestClient(client.server, cookie_jar=CookieJar(unsafe=True))
    answer = await browser.post("/api/login", json={"name": name, "password": PASSWORD})
    browser.session.headers[CSRF_HEADER] = (await answer.json())["csrf"]
    return browser, account.id


async def household(
    house, role: Role = Role.LESSEE, flat: int | None = None, touched=LIN, **lease
) -> tuple[int, int, int]:
    """(flat, household, member) of somebody with a card."""
    flat = await house.places() if flat is None else flat
    home, member = await house.living(flat, role, **lease)
    if role is Role.COHABITANT:
        await house.collect(member, touched)
    else:
        await house.do("passes", "give", member, touched)
    return flat, home, member


# ---------------------------------------------------------------------------------------------------------------- desk


async def test_the_overview_shows_buildings_vacancies_and_what_ends_soon(house, client):
    await sign_in(client)
    flat, _, _ = await household(house, last_day=date(2026, 3, 20))
    async with house.tenancy.transaction() as tx:
        await house.tenancy.places.put_flat(tx, COMMITTEE, "B1-1-303", "B1-1", "303室")
    page = await see(client, "/households")
    assert "1号楼" in page and "空置 1" in page
    assert "30 天内到期" in page and "1号楼 1单元 302室 · 林" in page
    assert "租约到期（含宽限期）" in page
    vacant = await see(client, "/households?vacant=true")
    assert "303室" in vacant and "302室" not in vacant
    building = await see(client, "/households?building=B1")
    assert "303室" in building and f'href="/households/{flat}"' in building


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("302", True),
        ("1-302", True),
        ("1号楼302", True),
        ("b1-1-302", True),
        ("１－３０２", True),
        ("Ｂ１ ３０２", True),
        ("2号楼302", False),
        ("％_", False),
        ("%", False),
    ],
)
async def test_a_flat_is_found_by_a_part_of_its_name(house, client, typed, found):
    await sign_in(client)
    await house.places()
    answer = await (await client.get("/api/tenancy/flats", params={"search": typed})).json()
    assert bool(answer["flats"]) is found
    page = await (await client.get("/households", params={"search": typed})).text()
    assert ("302室" in page) is found


async def test_a_search_that_finds_more_than_is_listed_says_so(house, client):
    await sign_in(client)
    await house.places()
    async with house.tenancy.transaction() as tx:
        for number in range(101, 301):
            await house.tenancy.places.put_flat(tx, COMMITTEE, f"B1-1-{number}", "B1-1", f"{number}室")
    assert "还有更多，这里只列出最相近的 200 套" in await see(client, "/households?search=1单元")
    narrower = await see(client, "/households?search=1单元 299")
    assert "299室" in narrower and "还有更多" not in narrower
    answer = await (await client.get("/api/tenancy/flats", params={"limit": "201"})).json()
    assert (len(answer["flats"]), answer["next"], answer["more"]) == (201, None, False)
    answer = await (await client.get("/api/tenancy/flats", params={"limit": "200"})).json()
    assert (answer["next"], answer["more"]) == ("B1-1-300", True)


async def test_that_no_flat_is_vacant_is_said_as_that(house, client):
    await sign_in(client)
    await household(house)
    vacant = await see(client, "/households?vacant=true")
    assert "没有空置的房屋" in vacant and "没有房屋" not in vacant


async def test_buildings_stand_as_people_count_them(house, client):
    await sign_in(client)
    async with house.tenancy.transaction() as tx:
        for building in ("10", "2", "1", "B"):
            await house.tenancy.places.put_building(tx, COMMITTEE, building, f"{building}栋")
            await house.tenancy.places.put_unit(tx, COMMITTEE, f"{building}-1", building, "1单元")
            await house.tenancy.places.put_flat(tx, COMMITTEE, f"{building}-1-1", f"{building}-1", "1室")
    page = await see(client, "/households")
    assert re.findall(r"building=(\w+)", page) == ["1", "2", "10", "B"]


async def test_the_flat_whose_own_number_was_typed_comes_first(house, client):
    await sign_in(client)
    await house.places()
    async with house.tenancy.transaction() as tx:
        for external, name in (("B1-1-1302", "1302室"), ("B1-1-0302", "0302室"), ("A", "302b室")):
            await house.tenancy.places.put_flat(tx, COMMITTEE, external, "B1-1", name)
    answer = await (await client.get("/api/tenancy/flats", params={"search": "302"})).json()
    assert [flat["name"] for flat in answer["flats"]][:2] == ["302b室", "302室"]


async def test_a_household_is_shown_with_until_when_and_why(house, client):
    await sign_in(client)
    flat, _, _ = await household(house, Role.COHABITANT)
    page = await see(client, f"/households/{flat}")
    assert "林" in page and "同住人采集满一年" in page and "2027-03-02 10:00" in page
    assert "重新采集（续一年）" in page and 'name="consent"' in page
    assert "2026-03-02 采集" in page


@pytest.fixture
def backwards(monkeypatch):
    """Every number of a row is smaller than the one before: an order by numbers would show the last first."""
    numbers = count(10**15, -1)
    for module in ("menwei.people", "menwei_tenancy.households", "menwei_tenancy.places"):
        monkeypatch.setattr(f"{module}.new_id", lambda: next(numbers))


async def test_people_of_one_role_and_their_cards_stand_in_the_order_they_came(backwards, house, client):
    await sign_in(client)
    flat, home, member = await household(house, last_day=date(2026, 3, 20))
    for name in ("甲", "乙", "丙"):
        house.time += 60
        await house.do("households", "add_member", home, Role.CO_APPLICANT, name=name)
    for number in ("A0000002", "A0000003"):
        house.time += 60
        await house.do("passes", "give", member, card(number))
    answer = await client.get(f"/api/tenancy/households/{home}")
    told = (await answer.json())["members"]
    assert [one["name"] for one in told] == ["林", "甲", "乙", "丙"]
    starts = [given["valid_from"] for given in told[0]["passes"]]
    assert starts == sorted(starts) and len(set(starts)) == 3
    page = await see(client, f"/households/{flat}")
    assert page.index("甲") < page.index("乙") < page.index("丙")


async def test_a_household_is_read_out_with_whoever_holds_the_lease_first(backwards, house, client):
    await sign_in(client)
    flat = await house.places()
    home = await house.do("households", "move_in", flat, None, date(2026, 6, 30))
    for role in (Role.CARER, Role.COHABITANT, Role.LESSEE, Role.CO_APPLICANT, Role.COHABITANT, Role.GUARDIAN):
        await house.do("households", "add_member", home, role, name="某人", until=date(2026, 5, 1))
    answer = await client.get(f"/api/tenancy/households/{home}")
    assert [member["role"] for member in (await answer.json())["members"]] == [
        "lessee", "co-applicant", "cohabitant", "cohabitant", "carer", "guardian"
    ]  # fmt: skip


async def test_rights_that_end_together_are_listed_flat_by_flat(backwards, house, client):
    await sign_in(client)
    first = await house.places()
    async with house.tenancy.transaction() as tx:
        put = house.tenancy.places.put_flat
        second = await put(tx, COMMITTEE, "B1-1-303", "B1-1", "303室")
    homes = []
    for flat in (first, second, first):
        house.time += 60
        homes.append((await house.living(flat, last_day=date(2026, 3, 20)))[0])
    answer = await client.get("/api/tenancy/expiring?days=30")
    ending = [one["household"] for one in (await answer.json())["members"]]
    assert sorted(ending) == sorted(homes) and ending[-1] == homes[1]
    answer = await client.get(f"/api/tenancy/flats/{first}/households")
    assert [one["id"] for one in (await answer.json())["households"]] == [homes[0], homes[2]]


async def test_the_desk_checks_a_household_out_and_takes_it_back(house, client):
    await sign_in(client, "registrar")
    flat, home, _ = await household(house)
    page = f"/households/{flat}"
    assert (await send(client, page, f"/api/tenancy/households/{home}/check-out")).status == 200
    assert not house.opens(LIN)
    assert "10:10 前可以撤销" in await see(client, page)
    assert (await send(client, page, f"/api/tenancy/households/{home}/undo")).status == 200
    assert house.opens(LIN)
    house.time += 700
    assert "撤销" not in re.sub(r"data-confirm=\"[^\"]*\"", "", await see(client, page))


async def test_every_form_of_the_flats_page_leads_somewhere(house, client):
    await sign_in(client)
    flat, _, _ = await household(house)
    await household(house, Role.COHABITANT, flat, WANG)
    page = await see(client, f"/households/{flat}")
    known = {(route.method, route.template) for plugin in house.plugins.values() for route in plugin.routes}
    known |= {("POST", "/language")}
    actions = re.findall(r'method="post" action="([^"?]+)', page)
    assert len(actions) > 10
    for action in actions:
        template = re.sub(r"(households|members|passes)/\d+", r"\1/{}", action)
        assert any(
            method == "POST" and re.sub(r"\{\w+\}", "{}", known_template) == template
            for method, known_template in known
        ), action


async def test_names_are_sealed_and_the_documents_end_tells_members_apart(house, client):
    from menwei.model import Document, DocumentKind

    await sign_in(client, "registrar")
    flat, _, member = await household(house)
    held = await house.people.documents.hold(
        Document(DocumentKind.RESIDENT_CARD, "林", "110105194912310021"), house.ACTOR
    )
    holder = (await house.ask("households", "member", member)).holder
    await house.people.documents.identify(holder, held.handle, who=house.ACTOR)
    page = await see(client, f"/households/{flat}")
    assert "证件尾号 0021" in page
    assert "林" not in page


@pytest.mark.parametrize("role", ["guard", "landlord", "tenant", "installer", "auditor"])
async def test_households_are_the_desks(house, client, role):
    await sign_in(client, role)
    flat = await house.places()
    for path in ("/households", f"/households/{flat}"):
        await see(client, path, 403)


# ------------------------------------------------------------------------------------------------------------ landlords


@pytest.fixture
async def village(house, client):
    """Landlords A and B; the one flat is B's, and somebody lives there."""
    await sign_in(client)
    browsers = []
    for name in ("A", "B"):
        browser, account = await visitor(house, client, "landlord", name)
        async with house.tenancy.transaction() as tx:
            number = await house.tenancy.places.put_landlord(tx, COMMITTEE, name, account)
        browsers.append(browser)
    flat = await house.places(landlord=number)
    _, home, member = await household(house, flat=flat)
    (given,) = (await house.ask("households", "household", home)).passes
    yield (
        *browsers,
        {"flat": flat, "household": home, "member": member, "credential": given.credential.id},
    )
    for browser in browsers:
        await browser.session.close()


async def test_a_landlord_sees_own_rooms_only(village):
    ann, ben, names = village
    assert "302室" not in await see(ann, "/rooms")
    page = await see(ben, "/rooms")
    assert "302室" in page and "已出租" in page
    assert "租到" in await see(ben, f"/rooms/{names['flat']}")


async def test_the_page_of_anothers_room_is_the_page_of_a_room_that_does_not_exist(village):
    ann, _, names = village

    def without_path(page: str) -> str:
        return re.sub(r'value="/rooms/\d+"|[0-9a-f-]{20,}', "", page)

    theirs = await see(ann, f"/rooms/{names['flat']}", 404)
    nowhere = await see(ann, "/rooms/4711", 404)
    assert "没有这套房屋" in theirs
    assert without_path(theirs) == without_path(nowhere)


FORMS = {
    "/api/tenancy/households": {"flat": "{flat}", "last_day": "2026-12-31", "name": "王"},
    "/api/tenancy/households/{household}/extend": {"last_day": "2026-12-31"},
    "/api/tenancy/households/{household}/check-out": {},
    "/api/tenancy/households/{household}/undo": {},
    "/api/tenancy/passes/{credential}/lost": {},
    "/api/tenancy/passes/{credential}/restore": {},
}


async def test_every_form_of_a_landlords_page_is_one_of_these(house, village):
    _, ben, names = village
    page = await see(ben, f"/rooms/{names['flat']}")
    await house.do("passes", "report_lost", names["credential"])
    page += await see(ben, f"/rooms/{names['flat']}")
    await house.do("households", "check_out", names["household"])
    page += await see(ben, f"/rooms/{names['flat']}")
    actions = set(re.findall(r'action="(/api/[^"?]+)', page))
    assert actions == {action.format(**names) for action in FORMS}


@pytest.mark.parametrize("action", FORMS)
async def test_landlord_a_sends_bs_forms_and_finds_nothing(house, village, action):
    ann, _, names = village
    revision = house.rights.snapshot.revision
    fields = {name: value.format(**names) for name, value in FORMS[action].items()}
    data = {"_csrf": ann.session.headers[CSRF_HEADER], **fields}
    mine = await ann.post(action.format(**names) + "?_next=/rooms", data=data)
    wrong = {name: ("4711" if name == "flat" else value) for name, value in fields.items()}
    nowhere = await ann.post(re.sub(r"\{\w+\}", "4711", action) + "?_next=/rooms", data={**data, **wrong})
    assert (mine.status, await mine.text()) == (404, await nowhere.text())
    assert house.rights.snapshot.revision == revision
    assert house.opens(LIN)


async def test_a_landlord_gives_extends_ends_and_takes_back_on_the_page(house, village):
    _, ben, names = village
    page = f"/rooms/{names['flat']}"
    await send(ben, page, f"/api/tenancy/households/{names['household']}/extend", last_day="2026-12-31")
    assert "租到 2026-12-31" in await see(ben, page)
    await send(ben, page, f"/api/tenancy/passes/{names['credential']}/lost")
    assert not house.opens(LIN)
    await send(ben, page, f"/api/tenancy/passes/{names['credential']}/restore")
    assert house.opens(LIN)
    await send(ben, page, f"/api/tenancy/households/{names['household']}/check-out")
    assert not house.opens(LIN)
    await send(ben, page, f"/api/tenancy/households/{names['household']}/undo")
    assert house.opens(LIN)
    await send(
        ben, page, "/api/tenancy/households", flat=str(names["flat"]), last_day="2026-08-31", name="王"
    )
    assert "租到 2026-08-31" in await see(ben, page)


async def test_a_landlord_sees_validity_and_no_passages_names_or_documents(house, village):
    _, ben, names = village
    page = await see(ben, f"/rooms/{names['flat']}")
    assert "承租人" in page
    assert "林" not in page and "证件尾号" not in page and "通行记录" not in page


# -------------------------------------------------------------------------------------------------------------- tenants


@pytest.fixture
async def tenant(house, client):
    """A cohabitant who signs in: (browser, member, holder)."""
    await sign_in(client)
    flat, _, member = await household(house, Role.COHABITANT)
    browser, account = await visitor(house, client, "tenant", "lin")
    page = f"/households/{flat}"
    assert (
        await send(client, page, f"/api/tenancy/members/{member}/account", account=str(account))
    ).status == 200
    holder = (await house.ask("households", "member", member)).holder
    yield browser, member, holder
    await browser.session.close()


async def test_a_tenant_sees_what_they_hold_until_when_and_nobody_else(house, tenant, client):
    browser, member, _ = tenant
    home = (await house.ask("households", "member", member)).household
    await house.do("households", "add_member", home, Role.CARER, name="钱多多")
    page = await see(browser, "/mine")
    assert "1号楼 1单元 302室" in page and "2027-03-02 10:00" in page and "同住人采集满一年" in page
    assert "照护人" not in page and "钱多多" not in page


async def test_a_tenants_homes_stand_by_their_flats_and_one_that_ended_last(backwards, house, tenant):
    browser, _, holder = tenant
    async with house.tenancy.transaction() as tx:
        put = house.tenancy.places.put_flat
        others = [
            await put(tx, COMMITTEE, f"B1-1-{name}", "B1-1", f"{name}室") for name in ("101", "303", "404")
        ]
    for flat in reversed(others):
        home = await house.do("households", "move_in", flat)
        await house.do("households", "add_member", home, Role.CARER, holder=holder)
    async with house.tenancy.transaction() as tx:
        lowest = select(leases.c.household).where(leases.c.flat == others[0]).scalar_subquery()
        ended = update(leases).where(leases.c.household == lowest).values(state=str(LeaseState.ENDED))
        await tx.execute(ended)
    homes = (await (await browser.get("/api/tenancy/mine")).json())["homes"]
    assert [home["flat"] for home in homes] == ["302室", "303室", "404室", "101室"]


async def test_a_tenant_reports_their_own_card_lost_and_cannot_restore_it(house, tenant):
    browser, _, holder = tenant
    (held,) = house.rights.snapshot.of_holder(holder)
    answer = await send(browser, "/mine", f"/api/tenancy/mine/passes/{held.id}/lost")
    assert answer.status == 200
    assert not house.opens(LIN)
    assert "请到登记处解挂" in await see(browser, "/mine")
    restore = await browser.post(f"/api/tenancy/passes/{held.id}/restore")
    assert restore.status == 403


async def test_another_persons_card_is_not_there_for_a_tenant(house, tenant):
    browser, member, _ = tenant
    home = (await house.ask("households", "member", member)).household
    other = await house.do("households", "add_member", home, Role.LESSEE, name="王")
    credential = await house.do("passes", "give", other, WANG)
    theirs = await browser.post(f"/api/tenancy/mine/passes/{credential}/lost")
    nothing = await browser.post("/api/tenancy/mine/passes/4711/lost")
    assert (theirs.status, await theirs.text()) == (404, await nothing.text())
    assert house.opens(WANG)
    withdrawn = await browser.post(f"/api/tenancy/mine/members/{other}/withdraw")
    assert withdrawn.status == 404


async def test_consent_is_withdrawn_at_once_and_only_a_new_collection_brings_it_back(house, tenant):
    browser, member, _ = tenant
    answer = await browser.post(f"/api/tenancy/mine/members/{member}/withdraw")
    assert (await answer.json())["cards"] == 1
    assert not house.opens(LIN)
    page = await see(browser, "/mine")
    assert "同住人尚未采集" in page
    again = await browser.post(f"/api/tenancy/mine/members/{member}/withdraw")
    assert (await again.json())["error"] == "tenancy.nothing_to_withdraw"
    await house.collect(member, LIN)
    assert house.opens(LIN)


async def test_a_tenant_sees_own_passages_at_own_doors_and_who_looked(house, tenant, client):
    browser, _, holder = tenant
    now = house.clock.now()
    for entry in (
        Entry("AccessGranted", now, "gate", "gate-in", {}, {"holder": holder}),
        Entry("AccessGranted", now, "gate", "gate-out", {}, {"holder": holder + 1}),
        Entry("AccessDenied", now, "flat", "", {"checks": [{"reason": "Unauthorized"}]}, {"holder": holder}),
    ):
        await house.journal.record(entry, 10)
    page = await see(browser, "/mine")
    section = page[page.index('id="passages"') : page.index('id="looks"')]
    assert section.count("<time>") == 1
    assert "小区门 · 进" in section
    assert "没有人查看过" in page
    await client.post("/api/journal/holder", json={"holder": holder, "reason": "本人要求核对"})
    page = await see(browser, "/mine")
    assert "本人要求核对" in page and "admin" in page


async def looked(tenant) -> list[tuple[str, str, str, list[str]]]:
    """What the tenant is told of who looked, the newest first: (name, what, reason, places)."""
    looks = (await (await tenant[0].get("/api/tenancy/mine/passages")).json())["looks"]
    return [(one["name"], one["what"], one["reason"], one["places"]) for one in looks]


async def test_a_tenant_sees_who_read_or_exported_own_doors_with_names_and_no_others(tenant, client):
    await client.get("/api/doors/gate/journal?who=true")
    await client.get("/api/doors/gate/journal")
    await client.get("/api/doors/flat/journal?who=true")
    assert await looked(tenant) == [("admin", "journal.by_door", "", ["小区门"])]
    for body in (
        {"who": True},
        {"who": True, "doors": ["flat"]},
        {"who": False},
        {"doors": ["gate", "flat"], "who": True},
    ):
        answer = await client.post("/api/journal/export", json={"reason": "张三家被盗", **body})
        assert answer.status == 200
    every, gate = await looked(tenant), ("admin", "journal.export", "", ["小区门"])
    assert every[0] == gate  # the reason may speak of somebody else
    assert every[1][:3] == gate[:3] and "小区门" in every[1][3] and "302室" not in every[1][3]
    assert [what for _, what, _, _ in every] == ["journal.export"] * 2 + ["journal.by_door"]
    page = await see(tenant[0], "/mine")
    assert "导出了门的记录，含是谁通行 · 小区门" in page and "张三" not in page


async def test_a_tenant_sees_who_asked_whether_they_may_pass(tenant, client):
    asked = {"holder": tenant[2], "access_point": "gate-in"}
    assert (await client.post("/api/explain", json=asked)).status == 200
    assert await looked(tenant) == [("admin", "explain", "", ["小区门 · 进"])]
    assert "查询了您能否通行 · 小区门 · 进" in await see(tenant[0], "/mine")


async def test_many_looks_of_one_kind_do_not_push_the_others_out_of_a_tenants_sight(house, tenant, client):
    holder = tenant[2]
    await client.get("/api/doors/gate/journal?who=true")
    await client.post("/api/journal/holder", json={"holder": holder, "reason": "只是好奇"})
    for action, data, personal in (
        ("explain", {"access_point": "gate-in"}, {"holder": holder}),
        ("people.change", {}, {"holder": holder}),
        ("journal.by_door", {"door": "flat"}, {}),
    ):
        for _ in range(250):
            await house.audit(COMMITTEE.actor, action, data, personal)
    seen = [(what, reason) for _, what, reason, _ in await looked(tenant)]
    assert seen[30:] == [("journal.by_holder", "只是好奇"), ("journal.by_door", "")]
    assert seen[:30] == [("explain", "")] * 30


async def test_passages_at_other_doors_do_not_hide_a_tenants_own(house, tenant):
    for door in ["gate"] + ["flat"] * 250:
        await house.journal.record(
            Entry("AccessGranted", house.clock.now(), door, "", {}, {"holder": tenant[2]}), 10
        )
    own = (await (await tenant[0].get("/api/tenancy/mine/passages")).json())["passages"]
    assert [one["place"] for one in own] == ["小区门"]


async def test_what_was_read_at_a_door_before_a_tenant_had_a_card_for_it_is_no_look_at_them(house, client):
    await sign_in(client)
    await client.get("/api/doors/gate/journal?who=true")
    house.time += 60
    flat, _, member = await household(house, Role.COHABITANT)
    browser, account = await visitor(house, client, "tenant", "lin")
    await send(client, f"/households/{flat}", f"/api/tenancy/members/{member}/account", account=str(account))
    assert await looked((browser,)) == []
    await client.get("/api/doors/gate/journal?who=true")
    assert [what for _, what, _, _ in await looked((browser,))] == ["journal.by_door"]
    await browser.session.close()


async def test_an_account_that_is_nobodys_yet_is_told_so(house, client):
    await sign_in(client, "tenant")
    assert "请到登记处登记" in await see(client, "/mine", 403)


@pytest.mark.parametrize("role", ["guard", "landlord", "registrar", "installer", "auditor"])
async def test_only_a_tenants_account_becomes_a_tenant_and_only_by_the_committee(house, client, role):
    await sign_in(client, role)
    _, account = await visitor(house, client, "guard", "zhang")
    answer = await client.post("/api/tenancy/members/1/account", json={"account": account})
    assert answer.status == 403
    client.session.cookie_jar.clear()
    await sign_in(client)
    _, _, member = await household(house)
    answer = await client.post(f"/api/tenancy/members/{member}/account", json={"account": account})
    assert (await answer.json())["error"] == "tenancy.not_a_tenant_account"


async def test_an_account_is_one_persons_and_goes_with_them(house, tenant, client):
    _, member, holder = tenant
    async with house.tenancy.read() as reading:
        ((first, account),) = (await house.tenancy.tenants.accounts(reading)).items()
    assert first == holder
    other = await house.do(
        "households",
        "add_member",
        (await house.ask("households", "member", member)).household,
        Role.CARER,
        name="王",
    )
    await client.post(f"/api/tenancy/members/{other}/account", json={"account": account})
    async with house.tenancy.read() as reading:
        ((second, _),) = (await house.tenancy.tenants.accounts(reading)).items()
    assert second != holder
    await house.people.remove(second, actor=house.ACTOR)
    await house.tenancy.forget_removed()
    async with house.tenancy.read() as reading:
        assert await house.tenancy.tenants.accounts(reading) == {}


def test_tokens_never_read_a_tenants_own_things():
    own = [route for route in tenant_routes() if "/mine" in route.path]
    assert own and all(route.kinds == frozenset({"account"}) for route in own)
    assert all(route.kinds == frozenset({"account"}) for route in page_routes())


@pytest.mark.parametrize("language", ["zh-CN", "en"])
async def test_every_word_of_the_pages_stands_in_both_catalogues(house, language):
    from pathlib import Path

    import menwei_tenancy
    from menwei_tenancy.looks import What
    from menwei_tenancy.tables import CardKind
    from menwei_tenancy.terms import Why

    folder = Path(menwei_tenancy.__file__).parent
    text = "".join(file.read_text("utf-8") for file in (folder / "templates").glob("*.html"))
    keys = set(re.findall(r'"(tenancy\.[a-z_.]+[a-z_])"', text)) | set(
        re.findall(r"'(tenancy\.[a-z_.]+[a-z_])'", text)
    )
    keys |= {f"tenancy.look.{what}" for what in What}
    keys |= {f"tenancy.why.{why}" for why in Why} | {f"tenancy.card.{kind}" for kind in CardKind}
    assert len(keys) > 60
    for key in sorted(keys):
        assert house.messages.find(language, key), key


async def test_a_household_whose_lease_is_over_does_not_look_as_if_it_came_in(house, client):
    flat, home, member = await household(house, last_day=date(2026, 3, 20))
    house.time = at("2026-04-10 10:00")
    await sign_in(client)
    await house.do("households", "set_member", member, Role.CO_APPLICANT, None)
    page = await see(client, f"/households/{flat}")
    assert '<span class="mark bad">' in page and "至 2026-03-21 08:00" in page
    assert "门禁卡 · 已过期" in page and "门禁卡 · 正常" not in page
    extend = f"/api/tenancy/households/{home}/extend"
    answer = await send(client, f"/households/{flat}", extend, last_day="2026-04-09")
    assert "这一天已经过去" in unescape(await answer.text())


async def test_the_committee_makes_the_accounts_of_landlords_and_tenants_and_reads_their_numbers(
    house, client
):
    await sign_in(client)
    page = await see(client, "/accounts")
    (for_accounts, for_tokens) = re.findall(r'<select name="role">(.*?)</select>', page)
    assert 'value="landlord"' in for_accounts and 'value="tenant"' in for_accounts
    assert "landlord" not in for_tokens and "tenant" not in for_tokens
    given = {"name": "ben", "role": "landlord", "password": PASSWORD}
    assert (await send(client, "/accounts", "/api/accounts", **given)).status == 200
    (made,) = [one for one in await house.accounts.list() if one.name == "ben"]
    assert f"房东 · 账号编号 {made.id}" in await see(client, "/accounts")
    answer = await client.put("/api/tenancy/landlords/FD-8", json={"account": made.id})
    assert answer.status == 200


async def test_the_right_that_ends_first_is_named():
    from menwei_tenancy.terms import Rules, Why, why_of
    from tenancy_house import SHANGHAI

    rules = Rules(SHANGHAI, grace=7)
    collected = at("2026-03-02 10:00")
    lease, own = date(2026, 6, 30), date(2026, 5, 1)
    cohabitant = Role.COHABITANT
    assert why_of(Role.LESSEE, None, None, None, False, rules) is Why.OPEN
    assert why_of(Role.LESSEE, lease, None, None, False, rules) is Why.LEASE
    assert why_of(Role.CARER, lease, own, None, False, rules) is Why.UNTIL
    assert why_of(cohabitant, lease, None, None, False, rules) is Why.NOT_COLLECTED
    assert why_of(cohabitant, date(2028, 1, 1), None, collected, False, rules) is Why.YEAR
    assert why_of(cohabitant, lease, None, collected, False, rules) is Why.LEASE
    assert why_of(Role.LESSEE, lease, None, None, True, rules) is Why.LEFT
