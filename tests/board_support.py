"""A site with one board that decides alone, for unit tests: real rights, store and journal; the board is in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from menwei.boardfacts import BoardAbilities, BoardCard, CannotHold, WeekHours
from menwei.boardlog import BoardLog
from menwei.boardnumbers import BoardNumbers, identifier_change
from menwei.boards import Boards
from menwei.clock import TrustedClock
from menwei.context import NotReady
from menwei.doors import DoorRuntime
from menwei.journal import Journal
from menwei.journal_keys import MachineKeys
from menwei.model import DeviceInfo, DoorMode, DoorState
from menwei.plugin import Driver
from menwei.rights import PutProfile, Rights
from menwei.settings import Settings
from menwei.site import build_site
from menwei.store import Store
from menwei.supervisor import DeviceState, Supervisor
from rights_support import DESK, KEYS, card, credential, holder, profile

FORMAT = "wiegand26"
ROOM = 100
SITE = Settings.from_data({
    "devices": {"board": {"driver": "memory"}},
    "schedules": {
        "office": {"weekly": ["Mon-Fri 08:00-18:00"]},
        "market": {"weekly": ["Sat 08:00-12:00"], "special_days": [{"days": ["2026-10-01"], "hours": "none"}]},
    },
    "doors": {
        "gate": {
            "lock": "board/1",
            "access_points": {"gate-in": {"readers": ["board/in"], "decides": "controller"}},
        },
    },
})  # fmt: skip
RESIDENTS = profile("residents", ({"gate-in"}, "always"))
OFFICE = profile("office", ({"gate-in"}, "office"))
MARKET = profile("market", ({"gate-in"}, "market"))


class MemoryBoard(Driver):
    """Holds what it is given; says what it was asked, in order; can be away, full, or changed behind our back."""

    name = "memory"
    decides = frozenset({"host", "controller"})

    def __init__(self) -> None:
        self.cards: dict[str, BoardCard] = {}
        self.profiles: list[WeekHours] = []
        self.asked: list[tuple[str, Any]] = []
        self.times: dict[str, float] = {}
        self.profile_room = 5
        self.fails = 0
        self.between: Callable[[], object] = lambda: None

    @classmethod
    async def probe(cls, config: Any) -> DeviceInfo:
        raise NotImplementedError

    async def run(self) -> None:
        raise NotImplementedError

    async def access(self, lock: str, seconds: float, deadline: float, *, passage: str = "") -> None:
        raise NotImplementedError

    async def set_mode(self, lock: str, mode: DoorMode, deadline: float) -> None:
        raise NotImplementedError

    async def held_cards(self) -> AsyncIterator[BoardCard]:
        self._reached("held")
        for held in list(self.cards.values()):
            yield held

    async def put_profiles(self, profiles: Sequence[WeekHours]) -> None:
        self._reached("profiles", len(profiles))
        if len(profiles) > self.profile_room:
            raise CannotHold(f"{len(profiles)} different hours, {self.profile_room} fit")
        self.profiles = list(profiles)

    async def put_cards(self, cards: Sequence[BoardCard]) -> None:
        self._reached("put", [each.value for each in cards])
        self.cards.update((each.value, each) for each in cards)
        self.between()

    async def remove_cards(self, values: Sequence[str]) -> None:
        self._reached("remove", list(values))
        for value in values:
            self.cards.pop(value, None)

    async def set_release_times(self, seconds: Mapping[str, float]) -> None:
        self._reached("times")
        self.times = dict(seconds)

    def _reached(self, what: str, facts: Any = None) -> None:
        if self.fails:
            self.fails -= 1
            raise NotReady("the board is away")
        self.asked.append((what, facts))

    def order(self) -> list[str]:
        return [what for what, _ in self.asked if what in {"put", "remove"}]


class Devices:
    """In place of the supervisor, and of the doors' way to the hardware."""

    def __init__(self) -> None:
        self.here: Driver | None = None
        self._listeners: list[Any] = []

    def driver(self, device: str) -> Driver | None:
        return self.here if device == "board" else None

    def on_change(self, listener: Any) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def turn(self, driver: Driver | None) -> None:
        self.here = driver
        state = DeviceState.READY if driver else DeviceState.RETRYING
        for listener in list(self._listeners):
            listener("board", state, "")

    async def set_mode(self, *_: Any) -> None:
        return None


class BoardSite:
    """`board` in the config decides about the gate; `driver` is what answers there when it is `connected`."""

    def __init__(
        self, store: Store, rights: Rights, journal: Journal, clock: TrustedClock, wall: list[float]
    ) -> None:
        self.store, self.rights, self.journal, self.clock, self.wall = store, rights, journal, clock, wall
        self.site = build_site(SITE)
        self.devices = Devices()
        self.driver = MemoryBoard()
        self.abilities = BoardAbilities(ROOM, FORMAT, {"in": "1"}, 5)
        self.numbers = BoardNumbers(store)
        self.boards = Boards(rights, KEYS, journal, clock, cast("Supervisor", self.devices))
        self.log = BoardLog(self.site, rights.snapshot, KEYS, journal, clock, self.boards.learn)
        self.gate = DoorRuntime(
            self.site.doors["gate"],
            cast("Any", self.devices),
            journal,
            clock,
            lambda _: None,
            lambda *_: None,
        )
        self.log.doors = {"gate": self.gate}
        self.taken: list[str] = []

    async def begin(self, *, device: str = "board") -> frozenset[str]:
        devices = frozenset({device})
        abilities = {"board": self.abilities} if device == "board" else {}
        formats = await self.boards.replace(self.site, abilities, devices, {"gate": self.gate})
        self.boards.start()
        return formats

    def connect(self) -> MemoryBoard:
        self.devices.turn(self.driver)
        return self.driver

    def disconnect(self) -> None:
        self.devices.turn(None)

    async def apply(self, *changes: Any) -> int:
        async with self.store.transaction() as tx:
            return await self.rights.apply(tx, changes, actor=DESK)

    async def enrol(
        self, number: int, *profiles: str, for_boards: bool = True, valid_from: float = 0.0, **changes: Any
    ) -> int:
        """Person `number` with a card of that number; returns the credential's id."""
        put = credential(number + 1000, number, profiles=profiles, valid_from=valid_from, **changes)
        form = identifier_change(KEYS, put.id, card(value(number), FORMAT), for_boards)
        await self.apply(holder(number), put, form)
        return put.id

    async def until(self, seen: Callable[[], Any], seconds: float = 60.0) -> None:
        end = time.monotonic() + seconds
        while not seen():
            assert time.monotonic() < end, (self.boards.statuses(), self.driver.asked[-5:])
            await asyncio.sleep(0.01)

    async def settled(self) -> None:
        """The board was asked for all there is, and holds it."""
        status = self.status
        await self.until(
            lambda: (
                status().revision == self.rights.snapshot.revision
                and not (status().to_give or status().to_take)
            )
        )

    def status(self) -> Any:
        (found,) = self.boards.statuses()
        return found

    def held(self) -> list[int]:
        return sorted(int(each.partition(",")[2]) for each in self.driver.cards)

    def repairs(self) -> dict[str, Mapping[str, str]]:
        return {
            repair.message.removeprefix("board.repair."): repair.values for repair in self.boards.repairs()
        }

    async def kinds(self, *kinds: str) -> list[Any]:
        """The entries of these kinds; what was posted is written first."""
        await self.until(lambda: not self.journal.waiting)
        return list(await self.journal.read(kinds=kinds, personal=True))


def value(number: int) -> str:
    return f"101,{number:05d}"


def values(numbers: Iterable[int]) -> list[str]:
    return [value(number) for number in numbers]


@asynccontextmanager
async def board_site(folder: Path, now: float) -> AsyncIterator[BoardSite]:
    """The site's clock stands at `now` until `wall[0]` is changed; the board is away and nothing was begun."""
    wall = [now]
    async with await Store.open(folder / "store.db") as store:
        clock = TrustedClock(0.0, lambda: wall[0])
        rights = Rights(store, KEYS, now=lambda: wall[0])
        await rights.load()
        journal = await Journal.open(folder / "journal.db", "site", MachineKeys(KEYS))
        made = BoardSite(store, rights, journal, clock, wall)
        known = rights.snapshot.profiles
        for each in (RESIDENTS, OFFICE, MARKET):
            if each.id not in known:
                await made.apply(PutProfile(each))
        try:
            yield made
        finally:
            await made.boards.stop()
            made.log.close()
            made.gate.close()
            await journal.close()


__all__ = ["DoorState", "board_site", "replace"]
