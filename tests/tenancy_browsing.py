"""People in the pages of the tenancy, without a browser: who they are, what they see and what they send."""

from __future__ import annotations

import re
from html import unescape
from itertools import count
from typing import Any

import pytest
from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer

from menwei.callers import CSRF_HEADER
from menwei.web import application
from menwei_tenancy.terms import Role
from small_house import HOUSE, PASSWORD
from tenancy_house import TenancyHouse, card, tenancy_house

LIN, WANG = card("A1A1A1A1"), card("B2B2B2B2")


@pytest.fixture
async def house(tmp_path):
    async with tenancy_house(tmp_path) as opened:
        yield opened


@pytest.fixture
async def client(house: TenancyHouse):
    async with browsing(house) as opened:
        yield opened


def browsing(house: TenancyHouse) -> TestClient[Any, Any]:
    from menwei_console import register_routes

    own = [route for plugin in house.plugins.values() for route in plugin.routes]
    app = application(house, [*own, *register_routes()])
    app[HOUSE] = house
    house.messages.add("menwei_console") if house.messages.find("en", "console.cancel") is None else None
    return TestClient(TestServer(app, host="127.0.0.1"), cookie_jar=CookieJar(unsafe=True))


async def see(browser, path: str, status: int = 200) -> str:
    answer = await browser.get(path)
    text = unescape(await answer.text())
    assert answer.status == status, text
    return text


async def send(browser, page: str, action: str, **fields: str) -> Any:
    """A form that stands on `page`, as a browser sends it without a script."""
    shown = await see(browser, page)
    assert f'action="{action}?_next=' in shown, f"no form to {action} on {page}"
    data = {"_csrf": browser.session.headers[CSRF_HEADER], **fields}
    query = re.search(rf'action="{re.escape(action)}\?(_next=[^"]*)"', shown)
    assert query is not None
    return await browser.post(
        f"{action}?{query[1]}",
        data=data,
        headers={"Accept": "text/html", "Referer": str(browser.make_url(page))},
    )


async def visitor(house, client, role: str, name: str):
    """Another browser, signed in with an account of that role: (browser, account)."""
    account = await house.accounts.create(name, role, PASSWORD)
    browser = TestClient(client.server, cookie_jar=CookieJar(unsafe=True))
    answer = await browser.post("/api/login", json={"name": name, "password": PASSWORD})
    browser.session.headers[CSRF_HEADER] = (await answer.json())["csrf"]
    return browser, account.id


async def household(
    house, role: Role = Role.LESSEE, flat: int | None = None, touched=LIN, **lease
) -> tuple[int, int, int]:
    """(flat, household, member) of somebody with a card."""
    flat = await house.places() if flat is None else flat
    home, member = await house.living(flat, role, **lease)
    if role is Role.COHABITANT:
        await house.collect(member, touched)
    else:
        await house.do("passes", "give", member, touched)
    return flat, home, member


@pytest.fixture
def backwards(monkeypatch):
    """Every number of a row is smaller than the one before: an order by numbers would show the last first."""
    numbers = count(10**15, -1)
    for module in ("menwei.people", "menwei_tenancy.households", "menwei_tenancy.places"):
        monkeypatch.setattr(f"{module}.new_id", lambda: next(numbers))
