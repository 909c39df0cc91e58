"""The driver `uhppote`: one device is one board with one to four doors. Either side decides, door by door.

Where the host decides, the board is given no cards, so it refuses each one by itself and logs that; we read the entry,
decide, and release the door. Where the controller decides, it is given cards with days, doors and hours (`holdings.py`),
opens by itself, and its log is read back. Boards cannot be told that a command is over: a datagram that the network holds back is obeyed when it comes.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

from menwei import (
    BoardAbilities,
    BoardCard,
    BoardDecision,
    BoardHealth,
    Config,
    Context,
    DeviceInfo,
    DoorMode,
    DoorState,
    Driver,
    IdentifierType,
    NotReady,
    Part,
    Reason,
    Repair,
    Reports,
    WeekHours,
)
from menwei.model import OPEN_MODES
from menwei_uhppote.board import Board, Control, DoorControl, Identity
from menwei_uhppote.boardclock import EPOCH, SLACK, BoardClock
from menwei_uhppote.cards import card_value
from menwei_uhppote.eventlog import EventLog
from menwei_uhppote.events import ADMITTED, REASONS, LogEntry, Status, What
from menwei_uhppote.holdings import Holdings
from menwei_uhppote.listener import Listener
from menwei_uhppote.profiles import HIGHEST, LOWEST
from menwei_uhppote.settings import BoardConfig
from menwei_uhppote.troubles import Troubles
from menwei_uhppote.wire import NoAnswer

CONNECTING: Final = 5.0
"""Seconds for all questions of a connection; a board that is there answers each within a tenth."""
READING: Final = 2.0
"""Seconds for one entry of the log."""
OLD: Final = 60.0
"""Seconds before our connection that a read is told at least, when it was logged while we were not there: whatever the
board's clock said then, it must not open a door now."""
LIVE: Final = 3.0
"""Seconds after which an entry is not what somebody waits for, or the board's clock was set: it is looked at again."""
WRONG: Final = 2.0
"""Seconds by which the board's clock may be wrong."""
REACH: Final = 1000
"""A hint further ahead is no event that we missed, but nonsense; the status tells the truth soon."""
WATCH: Final = 60.0
"""Seconds between two looks whether the board still sends its events here."""
LONGEST: Final = 255
"""Seconds: the release time is one byte."""
MOST_CARDS: Final = 20_000
"""What makers state for all of these boards; not measured."""
PROFILES: Final = HIGHEST - LOWEST + 1


class UhppoteBoard(Driver):
    """One UHPPOTE board. Locks are "1" to "4"; so are readers, with "1-out" for a second one inside door 1.

    Reports reads, exit buttons, door contacts and the fire input from the board's log and status; what happened while
    nobody served is reported as old. Sets the board's clock. An unreachable board is `NotReady`; there is no secret.
    """

    name: ClassVar[str] = "uhppote"
    Config: ClassVar[type[Config]] = BoardConfig
    decides: ClassVar[frozenset[str]] = frozenset({"host", "controller"})
    identifiers: ClassVar[frozenset[IdentifierType]] = frozenset({IdentifierType.CARD})
    card_formats: ClassVar[frozenset[str]] = frozenset({"wiegand26", "wiegand26-le"})
    inputs: ClassVar[frozenset[Part]] = frozenset({Part.CONTACT, Part.EXIT_BUTTON, Part.FIRE_INPUT})

    def __init__(self, context: Context, config: Any, reports: Reports) -> None:
        super().__init__(context, config, reports)
        self.settings: BoardConfig = config
        self._board = Board(config.serial, config.address, context.clock.monotonic)
        self._log = EventLog(self._board, context.memory, max(1, int(context.clock.now())))
        self._holdings = Holdings(self._board, config.cards, config.door_count, self._in)
        self._troubles = Troubles(config, context.log)
        self._clock = BoardClock()
        self._controls: dict[int, DoorControl] = {}
        self._doors: dict[int, bool] = {}
        self._fire: bool | None = None
        self._connected: float | None = None
        self._wanted = 0
        self._news = asyncio.Event()
        self._commanding = asyncio.Lock()

    @classmethod
    async def probe(cls, config: Any) -> DeviceInfo:
        """Ask the board who it is. Works beside a host that serves it."""
        board = Board(config.serial, config.address)
        try:
            return describe(config, await board.identity(time.monotonic() + CONNECTING))
        except NoAnswer as error:
            raise NotReady(str(error)) from error

    # --------------------------------------------------------------------------------------- a board that decides

    @classmethod
    def board(cls, config: Any) -> BoardAbilities:
        """Reader "1-out" opens lock "1" as reader "1" does."""
        doors = [str(door) for door in range(1, config.door_count + 1)]
        opens = {name: door for door in doors for name in (door, f"{door}-out")}
        return BoardAbilities(MOST_CARDS, str(config.cards), opens, PROFILES, time_zone=config.time_zone)

    def held_cards(self) -> AsyncIterator[BoardCard]:
        return self._holdings.held()

    async def put_profiles(self, profiles: Sequence[WeekHours]) -> None:
        await self._holdings.put_profiles(profiles)

    async def put_cards(self, cards: Sequence[BoardCard]) -> None:
        """Each is read back before the next."""
        await self._holdings.put(cards)

    async def remove_cards(self, values: Sequence[str]) -> None:
        await self._holdings.remove(values)

    async def set_release_times(self, seconds: Mapping[str, float]) -> None:
        for lock, wanted in seconds.items():
            door, deadline = self._door(lock), self._in(READING)
            async with self._commanding:
                delay = DoorControl(self._controls[door].control, whole_seconds(wanted))
                if delay != self._controls[door]:
                    await self._set_control(door, delay, deadline)

    def board_health(self) -> BoardHealth:
        ahead = -self._behind() if self._clock.seen else None
        return BoardHealth(ahead, self._log.unread(self._wanted) if self._connected is not None else None)

    # ----------------------------------------------------------------------------------------------------- serving

    async def run(self) -> None:
        listener = Listener(self.settings, self._heard)
        try:
            told = await listener.open()
            await self._connect(told)
            await self._serve(told)
        except NoAnswer as error:
            raise NotReady(str(error)) from error
        finally:
            self._connected = None
            listener.close()

    async def _connect(self, told: tuple[str, int]) -> None:
        deadline = self._in(CONNECTING)
        identity = await self._board.identity(deadline)
        await self._board.record_special_events(deadline)
        if (await self._board.listener(deadline)) != told:
            await self._board.set_listener(told, deadline)
        for door in self._numbers:
            self._controls[door] = await self._board.control(door, deadline)
        await self._count_cards(deadline)
        status = await self._look(deadline)
        await self._log.begin(status.last, deadline)
        self._troubles.overwritten(self._log.lost)
        self._wanted = self._log.place.top
        self._connected = self._now()
        self.reports.ready(describe(self.settings, identity))
        self._tell_status(status)

    async def _serve(self, told: tuple[str, int]) -> None:
        """Until one of the three ends, which it does by its exception alone."""
        tasks = {asyncio.create_task(work) for work in (self._follow(), self._catch_up(), self._watch(told))}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in done:
            task.result()

    def _heard(self, index: int) -> None:
        if self._wanted < index <= self._log.place.top + REACH:
            self._wanted = index
            self._news.set()

    async def _follow(self) -> None:
        """Read each entry as soon as there is one."""
        while True:
            await self._news.wait()
            self._news.clear()
            while self._log.place.top < self._wanted:
                entry = await self._log.live(self._in(self.settings.silence))
                if entry is None:  # somebody made that index up
                    self._wanted = self._log.place.top
                    break
                await self._tell(entry)
                await self._log.handled(entry)

    async def _catch_up(self) -> None:
        """Read what happened while nobody was here. Only reads are reported: doors are as the status says, and an exit
        button of yesterday makes no opening rightful now."""
        while (entry := await self._log.missed(self._in(self.settings.silence))) is not None:
            if entry.what is What.CARD and entry.reader in self.context.alone:
                await self._tell_decided(entry, live=False)
            elif entry.what is What.CARD:
                self._tell_card(entry, self._long_ago(entry))
            await self._log.caught_up(entry)
        self._troubles.overwritten(self._log.lost)
        await asyncio.Event().wait()

    async def _watch(self, told: tuple[str, int]) -> None:
        """See that the board is there, catch events whose datagram was lost, keep its clock, keep its listener."""
        looked = self._now()
        while True:
            await asyncio.sleep(self.settings.poll)
            status = await self._look(self._in(self.settings.silence))
            if status.last < self._log.place.top:
                raise NotReady("the board's event log began anew")
            if status.last > self._log.place.top:
                self._wanted = max(self._wanted, status.last)
                self._news.set()
                continue
            self._tell_status(status)
            await self._keep_time()
            if self._now() - looked > WATCH:
                looked = self._now()
                await self._keep_listener(told)
                await self._count_cards(self._in(READING))

    async def _count_cards(self, deadline: float) -> None:
        """Where we decide about every door, a card on the board is somebody else's."""
        if not self.context.alone:
            self._troubles.cards_on_board(await self._board.cards(deadline))

    async def _look(self, deadline: float) -> Status:
        """Ask for the status; the board's clock is seen on the way."""
        sent = self._now()
        status = await self._board.status(deadline)
        if status.at is not None and not self._clock.look(status.at, sent, self._now()):
            self.context.log.warning("the board's clock was set", board=self.settings.serial)
        return status

    async def _keep_time(self) -> None:
        off = self._behind()
        if abs(off) <= WRONG:
            return
        self._troubles.clock(off)
        try:
            await self._board.set_time(self._wall(), self._in(READING))
        except NoAnswer:  # one datagram was lost; the next look finds it wrong again
            self.context.log.warning("the board did not take the time", board=self.settings.serial)
        self._clock.forget()
        await self._look(self._in(self.settings.silence))

    def _behind(self) -> float:
        return self._clock.behind((self._wall() - EPOCH).total_seconds(), self._now())

    async def _keep_listener(self, told: tuple[str, int]) -> None:
        found = await self._board.listener(self._in(self.settings.silence))
        if found != told:
            self._troubles.listener_taken(found)
            await self._board.set_listener(told, self._in(READING))

    # ---------------------------------------------------------------------------------------------------- reporting

    async def _tell(self, entry: LogEntry) -> None:
        lock = str(entry.door)
        match entry.what:
            case What.CARD if entry.reader in self.context.alone:
                await self._tell_decided(entry, live=True)
            case What.CARD:
                self._tell_card(entry, await self._moment(entry))
            case What.EXIT:
                self.reports.exit_button(lock)
            case What.OPENED | What.CLOSED if entry.door in self._numbers:
                self._tell_door(entry.door, entry.what is What.OPENED)
            case What.POWER:
                self.context.log.warning(
                    "the board was without power or was reset", board=self.settings.serial
                )

    async def _tell_decided(self, entry: LogEntry, *, live: bool) -> None:
        value = card_value(entry.card, self.settings.cards) or ""
        await self.reports.decided(
            BoardDecision(
                epoch=self._log.place.epoch, index=entry.index, reader=entry.reader, format=str(self.settings.cards),
                value=value, granted=entry.granted, shown=entry.at, live=live,
                reason=None if entry.granted else REASONS.get(entry.reason, Reason.OTHER),
            )
        )  # fmt: skip

    def _tell_card(self, entry: LogEntry, received: float) -> None:
        value = card_value(entry.card, self.settings.cards)
        if value is None:
            self.context.log.warning("a card number that no such reader gives", reader=entry.reader)
            return
        if entry.reason == ADMITTED and entry.granted:
            self._troubles.opened_by_itself(entry.door)
        self.reports.card(entry.reader, self.settings.cards, value, received=received)

    async def _moment(self, entry: LogEntry) -> float:
        """When it was read, on our monotonic clock. An entry whose time makes no sense is old: it opens nothing."""
        if entry.at is None:
            return self._long_ago(entry)
        if not -SLACK <= self._now() - self._clock.happened(entry.at) <= LIVE:
            await self._look(self._in(READING))
        happened, now = self._clock.happened(entry.at), self._now()
        return min(happened, now) if happened <= now + SLACK else self._long_ago(entry)

    def _long_ago(self, entry: LogEntry) -> float:
        """The moment of an entry that was logged before we came."""
        bound = (self._connected or self._now()) - OLD
        return min(bound, self._clock.happened(entry.at)) if entry.at is not None else bound

    def _tell_status(self, status: Status) -> None:
        """How everything is. Called only when no entry is unread, so that it contradicts none."""
        for door in self._numbers:
            self._tell_door(door, status.open[door - 1])
        if status.fire != self._fire:
            self._fire = status.fire
            for door in self._numbers:
                self.reports.fire(str(door), status.fire)

    def _tell_door(self, door: int, open_: bool) -> None:
        if self._doors.get(door) is not open_:
            self._doors[door] = open_
            self.reports.door_state(str(door), DoorState.OPEN if open_ else DoorState.CLOSED)

    # -------------------------------------------------------------------------------------------------------- commands

    async def access(self, lock: str, seconds: float, deadline: float, *, passage: str = "") -> None:
        """Whole seconds, rounded up, 1 to 255. The board's exit button releases for as long as the last access."""
        door = self._door(lock)
        delay = whole_seconds(seconds)
        async with asyncio.timeout(self._left(deadline)), self._commanding:
            known = self._controls[door]
            if known.delay != delay:
                await self._set_control(door, DoorControl(known.control, delay), deadline)
            await self._board.open(door, deadline)

    async def set_mode(self, lock: str, mode: DoorMode, deadline: float) -> None:
        door = self._door(lock)
        wanted = Control.NORMALLY_OPEN if mode in OPEN_MODES else Control.CONTROLLED
        async with asyncio.timeout(self._left(deadline)), self._commanding:
            await self._set_control(door, DoorControl(wanted, self._controls[door].delay), deadline)

    async def _set_control(self, door: int, wanted: DoorControl, deadline: float) -> None:
        await self._board.set_control(door, wanted, deadline)
        self._controls[door] = wanted

    def repairs(self) -> list[Repair]:
        self._troubles.unkept(self._log.unkept)
        return self._troubles.repairs()

    def _door(self, lock: str) -> int:
        if self._connected is None:
            raise NotReady("the board is not connected")
        if lock not in map(str, self._numbers):
            raise LookupError(f"the board has no lock {lock!r}, but 1 to {self.settings.door_count}")
        return int(lock)

    def _left(self, deadline: float) -> float:
        left = deadline - self._now()
        if left <= 0:
            raise TimeoutError("the deadline had passed before the command was sent")
        return left

    # -------------------------------------------------------------------------------------------------------- time

    @property
    def _numbers(self) -> range:
        return range(1, self.settings.door_count + 1)

    def _now(self) -> float:
        return self.context.clock.monotonic()

    def _in(self, seconds: float) -> float:
        return self._now() + seconds

    def _wall(self) -> datetime:
        """What the board's clock should show. `localtime` where the config names no zone."""
        now = self.context.clock.now()
        zone = self.settings.zone
        if zone is None and self.context.alone:
            zone = self.context.site.zone  # it decides by its clock: the site's days are its days
        if zone is not None:
            return datetime.fromtimestamp(now, zone).replace(tzinfo=None)
        return datetime(*time.localtime(now)[:6])  # noqa: DTZ001 - the board knows no zones


def whole_seconds(seconds: float) -> int:
    """The release time that the board can do: not shorter, one byte."""
    return min(LONGEST, max(1, math.ceil(seconds)))


def describe(config: BoardConfig, identity: Identity) -> DeviceInfo:
    """What is known of a board; `-out` readers only exist where there are two for a door."""
    doors = [str(door) for door in range(1, config.door_count + 1)]
    inside = [f"{door}-out" for door in doors] if len(doors) < 4 else []
    return DeviceInfo(
        id=f"uhppote-{config.serial}",
        model=f"UHPPOTE UT0311-L0{len(doors)}",
        version=identity.version,
        locks=tuple(doors),
        readers=(*doors, *inside),
        details={"serial": str(config.serial), "mac": identity.mac, "released": identity.released},
    )
