"""The driver of the simulated door controller (`docs/simulator-protocol.md`). The host decides; the device obeys."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable
from typing import ClassVar, Final

from pydantic import Field, SecretStr

from menwei import (
    Config,
    Context,
    DeviceInfo,
    DoorMode,
    DoorState,
    Driver,
    Feedback,
    NotReady,
    Part,
    Repair,
    Reports,
)
from menwei.model import OPEN_MODES
from menwei_simulator.protocol import (
    AccessCommand,
    CallEvent,
    CardEvent,
    Contact,
    ContactEvent,
    DeviceEvent,
    DigitsEvent,
    ExitEvent,
    FeedbackCommand,
    FireEvent,
    LockMode,
    ModeCommand,
    ReaderEvent,
    Role,
    TamperEvent,
    Welcome,
)
from menwei_simulator.session import Session

DOOR_STATES: Final = {
    Contact.OPEN: DoorState.OPEN,
    Contact.CLOSED: DoorState.CLOSED,
    Contact.FAULT: DoorState.FAULT,
    None: DoorState.UNKNOWN,
}


class SimulatorConfig(Config):
    """Where the controller is, and what it must know. Times are in seconds."""

    host: str = Field(min_length=1, max_length=253, description="Address or name of the controller.")
    port: int = Field(ge=1, le=65535, description="Its TCP port.")
    secret: SecretStr = Field(
        default=SecretStr(""), description="The secret set in the controller; empty without one."
    )
    connect_timeout: float = Field(default=3.0, gt=0, le=30, description="Seconds to connect and say hello.")
    silence: float = Field(
        default=3.0,
        gt=0,
        le=60,
        description="Seconds without a sign of life after which the controller is lost; at least three heartbeats.",
    )


class SimulatorDriver(Driver):
    """One simulated controller. `run` raises `NotReady` when it is lost and `AuthFailed` when either side does not
    know the secret; commands raise `NotReady` while it is not connected."""

    name: ClassVar[str] = "simulator"
    Config: ClassVar[type[Config]] = SimulatorConfig
    inputs: ClassVar[frozenset[Part]] = frozenset(Part)

    def __init__(self, context: Context, config: SimulatorConfig, reports: Reports) -> None:
        super().__init__(context, config, reports)
        self._settings = config
        self._session: Session | None = None
        self._lost_readers: set[str] = set()

    @classmethod
    async def probe(cls, config: SimulatorConfig) -> DeviceInfo:
        """Works beside a host that serves the controller."""
        session = await _connect(config, Role.PROBE, time.monotonic)
        session.close()
        return session.info

    async def run(self) -> None:
        session = await _connect(self._settings, Role.SERVE, self.context.clock.monotonic)
        self._session = session
        try:
            self.reports.ready(session.info)
            self._tell_status(session.welcome)
            await session.serve(self._settings.silence, self._tell)
        finally:
            self._session = None
            session.close()

    async def access(self, lock: str, seconds: float, deadline: float, *, passage: str = "") -> None:
        await self._connected().command(
            lambda id, sent, expires_in: AccessCommand(id, lock, seconds, sent, expires_in, passage), deadline
        )

    async def set_mode(self, lock: str, mode: DoorMode, deadline: float) -> None:
        held = LockMode.UNLOCKED if mode in OPEN_MODES else LockMode.LOCKED
        await self._connected().command(
            lambda id, sent, expires_in: ModeCommand(id, lock, held, sent, expires_in), deadline
        )

    async def feedback(self, reader: str, feedback: Feedback) -> None:
        self._connected().post(
            lambda id: FeedbackCommand(id, reader, feedback.kind.value, feedback.text, feedback.seconds)
        )

    def repairs(self) -> list[Repair]:
        device = self._session.info.id if self._session is not None else self._settings.host
        found = [
            Repair(
                f"simulator.reader-lost:{device}/{reader}",
                "simulator.repair.reader_lost",
                {"device": device, "reader": reader},
                "error",
            )
            for reader in sorted(self._lost_readers)
        ]
        if not self._settings.secret.get_secret_value() and not _loopback(self._settings.host):
            found.append(
                Repair(f"simulator.no-secret:{device}", "simulator.repair.no_secret", {"device": device})
            )
        return found

    def _connected(self) -> Session:
        if self._session is None:
            raise NotReady("the controller is not connected")
        return self._session

    def _tell_status(self, status: Welcome) -> None:
        """How everything is as we connect, rest included: what ended while nobody listened must end here too."""
        for lock in status.locks:
            self.reports.door_state(lock.lock, DOOR_STATES[lock.contact])
            self.reports.fire(lock.lock, lock.fire)
        self.reports.tamper("", status.tamper)
        for reader in status.readers:
            self.reports.tamper(reader.reader, reader.tamper)
            self._tell_reader(reader.reader, reader.online)

    def _tell(self, event: DeviceEvent, happened: float) -> None:
        match event:
            case CardEvent():
                self.reports.card(event.reader, event.format, event.value, received=happened)
            case DigitsEvent():
                self.reports.digits(event.reader, event.digits, received=happened)
            case ContactEvent():
                self.reports.door_state(event.lock, DOOR_STATES[event.state])
            case ExitEvent():
                self.reports.exit_button(event.lock)
            case CallEvent():
                self.reports.call_button(event.lock)
            case TamperEvent():
                self.reports.tamper(event.part, event.active)
            case FireEvent():
                self.reports.fire(event.lock, event.active)
            case ReaderEvent():
                self._tell_reader(event.reader, event.online)

    def _tell_reader(self, reader: str, online: bool) -> None:
        self.reports.fault(reader, not online)
        if online == (reader not in self._lost_readers):
            return
        if online:
            self._lost_readers.discard(reader)
            self.context.log.info("reader is back", reader=reader)
        else:
            self._lost_readers.add(reader)
            self.context.log.error("reader lost", reader=reader)


async def _connect(config: SimulatorConfig, role: Role, now: Callable[[], float]) -> Session:
    secret = config.secret.get_secret_value()
    return await Session.connect(config.host, config.port, secret, role, config.connect_timeout, now)


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
