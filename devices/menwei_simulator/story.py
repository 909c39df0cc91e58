"""The story that `menwei demo` plays: one scene after the other, each with the outcome that is right.

A scene only does what people do (touch a card, type, pull a door) and reads what came of it from the journal and from
the door. What is expected stands beside it and is never consulted on the way.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from menwei.cli_client import Api, ApiError
from menwei.house import Menwei
from menwei.journal_entry import Recorded
from menwei.model import DoorMode
from menwei_simulator.cast import (
    FLAT,
    FORMER,
    GATE,
    LOSER,
    NIGHT_OWL,
    OWNER,
    STRANGERS_CARD,
    TENANT,
    UNIT_1,
    UNIT_2,
    WORKER,
    WRONG_PIN,
    DemoDoor,
    Member,
)
from menwei_simulator.diary import Diary
from menwei_simulator.site import QUIET, Entered
from menwei_simulator.stage import Stage

PATIENCE = 10.0
"""Seconds until a scene is given up: nothing was decided, or the door did not move. The machine may be busy."""
SAME_CARD = 2.3
"""Seconds between two touches of one card at one reader; sooner, the core takes them for one."""
NOTHING = "Nothing"
"""The decision of a scene in which nobody decided anything."""

EVENTS = frozenset({"AccessTaken", "AccessNotTaken", "Duress", "ExitButton", "DoorFault", "DoorAlarm"})


@dataclass(frozen=True, slots=True)
class Expected:
    """How a scene must end: the journal's kind, all reasons of a refusal, who refused (the core, or a policy by its name
    in the config), and what was recorded of the door besides."""

    decision: str
    reasons: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    refused_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """How it ended. `latency` in seconds: until the lock was released (its pulse is on disk before that), or until the
    refusal or alarm was durable; None when neither came. `shown` is what the reader's display said."""

    decision: str
    reasons: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    holder: int | None = None
    latency: float | None = None
    shown: str = ""
    refused_by: tuple[str, ...] = ()


@dataclass(slots=True)
class Playing:
    """What a scene plays with."""

    house: Menwei
    diary: Diary
    guard: Api
    guard_password: str
    stages: dict[str, Stage]
    people: dict[str, Entered]
    touches: dict[tuple[str, str], float] = field(default_factory=dict)

    async def ready(self, door: DemoDoor) -> Stage:
        """The stage before a door that is at rest: connected, locked, closed, nothing left from the scene before."""
        runtime = self.house.doors[door.id]
        end = time.monotonic() + PATIENCE
        while not (runtime.online and runtime.mode is DoorMode.LOCKED):
            if time.monotonic() > end:
                raise TimeoutError(f"{door.id} does not come to rest")
            await asyncio.sleep(0.02)
        stage = self.stages[door.id]
        if not await stage.locked(within=PATIENCE):
            raise TimeoutError(f"the lock of {door.id} stays released")
        self.diary.begin()
        return stage

    async def touch(self, door: DemoDoor, card: str, pin: str = "") -> Result:
        """Somebody touches a card, types if asked to, and goes through if let in."""
        stage = await self.ready(door)
        await asyncio.sleep(self.touches.get((door.id, card), 0.0) + SAME_CARD - time.monotonic())
        self.touches[door.id, card] = began = time.monotonic()
        released = asyncio.create_task(self.released(stage))
        try:
            await stage.present(card)
            if pin and await stage.shown("waiting", within=PATIENCE):
                began = time.monotonic()
                await stage.type(pin)
            seen = await self.diary.until(door.id, _decides, PATIENCE)
            if seen is None:
                return Result(NOTHING)
            entry, latency = seen.entry, seen.at - began
            if entry.kind == "AccessGranted":
                latency = await released - began
                await stage.walk_through(wait=PATIENCE)
                await self.diary.until(door.id, _passed, PATIENCE)
        finally:
            released.cancel()
        return Result(
            entry.kind,
            _reasons(entry),
            self.events(door),
            await self.diary.holder(entry.position),
            latency,
            (await stage.state()).readers[0].text,
            _refused_by(entry),
        )

    async def released(self, stage: Stage) -> float:
        """When the lock was released, on the monotonic clock; raises `TimeoutError`."""
        if not await stage.released(within=2 * PATIENCE):
            raise TimeoutError("the lock was not released")
        return time.monotonic()

    def events(self, door: DemoDoor) -> tuple[str, ...]:
        """What was recorded of the door beside the decision; an alarm by its name."""
        entries = [seen.entry for seen in self.diary.at(door.id) if seen.entry.kind in EVENTS]
        names = (str(e.data["alarm"]) if e.kind == "DoorAlarm" else e.kind for e in entries)
        return tuple(name for name in names if name != "Normal")


@dataclass(frozen=True, slots=True)
class Scene:
    """One scene. `by` says how somebody wants to pass (key `simulator.demo.by.<by>`), `title` is `simulator.demo.scene.<id>`."""

    id: str
    door: DemoDoor
    by: str
    play: Callable[[Playing], Awaitable[Result]]
    expected: Expected
    who: Member | None = None

    @property
    def door_key(self) -> str:
        """Message key of the door's name."""
        return self.door.name


def by_card(door: DemoDoor, who: Member, pin: str = "") -> Callable[[Playing], Awaitable[Result]]:
    return lambda playing: playing.touch(door, who.card, pin)


async def stranger(playing: Playing) -> Result:
    return await playing.touch(GATE, STRANGERS_CARD)


async def guard_opens(playing: Playing) -> Result:
    """The guard opens the gate from the desk, over the API and with a reason."""
    door, stage = GATE, await playing.ready(GATE)
    await playing.guard.sign_in("guard", playing.guard_password)  # at the beginning of the shift
    began = time.monotonic()
    released = asyncio.create_task(playing.released(stage))
    try:
        reason = playing.house.say("simulator.demo.reason")
        try:
            await playing.guard.post(f"/api/doors/{door.id}/command", {"mode": "Accessed", "reason": reason})
        except ApiError as error:
            return Result("Refused", (error.error,))
        latency = await released - began
        await stage.walk_through(wait=PATIENCE)
        await playing.diary.until(door.id, _passed, PATIENCE)
    finally:
        released.cancel()
    command = await playing.diary.until(door.id, lambda entry: entry.kind == "DoorCommand", PATIENCE)
    decision = "DoorCommand" if command and not command.entry.data.get("refused") else NOTHING
    return Result(decision, (), playing.events(door), None, latency)


async def held_open(playing: Playing) -> Result:
    """Let in, and then the door is held open: the reader asks to close it, then comes the alarm."""
    door, stage = FLAT, await playing.ready(FLAT)
    began = time.monotonic()
    released = asyncio.create_task(playing.released(stage))
    playing.touches[door.id, OWNER.card] = began
    try:
        await stage.present(OWNER.card)
        seen = await playing.diary.until(door.id, _decides, PATIENCE)
        if seen is None or seen.entry.kind != "AccessGranted":
            entry = seen.entry if seen else None
            return (
                Result(entry.kind, _reasons(entry), refused_by=_refused_by(entry))
                if entry
                else Result(NOTHING)
            )
        latency = await released - began
    finally:
        released.cancel()
    await stage.open()
    await playing.diary.until(door.id, lambda entry: entry.data.get("alarm") == "DoorOpenTooLong", PATIENCE)
    shown = (await stage.state()).readers[0].text
    await stage.close()
    await playing.diary.until(door.id, _closed, PATIENCE)
    holder = await playing.diary.holder(seen.entry.position)
    return Result(seen.entry.kind, (), playing.events(door), holder, latency, shown)


async def forced(playing: Playing) -> Result:
    """Somebody breaks a locked door open. Nothing was decided; the alarm is the outcome."""
    door, stage = UNIT_1, await playing.ready(UNIT_1)
    began = time.monotonic()
    await stage.force()
    seen = await playing.diary.until(door.id, lambda entry: entry.kind == "DoorAlarm", PATIENCE)
    await stage.close()
    if seen is None:
        return Result(NOTHING)
    await playing.diary.until(door.id, _closed, PATIENCE)
    return Result(str(seen.entry.data["alarm"]), latency=seen.at - began)


async def leaves(playing: Playing) -> Result:
    """Somebody leaves by the exit button: the controller opens by itself, and nothing is alarmed."""
    door, stage = UNIT_2, await playing.ready(UNIT_2)
    began = time.monotonic()
    released = asyncio.create_task(playing.released(stage))
    try:
        await stage.press_exit()
        latency = await released - began
    finally:
        released.cancel()
    await stage.walk_through(wait=PATIENCE)
    seen = await playing.diary.until(door.id, lambda entry: entry.kind == "ExitButton", PATIENCE)
    await playing.diary.until(door.id, _closed, PATIENCE)
    others = tuple(event for event in playing.events(door) if event != "ExitButton")
    return Result("ExitButton" if seen else NOTHING, (), others, None, latency)


def _decides(entry: Recorded) -> bool:
    return entry.kind in {"AccessGranted", "AccessDenied"}


def _passed(entry: Recorded) -> bool:
    return entry.kind == "AccessTaken"


def _closed(entry: Recorded) -> bool:
    return entry.kind == "DoorState" and entry.data.get("state") == "Closed"


def _reasons(entry: Recorded) -> tuple[str, ...]:
    return tuple(dict.fromkeys(check["reason"] for check in entry.data.get("checks", ())))


def _refused_by(entry: Recorded) -> tuple[str, ...]:
    return tuple(dict.fromkeys(check["by"] for check in entry.data.get("checks", ())))


TAKEN = Expected("AccessGranted", events=("AccessTaken",))


def refused(reason: str, by: str = "core") -> Expected:
    return Expected("AccessDenied", (reason,), refused_by=(by,))


NIGHT_PIN, DURESS_PIN = NIGHT_OWL.pin or "", NIGHT_OWL.duress or ""

STORY: tuple[Scene, ...] = (
    Scene("card", GATE, "card", by_card(GATE, TENANT), TAKEN, TENANT),
    Scene("night", UNIT_2, "card-pin", by_card(UNIT_2, NIGHT_OWL, NIGHT_PIN), TAKEN, NIGHT_OWL),
    Scene("unknown", GATE, "card", stranger, refused("CredentialNotFound")),
    Scene("expired", UNIT_1, "card", by_card(UNIT_1, FORMER), refused("CredentialExpired"), FORMER),
    Scene("lost", GATE, "card", by_card(GATE, LOSER), refused("CredentialNotEnabled"), LOSER),
    Scene("wrong-pin", UNIT_2, "card-pin", by_card(UNIT_2, NIGHT_OWL, WRONG_PIN), refused("InvalidPIN"), NIGHT_OWL),
    Scene("policy", UNIT_1, "card", by_card(UNIT_1, WORKER), refused("Other", QUIET), WORKER),
    Scene("no-right", FLAT, "card", by_card(FLAT, TENANT), refused("Unauthorized"), TENANT),
    Scene(
        "duress", UNIT_2, "card-pin", by_card(UNIT_2, NIGHT_OWL, DURESS_PIN),
        Expected("AccessGranted", events=("Duress", "AccessTaken")), NIGHT_OWL,
    ),
    Scene("guard", GATE, "guard", guard_opens, Expected("DoorCommand", events=("AccessTaken",))),
    Scene(
        "held-open", FLAT, "card", held_open,
        Expected("AccessGranted", events=("AccessTaken", "DoorOpenPreAlarm", "DoorOpenTooLong")), OWNER,
    ),
    Scene("forced", UNIT_1, "force", forced, Expected("DoorForcedOpen")),
    Scene("exit", UNIT_2, "exit", leaves, Expected("ExitButton")),
)  # fmt: skip

PASSERS_BY: tuple[Scene, ...] = (
    Scene("passer-by", GATE, "card", by_card(GATE, TENANT), TAKEN, TENANT),
    Scene("passer-by", GATE, "card", by_card(GATE, OWNER), TAKEN, OWNER),
    Scene("passer-by", GATE, "card", by_card(GATE, NIGHT_OWL), TAKEN, NIGHT_OWL),
    Scene("passer-by", UNIT_1, "card", by_card(UNIT_1, OWNER), TAKEN, OWNER),
    Scene("passer-by", UNIT_1, "card", by_card(UNIT_1, TENANT), TAKEN, TENANT),
    Scene("passer-by", UNIT_2, "card-pin", by_card(UNIT_2, NIGHT_OWL, NIGHT_PIN), TAKEN, NIGHT_OWL),
    Scene("passer-by", FLAT, "card", by_card(FLAT, OWNER), TAKEN, OWNER),
    Scene("passer-by", GATE, "card", stranger, refused("CredentialNotFound")),
    Scene("passer-by", UNIT_1, "card", by_card(UNIT_1, WORKER), refused("Other", QUIET), WORKER),
    Scene("passer-by", UNIT_2, "exit", leaves, Expected("ExitButton")),
)
"""Whom the street sees after the story, for ever and in no order."""
