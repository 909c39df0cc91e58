"""The picture of a wiring test's report: a simulated unit door, tested from beginning to end by the tests' own installer.

Called by `screenshots.py`, or alone:

    .venv/bin/python scripts/wiring_report.py [FILE]
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser, ViewportSize, async_playwright

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # the installer beside the simulated door is the tests' own

from menwei import Actor  # noqa: E402
from menwei_wiring.script import Outcome  # noqa: E402
from menwei_wiring.service import Wiring  # noqa: E402
from wiring_door import BOARD, Hands, play, unit_door  # noqa: E402

LANGUAGE = "zh-CN"
SIZE = ViewportSize(width=860, height=1700)
"""High enough that the whole report stands above the places at the foot of a narrow screen."""
LARGEST = 200_000
"""Bytes. More is a burden on everybody who clones."""
INSTALLER = Actor("王师傅", "installer")


async def unit_door_report(browser: Browser, path: Path) -> None:
    """Test a simulated unit door, and take the picture of its report as the console shows it."""
    with tempfile.TemporaryDirectory(prefix="menwei-pictures-") as folder:
        async with unit_door(Path(folder)) as (site, stage):
            wiring = site.house.service(Wiring)
            now = await wiring.begin(INSTALLER, "unit", BOARD)
            assert now.run is not None
            for step in now.run.report.steps:
                if step.outcome is Outcome.WAITING:
                    await play(wiring, Hands(stage), step.key)
            run = await wiring.finish(INSTALLER, "unit")
            context = await browser.new_context(
                viewport=SIZE, locale=LANGUAGE, color_scheme="light", base_url=site.server.url
            )
            page = await context.new_page()
            await page.goto(f"/login?next=/wiring/reports/{run.id}")
            await page.fill("[name=name]", "admin")
            await page.fill("[name=password]", site.house.first_password or "")
            await page.locator("form[action^='/api/login'] button").click()
            await page.locator(".card:has(.report)").screenshot(path=path)
            await context.close()
    _weigh(path)


def _weigh(path: Path) -> None:
    if (size := path.stat().st_size) > LARGEST:
        raise SystemExit(f"{path.name} is {size} bytes; {LARGEST} is the limit")
    print(f"{path.name}: {size} bytes")


async def main(path: Path) -> None:
    async with async_playwright() as playwright:
        chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
        browser = await playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        await unit_door_report(browser, path)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images" / "wiring-zh.png"))
