"""The simulated hardware: locks, doors with contacts, readers, inputs. It knows no network and no host.

Leaving is free here as in a real controller: the exit button and the fire input release the lock in hardware,
whatever the lock's mode and whoever is connected.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from menwei_simulator.protocol import (
    CallEvent,
    CardEvent,
    Contact,
    ContactEvent,
    DeviceEvent,
    DigitsEvent,
    ExitEvent,
    FireEvent,
    LockMode,
    LockStatus,
    ReaderEvent,
    ReaderStatus,
    TamperEvent,
)
from menwei_simulator.pulselog import Cause

EXIT_SECONDS: Final = 5.0
"""How long the exit button releases its lock."""
MAX_SECONDS: Final = 300.0
"""The longest momentary release. The board ends it by itself: a host that dies cannot leave a door open."""


Part = TypeVar("Part")


class Impossible(Exception):
    """The scene cannot be played: the part is not there, or the door is locked."""


class Miswired(StrEnum):
    """What an installer can get wrong at a lock."""

    CONTACT = "contact"
    """The contact's wire is on the other terminal: open is told as closed."""
    EXIT_BUTTON = "exit-button"
    """The exit button's wire is loose: pressing it does nothing."""
    CALL_BUTTON = "call-button"
    """The call button's wire is loose."""
    LOCK = "lock"
    """The lock is always without its holding current: it never locks."""


@dataclass(slots=True)
class Lock:
    """One lock with its door."""

    name: str
    mode: LockMode = LockMode.LOCKED
    released_until: float = 0.0
    contact: Contact = Contact.CLOSED
    fire: bool = False
    wiring: frozenset[Miswired] = frozenset()

    @property
    def told(self) -> Contact:
        """What the contact's wire says of the door."""
        turned = {Contact.OPEN: Contact.CLOSED, Contact.CLOSED: Contact.OPEN}
        return turned.get(self.contact, self.contact) if Miswired.CONTACT in self.wiring else self.contact


@dataclass(slots=True)
class Reader:
    """One reader with keypad, light and display. `light` is the kind of feedback shown now, "" for none."""

    name: str
    online: bool = True
    tamper: bool = False
    light: str = ""
    text: str = ""
    shown: int = 0
    """How many times something was shown, so that an old clearing does not wipe a newer text."""


class Board:
    """Locks and readers by name. `emit` is told every event at the moment it happens; `log` every release that the
    board makes by itself."""

    def __init__(
        self,
        locks: tuple[str, ...],
        readers: tuple[str, ...],
        emit: Callable[[DeviceEvent], None],
        log: Callable[[Lock, float, Cause], None],
    ) -> None:
        self.locks = {name: Lock(name) for name in locks}
        self.readers = {name: Reader(name) for name in readers}
        self.tampered = False
        self._emit = emit
        self._log = log
        self._changed = asyncio.Event()
        self._timers: set[asyncio.TimerHandle] = set()

    # --------------------------------------------------------------------------------------- what a command does

    def release(self, lock: Lock, seconds: float) -> None:
        """Release for `seconds`; a release that lasts longer already stays."""
        loop = asyncio.get_running_loop()
        lock.released_until = max(lock.released_until, loop.time() + seconds)
        self._later(seconds + 0.01, self.notify)  # a loop timer may fire a clock tick early
        self.notify()

    def hold(self, lock: Lock, mode: LockMode) -> None:
        """Hold the lock in `mode`. Locking ends a momentary release too."""
        lock.mode = mode
        if mode is LockMode.LOCKED:
            lock.released_until = 0.0
        self.notify()

    def show(self, reader: Reader, kind: str, text: str, seconds: float) -> None:
        """Light and text at a reader, cleared after `seconds`."""
        reader.light, reader.text, reader.shown = kind, text, reader.shown + 1
        self._later(min(seconds, MAX_SECONDS), self._clear, reader, reader.shown)
        self.notify()

    def relock(self) -> None:
        """As after a power cycle: every lock held locked, but where the fire input is on."""
        for lock in self.locks.values():
            self.hold(lock, LockMode.LOCKED)

    def released(self, lock: Lock) -> bool:
        """Whether the door can be opened now."""
        free = lock.fire or lock.mode is LockMode.UNLOCKED or Miswired.LOCK in lock.wiring
        return free or asyncio.get_running_loop().time() < lock.released_until

    def lock_status(self) -> tuple[LockStatus, ...]:
        return tuple(
            LockStatus(lock.name, lock.mode, self.released(lock), lock.told, lock.fire)
            for lock in self.locks.values()
        )

    def reader_status(self) -> tuple[ReaderStatus, ...]:
        return tuple(
            ReaderStatus(reader.name, reader.online, reader.tamper) for reader in self.readers.values()
        )

    # ------------------------------------------------------------------------------------------ what people do

    def lock(self, name: str) -> Lock:
        """The lock of that name, the first one for "". Raises `Impossible`."""
        return _part(self.locks, name, "lock")

    def reader(self, name: str) -> Reader:
        """The reader of that name, the first one for "". Raises `Impossible`."""
        return _part(self.readers, name, "reader")

    def present(self, reader: Reader, format: str, value: str) -> None:
        self._connected(reader)
        self._emit(CardEvent(reader=reader.name, format=format, value=value))

    def type_digits(self, reader: Reader, digits: str) -> None:
        self._connected(reader)
        self._emit(DigitsEvent(reader=reader.name, digits=digits))

    def open(self, lock: Lock) -> None:
        """Pull the door. Raises `Impossible` when it is locked."""
        if not self.released(lock):
            raise Impossible(f"lock {lock.name} is locked")
        self.set_contact(lock, Contact.OPEN)

    def set_contact(self, lock: Lock, contact: Contact) -> None:
        """The door moves, by force if need be, or its contact breaks."""
        if lock.contact is contact:
            return
        lock.contact = contact
        self._emit(ContactEvent(lock=lock.name, state=lock.told))
        self.notify()

    def wire(self, lock: Lock, wrong: frozenset[Miswired]) -> None:
        """Wire the lock's parts anew; `wrong` is what is wrong with them now."""
        before, lock.wiring = lock.told, wrong
        if lock.told is not before:
            self._emit(ContactEvent(lock=lock.name, state=lock.told))
        self.notify()

    def press_call(self, lock: Lock) -> None:
        """Somebody rings at the intercom."""
        if Miswired.CALL_BUTTON not in lock.wiring:
            self._emit(CallEvent(lock=lock.name))

    def press_exit(self, lock: Lock) -> None:
        if Miswired.EXIT_BUTTON in lock.wiring:
            return
        self.release(lock, EXIT_SECONDS)
        self._log(lock, EXIT_SECONDS, Cause.EXIT)
        self._emit(ExitEvent(lock=lock.name))

    def set_fire(self, lock: Lock, active: bool) -> None:
        """The fire input: the lock is released for as long as it is on."""
        if lock.fire == active:
            return
        lock.fire = active
        if active:
            self._log(lock, 0.0, Cause.FIRE)
        self._emit(FireEvent(lock=lock.name, active=active))
        self.notify()

    def set_tamper(self, part: str, active: bool) -> None:
        """The cover of a reader, or of the controller for ""."""
        if part:
            self.reader(part).tamper = active
        else:
            self.tampered = active
        self._emit(TamperEvent(part=part, active=active))
        self.notify()

    def set_online(self, reader: Reader, online: bool) -> None:
        """Pull or plug the reader's cable."""
        if reader.online == online:
            return
        reader.online = online
        self._emit(ReaderEvent(reader=reader.name, online=online))
        self.notify()

    async def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until `condition` holds, at most `seconds`; False when it did not."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def notify(self) -> None:
        """Wake those who wait in `until`: something their condition may depend on has changed."""
        self._changed.set()
        self._changed = asyncio.Event()

    def close(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def _connected(self, reader: Reader) -> None:
        if not reader.online:
            raise Impossible(f"reader {reader.name} is unplugged")

    def _clear(self, reader: Reader, shown: int) -> None:
        if reader.shown == shown:
            reader.light = reader.text = ""
            self.notify()

    def _later(self, seconds: float, call: Callable[..., None], *args: object) -> None:
        def due() -> None:
            self._timers.discard(timer)
            call(*args)

        timer = asyncio.get_running_loop().call_later(seconds, due)
        self._timers.add(timer)


def _part(parts: dict[str, Part], name: str, kind: str) -> Part:
    if not name and parts:
        return next(iter(parts.values()))
    if name not in parts:
        raise Impossible(f"no {kind} {name!r}; there are: {', '.join(parts) or 'none'}")
    return parts[name]
