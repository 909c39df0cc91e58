"""Doors over the API: what is shown to whom, commands, the live stream."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient

from menwei.account_facts import IDLE
from menwei.accounts import Session
from menwei.journal import Entry, Position
from menwei.model import DoorMode, DoorState
from small_house import HOUSE, PASSWORD, SmallHouse, sign_in

Browser = TestClient[Any, Any]
COMMAND = {"mode": "Accessed", "reason": "courier"}


async def passage(
    house: SmallHouse, kind: str = "AccessGranted", door: str = "gate", ago: float = 0.0
) -> Position:
    entry = Entry(kind, house.clock.now() - ago, door, f"{door}-in", {}, {"holder": 77, "credential": 78})
    position = await house.journal.record(entry, 10)
    assert position is not None
    return position


async def heard(stream: ClientResponse, count: int) -> list[dict[str, str]]:
    """The next events of a stream, comments left out."""
    events: list[dict[str, str]] = []
    event: dict[str, str] = {}
    async with asyncio.timeout(60):
        while len(events) < count:
            line = (await stream.content.readline()).decode().rstrip("\r\n")
            if line == "":
                if "event" in event:
                    events.append(event)
                event = {}
            elif not line.startswith(":"):
                name, _, value = line.partition(":")
                event[name] = value.strip()
    return events


async def test_doors_are_listed_with_their_state_and_what_the_caller_may_do(client: Browser) -> None:
    await sign_in(client, "guard")
    doors = (await (await client.get("/api/doors")).json())["doors"]
    gate = next(door for door in doors if door["id"] == "gate")
    assert (gate["name"], gate["mode"], gate["state"], gate["alarm"]) == (
        "小区门",
        "Locked",
        "Closed",
        "Normal",
    )
    assert "Accessed" in gate["commands"]
    assert "DoubleLocked" not in gate["commands"]


async def test_an_installer_may_open_but_not_lock_down(client: Browser) -> None:
    await sign_in(client, "installer")
    door = await (await client.get("/api/doors/gate")).json()
    assert set(door["commands"]) == {"Accessed", "Locked"}
    answer = await client.post("/api/doors/gate/command", json={"mode": "LockedDown", "reason": "test"})
    assert (answer.status, (await answer.json())["error"]) == (403, "command.not_your_role")
    assert client.app[HOUSE].doors["gate"].mode is DoorMode.LOCKED


async def test_a_door_that_is_not_there_is_not_found(client: Browser) -> None:
    await sign_in(client)
    for answer in (
        await client.get("/api/doors/none"),
        await client.post("/api/doors/none/command", json=COMMAND),
    ):
        assert (answer.status, (await answer.json())["error"]) == (404, "web.no_door")


async def test_a_command_is_recorded_with_who_and_why_before_the_door_opens(client: Browser) -> None:
    house = client.app[HOUSE]
    await sign_in(client, "guard")
    answer = await client.post("/api/doors/gate/command", json=COMMAND)
    told = await answer.json()
    assert answer.status == 200
    assert house.devices.done == [("board", "1", "access")]
    entry = (await house.journal.read(kinds={"DoorCommand"}, personal=True))[0]
    assert str(entry.position) == told["position"]
    assert entry.data["role"] == "guard"
    assert entry.personal == {"actor": "the guard", "reason": "courier"}


@pytest.mark.parametrize("reason", ["", "   ", None])
async def test_without_a_reason_no_door_opens(client: Browser, reason: str | None) -> None:
    await sign_in(client, "guard")
    answer = await client.post("/api/doors/gate/command", json={"mode": "Accessed", "reason": reason})
    assert answer.status == 400
    assert client.app[HOUSE].devices.done == []


async def test_a_door_that_does_not_answer_is_told(client: Browser) -> None:
    client.app[HOUSE].devices.silent = True
    await sign_in(client, "guard")
    answer = await client.post("/api/doors/gate/command", json=COMMAND)
    assert (answer.status, (await answer.json())["error"]) == (409, "command.no_answer")


async def test_access_points_name_their_readers_and_their_place(client: Browser) -> None:
    await sign_in(client, "registrar")
    points = (await (await client.get("/api/access-points")).json())["access_points"]
    by_id = {point["id"]: point for point in points}
    assert by_id["gate-in"]["readers"] == ["board/in"]
    assert by_id["gate-in"]["place"] == "小区门 · 进"
    assert by_id["unit-in"]["place"] == "1号楼单元门"


async def test_recent_passages_are_newest_first_and_in_words(client: Browser) -> None:
    house = client.app[HOUSE]
    await passage(house)
    checks = [{"reason": "CredentialExpired", "says": "door.expired", "by": "core", "detail": ""}]
    await house.journal.record(
        Entry("AccessDenied", house.clock.now(), "unit", "unit-in", {"checks": checks}), 10
    )
    await sign_in(client, "guard")
    entries = (await (await client.get("/api/recent")).json())["entries"]
    told = [(entry["text"], entry["detail"], entry["place"], entry["tone"]) for entry in entries]
    assert told == [("已拒绝", "已过期", "1号楼单元门", "warn"), ("已放行", "", "小区门 · 进", "good")]
    assert entries[0]["reasons"] == ["CredentialExpired"]
    assert entries[0]["time"].endswith("+08:00")


async def test_a_guard_is_never_told_who_passed(client: Browser) -> None:
    house = client.app[HOUSE]
    await passage(house)
    await sign_in(client, "guard")
    (entry,) = (await (await client.get("/api/recent")).json())["entries"]
    assert entry["holder"] is None
    assert not [value for value in entry.values() if value in (77, "77")]


async def test_a_guard_looks_back_a_glance_and_the_committee_a_day(client: Browser) -> None:
    await passage(client.app[HOUSE], ago=3600)
    await sign_in(client, "guard")
    assert (await (await client.get("/api/recent")).json())["entries"] == []
    await sign_in(client)
    assert len((await (await client.get("/api/recent")).json())["entries"]) == 1


async def test_an_alarm_that_ended_is_no_alarm_in_the_list(client: Browser) -> None:
    house = client.app[HOUSE]
    for alarm in ("DoorForcedOpen", "Normal"):
        await house.journal.record(Entry("DoorAlarm", house.clock.now(), "gate", "", {"alarm": alarm}), 10)
    await sign_in(client, "guard")
    entries = (await (await client.get("/api/recent")).json())["entries"]
    assert [entry["text"] for entry in entries] == ["强行开门"]


async def test_a_door_that_the_config_no_longer_has_keeps_its_id_in_the_record(client: Browser) -> None:
    await passage(client.app[HOUSE], door="torn-down")
    await sign_in(client)
    assert (await (await client.get("/api/recent")).json())["entries"][0]["place"] == "torn-down"


# ----------------------------------------------------------------------------------------------------- the live stream


async def test_the_stream_tells_of_a_passage_when_it_happens(client: Browser) -> None:
    await sign_in(client, "guard")
    async with client.get("/api/events") as stream:
        assert stream.content_type == "text/event-stream"
        assert (await heard(stream, 1))[0]["event"] == "hello"
        position = await passage(client.app[HOUSE])
        event = (await heard(stream, 1))[0]
        assert (event["event"], event["id"]) == ("entry", str(position))
        assert json.loads(event["data"])["text"] == "已放行"


async def test_the_stream_tells_of_a_door_that_moved(client: Browser) -> None:
    await sign_in(client, "guard")
    async with client.get("/api/events") as stream:
        await heard(stream, 1)
        client.app[HOUSE].doors["unit"].contact(DoorState.OPEN)
        kinds = [json.loads(event["data"])["kind"] for event in await heard(stream, 2)]
        assert kinds == ["DoorState", "DoorAlarm"]


async def test_the_stream_resumes_after_the_last_event_without_loss_or_doubles(client: Browser) -> None:
    house = client.app[HOUSE]
    positions = [str(await passage(house)) for _ in range(4)]
    await sign_in(client, "guard")
    async with client.get("/api/events", headers={"Last-Event-ID": positions[0]}) as stream:
        events = await heard(stream, 4)
        assert [event["id"] for event in events] == [positions[0], *positions[1:]]
        positions.append(str(await passage(house)))
        assert (await heard(stream, 1))[0]["id"] == positions[-1]


async def test_the_header_counts_more_than_the_address(client: Browser) -> None:
    house = client.app[HOUSE]
    first, second = str(await passage(house)), str(await passage(house))
    await sign_in(client, "guard")
    async with client.get(f"/api/events?after={first}", headers={"Last-Event-ID": second}) as stream:
        assert (await heard(stream, 1))[0]["id"] == second


async def test_a_stream_that_missed_too_much_is_told_to_begin_anew(
    client: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("menwei.api_doors.RESUMED", 3)
    house = client.app[HOUSE]
    first = await passage(house)
    for _ in range(5):
        await passage(house)
    await sign_in(client, "guard")
    async with client.get("/api/events", headers={"Last-Event-ID": str(first)}) as stream:
        events = await heard(stream, 2)
        assert (events[1]["event"], events[1]["id"]) == ("gap", str(house.journal.head))
        position = await passage(house)
        assert (await heard(stream, 1))[0]["id"] == str(position)


async def test_a_guard_can_not_turn_the_stream_into_a_history(client: Browser) -> None:
    house = client.app[HOUSE]
    first = await passage(house, ago=7200)
    await passage(house, ago=3600)
    await sign_in(client, "guard")
    async with client.get("/api/events", headers={"Last-Event-ID": "0.0"}) as stream:
        assert first
        await heard(stream, 1)
        position = await passage(house)
        assert (await heard(stream, 1))[0]["id"] == str(position)


@pytest.mark.parametrize("position", ["x", "1", "1.2.3", "99999999999999.1", "4294967296.1"])
async def test_a_position_that_is_none_is_refused(client: Browser, position: str) -> None:
    await sign_in(client, "guard")
    assert (await client.get("/api/events", headers={"Last-Event-ID": position})).status == 400


async def test_a_position_of_the_future_is_now(client: Browser) -> None:
    await sign_in(client, "guard")
    async with client.get("/api/events", headers={"Last-Event-ID": "4294967295.1"}) as stream:
        await heard(stream, 1)
        position = await passage(client.app[HOUSE])
        assert (await heard(stream, 1))[0]["id"] == str(position)


async def test_streams_are_bounded_and_an_ended_one_makes_room(
    client: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("menwei.streams.MOST_EACH", 1)
    await sign_in(client, "guard")
    async with client.get("/api/events") as stream:
        await heard(stream, 1)
        answer = await client.get("/api/events")
        assert (answer.status, (await answer.json())["error"]) == (429, "web.too_many")
    async with asyncio.timeout(60):
        while True:
            await passage(client.app[HOUSE])  # writing to a client that went away is how its end is noticed
            async with client.get("/api/events") as again:
                if again.status == 200:
                    break


# ------------------------------------------------------------------------------------- followers who are no more let in


async def sign_out(house: SmallHouse, session: Session, token: int) -> None:
    await house.accounts.logout(session.token)


async def disable(house: SmallHouse, session: Session, token: int) -> None:
    await house.accounts.set_disabled(session.account.id, True)


async def revoke(house: SmallHouse, session: Session, token: int) -> None:
    await house.accounts.tokens.revoke(token)


@pytest.mark.parametrize("end", [sign_out, disable, revoke])
@pytest.mark.parametrize("silent", [False, True], ids=["a passage", "nothing happens"])
async def test_a_stream_ends_with_what_its_caller_was_let_in_by(
    client: Browser, monkeypatch: pytest.MonkeyPatch, end: Any, silent: bool
) -> None:
    house = client.app[HOUSE]
    if silent:
        monkeypatch.setattr("menwei.routes.ASK_AGAIN", 0.02)
    await house.accounts.create("wang", "guard", PASSWORD)
    session = await house.accounts.login("wang", PASSWORD, "10.0.0.1")
    token, secret = await house.accounts.tokens.create("wall", "guard")
    shown = {"Authorization": f"Bearer {secret}"} if end is revoke else {"Cookie": f"menwei={session.token}"}
    async with client.get("/api/events", headers=shown) as stream:
        await heard(stream, 1)
        await passage(house)
        assert (await heard(stream, 1))[0]["event"] == "entry"
        await end(house, session, token.id)
        if not silent:
            await passage(house)
        assert (await heard(stream, 1))[0]["event"] == "signed-out"
        assert await stream.content.read() == b""
    assert (await client.get("/api/events", headers=shown)).status == 401


async def test_a_stream_alone_does_not_keep_a_session_that_nobody_uses(client: Browser) -> None:
    house = client.app[HOUSE]
    await sign_in(client, "guard")
    async with client.get("/api/events") as stream:
        await heard(stream, 1)
        await passage(house)
        await heard(stream, 1)
        seen = house.clock.now()
        house.accounts._now = lambda: seen + IDLE - 1
        await passage(house)
        assert (await heard(stream, 1))[0]["event"] == "entry"
        house.accounts._now = lambda: seen + IDLE + 1
        await passage(house)
        assert (await heard(stream, 1))[0]["event"] == "signed-out"
