"""Wired doors: a UHPPOTE board with a Wiegand reader at a gate, and an OSDP reader with keypad in its secure channel whose
lock hangs on the same board, indoors. Beside them a flat door with a simulated controller.

Board and readers are this project's own peers, processes of their own (`wires.py`): the drivers are those that bought ones
are reached by. Locks of the board are counted by the board itself, door by door, in the accounts at the end.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from menwei.journal_entry import Recorded
from menwei.model import DoorMode
from menwei.testing.proxies import SerialProxy
from menwei_simulator.cast import DemoDoor, Entered, Member
from menwei_simulator.scene import (
    NOTHING,
    PATIENCE,
    TAKEN,
    Expected,
    Playing,
    Result,
    Scene,
    Story,
    by_card,
    closed,
    guard_opens,
    leaves,
    refused,
    strange_card,
)
from menwei_simulator.site import TIMES, Say
from menwei_simulator.wires import PULL, BoardProcess, Readers, WireError, reader, wiegand26

BOARD, WIRE, READER, ADDRESS = "board", "wire", "unit", 1
GATE = DemoDoor("gate", BOARD, "simulator.demo.door.gate", lock="1", reader="1")
UNIT = DemoDoor("unit-1", BOARD, "simulator.demo.door.unit-1", lock="2", reader=READER)
FLAT = DemoDoor("flat-501", "sim-flat-501", "simulator.demo.door.flat-501")

OWNER = Member("wired-owner", "刘芳", "wiegand26:007,00011", ("residents",), pin="2468")
LOSER = Member("wired-lost", "赵敏", "wiegand26:007,00012", ("residents",), lost=True)
STRANGER = "wiegand26:009,00009"
WRONG_PIN = "1357"
FACILITY: Final = 100_000
"""UHPPOTE boards write a Wiegand 26 card as one decimal number: facility code, then five digits of the card's."""
LOST_WITHIN, BACK_WITHIN = 20.0, 40.0
"""Seconds until a board without power is given up, and until it is served again."""


@dataclass(slots=True)
class WiredDoor:
    """One door of the board, as `Stage` is one of a simulated controller; with `readers`, an OSDP reader is on the wall."""

    board: BoardProcess
    door: int
    readers: Readers | None = None
    lights: int = 0

    def before(self, lock: str, reader: str) -> WiredDoor:
        return WiredDoor(self.board, int(lock), self.readers if reader == READER else None)

    async def present(self, value: str, format: str = "wiegand26") -> None:
        if format != "wiegand26":
            raise WireError(f"these readers send Wiegand 26, not {format}")
        facility, number = (int(part) for part in value.split(","))
        if self.readers is None:
            await self.board.do("swipe", card=facility * FACILITY + number, door=self.door)
            return
        self.lights = await self._lights()
        await self.readers.card(ADDRESS, 26, wiegand26(facility, number))

    async def type(self, digits: str) -> None:
        if self.readers is None:
            raise WireError("this door has no keypad")
        await self.readers.keys(ADDRESS, f"{digits}#".encode())

    async def shown(self, light: str, within: float) -> bool:
        """Whether the reader is told to show something after a card. A Wiegand reader is told nothing."""
        return self.readers is not None and await self._until(self._lit, within)

    async def display(self) -> str:
        return ""  # OSDP readers show letters without accents only, Wiegand readers nothing

    async def released(self, within: float) -> bool:
        return await self._until(self._unlocked, within)

    async def locked(self, within: float) -> bool:
        return await self._until(self._not_unlocked, within)

    async def walk_through(self, wait: float) -> bool:
        if not await self.released(wait):
            return False
        await self.open()
        await asyncio.sleep(0.2)
        await self.close()
        return True

    async def open(self) -> None:
        await self.board.do("contact", door=self.door, open=True)

    force = open

    async def close(self) -> None:
        await self.board.do("contact", door=self.door, open=False)

    async def press_exit(self) -> None:
        await self.board.do("button", door=self.door)

    async def releases(self) -> int:
        """How many times a host made this lock let go, as the board counts."""
        return sum(door == self.door for door, _, _ in self.board.state()["releases"])

    async def _unlocked(self) -> bool:
        return bool((await self.board.do("look"))["unlocked"][self.door - 1])

    async def _not_unlocked(self) -> bool:
        return not await self._unlocked()

    async def _lit(self) -> bool:
        return await self._lights() > self.lights

    async def _lights(self) -> int:
        assert self.readers is not None
        return sum(command["kind"] == "led" for command in await self.readers.commands(ADDRESS))

    async def _until(self, so: Callable[[], Awaitable[bool]], within: float) -> bool:
        end = time.monotonic() + within
        while not await so():
            if time.monotonic() > end:
                return False
            await asyncio.sleep(PULL)
        return True


async def joined(stack: AsyncExitStack, story: Story, folder: Path, say: Say) -> Story:
    """Start board and readers, and have them in the config."""
    board = BoardProcess(folder)
    await board.start()
    stack.push_async_callback(board.stop)
    wire = await stack.enter_async_context(SerialProxy())
    key = secrets.token_hex(16)  # as `menwei osdp pair` makes one
    readers = await stack.enter_async_context(Readers(wire.device_path, [reader(ADDRESS, key)]))
    story = configured(story, say, board.serial, board.port, wire.host_path, key)

    async def enter(playing: Playing) -> None:
        door = WiredDoor(board, 1, readers)
        playing.stages[BOARD] = door
        playing.notes |= {BOARD: board, WIRE: readers}
        playing.counts.update({one.id: door.before(one.lock, one.reader).releases for one in (GATE, UNIT)})
        await enter_people(playing)

    return replace(story, enter=enter)


def configured(story: Story, say: Say, serial: int, port: int, path: str, key: str) -> Story:
    """The story with the board at that port and the reader on that line in its config."""
    devices = {
        BOARD: {
            "driver": "uhppote", "serial": serial, "host": "127.0.0.1", "port": port,
            "listen": "127.0.0.1:0", "poll": 0.5, "silence": 3,
        },
        WIRE: {"driver": "osdp", "port": path, "readers": {READER: {"address": ADDRESS, "key": key}}},
    }  # fmt: skip
    gate = {"readers": [f"{BOARD}/{GATE.reader}"]}
    unit = {"readers": [f"{WIRE}/{UNIT.reader}"], "security_level": "Card and PIN"}
    doors = {
        door.id: {
            "name": say(door.name),
            "lock": f"{BOARD}/{door.lock}",
            **TIMES,
            "access_points": {door.inside: point},
        }
        for door, point in ((GATE, gate), (UNIT, unit))
    }

    def sections(_now: float) -> Mapping[str, Any]:
        return {"devices": devices, "doors": doors}

    return replace(story, sections=sections)


async def enter_people(playing: Playing) -> None:
    """The people over the API, as the desk does."""
    now = playing.house.clock.now()
    for member in (OWNER, LOSER):
        person = await playing.desk.post("/api/people", {"name": member.name, "external_id": member.key})
        card = await playing.desk.post(f"/api/people/{person['id']}/credentials", member.card_body(now))
        if member.lost:
            await playing.desk.post(f"/api/credentials/{card['id']}/state", {"state": "Lost"})
        playing.people[member.key] = Entered(member, person["id"], card["id"])


async def forced(playing: Playing) -> Result:
    """The gate is broken open: the board's contact tells."""
    stage = await playing.ready(GATE)
    began = time.monotonic()
    await stage.force()
    seen = await playing.diary.until(GATE.id, lambda entry: entry.kind == "DoorAlarm", PATIENCE)
    await stage.close()
    if seen is None:
        return Result(NOTHING)
    await playing.diary.until(GATE.id, closed, PATIENCE)
    return Result(str(seen.entry.data["alarm"]), latency=seen.at - began)


async def uncovered(playing: Playing) -> Result:
    """Somebody takes the OSDP reader off the wall: its tamper contact tells through the secure channel."""
    readers: Readers = playing.notes[WIRE]
    await playing.ready(UNIT)
    began = time.monotonic()
    await readers.tamper(ADDRESS, True)
    seen = await playing.diary.until(UNIT.id, tampered(True), PATIENCE)
    await readers.tamper(ADDRESS, False)
    await playing.diary.until(UNIT.id, tampered(False), PATIENCE)
    return Result(seen.entry.kind, latency=seen.at - began) if seen else Result(NOTHING)


def tampered(active: bool) -> Callable[[Recorded], bool]:
    return lambda entry: entry.kind == "Tamper" and entry.data.get("active") is active


async def power_cut(playing: Playing) -> Result:
    """The board loses its power and gets it back; then the card opens as before."""
    board: BoardProcess = playing.notes[BOARD]
    await playing.ready(GATE)
    runtime = playing.house.doors[GATE.id]
    await board.stop()
    await _becomes(lambda: not runtime.online, LOST_WITHIN)
    await board.start()
    await _becomes(lambda: runtime.online and runtime.mode is DoorMode.LOCKED, BACK_WITHIN)
    return await playing.touch(GATE, OWNER.card)


async def _becomes(so: Callable[[], bool], within: float) -> None:
    """Returns when it is so. Raises `TimeoutError`."""
    async with asyncio.timeout(within):
        while not so():  # noqa: ASYNC110  # nobody tells when
            await asyncio.sleep(PULL)


PIN = OWNER.pin or ""
SCENES: tuple[Scene, ...] = (
    Scene("wired-card", GATE, "card", by_card(GATE, OWNER), TAKEN, OWNER),
    Scene("unknown", GATE, "card", strange_card(GATE, STRANGER), refused("CredentialNotFound")),
    Scene("lost", GATE, "card", by_card(GATE, LOSER), refused("CredentialNotEnabled"), LOSER),
    Scene("wired-pin", UNIT, "card-pin", by_card(UNIT, OWNER, PIN), TAKEN, OWNER),
    Scene("wrong-pin", UNIT, "card-pin", by_card(UNIT, OWNER, WRONG_PIN), refused("InvalidPIN"), OWNER),
    Scene("exit", GATE, "exit", leaves(GATE), Expected("ExitButton")),
    Scene("guard", UNIT, "guard", guard_opens(UNIT), Expected("DoorCommand", events=("AccessTaken",))),
    Scene("forced", GATE, "force", forced, Expected("DoorForcedOpen")),
    Scene("wired-tamper", UNIT, "force", uncovered, Expected("Tamper")),
    Scene("wired-power", GATE, "card", power_cut, TAKEN, OWNER),
)
PASSERS_BY: tuple[Scene, ...] = (
    Scene("passer-by", GATE, "card", by_card(GATE, OWNER), TAKEN, OWNER),
    Scene("passer-by", UNIT, "card-pin", by_card(UNIT, OWNER, PIN), TAKEN, OWNER),
    Scene("passer-by", FLAT, "card", by_card(FLAT, OWNER), TAKEN, OWNER),
    Scene("passer-by", GATE, "card", strange_card(GATE, STRANGER), refused("CredentialNotFound")),
    Scene("passer-by", GATE, "exit", leaves(GATE), Expected("ExitButton")),
)

STORY = Story(
    id="wired",
    doors=(FLAT,),
    plugins={"simulator": None, "console": None, "uhppote": None, "osdp": None},
    profiles={"residents": [{"access_points": [door.inside for door in (GATE, UNIT, FLAT)]}]},
    enter=enter_people,
    scenes=SCENES,
    passers_by=PASSERS_BY,
    needs={"uhppoted": "uhppote", "osdp_sys": "osdp", "serial": "osdp"},
    joins=joined,
)
