"""The tenancy's pages in a real browser: desk, landlord and tenant, both languages, three widths, with axe; and a
landlord's and a tenant's story on a telephone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from browser_site import LOOKS, BrowserSite, browser_site, needs_browser, routes_of, troubles
from menwei_console import register_routes
from menwei_tenancy.terms import Role
from small_house import PASSWORD
from tenancy_house import COMMITTEE, TenancyHouse, card, tenancy_house

pytestmark = needs_browser("the tenancy's pages are")
LIN, WANG = card("A1A1A1A1"), card("B2B2B2B2")


@dataclass
class Site:
    """The tenancy's house at a browser, and the flat in which somebody lives."""

    house: TenancyHouse
    browser: BrowserSite
    flat: int

    @asynccontextmanager
    async def page(
        self, name: str, language: str = "zh-CN", width: int = 390, scheme: Any = "light"
    ) -> AsyncIterator[Page]:
        async with self.browser.page(name, language, width, scheme) as page:
            page.on("dialog", lambda dialog: dialog.accept())
            yield page


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with tenancy_house(tmp_path) as house:
        house.messages.add("menwei_console") if house.messages.find("en", "console.cancel") is None else None
        landlord = await house.accounts.create("fang", "landlord", PASSWORD)
        tenant = await house.accounts.create("lin", "tenant", PASSWORD)
        await house.accounts.create("deng", "registrar", PASSWORD)
        async with house.tenancy.transaction() as tx:
            number = await house.tenancy.places.put_landlord(tx, COMMITTEE, "FD-8", landlord.id)
        flat = await house.places(landlord=number)
        home, lessee = await house.living(flat, Role.LESSEE, last_day=date(2026, 3, 20))
        await house.do("passes", "give", lessee, LIN)
        cohabitant = await house.do("households", "add_member", home, Role.COHABITANT, name="王小明")
        await house.collect(cohabitant, WANG)
        await house.do("tenants", "link", cohabitant, tenant.id)
        async with browser_site(house, [*routes_of(house), *register_routes()]) as browser:
            yield Site(house, browser, flat)


@pytest.mark.parametrize(("language", "width", "scheme"), LOOKS)
async def test_every_page_is_accessible_and_fits(site: Site, language: str, width: int, scheme: str) -> None:
    found = []
    pages = {
        "admin": [
            "/households",
            "/households?vacant=true",
            "/households?search=302",
            f"/households/{site.flat}",
        ],
        "deng": [f"/households/{site.flat}"],
        "fang": ["/rooms", f"/rooms/{site.flat}"],
        "lin": ["/mine"],
    }
    for name, paths in pages.items():
        async with site.page(name, language, width, scheme) as page:
            for path in paths:
                await page.goto(path)
                await page.evaluate(
                    "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
                )
                found += await troubles(page, f"{name} {path}")
    assert found == []


async def test_a_landlord_ends_takes_back_and_extends_with_a_thumb(site: Site) -> None:
    house = site.house
    async with site.page("fang") as page:
        await page.get_by_role("link", name="302室").click()
        await page.get_by_role("button", name="租户已搬走").click()
        await expect(page.get_by_text("前可以撤销")).to_be_visible()
        assert not house.opens(LIN)
        await page.get_by_role("button", name="撤销").click()
        await expect(page.get_by_role("button", name="租户已搬走")).to_be_visible()
        assert house.opens(LIN)
        section = page.locator("section.card")
        await section.locator("[name=last_day]").fill("2026-12-31")
        await section.get_by_role("button", name="续期").click()
        await expect(page.get_by_role("heading", name="租到 2026-12-31")).to_be_visible()
        await page.get_by_role("button", name="挂失").first.click()
        await expect(page.get_by_role("button", name="解挂")).to_be_visible()
        assert not house.opens(LIN)


async def test_a_tenant_reports_a_card_lost_and_sees_the_list_of_who_looked(site: Site) -> None:
    async with site.page("lin") as page:
        await expect(page.get_by_role("heading", name="谁查看过我的通行")).to_be_visible()
        await page.get_by_role("button", name="挂失").click()
        await expect(page.get_by_text("请到登记处解挂")).to_be_visible()
    assert not site.house.opens(WANG)
    assert site.house.opens(LIN)


async def test_the_desk_collects_a_cohabitant_again_by_consent_and_touch(site: Site) -> None:
    house = site.house
    (home,) = await house.ask("households", "in_flat", site.flat)
    await house.do("households", "extend", home.id, None)
    house.time += 300 * 86400
    async with site.page("deng", width=1280) as page:
        await page.goto(f"/households/{site.flat}")
        await page.get_by_text("重新采集（续一年）").click()
        await page.locator("[name=consent]").check()
        await page.locator("details[open] [name=reader]").select_option("board/desk")
        await page.get_by_role("button", name="已同意，现在刷卡").click()
        await expect(page.locator("dialog[open]")).to_be_visible()
        await house.devices.touch("desk", "B2B2B2B2")
        await expect(page.get_by_text("2026-12-27 采集")).to_be_visible()
