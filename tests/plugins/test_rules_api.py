"""A guard forgives: the one route of the rules."""

from __future__ import annotations

import pytest
from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer

from menwei.web import application
from menwei_rules.book import RuleBook
from small_house import HOUSE, sign_in
from tenancy_house import TenancyHouse


@pytest.fixture
async def house(tmp_path):
    async with await TenancyHouse.open(tmp_path) as opened:
        await opened.load(("rules",))
        yield opened


@pytest.mark.parametrize(
    ("role", "status"), [("guard", 200), ("committee", 200), ("landlord", 403), ("installer", 403)]
)
async def test_a_guard_lets_somebody_be_anywhere_again(house, role, status):
    book = house.service(RuleBook)
    book.areas.went(10, "", "yard", house.time)
    app = application(house, [route for plugin in house.plugins.values() for route in plugin.routes])
    app[HOUSE] = house
    async with TestClient(TestServer(app, host="127.0.0.1"), cookie_jar=CookieJar(unsafe=True)) as client:
        await sign_in(client, role)
        answer = await client.post("/api/rules/forgive", json={"holder": 10})
        assert answer.status == status
    inside = book.areas.in_since(10, "yard", house.time, 3600.0)
    assert (inside is None) is (status == 200)
    if status == 200:
        assert (await house.audits())[-1] | {"actor": ""} == {
            "action": "rules.forgive",
            "role": role,
            "by": "account",
            "actor": "",
            "holder": 10,
        }
