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

from menwei.boardfacts import DAY_AND_NIGHT, CannotHold, WeekHours, last_day
from menwei.boardnumbers import BoardNumbers, Held, card_digest, open_number, seal_number
from menwei.boardplan import BoardPlan, BoardStatus, Drift, Want, Wanted
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
SLICE = 200
"""Credentials judged before the doors get the event loop again."""
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
        self.wanted = Wanted(0, {}, 0.0)
        self.drift: Drift | None = None
        self.trouble = ""
        self.no_room = ""
        """Why hours could not be given: cards that need them are kept off the board."""
        self.since: float | None = None
        """Since when (monotonic) cards are to be taken away."""
        self._parts, self._specs, self._zone, self._doors = parts, specs, zone, doors
        self._held: dict[bytes, Held] | None = None
        self._revision = 0
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

    @property
    def held(self) -> Mapping[bytes, Held]:
        return self._held or {}

    def to_take(self) -> list[bytes]:
        return [digest for digest in self.held if digest not in self.wanted.cards]

    def to_give(self) -> list[bytes]:
        """What the board holds otherwise first: among it are rights that became less."""
        differ = [
            digest
            for digest, want in self.wanted.cards.items()
            if (held := self.held.get(digest)) is None or held.holding != want.holding
        ]
        return sorted(differ, key=lambda digest: digest not in self.held)

    def status(self) -> BoardStatus:
        taking = self.to_take()
        revoked = {held.credential for digest in taking if (held := self.held[digest]).credential is not None}
        return BoardStatus(
            self.plan.device,
            self._parts.supervisor.driver(self.plan.device) is not None,
            self._revision,
            len(self.wanted.cards),
            len(self.held),
            self.plan.abilities.cards,
            len(self.to_give()),
            len(taking),
            tuple(sorted(number for number in revoked if number is not None)),
            self._read_at,
            self.drift,
            self.trouble or self.no_room,
        )

    # ----------------------------------------------------------------------------------------------------- its life

    def wake(self) -> None:
        """The rights changed."""
        self._news.set()

    def look(self) -> None:
        """Read back all that the board holds, now."""
        self._read_back = None
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
            or self._parts.clock.now() >= self.wanted.due
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
        self.trouble = why
        self._again = self._parts.clock.monotonic() + pause

    async def _round(self) -> None:
        """Everything once: what should be there, what is there, and the way from one to the other."""
        self._news.clear()
        self._shut = self._shut_locks()
        if self._held is None:
            self._held = await self._parts.numbers.held(self.plan.device)
        began = self._parts.clock.monotonic()
        self.wanted = await self._compute()
        ended = self._parts.clock.monotonic()
        self._rest_until = ended + SHARE * (ended - began)
        self._count()
        driver = self._parts.supervisor.driver(self.plan.device)
        if driver is None:
            self._driver, self.trouble = None, ""
            return
        fresh = driver is not self._driver
        self._driver = driver
        if fresh:
            self._read_back = None
            await driver.set_release_times(self.plan.release_times)
        taken = await self._take_all(driver, [digest for digest in self.to_take() if self._admits(digest)])
        if self._reading_due(self._parts.clock.monotonic()) and not await self._look_at(driver):
            return  # something newer: take that away first, then read again
        done = await self._push(driver, taken)
        self.trouble = ""
        self._count()
        if done:
            self._revision = self.wanted.revision

    def _count(self) -> None:
        if not self.to_take():
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
        numbered: set[int] = set()
        for place, digest in enumerate(await self._parts.numbers.digests(self.plan.abilities.card_format)):
            if place % SLICE == SLICE - 1:
                await asyncio.sleep(0)
            credential = view.find(digest)
            if credential is None:
                continue
            numbered.add(credential.id)
            holding = rights.holding(credential, now)
            found.due = min(found.due, holding.changes)
            found.within_a_day += holding.within_a_day
            if holding.card is not None:
                found.cards[digest] = Want(credential.id, holding.card, holding.card.holding())
        for place, credential in enumerate(view):
            if place % SLICE == SLICE - 1:
                await asyncio.sleep(0)
            unknown = credential.id not in numbered and IdentifierType.CARD in credential.factors
            good = credential.state is CredentialState.ENABLED and now < credential.valid_to
            if unknown and good and rights.doors(credential.profiles):
                found.without_number += 1
        found.special = tuple(sorted(rights.special))
        self._fit(found)
        return found

    def _fit(self, found: Wanted) -> None:
        """Not more than the board has room for: what it holds already stays, then who came first."""
        room = self.plan.abilities.cards
        if len(found.cards) <= room:
            return
        order = sorted(
            found.cards, key=lambda digest: (digest not in self.held, found.cards[digest].credential)
        )
        found.overflow = len(order) - room
        found.cards = {digest: found.cards[digest] for digest in order[:room]}

    # ------------------------------------------------------------------------------------------------- what is there

    async def _look_at(self, driver: Driver) -> bool:
        """Read all that the board holds. What is neither as we left it nor as it should be is drift; from here on the
        rows say what is there, and the push mends it. False when the rights changed meanwhile: a large board takes
        minutes to read, and a lost card must not wait for that."""
        assert self._held is not None
        seen: set[bytes] = set()
        differ: list[Held] = []
        async for card in driver.held_cards():
            if self._news.is_set() and self._interrupted < INTERRUPTIONS:
                self._interrupted += 1
                return False
            digest = card_digest(self._parts.keys, self.plan.abilities.card_format, card.value)
            seen.add(digest)
            holding = card.holding()
            if self._holding(digest) != holding:
                owner = self._parts.view.find(digest)
                sealed = seal_number(self._parts.keys, digest, card.value)
                differ.append(Held(digest, owner.id if owner else None, sealed, holding))
        self._interrupted = 0
        strange = [held for held in differ if self._wanted_holding(held.digest) != held.holding]
        added = sum(held.digest not in self._held for held in strange)
        gone = [digest for digest in self._held if digest not in seen]
        missing = sum(digest in self.wanted.cards for digest in gone)
        if strange or missing:  # before our rows say what is there: killed in between, it is told again
            await self._drifted(added, missing, len(strange) - added)
        await self._parts.numbers.confirm(self.plan.device, differ)
        await self._parts.numbers.gone(self.plan.device, gone)
        for digest in gone:
            del self._held[digest]
        self._held.update((held.digest, held) for held in differ)
        self._read_back, self._read_at = self._parts.clock.monotonic(), self._parts.clock.now()
        return True

    def _holding(self, digest: bytes) -> str | None:
        held = self.held.get(digest)
        return held.holding if held is not None else None

    def _wanted_holding(self, digest: bytes) -> str | None:
        wanted = self.wanted.cards.get(digest)
        return wanted.holding if wanted is not None else None

    async def _drifted(self, added: int, missing: int, changed: int) -> None:
        self.drift = Drift(self._parts.clock.now(), added, missing, changed)
        counts = {"added": added, "missing": missing, "changed": changed}
        log.warning("somebody else changed the cards of a board", device=self.plan.device, **counts)
        await self._parts.journal.record(self._entry("BoardDrift", counts), RECORD_PATIENCE)

    # ---------------------------------------------------------------------------------------------------- the push

    def _admits(self, digest: bytes) -> bool:
        """Whether the board, as we left it, still admits the card. What ended by its own days need not hurry, and is read
        first: somebody else may have given it more."""
        today = datetime.fromtimestamp(self._parts.clock.now(), self._zone).date()
        return last_day(self.held[digest].holding) >= today.isoformat()

    async def _take_all(self, driver: Driver, taking: Sequence[bytes]) -> int:
        for part in _parts(taking):
            await self._take(driver, part)
        return len(taking)

    async def _push(self, driver: Driver, taken: int) -> bool:
        """Take away what the reading found, then give. False when something newer came in between: the next round goes
        on. `taken` is how many were taken away in this round already."""
        taken += await self._take_all(driver, self.to_take())
        given, began = 0, self._parts.clock.monotonic()
        if giving := self.to_give():
            giving = await self._room_for_hours(driver, giving)
            for part in _parts(giving):
                await self._give(driver, part)
                given += len(part)
                if self._news.is_set() and self._parts.clock.monotonic() - began >= PUSHED:
                    break
        if taken or given:
            self._post("BoardUpdated", {"revision": self.wanted.revision, "given": given, "taken": taken})
        return not (self._news.is_set() or self.no_room)

    async def _take(self, driver: Driver, digests: Sequence[bytes]) -> None:
        assert self._held is not None
        numbers = [open_number(self._parts.keys, digest, self._held[digest].sealed) for digest in digests]
        await driver.remove_cards(numbers)
        await self._parts.numbers.gone(self.plan.device, digests)
        for digest in digests:
            del self._held[digest]

    async def _give(self, driver: Driver, digests: Sequence[bytes]) -> None:
        assert self._held is not None
        sealed = await self._parts.numbers.sealed(digests)
        there = [digest for digest in digests if digest in sealed]  # the rest was removed a moment ago
        cards = []
        for digest in there:
            number = open_number(self._parts.keys, digest, sealed[digest])
            cards.append(replace(self.wanted.cards[digest].card, value=number))
        await driver.put_cards(cards)
        rows = []
        for digest in there:
            want = self.wanted.cards[digest]
            rows.append(Held(digest, want.credential, sealed[digest], want.holding))
        await self._parts.numbers.confirm(self.plan.device, rows)
        self._held.update((row.digest, row) for row in rows)

    async def _room_for_hours(self, driver: Driver, giving: list[bytes]) -> list[bytes]:
        """Those of `giving` whose hours the board can hold. The others must not keep what they had: it may be more."""
        try:
            await driver.put_profiles(self.wanted.hours())
        except CannotHold as error:
            self.no_room = str(error)
        else:
            self.no_room = ""
            return giving
        possible = [digest for digest in giving if set(self._hours_of(digest)) <= {DAY_AND_NIGHT}]
        kept_off = set(giving) - set(possible)
        for part in _parts([digest for digest in kept_off if digest in self.held]):
            await self._take(driver, part)
        return possible

    def _hours_of(self, digest: bytes) -> tuple[WeekHours, ...]:
        return tuple(self.wanted.cards[digest].card.doors.values())

    def _post(self, kind: str, data: Mapping[str, int]) -> None:
        self._parts.journal.post(self._entry(kind, data))

    def _entry(self, kind: str, data: Mapping[str, int]) -> Entry:
        return Entry(kind, self._parts.clock.now(), data={"device": self.plan.device, **data})


def _parts(digests: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [digests[at : at + BATCH] for at in range(0, len(digests), BATCH)]


__all__ = ["Keeper", "Parts"]
