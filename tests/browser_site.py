"""A house whose console is served to a real browser: who signs in, what the browser complains about, and whether a page
is one that anybody can use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    async_playwright,
    expect,
)

from menwei.routes import Route
from menwei.web import Listen, Server, application
from small_house import PASSWORD

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WITHIN = 60_000
"""Milliseconds for what takes a moment; the machine may be busy."""
expect.set_options(timeout=WITHIN)
LOOKS = [
    ("zh-CN", 360, "light"),
    ("zh-CN", 390, "dark"),
    ("zh-CN", 1280, "light"),
    ("en", 360, "dark"),
    ("en", 390, "light"),
    ("en", 1280, "dark"),
]
"""Every language at every width, and each of both in light and in dark."""


def needs_browser(what: str) -> list[pytest.MarkDecorator]:
    """The marks of a module of browser tests: `pytestmark = needs_browser("the console")`."""
    reason = f"NO BROWSER: {what} not tested; apt-get install --no-install-recommends chromium fonts-noto-cjk"
    return [pytest.mark.e2e, pytest.mark.slow, pytest.mark.skipif(not CHROMIUM.exists(), reason=reason)]


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=ARGUMENTS, timeout=3 * WITHIN
        )
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class BrowserSite:
    """A served house, a browser, and everything the browser complained about."""

    house: Any
    url: str
    browser: Browser
    complaints: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def page(
        self,
        name: str = "",
        language: str = "zh-CN",
        width: int = 1280,
        scheme: Any = "light",
        *,
        path: str = "",
        **more: Any,
    ) -> AsyncIterator[Page]:
        """A fresh browser, signed in through the form when an account is named, then at `path`. Whoever has to confirm
        something presses yes in the test itself."""
        context = await self.browser.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,
            locale=language,
            base_url=self.url,
            **more,
        )
        context.set_default_timeout(WITHIN)
        page = await context.new_page()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        try:
            if name:
                await self.sign_in(page, name)
            if path:
                await page.goto(path)
            yield page
        finally:
            await _close(context)

    async def sign_in(self, page: Page, name: str) -> None:
        """Through the form: the first account by its first password, all others by that of the tests."""
        await page.goto("/login")
        await page.fill("[name=name]", name)
        await page.fill("[name=password]", self.house.first_password if name == "admin" else PASSWORD)
        await page.locator("form[action^='/api/login'] button").click()
        await page.wait_for_selector(".me a[href='/account']")

    def expect_complaint(self, about: str) -> None:
        """What the browser says by itself about an answer or a cut connection that the test has made."""
        self.complaints = [text for text in self.complaints if about not in text]

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)


async def _close(context: BrowserContext) -> None:
    for page in context.pages:
        await leave(page)
    await context.close()


async def leave(page: Page) -> None:
    """Ends the page's live stream before its context goes. A form that was just sent may be on its way to the next page,
    which is then left instead."""
    for _ in range(5):
        try:
            await page.goto("about:blank")
        except Error as error:
            if "interrupted by another navigation" not in str(error):
                raise
        else:
            return
    raise TimeoutError("the page goes on and on to other pages")


def routes_of(house: Any) -> list[Route]:
    """The pages and the API of the plugins that this house has loaded."""
    return [route for plugin in house.plugins.values() for route in plugin.routes]


@asynccontextmanager
async def served(house: Any, routes: Sequence[Route]) -> AsyncIterator[str]:
    """The house behind a server on a free port; its address."""
    server = Server(application(house, routes), Listen(port=0))
    await server.start()
    try:
        yield server.url
    finally:
        await server.stop()


@asynccontextmanager
async def browser_site(house: Any, routes: Sequence[Route]) -> AsyncIterator[BrowserSite]:
    """The house, served, and a browser before it, which in the end has complained about nothing."""
    async with served(house, routes) as url, chromium() as browser:
        site = BrowserSite(house, url, browser)
        yield site
    assert site.complaints == []


async def troubles(page: Page, what: str) -> list[str]:
    """Why not everybody can use this page as it is now: what runs out of the window, and what axe has to say."""
    scroll, inner = await page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    wide = [f"{what}: {scroll} px wide in {inner}"] if scroll > inner else []
    found = await Axe().run(page)
    return wide + [f"{what}: {v['id']}: {v['nodes'][0]['html'][:200]}" for v in found.response["violations"]]


__all__ = [
    "CHROMIUM",
    "LOOKS",
    "BrowserSite",
    "browser_site",
    "chromium",
    "leave",
    "needs_browser",
    "routes_of",
    "served",
    "troubles",
]
