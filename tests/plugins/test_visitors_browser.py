"""The visitors' pages in a real browser: both languages, three widths, light and dark, with axe; and a resident's story."""

from __future__ import annotations

from playwright.async_api import expect

from browser_site import LOOKS, browser_site, needs_browser, routes_of, troubles
from small_house import PASSWORD
from visitors_house import FLAT, visitors_house

pytestmark = needs_browser("the visitors' pages are")


async def test_a_resident_invites_and_the_desk_sees_it_on_pages_anybody_can_use(tmp_path):
    async with visitors_house(tmp_path) as house:
        account = await house.accounts.create("lin", "tenant", PASSWORD)
        async with house.visitors.transaction() as tx:
            await house.visitors.set_host(tx, account.id, FLAT)
        async with browser_site(house, routes_of(house)) as site:
            async with site.page("lin", path="/visitors") as page:
                await page.locator("form[action^='/api/visitors/passes'] button").click()
                await page.wait_for_selector(".pass img")
                shown = (await page.locator(".digits").inner_text()).replace(" ", "")
                assert await house.passes(shown), "what the page shows opens the door"
            for name in ("lin", "admin"):
                for language, width, scheme in LOOKS:
                    async with site.page(name, language, width, scheme, path="/visitors") as page:
                        link = page.locator("a.whole[href^='/visitors/']")
                        await expect(link).to_have_count(1)
                        for place in ("/visitors", await link.get_attribute("href")):
                            await page.goto(str(place))
                            assert await troubles(page, f"{place} {language} {width}") == []
                        await expect(page.locator("[data-print]")).to_be_visible()
                        assert await page.evaluate("document.querySelector('.pass img').naturalWidth") > 0
