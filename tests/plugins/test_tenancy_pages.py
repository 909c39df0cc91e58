"""The tenancy's pages as a browser without scripts gets and sends them: who sees what, and what nobody else does."""
# ruff: noqa: F811  fixtures are imported by their names

from __future__ import annotations

import re
from datetime import date
from html import unescape

import pytest

from menwei_tenancy.terms import Role
from small_house import PASSWORD, sign_in
from tenancy_browsing import LIN, WANG, backwards, client, house, household, see, send  # noqa: F401
from tenancy_house import COMMITTEE, at, card

pytestmark = pytest.mark.slow


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
