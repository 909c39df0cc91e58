"""One wire while it is connected: its thread, and what is known of its readers. Used by the driver and by its probe."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from menwei import DeviceInfo, NotReady
from menwei_osdp.bus import BusThread
from menwei_osdp.config import OsdpConfig
from menwei_osdp.events import Event, Intruded, Lost, Online, Tampered
from menwei_osdp.panel import Identity
from menwei_osdp.signals import Abilities
from menwei_osdp.trouble import PortTrouble, PortTroubleKind, Why

STARTING = 8.0
"""Seconds until a wire is ready with the readers it has: a secure channel stands in one, the library asks an absent
reader for nine."""
SETTLED = 1.0
"""Seconds given to readers that were refused at the start: one garbled answer must not look like a wrong key."""
SILENCE = 10.0
"""Seconds after which a port that hangs is given up."""
ENDING = 2.0
"""Seconds the thread is given to end."""
SUSPICION = 60.0
"""Seconds for which an intruder on the wire is told as tampering after the last sign of one."""


@dataclass(slots=True)
class ReaderState:
    """What is known of one reader. `away` is None while it is online or nothing is known yet."""

    identity: Identity | None = None
    abilities: Abilities = field(default_factory=Abilities)
    online: bool = False
    away: Why | None = None
    case_open: bool = False
    intruded_at: float = float("-inf")
    intrusions: int = 0

    def tampered(self, now: float) -> bool:
        return self.case_open or now - self.intruded_at < SUSPICION


class Wire:
    """An async context manager: begins the thread, and ends it. `on_event` is called in the loop, after `readers` was
    brought up to date."""

    def __init__(
        self,
        settings: OsdpConfig,
        monotonic: Callable[[], float],
        log: Any,
        on_event: Callable[[Event], None],
    ) -> None:
        self.settings = settings
        self.readers = {name: ReaderState() for name in settings.readers}
        self.thread: BusThread
        self._monotonic = monotonic
        self._log = log
        self._on_event = on_event
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        settings = self.settings
        if BusThread.left_behind(settings.port):
            raise _hanging(settings.port, "an earlier thread still hangs in it")
        self.thread = BusThread(
            settings.port,
            settings.baud,
            settings.plans(),
            settings.keypad_timeout,
            self._monotonic,
            self._heard,
        )
        self.thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not await self.thread.stop(ENDING):
            self._log.warning("the port keeps a thread waiting; it is left behind", port=self.settings.port)

    @property
    def somebody(self) -> bool:
        return any(state.online for state in self.readers.values())

    async def find(self) -> None:
        """Wait until every reader is online or known to be away, at most `STARTING`. Raises `PortTrouble`."""
        end = self._monotonic() + STARTING
        while (left := end - self._monotonic()) > 0:
            if all(state.online for state in self.readers.values()):
                return
            if all(state.online or state.away for state in self.readers.values()):
                left = min(left, SETTLED)
            if not await self._something(left) and left <= SETTLED:
                break
        self.check()

    def check(self) -> None:
        """Raises `PortTrouble` when the thread has ended or hangs."""
        if self.thread.ended.done():
            self.thread.ended.result()
            raise NotReady("the wire's thread has ended")
        if (silence := self.thread.silent_for()) > min(SILENCE, STARTING / 2):
            raise _hanging(self.settings.port, f"no step for {silence:.0f} s")

    def absence(self) -> str:
        """Which readers are away, and why; for the installer."""
        return "; ".join(
            f"reader {name} (address {self.settings.readers[name].address}) {WORDS[state.away]}"
            for name, state in self.readers.items()
            if not state.online
        )

    def describe(self) -> DeviceInfo:
        known = {name: state.identity.text for name, state in self.readers.items() if state.identity}
        return DeviceInfo(
            id=f"osdp:{self.settings.port}",
            model="OSDP",
            locks=tuple(self.settings.locks()),
            readers=tuple(self.settings.readers),
            details={"port": self.settings.port, **known},
        )

    async def _something(self, seconds: float) -> bool:
        """Wait for the next event. False when the time is up; raises what ended the thread."""
        self._changed.clear()
        changed = asyncio.ensure_future(self._changed.wait())
        either: set[asyncio.Future[Any]] = {changed, self.thread.ended}
        try:
            await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if self.thread.ended.done():
                self.check()
            return changed.done()
        finally:
            changed.cancel()

    def _heard(self, event: Event) -> None:
        state = self.readers[event.reader]
        match event:
            case Online(_, identity, abilities):
                state.identity, state.abilities, state.online, state.away = identity, abilities, True, None
            case Lost(_, why):
                state.online, state.away = False, why
            case Tampered(_, active):
                state.case_open = active
            case Intruded():
                state.intrusions += 1
                state.intruded_at = self._monotonic()
        self._changed.set()
        self._on_event(event)


WORDS = {
    None: "has not answered",
    Why.LOST: "does not answer",
    Why.KEY: "has another key",
    Why.NO_SECURITY: "can do no secure channel",
    Why.CLEAR_TEXT: "was spoken for in clear text",
    Why.SESSION: "ended its session",
}


def _hanging(port: str, what: str) -> PortTrouble:
    text = f"the port {port} hangs ({what}): unplug the adapter and plug it in again"
    return PortTrouble(PortTroubleKind.SILENT, text, port=port, detail=what)
