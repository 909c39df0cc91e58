"""The thread of one wire: it drives the library, tells the event loop what happened and takes its orders.

Everything that may block or crash on a bad port happens here. Orders cross by a queue, each with its deadline. Opening a
port may hang for ever: then the thread is left behind.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from menwei import DeviceThread, NotReady
from menwei_osdp.cards import UnreadableCard, card_number
from menwei_osdp.events import Card, Event, Intruded, Lost, Number, Online, Tampered, Unread
from menwei_osdp.frames import Command
from menwei_osdp.freshness import Freshness
from menwei_osdp.guard import Guard, Refusal
from menwei_osdp.keypad import Keypad
from menwei_osdp.panel import Panel, Station, Status, library
from menwei_osdp.port import Channel, Port
from menwei_osdp.recovery import Recovery
from menwei_osdp.signals import Abilities, Order, Output
from menwei_osdp.trouble import PortTrouble, PortTroubleKind, Why

TICK = 0.01
"""Seconds between two steps of the library, which wants one every 50 ms."""
WAITING = 8
"""Orders that may wait for one reader; more than that and nobody looks at the lights any more."""


@dataclass(frozen=True, slots=True)
class ReaderPlan:
    """One reader, as the config has it. `reversed`: it sends a card's last byte first."""

    station: Station
    reversed: bool = False


@dataclass(slots=True)
class _Job:
    """An order on its way. `done` belongs to the loop; it is settled there."""

    order: Order | Status
    deadline: float
    done: asyncio.Future[None] | None


class _Reader:
    """What the thread knows of one reader."""

    def __init__(self, plan: ReaderPlan, patience: float, now: float) -> None:
        self.plan = plan
        self.name, self.address = plan.station.name, plan.station.address
        self.recovery = Recovery(now)
        self.fresh = Freshness()
        self.keypad = Keypad(patience)
        self.waiting: deque[_Job] = deque()
        self.flying: _Job | None = None
        self.tells_status = True
        self.clear_text = False
        self.cut = False
        """We ended the session ourselves, so that a late command does not leave."""
        self.abilities = Abilities()


class BusThread(DeviceThread[Event]):
    """One wire. Ends with `PortTrouble` when the port is lost."""

    def __init__(
        self,
        port: str,
        baud: int,
        plans: Sequence[ReaderPlan],
        patience: float,
        monotonic: Callable[[], float],
        on_event: Callable[[Event], None],
    ) -> None:
        super().__init__("osdp", port, monotonic, on_event)
        self._baud = baud
        self._monotonic = monotonic
        now = monotonic()
        self._readers = [_Reader(plan, patience, now) for plan in plans]
        self._index = {reader.name: index for index, reader in enumerate(self._readers)}
        self._orders: deque[tuple[int, _Job]] = deque()
        self._panel: Panel
        self._guard: Guard
        self._channel: Channel
        self._types: dict[str, int] = {}

    # --------------------------------------------------------------------------------------------- in the event loop

    async def order(self, reader: str, order: Order, deadline: float) -> None:
        """Send one command and wait until the reader confirmed it. Raises `TimeoutError` at `deadline` (monotonic),
        after which it is not sent any more, and `NotReady` when the reader is away or refuses it."""
        if deadline <= self._monotonic():
            raise TimeoutError("the deadline of the command has passed")
        if self.ended.done():
            raise NotReady("the port is closed")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._orders.append((self._index[reader], _Job(order, deadline, done)))
        try:
            async with asyncio.timeout(max(0.0, deadline - self._monotonic())):
                await done
        except TimeoutError:
            raise TimeoutError(f"{reader} has not confirmed the command in time") from None

    def post(self, reader: str, order: Order, deadline: float) -> None:
        """Send one command that nobody waits for."""
        self._orders.append((self._index[reader], _Job(order, deadline, None)))

    def finishing(self) -> None:
        for reader in self._readers:
            self._fail_all(reader, NotReady("the port is closed"), settle=_settle)
        while self._orders:
            _settle(self._orders.popleft()[1].done, NotReady("the port is closed"))

    # ------------------------------------------------------------------------------------------------- in the thread

    def serve(self) -> None:
        with Port(self.place, self._baud) as port:
            if self.stopping.is_set():  # opening took so long that nobody waits any more
                return
            self._guard = Guard(self._monotonic, self._on_refused)
            self._channel = Channel(port, self._guard)
            stations = [reader.plan.station for reader in self._readers]
            self._panel = Panel(stations, self._channel, self._on_library, self._on_done)
            self._types = event_types()
            while not self.stopping.wait(TICK):
                now = self.alive()
                self._panel.refresh()
                if self._channel.error is not None:
                    text = f"the port {self.place} is lost: {self._channel.error}"
                    raise PortTrouble(PortTroubleKind.PORT_LOST, text, port=self.place)
                self._step(now)

    def _step(self, now: float) -> None:
        while self._orders:
            index, job = self._orders.popleft()
            self._readers[index].waiting.append(job)
        for index, reader in enumerate(self._readers):
            self._send(index, reader, now)
            self._recover(index, reader, now)
            reader.fresh.forget(now)
            for typed in reader.keypad.due(now):
                self.tell(Number(reader.name, typed.digits, typed.at))

    # ------------------------------------------------------------------------------------------------------- orders

    def _send(self, index: int, reader: _Reader, now: float) -> None:
        if reader.flying is not None:
            if now >= reader.flying.deadline and reader.flying.done is not None:
                self._settle(reader.flying.done, TimeoutError("not confirmed in time"))
                reader.flying.done = None  # it stays in flight: the library tells its end later
                self._channel.drop_unsent()
            return
        while reader.waiting:
            job = reader.waiting.popleft()
            if now >= job.deadline:
                self._settle(job.done, TimeoutError("there was no time to send it"))
                continue
            if not reader.recovery.online:
                self._settle(job.done, NotReady(f"{reader.name} is not connected"))
                continue
            if job.done is None and len(reader.waiting) >= WAITING:
                continue
            if isinstance(job.order, Output) and job.order.number >= reader.abilities.outputs:
                self._settle(job.done, NotReady(f"{reader.name} says that it has no such output"))
                continue
            if isinstance(job.order, Output):
                self._guard.deadlines[reader.address] = job.deadline
            if self._panel.submit(index, job.order):
                reader.flying = job
                return
            self._settle(job.done, NotReady(f"{reader.name} takes no commands"))

    def _on_done(self, index: int, succeeded: bool) -> None:
        """The library is done with the command in flight: one reader has one at a time."""
        reader = self._readers[index]
        job, reader.flying = reader.flying, None
        self._guard.deadlines.pop(reader.address, None)
        if job is None:
            return
        if isinstance(job.order, Status) and not succeeded:
            reader.tells_status = False  # asking again would end the session again
        self._settle(
            job.done, None if succeeded else NotReady(f"{reader.name} has not carried the command out")
        )

    def _fail_all(
        self,
        reader: _Reader,
        error: Exception,
        settle: Callable[[asyncio.Future[None] | None, Exception], None],
    ) -> None:
        if reader.flying is not None:
            settle(reader.flying.done, error)
            reader.flying = None
        while reader.waiting:
            settle(reader.waiting.popleft().done, error)

    # ------------------------------------------------------------------------------------------------ what was heard

    def _on_refused(self, address: int, why: Refusal) -> None:
        for reader in self._readers:
            if reader.address == address and why in (Refusal.CLEAR_TEXT, Refusal.DEFAULT_KEY):
                reader.clear_text = True
                self.tell(Intruded(reader.name, why))
            elif reader.address == address and why is Refusal.LATE:
                reader.cut = True

    def _on_library(self, index: int, event: dict[str, Any]) -> None:
        reader, kind = self._readers[index], event["event"]
        if kind == self._types["notification"]:
            if event["type"] == self._types["online"]:
                self._turned(index, reader, bool(event["arg0"]))
            return
        if not (reader.recovery.online and self._panel.is_secure(index)):
            self.tell(Unread(reader.name, "came outside a secure channel"))
            return
        heard = self._guard.of(reader.address)
        if kind == self._types["card"]:
            self._card(reader, event, heard.answered_at, heard.before)
        elif kind == self._types["keys"]:
            if not reader.fresh.is_old(heard.answered_at, heard.before):
                for typed in reader.keypad.press(event["data"], heard.answered_at):
                    self.tell(Number(reader.name, typed.digits, typed.at))
        elif kind == self._types["status"] and event["type"] == self._types["local"]:
            self.tell(Tampered(reader.name, bool(event["report"][:1].strip(b"\0"))))

    def _card(self, reader: _Reader, event: dict[str, Any], at: float, before: float) -> None:
        bits, data = event.get("length", 0), event["data"]
        if reader.fresh.is_old(at, before):
            self.tell(Unread(reader.name, "a read from before it was connected"))
            return
        if reader.fresh.is_repeated(bits, data, at):
            return
        try:
            format, value = card_number(data, bits, reversed=reader.plan.reversed)
        except UnreadableCard as error:
            self.tell(Unread(reader.name, str(error)))
            return
        self.tell(Card(reader.name, format, value, at))

    # ------------------------------------------------------------------------------------------------ there and away

    def _turned(self, index: int, reader: _Reader, online: bool) -> None:
        now = self._monotonic()
        if online and self._panel.is_secure(index):
            reader.recovery.found()
            reader.clear_text = False
            reader.fresh.begin(now)
            reader.keypad.clear()
            reader.abilities = self._panel.abilities(index)
            self.tell(Online(reader.name, self._panel.identity(index), reader.abilities))
            if reader.tells_status:
                reader.waiting.append(_Job(Status(), now + 5.0, None))
            return
        if reader.recovery.restarting:  # our own doing
            return
        reader.fresh.end()
        reader.keypad.clear()
        why = Why.NO_SECURITY if online else self._diagnose(reader)
        reader.recovery.lost(why, now)
        self._panel.drop(index)
        self._fail_all(reader, NotReady(f"{reader.name} is lost"), settle=self._settle)

    def _diagnose(self, reader: _Reader) -> Why:
        """Why the library gave a reader up: it says nothing itself, but the last question and answer do."""
        heard = self._guard.of(reader.address)
        cut, reader.cut = reader.cut, False
        if cut:
            return Why.SESSION
        if reader.clear_text:
            return Why.CLEAR_TEXT
        if heard.replied is None or heard.asked == Command.ID:
            return Why.LOST
        if heard.asked in (Command.CHALLENGE, Command.CRYPTOGRAM):
            return Why.KEY
        return Why.NO_SECURITY if heard.asked == Command.CAPABILITIES else Why.SESSION

    def _recover(self, index: int, reader: _Reader, now: float) -> None:
        if reader.recovery.restarting:
            if self._panel.is_disabled(index):
                self._panel.enable(index)
                reader.recovery.restarted()
                reader.clear_text = False
        elif reader.recovery.due(now):
            self._panel.disable(index)
            reader.recovery.restart()
        if (why := reader.recovery.to_tell(now)) is not None:
            self.tell(Lost(reader.name, why))

    def _settle(self, done: asyncio.Future[None] | None, error: Exception | None) -> None:
        if done is not None:
            self.in_loop(_settle, done, error)


def event_types() -> dict[str, int]:
    """The library's numbers of what it tells."""
    sys = library()
    return {
        "card": sys.EVENT_CARDREAD,
        "keys": sys.EVENT_KEYPRESS,
        "status": sys.EVENT_STATUS,
        "notification": sys.EVENT_NOTIFICATION,
        "online": sys.EVENT_NOTIFICATION_PD_STATUS,
        "secure": sys.EVENT_NOTIFICATION_SC_STATUS,
        "local": sys.STATUS_REPORT_LOCAL,
    }


def _settle(done: asyncio.Future[None] | None, error: Exception | None) -> None:
    """In the loop."""
    if done is None or done.done():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
