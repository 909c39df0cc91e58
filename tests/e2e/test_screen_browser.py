"""A tablet at the door, in a real browser: the whole program, a simulated controller, cards and codes."""

# ruff: noqa: F811  fixtures are imported by their names

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from browser_site import WITHIN, chromium, leave, needs_browser
from menwei.cardformats import normalise
from menwei.model import FOREVER
from menwei.serving import Serving, serving
from menwei_screen.board import READING
from menwei_screen.service import Screens
from menwei_simulator.controller import ControllerSpec
from menwei_simulator.stage import Stage
from peers.street import Street
from plugin_folder import PluginFolder, plugins  # noqa: F401
from program import Program
from street_site import TEST, recorded
from waiting import until

pytestmark = needs_browser("the door screen is")
CARD, PIN_CARD, PIN, STRANGER = "04A1B2C3", "04B1B2C3", "4711", "04FFFFFF"
LYING, STANDING = {"width": 1024, "height": 600}, {"width": 600, "height": 1024}
TITLE = 100
"""Pixels of the large words on a seven-inch screen (6.7 pixels a millimetre): 15 mm, readable from two metres."""

GREETER = '''
class Greeter(menwei.Policy):
    """Has something for whoever passes; refuses nobody."""

    name = "greet"

    class Config(menwei.Config):
        pass

    async def check(self, passage):
        from menwei_screen.lines import Line
        from menwei_screen.service import Screens

        self.context.service(Screens).greet(passage, Line("greeter.notices", {"count": 1}))
        return menwei.PASS


@menwei.hookimpl
def register_policies():
    return [Greeter]
'''
GREETER_MANIFEST = """\
name: greeter
version: 1.0.0
api: ">=1,<2"
summary: {zh: 测试, en: a test}
permissions: {services: [screen]}
"""
GREETER_WORDS = {"zh_CN": "您有{count}条通知", "en": "You have {count} notice"}


def write_greeter(folder: PluginFolder) -> None:
    home = folder.package("menwei_greeter", GREETER, manifest=GREETER_MANIFEST)
    for language, text in GREETER_WORDS.items():
        place = home / "locale" / language / "LC_MESSAGES"
        place.mkdir(parents=True)
        (place / "menwei.po").write_text(f'msgid "greeter.notices"\nmsgstr "{text}"\n', encoding="utf-8")


class Door:
    """The gate with a reader and the screen `tablet-1`, and its way out with a keypad on `tablet-2`."""

    def __init__(self, folder: Path, street: Street, browser: Browser, greets: bool) -> None:
        self.config = folder / "config.yaml"
        self.street = street
        self.browser = browser
        self.complaints: list[str] = []
        self.port = 0
        address = street.addresses["sim-a"]
        points = {
            "gate-in": {"name": "进", "readers": ["sim-a/in", "tablet-1/screen"]},
            "gate-out": {
                "name": "出", "readers": ["sim-a/out", "tablet-2/screen"], "security_level": "Card and PIN or PIN",
            },
        }  # fmt: skip
        config: dict[str, Any] = {
            "site": {"id": "yard", "name": "示范小区"},
            "data": "./var",
            "plugins": {"simulator": {}, "console": {}, "screen": {}},
            "devices": {
                "sim-a": {"driver": "simulator", "host": address.host, "port": address.port},
                "tablet-1": {"driver": "screen"},
                "tablet-2": {"driver": "screen", "keypad": True},
            },
            "doors": {
                "gate": {"name": "小区门", "lock": "sim-a/1", "release_time": 1, "access_points": points}
            },
            "profiles": {"residents": [{"access_points": list(points)}]},
        }
        if greets:
            config["plugins"]["greeter"] = {}
            config["policies"] = {"greet": {"policy": "greeter.greet"}}
            points["gate-in"]["policies"] = ["greet"]
        self.config.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")

    @property
    def gate(self) -> Stage:
        return self.street.at("sim-a")

    @asynccontextmanager
    async def served(self) -> AsyncIterator[Serving]:
        """The whole program; the second time on the port it had before."""
        async with serving(self.config, port=self.port) as site:
            self.port = site.server.port
            await until(lambda: all(door.online for door in site.house.doors.values()))
            yield site

    @asynccontextmanager
    async def tablet(self, size: Any = LYING, **more: Any) -> AsyncIterator[Page]:
        """A browser that was never here, with what it says written down instead of said aloud."""
        context = await self.browser.new_context(
            viewport=size, locale="zh-CN", base_url=f"http://127.0.0.1:{self.port}", **more
        )
        context.set_default_timeout(WITHIN)
        page = await context.new_page()
        await page.add_init_script(
            "window.heard = [];"
            "speechSynthesis.speak = (said) => window.heard.push(said.lang + ' ' + said.text);"
            "Object.defineProperty(navigator, 'wakeLock', {value: {request: (what) => {"
            "  window.lit = what; return Promise.resolve({addEventListener: () => {}}); }}});"
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                self.complaints.append(message.text)
                if "Content Security Policy" in message.text or "SyntaxError" in message.text
                else None
            ),
        )
        try:
            yield page
        finally:
            await leave(page)
            await context.close()

    @asynccontextmanager
    async def paired(self, site: Serving, where: str = "gate-in", **more: Any) -> AsyncIterator[Page]:
        async with self.tablet(**more) as page:
            await page.goto("/screen")
            await site.house.service(Screens).pair(where, await code_of(page))
            await expect(page.locator("body")).to_have_class("idle")
            yield page


async def code_of(page: Page) -> str:
    await expect(page.locator("body")).to_have_class("code")
    return await page.locator("h1").inner_text()


async def enter(site: Serving) -> None:
    async with site.house.store.transaction() as tx:
        for card, pin in ((CARD, None), (PIN_CARD, PIN)):
            await site.house.people.add(
                "林晓", cards=[normalise("uid", card)], profiles=["residents"], pin=pin, valid_to=FOREVER, actor=TEST, tx=tx
            )  # fmt: skip


@pytest.fixture
async def door(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Door]:
    for kind in READING:  # long enough to be seen by a browser that has little of the machine
        monkeypatch.setitem(READING, kind, 12.0)
    greets = getattr(request, "param", False)
    async with AsyncExitStack() as stack:
        street = await stack.enter_async_context(Street(tmp_path, [ControllerSpec("sim-a")]))
        browser = await stack.enter_async_context(chromium())
        opened = Door(tmp_path, street, browser, greets)
        yield opened
    assert opened.complaints == []


async def pixels(page: Page, selector: str) -> float:
    found = await page.eval_on_selector(selector, "e => parseFloat(getComputedStyle(e).fontSize)")
    return float(found)


async def usable(page: Page) -> None:
    """Nothing runs out of the screen, and axe has nothing to say."""
    assert await page.evaluate(
        "document.documentElement.scrollWidth <= innerWidth && document.documentElement.scrollHeight <= innerHeight"
    )
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize("size", [LYING, STANDING], ids=["lying", "standing"])
async def test_a_card_opens_in_large_words_and_a_stranger_is_told_what_to_do_next(door, size):
    async with door.served() as site, door.paired(site, size=size) as page:
        await enter(site)
        await expect(page.locator("#asks li")).to_have_text(["刷卡"])
        await usable(page)
        await door.gate.present(CARD, reader="in")
        await expect(page.locator("body")).to_have_class("granted")
        await expect(page.locator("h1")).to_have_text("请进")
        await expect(page.locator(".for-granted")).to_be_visible()
        assert await pixels(page, "h1") >= TITLE
        await usable(page)
        await expect(page.locator("body")).to_have_class("idle")
        await door.gate.present(STRANGER, reader="in")
        await expect(page.locator("body")).to_have_class("denied")
        await expect(page.locator("h1")).to_have_text("未注册信息")
        await expect(page.locator("#next")).to_have_text("请刷证件，或按门铃呼叫住户")
        await expect(page.locator(".for-denied")).to_be_visible()
        assert await pixels(page, "h1") >= TITLE
        await usable(page)
        assert await page.evaluate("heard") == [
            "zh-CN 请进", "zh-CN 门已打开", "zh-CN 未注册信息", "zh-CN 请刷证件，或按门铃呼叫住户",
        ]  # fmt: skip
        await page.click("#language")
        await expect(page.locator("h1")).to_have_text("Not registered")
        await expect(page.locator("#next")).to_have_text("touch your card, or ring the flat")
        await usable(page)
        await expect(page.locator("body")).to_have_class("idle")
        assert "林晓" not in await page.content()


async def test_what_the_person_mutes_is_silent_also_after_the_page_was_loaded_again(door):
    async with door.served() as site, door.paired(site) as page:
        await page.click("#mute")
        await page.reload()
        await expect(page.locator("body")).to_have_class("idle")
        await expect(page.locator("#mute")).to_have_attribute("aria-pressed", "true")
        assert await page.evaluate("lit") == "screen", "it keeps itself from going dark"
        await door.gate.present(STRANGER, reader="in")
        await expect(page.locator("body")).to_have_class("denied")
        assert await page.evaluate("heard") == []


async def test_a_revoked_tablet_falls_back_to_pairing_and_shows_nothing_of_the_door(door):
    async with door.served() as site, door.paired(site) as page:
        await site.house.service(Screens).revoke("gate-in")
        first = await code_of(page)
        await door.gate.present(STRANGER, reader="in")
        await recorded(site.house, "AccessDenied")
        assert await page.locator("#door").inner_text() == ""
        assert await page.locator("h1").inner_text() == first
        await site.house.service(Screens).pair("tablet-1", first)
        await expect(page.locator("body")).to_have_class("idle")


async def test_a_restarted_server_is_found_again_and_nothing_old_is_shown(door):
    async with AsyncExitStack() as stack:
        async with door.served() as site:
            page = await stack.enter_async_context(door.paired(site))
            await door.gate.present(STRANGER, reader="in")
            await expect(page.locator("h1")).to_have_text("未注册信息")
            await page.evaluate(
                "window.seen = [];"
                "new MutationObserver(() => seen.push(document.body.className)).observe(document.body, {attributes: true})"
            )
        await expect(page.locator("body")).to_have_class("lost")
        await expect(page.locator("h1")).to_have_text("连接中断")
        async with door.served() as site:
            await expect(page.locator("body")).to_have_class("idle")
            assert "denied" not in await page.evaluate("seen")
            await door.gate.present(STRANGER, reader="in")
            await expect(page.locator("body")).to_have_class("denied")


async def test_a_server_that_falls_silent_is_told_within_seconds(door):
    async with door.served() as site:
        network = Relay(site.server.port)
        relay = await asyncio.start_server(network.serve, "127.0.0.1", 0)
        door.port = relay.sockets[0].getsockname()[1]
        async with relay, door.paired(site) as page:
            await door.gate.present(STRANGER, reader="in")
            await expect(page.locator("body")).to_have_class("denied")
            network.silent = True
            await expect(page.locator("body")).to_have_class("lost")
            network.silent = False
            await expect(page.locator("body")).to_have_class("idle")


class Relay:
    """A network between tablet and server that can fall silent without closing anything."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.silent = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", self.port)
        ways = [self._pass(reader, other_writer), self._pass(other_reader, writer)]
        tasks = [asyncio.create_task(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            writer.close()
            other_writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            while self.silent:
                await asyncio.sleep(0.05)
            writer.write(data)


async def test_a_pin_and_a_code_are_typed_on_the_screen(door):
    async with door.served() as site, door.paired(site, "gate-out", size=STANDING) as page:
        await enter(site)
        await expect(page.locator("#asks li")).to_have_text(["刷卡", "密码"])
        await door.gate.present(PIN_CARD, reader="out")
        await expect(page.locator("#keypad")).to_be_visible()
        await usable(page)
        for digit in PIN:
            await page.locator(".keys button", has_text=digit).click()
        assert await page.locator("#typed").inner_text() == "●●●●"
        assert PIN not in await page.content()
        await page.click("#send")
        await expect(page.locator("body")).to_have_class("granted")
        await expect(page.locator("body")).to_have_class("idle")
        await page.click("#open-keypad")
        await usable(page)
        for _ in range(8):
            await page.locator(".keys button", has_text="9").click()
        await page.click("#send")
        await expect(page.locator("h1")).to_have_text("未注册信息")
        denied = [entry.data["says"] for entry in await recorded(site.house, "AccessDenied")]
        assert denied == ["door.not_registered"]


@pytest.mark.parametrize("door", [True], indirect=True)
async def test_a_plugins_line_is_shown_to_whoever_passed_and_to_nobody_else(plugins, door):
    write_greeter(plugins)
    async with door.served() as site, door.paired(site) as page:
        await enter(site)
        await door.gate.present(STRANGER, reader="in")
        await expect(page.locator("body")).to_have_class("denied")
        await expect(page.locator("#lines li")).to_have_count(0)
        await door.gate.present(CARD, reader="in")
        await expect(page.locator("body")).to_have_class("granted")
        await expect(page.locator("#lines li")).to_have_text(["您有1条通知"])
        await usable(page)
        await expect(page.locator("body")).to_have_class("idle")
        await expect(page.locator("#lines li")).to_have_count(0)


async def test_the_installer_pairs_and_revokes_in_the_console(door):
    async with (
        door.served() as site,
        door.tablet() as tablet,
        door.tablet(size={"width": 390, "height": 800}) as page,
    ):
        await tablet.goto("/screen")
        code = await code_of(tablet)
        await page.goto("/login?next=/screens")
        await page.fill("[name=name]", "admin")
        await page.fill("[name=password]", site.house.first_password)
        await page.locator("form[action^='/api/login'] button").click()
        await page.wait_for_selector("form[action^='/api/screens/pair']")
        await usable_page(page)
        await page.select_option("[name=screen]", "tablet-1")
        await page.fill("[name=code]", code)
        await page.locator("form[action^='/api/screens/pair'] button").click()
        await expect(tablet.locator("body")).to_have_class("idle")
        revoke = page.locator("form[action^='/api/screens/revoke'] button")
        await expect(revoke).to_have_count(1)
        await usable_page(page)
        page.on("dialog", lambda dialog: asyncio.ensure_future(dialog.accept()))
        await revoke.click()
        await expect(tablet.locator("body")).to_have_class("code")
        await expect(revoke).to_have_count(0)


async def usable_page(page: Page) -> None:
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


async def test_a_tablet_on_which_somebody_is_signed_in_to_the_console_is_a_screen_too(door):
    async with door.served() as site, door.tablet() as page:
        await page.goto("/login?next=/screen")
        await page.fill("[name=name]", "admin")
        await page.fill("[name=password]", site.house.first_password)
        await page.locator("form[action^='/api/login'] button").click()
        await site.house.service(Screens).pair("gate-out", await code_of(page))
        await expect(page.locator("body")).to_have_class("idle")
        await page.click("#open-keypad")
        await page.locator(".keys button", has_text="7").click()
        await page.click("#send")
        await expect(page.locator("h1")).to_have_text("未注册信息")


async def test_a_tablet_is_paired_and_revoked_from_the_terminal(door):
    program = Program(door.config.parent)
    async with door.served(), door.tablet() as page:
        await page.goto("/screen")
        code = await code_of(page)
        assert "No tablet shows this code" in await program.said(
            "screen", "pair", "gate-in", "000000", code=None
        )
        assert await program("screen", "pair", "gate-in", code.replace(" ", "")) == "Paired: tablet-1\n"
        await expect(page.locator("body")).to_have_class("idle")
        listed = await program("screen", "list")
        assert "tablet-1  gate-in  小区门 · 进  tablet connected" in listed
        assert "tablet-2  gate-out  小区门 · 出  not paired" in listed
        assert await program("screen", "revoke", "gate-in") == "Revoked: the tablet of tablet-1\n"
        await expect(page.locator("body")).to_have_class("code")
