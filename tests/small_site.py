"""A site of one gate, small enough to read, around the real line, the real journal and the real snapshot.

Only the hardware is missing: `Board` obeys at once, keeps what it was told, and can be made silent. What a device makes
of commands is tested against the simulator.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from menwei.access import Line
from menwei.clock import TrustedClock
from menwei.context import NotReady
from menwei.doors import DoorRuntime, Doors
from menwei.journal import Journal, RecordedPersonal
from menwei.journal_keys import MachineKeys
from menwei.keys import Keys
from menwei.model import (
    FOREVER,
    AccessPoint,
    AccessProfile,
    AccessRule,
    Credential,
    CredentialIdentifier,
    CredentialState,
    Door,
    DoorMode,
    Feedback,
    IdentifierType,
    LevelInForce,
    Request,
    SecurityLevel,
)
from menwei.panel import Panel
from menwei.pending import Pendings, PinTries, Repeats
from menwei.schedules import Schedules, ScheduleSpec
from menwei.snapshot import Delta, Snapshot

CARD, PIN = IdentifierType.CARD, IdentifierType.PIN
CARD_ONLY = SecurityLevel("Card", (frozenset({CARD}),))
CARD_AND_PIN = SecurityLevel("Card and PIN", (frozenset({CARD, PIN}),))
KEYS = Keys(bytes(range(32)))
LIN, WANG, EXPIRED = 101, 102, 103
LIN_CARD, WANG_CARD, EXPIRED_CARD, STRANGER_CARD = "A1A1A1A1", "B2B2B2B2", "C3C3C3C3", "99999999"
LIN_PIN, LIN_DURESS = "2580", "2589"
NIGHT = datetime(2026, 5, 4, 15, 30, tzinfo=UTC).timestamp()  # 23:30 in Shanghai
NOON = datetime(2026, 5, 4, 4, 0, tzinfo=UTC).timestamp()  # 12:00 in Shanghai


class Board:
    """The hardware: remembers commands."""

    def __init__(self) -> None:
        self.pulses: list[tuple[str, float, str]] = []
        self.modes: list[tuple[str, DoorMode]] = []
        self.silent = False
        self.away = False
        self.busy = 0.0
        self.at_once = 0
        self.most_at_once = 0

    async def access(self, device: str, lock: str, seconds: float, deadline: float, passage: str) -> None:
        await self._obey()
        self.pulses.append((lock, seconds, passage))

    async def set_mode(self, device: str, lock: str, mode: DoorMode, deadline: float) -> None:
        await self._obey()
        self.modes.append((lock, mode))

    async def _obey(self) -> None:
        if self.away:
            raise NotReady("the board is away")
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await (asyncio.Event().wait() if self.silent else asyncio.sleep(self.busy))
        finally:
            self.at_once -= 1


@dataclass
class SmallSite:
    line: Line
    door: DoorRuntime
    board: Board
    journal: Journal
    clock: TrustedClock
    snapshot: Snapshot
    shown: list[tuple[str, Feedback]] = field(default_factory=list)

    def card(
        self, value: str, *, at: float | None = None, point: str = "gate-in", age: float = 0.0
    ) -> Request:
        return self._request(CredentialIdentifier(CARD, "uid", value), at, point, age)

    def digits(self, value: str, *, at: float | None = None, point: str = "gate-in") -> Request:
        return self._request(CredentialIdentifier(PIN, "code", value), at, point, 0.0)

    def _request(self, identifier: CredentialIdentifier, at: float | None, point: str, age: float) -> Request:
        return Request(point, (identifier,), NOON if at is None else at, self.clock.monotonic() - age)

    async def entries(self, *kinds: str) -> list[RecordedPersonal]:
        """What stands in the journal now, of these kinds; waits for what was posted."""
        await self.journal.append(MARK())
        found = await self.journal.read(personal=True, kinds=frozenset(kinds) if kinds else None)
        return [entry for entry in found if entry.kind != "Mark"]

    async def kinds(self) -> list[str]:
        return [entry.kind for entry in await self.entries()]


def MARK():
    from menwei.journal import Entry

    return Entry("Mark", time.time())


def credential(id: int, **changes) -> Credential:
    facts = {
        "id": id, "holder": id * 10, "state": CredentialState.ENABLED, "valid_from": 0.0, "valid_to": FOREVER, "profiles": ("residents",),
        "factors": frozenset({CARD}),
    }  # fmt: skip
    return Credential(**(facts | changes))


def snapshot() -> Snapshot:
    people = {
        LIN_CARD: credential(
            LIN, factors=frozenset({CARD, PIN}), pin=KEYS.pin(LIN, LIN_PIN), duress=KEYS.pin(LIN, LIN_DURESS)
        ),
        WANG_CARD: credential(WANG, extended=True),
        EXPIRED_CARD: credential(EXPIRED, valid_to=NOON),
    }
    rules = (AccessRule(frozenset({"gate-in", "gate-out"}), "always"),)
    made = Snapshot()
    identifiers = {
        KEYS.digest(CredentialIdentifier(CARD, "uid", uid)): person.id for uid, person in people.items()
    }
    profiles = {"residents": AccessProfile("residents", rules)}
    made.apply(Delta(1, {person.id: person for person in people.values()}, identifiers, profiles))
    return made


@asynccontextmanager
async def small_site(folder: Path, policies=None, budget: float = 0.1, **door) -> AsyncIterator[SmallSite]:
    """`policies` by name stand at the gate; `door` changes facts of the door (its times are short for tests)."""
    journal = await Journal.open(folder / "journal.db", "yard", MachineKeys(KEYS))
    clock = TrustedClock()
    board = Board()
    shown: list[tuple[str, Feedback]] = []
    facts = {
        "id": "gate", "name": "小区门", "device": "board", "lock": "1", "release_time": 0.15, "extended_release_time": 0.3, "open_time": 0.3,
        "extended_open_time": 0.6, "pre_alarm_time": 0.15, "access_points": ("gate-in", "gate-out"), "policies": tuple(policies or ()),
    }  # fmt: skip
    taken: list[object] = []
    runtime = DoorRuntime(
        Door(**(facts | door)), board, journal, clock, taken.append, lambda *what: shown.append(what)
    )
    runtime.online = True
    night = ScheduleSpec(weekly=("Mon-Sun 22:00-06:00",))
    levels = (LevelInForce(CARD_AND_PIN, "night"), LevelInForce(CARD_ONLY))
    points = {
        "gate-in": AccessPoint("gate-in", "gate", "进", levels, pin_timeout=0.2),
        "gate-out": AccessPoint("gate-out", "gate", "出", (LevelInForce(CARD_ONLY),)),
    }
    line = Line(
        points=points, doors=Doors({"gate": runtime}), view=snapshot(),
        times=Schedules.compile({"night": night}, ZoneInfo("Asia/Shanghai"), date(2026, 5, 4)), hashes=KEYS,
        panel=Panel(policies or {}, budget=budget), journal=journal, clock=clock, pendings=Pendings(), tries=PinTries(),
        repeats=Repeats(), show=lambda *what: shown.append(what),
    )  # fmt: skip
    site = SmallSite(line, runtime, board, journal, clock, line.view, shown)  # type: ignore[arg-type]
    site.taken = taken  # type: ignore[attr-defined]
    try:
        yield site
    finally:
        line.pendings.close()
        runtime.close()
        await journal.close()
