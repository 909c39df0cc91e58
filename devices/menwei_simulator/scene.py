"""What a story of `menwei demo` is made of: scenes, each with the outcome that is right.

A scene only does what people do (touch a card, type, pull a door, ask at the desk) and reads what came of it from the
journal and from the door. What is expected stands beside it and is never consulted on the way.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from menwei.cli_client import Api, ApiError, api
from menwei.house import Menwei
from menwei.journal_entry import Recorded
from menwei.model import DoorMode
from menwei_simulator.cast import STRANGERS_CARD, DemoDoor, Entered, Member, card_of
from menwei_simulator.diary import Diary
from menwei_simulator.moment import HouseClock, Moment
from menwei_simulator.site import Say

PATIENCE = 10.0
"""Seconds until a scene is given up: nothing was decided, or the door did not move. The machine may be busy."""
SAME_CARD = 2.3
"""Seconds between two touches of one card at one reader; sooner, the core takes them for one."""
NOTHING = "Nothing"
"""The decision of a scene in which nobody decided anything."""
REFUSED = "Refused"
"""The decision of a scene in which the service refused what somebody asked for over the API."""

EVENTS = frozenset(
    {
        "AccessTaken", "AccessNotTaken", "Duress", "ExitButton", "DoorFault", "DoorAlarm",
        "menwei_tenancy.CancelledUse", "menwei_rules.PassbackViolated", "menwei_rules.CloneSuspected",
        "menwei_face.NotLive",
    }
)  # fmt: skip


class StoryFailed(Exception):
    """The demonstration cannot go on; `key` and `values` say why."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(f"{key}: {values}")
        self.key = key
        self.values_ = values


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


@dataclass(frozen=True, slots=True)
class Signed:
    """An account of the story and its own way to the API."""

    api: Api
    name: str
    password: str

    async def sign_in(self) -> Api:
        """At the beginning of each thing they do: a year may have gone by since the last."""
        await self.api.sign_in(self.name, self.password)
        return self.api


class Before(Protocol):
    """What somebody can do before a door: `Stage` for simulated controllers; a story may bring others."""

    def before(self, lock: str, reader: str) -> Before: ...
    async def present(self, value: str, *, format: str = "uid") -> None: ...
    async def type(self, digits: str) -> None: ...
    async def shown(self, light: str, *, within: float) -> bool: ...
    async def display(self) -> str: ...
    async def released(self, *, within: float) -> bool: ...
    async def locked(self, *, within: float) -> bool: ...
    async def walk_through(self, *, wait: float) -> bool: ...
    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def force(self) -> None: ...
    async def press_exit(self) -> None: ...


@dataclass(slots=True)
class Playing:
    """What a scene plays with. `desk` is the API as whoever runs the machine sees it; `stages` are the controllers by
    the id they have in the story; `tell` says a sentence of ours; `run` is a command of `menwei` as somebody would type it,
    and answers its exit code. `admin` is the committee's first account, `accounts` are the story's. `people` are those whom the desk has entered, by key; `notes` the numbers it was given."""

    house: Menwei
    diary: Diary
    desk: Api
    stages: dict[str, Before]
    clock: HouseClock
    config: Path
    language: str
    began: float
    tell: Callable[..., None]
    run: Callable[..., Awaitable[int]]
    stack: AsyncExitStack
    admin: Signed
    accounts: dict[str, Signed] = field(default_factory=dict)
    people: dict[str, Entered] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    touches: dict[tuple[str, str, str], float] = field(default_factory=dict)
    counts: dict[str, Callable[[], Awaitable[int]]] = field(default_factory=dict)
    """Doors whose releases their own controller counts: it keeps no pulse log that names the passage."""

    async def sign_up(self, name: str, role: str) -> int:
        """An account of the story with a password of its own; the account's number."""
        password = secrets.token_urlsafe(9)
        made = await self.desk.post("/api/accounts", {"name": name, "role": role, "password": password})
        own = await self.stack.enter_async_context(api(self.config, self.language))
        self.accounts[name] = Signed(own, name, password)
        return int(made["id"])

    def stage(self, door: DemoDoor) -> Before:
        """The stage before this side of a door."""
        return self.stages[door.controller].before(door.lock, door.reader)

    async def ready(self, door: DemoDoor) -> Before:
        """The stage before a door that is at rest: connected, locked, closed, nothing left from the scene before."""
        stage = await self.at_rest(door)
        self.diary.begin()
        return stage

    async def at_rest(self, door: DemoDoor) -> Before:
        """The same, with what was recorded so far kept."""
        runtime = self.house.doors[door.id]
        end = time.monotonic() + PATIENCE
        while not (runtime.online and runtime.mode is DoorMode.LOCKED):
            if time.monotonic() > end:
                raise TimeoutError(f"{door.id} does not come to rest")
            await asyncio.sleep(0.02)
        stage = self.stage(door)
        if not await stage.locked(within=PATIENCE):
            raise TimeoutError(f"the lock of {door.id} stays released")
        return stage

    async def touch(self, door: DemoDoor, card: str, pin: str = "", told: str = "") -> Result:
        """Somebody touches a card, types if asked to, and goes through if let in. `told` is a fact of a plugin that
        comes behind a decision: it is waited for."""
        format, value = card_of(card)

        async def act(stage: Before) -> float:
            began = self.touches[door.id, door.reader, card] = time.monotonic()
            await stage.present(value, format=format)
            if pin and await stage.shown("waiting", within=PATIENCE):
                began = time.monotonic()
                await stage.type(pin)
            return began

        stage = await self.ready(door)
        last = self.touches.get((door.id, door.reader, card), 0.0)
        await asyncio.sleep(last + SAME_CARD - time.monotonic())
        return await self._asks(door, stage, act, told)

    async def type_code(self, door: DemoDoor, digits: str) -> Result:
        """Somebody types a code at the keypad, without a card."""

        async def act(stage: Before) -> float:
            began = time.monotonic()
            await stage.type(digits)
            return began

        return await self._asks(door, await self.ready(door), act, "")

    async def _asks(
        self, door: DemoDoor, stage: Before, act: Callable[[Before], Awaitable[float]], told: str
    ) -> Result:
        released = asyncio.create_task(self.released(stage))
        try:
            began = await act(stage)
            seen = await self.diary.until(door.id, decides, PATIENCE)
            if seen is None:
                return Result(NOTHING)
            entry, latency = seen.entry, seen.at - began
            if entry.kind == "AccessGranted":
                latency = await released - began
                await stage.walk_through(wait=PATIENCE)
                await self.diary.until(door.id, passed, PATIENCE)
        finally:
            released.cancel()
        if told:
            await self.diary.until(door.id, lambda found: found.kind == told, PATIENCE)
        return Result(
            entry.kind,
            reasons(entry),
            self.events(door),
            await self.diary.holder(entry.position),
            latency,
            await stage.display(),
            refused_by(entry),
        )

    async def released(self, stage: Before) -> float:
        """When the lock was released, on the monotonic clock; raises `TimeoutError`."""
        if not await stage.released(within=2 * PATIENCE):
            raise TimeoutError("the lock was not released")
        return time.monotonic()

    async def at_desk(self, desk: str, path: str, body: Mapping[str, Any], card: str) -> Any:
        """Ask the API for something that waits for a card at a desk's reader, and touch it there until it was read.
        Returns the answer; raises `ApiError`."""
        format, value = card_of(card)
        asked = asyncio.create_task(self.desk.post(path, {**body, "reader": f"{desk}/in", "seconds": 30}))
        try:
            while not (await asyncio.wait({asked}, timeout=0.3))[0]:
                await self.stages[desk].present(value, format=format)
        finally:
            asked.cancel()
        return await asked

    def events(self, door: DemoDoor) -> tuple[str, ...]:
        """What was recorded of the door beside the decision; an alarm by its name."""
        entries = [seen.entry for seen in self.diary.at(door.id) if seen.entry.kind in EVENTS]
        names = (
            str(e.data["alarm"]) if e.kind == "DoorAlarm" else e.kind.rpartition(".")[2] for e in entries
        )
        return tuple(name for name in names if name != "Normal")


@dataclass(frozen=True, slots=True)
class Scene:
    """One scene. `by` says how somebody wants to pass, `title` is `simulator.demo.scene.<id>`; `at` is what the house's
    clock is put to before it."""

    id: str
    door: DemoDoor
    by: str
    play: Callable[[Playing], Awaitable[Result]]
    expected: Expected
    who: Member | None = None
    at: Moment | None = None

    @property
    def door_key(self) -> str:
        """Message key of the door's name."""
        return self.door.name


@dataclass(frozen=True, slots=True)
class Story:
    """A site and what happens there. `doors` are found and adopted, `desks` too: controllers with nothing but a reader.
    `plugins`, `profiles`, `sections` (of the present moment) and `points` (access point → what is added to it) are what
    an installer writes; `enter` is what the desk enters before the first scene. `opens` is the site's wall time at which
    the story begins, None for the machine's. `needs`: packages beside the core's, and the extra that brings them. `joins` starts what
    is not a simulated controller and gives the story with it."""

    id: str
    doors: tuple[DemoDoor, ...]
    plugins: Mapping[str, Any]
    profiles: Mapping[str, Any]
    enter: Callable[[Playing], Awaitable[None]]
    scenes: tuple[Scene, ...]
    passers_by: tuple[Scene, ...]
    points: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sections: Callable[[float], Mapping[str, Any]] = lambda _now: {}
    desks: tuple[str, ...] = ()
    opens: str = ""
    needs: Mapping[str, str] = field(default_factory=dict)
    joins: Callable[[AsyncExitStack, Story, Path, Say], Awaitable[Story]] | None = None
    before: tuple[tuple[str, ...], ...] = ()
    """Commands of `menwei` that are run when the config is written and nothing is served yet."""

    @property
    def controllers(self) -> tuple[str, ...]:
        """Every controller once, in the order of its first door; desks last."""
        return (*dict.fromkeys(door.controller for door in self.doors), *self.desks)

    def doors_of(self, controller: str) -> tuple[DemoDoor, ...]:
        return tuple(door for door in self.doors if door.controller == controller)


def by_card(
    door: DemoDoor, who: Member, pin: str = "", card: str = "", told: str = ""
) -> Callable[[Playing], Awaitable[Result]]:
    """Their card (or another one of theirs) at a door."""
    return lambda playing: playing.touch(door, card or who.card, pin, told)


def strange_card(door: DemoDoor, card: str = STRANGERS_CARD) -> Callable[[Playing], Awaitable[Result]]:
    return lambda playing: playing.touch(door, card)


def guard_opens(door: DemoDoor) -> Callable[[Playing], Awaitable[Result]]:
    """The guard opens a door from the desk, over the API and with a reason."""

    async def play(playing: Playing) -> Result:
        stage = await playing.ready(door)
        guard = await playing.accounts["guard"].sign_in()  # at the beginning of the shift
        began = time.monotonic()
        released = asyncio.create_task(playing.released(stage))
        try:
            body = {"mode": "Accessed", "reason": playing.house.say("simulator.demo.reason")}
            try:
                await guard.post(f"/api/doors/{door.id}/command", body)
            except ApiError as error:
                return Result(REFUSED, (error.error,))
            latency = await released - began
            await stage.walk_through(wait=PATIENCE)
            await playing.diary.until(door.id, passed, PATIENCE)
        finally:
            released.cancel()
        command = await playing.diary.until(door.id, lambda entry: entry.kind == "DoorCommand", PATIENCE)
        decision = "DoorCommand" if command and not command.entry.data.get("refused") else NOTHING
        return Result(decision, (), playing.events(door), None, latency)

    return play


def leaves(door: DemoDoor) -> Callable[[Playing], Awaitable[Result]]:
    """The exit input: a button on the way out, or the intercom's relay beside it. The controller opens by itself, and
    nothing is alarmed."""

    async def play(playing: Playing) -> Result:
        stage = await playing.ready(door)
        began = time.monotonic()
        released = asyncio.create_task(playing.released(stage))
        try:
            await stage.press_exit()
            latency = await released - began
        finally:
            released.cancel()
        await stage.walk_through(wait=PATIENCE)
        seen = await playing.diary.until(door.id, lambda entry: entry.kind == "ExitButton", PATIENCE)
        await playing.diary.until(door.id, closed, PATIENCE)
        others = tuple(event for event in playing.events(door) if event != "ExitButton")
        return Result("ExitButton" if seen else NOTHING, (), others, None, latency)

    return play


def asking(work: Callable[[Playing], Awaitable[object]]) -> Callable[[Playing], Awaitable[Result]]:
    """Somebody asks the service for something that it must refuse."""

    async def play(playing: Playing) -> Result:
        try:
            await work(playing)
        except ApiError as error:
            return Result(REFUSED, (error.error,), shown=str(error))
        return Result(NOTHING)

    return play


def decides(entry: Recorded) -> bool:
    return entry.kind in {"AccessGranted", "AccessDenied"}


def passed(entry: Recorded) -> bool:
    return entry.kind == "AccessTaken"


def closed(entry: Recorded) -> bool:
    return entry.kind == "DoorState" and entry.data.get("state") == "Closed"


def reasons(entry: Recorded) -> tuple[str, ...]:
    return tuple(dict.fromkeys(check["reason"] for check in entry.data.get("checks", ())))


def refused_by(entry: Recorded) -> tuple[str, ...]:
    return tuple(dict.fromkeys(check["by"] for check in entry.data.get("checks", ())))


TAKEN = Expected("AccessGranted", events=("AccessTaken",))


def refused(reason: str, by: str = "core", events: tuple[str, ...] = ()) -> Expected:
    return Expected("AccessDenied", (reason,), events, (by,))
