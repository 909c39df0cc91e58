"""Keeps each board that decides alone in step with the rights: gives, takes back, reads back, and tells what is not done.

One `Keeper` a board, a task beside the line. Taking away goes before giving, and a change of rights that comes in the
middle of a large push goes before the rest of it. What a board confirmed stands in the store, so that after a week's
absence a card that somebody else altered can be told from one that we still have to give.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

import structlog

from menwei.boardfacts import DAY_AND_NIGHT, BoardHealth, CannotHold, last_day
from menwei.boardledger import SLICE, Ledger, fit, gently, parts
from menwei.boardnumbers import BoardNumbers, Held, card_digest, open_number, seal_number
from menwei.boardplan import BoardPlan, BoardStatus, Drift, Lacks, Pushed, Want, Wanted
from menwei.boardrights import BoardRights
from menwei.context import Clock, NotReady
from menwei.doors import DoorRuntime
from menwei.journal import Entry, Journal
from menwei.keys import Keys
from menwei.model import FOREVER, SHUT_MODES, CredentialState, IdentifierType
from menwei.plugin import Driver
from menwei.schedules import ScheduleSpec
from menwei.snapshot import Snapshot
from menwei.supervisor import Supervisor

log = structlog.get_logger(__name__)

TICK = 1.0
"""Seconds between two looks whether a moment has come or a door was shut: a right that ended is off within one more."""
BATCH = 50
"""Cards between two looks whether the rights changed: a board takes a few milliseconds for each, and a lost card should
not wait behind a village."""
PUSHED = 2.0
"""Seconds of a push before it gives way to what changed meanwhile: without a least time an import, which changes the
rights again and again, would keep the board from ever being given anything."""
SHARE = 4.0
"""Times as long as a look at the rights took that the next one waits, so that an import costs a fifth of a processor."""
INTERRUPTIONS = 3
"""Readings in a row that give way to a change of the rights; the next one is finished."""
RECORD_PATIENCE = 2.0
"""Seconds for an entry to be durable: a failing disk must not keep a lost card on a board."""
READ_BACK = 6 * 3600.0
"""Seconds between two readings of all that a board holds; at every connection too."""
AGAIN = 10.0
"""Seconds until a board that did not confirm is tried again."""
FAULT_AGAIN = 60.0
"""The same after a fault of ours or of the driver's: those seldom mend themselves."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What every keeper works with."""

    numbers: BoardNumbers
    view: Snapshot
    keys: Keys
    journal: Journal
    clock: Clock
    supervisor: Supervisor


class Keeper:
    """One board."""

    def __init__(
        self,
        parts: Parts,
        plan: BoardPlan,
        specs: Mapping[str, ScheduleSpec],
        zone: ZoneInfo,
        doors: Mapping[str, DoorRuntime],
    ) -> None:
        self.plan = plan
        self.ledger = Ledger()
        self.drift: Drift | None = None
        self.trouble = ""
        self.no_room = ""
        """Why hours could not be given: cards that need them are kept off the board."""
        self.since: float | None = None
        """Since when (monotonic) cards are to be taken away."""
        self._parts, self._specs, self._zone, self._doors = parts, specs, zone, doors
        self._loaded = False
        self._revision = 0
        self._pushed: Pushed | None = None
        self._reading: int | None = None
        self._driver: Driver | None = None
        self._read_back: float | None = None
        self._read_at: float | None = None
        self._shut: frozenset[str] = frozenset()
        self._again = 0.0
        self._rest_until = 0.0
        self._interrupted = 0
        self._news = asyncio.Event()
        self._news.set()

    # --------------------------------------------------------------------------------------------------- what it shows

    def status(self, since: float | None = None) -> BoardStatus:
        """Reads memory and counts nothing: asked by whoever looks, with a village's cards on the board."""
        ledger, wanted = self.ledger, self.ledger.wanted
        driver = self._parts.supervisor.driver(self.plan.device)
        return BoardStatus(
            device=self.plan.device, online=driver is not None, revision=self._revision, wanted=len(wanted.cards),
            held=len(ledger.held), capacity=self.plan.abilities.cards, to_give=ledger.giving, to_take=ledger.taking,
            revoked=tuple(ledger.revoked()), read_back=self._read_at, drift=self.drift,
            trouble=self.trouble or self.no_room, doors=tuple(self.plan.doors.values()), since=since,
            reading=self._reading if driver is not None else None, pushed=self._pushed,
            lacks=Lacks(
                wanted.overflow, wanted.without_number, wanted.special, wanted.within_a_day, self.no_room
            ),
            health=self._health(driver) if driver is not None else BoardHealth(),
        )  # fmt: skip

    def _health(self, driver: Driver) -> BoardHealth:
        try:
            return driver.board_health()
        except Exception as error:
            log.error("a driver's board_health() failed", device=self.plan.device, exc_info=error)
            return BoardHealth()

    # ----------------------------------------------------------------------------------------------------- its life

    def wake(self) -> None:
        """The rights changed."""
        self._news.set()

    def look(self) -> None:
        """Read back all that the board holds, now."""
        self._read_back, self._reading = None, 0
        self._news.set()

    async def run(self) -> None:
        while True:
            if self._has_work():
                await asyncio.sleep(self._rest_until - self._parts.clock.monotonic())
                await self._try()
            try:
                async with asyncio.timeout(TICK):
                    await self._news.wait()
            except TimeoutError:
                continue

    def _has_work(self) -> bool:
        driver = self._parts.supervisor.driver(self.plan.device)
        now = self._parts.clock.monotonic()
        if driver is not None and driver is self._driver and self.trouble and now < self._again:
            return self._news.is_set()
        return (
            self._news.is_set()
            or driver is not self._driver
            or self._parts.clock.now() >= self.ledger.wanted.due
            or self._shut_locks() != self._shut
            or (driver is not None and (bool(self.trouble) or self._reading_due(now)))
        )

    async def _try(self) -> None:
        try:
            await self._round()
        except (NotReady, TimeoutError, CannotHold) as error:
            self._failed(str(error) or type(error).__name__, AGAIN)
        except Exception as error:
            log.error("a board could not be kept in step", device=self.plan.device, exc_info=error)
            self._failed(f"{type(error).__name__}: {error}", FAULT_AGAIN)

    def _failed(self, why: str, pause: float) -> None:
        if why != self.trouble:
            log.warning("the board does not hold what it should yet", device=self.plan.device, why=why)
        self.trouble, self._reading = why, None
        self._again = self._parts.clock.monotonic() + pause

    async def _round(self) -> None:
        """Everything once: what should be there, what is there, and the way from one to the other."""
        self._news.clear()
        self._shut = self._shut_locks()
        if not self._loaded:
            async for held in self._parts.numbers.held(self.plan.device):
                self.ledger.remember(held)
            self._loaded = True
        began = self._parts.clock.monotonic()
        await self.ledger.want(await self._compute())
        ended = self._parts.clock.monotonic()
        self._rest_until = ended + SHARE * (ended - began)
        self._count()
        driver = self._parts.supervisor.driver(self.plan.device)
        if driver is None:
            self._driver, self.trouble, self._reading = None, "", None
            return
        fresh = driver is not self._driver
        self._driver = driver
        if fresh:
            self._read_back = None
            await driver.set_release_times(self.plan.release_times)
        taken = await self._take_all(driver, await self._admitted())
        if self._reading_due(self._parts.clock.monotonic()) and not await self._look_at(driver):
            return  # something newer: take that away first, then read again
        done = await self._push(driver, taken)
        self.trouble = ""
        self._count()
        if done:
            self._revision = self.ledger.wanted.revision
            if self.drift is not None and self.drift.mended is None:
                self.drift = replace(self.drift, mended=self._parts.clock.now())

    def _count(self) -> None:
        if not self.ledger.taking:
            self.since = None
        elif self.since is None:
            self.since = self._parts.clock.monotonic()

    def _reading_due(self, now: float) -> bool:
        return self._read_back is None or now - self._read_back > READ_BACK

    def _shut_locks(self) -> frozenset[str]:
        """Locks of doors that no credential opens now: their cards go from the board, because a board has no word for
        it that would leave the exit button alone."""
        doors = {lock: self._doors.get(door) for lock, door in self.plan.doors.items()}
        return frozenset(lock for lock, door in doors.items() if door is not None and door.mode in SHUT_MODES)

    # ------------------------------------------------------------------------------------------- what should be there

    async def _compute(self) -> Wanted:
        """From the rights as they are now, a slice at a time; what changes meanwhile brings the next round."""
        view, now = self._parts.view, self._parts.clock.now()
        locks = {lock: points for lock, points in self.plan.locks.items() if lock not in self._shut}
        rights = BoardRights(locks, view, self._specs, self._zone)
        found = Wanted(view.revision, {}, FOREVER)
        numbered, before = set[int](), self.ledger.wanted.cards
        async for digest in gently(await self._parts.numbers.digests(self.plan.abilities.card_format)):
            credential = view.find(digest)
            if credential is None:
                continue
            numbered.add(credential.id)
            holding = rights.holding(credential, now)
            found.due = min(found.due, holding.changes)
            found.within_a_day += holding.within_a_day
            if holding.card is not None:
                # Most are as they were: less to make, and less garbage to look through.
                want = before.get(digest)
                if want is None or (want.credential, want.holding) != (credential.id, holding.text):
                    want = Want(credential.id, holding.card, holding.text)
                found.cards[digest] = want
        async for credential in gently(view):
            unknown = credential.id not in numbered and IdentifierType.CARD in credential.factors
            good = credential.state is CredentialState.ENABLED and now < credential.valid_to
            if unknown and good and rights.doors(credential.profiles):
                found.without_number += 1
        found.special = tuple(sorted(rights.special))
        await fit(found, self.plan.abilities.cards, self.ledger.held)
        return found

    # ------------------------------------------------------------------------------------------------- what is there

    async def _look_at(self, driver: Driver) -> bool:
        """Read all that the board holds. What is neither as we left it nor as it should be is drift; from here on the
        rows say what is there, and the push mends it. False when the rights changed meanwhile: a large board takes
        minutes to read, and a lost card must not wait for that."""
        ledger, seen, differ = self.ledger, set[bytes](), list[Held]()
        self._reading = 0
        async for card in driver.held_cards():
            if self._news.is_set() and self._interrupted < INTERRUPTIONS:
                self._interrupted += 1
                return False
            digest = card_digest(self._parts.keys, self.plan.abilities.card_format, card.value)
            seen.add(digest)
            holding = card.holding()
            if ledger.holding(digest) != holding:
                owner = self._parts.view.find(digest)
                sealed = seal_number(self._parts.keys, digest, card.value)
                differ.append(Held(digest, owner.id if owner else None, sealed, holding))
            self._reading += 1
            if self._reading % SLICE == 0:
                await asyncio.sleep(0)  # a driver that was told many cards at once gives them without waiting
        self._interrupted = 0
        strange = [held for held in differ if ledger.wanted_holding(held.digest) != held.holding]
        added = sum(held.digest not in ledger.held for held in strange)
        gone = [digest for digest in ledger.held if digest not in seen]
        missing = sum(digest in ledger.wanted.cards for digest in gone)
        if strange or missing:  # before our rows say what is there: killed in between, it is told again
            await self._drifted(added, missing, len(strange) - added)
        for rows in parts(differ, SLICE):
            await self._parts.numbers.confirm(self.plan.device, rows)
            ledger.confirmed(rows)
        for digests in parts(gone, SLICE):
            await self._parts.numbers.gone(self.plan.device, digests)
            ledger.gone(digests)
        self._read_back, self._read_at = self._parts.clock.monotonic(), self._parts.clock.now()
        self._reading = None
        return True

    async def _drifted(self, added: int, missing: int, changed: int) -> None:
        self.drift = Drift(self._parts.clock.now(), added, missing, changed)
        counts = {"added": added, "missing": missing, "changed": changed}
        log.warning("somebody else changed the cards of a board", device=self.plan.device, **counts)
        await self._parts.journal.record(self._entry("BoardDrift", counts), RECORD_PATIENCE)

    # ---------------------------------------------------------------------------------------------------- the push

    async def _admitted(self) -> list[bytes]:
        """What is to be taken and the board, as we left it, still admits. What ended by its own days need not hurry, and
        is read first: somebody else may have given it more."""
        today = datetime.fromtimestamp(self._parts.clock.now(), self._zone).date().isoformat()
        held = self.ledger.held
        return [d async for d in gently(self.ledger.to_take()) if last_day(held[d].holding) >= today]

    async def _take_all(self, driver: Driver, taking: Sequence[bytes]) -> int:
        for part in parts(taking, BATCH):
            await self._take(driver, part)
        return len(taking)

    async def _push(self, driver: Driver, taken: int) -> bool:
        """Take away what the reading found, then give. False when something newer came in between: the next round goes
        on. `taken` is how many were taken away in this round already."""
        taken += await self._take_all(driver, self.ledger.to_take())
        given, began = 0, self._parts.clock.monotonic()
        if giving := self.ledger.to_give():
            giving = await self._room_for_hours(driver, giving)
            for part in parts(giving, BATCH):
                await self._give(driver, part)
                given += len(part)
                if self._news.is_set() and self._parts.clock.monotonic() - began >= PUSHED:
                    break
        if taken or given:
            self._pushed = Pushed(self._parts.clock.now(), given, taken)
            revision = self.ledger.wanted.revision
            self._post("BoardUpdated", {"revision": revision, "given": given, "taken": taken})
        return not (self._news.is_set() or self.no_room)

    async def _take(self, driver: Driver, digests: Sequence[bytes]) -> None:
        held = self.ledger.held
        numbers = [open_number(self._parts.keys, digest, held[digest].sealed) for digest in digests]
        await driver.remove_cards(numbers)
        await self._parts.numbers.gone(self.plan.device, digests)
        self.ledger.gone(digests)

    async def _give(self, driver: Driver, digests: Sequence[bytes]) -> None:
        sealed = await self._parts.numbers.sealed(digests)
        there = [digest for digest in digests if digest in sealed]  # the rest was removed a moment ago
        wanted = self.ledger.wanted.cards
        cards = []
        for digest in there:
            number = open_number(self._parts.keys, digest, sealed[digest])
            cards.append(replace(wanted[digest].card, value=number))
        await driver.put_cards(cards)
        rows = []
        for digest in there:
            want = wanted[digest]
            rows.append(Held(digest, want.credential, sealed[digest], want.holding))
        await self._parts.numbers.confirm(self.plan.device, rows)
        self.ledger.confirmed(rows)

    async def _room_for_hours(self, driver: Driver, giving: list[bytes]) -> list[bytes]:
        """Those of `giving` whose hours the board can hold. The others must not keep what they had: it may be more."""
        try:
            await driver.put_profiles(self.ledger.hours)
        except CannotHold as error:
            self.no_room = str(error)
        else:
            self.no_room = ""
            return giving
        possible, kept_off = [], []
        async for digest in gently(giving):
            hours = self.ledger.wanted.cards[digest].card.doors.values()
            if all(each == DAY_AND_NIGHT for each in hours):
                possible.append(digest)
            elif digest in self.ledger.held:
                kept_off.append(digest)
        await self._take_all(driver, kept_off)
        return possible

    def _post(self, kind: str, data: Mapping[str, int]) -> None:
        self._parts.journal.post(self._entry(kind, data))

    def _entry(self, kind: str, data: Mapping[str, int]) -> Entry:
        return Entry(kind, self._parts.clock.now(), data={"device": self.plan.device, **data})


__all__ = ["Keeper", "Parts"]
