"""What the console's forms do in a browser without scripts, and when they are refused."""

# ruff: noqa: F811  fixtures are imported by their names

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from menwei.callers import CSRF_HEADER
from small_house import PASSWORD, SmallHouse, client, empty_house, house, sign_in  # noqa: F401

Browser = TestClient[Any, Any]
HTML = {"Accept": "text/html"}
REASON = "邻居来值班室询问"


async def send(browser: Browser, path: str, language: str = "zh-CN", **fields: str) -> Any:
    """A form of a page, as the browser itself sends it."""
    data = {"_csrf": browser.session.headers[CSRF_HEADER], **fields}
    return await browser.post(path, data=data, headers={**HTML, "Accept-Language": language})


async def page_after(browser: Browser, path: str, language: str = "zh-CN", **fields: str) -> str:
    answer = await send(browser, path, language, **fields)
    assert answer.status == 200, await answer.text()
    return unescape(await answer.text())


async def test_whoever_was_entered_without_a_script_is_shown(client: Browser, house: SmallHouse) -> None:
    await sign_in(client)
    answer = await send(client, "/api/people?_next=/people/{id}", name="欧阳娜娜")
    (person,) = await house.people.list()
    assert (answer.status, answer.url.path) == (200, f"/people/{person.id}")


async def test_the_secret_of_a_token_is_shown_without_a_script_too(
    client: Browser, house: SmallHouse
) -> None:
    await sign_in(client)
    page = await page_after(client, "/accounts/tokens", name="大屏", role="guard", last_day="")
    secret = re.search(r"data-secret[^>]*>(mw_[^<]+)<", page)
    assert secret is not None
    token = await house.accounts.tokens.find(secret[1])
    assert token is not None
    assert token.name == "大屏"
    after = await client.get("/accounts/tokens")  # where the language is changed to
    assert after.status == 200
    assert secret[1] not in await after.text()


async def test_a_token_that_is_refused_without_a_script_says_why(client: Browser, house: SmallHouse) -> None:
    await sign_in(client)
    page = await page_after(client, "/accounts/tokens", name="大屏", role="guard", last_day="2020-01-01")
    assert "最后一天已经过去" in page
    assert await house.accounts.tokens.all() == []


async def test_nobody_but_the_committee_makes_a_token_by_its_page(client: Browser, house: SmallHouse) -> None:
    await sign_in(client, "guard")
    assert (await send(client, "/accounts/tokens", name="大屏", role="guard")).status == 403
    assert await house.accounts.tokens.all() == []


@pytest.mark.parametrize(("language", "told"), [("zh-CN", "请填写“原因”"), ("en", "Fill in “Reason”")])
async def test_a_reason_of_blanks_is_no_reason_and_told_by_the_fields_name(
    client: Browser, house: SmallHouse, language: str, told: str
) -> None:
    person = await house.people.add("欧阳娜娜", actor=house.ACTOR)
    await sign_in(client)
    assert told in await page_after(client, f"/people/{person}/passages", language, reason="     ")
    assert "journal.by_holder" not in str(await house.audits())


async def test_an_export_that_is_refused_keeps_what_was_typed(client: Browser, house: SmallHouse) -> None:
    await sign_in(client)
    days = {"first_day": "2026-11-30", "last_day": "2026-11-01"}
    page = await page_after(client, "/doors/gate/export", reason=REASON, who="true", **days)
    assert "最后一天在第一天之前" in page
    assert "<details open" in page
    for typed in (REASON, *days.values()):
        assert f'value="{typed}"' in page
    assert re.search(r'name="who"[^>]* checked', page)
    assert "journal.export" not in str(await house.audits())


async def test_after_a_refused_export_the_language_can_be_changed(client: Browser) -> None:
    await sign_in(client)
    answer = await client.get("/doors/gate/export")
    assert answer.status == 200
    assert "<details open" in await answer.text()


async def test_who_may_not_read_names_is_told_so_beside_the_list_and_its_search(
    client: Browser, house: SmallHouse
) -> None:
    person = await house.people.add("欧阳娜娜", actor=house.ACTOR)
    await sign_in(client, "registrar")
    page = await page_after(client, "/people", search="欧阳")
    assert "需要管理员登录后才能按姓名查找" in page
    assert f'href="/people/{person}"' in page
    assert re.search(r'name="search"[^>]*value="欧阳"', page)


async def test_nobody_is_offered_to_disable_their_own_account(client: Browser, house: SmallHouse) -> None:
    guard = (await house.accounts.create("guard", "guard", PASSWORD)).id
    await sign_in(client)
    (own,) = [account.id for account in await house.accounts.list() if account.name == "admin"]
    text = await (await client.get("/accounts")).text()
    assert f"/api/accounts/{guard}/state" in text
    assert f"/api/accounts/{own}/state" not in text
