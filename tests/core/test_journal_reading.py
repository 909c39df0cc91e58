"""The journal as those read it who come later: by position, kind, door, time and person, and as it grows."""

from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
from pathlib import Path
from typing import Any

import orjson
import pytest

from journal_support import KEYS, SITE, door_mode, opened, passage
from menwei.chain import Link, verify
from menwei.journal import (
    Entry,
    Journal,
    PersonalState,
    Position,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


# ----------------------------------------------------------------------------------------------------------- reading


async def test_reading_filters_by_position_kind_door_and_time(path: Path) -> None:
    async with opened(path) as journal:
        for number in range(40):
            kind = "AccessDenied" if number % 4 == 0 else "AccessGranted"
            journal.post(passage(at=float(number), door=f"d{number % 2}", kind=kind, number=number))
        await journal.append(door_mode("d0", "Locked", at=99.0))

        async def numbers(**query: Any) -> list[int | None]:
            return [entry.data.get("number") for entry in await journal.read(**query)]

        everything = await journal.read()
        assert await numbers(limit=3) == [0, 1, 2]
        assert await numbers(limit=2, newest_first=True) == [None, 39]
        assert await numbers(kinds={"AccessDenied"}, limit=3) == [0, 4, 8]
        assert await numbers(kinds={"AccessDenied"}, newest_first=True, limit=3) == [36, 32, 28]
        assert await numbers(kinds={"AccessDenied", "DoorMode"}, newest_first=True, limit=3) == [None, 36, 32]
        assert await numbers(kinds=set()) == []
        assert await numbers(kinds={"AccessDenied"}, doors={"d1"}) == []
        assert await numbers(doors={"d1"}, limit=3) == [1, 3, 5]
        assert await numbers(since=10.0, until=12.0) == [10, 11]
        assert await numbers(after=everything[4].position, before=everything[8].position) == [5, 6, 7]
        assert await numbers(after=everything[4].position, kinds={"AccessDenied"}, limit=1) == [8]


async def test_personal_parts_are_read_only_when_asked_for_and_stand_sealed(path: Path) -> None:
    async with opened(path) as journal:
        await journal.append(Entry("AccessGranted", 1.0, "gate", personal={"holder": 7, "note": "王小明"}))
        await journal.append(door_mode("gate", "Locked"))
        assert not any(hasattr(entry, "personal") for entry in await journal.read())
        first, second = await journal.read(personal=True)
    assert (first.personal, first.state) == ({"holder": 7, "note": "王小明"}, PersonalState.KEPT)
    assert (second.personal, second.state) == (None, PersonalState.NONE)
    assert "王小明".encode() not in path.read_bytes()


async def test_one_personal_part_that_does_not_open_leaves_the_rest_readable(path: Path) -> None:
    async with opened(path) as journal:
        await journal.append(passage())
        await journal.append(passage())
        with sqlite3.connect(path) as other:
            other.execute(
                "UPDATE personal SET sealed = zeroblob(60) WHERE position = (SELECT min(position) FROM personal)"
            )
        other.close()
        states = [entry.state for entry in await journal.read(personal=True)]
    assert states == [PersonalState.UNREADABLE, PersonalState.KEPT]


async def test_a_holders_entries_are_found_newest_first_and_nobody_elses(path: Path) -> None:
    async with opened(path) as journal:
        for number in range(20):
            journal.post(passage(holder=number % 4, number=number))
        await journal.append(passage(holder=None))
        found = await journal.by_holder(3, limit=3)
        assert [entry.data["number"] for entry in found] == [19, 15, 11]
        assert all(entry.personal == {"holder": 3, "credential": 11} for entry in found)
        assert [entry.data["number"] for entry in await journal.by_holder(3, before=found[-1].position)] == [
            7,
            3,
        ]
        assert await journal.by_holder(3, kinds={"AccessDenied"}) == []
        assert await journal.by_holder(99) == []


async def test_a_holders_entries_are_found_at_the_doors_asked_for_however_many_came_after(path: Path) -> None:
    async with opened(path) as journal:
        for number in range(20):
            journal.post(passage(holder=3, door="gate" if number < 2 else "unit", number=number))
        await journal.append(passage(holder=4))
        found = await journal.by_holder(3, limit=3, doors={"gate", "garage"})
        assert [entry.data["number"] for entry in found] == [1, 0]
        assert await journal.by_holder(3, doors=set()) == []


async def test_deeds_are_found_by_what_was_done_in_pages_with_who_did_them(path: Path) -> None:
    def audit(number: int, action: str, holder: int) -> Entry:
        return Entry("Audit", 1000.0 + number, data={"action": action}, personal={"holder": holder})

    async with opened(path) as journal:
        for number in range(12):
            journal.post(audit(number, ("look", "change", "open")[number % 3], number % 2))
        await journal.append(passage(action="look", holder=1))
        first = await journal.audits({"look", "open"}, 3)
        assert [entry.at for entry in first] == [1011.0, 1009.0, 1008.0]
        assert [entry.personal for entry in first] == [{"holder": 1}, {"holder": 1}, {"holder": 0}]
        rest = await journal.audits({"look", "open"}, before=first[-1].position, since=1003.0)
        assert [entry.at for entry in rest] == [1006.0, 1005.0, 1003.0]
        about = await journal.by_holder(1, 2, kinds={"Audit"}, actions={"look"})
        assert [entry.at for entry in about] == [1009.0, 1003.0]


async def test_the_latest_entry_of_a_kind_is_known_for_each_door(path: Path) -> None:
    async with opened(path) as journal:
        for door, mode in [("gate", "Locked"), ("unit", "Locked"), ("gate", "LockedOpen")]:
            journal.post(door_mode(door, mode))
        await journal.append(passage())
        latest = await journal.latest("DoorMode")
    assert {door: entry.data["mode"] for door, entry in latest.items()} == {
        "gate": "LockedOpen",
        "unit": "Locked",
    }


async def test_an_export_verifies_by_itself(path: Path) -> None:
    async with opened(path) as journal:
        for number in range(1203):
            journal.post(passage(number=number, text="门"))
        await journal.append(passage())
        lines = [orjson.loads(orjson.dumps(line)) async for line in journal.export()]
        with_personal = [line async for line in journal.export(kinds={"AccessGranted"}, personal=True)]
    links = [
        Link(
            Position.parse(line["position"]), line["kind"], line["at"], line["recorded_at"], line["monotonic"], line["door"],
            line["access_point"], orjson.dumps(line["data"]).decode(), bytes.fromhex(line["commitment"]),
            bytes.fromhex(line["chain"]), b"", None,
        )
        for line in lines
    ]  # fmt: skip
    checked = verify(
        [dataclasses.replace(link, sealed=None, commitment=link.commitment) for link in links], KEYS, SITE
    )
    assert len(lines) == 1204
    assert (
        checked.entries == 1204
    )  # every link held; what is missing beside them is the head and the side rows
    assert not any("personal" in line for line in lines)
    assert with_personal[0]["personal"] == {"holder": 7, "credential": 11}


# --------------------------------------------------------------------------------------------------------- following


async def test_a_follower_hears_what_was_and_what_comes(path: Path) -> None:
    async with opened(path) as journal:
        await journal.append(passage(number=1))
        follower = journal.follow(kinds={"AccessGranted"})
        assert [entry.data["number"] for entry in await anext(follower)] == [1]
        coming = asyncio.ensure_future(anext(follower))
        await journal.append(passage(kind="AccessDenied", number=2))
        await journal.append(passage(number=3))
        assert [entry.data["number"] for entry in await asyncio.wait_for(coming, 60)] == [3]


async def test_a_follower_ends_when_the_journal_is_closed(path: Path) -> None:
    heard = []

    async def listen(journal: Journal) -> None:
        async for batch in journal.follow():
            heard.extend(batch)

    async with opened(path) as journal:
        task = asyncio.create_task(listen(journal))
        await journal.append(passage())
    await asyncio.wait_for(task, 60)
    assert len(heard) <= 1


async def test_a_cursor_resumes_after_what_was_handled_and_repeats_what_was_not(path: Path) -> None:
    async with opened(path) as journal:
        for number in range(10):
            await journal.append(passage(number=number))
        handled: list[int] = []
        async for batch in journal.follow("sms", limit=3):
            if len(handled) == 6:
                break  # the third batch is in hand and never handled
            handled += [entry.data["number"] for entry in batch]
    async with opened(path) as journal:
        rest = await anext(journal.follow("sms"))
    assert handled == [0, 1, 2, 3, 4, 5]
    assert [entry.data["number"] for entry in rest] == [6, 7, 8, 9]


async def test_an_advanced_cursor_is_durable_and_each_has_its_own_name(path: Path) -> None:
    async with opened(path) as journal:
        position = await journal.append(passage())
        assert journal.cursor("sms") is None
        await journal.advance("sms", position)
        with sqlite3.connect(path) as other:
            assert other.execute("SELECT * FROM cursor").fetchall() == [("sms", position.packed)]
        other.close()
    async with opened(path) as journal:
        assert journal.cursor("sms") == position
        assert journal.cursor("mqtt") is None
        await journal.drop_cursor("sms")
    async with opened(path) as journal:
        assert dict(journal.cursors) == {}


async def test_a_new_cursor_begins_where_it_is_told(path: Path) -> None:
    async with opened(path) as journal:
        first = await journal.append(passage(number=1))
        await journal.append(passage(number=2))
        batch = await anext(journal.follow("late", after=first))
    assert [entry.data["number"] for entry in batch] == [2]
