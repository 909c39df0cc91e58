"""The pages of enrolment in a real browser: a registrar's whole story by keyboard alone, and both languages, three widths,
light and dark, with axe. In place of the process that looks at photos stands one that reads the answer off the file."""

from __future__ import annotations

import asyncio
import base64
from types import SimpleNamespace

import pytest

pytest.importorskip("numpy", reason="NO FACE CODE TESTED: the extra 'face' (numpy) is not installed")

from playwright.async_api import expect

from browser_site import LOOKS, browser_site, needs_browser, routes_of, troubles
from face_house import DESK, face, face_house
from menwei import CredentialState, IdentifierType
from menwei_face.flaw import Flaw
from menwei_face.match import template
from menwei_face.photos import Looked
from menwei_face.quality import Quality
from small_house import PASSWORD

pytestmark = needs_browser("the pages of enrolment are")
GOOD = Quality(80.0, 100.0, 0.02, 1.0, 130.0, 0.0, 2.0)


class Reader:
    """Takes "lin 2" for the second photo of lin, and any other file for a blurred one."""

    async def look(self, name: str, photo: bytes) -> Looked:
        who, _, number = photo.decode().partition(" ")
        return (
            Looked(name, (), template(face(who, int(number))), GOOD)
            if number
            else Looked(name, (Flaw.BLURRED,))
        )

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
    async with face_house(tmp_path) as house, browser_site(house, routes_of(house)) as site:
        house.enrolment._examiner = Reader()
        await house.accounts.create("li", "registrar", PASSWORD)
        holder = await house.person()
        refuser = await house.person("0402")
        async with site.page("li", width=390, path="/face") as page:
            await press(page, page.locator(f"a.whole[href='/face/people/{holder}']"))
            await page.wait_for_selector("#state")
            assert await page.locator("menwei-photos").count() == 0, "no photo without a consent"
            consent = page.locator("form[action*='/consent']")
            await consent.locator("[name=age]").select_option("older")
            await consent.locator("[name=agreed]").focus()
            await page.keyboard.press("Space")
            await press(page, consent.locator("button"))
            await page.wait_for_selector("menwei-photos")
            assert await troubles(page, "agreed") == []
            await page.set_input_files("[name=photo]", files("lin 1", "blurred", "lin 2"))
            await press(page, page.locator("menwei-photos button"))
            rows = page.locator(".results li")
            await expect(rows).to_have_count(3)
            await expect(rows.nth(1)).to_contain_text(house.messages.t("zh-CN", "face.photo.blurred"))
            assert await page.locator("[name=photo]").evaluate("field => field.files.length") == 0
            assert await troubles(page, "rejected") == []
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
            receipt = page.url.removeprefix(site.url)
            assert await house.known() == frozenset()
            assert house.credentials(holder, IdentifierType.CARD)[0].state is CredentialState.ENABLED
            await page.goto(f"/face/people/{refuser}")
            await press(page, page.locator("form[action*='/refusal'] button"))
            await expect(page.locator("#state")).to_have_text(
                house.messages.t("zh-CN", "face.page.has_refused")
            )

        await house.enrolment.agree(DESK, holder, house.wrong())
        for language, width, scheme in LOOKS:
            async with site.page("li", language, width, scheme) as page:
                for place in ("/face", f"/face/people/{holder}", f"/face/people/{refuser}", receipt):
                    await page.goto(place)
                    assert await troubles(page, f"{place} {language} {width}") == []


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
        vector = base64.b64encode(template(face(who, number))).decode()
        self.say(vector=vector, quality=[80.0, 100.0, 0.02, 1.0, 130.0, 0.0, 2.0])


async def test_before_a_camera_the_page_says_what_to_do_and_escape_stops_it(tmp_path, monkeypatch):
    async with face_house(tmp_path) as house, browser_site(house, routes_of(house)) as site:
        cameras, real = Cameras(), house.services.find_for
        monkeypatch.setattr(
            house.services,
            "find_for",
            lambda plugin, cls: cameras if cls.__name__ == "Cameras" else real(plugin, cls),
        )
        monkeypatch.setattr(house, "drivers", lambda: {"board": "camera"})
        await house.accounts.create("li", "registrar", PASSWORD)
        holder = await house.consented()
        async with site.page("li", width=390, path=f"/face/people/{holder}") as page:
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
            assert await troubles(page, "before the camera") == []
            await page.keyboard.press("Escape")
            await expect(page.locator("dialog[open]")).to_have_count(0)
            async with asyncio.timeout(60):
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
        await house.enrolment.close()
