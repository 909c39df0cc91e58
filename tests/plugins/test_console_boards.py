"""The page of the boards that decide: who sees it, and that each thing an installer should know stands on it in words."""

# ruff: noqa: F811  fixtures are imported by their names

from __future__ import annotations

import json
from dataclasses import replace
from html import unescape
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from menwei.boardfacts import BoardHealth
from menwei.boardlog import Merged
from menwei.boardplan import BoardStatus, Drift, Lacks, Pushed
from menwei.callers import CSRF_HEADER
from menwei.cardformats import normalise
from menwei.model import Actor
from small_house import SmallHouse, client, empty_house, house, sign_in  # noqa: F401

Browser = TestClient[Any, Any]
ACTOR = Actor("admin", "committee")
THEN = 1_700_000_000.0
"""2023-11-15 06:13:20 at the site."""


def board(**changes: Any) -> BoardStatus:
    """A board that is reached, in step, and has nothing to complain of."""
    facts: dict[str, Any] = {
        "device": "board", "online": True, "revision": 0, "wanted": 10, "held": 10, "capacity": 20_000, "to_give": 0,
        "to_take": 0, "revoked": (), "read_back": THEN, "drift": None, "trouble": "", "doors": ("gate", "unit"),
        "since": THEN, "health": BoardHealth(0.4, 0),
    }  # fmt: skip
    return BoardStatus(**(facts | changes))


async def see(browser: Browser, path: str = "/boards", status: int = 200) -> str:
    answer = await browser.get(path)
    assert answer.status == status, await answer.text()
    return unescape(await answer.text())


@pytest.fixture
async def shown(client: Browser, house: SmallHouse) -> Any:
    """What the installer's page says of a board."""
    await sign_in(client, "installer")

    async def page(**changes: Any) -> str:
        house.boards.found = [replace(board(revision=house.rights.snapshot.revision), **changes)]
        return await see(client)

    return page


# ------------------------------------------------------------------------------------------------------- who sees it


async def test_a_site_without_such_a_board_has_no_such_place(client: Browser, house: SmallHouse) -> None:
    await sign_in(client, "installer")
    assert 'href="/boards"' not in await see(client, "/devices")
    assert "这里没有自己判断的控制器" in await see(client)
    house.boards.found = [board()]
    assert 'href="/boards"' in await see(client, "/devices")


@pytest.mark.parametrize("role", ["guard", "registrar", "auditor"])
async def test_whoever_may_not_see_devices_is_not_led_to_the_boards(
    client: Browser, house: SmallHouse, role: str
) -> None:
    house.boards.found = [board()]
    await sign_in(client, role)
    assert 'href="/boards"' not in await see(client, "/account")
    await see(client, status=403)
    await see(client, "/board-cards", status=403)


# ------------------------------------------------------------------------------------------------------- what it says


async def test_a_board_in_step_says_so_with_its_doors(shown: Any) -> None:
    page = await shown()
    for words in ("小区门、1号楼单元门", "已连接", "自 11-15 06:13", ">与权限一致<", "10 张，最多 20,000 张"):
        assert words in page
    assert 'class="card door good"' in page
    assert "这块控制器存不下的" not in page


async def test_a_board_that_waits_for_cards_is_not_in_step(shown: Any) -> None:
    page = await shown(to_give=1234)
    assert "1,234 张卡待下发" in page
    assert ">与权限一致<" not in page


async def test_a_revision_that_is_not_there_yet_is_not_in_step(shown: Any) -> None:
    assert ">与权限一致<" not in await shown(revision=-1)


@pytest.mark.parametrize("changes", [{"trouble": "it is full"}, {"drift": Drift(THEN, 1, 0, 0)}])
async def test_a_board_in_trouble_is_not_in_step(shown: Any, changes: dict[str, Any]) -> None:
    assert ">与权限一致<" not in await shown(**changes)


async def test_a_board_that_is_away_says_since_when_and_offers_no_reading(shown: Any) -> None:
    page = await shown(online=False)
    assert "离线" in page
    assert "自 11-15 06:13" in page
    assert "现在读回" not in page
    assert "连上以后会自动读回" in page


async def test_what_somebody_else_did_is_told_and_when_it_was_put_right(shown: Any) -> None:
    drift = Drift(THEN, 1, 2, 3)
    page = await shown(drift=drift)
    assert "多出 1 张，缺少 2 张，被改 3 张" in page
    assert "正在按权限改回" in page
    page = await shown(drift=replace(drift, mended=THEN + 60))
    assert "已于 11-15 06:14 按权限改回" in page


async def test_what_was_given_and_taken_last_is_told(shown: Any) -> None:
    assert "11-15 06:13 · 下发 3 张，取回 1 张" in await shown(pushed=Pushed(THEN, 3, 1))


async def test_a_reading_that_goes_on_shows_how_far_it_is(shown: Any) -> None:
    page = await shown(reading=1200)
    assert "正在读回，已读 1,200 张" in page
    assert " disabled" in page


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"wanted": 17_900}, None),
        ({"wanted": 18_100}, "快放满了"),
        ({"wanted": 20_000, "lacks": Lacks(overflow=7)}, "还有 7 张卡没有位置"),
    ],
)
async def test_the_room_is_watched(shown: Any, changes: dict[str, Any], words: str | None) -> None:
    page = await shown(**changes)
    found = [each for each in ("快放满了", "还有 7 张卡没有位置") if each in page]
    assert found == ([words] if words else [])


async def test_what_the_board_cannot_hold_is_told(shown: Any) -> None:
    lacks = Lacks(0, 4, ("market", "festival"), 5, "9 time profiles are needed and 2 are free")
    page = await shown(lacks=lacks)
    for words in ("market、festival", "4 张卡登记时没有保存卡号", "5 份权限在某一天中途", "9 time profiles"):
        assert words in page


@pytest.mark.parametrize(
    ("ahead", "words"), [(0.4, "快 0.4 秒"), (-3.2, "慢 3.2 秒"), (None, "<dd>未知</dd>")]
)
async def test_its_clock_is_compared(shown: Any, ahead: float | None, words: str) -> None:
    page = await shown(health=BoardHealth(ahead, None))
    assert words in page
    assert '<span class="bad">' not in page


async def test_a_clock_that_does_not_let_itself_be_set_stands_out(shown: Any) -> None:
    assert '<span class="bad">慢 90.0 秒' in await shown(health=BoardHealth(-90.0, None))


async def test_how_far_its_log_is_merged_is_told(shown: Any, house: SmallHouse) -> None:
    assert "还没有并入的记录" in await shown()
    house.board_log.merged["board"] = Merged(1, 812, THEN, THEN + 3600)
    page = await shown(health=BoardHealth(0.0, 44))
    assert "已并入到第 812 条（11-15 06:13 发生，11-15 07:13 读到）" in page
    assert "还有 44 条未读" in page


async def test_what_the_board_did_not_take_is_told_in_its_own_words(shown: Any) -> None:
    page = await shown(trouble="the board took no more cards")
    assert "the board took no more cards" in page
    assert 'class="card door bad"' in page


# --------------------------------------------------------------------------------------- who is on it and should not be


async def lost(house: SmallHouse) -> tuple[int, int]:
    holder = await house.people.add(
        "欧阳娜娜", cards=[normalise("uid", "04A1B2C3")], label="蓝色门卡", actor=ACTOR
    )
    return holder, house.rights.snapshot.of_holder(holder)[0].id


async def test_the_committee_sees_who_can_still_open(client: Browser, house: SmallHouse) -> None:
    holder, credential = await lost(house)
    house.boards.found = [board(to_take=2, revoked=(credential,), online=False)]
    await sign_in(client)
    page = await see(client)
    assert "2 张应当失效的卡还没有取回" in page
    assert f'<a href="/people/{holder}">欧阳娜娜</a> · 蓝色门卡' in page
    assert "另有 1 张卡" in page
    assert "04A1B2C3" not in page


async def test_an_installer_sees_how_many_and_not_who(client: Browser, house: SmallHouse) -> None:
    holder, credential = await lost(house)
    house.boards.found = [board(to_take=1, revoked=(credential,))]
    await sign_in(client, "installer")
    page = await see(client)
    assert "1 张应当失效的卡还没有取回" in page
    assert "取完之前一直显示在这里" in page
    assert "欧阳" not in page
    assert f"/people/{holder}" not in page


async def test_who_can_still_open_is_not_told_to_an_installer(client: Browser, house: SmallHouse) -> None:
    _, credential = await lost(house)
    house.boards.found = [board(to_take=1, revoked=(credential,))]
    await sign_in(client, "installer")
    await see(client, "/api/boards/board/holders", status=403)


async def test_a_registrar_learns_who_without_the_sealed_name(client: Browser, house: SmallHouse) -> None:
    holder, credential = await lost(house)
    house.boards.found = [board(to_take=1, revoked=(credential,))]
    await sign_in(client, "registrar")
    told = json.loads(await see(client, "/api/boards/board/holders"))
    (found,) = told["holders"]
    assert (found["holder"], found["name"], told["others"]) == (holder, None, 0)
    await see(client, "/api/boards/nowhere/holders", status=404)


# -------------------------------------------------------------------------------------------------------- the button


async def test_without_javascript_a_reading_is_asked_for_and_the_page_comes_back(
    client: Browser, house: SmallHouse
) -> None:
    house.boards.found = [board()]
    await sign_in(client, "installer")
    token = client.session.headers[CSRF_HEADER]
    answer = await client.post(
        "/api/boards/board/look?_next=/boards", data={"_csrf": token}, headers={"Accept": "text/html"}
    )
    assert (answer.status, answer.url.path) == (200, "/boards")
    assert house.boards.looked == ["board"]
    assert (await house.audits())[-1]["action"] == "board.look"


async def test_the_page_stands_in_english_too(client: Browser, house: SmallHouse) -> None:
    lacks = Lacks(3, 4, ("market",), 5, "too many")
    house.boards.found = [board(to_take=1, to_give=2, drift=Drift(THEN, 1, 2, 3), lacks=lacks)]
    await sign_in(client)
    answer = await client.get("/boards", headers={"Accept-Language": "en"})
    page = unescape(await answer.text())
    assert "Controllers" in page
    assert "1 too many, 2 missing, 3 altered" in page
