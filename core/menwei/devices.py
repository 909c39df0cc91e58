"""Between the drivers and the line: what drivers report becomes requests and door events, commands find their driver.

The core stamps every read with its identifier type and access point here, so that a driver can only say what its class
declares and only for its own readers.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import structlog

from menwei.boardfacts import BoardDecision
from menwei.cardformats import CardFormatError, normalise
from menwei.context import Clock, NotReady
from menwei.decide import PIN_FORMAT
from menwei.doors import COMMAND_TIME, DoorRuntime
from menwei.journal import Entry, Journal
from menwei.model import (
    AccessPoint,
    CredentialIdentifier,
    DeviceInfo,
    Document,
    DoorMode,
    DoorState,
    Feedback,
    IdentifierType,
    Request,
)
from menwei.patience import Patience
from menwei.plugin import Driver
from menwei.supervisor import DeviceState, Supervisor
from menwei.waiting import Waits

if TYPE_CHECKING:
    from menwei.config import Site

log = structlog.get_logger(__name__)

DIGITS = 16
"""The longest number that is taken from a keypad; PINs and visitor codes are shorter."""
DOCUMENT_NAME = 70
"""The longest name that an identity document has room for."""
KEPT_FEEDBACK = 256
"""Feedback in the site's words: a few dozen, but policies may bring sentences of their own."""
DOCUMENT_NUMBER = re.compile("[0-9A-Z]{9,18}")


class Devices:
    """All devices of the site. Implements the doors' `Actuator` and hands each driver its `Reports`."""

    def __init__(
        self, site: Site, supervisor: Supervisor, journal: Journal, clock: Clock, words: Callable[[str], str]
    ) -> None:
        self.site = site
        self._supervisor = supervisor
        self._journal = journal
        self._clock = clock
        self._words = words
        self._captures: Waits[CredentialIdentifier] = Waits()
        self._documents: Waits[Document] = Waits()
        self._tasks: set[asyncio.Task[None]] = set()
        self._lights = Patience(COMMAND_TIME)
        self._shown: dict[Feedback, Feedback] = {}
        self._unassigned: set[tuple[str, str]] = set()
        self._inputs: dict[str, set[tuple[str, str]]] = {}
        self.doors: Mapping[str, DoorRuntime] = {}
        self.submit: Callable[[Request], None] = lambda _request: None
        self.on_fire: Callable[[str], None] = lambda _door: None
        self.merge: Callable[[str, BoardDecision], Awaitable[None]] = _nowhere
        supervisor.on_change(self._changed)

    # ------------------------------------------------------------------------------------------- towards the hardware

    async def access(self, device: str, lock: str, seconds: float, deadline: float, passage: str) -> None:
        await self._driver(device).access(lock, seconds, deadline, passage=passage)

    async def set_mode(self, device: str, lock: str, mode: DoorMode, deadline: float) -> None:
        await self._driver(device).set_mode(lock, mode, deadline)

    def show(self, point: AccessPoint, feedback: Feedback) -> None:
        """Show `feedback` (its text a message key) at the readers of an access point, in the site's language."""
        shown = self._shown.get(feedback)
        if shown is None:
            if len(self._shown) >= KEPT_FEEDBACK:
                self._shown.clear()
            shown = self._shown[feedback] = Feedback(
                feedback.kind, self._words(feedback.text), feedback.seconds, feedback.text
            )
        for device, reader in point.readers:
            if driver := self._supervisor.driver(device):
                self._show(driver, device, reader, shown)

    def _show(self, driver: Driver, device: str, reader: str, feedback: Feedback) -> None:
        def failed(
            error: Exception,
        ) -> None:  # a reader that cannot blink is told to the installer and stops nobody
            log.warning(
                "no feedback at the reader",
                device=device,
                reader=reader,
                error=f"{type(error).__name__}: {error}",
            )

        self._lights.beside(lambda: driver.feedback(reader, feedback), failed)

    def _driver(self, device: str) -> Driver:
        driver = self._supervisor.driver(device)
        if driver is None:
            raise NotReady(
                f"{device} is {self._supervisor.state(device)}: {self._supervisor.text(device)}".rstrip(": ")
            )
        return driver

    # ---------------------------------------------------------------------------------------------------- enrolment

    async def capture(self, device: str, reader: str, seconds: float) -> CredentialIdentifier:
        """The next card at this reader, for enrolment, instead of a decision. Raises `TimeoutError`; `ReaderBusy`
        when somebody already waits there; `NotReady` when the reader is away."""
        self._driver(device)
        return await self._captures.next((device, reader), seconds)

    async def capture_document(self, device: str, reader: str, seconds: float) -> Document:
        """The next identity document at this enrolment reader; nothing is read there before this call and after it.
        Raises `TimeoutError`; `ReaderBusy` when somebody already waits there; `NotReady` when the reader is away.

        The number in it goes no further than a keyed hash and its last four characters.
        """
        self._driver(device)
        return await self._documents.next((device, reader), seconds)

    def document(self, device: str, reader: str, document: Document) -> None:
        """An identity document was read: for the desk that waits, otherwise it is forgotten."""
        self._documents.give((device, reader), document)

    def document_wanted(self, device: str, reader: str) -> bool:
        return self._documents.wanted((device, reader))

    # ---------------------------------------------------------------------------------------- what the hardware says

    def reports(
        self, device: str, identifiers: frozenset[IdentifierType], announce: Callable[[DeviceInfo], None]
    ) -> DeviceReports:
        """The `Reports` that the driver of `device` is given."""
        return DeviceReports(self, device, identifiers, announce)

    def read(
        self, device: str, reader: str, identifier: CredentialIdentifier, received: float | None
    ) -> None:
        """One identifier was presented at one reader."""
        now = self._clock.monotonic()
        received = now if received is None else min(received, now)
        if not math.isfinite(received):
            log.error("a read without a time", device=device, reader=reader)
            return
        if self._captures.give((device, reader), identifier):
            return
        point = self.site.readers.get((device, reader))
        if point is None:
            if (device, reader) not in self._unassigned:
                self._unassigned.add((device, reader))
                log.warning(
                    "a read at a reader that belongs to no access point", device=device, reader=reader
                )
            return
        if self.site.access_points[point].decides == "controller":
            log.error("a read at a reader where the controller decides", device=device, reader=reader)
            return
        self.submit(Request(point, (identifier,), self._clock.now() - (now - received), received))

    async def decided(self, device: str, decision: BoardDecision) -> None:
        """A board decided by itself. A desk that waits there for a card is given it too."""
        if decision.live and self._captures.wanted((device, decision.reader)):
            try:
                self._captures.give((device, decision.reader), normalise(decision.format, decision.value))
            except CardFormatError as error:
                log.warning("unreadable card", device=device, reader=decision.reader, error=error.key)
        await self.merge(device, decision)

    def door(self, device: str, lock: str) -> DoorRuntime | None:
        door = self.site.locks.get((device, lock))
        return self.doors.get(door) if door else None

    def input(self, kind: str, device: str, part: str, active: bool) -> None:
        """A tamper or fault input; what is repeated is recorded once."""
        if self._new(kind, device, part, active):
            self.post(kind, self._door_of(device, part), {"device": device, "part": part, "active": active})

    def _new(self, kind: str, device: str, part: str, active: bool) -> bool:
        inputs = self._inputs.setdefault(device, set())
        known = (kind, part) in inputs
        (inputs.add if active else inputs.discard)((kind, part))
        return active != known

    def _door_of(self, device: str, part: str) -> str:
        """The door that a reader or lock of a device belongs to, "" when none or several may be meant."""
        point = self.site.access_points.get(self.site.readers.get((device, part), ""))
        return point.door if point else self.site.locks.get((device, part), "")

    def fire(self, device: str, lock: str, active: bool) -> None:
        if not self._new("Fire", device, lock, active):
            return
        door = self.door(device, lock)
        if door is None:
            log.warning("a fire input that belongs to no door", device=device, lock=lock)
            return
        door.fire(active)
        if active:
            self.on_fire(door.facts.id)

    def post(self, kind: str, door: str, data: dict[str, Any]) -> None:
        self._journal.post(Entry(kind, self._clock.now(), door, data=data))

    def _changed(self, device: str, state: DeviceState, text: str) -> None:
        mine = [door for door in self.doors.values() if door.facts.device == device]
        for door in mine:
            if state is DeviceState.READY:
                door.came_online()
                self._start(door.tell_mode())
            elif door.online:
                door.went_offline()
        if state in {DeviceState.READY, DeviceState.RETRYING, DeviceState.FAILED}:
            self.post("DeviceState", "", {"device": device, "state": state, "text": text[:200]})

    def _start(self, work: Any) -> None:
        self._keep(asyncio.get_running_loop().create_task(work))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        self._lights.close()
        for task in self._tasks:
            task.cancel()


class DeviceReports:
    """The `Reports` of one device; see `menwei.reports.Reports` for what each call means."""

    def __init__(
        self,
        devices: Devices,
        device: str,
        identifiers: frozenset[IdentifierType],
        announce: Callable[[DeviceInfo], None],
    ) -> None:
        self._devices = devices
        self._device = device
        self._identifiers = identifiers
        self._announce = announce

    def ready(self, info: DeviceInfo) -> None:
        self._announce(info)

    def card(self, reader: str, format: str, value: str, *, received: float | None = None) -> None:
        if IdentifierType.CARD not in self._identifiers:
            log.error("the driver reported a card it did not declare", device=self._device)
            return
        try:
            identifier = normalise(format, value)
        except CardFormatError as error:  # the number itself stays out of the log
            log.warning(
                "unreadable card", device=self._device, reader=reader, format=format[:32], error=error.key
            )
            return
        self._devices.read(self._device, reader, identifier, received)

    def digits(self, reader: str, digits: str, *, received: float | None = None) -> None:
        if IdentifierType.PIN not in self._identifiers:
            log.error("the driver reported a number it did not declare", device=self._device)
            return
        if not (digits.isascii() and digits.isdigit() and len(digits) <= DIGITS):
            log.warning(
                "what was typed is not a number", device=self._device, reader=reader, length=len(digits)
            )
            return
        self._devices.read(
            self._device, reader, CredentialIdentifier(IdentifierType.PIN, PIN_FORMAT, digits), received
        )

    def document(self, reader: str, document: Document) -> None:
        if not (0 < len(document.name) <= DOCUMENT_NAME and DOCUMENT_NUMBER.fullmatch(document.number)):
            log.warning(
                "unreadable document", device=self._device, reader=reader, kind=str(document.kind)[:32]
            )
            return
        self._devices.document(self._device, reader, document)

    def document_wanted(self, reader: str) -> bool:
        return self._devices.document_wanted(self._device, reader)

    def door_state(self, lock: str, state: DoorState) -> None:
        if door := self._devices.door(self._device, lock):
            door.contact(state)

    def exit_button(self, lock: str) -> None:
        if door := self._devices.door(self._device, lock):
            door.exit_button()

    def call_button(self, lock: str) -> None:
        if door := self._devices.door(self._device, lock):
            door.call_button()

    def tamper(self, part: str, active: bool) -> None:
        self._devices.input("Tamper", self._device, part, active)

    def fault(self, part: str, active: bool) -> None:
        self._devices.input("Fault", self._device, part, active)

    def fire(self, lock: str, active: bool) -> None:
        self._devices.fire(self._device, lock, active)

    async def decided(self, decision: BoardDecision) -> None:
        if IdentifierType.CARD not in self._identifiers:
            log.error("the driver reported a card it did not declare", device=self._device)
            return
        await self._devices.decided(self._device, decision)


async def _nowhere(device: str, decision: BoardDecision) -> None:
    raise NotReady("nothing keeps what boards decide")
