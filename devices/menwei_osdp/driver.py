"""The driver `osdp`: one device is one serial wire with its readers."""

from __future__ import annotations

import asyncio
import time
from typing import Any, ClassVar, NoReturn

import structlog

from menwei import (
    AuthFailed,
    Config,
    Context,
    DeviceInfo,
    DoorMode,
    Driver,
    Feedback,
    NotReady,
    Repair,
    Reports,
)
from menwei_osdp.config import OsdpConfig
from menwei_osdp.events import Card, Event, Intruded, Lost, Number, Online, Tampered, Unread
from menwei_osdp.freshness import QUIET
from menwei_osdp.relays import Relays
from menwei_osdp.signals import Output, orders
from menwei_osdp.trouble import PortTrouble, PortTroubleKind, Why
from menwei_osdp.wire import ReaderState, Wire

EMPTY = 3.0
"""Seconds without any reader after which the whole device counts as away. The library has asked for nine before."""
SHOWING = 2.0
"""Seconds in which a light must come on; later it would speak to somebody else."""
OPEN = frozenset({DoorMode.UNLOCKED, DoorMode.LOCKED_OPEN, DoorMode.ACCESSED})


class OsdpBus(Driver):
    """A wire of OSDP readers. Each is spoken to in a secure channel under its own key or not at all.

    A reader that is lost is a fault of its own and is tried again by itself; only when no reader answers the whole wire
    is not ready. When at the start every reader that answers has another key than the config, that is `AuthFailed`.
    What a reader tells within a second of its connection was read before and opens nothing.
    """

    name: ClassVar[str] = "osdp"
    card_formats: ClassVar[frozenset[str]] = frozenset({"wiegand26"})
    Config: ClassVar[type[Config]] = OsdpConfig

    def __init__(self, context: Context, config: Any, reports: Reports) -> None:
        super().__init__(context, config, reports)
        self._settings: OsdpConfig = config
        self._trouble: PortTrouble | None = None
        self._wire: Wire | None = None
        self._relays: Relays | None = None
        self._told: set[tuple[str, str]] = set()
        """What is reported as active: ("fault" or "tamper", reader)."""

    @classmethod
    async def probe(cls, config: Any) -> DeviceInfo:
        """Every reader of the config answers in a secure channel under its key."""
        try:
            async with Wire(
                config, time.monotonic, structlog.get_logger(cls.name), lambda _event: None
            ) as wire:
                await wire.find()
                if not all(state.online for state in wire.readers.values()):
                    _refuse(wire)
                return wire.describe()
        except PortTrouble as trouble:
            _give_up(trouble)

    async def run(self) -> None:
        self._trouble = None
        try:
            await self._serve()
        except PortTrouble as trouble:
            self._trouble = trouble
            _give_up(trouble)

    async def access(self, lock: str, seconds: float, deadline: float, *, passage: str = "") -> None:
        """A relay of a reader, for `seconds`; the reader ends it by itself. Longer than 25.5 s it is renewed."""
        await self._outputs().pulse(lock, seconds, deadline)

    async def set_mode(self, lock: str, mode: DoorMode, deadline: float) -> None:
        """Open is held by renewal, so that a host that dies leaves the door open for 25 s at most."""
        outputs = self._outputs()
        await (outputs.open(lock, deadline) if mode in OPEN else outputs.shut(lock, deadline))

    async def feedback(self, reader: str, feedback: Feedback) -> None:
        wire = self._wire
        state = wire.readers.get(reader) if wire else None
        if wire is None or state is None or not state.online:
            return
        for order in orders(feedback, state.abilities):
            wire.thread.post(reader, order, self.context.clock.monotonic() + SHOWING)

    def repairs(self) -> list[Repair]:
        port = self._settings.port
        if self._trouble is not None:
            kind = self._trouble.kind
            return [Repair(f"osdp:{kind}:{port}", f"osdp.repair.{kind}", self._trouble.values, "error")]
        found = []
        for name, state in (self._wire.readers if self._wire else {}).items():
            plan = self._settings.readers[name]
            values = {
                "reader": name,
                "port": port,
                "address": str(plan.address),
                "count": str(state.intrusions),
                "wanted": str(plan.outputs),
                "found": str(state.abilities.outputs),
            }
            if state.away is not None:
                found.append(
                    Repair(f"osdp:reader:{port}/{name}", f"osdp.repair.reader-{state.away}", values, "error")
                )
            if state.intrusions:
                found.append(Repair(f"osdp:intruder:{port}/{name}", "osdp.repair.intruder", values, "error"))
            if state.online and state.abilities.outputs < plan.outputs:
                found.append(Repair(f"osdp:outputs:{port}/{name}", "osdp.repair.outputs", values, "error"))
        return found

    async def _serve(self) -> None:
        monotonic = self.context.clock.monotonic
        async with Wire(self._settings, monotonic, self.context.log, self._on_event) as wire:
            await wire.find()
            if not wire.somebody:
                _refuse(wire)
            await asyncio.sleep(QUIET + 0.1)  # until then its reads count for nothing: it would not be ready
            wire.check()
            relays = Relays(wire.thread, self._settings.locks(), monotonic)
            self._wire, self._relays = wire, relays
            try:
                self.reports.ready(wire.describe())
                self._switch_off(wire)
                for name, state in wire.readers.items():
                    self._tell(name, state)
                await self._watch(wire)
            finally:
                self._wire, self._relays = None, None
                await relays.close()

    async def _watch(self, wire: Wire) -> None:
        monotonic = self.context.clock.monotonic
        heard = monotonic()
        while True:
            await asyncio.wait({wire.thread.ended}, timeout=0.5)
            wire.check()
            now = monotonic()
            # A reader with another key is there: it is tried again here, and the installer sees why.
            if any(
                state.online or state.away in (Why.KEY, Why.NO_SECURITY) for state in wire.readers.values()
            ):
                heard = now
            elif now - heard > EMPTY:
                raise NotReady(wire.absence())
            for name, state in wire.readers.items():
                self._tell(name, state)

    def _switch_off(self, wire: Wire) -> None:
        """Whatever an earlier panel switched on for good ends here; the core then sets the mode it wants."""
        for reader, number in self._settings.locks().values():
            if wire.readers[reader].online:
                wire.thread.post(reader, Output(number, 0), self.context.clock.monotonic() + SHOWING)

    def _outputs(self) -> Relays:
        if self._relays is None:
            raise NotReady("the wire is not connected")
        return self._relays

    def _on_event(self, event: Event) -> None:
        match event:
            case Card(reader, format, value, at) if self._wire:
                self.reports.card(reader, format, value, received=at)
            case Number(reader, digits, at) if self._wire:
                self.reports.digits(reader, digits, received=at)
            case Card() | Number():
                self.context.log.warning("a read before the wire was ready", reader=event.reader)
            case Unread(reader, why):
                self.context.log.warning("a read that counts for nothing", reader=reader, why=why)
            case Intruded(reader, what):
                self.context.log.error(
                    "something on the wire speaks for a reader", reader=reader, what=str(what)
                )
            case Lost(reader, why):
                self.context.log.warning("a reader is lost", reader=reader, why=str(why))
            case Online() | Tampered():
                pass
        if self._wire:
            self._tell(event.reader, self._wire.readers[event.reader])

    def _tell(self, name: str, state: ReaderState) -> None:
        """Report what has changed about a reader, once."""
        for kind, report, active in (
            ("fault", self.reports.fault, not state.online),
            ("tamper", self.reports.tamper, state.tampered(self.context.clock.monotonic())),
        ):
            if active != ((kind, name) in self._told):
                (self._told.add if active else self._told.discard)((kind, name))
                report(name, active)


def _refuse(wire: Wire) -> NoReturn:
    """Readers are missing at the start, or in a connection test."""
    reasons = {state.away for state in wire.readers.values() if not state.online} - {None, Why.LOST}
    if reasons == {Why.KEY}:
        raise AuthFailed(wire.absence())
    raise NotReady(wire.absence())


def _give_up(trouble: PortTrouble) -> NoReturn:
    """In the supervisor's words: a refusal is not tried again every minute, everything else is."""
    if trouble.kind is PortTroubleKind.NOT_ALLOWED:
        raise AuthFailed(str(trouble)) from trouble
    raise NotReady(str(trouble)) from trouble
