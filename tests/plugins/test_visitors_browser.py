"""The visitors' pages in a real browser: both languages, three widths, light and dark, with axe; and a resident's story."""

# ruff: noqa: F811  fixtures are imported by their names

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import async_playwright, expect

from menwei.web import Listen, Server, application
from small_house import PASSWORD, empty_house  # noqa: F401
from visitors_house import FLAT, visitors_house

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="NO BROWSER: the visitors' pages are not tested"),
]
LOOKS = [
    ("zh-CN", 360, "light"), ("zh-CN", 390, "dark"), ("zh-CN", 1280, "light"),
    ("en", 360, "dark"), ("en", 390, "light"), ("en", 1280, "dark"),
]  # fmt: skip


async def test_a_resident_invites_and_the_desk_sees_it_on_pages_anybody_can_use(tmp_path, empty_house):
    shutil.copytree(empty_house, tmp_path, dirs_exist_ok=True)
    complaints: list[str] = []
    async with visitors_house(tmp_path) as house, async_playwright() as playwright:
        account = await house.accounts.create("lin", "tenant", PASSWORD)
        async with house.visitors.transaction() as tx:
            await house.visitors.set_host(tx, account.id, FLAT)
        routes = [route for plugin in house.plugins.values() for route in plugin.routes]
        server = Server(application(house, routes), Listen(port=0))
        await server.start()
        browser = await playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            first = True
            for name, password in (("lin", PASSWORD), ("admin", house.first_password)):
                for language, width, scheme in LOOKS:
                    context = await browser.new_context(
                        viewport={"width": width, "height": 800},
                        color_scheme=scheme,  # type: ignore[arg-type]
                        locale=language,
                        base_url=server.url,
                    )
                    page = await context.new_page()
                    page.on(
                        "console",
                        lambda m: complaints.append(m.text) if m.type in {"error", "warning"} else None,
                    )
                    page.on("pageerror", lambda error: complaints.append(str(error)))
                    await page.goto("/login")
                    await page.fill("[name=name]", name)
                    await page.fill("[name=password]", password)
                    await page.locator("form[action^='/api/login'] button").click()
                    await page.wait_for_selector(".me a[href='/account']")
                    await page.goto("/visitors")
                    if first:
                        await page.locator("form[action^='/api/visitors/passes'] button").click()
                        await page.wait_for_selector(".pass img")
                        first = False
                        shown = (await page.locator(".digits").inner_text()).replace(" ", "")
                        assert await house.passes(shown), "what the page shows opens the door"
                        await page.goto("/visitors")
                    await expect(page.locator("a.whole[href^='/visitors/']")).to_have_count(1)
                    for place in ("/visitors", await page.locator("a.whole").get_attribute("href")):
                        await page.goto(str(place))
                        found = await Axe().run(page)
                        assert found.violations_count == 0, (place, language, width, found.generate_report())
                        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
                            place,
                            width,
                        )
                        if place != "/visitors":
                            await expect(page.locator("[data-print]")).to_be_visible()
                            assert await page.evaluate("document.querySelector('.pass img').naturalWidth") > 0
                    await context.close()
        finally:
            await browser.close()
            await server.stop()
    assert complaints == []
