"""The door screen's picture: a small simulated site of its own, a tablet of seven inches, and a card nobody knows.

Called by `screenshots.py`.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import yaml
from playwright.async_api import Browser, Page, ViewportSize, expect

from menwei.serving import Serving, serving
from menwei_screen.service import Screens
from menwei_simulator.controller import ControllerSpec
from menwei_simulator.street import Address, Street

SIZE = ViewportSize(width=1024, height=600)
CARD = "04C0FFEE"


def write_config(folder: Path, address: Address) -> Path:
    point = {"name": "进", "readers": ["board/in", "tablet/screen"], "security_level": "Card or PIN"}
    config = {
        "site": {"id": "yard", "name": "示范小区"},
        "plugins": {"simulator": {}, "console": {}, "screen": {}},
        "devices": {
            "board": {"driver": "simulator", "host": address.host, "port": address.port},
            "tablet": {"driver": "screen", "keypad": True},
        },
        "doors": {"unit": {"name": "1号楼单元门", "lock": "board/1", "access_points": {"unit-in": point}}},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    return path


async def stranger(browser: Browser, path: Path) -> None:
    """Writes the picture of what a stranger reads."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="menwei-picture-")))
        street = await stack.enter_async_context(Street(folder, [ControllerSpec("sim-a")]))
        config = write_config(folder, street.addresses["sim-a"])
        site = await stack.enter_async_context(serving(config, port=0))
        context = await browser.new_context(viewport=SIZE, locale="zh-CN", base_url=site.server.url)
        stack.push_async_callback(context.close)
        page = await context.new_page()
        stack.push_async_callback(page.goto, "about:blank")  # ends the live stream
        await _paired(page, site)
        await page.click("header")  # the first touch, after which it may speak
        await street.at("sim-a").present(CARD, reader="in")
        await expect(page.locator("body")).to_have_class("denied", timeout=20_000)
        await page.screenshot(path=path)


async def _paired(page: Page, site: Serving) -> None:
    await page.goto("/screen")
    await expect(page.locator("body")).to_have_class("code", timeout=20_000)
    await site.house.service(Screens).pair("unit-in", await page.locator("h1").inner_text())
    await expect(page.locator("body")).to_have_class("idle", timeout=20_000)
    async with asyncio.timeout(30):
        while not all(door.online for door in site.house.doors.values()):  # noqa: ASYNC110 - nobody tells when
            await asyncio.sleep(0.1)
