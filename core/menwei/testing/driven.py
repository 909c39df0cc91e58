"""A driver at work as in the program: under the real supervisor, with one record of what all its lives reported."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from zoneinfo import ZoneInfo

import structlog

from menwei.clock import TrustedClock
from menwei.context import AuthFailed, Context, NotReady
from menwei.memory import Memories
from menwei.model import AccessPoint, DeviceInfo, Door, DoorState
from menwei.permissions import DoorView
from menwei.plugin import Driver
from menwei.supervisor import DeviceState, Ready, Supervised, Supervisor, Times
from menwei.testing import RecordedReports
from menwei.testing.peer import Peer

IMPATIENT = Times(
    first_retry=0.05, longest_retry=0.2, fault_retry=0.2, auth_retry=0.2, auth_wake=0.05, wake=0.05
)
"""The supervisor of tests: a device that is back is found at once."""

BOUND = 30.0
"""Seconds until a test gives up waiting for something that should happen; the machine may be busy."""


class Driven:
    """`async with Driven(SomeDriver, peer, folder) as driven:` runs until the end of the block.

    `alone` are the readers at which the device decides by itself.

    A second one on the same folder is the program started again: the driver's memory is kept there.
    """

    def __init__(
        self,
        cls: type[Driver],
        peer: Peer,
        folder: Path,
        *,
        config: object = None,
        bound: float = BOUND,
        alone: frozenset[str] = frozenset(),
    ) -> None:
        self.heard = RecordedReports()
        self.reads: list[tuple[tuple[str, str, str], float]] = []
        """Every card, with the moment that the driver told for it."""
        self.endings: list[BaseException] = []
        """How the driver's lives ended, apart from its shutdown."""
        self._cls = _watched(cls, self.endings)
        self._peer = peer
        self._config = config
        self._alone = alone
        self._bound = bound
        self._clock = TrustedClock()
        self._memory = Memories(folder / "memory").of("device")
        self._supervisor = Supervisor({"device": Supervised(self._make)}, IMPATIENT)

    async def __aenter__(self) -> Driven:
        await self._supervisor.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._supervisor.stop()

    @property
    def state(self) -> DeviceState:
        return self._supervisor.state("device")

    @property
    def text(self) -> str:
        return self._supervisor.text("device")

    @property
    def driver(self) -> Driver:
        """The one that is ready now. Asserts that there is one."""
        found = self._supervisor.driver("device")
        assert found is not None, f"the device is {self.state}: {self.text}"
        return found

    async def ready(self, seconds: float | None = None) -> DeviceInfo:
        """Wait until the device is ready; what it said of itself."""
        await self.until(
            lambda: self.state is DeviceState.READY, seconds or self._peer.connects + self._bound
        )
        info = self._supervisor.info("device")
        assert info is not None
        return info

    async def lost(self) -> str:
        """Wait until the device is not ready any more; why."""
        await self.until(lambda: self.state is not DeviceState.READY, self._peer.notices + self._bound)
        return self.text

    async def settled(self, *states: DeviceState) -> None:
        """Wait until the device is in one of these states."""
        await self.until(lambda: self.state in states, self._peer.connects + self._bound)

    async def until(self, seen: Callable[[], bool], seconds: float | None = None) -> None:
        """Wait until `seen()`; fails with what was reported so far."""
        seconds = self._bound if seconds is None else seconds
        end = time.monotonic() + seconds
        while not seen():
            assert time.monotonic() < end, (
                f"not within {seconds:g} s; {self.state}: {self.text}; {self.heard!r}"
            )
            await asyncio.sleep(0.02)

    async def read(self, number: int) -> None:
        """Wait until the `number`-th card was reported."""
        await self.until(lambda: self.times(number) > 0)

    def times(self, number: int) -> int:
        """How often the `number`-th card was reported."""
        return self.heard.cards.count((self._peer.reader, *self._peer.card(number)))

    def received(self, number: int) -> list[float]:
        """The moments that were told for it."""
        wanted = (self._peer.reader, *self._peer.card(number))
        return [received for read, received in self.reads if read == wanted]

    def door(self) -> DoorState:
        """What was reported last about the peer's lock."""
        states = [state for lock, state in self.heard.states if lock == self._peer.lock]
        return states[-1] if states else DoorState.UNKNOWN

    def faults(self) -> list[BaseException]:
        """Faults of the driver itself: ends of `run` that are neither `NotReady` nor `AuthFailed`."""
        return [error for error in self.endings if not isinstance(error, NotReady | AuthFailed)]

    def _make(self, ready: Ready) -> Driver:
        log = structlog.get_logger(self._cls.name)
        context = Context(
            self._cls.name, log, self._clock, memory=self._memory, alone=self._alone, view=_Place()
        )
        return self._cls(context, self._config or self._peer.config, _Reports(self, ready))


def _watched(cls: type[Driver], endings: list[BaseException]) -> type[Driver]:
    """The driver, with every end of `run` noted."""

    class Watched(cls):  # type: ignore[misc, valid-type]
        async def run(self) -> None:
            try:
                await super().run()
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or not task.cancelling():
                    endings.append(RuntimeError("the driver raised CancelledError by itself"))
                raise
            except BaseException as error:
                endings.append(error)
                raise
            endings.append(NotReady("run() returned"))

    return Watched


class _Place:
    """The site that a driver is told of: its zone is this machine's, by which the device's clock is kept."""

    id = name = "test"
    language = "en"
    access_points: Mapping[str, AccessPoint] = MappingProxyType({})
    doors: Mapping[str, Door] = MappingProxyType({})

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo("UTC")

    def door(self, door: str) -> DoorView:
        raise KeyError(door)


class _Reports(RecordedReports):
    """Records into the common record, and tells the supervisor when the device is ready."""

    def __init__(self, driven: Driven, ready: Ready) -> None:
        into = driven.heard  # the same lists, whatever there will be of them
        super().__init__(**{each.name: getattr(into, each.name) for each in fields(RecordedReports)})
        self._driven = driven
        self._ready = ready

    def ready(self, info: DeviceInfo) -> None:
        super().ready(info)
        self._ready(info)

    def card(self, reader: str, format: str, value: str, *, received: float | None = None) -> None:
        now = time.monotonic()
        self._driven.reads.append(((reader, format, value), now if received is None else received))
        super().card(reader, format, value, received=received)


__all__ = ["BOUND", "IMPATIENT", "Driven"]
