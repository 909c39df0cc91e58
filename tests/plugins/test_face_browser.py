"""The pages of enrolment in a real browser: a registrar's whole story by keyboard alone, and both languages, three widths,
light and dark, with axe. In place of the process that looks at photos stands one that reads the answer off the file."""

# ruff: noqa: E402 (what can be skipped is asked for before it is imported)
from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from types import SimpleNamespace

import pytest

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="NO BROWSER: the pages of enrolment are not tested"),
]
pytest.importorskip("numpy", reason="NO FACE CODE TESTED: the extra 'face' (numpy) is not installed")

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import async_playwright, expect

from face_house import DESK, face, face_house
from menwei import CredentialState, IdentifierType
from menwei.web import Listen, Server, application
from menwei_face.flaw import Flaw
from menwei_face.photos import Looked
from menwei_face.quality import Quality
from small_house import PASSWORD

LOOKS = [
    ("zh-CN", 360, "light"), ("zh-CN", 390, "dark"), ("zh-CN", 1280, "light"),
    ("en", 360, "dark"), ("en", 390, "light"), ("en", 1280, "dark"),
]  # fmt: skip
GOOD = Quality(80.0, 100.0, 0.02, 1.0, 130.0, 0.0, 2.0)


class Reader:
    """Takes "lin 2" for the second photo of lin, and any other file for a blurred one."""

    async def look(self, name: str, photo: bytes) -> Looked:
        who, _, number = photo.decode().partition(" ")
        return Looked(name, (), face(who, int(number)), GOOD) if number else Looked(name, (Flaw.BLURRED,))

    async def close(self) -> None:
        """Nothing was opened."""


def files(*photos):
    return [
        {"name": f"{number}.jpg", "mimeType": "image/jpeg", "buffer": photo.encode()}
        for number, photo in enumerate(photos)
    ]


async def press(page, locator):
    """What somebody without a mouse does."""
    await locator.focus()
    await page.keyboard.press("Enter")


async def test_a_registrar_enrols_and_withdraws_by_keyboard_on_pages_anybody_can_use(tmp_path):
    complaints: list[str] = []
    async with face_house(tmp_path) as house, async_playwright() as playwright:
        house.enrolment._examiner = Reader()
        await house.accounts.create("li", "registrar", PASSWORD)
        holder = await house.person()
        refuser = await house.person("0402")
        routes = [route for plugin in house.plugins.values() for route in plugin.routes]
        server = Server(application(house, routes), Listen(port=0))
        await server.start()
        browser = await playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )

        async def opened(language, width, scheme):
            context = await browser.new_context(
                viewport={"width": width, "height": 800}, color_scheme=scheme, locale=language, base_url=server.url
            )  # fmt: skip
            page = await context.new_page()
            page.on(
                "console", lambda m: complaints.append(m.text) if m.type in {"error", "warning"} else None
            )
            page.on("pageerror", lambda error: complaints.append(str(error)))
            await page.goto("/login")
            await page.fill("[name=name]", "li")
            await page.fill("[name=password]", PASSWORD)
            await page.locator("form[action^='/api/login'] button").click()
            await page.wait_for_selector(".me a[href='/account']")
            return context, page

        async def usable(page, place, width):
            found = await Axe().run(page)
            assert found.violations_count == 0, (place, width, found.generate_report())
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (place, width)

        try:
            context, page = await opened("zh-CN", 390, "light")
            await page.goto("/face")
            await press(page, page.locator(f"a.whole[href='/face/people/{holder}']"))
            await page.wait_for_selector("#state")
            assert await page.locator("menwei-photos").count() == 0, "no photo without a consent"
            consent = page.locator("form[action*='/consent']")
            await consent.locator("[name=age]").select_option("older")
            await consent.locator("[name=agreed]").focus()
            await page.keyboard.press("Space")
            await press(page, consent.locator("button"))
            await page.wait_for_selector("menwei-photos")
            await usable(page, "agreed", 390)
            await page.set_input_files("[name=photo]", files("lin 1", "blurred", "lin 2"))
            await press(page, page.locator("menwei-photos button"))
            rows = page.locator(".results li")
            await expect(rows).to_have_count(3)
            await expect(rows.nth(1)).to_contain_text(house.messages.t("zh-CN", "face.photo.blurred"))
            assert await page.locator("[name=photo]").evaluate("field => field.files.length") == 0
            await usable(page, "rejected", 390)
            await page.set_input_files("[name=photo]", files("lin 1", "lin 2", "lin 3"))
            await press(page, page.locator("menwei-photos button"))
            await expect(page.locator("#state")).to_have_text(
                house.messages.t("zh-CN", "face.page.is_enrolled", count=3)
            )
            assert house.face_of(holder).state is CredentialState.ENABLED
            page.on("dialog", lambda dialog: dialog.accept())
            await press(page, page.locator("form[action*='/withdraw'] button"))
            await page.wait_for_selector(".receipt")
            await expect(page.locator("[data-print]")).to_be_visible()
            await expect(page.locator(".receipt")).to_contain_text(
                house.messages.t("zh-CN", "face.receipt.controllers.none")
            )
            receipt = page.url.removeprefix(server.url)
            assert await house.known() == frozenset()
            assert house.credentials(holder, IdentifierType.CARD)[0].state is CredentialState.ENABLED
            await page.goto(f"/face/people/{refuser}")
            await press(page, page.locator("form[action*='/refusal'] button"))
            await expect(page.locator("#state")).to_have_text(
                house.messages.t("zh-CN", "face.page.has_refused")
            )
            await context.close()

            await house.enrolment.agree(DESK, holder, house.wrong())
            for language, width, scheme in LOOKS:
                context, page = await opened(language, width, scheme)
                for place in ("/face", f"/face/people/{holder}", f"/face/people/{refuser}", receipt):
                    await page.goto(place)
                    await usable(page, place, width)
                await context.close()
        finally:
            await browser.close()
            await server.stop()
    assert complaints == []


class Cameras:
    """In place of the worker: what a guide says is said by the test."""

    def __init__(self) -> None:
        self.closed = False

    def look(self, spec, happened):
        self.say = lambda **event: happened(spec.cameras[0], event)
        self.looking = SimpleNamespace(
            spec=spec, ready=asyncio.Event(), lost=asyncio.Event(), trouble="", close=self._close
        )
        return self.looking

    def _close(self) -> None:
        self.closed = True

    def take(self, who: str, number: int) -> None:
        vector = base64.b64encode(face(who, number).astype("<f4").tobytes()).decode()
        self.say(vector=vector, quality=[80.0, 100.0, 0.02, 1.0, 130.0, 0.0, 2.0])


async def test_before_a_camera_the_page_says_what_to_do_and_escape_stops_it(tmp_path, monkeypatch):
    complaints: list[str] = []
    async with face_house(tmp_path) as house, async_playwright() as playwright:
        cameras, real = Cameras(), house.services.find_for
        monkeypatch.setattr(
            house.services,
            "find_for",
            lambda plugin, cls: cameras if cls.__name__ == "Cameras" else real(plugin, cls),
        )
        monkeypatch.setattr(house, "drivers", lambda: {"board": "camera"})
        await house.accounts.create("li", "registrar", PASSWORD)
        holder = await house.consented()
        routes = [route for plugin in house.plugins.values() for route in plugin.routes]
        server = Server(application(house, routes), Listen(port=0))
        await server.start()
        browser = await playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            context = await browser.new_context(
                viewport={"width": 390, "height": 800}, locale="zh-CN", base_url=server.url
            )
            page = await context.new_page()
            page.on(
                "console", lambda m: complaints.append(m.text) if m.type in {"error", "warning"} else None
            )
            page.on("pageerror", lambda error: complaints.append(str(error)))
            await page.goto("/login")
            await page.fill("[name=name]", "li")
            await page.fill("[name=password]", PASSWORD)
            await press(page, page.locator("form[action^='/api/login'] button"))
            await page.wait_for_selector(".me a[href='/account']")
            await page.goto(f"/face/people/{holder}")
            begin, guidance = (
                page.locator("menwei-face-camera form[action] button"),
                page.locator("#guidance"),
            )

            await press(page, begin)
            await expect(page.locator("dialog[open]")).to_be_visible()
            cameras.looking.ready.set()
            await expect(guidance).to_have_text(house.messages.t("zh-CN", "face.flaw.no_face"))
            cameras.say(guidance=["too_dark"])
            await expect(guidance).to_have_text(house.messages.t("zh-CN", "face.flaw.too_dark"))
            found = await Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            await page.keyboard.press("Escape")
            await expect(page.locator("dialog[open]")).to_have_count(0)
            async with asyncio.timeout(20):
                while not cameras.closed:
                    await asyncio.sleep(0.05)
            assert await house.known() == frozenset()

            await expect(begin).to_be_enabled()
            await press(page, begin)
            await expect(page.locator("dialog[open]")).to_be_visible()
            cameras.looking.ready.set()
            await expect(guidance).to_have_text(house.messages.t("zh-CN", "face.flaw.no_face"))
            for number in range(5):
                cameras.take("lin", number)
            await expect(page.locator("#state")).to_have_text(
                house.messages.t("zh-CN", "face.page.is_enrolled", count=5)
            )
            await context.close()
        finally:
            await browser.close()
            await server.stop()
            await house.enrolment.close()
    assert complaints == []
