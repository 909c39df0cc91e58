"""A clock that was ahead once, and the person who says so."""

from __future__ import annotations

import time
from typing import Any

from aiohttp.test_utils import TestClient

from menwei.clock import TrustedClock
from small_house import HOUSE, SmallHouse, sign_in

DAY = 86_400.0
REASON = {"reason": "the battery of the clock was dead"}


def a_year_ahead(house: SmallHouse) -> None:
    """The journal's last entry came from a clock that was wrong; the machine's is right again."""
    house.clock = TrustedClock(time.time() + 400 * DAY)


async def test_accepting_takes_the_time_back_and_says_who_did_and_why(client: TestClient[Any, Any]) -> None:
    house = client.app[HOUSE]
    await sign_in(client)
    a_year_ahead(house)
    answer = await client.post("/api/clock/accept", json=REASON)
    assert answer.status == 200
    found = await answer.json()
    assert found["before"] > found["machine"]
    assert house.clock.behind == 0
    (told,) = await house.journal.audits({"clock.accept"})
    assert round(told.data["behind"] / DAY) == 400
    assert told.personal == {"actor": "admin", "reason": REASON["reason"]}
    assert abs(told.at - time.time()) < DAY, "the next start goes by the accepted time"


async def test_a_clock_in_order_is_nothing_to_accept(client: TestClient[Any, Any]) -> None:
    await sign_in(client)
    answer = await client.post("/api/clock/accept", json=REASON)
    assert (answer.status, (await answer.json())["error"]) == (409, "web.clock_in_order")
    assert await client.app[HOUSE].journal.audits({"clock.accept"}) == []


async def test_it_takes_a_reason(client: TestClient[Any, Any]) -> None:
    await sign_in(client)
    a_year_ahead(client.app[HOUSE])
    for body in ({}, {"reason": "    "}):
        assert (await client.post("/api/clock/accept", json=body)).status == 400
    assert client.app[HOUSE].clock.behind > 399 * DAY
