"""The page of the boards that decide, in a real browser, with a real board behind it: the own UHPPOTE board, a process of
its own that opens by itself, loses its power, and is changed by somebody else's software."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from playwright.async_api import expect

from browser_site import LOOKS, BrowserSite, browser_site, needs_browser, routes_of, troubles
from menwei.cardformats import normalise
from menwei.house import Menwei
from menwei.model import CredentialState
from peers.uhppote import SERIAL, BoardProcess
from small_house import PASSWORD
from street_site import TEST, running
from waiting import until

pytestmark = needs_browser("the page of the boards is")

LOST, RESIDENT, STRANGER = 1, 2, 3
WITHIN = 120.0


def card(number: int) -> int:
    """As the board counts."""
    return 101_00000 + number


def write_config(folder: Path, board: BoardProcess) -> Path:
    config: dict[str, Any] = {
        "site": {"id": "yard", "name": "示范小区"},
        "plugins": {"uhppote": {}, "console": {}},
        "devices": {
            "board-1": {
                "driver": "uhppote", "serial": SERIAL, "host": "127.0.0.1", "port": board.port, "listen": "127.0.0.1:0",
                "poll": 0.5, "silence": 2,
            },
        },
        "doors": {
            "gate": {
                "name": "小区门",
                "lock": "board-1/1",
                "access_points": {"gate-in": {"readers": ["board-1/1"], "decides": "controller"}},
            },
        },
        "profiles": {"residents": [{"access_points": ["gate-in"]}]},
    }  # fmt: skip
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


@dataclass
class Yard:
    """A gate at which the board decides; two residents have cards."""

    board: BoardProcess
    house: Menwei
    browser: BrowserSite
    credentials: dict[int, int]

    async def lose(self, number: int) -> None:
        await self.house.people.set_state(self.credentials[number], CredentialState.LOST, actor=TEST)

    def holds(self, *numbers: int) -> Callable[[], bool]:
        return lambda: set(self.board.state()["cards"]) == {str(card(number)) for number in numbers}


@asynccontextmanager
async def powered(folder: Path) -> AsyncIterator[BoardProcess]:
    folder.mkdir()
    board = BoardProcess(folder)
    await board.start()
    try:
        yield board
    finally:
        await board.stop()


@pytest.fixture
async def yard(tmp_path: Path) -> AsyncIterator[Yard]:
    async with powered(tmp_path / "board") as board, running(write_config(tmp_path, board)) as house:
        await house.accounts.create("installer", "installer", PASSWORD)
        credentials = {}
        for number in (LOST, RESIDENT):
            identifier = normalise("wiegand26", f"101,{number:05d}")
            holder = await house.people.add(
                f"林晓{number}", cards=[identifier], profiles=["residents"], label="蓝色门卡", actor=TEST
            )
            credentials[number] = house.rights.snapshot.of_holder(holder)[0].id
        async with browser_site(house, routes_of(house)) as browser:
            made = Yard(board, house, browser, credentials)
            await until(made.holds(LOST, RESIDENT), WITHIN)
            yield made


async def test_an_installer_reads_a_board_back_and_sees_what_somebody_else_did_and_that_it_was_mended(
    yard: Yard,
) -> None:
    async with yard.browser.page("installer") as page:
        await page.click(".places a:has-text('控制器')")
        here = page.locator("article")
        await expect(here).to_contain_text("与权限一致")
        await expect(here).to_contain_text("小区门")
        await expect(here).to_contain_text("2 张，最多 20,000 张")
        await expect(here).not_to_contain_text("改过卡")
        await yard.board.do("put_card", card=card(STRANGER), doors=[1, 1, 1, 1])
        await yard.board.do("put_card", card=card(RESIDENT), last="2020-01-01", doors=[1, 0, 0, 0])
        await page.click("button:has-text('现在读回')")
        await expect(here).to_contain_text("多出 1 张，缺少 0 张，被改 1 张")
        await expect(here).to_contain_text("按权限改回；请查明是谁改的")
        assert yard.holds(LOST, RESIDENT)()
        assert str(card(STRANGER)) not in await page.content()
        assert await yard.board.do("swipe", card=card(RESIDENT))
        await expect(here).to_contain_text("已并入到第")
    assert await audited(yard.house) == ["board.look"]


async def audited(house: Menwei) -> list[str]:
    entries = await house.journal.read(kinds={"Audit"}, limit=1000)
    return [entry.data["action"] for entry in entries if entry.data["action"].startswith("board.")]


async def test_who_can_still_open_is_shown_until_the_board_is_back_and_took_the_card(yard: Yard) -> None:
    async with yard.browser.page("admin", path="/boards") as page:
        here = page.locator("article")
        await expect(here).to_contain_text("已连接")
        await yard.board.stop()
        await expect(here).to_contain_text("离线")  # by itself: nobody loads the page again
        await yard.lose(LOST)
        await expect(here).to_contain_text("1 张应当失效的卡还没有取回")
        await expect(here.locator("li a")).to_have_text("林晓1")
        assert await page.locator("button:has-text('现在读回')").count() == 0
        await yard.board.start()
        await expect(here).to_contain_text("与权限一致")
        await expect(here).not_to_contain_text("还没有取回")
        assert yard.holds(RESIDENT)()


async def test_the_page_of_a_board_in_every_trouble_is_one_that_anybody_can_use(yard: Yard) -> None:
    await yard.board.do("put_card", card=card(STRANGER), doors=[1, 1, 1, 1])
    yard.house.boards.look("board-1")
    await until(lambda: yard.house.boards.statuses()[0].drift is not None, WITHIN)
    await until(yard.holds(LOST, RESIDENT), WITHIN)
    await yard.board.stop()
    await until(lambda: not yard.house.boards.statuses()[0].online, WITHIN)
    await yard.lose(LOST)
    await until(lambda: yard.house.boards.statuses()[0].to_take == 1, WITHIN)
    found = []
    for language, width, scheme in LOOKS:
        async with yard.browser.page("admin", language, width, scheme, path="/boards") as page:
            assert await page.get_attribute("html", "lang") == language
            await expect(page.locator("article .alarm")).to_be_visible()
            found += await troubles(page, f"{language} {width} {scheme}")
    assert found == []


@pytest.mark.parametrize("language", ["zh-CN", "en"])
async def test_the_page_of_a_board_in_step_is_one_that_anybody_can_use(yard: Yard, language: str) -> None:
    said = yard.house.messages.t(language, "console.boards.in_step")
    async with yard.browser.page("installer", language, 360, path="/boards") as page:
        await expect(page.locator("article")).to_contain_text(said)
        assert await troubles(page, language) == []
