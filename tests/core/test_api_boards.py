"""How far boards that decide alone are, over the API: counts for installers, pending cards for the desk."""

from __future__ import annotations

from typing import Any

from aiohttp.test_utils import TestClient

from menwei.boardfacts import BoardHealth
from menwei.boardlog import Merged
from menwei.boardplan import BoardStatus, Drift, Lacks, Pushed
from menwei.cardformats import normalise
from small_house import SmallHouse, sign_in


def status(**changes: Any) -> BoardStatus:
    facts: dict[str, Any] = {
        "device": "board", "online": False, "revision": 3, "wanted": 10, "held": 11, "capacity": 20000, "to_give": 0,
        "to_take": 1, "revoked": (7,), "read_back": 1.8e9, "drift": Drift(1.8e9, 1, 0, 2), "trouble": "",
    }  # fmt: skip
    return BoardStatus(**(facts | changes))


async def test_an_installer_sees_how_far_a_board_is_and_nobody_s_card(
    house: SmallHouse, client: TestClient[Any, Any]
) -> None:
    house.boards.found = [status()]
    await sign_in(client, "installer")
    answer = await client.get("/api/boards")
    (board,) = (await answer.json())["boards"]
    assert (board["device"], board["held"], board["to_take"], board["drift"]["changed"]) == (
        "board",
        11,
        1,
        2,
    )
    assert board["newest"] == house.rights.snapshot.revision
    assert "revoked" not in board


async def test_what_a_board_lacks_and_how_it_is_are_told(
    house: SmallHouse, client: TestClient[Any, Any]
) -> None:
    lacks = Lacks(2, 3, ("market",), 4, "too many")
    house.boards.found = [
        status(
            doors=("gate",), since=1.8e9, reading=70, pushed=Pushed(1.8e9, 5, 6), lacks=lacks,
            health=BoardHealth(-0.5, 9), drift=Drift(1.8e9, 1, 0, 2, 1.8e9 + 60),
        )
    ]  # fmt: skip
    house.board_log.merged["board"] = Merged(1, 12, 1.8e9, 1.8e9 + 1)
    await sign_in(client, "installer")
    (board,) = (await (await client.get("/api/boards")).json())["boards"]
    assert board["doors"] == ["小区门"]
    assert board["since"] == board["read_back"] == "2027-01-15T16:00:00+08:00"
    assert (board["reading"], board["clock_ahead"], board["unread"]) == (70, -0.5, 9)
    assert (board["filling"], board["lacks"]["overflow"], board["lacks"]["schedules"]) == (
        "full",
        2,
        ["market"],
    )
    assert (board["pushed"]["given"], board["merged"]["index"]) == (5, 12)
    assert board["drift"]["mended"] == "2027-01-15T16:01:00+08:00"


async def test_a_reading_is_asked_for_and_audited(house: SmallHouse, client: TestClient[Any, Any]) -> None:
    house.boards.found = [status()]
    await sign_in(client, "installer")
    assert (await client.post("/api/boards/board/look", json={})).status == 200
    assert house.boards.looked == ["board"]
    audits = [entry.data for entry in await house.journal.read(kinds={"Audit"})]
    assert {"action": "board.look", "device": "board"}.items() <= audits[-1].items()


async def test_a_board_that_there_is_not_is_not_found(client: TestClient[Any, Any]) -> None:
    await sign_in(client, "installer")
    assert (await client.post("/api/boards/nowhere/look", json={})).status == 404


async def test_the_desk_sees_that_a_lost_card_still_opens_somewhere(
    house: SmallHouse, client: TestClient[Any, Any]
) -> None:
    holder = await house.people.add("林晓", cards=[normalise("uid", "04A1B2C3")], actor=house.ACTOR)
    (credential,) = house.rights.snapshot.of_holder(holder)
    house.boards.found = [status(revoked=(credential.id,))]
    await sign_in(client, "registrar")
    person = await (await client.get(f"/api/people/{holder}")).json()
    assert person["credentials"][0]["still_admitted"] == ["board"]
