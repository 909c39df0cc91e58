"""Makes the pictures of the documentation anew: the console of a running `menwei demo`, in Chinese.

    .venv/bin/python scripts/screenshots.py [FOLDER]

Needs what the end-to-end tests need (Playwright, a Chromium, fonts-noto-cjk). `CHROMIUM` names another browser.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import door_screen
import wiring_report
from playwright.async_api import Browser, Page, ViewportSize, async_playwright, expect

from menwei.messages import Messages

LANGUAGE = "zh-CN"
SIZE = ViewportSize(width=1280, height=860)
IMAGES = Path(__file__).parents[1] / "docs" / "images"
LARGEST = 200_000
"""Bytes. More is a burden on everybody who clones."""
ROWS = 9
"""Passages on the page of doors before it is worth a picture: the story has begun, and is not only grants."""
PATIENCE = 120.0
"""Seconds for the street to be found and adopted, and for the first scenes."""


@dataclass(frozen=True, slots=True)
class Running:
    """Where the demonstration's console is, and the committee's first password."""

    url: str
    password: str


@asynccontextmanager
async def demo(story: str = "street") -> AsyncIterator[Running]:
    """`menwei demo` with a story on a free port, ended as a person ends it: with Ctrl-C."""
    words = ["demo", "--story", story, "--port", "0", "--lang", LANGUAGE]
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "menwei", *words, stdout=PIPE)
    reading: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(PATIENCE):
            running = await _announced(process)
        reading = asyncio.create_task(_read_on(process))  # a full pipe would stop the demonstration
        yield running
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await process.wait()
        if reading is not None:
            await reading


async def _announced(process: Process) -> Running:
    """What the demonstration says of its console. Its lines are the catalogue's, so they are found by it."""
    messages = Messages()
    messages.add("menwei_simulator")
    wanted = {
        "url": _pattern(messages, "simulator.demo.console", "url"),
        "password": _pattern(messages, "simulator.demo.admin", "password"),
    }
    found: dict[str, str] = {}
    assert process.stdout is not None
    async for line in process.stdout:
        for name, pattern in wanted.items():
            if match := re.search(pattern, line.decode()):
                found[name] = match[1]
        if len(found) == len(wanted):
            return Running(**found)
    raise SystemExit("the demonstration ended before it told where its console is")


def _pattern(messages: Messages, key: str, name: str) -> str:
    before, after = messages.t(LANGUAGE, key, **{name: "\0"}).split("\0")
    return re.escape(before) + r"(\S+)" + re.escape(after)


async def _read_on(process: Process) -> None:
    assert process.stdout is not None
    async for _ in process.stdout:
        pass


async def sign_in(page: Page, running: Running) -> None:
    await page.goto(f"{running.url}/login")
    await page.fill("[name=name]", "admin")
    await page.fill("[name=password]", running.password)
    await page.locator("form[action^='/api/login'] button").click()
    await page.wait_for_selector(".me a[href='/account']")


async def save(page: Page, folder: Path, name: str) -> None:
    path = folder / f"{name}-zh.png"
    await page.screenshot(path=path)
    if (size := path.stat().st_size) > LARGEST:
        raise SystemExit(f"{path.name} is {size} bytes; {LARGEST} is the limit")
    print(f"{path.name}: {size} bytes")


async def pictures(page: Page, folder: Path) -> None:
    """The live doors while the story plays, then a person who has a card."""
    await expect(page.locator(".live")).to_have_attribute("data-state", "on")
    await expect(page.locator(f".passages li:nth-child({ROWS})")).to_be_visible(timeout=PATIENCE * 1000)
    await save(page, folder, "doors")
    await page.goto("/people")
    await page.locator(".list a.whole:has(.mark.good)").first.click()
    await expect(page.locator("#credentials + ul .pill")).not_to_have_count(0)
    await save(page, folder, "person")


async def of_story(browser: Browser, story: str, folder: Path) -> None:
    """The live doors of another story once it has begun."""
    async with demo(story) as running:
        page = await browser.new_page(
            viewport=SIZE,
            locale=LANGUAGE,
            color_scheme="light",
            reduced_motion="reduce",
            base_url=running.url,
        )
        await sign_in(page, running)
        await expect(page.locator(".live")).to_have_attribute("data-state", "on")
        await expect(page.locator(f".passages li:nth-child({ROWS})")).to_be_visible(timeout=PATIENCE * 1000)
        await save(page, folder, story)
        await page.close()


async def main(folder: Path, chromium: str) -> None:
    async with demo() as running, async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", f"--lang={LANGUAGE}"],
            env={**os.environ, "LANGUAGE": LANGUAGE.replace("-", "_")},  # how dates stand in their fields
        )
        context = await browser.new_context(
            viewport=SIZE,
            locale=LANGUAGE,
            color_scheme="light",
            reduced_motion="reduce",
            base_url=running.url,
        )
        page = await context.new_page()
        await sign_in(page, running)
        await pictures(page, folder)
        await page.goto("about:blank")  # ends the live stream
        await door_screen.stranger(browser, folder / "screen-zh.png")
        await wiring_report.unit_door_report(browser, folder / "wiring-zh.png")
        for story in ("estate", "village"):
            await of_story(browser, story, folder)
        await browser.close()


if __name__ == "__main__":
    wanted = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    wanted.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(wanted, os.environ.get("CHROMIUM", "/usr/bin/chromium")))
