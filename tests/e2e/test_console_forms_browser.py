"""The console's forms in a real browser: pressed twice, answered late, sent after the session is over."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, Route, expect

from browser_site import BrowserSite, browser_site, needs_browser
from menwei_console import register_routes
from small_house import PASSWORD, SmallHouse

pytestmark = needs_browser("a form that is pressed twice, late or signed out is")
ADD = "form[action^='/api/people?']"
TOKEN = "form[action^='/api/tokens?']"
PERSON = re.compile(r"/people/\d+$")
PRESS_TWICE = """(form) => {
    const button = document.querySelector(`${form} button:not([type])`);
    navigation.addEventListener("navigate", () => setTimeout(() => {
        sessionStorage.setItem("second", button.disabled ? "shut" : "free");
        button.click();
        fetch("/api/health");
    }));
    button.click();
}"""
"""Presses once, again as soon as the next page is asked for, and tells the house of it."""
ALERT = "main [role=alert]:not(:empty)"


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[BrowserSite]:
    async with await SmallHouse.open(tmp_path) as house:
        for role in ("guard", "registrar"):
            await house.accounts.create(role, role, PASSWORD)
        async with browser_site(house, register_routes()) as served:
            yield served


class Held:
    """A request that arrives at the house only when it is let go."""

    def __init__(self) -> None:
        self.asked, self.let_go = asyncio.Event(), asyncio.Event()

    async def __call__(self, route: Route) -> None:
        self.asked.set()
        await self.let_go.wait()
        await route.continue_()

    async def on_its_way(self) -> None:
        async with asyncio.timeout(60):
            await self.asked.wait()


async def sign_out(site: BrowserSite) -> None:
    for account in await site.house.accounts.list():
        await site.house.accounts.revoke_all(account.id)


async def sign_in_beside(site: BrowserSite, page: Page, name: str = "admin") -> None:
    """By the link that stands where the form was refused."""
    async with page.context.expect_page() as opened:
        await page.click(f"{ALERT} a")
    await site.sign_in(await opened.value, name)


async def test_a_second_press_while_the_next_page_loads_does_nothing(
    site: BrowserSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    people, let_go = site.house.people, asyncio.Event()
    get = people.get

    async def slow(*asked: Any) -> Any:
        await let_go.wait()
        return await get(*asked)

    async with site.page("admin", path="/people/new") as page:
        await page.fill(f"{ADD} [name=name]", "欧阳娜娜")
        monkeypatch.setattr(people, "get", slow)
        try:
            async with page.expect_request("**/api/health"):
                await page.evaluate(PRESS_TWICE, ADD)
        finally:
            let_go.set()
        await page.wait_for_url(PERSON)
        assert await page.evaluate("sessionStorage.getItem('second')") == "shut"
    assert len(await people.list()) == 1


async def test_a_late_answer_is_not_told_at_another_door(site: BrowserSite) -> None:
    held = Held()
    async with site.page("guard") as page:
        await page.route("**/api/doors/gate/command", held)
        await page.click("[data-open=gate]")
        await page.click("dialog button:has-text('快递外卖')")
        await held.on_its_way()
        await page.keyboard.press("Escape")
        await page.click("[data-open=unit]")
        await expect(page.locator("dialog button:disabled")).to_have_count(0)
        async with page.expect_response("**/api/doors/gate/command") as answered:
            held.let_go.set()
        await (await answered.value).finished()
        await expect(page.locator(".passages li").first).to_contain_text("值班员操作：已放行")
        assert await page.inner_text("dialog [role=alert]") == ""
        await page.click("dialog button:has-text('访客已核实')")
        await expect(page.locator("dialog [role=alert]")).to_have_class("notice good")
        await page.wait_for_selector("dialog:not([open])", state="attached")
    assert site.house.devices.done == [("board", "1", "access"), ("board", "2", "access")]


async def test_a_door_that_is_slow_is_not_opened_again_by_asking_again(site: BrowserSite) -> None:
    held = Held()
    async with site.page("guard") as page:
        await page.route("**/api/doors/gate/command", held)
        await page.click("[data-open=gate]")
        await page.click("dialog button:has-text('快递外卖')")
        await held.on_its_way()
        await page.click("dialog [data-close]")
        await page.click("[data-open=gate]")
        await expect(page.locator("dialog .reasons button:enabled")).to_have_count(0)
        held.let_go.set()
        await expect(page.locator("dialog [role=alert]")).to_have_class("notice good")
        await page.wait_for_selector("dialog:not([open])", state="attached")
        await page.click("[data-open=gate]")
        await expect(page.locator("dialog .reasons button:disabled")).to_have_count(0)
    assert site.house.devices.done == [("board", "1", "access")]


async def test_a_second_tap_once_the_door_has_opened_opens_it_no_second_time(site: BrowserSite) -> None:
    tap_again_when_told = """button => new Promise((told) => {
        const notice = document.querySelector("dialog [role=alert]");
        const look = () => { if (notice.textContent) { button.click(); told(button.disabled); } };
        new MutationObserver(look).observe(notice, { childList: true });
        button.click();
    })"""
    async with site.page("guard") as page:
        await page.click("[data-open=gate]")
        assert await page.locator("dialog button:has-text('快递外卖')").evaluate(tap_again_when_told)
        await page.wait_for_selector("dialog:not([open])", state="attached")
    assert site.house.devices.done == [("board", "1", "access")]


async def test_two_tokens_are_made_on_one_page_and_stand_in_its_list(site: BrowserSite) -> None:
    secrets = []
    async with site.page("admin", path="/accounts") as page:
        for name in ("大屏", "备份"):
            await page.fill(f"{TOKEN} [name=name]", name)
            await page.click(f"{TOKEN} button")
            await expect(page.locator("#token-list")).to_contain_text(name)
            secrets.append(await page.inner_text("[data-secret]"))
        assert await page.locator(ALERT).count() == 0
        await page.click("#token-list li:has-text('大屏') button")
        await expect(page.locator("#token-list li")).to_have_count(1)
    first, second = [await site.house.accounts.tokens.find(secret) for secret in secrets]
    assert (first, second.name) == (None, "备份")


async def test_whoever_signs_in_beside_a_form_sends_what_they_had_typed(site: BrowserSite) -> None:
    async with site.page("admin", path="/people/new") as page:
        await page.fill(f"{ADD} [name=name]", "欧阳娜娜")
        await page.fill(f"{ADD} [name=note]", "很长的备注")
        await sign_out(site)
        await page.click(f"{ADD} button:not([type])")
        await sign_in_beside(site, page)
        await page.click(f"{ADD} button:not([type])")
        await page.wait_for_url(PERSON)
        await expect(page.locator("main")).to_contain_text("很长的备注")
    site.expect_complaint("401")
    site.expect_complaint("403")


async def test_what_one_has_typed_is_not_sent_in_anothers_name(site: BrowserSite) -> None:
    async with site.page("admin", path="/people/new") as page:
        await page.fill(f"{ADD} [name=name]", "欧阳娜娜")
        await sign_out(site)
        await page.click(f"{ADD} button:not([type])")
        await sign_in_beside(site, page, "registrar")
        await page.click(f"{ADD} button:not([type])")
        await expect(page.locator(ALERT)).to_have_text("页面已过期 · 请刷新后再试")
        assert await page.input_value(f"{ADD} [name=name]") == "欧阳娜娜"
    assert await site.house.people.list() == []
    site.expect_complaint("401")
    site.expect_complaint("403")


async def test_a_form_that_leads_to_a_page_stays_until_somebody_is_signed_in_again(site: BrowserSite) -> None:
    person = await site.house.people.add("欧阳娜娜", actor=site.house.ACTOR)
    async with site.page("admin", path=f"/people/{person}/edit") as page:
        await page.fill("[name=note]", "另一段备注")
        await sign_out(site)
        await page.click("form.sheet button")
        await expect(page.locator(ALERT)).to_contain_text("请先登录")
        assert await page.input_value("[name=note]") == "另一段备注"
        await sign_in_beside(site, page)
        await page.click("form.sheet button")
        await page.wait_for_url(f"**/people/{person}")
        await expect(page.locator("main")).to_contain_text("另一段备注")
    site.expect_complaint("401")


async def test_the_place_one_is_at_is_in_sight_on_a_narrow_telephone(site: BrowserSite) -> None:
    async with site.page("admin", width=240, path="/audit") as page:
        assert await page.evaluate("scrollX") == 0
        box = await page.locator(".places [aria-current=page]").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 240
