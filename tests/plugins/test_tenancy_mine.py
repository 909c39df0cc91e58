"""A tenant's own page: what they hold, what they may do about it, and who looked."""
# ruff: noqa: F811  fixtures are imported by their names

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from menwei.journal import Entry
from menwei_tenancy.api_mine import routes as tenant_routes
from menwei_tenancy.pages import routes as page_routes
from menwei_tenancy.tables import LeaseState, leases
from menwei_tenancy.terms import Role
from small_house import sign_in
from tenancy_browsing import LIN, WANG, backwards, client, house, household, see, send, visitor  # noqa: F401
from tenancy_house import COMMITTEE

pytestmark = pytest.mark.slow


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
