"""A small running house for the HTTP tests: real store, journal, accounts, people, rights, doors and line; only the
device behind the doors is a stand-in, because no hardware is needed to ask who may ask what."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import pytest
from aiohttp import CookieJar, web
from aiohttp.test_utils import TestClient, TestServer

from menwei.access import Line
from menwei.accounts import Accounts
from menwei.adopted_file import AdoptionError
from menwei.adoption import Adoption, NewDoor
from menwei.api_session import Me
from menwei.boardlog import Merged
from menwei.boardplan import BoardStatus
from menwei.callers import CSRF_HEADER
from menwei.clock import TrustedClock
from menwei.context import NotReady, Repair
from menwei.doors import DoorRuntime, Doors
from menwei.explain import Explanation, explain
from menwei.journal import Entry, Journal, Position
from menwei.journal_keys import MachineKeys
from menwei.keys import Keys, WrapCost
from menwei.loader import PluginRow, PluginState
from menwei.messages import Messages
from menwei.model import (
    Actor,
    CredentialIdentifier,
    DeviceInfo,
    Document,
    DocumentKind,
    DoorMode,
    DoorState,
    IdentifierType,
)
from menwei.panel import Panel
from menwei.pending import Pendings, PinTries, Repeats
from menwei.people import People
from menwei.reports import Discovered
from menwei.rights import Rights
from menwei.schedules import Schedules
from menwei.settings import Settings
from menwei.site import Site, build_site
from menwei.store import Store
from menwei.supervisor import DeviceState
from menwei.upkeep import local_date
from menwei.waiting import Waits
from menwei.web import application
from menwei_console import register_routes

PASSWORD = "correct horse 电池"
FIRST_PASSWORD = "first-password.txt"
CHEAP = WrapCost(1, 8, 1)
"""argon2 as weak as it can be: what is tested here is who may ask, not how long guessing takes."""
SETTINGS = {
    "site": {"id": "yard", "name": "示范小区"},
    "devices": {"board": {"driver": "stand-in"}},
    "doors": {
        "gate": {
            "name": "小区门",
            "lock": "board/1",
            "access_points": {
                "gate-in": {"name": "进", "readers": ["board/in"]},
                "gate-out": {"name": "出", "readers": ["board/out"]},
            },
        },
        "unit": {
            "name": "1号楼单元门",
            "lock": "board/2",
            "access_points": {"unit-in": {"readers": ["board/unit"]}},
        },
        "flat": {"name": "302室", "lock": "board/3"},
    },
    "profiles": {"residents": [{"access_points": ["gate-in", "gate-out", "unit-in"]}]},
}


@cache
def words() -> Messages:
    """The catalogues of core and console, strict: a missing word fails a test. Read once, they are slow to parse."""
    messages = Messages(strict=True)
    messages.add("menwei_console")
    return messages


class StandIn:
    """In place of the devices: obeys, unless told to be silent, and remembers what it was told."""

    def __init__(self) -> None:
        self.done: list[tuple[str, str, str]] = []
        self.silent = False
        self.captures: Waits[CredentialIdentifier] = Waits()
        self.documents: Waits[Document] = Waits()

    async def access(self, device: str, lock: str, seconds: float, deadline: float, passage: str) -> None:
        self._do(device, lock, "access")

    async def set_mode(self, device: str, lock: str, mode: DoorMode, deadline: float) -> None:
        self._do(device, lock, str(mode))

    def _do(self, device: str, lock: str, what: str) -> None:
        if self.silent:
            raise NotReady("the stand-in was told to be silent")
        self.done.append((device, lock, what))

    async def capture(self, device: str, reader: str, seconds: float) -> CredentialIdentifier:
        if device != "board" or self.silent:
            raise NotReady(device)
        return await self.captures.next((device, reader), seconds)

    async def capture_document(self, device: str, reader: str, seconds: float) -> Document:
        if device != "board" or self.silent:
            raise NotReady(device)
        return await self.documents.next((device, reader), seconds)

    async def lay(self, name: str, number: str, reader: str = "documents") -> None:
        """Somebody lays an identity document on a reader, as soon as one is waited for."""
        async with asyncio.timeout(60):
            while not self.documents.wanted(("board", reader)):
                await asyncio.sleep(0.01)
        self.documents.give(("board", reader), Document(DocumentKind.RESIDENT_CARD, name, number))

    async def touch(self, reader: str, value: str, format: str = "uid") -> None:
        """Somebody touches a card at a reader, as soon as one is waited for."""
        async with asyncio.timeout(60):
            while not self.captures.wanted(("board", reader)):
                await asyncio.sleep(0.01)
        self.captures.give(("board", reader), CredentialIdentifier(IdentifierType.CARD, format, value))


class States:
    """In place of the supervisor: one device, online."""

    def __init__(self) -> None:
        self.board = DeviceState.READY

    def state(self, id: str) -> DeviceState:
        return {"board": self.board}[id]

    def states(self) -> dict[str, tuple[DeviceState, str]]:
        return {"board": (self.board, "")}

    def info(self, id: str) -> DeviceInfo | None:
        readers = ("in", "out", "unit", "desk", "documents")
        return DeviceInfo(id, "Stand-in 3", "1.0", ("1", "2", "3"), readers, documents=("documents",))


class NoBoards:
    """In place of the boards that decide: whatever a test puts into `found`."""

    def __init__(self) -> None:
        self.found: list[BoardStatus] = []
        self.looked: list[str] = []

    def statuses(self) -> list[BoardStatus]:
        return self.found

    def deciding(self) -> bool:
        return bool(self.found)

    def pending(self, credential: int) -> list[str]:
        return [status.device for status in self.found if credential in status.revoked]

    def look(self, device: str) -> None:
        if device not in {status.device for status in self.found}:
            raise KeyError(device)
        self.looked.append(device)


class NoLogs:
    """In place of what boards logged: whatever a test puts into `merged`, by device."""

    def __init__(self) -> None:
        self.merged: dict[str, Merged] = {}

    async def last(self, device: str) -> Merged | None:
        return self.merged.get(device)


class SmallHouse:
    """`async with SmallHouse.open(folder) as house:`"""

    site: Site
    journal: Journal
    accounts: Accounts
    people: People
    rights: Rights
    doors: Doors
    line: Line
    first_password: str
    ACTOR = Actor("admin", "committee")

    def __init__(self) -> None:
        self.stack = AsyncExitStack()
        self.clock = TrustedClock()
        self.messages = words()
        self.devices = StandIn()
        self.supervisor = States()
        found = Discovered(
            "board-7",
            "stand-in",
            "门控板 7",
            "127.0.0.1:40007",
            "mdns",
            {"host": "127.0.0.1"},
            {"model": "M7", "serial": "0007"},
        )
        self.discovery = SimpleNamespace(devices={found.id: found})
        self.boards = NoBoards()
        self.board_log = NoLogs()
        self.mending: list[Repair] = []
        self.showing: frozenset[str] = frozenset()
        self.adopted: list[tuple[str, str, tuple[NewDoor, ...]]] = []

    @classmethod
    async def open(cls, folder: Path) -> Self:
        house = cls()
        settings = Settings.from_data(SETTINGS)
        house.site = build_site(settings)
        keys = Keys.open(folder)
        store = await house.stack.enter_async_context(await Store.open(folder / "store.db"))
        house.journal = await Journal.open(folder / "journal.db", house.site.id, MachineKeys(keys))
        house.stack.push_async_callback(house.journal.close)
        house.rights = Rights(store, keys, now=house.clock.now)
        await house.rights.load()
        house.rights.snapshot.set_config_profiles(list(house.site.profiles))
        house.people = People(store, house.rights, keys)
        house.accounts = Accounts(store, keys, now=house.clock.now, cost=CHEAP)
        house.first_password = await house.accounts.create_first() or (folder / FIRST_PASSWORD).read_text()
        house.doors = Doors()
        for facts in house.site.doors.values():
            door = DoorRuntime(
                facts,
                house.devices,
                house.journal,
                house.clock,
                lambda _passage: None,
                lambda _point, _feedback: None,
            )
            door.online = True
            door.state = DoorState.CLOSED
            house.doors[facts.id] = door
            house.stack.callback(door.close)
        house.schedules = Schedules.compile(
            {}, house.site.zone, local_date(house.clock.now(), house.site.zone)
        )
        house.line = Line(
            points=house.site.access_points, doors=house.doors, view=house.rights.snapshot, times=house.schedules, hashes=keys,
            panel=Panel({}), journal=house.journal, clock=house.clock, pendings=Pendings(), tries=PinTries(), repeats=Repeats(),
            show=lambda _point, _feedback: None,
        )  # fmt: skip
        house.stack.callback(house.line.pendings.close)
        return house

    schedules: Schedules

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stack.aclose()

    # What `house.Menwei` has besides its parts.

    def drivers(self) -> Mapping[str, str]:
        return {"board": "stand-in"}

    def plugin_rows(self, language: str) -> Sequence[PluginRow]:
        return [
            PluginRow("console", "0.1.0", PluginState.OK, "", ("pages",), ("pages",)),
            PluginRow(
                "quiet", "1.0", PluginState.BROKEN, "ImportError: no module named quiet", ("rights",), ()
            ),
        ]

    def shows(self) -> frozenset[str]:
        return self.showing

    def repairs(self) -> list[Repair]:
        return self.mending

    async def accept_clock(self) -> float:
        behind = self.clock.behind
        if behind:
            self.clock.accept()
            await self.accounts.end_later()
        return behind

    async def capture(self, device: str, reader: str, seconds: float) -> CredentialIdentifier:
        return await self.devices.capture(device, reader, seconds)

    async def capture_document(self, device: str, reader: str, seconds: float) -> Document:
        return await self.devices.capture_document(device, reader, seconds)

    async def explain(self, holder: int, access_point: str, at: float | None = None) -> Explanation:
        return await explain(self, holder, access_point, self.clock.now() if at is None else at)  # type: ignore[arg-type]

    def say(self, key: str, **values: Any) -> str:
        return self.messages.t(self.site.language, key, **values)

    async def audit(
        self, actor: Actor, action: str, data: Mapping[str, Any], personal: Mapping[str, Any] | None = None
    ) -> Position | None:
        facts = {"action": action, "role": actor.role, "by": actor.kind, **data}
        return await self.journal.record(
            Entry("Audit", self.clock.now(), data=facts, personal={"actor": actor.name, **(personal or {})})
        )

    async def probe(self, device: str, settings: Mapping[str, Any] | None = None) -> DeviceInfo:
        found = self.discovery.devices[device]
        if self.devices.silent:
            raise AdoptionError("adopt.not_ready", detail="the stand-in was told to be silent")
        return DeviceInfo(found.id, "M7", "1", ("1", "2"), ("in", "out"))

    async def adopt(
        self, device: str, id: str, doors: Sequence[NewDoor], settings: Mapping[str, Any] | None = None
    ) -> Adoption:
        found = self.discovery.devices[device]
        if id == "board":
            raise AdoptionError("adopt.bad_id", id=id)
        self.adopted.append((found.id, id, tuple(doors)))
        return Adoption(
            id,
            DeviceInfo(found.id, "M7", "1", ("1", "2"), ("in", "out")),
            Path("adopted.yaml"),
            tuple(door.id for door in doors),
        )

    async def audits(self) -> list[Mapping[str, Any]]:
        """Audit entries with their personal parts, oldest first."""
        entries = await self.journal.read(kinds={"Audit"}, personal=True)
        return [{**entry.data, **(entry.personal or {})} for entry in entries]


async def sign_in(client: TestClient[Any, Any], role: str = "committee") -> Me:
    """A browser signed in with an account of this role: its changes carry the CSRF token from here on."""
    house = client.app[HOUSE]
    name = "admin" if role == "committee" else f"the {role}"
    password = house.first_password if role == "committee" else PASSWORD
    if name not in {account.name for account in await house.accounts.list()}:
        await house.accounts.create(name, role, password)
    answer = await client.post("/api/login", json={"name": name, "password": password})
    assert answer.status == 200, await answer.text()
    me = Me.model_validate_json(await answer.read())
    client.session.headers[CSRF_HEADER] = me.csrf
    return me


HOUSE = web.AppKey("house", SmallHouse)


@pytest.fixture(scope="session")
def empty_house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a house just founded, made once: migrating two databases is half of a test's time."""
    folder = tmp_path_factory.mktemp("house")

    async def found() -> None:
        async with await SmallHouse.open(folder) as house:
            (folder / FIRST_PASSWORD).write_text(house.first_password)

    with ThreadPoolExecutor(1) as other:  # the test's own loop may be running in this thread
        other.submit(asyncio.run, found()).result()
    return folder


@pytest.fixture
async def house(tmp_path: Path, empty_house: Path) -> AsyncIterator[SmallHouse]:
    shutil.copytree(empty_house, tmp_path, dirs_exist_ok=True)
    async with await SmallHouse.open(tmp_path) as opened:
        yield opened


@pytest.fixture
async def client(house: SmallHouse) -> AsyncIterator[TestClient[Any, Any]]:
    """A browser at a house with the console's pages, not signed in."""
    app = application(house, register_routes())
    app[HOUSE] = house
    jar = CookieJar(unsafe=True)  # cookies for an address, which is what a test server has
    async with TestClient(TestServer(app, host="127.0.0.1"), cookie_jar=jar) as opened:
        yield opened


__all__ = ["HOUSE", "PASSWORD", "SmallHouse", "client", "empty_house", "house", "sign_in"]
