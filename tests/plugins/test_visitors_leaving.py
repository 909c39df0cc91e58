"""Guests of somebody who moves out, where the plugin `tenancy` knows who lives in which flat."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer

from menwei.callers import CSRF_HEADER
from menwei.web import application
from menwei_tenancy.terms import Role
from menwei_visitors.words import Pass, VisitorError
from small_house import HOUSE, PASSWORD, sign_in
from tenancy_house import at, card
from visitors_house import FLAT, VisitorsHouse

LIN, WANG = 11, 12
"""Accounts of the role tenant: only their numbers matter here."""


@asynccontextmanager
async def house_of(
    folder: Path, plugins: tuple[str, ...] = ("tenancy", "console", "visitors"), **options: Any
) -> AsyncIterator[VisitorsHouse]:
    async with await VisitorsHouse.open(folder) as house:
        await house.load_visitors(plugins, **options)
        yield house


@pytest.fixture
async def house(tmp_path):
    async with house_of(tmp_path) as opened:
        yield opened


async def move_in(house: VisitorsHouse, account: int | None = LIN, **lease: Any) -> tuple[int, int]:
    """Somebody lives in the flat and invites for it: (household, member)."""
    household, member = await house.living(await house.places(), **lease)
    if account is not None:
        await house.do("tenants", "link", member, account)
        await name_host(house, account)
    return household, member


async def name_host(house: VisitorsHouse, account: int, flat: str = FLAT) -> None:
    async with house.visitors.transaction() as tx:
        await house.visitors.set_host(tx, account, flat)


async def flat_of(house: VisitorsHouse, account: int = LIN) -> str | None:
    async with house.visitors.read() as reading:
        return await house.visitors.flat_of(reading, account)


async def again(house: VisitorsHouse, given: Pass) -> Pass:
    async with house.visitors.read() as reading:
        return await house.visitors.one(reading, given.id)


async def opens(house: VisitorsHouse, *given: Pass) -> list[bool]:
    house.forgive()
    return [await house.passes(house.digits(one), "unit-in") for one in given]


# -------------------------------------------------------------------------------------------------- who may invite


async def test_whoever_checked_out_invites_nobody_any_more(house: VisitorsHouse):
    household, _ = await move_in(house)
    assert await flat_of(house) == FLAT
    await house.do("households", "check_out", household)
    assert await flat_of(house) is None
    with pytest.raises(VisitorError) as refused:
        await house.invite(host=LIN)
    assert (refused.value.says, refused.value.status) == ("visitors.no_own_flat", 403)
    await house.do("households", "undo", household)
    assert await flat_of(house) == FLAT


async def test_one_member_who_leaves_invites_no_more_and_the_others_go_on(house: VisitorsHouse):
    household, lin = await move_in(house)
    wang = await house.do("households", "add_member", household, Role.CO_APPLICANT, name="王")
    await house.do("tenants", "link", wang, WANG)
    await name_host(house, WANG)
    await house.do("households", "leave", lin)
    assert (await flat_of(house, LIN), await flat_of(house, WANG)) == (None, FLAT)


async def test_a_lease_that_ran_out_or_has_not_begun_invites_nobody(house: VisitorsHouse):
    household, _ = await move_in(house, first_day=date(2026, 3, 3), last_day=date(2026, 3, 4))
    assert await flat_of(house) is None
    for moment, flat in (("03-03 00:00", FLAT), ("03-05 07:59", FLAT), ("03-05 08:00", None)):
        house.time = at(f"2026-{moment}")
        assert await flat_of(house) == flat, moment
    await house.do("households", "extend", household, date(2026, 6, 30))
    assert await flat_of(house) == FLAT


async def test_an_account_that_is_nobody_of_the_flat_invites_nobody(house: VisitorsHouse):
    _, member = await move_in(house)
    await name_host(house, WANG)
    assert await flat_of(house, WANG) is None, "the committee has not said who that is"
    await house.do("tenants", "link", member, None)
    assert await flat_of(house) is None


async def test_a_cohabitant_who_took_their_consent_back_lives_there_and_invites(house: VisitorsHouse):
    household, _ = await move_in(house)
    cohabitant = await house.do("households", "add_member", household, Role.COHABITANT, name="王")
    await house.do("tenants", "link", cohabitant, WANG)
    await name_host(house, WANG)
    await house.collect(cohabitant, card("B2B2B2B2"))
    async with house.tenancy.transaction() as tx:
        holder = await house.tenancy.tenants.holder(tx, WANG)
        assert await house.tenancy.tenants.withdraw(tx, house.ACTOR, holder, cohabitant) == 1
    assert await flat_of(house, WANG) == FLAT


async def test_a_flat_that_the_tenancy_does_not_know_invites_as_the_committee_said(house: VisitorsHouse):
    await move_in(house)
    await name_host(house, WANG, "B1-2-101")
    assert await flat_of(house, WANG) == "B1-2-101"


async def test_a_house_without_tenancy_invites_as_the_committee_said(tmp_path):
    async with house_of(tmp_path, ("console", "visitors")) as house:
        await name_host(house, LIN)
        assert await flat_of(house) == FLAT
        assert await opens(house, await house.invite(host=LIN)) == [True]


# ------------------------------------------------------------------------------------------ guests who are here already


@pytest.mark.parametrize("plugins", [("tenancy", "console", "visitors"), ("visitors", "console", "tenancy")])
async def test_with_a_check_out_every_pass_of_the_flat_ends_at_once(tmp_path, plugins):
    """Whichever plugin the config names first."""
    async with house_of(tmp_path, plugins) as house:
        household, _ = await move_in(house)
        invited, of_desk = await house.invite(host=LIN), await house.invite()
        elsewhere, courier = await house.invite("B1-1-401"), await house.courier()
        await house.do("households", "check_out", household)
        assert await opens(house, invited, of_desk, elsewhere, courier) == [False, False, True, True]
        assert (await again(house, invited)).ended == house.clock.now()
        assert (await again(house, elsewhere)).ended is None


async def test_an_undone_check_out_gives_the_guests_back_but_not_those_ended_before(house: VisitorsHouse):
    household, _ = await move_in(house)
    invited, sent_home = await house.invite(host=LIN), await house.invite(host=LIN)
    await house.end(sent_home.id)
    await house.do("households", "check_out", household)
    await house.do("households", "undo", household)
    assert await opens(house, invited, sent_home) == [True, False]
    assert (await again(house, invited)).ended is None
    await house.do("households", "check_out", household)
    assert await opens(house, invited) == [False], "a second time alike"
    await house.do("households", "undo", household)
    await house.end(invited.id)
    assert await opens(house, invited) == [False]


async def test_of_two_households_in_a_flat_only_the_guests_of_the_one_that_leaves_end(house: VisitorsHouse):
    first, _ = await move_in(house)
    second, _ = await move_in(house, WANG)
    lins, wangs, of_desk = await house.invite(host=LIN), await house.invite(host=WANG), await house.invite()
    await house.do("households", "check_out", first)
    assert await opens(house, lins, wangs, of_desk) == [False, True, True]
    await house.do("households", "check_out", second)
    assert await opens(house, wangs, of_desk) == [False, False]


async def test_with_a_member_who_leaves_end_the_passes_they_gave_to_this_flat(house: VisitorsHouse):
    household, lin = await move_in(house)
    await move_in(house, None)
    lins, of_desk = await house.invite(host=LIN), await house.invite()
    await house.do("households", "leave", lin)
    assert await opens(house, lins, of_desk) == [False, True]
    await house.do("households", "undo", household)
    assert await opens(house, lins) == [True]


async def test_a_household_whose_lease_ran_out_keeps_no_guests_in_the_flat(house: VisitorsHouse):
    await move_in(house, None, last_day=date(2026, 2, 1))
    household, _ = await move_in(house)
    of_desk = await house.invite()
    await house.do("households", "check_out", household)
    assert await opens(house, of_desk) == [False]


async def test_what_guests_end_with_is_not_done_when_the_check_out_is_not(house: VisitorsHouse, monkeypatch):
    household, _ = await move_in(house)
    invited = await house.invite(host=LIN)

    async def fails(*words: Any, **more: Any) -> int:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(type(house.rights), "apply", fails)
        with pytest.raises(ZeroDivisionError):
            await house.do("households", "check_out", household)
    assert await opens(house, invited) == [True]
    assert (await again(house, invited)).ended is None
    assert await flat_of(house) == FLAT


# ------------------------------------------------------------------------------------------------------ over HTTP


BASE = "/api/visitors"


@asynccontextmanager
async def served(house: VisitorsHouse) -> AsyncIterator[TestClient[Any, Any]]:
    app = application(house, [route for plugin in house.plugins.values() for route in plugin.routes])
    app[HOUSE] = house
    async with TestClient(TestServer(app, host="127.0.0.1"), cookie_jar=CookieJar(unsafe=True)) as client:
        yield client


async def post(client: Any, path: str, body: Any = None, status: int = 200) -> Any:
    answer = await client.post(path, json=body or {})
    assert answer.status == status, await answer.text()
    return await answer.json()


async def test_whoever_moved_out_neither_invites_nor_sees_nor_ends_the_guests_of_who_comes_next(house):
    household, member = await move_in(house, None)
    account = (await house.accounts.create("lin", "tenant", PASSWORD)).id
    async with served(house) as desk:
        await sign_in(desk)
        await post(desk, f"/api/tenancy/members/{member}/account", {"account": account})
        await post(desk, f"{BASE}/hosts", {"account": account, "flat": FLAT})
        async with TestClient(desk.server, cookie_jar=CookieJar(unsafe=True)) as lin:
            signed = await post(lin, "/api/login", {"name": "lin", "password": PASSWORD})
            lin.session.headers[CSRF_HEADER] = signed["csrf"]
            own = await post(lin, f"{BASE}/passes")
            await post(desk, f"/api/tenancy/households/{household}/check-out")
            await move_in(house, None)
            theirs = await post(desk, f"{BASE}/passes", {"flat": FLAT})
            for given in (own, theirs):
                for path in ("", "/qr.svg"):
                    assert (await lin.get(f"{BASE}/passes/{given['id']}{path}")).status == 403
                await post(lin, f"{BASE}/passes/{given['id']}/end", status=403)
            told = await post(lin, f"{BASE}/passes", status=403)
            assert (told["error"], (await lin.get(f"{BASE}/passes")).status) == ("visitors.no_own_flat", 403)
            page = await (await lin.get("/mine")).text()
            assert "/visitors" not in page.split("<main", 1)[1], "nothing offers what would be refused"
        house.forgive()
        assert not await house.passes(own["code"])
        assert await house.passes(theirs["code"])


async def test_the_committee_is_told_which_account_invites_for_a_flat_it_does_not_live_in(house):
    household, member = await move_in(house, None)
    account = (await house.accounts.create("lin", "tenant", PASSWORD)).id
    async with served(house) as desk:
        await sign_in(desk)
        told = await post(desk, f"{BASE}/hosts", {"account": account, "flat": FLAT}, 409)
        assert told["error"] == "visitors.not_at_home"
        await post(desk, f"/api/tenancy/members/{member}/account", {"account": account})
        await post(desk, f"{BASE}/hosts", {"account": account, "flat": FLAT})
        for invites in (True, False):
            (host,) = (await (await desk.get(f"{BASE}/hosts")).json())["hosts"]
            assert (host["flat"], host["invites"]) == (FLAT, invites)
            assert ("现在不住在这套房屋" in await (await desk.get("/visitors")).text()) != invites
            if invites:
                await post(desk, f"/api/tenancy/households/{household}/check-out")
        await post(desk, f"{BASE}/hosts", {"account": account, "flat": ""})
