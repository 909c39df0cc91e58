"""The registration pages in a real browser: a family by keyboard and card touches alone, and a list uploaded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright, expect

from menwei.web import Listen, Server, application
from menwei_console import register_routes
from menwei_tenancy.terms import Role
from registration_house import RegistrationHouse, as_csv, number, person, registration_house, village
from small_house import PASSWORD
from tenancy_house import COMMITTEE, card

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="NO BROWSER: the registration desk is not tested"),
]
LOOKS = [("zh-CN", 360, "light"), ("en", 390, "dark"), ("zh-CN", 1280, "dark"), ("en", 1280, "light")]
LIN, MAN, WANG = card("A1A1A1A1"), card("B2B2B2B2"), card("C3C3C3C3")


@dataclass
class Site:
    house: RegistrationHouse
    url: str
    browser: Browser
    complaints: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def page(
        self, path: str, language: str = "zh-CN", width: int = 1280, scheme: Any = "light"
    ) -> AsyncIterator[Page]:
        context = await self.browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, locale=language, base_url=self.url
        )
        page = await context.new_page()
        page.on(
            "console", lambda m: self.complaints.append(m.text) if m.type in {"error", "warning"} else None
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        await page.goto("/login")
        await page.fill("[name=name]", "deng")
        await page.fill("[name=password]", PASSWORD)
        await page.locator("form[action^='/api/login'] button").click()
        await page.wait_for_selector(".me a[href='/account']")
        await page.goto(path)
        try:
            yield page
        finally:
            await page.goto("about:blank")
            await context.close()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with registration_house(tmp_path) as house:
        if house.messages.find("en", "console.cancel") is None:
            house.messages.add("menwei_console")
        await house.accounts.create("deng", "registrar", PASSWORD)
        await house.places()
        async with house.tenancy.transaction() as tx:
            await house.tenancy.places.put_flat(tx, COMMITTEE, "B1-1-1302", "B1-1", "1302室")
        own = [route for plugin in house.plugins.values() for route in plugin.routes]
        server = Server(application(house, [*own, *register_routes()]), Listen(port=0))
        await server.start()
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
            )
            served = Site(house, server.url, browser)
            yield served
            await browser.close()
        await server.stop()
        assert served.complaints == []


HAND = 0.8
"""Seconds until a hand has the next document ready: by then the server knows that the page waits anew."""


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
        await asyncio.sleep(HAND)
        await self.house.devices.lay(name, document)
        self.acts += 1
        await expect(self.page.locator("form [name=name]")).to_have_value(name)

    async def touch(self, value: str) -> None:
        await expect(self.page.locator("dialog[open]")).to_be_visible()
        await self.house.devices.touch("desk", value)
        self.acts += 1

    async def entered(self, count: int) -> None:
        await expect(self.page.locator("[data-entered] .mark")).to_have_count(count)
        await expect(self.page.locator("form [name=name]")).to_have_value("")
        await expect(self.page.locator("dialog[open]")).to_have_count(0)


async def test_a_family_is_registered_with_four_touches_and_three_for_each_further_member(site: Site) -> None:
    house = site.house
    async with site.page("/register") as page:
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


async def test_what_is_refused_loses_nothing_and_escape_goes_to_another_flat(site: Site) -> None:
    house = site.house
    await house.people.add("别人", cards=[LIN], profiles=["residents"], actor=house.ACTOR)
    async with site.page("/register") as page:
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
        await page.keyboard.press("Escape")
        await expect(page.locator("#find")).to_be_focused()
        await page.keyboard.type("9999")
        await expect(page.locator("[data-place]")).to_have_text("没有房屋")
    site.complaints = [
        text for text in site.complaints if "409" not in text
    ]  # the browser's own line about it


async def test_somebody_who_is_here_already_joins_and_is_not_entered_twice(site: Site) -> None:
    house = site.house
    flat = (await house.ask("places", "flat_of", "B1-1-302")).id
    async with site.page("/register") as page:
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
async def test_the_pages_are_accessible_and_fit(site: Site, language: str, width: int, scheme: str) -> None:
    house, troubles = site.house, []
    flat = (await house.ask("places", "flat_of", "B1-1-302")).id
    await house.living(flat, Role.LESSEE)
    for path in ("/register", "/register/import"):
        async with site.page(path, language, width, scheme) as page:
            if path == "/register":
                await page.keyboard.type("302")
                await expect(page.locator("#found [role=option]")).to_have_count(1)
                await look(page, path + " searching", troubles)
                await page.keyboard.press("Enter")
                await expect(page.locator("form [name=name]")).to_be_visible()
            else:
                await choose(page, as_csv([person(1, 到期日="soon", 身份="?"), person(2)]))
                await page.locator("button[value=check]").click()
                await expect(page.locator("[data-faults-table] tbody tr")).to_have_count(2)
            await look(page, path, troubles)
    assert troubles == []


async def look(page: Page, what: str, troubles: list[str]) -> None:
    scroll, inner = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    if scroll > inner:
        troubles.append(f"{what}: {scroll} px wide in {inner}")
    found = await Axe().run(page)
    troubles += [f"{what}: {v['id']}: {v['nodes'][0]['html'][:200]}" for v in found.response["violations"]]


async def choose(page: Page, data: bytes) -> None:
    await page.locator("[name=file]").set_input_files(
        {"name": "list.csv", "mimeType": "text/csv", "buffer": data}
    )


async def test_a_list_is_checked_shown_by_row_and_column_mended_and_entered(site: Site) -> None:
    house = site.house
    async with site.page("/register/import") as page:
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


async def test_likely_duplicates_wait_for_a_tick(site: Site) -> None:
    house = site.house
    data = as_csv([person(1, 身份证号="", 姓名="张伟"), person(2, 身份证号="", 姓名="张玮")])
    async with site.page("/register/import") as page:
        await choose(page, data)
        await page.locator("button[value=check]").click()
        await expect(page.locator("[data-likely-table] tbody tr")).to_have_count(1)
        await expect(page.get_by_role("button", name="写入", exact=True)).to_be_disabled()
        await page.locator("[name=accept]").check()
        await page.get_by_role("button", name="写入", exact=True).click()
        await expect(page.locator("[data-notice]")).to_contain_text("人员 2 名")
    assert len(await house.people.list()) == 2


async def test_after_an_interruption_the_same_file_goes_on_where_it_was(
    site: Site, monkeypatch: pytest.MonkeyPatch
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
    async with site.page("/register/import") as page:
        await choose(page, as_csv(village(60)))
        await page.locator("button[value=check]").click()
        await page.get_by_role("button", name="写入", exact=True).click()
        await expect(page.locator("[data-notice]")).to_contain_text("再次写入同一文件会接着完成")
        assert len(await house.people.list(limit=100)) == 30
        await page.get_by_role("button", name="写入", exact=True).click()
        await expect(page.locator("[data-notice]")).to_contain_text("人员 30 名，原有人员 30 名")
    assert len(await house.people.list(limit=100)) == 60
    site.complaints = [
        text for text in site.complaints if "ERR_" not in text
    ]  # the browser's line about the cut


@pytest.mark.parametrize(("language", "width"), [("zh-CN", 360), ("en", 390), ("en", 1280)])
async def test_a_navigation_with_more_places_than_fit_stays_within_the_page(
    site: Site, language: str, width: int
) -> None:
    """The committee's, with every plugin: some places are reached by pushing them sideways."""
    async with site.page("/register", language, width) as page:
        await page.evaluate(
            "const nav = document.querySelector('.places'); const one = nav.lastElementChild;"
            "for (let count = 0; count < 10; count += 1) nav.append(one.cloneNode(true));"
        )
        troubles: list[str] = []
        await look(page, f"{width} px", troubles)
        last = page.locator(".places a").last
        await last.scroll_into_view_if_needed()
        box = await last.bounding_box()
    assert troubles == []
    assert box is not None and 0 <= box["x"] <= width - box["width"] + 1
