"""A landlord's pages: own rooms, and of all others not even that they exist."""
# ruff: noqa: F811  fixtures are imported by their names

from __future__ import annotations

import re

import pytest

from menwei.callers import CSRF_HEADER
from small_house import sign_in
from tenancy_browsing import LIN, client, house, household, see, send, visitor  # noqa: F401
from tenancy_house import COMMITTEE

pytestmark = pytest.mark.slow


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
