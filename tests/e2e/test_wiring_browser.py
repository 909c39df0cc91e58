"""The page of a wiring test on a telephone beside a simulated door, and the report: both languages, three widths, axe."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Page, expect

from browser_site import LOOKS, BrowserSite, chromium, needs_browser, troubles
from menwei_simulator.stage import Stage
from menwei_wiring.service import Wiring
from small_house import PASSWORD
from wiring_door import BOARD, INSTALLER, Hands, play, unit_door

pytestmark = needs_browser("the page of the wiring test is")


async def sound(page: Page, what: str) -> None:
    assert await troubles(page, what) == []


@asynccontextmanager
async def phone(folder: Path) -> AsyncIterator[tuple[BrowserSite, Stage]]:
    """A browser at the console of the door's site."""
    async with unit_door(folder) as (site, stage), chromium() as browser:
        await site.house.accounts.create("wang", "installer", PASSWORD)
        opened = BrowserSite(site.house, site.server.url, browser)
        yield opened, stage
    assert opened.complaints == []


async def test_an_installer_with_a_telephone_proves_a_door_and_sees_each_wire_answer(tmp_path):
    async with phone(tmp_path) as (there, stage), there.page("wang", width=390) as page:
        await page.goto("/wiring")
        await page.locator("a.whole[href='/wiring/doors/unit']").click()
        await page.get_by_role("button", name="开始测试").click()
        contact = page.locator("[data-step=contact]")
        await contact.get_by_role("button", name="开始").click()
        assert await stage.walk_through(wait=60.0, open_for=1.0), "the test has released the lock"
        await expect(contact).to_have_attribute("data-outcome", "passed")

        reader = page.locator("[data-step='reader.unit-in']")
        await reader.get_by_role("button", name="开始").click()
        await expect(reader.locator(".prompt-now")).to_contain_text("请在“进门侧”的读卡器上刷卡")
        await sound(page, "a step under way")
        await stage.present("04A2B3C4", reader="out")
        await expect(reader.locator(".mend")).to_contain_text("两个读卡器接反了")

        power = page.locator("[data-step=power]")
        await power.get_by_role("button", name="开始").click()
        await power.get_by_role("button", name="开的").click()
        await expect(power).to_have_attribute("data-outcome", "passed")

        fire = page.locator("[data-step=fire]")
        await fire.locator("summary").click()
        await fire.locator("[name=reason]").fill("消防主机未通电")
        await fire.get_by_role("button", name="记下原因").click()
        await expect(fire).to_have_attribute("data-outcome", "skipped")
        await sound(page, "between steps")

        await page.get_by_role("button", name="结束并生成报告").click()
        await page.wait_for_url("**/wiring/reports/1")
        await expect(page.locator(".report header .verdict")).to_have_text("未通过")
        await expect(page.locator(".report")).to_contain_text("消防主机未通电")
        await expect(page.locator(".report dl")).to_contain_text("Menwei Sim")
        await expect(page.locator("[data-print]")).to_be_visible()


async def test_the_page_and_the_report_are_for_anybody_on_any_screen(tmp_path):
    async with phone(tmp_path) as (there, stage):
        wiring = there.house.service(Wiring)
        await wiring.begin(INSTALLER, "unit", BOARD)
        await play(wiring, Hands(stage), "contact")
        await play(wiring, Hands(stage, {"wiring.ask.power": "locked"}), "power")
        await wiring.skip("unit", "battery", "此门没有蓄电池，市电由物业统一管理")
        await wiring.finish(INSTALLER, "unit")
        await wiring.begin(INSTALLER, "unit", BOARD)
        for language, width, scheme in LOOKS:
            async with there.page("wang", language, width, scheme) as page:
                for place in ("/wiring", "/wiring/doors/unit", "/wiring/reports/1"):
                    await page.goto(place)
                    await sound(page, f"{place} {language} {width} {scheme}")


async def test_without_javascript_the_test_goes_on_by_reloading(tmp_path):
    async with (
        phone(tmp_path) as (there, _),
        there.page("wang", width=390, java_script_enabled=False) as page,
    ):
        await page.goto("/wiring/doors/unit")
        await page.get_by_role("button", name="开始测试").click()
        await page.locator("[data-step=power]").get_by_role("button", name="开始").click()
        await page.locator("[data-step=power]").get_by_role("button", name="锁的").click()
        await expect(page.locator("[data-step=power] .mend")).to_contain_text("断电后门锁住了")


async def test_what_somebody_else_does_at_the_test_shows_by_itself(tmp_path):
    async with phone(tmp_path) as (there, _):
        wiring = there.house.service(Wiring)
        await wiring.begin(INSTALLER, "unit", BOARD)
        async with there.page("wang", width=390) as page:
            await page.goto("/wiring/doors/unit")
            await wiring.skip("unit", "fire", "晚上再测")
            await expect(page.locator("[data-step=fire]")).to_have_attribute("data-outcome", "skipped")
