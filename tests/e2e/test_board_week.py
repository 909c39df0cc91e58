"""This program is dead for a week: residents come and go, an ended lease does not, and nothing of it is lost."""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from menwei.cardformats import normalise
from menwei.house import Menwei
from menwei.journal import Recorded
from peers.uhppote import SERIAL, BoardProcess
from program import Program
from street_site import TEST, all_recorded, running
from waiting import until

pytestmark = pytest.mark.e2e

ZONE = ZoneInfo("Asia/Shanghai")
WEEK = 7 * 86_400.0
RESIDENT, TENANT, CLEANER, STRANGER = 1, 2, 3, 4
WITHIN = 120.0
LATER = Path(__file__).parents[1] / "peers" / "later"


def card(number: int) -> int:
    """As the board counts."""
    return 101_00000 + number


def value(number: int) -> str:
    return f"101,{number:05d}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def write_config(folder: Path, board: BoardProcess) -> Path:
    config: dict[str, Any] = {
        "site": {"id": "yard"},
        "web": {"port": free_port()},
        "plugins": {"uhppote": {}},
        "devices": {
            "board": {
                "driver": "uhppote", "serial": SERIAL, "host": "127.0.0.1", "port": board.port, "listen": "127.0.0.1:0",
                "poll": 0.5, "silence": 2,
            },
        },
        "schedules": {"day": {"weekly": ["Mon-Sun 08:00-18:00"]}},
        "doors": {
            "gate": {"lock": "board/1", "access_points": {"gate-in": {"readers": ["board/1"], "decides": "controller"}}},
        },
        "profiles": {
            "residents": [{"access_points": ["gate-in"]}],
            "cleaners": [{"access_points": ["gate-in"], "schedule": "day"}],
        },
    }  # fmt: skip
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path


@asynccontextmanager
async def powered(folder: Path) -> AsyncIterator[BoardProcess]:
    (folder / "board").mkdir()
    board = BoardProcess(folder / "board")
    await board.start()
    try:
        yield board
    finally:
        await board.stop()


def program(folder: Path, ahead: float = 0.0) -> Program:
    """`menwei` for whom it is so many seconds later."""
    path = os.pathsep.join([str(LATER), *(entry for entry in sys.path if entry)])
    return Program(folder, PYTHONPATH=path, MENWEI_TEST_AHEAD=str(ahead))


async def enrol(house: Menwei, number: int, profile: str, last: date | None = None) -> int:
    ends = {} if last is None else {"valid_to": midnight(last + timedelta(days=1))}
    identifier = normalise("wiegand26", value(number))
    return await house.people.add("林晓", cards=[identifier], profiles=[profile], actor=TEST, **ends)  # type: ignore[arg-type]


def midnight(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=ZONE).timestamp()


def recorded(folder: Path) -> int:
    """How many cards this program wrote down as held by a board."""
    with closing(sqlite3.connect(f"file:{folder / 'var' / 'store.db'}?mode=ro", uri=True)) as store:
        (count,) = store.execute("SELECT count(*) FROM board_cards").fetchone()
        return int(count)


async def touches(board: BoardProcess, number: int, day: date, at: str) -> bool:
    """Whether the board opened, by its own clock."""
    shown = datetime.fromisoformat(f"{day}T{at}")
    await board.do("clock", off=shown.timestamp() - time.time())
    return bool(await board.do("swipe", card=card(number)))


def holds(board: BoardProcess, *numbers: int) -> Callable[[], bool]:
    return lambda: set(board.state()["cards"]) == {str(card(number)) for number in numbers}


async def passages(house: Menwei) -> list[Recorded]:
    found = [
        *await all_recorded(house, "AccessGranted"), *await all_recorded(house, "AccessDenied")
    ]  # fmt: skip
    return sorted(found, key=lambda entry: entry.data["log"]["index"])


async def test_with_this_program_dead_for_a_week_the_doors_work_and_nothing_is_lost(tmp_path: Path) -> None:
    today = datetime.now(ZONE).date()
    days = [today + timedelta(days=n) for n in range(7)]
    async with powered(tmp_path) as board:
        config = write_config(tmp_path, board)
        async with running(config) as house:
            await enrol(house, RESIDENT, "residents")
            await enrol(house, TENANT, "residents", last=days[2])
            await enrol(house, CLEANER, "cleaners")
        async with program(tmp_path).killed():
            await until(holds(board, RESIDENT, TENANT, CLEANER), WITHIN)
            await until(lambda: recorded(tmp_path) == 3, WITHIN)
        # Killed. The board is alone, its clock goes on, its power fails once, and on the fifth day somebody with the maker's
        # software gives the tenant another ninety years.
        opened: list[bool] = []
        expected: list[bool] = []
        for n, day in enumerate(days[1:], start=1):
            for number, at, opens in (
                (RESIDENT, "07:30:00", True), (TENANT, "09:00:00", n <= 2 or n == 6), (CLEANER, "09:30:00", True),
                (CLEANER, "20:00:00", False), (STRANGER, "21:00:00", False), (RESIDENT, "23:59:30", True),
            ):  # fmt: skip
                opened.append(await touches(board, number, day, at))
                expected.append(opens)
            if n == 3:
                await board.stop()
                await board.start()
            if n == 5:
                await board.do("put_card", card=card(TENANT), doors=[1, 0, 0, 0])
        assert opened == expected
        back = today + timedelta(days=7)
        await board.do("clock", off=datetime.now(ZONE).replace(tzinfo=None).timestamp() + WEEK - time.time())
        # `menwei run` again, in the middle of whose reading it is killed once more.
        async with program(tmp_path, WEEK).killed():
            await until(holds(board, RESIDENT, CLEANER), WITHIN)
        async with running(config, wall=lambda: time.time() + WEEK) as house:
            await until_merged(house, len(opened))
            assert not await board.do("swipe", card=card(TENANT)), "the lease had ended"
            assert await board.do("swipe", card=card(RESIDENT))
            await until_merged(house, len(opened) + 2)
            entries = await passages(house)
            assert (await house.journal.verify()).ok
            (drift,) = await all_recorded(house, "BoardDrift")
            releases = board.state()["releases"]
        assert [entry.kind == "AccessGranted" for entry in entries] == [*opened, False, True]
        assert {entry.data["decided"] for entry in entries} == {"controller"}
        assert len({(entry.data["log"]["epoch"], entry.data["log"]["index"]) for entry in entries}) == len(
            entries
        )
        assert drift.data == {"device": "board", "added": 0, "missing": 0, "changed": 1}
        # Both clocks, and what the rights say of the tenant who was let in because of somebody else.
        shown = [datetime.fromisoformat(entry.data["device_time"]) for entry in entries]
        assert [at.date() for at in shown[: len(opened)]] == [day for day in days[1:] for _ in range(6)]
        assert all(
            entry.at == at.replace(tzinfo=ZONE).timestamp()
            for entry, at in zip(entries[:-2], shown, strict=False)
        )
        assert all(entry.data["received"] >= midnight(back) for entry in entries)
        assert [entry.data.get("against") for entry in entries if "against" in entry.data] == [
            ["CredentialExpired"]
        ]
        assert releases == [], "a passage that the board decided was decided again here"


async def until_merged(house: Menwei, count: int) -> None:
    end = time.monotonic() + WITHIN
    while (found := len(await passages(house))) < count:
        assert time.monotonic() < end, f"{found} of {count}"
        await asyncio.sleep(0.1)
    assert found == count
