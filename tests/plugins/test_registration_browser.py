"""The registration pages in a real browser: a family by keyboard and card touches alone, and a list uploaded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from browser_site import BrowserSite, browser_site, needs_browser, routes_of, troubles
from menwei_console import register_routes
from menwei_tenancy.terms import Role
from registration_house import RegistrationHouse, as_csv, number, person, registration_house, village
from small_house import PASSWORD
from tenancy_house import COMMITTEE, card

pytestmark = needs_browser("the registration desk is")
LOOKS = [("zh-CN", 360, "light"), ("en", 390, "dark"), ("zh-CN", 1280, "dark"), ("en", 1280, "light")]
ESCAPE_OF_AN_INPUT_METHOD = """(field) => field.dispatchEvent(
    new KeyboardEvent("keydown", { key: "Escape", bubbles: true, isComposing: true }))"""
LIN, MAN, WANG = card("A1A1A1A1"), card("B2B2B2B2"), card("C3C3C3C3")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[BrowserSite]:
    async with registration_house(tmp_path) as house:
        if house.messages.find("en", "console.cancel") is None:
            house.messages.add("menwei_console")
        await house.accounts.create("deng", "registrar", PASSWORD)
        await house.places()
        async with house.tenancy.transaction() as tx:
            await house.tenancy.places.put_flat(tx, COMMITTEE, "B1-1-1302", "B1-1", "1302室")
        async with browser_site(house, [*routes_of(house), *register_routes()]) as served:
            yield served


class Hands:
    """A registrar's hands: nothing but the keyboard, documents and cards. Every act of theirs is counted: a text with its
    Enter, an Enter, a document laid down, a card touched."""

    def __init__(self, page: Page, house: RegistrationHouse) -> None:
        self.page, self.house, self.acts = page, house, 0

    async def type(self, text: str) -> None:
        await self.page.keyboard.type(text)
        await self.enter()

    async def enter(self) -> None:
        await self.page.keyboard.press("Enter")
        self.acts += 1

    async def lay(self, name: str, document: str) -> None:
        """Until the name stands in the form: what is laid for a wait that the page has just given up is lost."""
        field, reader = self.page.locator("form [name=name]"), ("board", "documents")
        async with asyncio.timeout(60):
            while await field.input_value() != name:
                if self.house.devices.documents.wanted(reader):
                    await self.house.devices.lay(name, document)
                await asyncio.sleep(1.0)
        self.acts += 1

    async def touch(self, value: str) -> None:
        await expect(self.page.locator("dialog[open]")).to_be_visible()
        await self.house.devices.touch("desk", value)
        self.acts += 1

    async def entered(self, count: int) -> None:
        await expect(self.page.locator("[data-entered] .mark")).to_have_count(count)
        await expect(self.page.locator("form [name=name]")).to_have_value("")
        await expect(self.page.locator("dialog[open]")).to_have_count(0)


async def test_a_family_is_registered_with_four_touches_and_three_for_each_further_member(
    site: BrowserSite,
) -> None:
    house = site.house
    async with site.page("deng", path="/register") as page:
        hands = Hands(page, house)
        await expect(page.locator("#find")).to_be_focused()
        await hands.type("1-302")
        await hands.lay("林长生", number(1))
        await hands.enter()
        await hands.touch("A1A1A1A1")
        await hands.entered(1)
        assert hands.acts == 4
        assert house.opens(LIN, point="unit-in")

        await hands.lay("林小满", number(2))
        await expect(page.locator("[name=role]:checked")).to_have_value("co-applicant")
        await expect(page.locator("[name=consent]")).to_be_hidden()
        await hands.enter()
        await hands.touch("B2B2B2B2")
        await hands.entered(2)
        assert hands.acts == 7
        assert house.opens(MAN, point="unit-in")

        # somebody without a document reader at hand: the name is typed; a role two keys down, consent by the space bar
        await expect(page.locator("form [name=name]")).to_be_focused()
        await page.keyboard.type("王小明")
        await page.keyboard.press("Tab")
        await page.keyboard.press("ArrowDown")
        await expect(page.locator("[name=role]:checked")).to_have_value("cohabitant")
        await page.keyboard.press("Tab")
        await page.keyboard.press("Space")
        await page.keyboard.press("Enter")
        await hands.touch("C3C3C3C3")
        await hands.entered(3)
        assert house.opens(WANG)

    flat = (await house.ask("places", "flat_of", "B1-1-302")).id
    (home,) = await house.ask("households", "in_flat", flat)
    assert sorted(str(member.role) for member in home.members) == ["co-applicant", "cohabitant", "lessee"]
    assert str(home.lease.last_day) == "2027-03-01", "a year was proposed and taken"
    people = await house.people.list()
    assert sorted(one.document for one in people) == sorted(["", number(1)[-4:], number(2)[-4:]])


async def test_what_is_refused_loses_nothing_and_escape_goes_to_another_flat(site: BrowserSite) -> None:
    house = site.house
    await house.people.add("别人", cards=[LIN], profiles=["residents"], actor=house.ACTOR)
    async with site.page("deng", path="/register") as page:
        hands = Hands(page, house)
        await hands.type("302")
        await hands.lay("林长生", number(1))
        await hands.enter()
        await hands.touch("A1A1A1A1")
        await expect(page.locator("form [role=alert]").first).to_contain_text("这张卡")
        await expect(page.locator("form [name=name]")).to_have_value("林长生")
        await page.locator("form [name=name]").focus()
        await page.keyboard.press("Enter")
        await hands.touch("B2B2B2B2")
        await hands.entered(1)
        assert house.opens(MAN), "the document that was read served the second try too"
        await page.locator("form [name=name]").evaluate(ESCAPE_OF_AN_INPUT_METHOD)
        await expect(page.locator("form [name=name]")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.locator("#find")).to_be_focused()
        await page.keyboard.type("9999")
        await expect(page.locator("[data-place]")).to_have_text("没有房屋")
    site.expect_complaint("409")


async def test_somebody_who_is_here_already_joins_and_is_not_entered_twice(site: BrowserSite) -> None:
    house = site.house
    flat = (await house.ask("places", "flat_of", "B1-1-302")).id
    async with site.page("deng", path="/register") as page:
        hands = Hands(page, house)
        await hands.type("302")
        await hands.lay("林长生", number(1))
        await hands.enter()
        await hands.touch("A1A1A1A1")
        await hands.entered(1)
        await page.keyboard.press("Escape")
        await page.keyboard.type("1302")
        await page.keyboard.press("Enter")
        await hands.lay("林长生", number(1))
        await expect(page.locator("[data-joins-note]")).to_be_visible()
        await page.keyboard.press("Enter")
        await hands.touch("B2B2B2B2")
        await hands.entered(2)
    assert len(await house.people.list()) == 1
    assert flat and house.opens(MAN)


@pytest.mark.parametrize(("language", "width", "scheme"), LOOKS)
async def test_the_pages_are_accessible_and_fit(
    site: BrowserSite, language: str, width: int, scheme: str
) -> None:
    house, found = site.house, []
    flat = (await house.ask("places", "flat_of", "B1-1-302")).id
    await house.living(flat, Role.LESSEE)
    for path in ("/register", "/register/import"):
        async with site.page("deng", language, width, scheme, path=path) as page:
            if path == "/register":
                await page.keyboard.type("302")
                await expect(page.locator("#found [role=option]")).to_have_count(1)
                found += await troubles(page, path + " searching")
                await page.keyboard.press("Enter")
                await expect(page.locator("form [name=name]")).to_be_visible()
            else:
                await choose(page, as_csv([person(1, 到期日="soon", 身份="?"), person(2)]))
                await page.locator("button[value=check]").click()
                await expect(page.locator("[data-faults-table] tbody tr")).to_have_count(2)
            found += await troubles(page, path)
    assert found == []


async def choose(page: Page, data: bytes) -> None:
    await page.locator("[name=file]").set_input_files(
        {"name": "list.csv", "mimeType": "text/csv", "buffer": data}
    )


async def test_a_list_is_checked_shown_by_row_and_column_mended_and_entered(site: BrowserSite) -> None:
    house = site.house
    async with site.page("deng", path="/register/import") as page:
        await choose(page, as_csv([person(1, 到期日="soon"), person(2)]))
        await page.locator("button[value=check]").click()
        row = page.locator("[data-faults-table] tbody tr")
        await expect(row.locator("td").nth(0)).to_have_text("2")
        await expect(row.locator("td").nth(1)).to_have_text("到期日")
        await expect(page.locator("[data-enter]")).to_be_hidden()
        assert await house.people.list() == []

        await choose(page, as_csv(village(240)))
        await page.locator("button[value=check]").click()
        await expect(page.locator("[data-summary]")).to_contain_text("人员 240 名")
        await expect(page.locator("[data-notice]")).to_have_text("没有错误，可以写入")
        assert await house.people.list() == [], "checking wrote nothing"
        await page.get_by_role("button", name="写入", exact=True).click()
        await expect(page.locator("[data-notice]")).to_contain_text("人员 240 名", timeout=60_000)
    assert len(await house.people.list(limit=500)) == 240


async def test_likely_duplicates_wait_for_a_tick(site: BrowserSite) -> None:
    house = site.house
    data = as_csv([person(1, 身份证号="", 姓名="张伟"), person(2, 身份证号="", 姓名="张玮")])
    async with site.page("deng", path="/register/import") as page:
        await choose(page, data)
        await page.locator("button[value=check]").click()
        await expect(page.locator("[data-likely-table] tbody tr")).to_have_count(1)
        await expect(page.get_by_role("button", name="写入", exact=True)).to_be_disabled()
        await page.locator("[name=accept]").check()
        await page.get_by_role("button", name="写入", exact=True).click()
        await expect(page.locator("[data-notice]")).to_contain_text("人员 2 名")
    assert len(await house.people.list()) == 2


async def test_after_an_interruption_the_same_file_goes_on_where_it_was(
    site: BrowserSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection is cut in the second part of two: the first is durable, of the second nothing is there."""
    from menwei_registration import api, service

    house, line, cut = site.house, api._line, asyncio.Event()
    monkeypatch.setattr(service, "PART", 30)

    async def cutting(answer: Any, facts: dict[str, Any]) -> None:
        await line(answer, facts)
        if facts.get("done", 0) > 30 and not cut.is_set():
            cut.set()
            raise ConnectionResetError

    monkeypatch.setattr(api, "_line", cutting)
    async with site.page("deng", path="/register/import") as page:
        await choose(page, as_csv(village(60)))
        await page.locator("button[value=check]").click()
        await page.get_by_role("button", name="写入", exact=True).click()
        await expect(page.locator("[data-notice]")).to_contain_text("再次写入同一文件会接着完成")
        assert len(await house.people.list(limit=100)) == 30
        await page.get_by_role("button", name="写入", exact=True).click()
        await expect(page.locator("[data-notice]")).to_contain_text("人员 30 名，原有人员 30 名")
    assert len(await house.people.list(limit=100)) == 60
    site.expect_complaint("ERR_")


@pytest.mark.parametrize(("language", "width"), [("zh-CN", 360), ("en", 390), ("en", 1280)])
async def test_a_navigation_with_more_places_than_fit_stays_within_the_page(
    site: BrowserSite, language: str, width: int
) -> None:
    """The committee's, with every plugin: some places are reached by pushing them sideways."""
    async with site.page("deng", language, width, path="/register") as page:
        await page.evaluate(
            "const nav = document.querySelector('.places'); const one = nav.lastElementChild;"
            "for (let count = 0; count < 10; count += 1) nav.append(one.cloneNode(true));"
        )
        found = await troubles(page, f"{width} px")
        last = page.locator(".places a").last
        await last.scroll_into_view_if_needed()
        box = await last.bounding_box()
    assert found == []
    assert box is not None and 0 <= box["x"] <= width - box["width"] + 1
