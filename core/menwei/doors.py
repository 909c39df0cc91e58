"""What happens at a door after the decision: released, gone through or not, forced, held open; and its modes.

A `DoorRuntime` joins what the door was told (`DoorMode`), what its contact says (`DoorState`) and what is wrong
(`DoorAlarm`), and writes each change to the journal. It never decides who may pass. Leaving is free: exit buttons and
fire release act in hardware; here they only make an opening rightful.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from menwei.context import Clock, NotReady
from menwei.journal import Entry, Journal, Position
from menwei.model import (
    OPEN_MODES,
    SHUT_MODES,
    Actor,
    Door,
    DoorAlarm,
    DoorMode,
    DoorState,
    Feedback,
    FeedbackKind,
    Verdict,
)
from menwei.patience import Patience
from menwei.permissions import DoorView
from menwei.plugin import Passage

log = structlog.get_logger(__name__)

COMMAND_TIME = 2.0
"""Seconds a driver has for a command; after that the device must not act on it any more."""
CONTACT_GRACE = 1.0
"""Seconds after relocking in which an opening still belongs to the release: contacts and locks are not that exact."""

COMMANDS: dict[str, frozenset[DoorMode]] = {
    "committee": frozenset(DoorMode) - {DoorMode.UNKNOWN},
    "operator": frozenset(DoorMode) - {DoorMode.UNKNOWN},
    "guard": frozenset(DoorMode) - {DoorMode.UNKNOWN, DoorMode.DOUBLE_LOCKED},
    "installer": frozenset({DoorMode.ACCESSED, DoorMode.LOCKED}),
    "plugin": frozenset({DoorMode.ACCESSED, DoorMode.LOCKED, DoorMode.UNLOCKED}),
    "fire": frozenset({DoorMode.LOCKED_OPEN}),
}
"""Which role may bring a door into which mode. Roles that are not here act on no door."""


class Actuator(Protocol):
    """The way to the hardware (`devices.py`); raises `NotReady` while the device is not there."""

    async def access(self, device: str, lock: str, seconds: float, deadline: float, passage: str) -> None: ...
    async def set_mode(self, device: str, lock: str, mode: DoorMode, deadline: float) -> None: ...


@dataclass(slots=True)
class _Released:
    """An opening that is rightful for now, and what to write when it happens or does not."""

    position: Position | None
    passage: Passage | None
    extended: bool
    access_point: str = ""


def refusal_to(current: DoorMode, mode: DoorMode, actor: Actor, reason: str) -> str | None:
    """Why this actor may not bring a door from `current` to `mode` (a message key), or None.

    LockedDown and LockedOpen are left only by Locked (ONVIF LockDownRelease, LockOpenRelease), except that fire
    release and the committee may go straight from one to the other.
    """
    if mode not in COMMANDS.get(actor.role, frozenset()):
        return "command.not_your_role"
    if actor.kind != "input" and not reason.strip():
        return "command.reason_needed"
    if current in {DoorMode.LOCKED_DOWN, DoorMode.LOCKED_OPEN} and mode not in {current, DoorMode.LOCKED}:
        opposite = {DoorMode.LOCKED_DOWN, DoorMode.LOCKED_OPEN} - {current}
        if mode not in opposite or actor.role not in {"fire", "committee"}:
            return "command.release_first"
    if current in SHUT_MODES and mode is DoorMode.ACCESSED:
        return "command.release_first"
    return None


class DoorRuntime:
    """One door while the program runs. `lock` makes requests and commands at its sides take turns."""

    def __init__(
        self,
        facts: Door,
        actuator: Actuator,
        journal: Journal,
        clock: Clock,
        taken: Callable[[Passage], None],
        show: Callable[[str, Feedback], None],
    ) -> None:
        self.facts = facts
        self.lock = asyncio.Lock()
        self.state = DoorState.UNKNOWN
        self.alarm = DoorAlarm.NORMAL
        self.online = False
        self._actuator = actuator
        self._journal = journal
        self._clock = clock
        self._taken = taken
        self._show = show
        self._held = DoorMode.LOCKED
        self._outstanding: list[_Released] = []
        self._patience = Patience(COMMAND_TIME)
        self._due: dict[str, tuple[float, Callable[[], None]]] = {}
        self._timer: asyncio.TimerHandle | None = None

    # ---------------------------------------------------------------------------------------------------- what it is

    @property
    def mode(self) -> DoorMode:
        """The mode as commanded: what decisions go by, also while the device is away."""
        return DoorMode.ACCESSED if self._held is DoorMode.LOCKED and "relock" in self._due else self._held

    def view(self) -> DoorView:
        mode, state = (self.mode, self.state) if self.online else (DoorMode.UNKNOWN, DoorState.UNKNOWN)
        return DoorView(
            self.facts.id, self.facts.name, mode, state, self.alarm, self.facts.device, self.online
        )

    def restore(self, mode: DoorMode) -> None:
        """At start: the mode that the journal says the door was left in."""
        self._held = mode

    # ------------------------------------------------------------------------------------------------------ commands

    async def grant(self, verdict: Verdict, position: Position | None, passage: Passage) -> bool:
        """Step 6 of the line: release the lock for the person `verdict` names. False: the device did not answer."""
        if verdict.duress:
            self._post(
                "Duress",
                {"passage": str(position or "")},
                passage.access_point,
                {"holder": passage.credential.holder},
            )
        return await self._release(
            _Released(position, passage, passage.credential.extended, passage.access_point)
        )

    async def command(self, mode: DoorMode, position: Position | None) -> bool:
        """Carry out a command that was allowed and recorded. False: the device did not answer.

        A mode that shuts is kept and applied when the device is back; one that opens is not: nothing late opens a door.
        """
        if mode is DoorMode.ACCESSED:
            return await self._release(_Released(position, None, False))
        reached = await self._reach(
            lambda deadline: self._actuator.set_mode(self.facts.device, self.facts.lock, mode, deadline)
        )
        if (reached or mode not in OPEN_MODES) and mode is not self._held:
            was, self._held = self._held, mode
            if mode in SHUT_MODES:
                self._not_taken()
            self._post("DoorMode", {"mode": mode, "was": was})
            if mode in OPEN_MODES:
                self._cancel("pre-alarm", "too-long")
                self._raise(DoorAlarm.NORMAL)
        return reached

    def came_online(self) -> None:
        """The device is ready. Called by `devices.py`, which then awaits `tell_mode`."""
        self.online = True

    async def tell_mode(self) -> None:
        """Tell the device, which is back, what the door must be. One that has left again is told when it returns."""
        async with self.lock:
            if not self.online:
                return
            mode = self._held
            await self._reach(
                lambda deadline: self._actuator.set_mode(self.facts.device, self.facts.lock, mode, deadline),
                left_again=True,
            )

    def went_offline(self) -> None:
        self.online = False
        self.state = DoorState.UNKNOWN
        self._cancel("pre-alarm", "too-long")

    async def _release(self, released: _Released) -> bool:
        if self._held in OPEN_MODES:
            return True  # nothing to release: the way is open
        seconds = self.facts.extended_release_time if released.extended else self.facts.release_time
        self._outstanding.append(
            released
        )  # before the command: the contact may be faster than the acknowledgement
        self._after("relock", seconds + CONTACT_GRACE, self._not_taken)
        if self.state is DoorState.OPEN:
            self._taken_by_all()  # the door stands open: nobody has to open it first
        passage = str(released.position or "")
        return await self._reach(
            lambda deadline: self._actuator.access(
                self.facts.device, self.facts.lock, seconds, deadline, passage
            ),
            passage,
        )

    async def _reach(
        self, command: Callable[[float], Awaitable[None]], passage: str = "", left_again: bool = False
    ) -> bool:
        deadline = self._clock.monotonic() + COMMAND_TIME
        try:
            await self._patience.within(lambda: command(deadline))
        except (
            Exception
        ) as error:  # whatever a driver raises, the door did not obey: told in the journal, shown as an alarm
            log.warning(
                "the door did not answer", door=self.facts.id, error=f"{type(error).__name__}: {error}"
            )
            if left_again and isinstance(error, NotReady) and not self.online:
                return False  # that the device is away is in the journal already
            self._post(
                "DoorFault", {"error": type(error).__name__, "detail": str(error)[:200], "passage": passage}
            )
            return False
        return True

    # ---------------------------------------------------------------------------------------- what the hardware says

    def contact(self, state: DoorState) -> None:
        """The door contact changed, or was read when the device connected."""
        if state is self.state:
            return
        first = self.state is DoorState.UNKNOWN
        self.state = state
        self._post("DoorState", {"state": state})
        if state is DoorState.OPEN:
            self._opened(first)
        elif state is DoorState.CLOSED:
            self._cancel("pre-alarm", "too-long")
            self._raise(DoorAlarm.NORMAL)

    def let_in(self, position: Position | None, access_point: str) -> None:
        """The controller let somebody in by itself, and `position` is where that stands: the opening that follows
        belongs to it."""
        if self._held in OPEN_MODES:
            return
        self._outstanding.append(_Released(position, None, False, access_point))
        self._after("relock", self.facts.release_time + CONTACT_GRACE, self._not_taken)
        if self.state is DoorState.OPEN:
            self._taken_by_all()

    def exit_button(self) -> None:
        """Somebody leaves: the lock was released in hardware, the opening that follows is rightful."""
        self._post("ExitButton", {})
        if "relock" not in self._due:
            self._after("relock", self.facts.release_time + CONTACT_GRACE, self._not_taken)

    def call_button(self) -> None:
        """Somebody rings: told, and nothing else."""
        self._post("CallButton", {})

    def fire(self, active: bool) -> None:
        self._post("Fire", {"active": active})

    def _opened(self, first: bool) -> None:
        extended = any(released.extended for released in self._outstanding)
        if "relock" in self._due:
            self._taken_by_all()
        elif self._held not in OPEN_MODES and not first:
            self._raise(DoorAlarm.DOOR_FORCED_OPEN)
        if self._held not in OPEN_MODES:
            allowed = self.facts.extended_open_time if extended else self.facts.open_time
            self._after("pre-alarm", max(allowed - self.facts.pre_alarm_time, 0.0), self._pre_alarm)
            self._after("too-long", allowed, self._too_long)

    def _taken_by_all(self) -> None:
        """Everybody who was let in and has not been accounted for goes through this opening."""
        outstanding, self._outstanding = self._outstanding, []
        for released in outstanding:
            if released.position is not None:
                self._post("AccessTaken", {"passage": str(released.position)}, released.access_point)
            if released.passage is not None:
                self._taken(released.passage)

    def _not_taken(self) -> None:
        """The lock is locked again: whoever did not open stayed out."""
        outstanding = self._outstanding
        self._end_release()
        for released in outstanding:
            if self.facts.has_contact and released.position is not None:
                self._post("AccessNotTaken", {"passage": str(released.position)}, released.access_point)
            elif not self.facts.has_contact and released.passage is not None:
                self._taken(released.passage)  # without a contact nobody can tell: a grant counts as taken

    def _end_release(self) -> None:
        self._outstanding = []
        self._cancel("relock")

    def _pre_alarm(self) -> None:
        if self.alarm is DoorAlarm.NORMAL:
            self._raise(DoorAlarm.DOOR_OPEN_PRE_ALARM)
        for access_point in self.facts.access_points:
            self._show(
                access_point, Feedback(FeedbackKind.PRE_ALARM, "door.close_please", self.facts.pre_alarm_time)
            )

    def _too_long(self) -> None:
        if self.alarm is not DoorAlarm.DOOR_FORCED_OPEN:  # the graver alarm stays
            self._raise(DoorAlarm.DOOR_OPEN_TOO_LONG)

    # ------------------------------------------------------------------------------------------------------- helpers

    def _raise(self, alarm: DoorAlarm) -> None:
        if alarm is not self.alarm:
            was, self.alarm = self.alarm, alarm
            self._post("DoorAlarm", {"alarm": alarm, "was": was})

    def _post(
        self,
        kind: str,
        data: dict[str, object],
        access_point: str = "",
        personal: dict[str, object] | None = None,
    ) -> None:
        self._journal.post(Entry(kind, self._clock.now(), self.facts.id, access_point, data, personal))

    def _after(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        """Call it so much later, in place of what waits under that name. One timer serves all that a door waits for,
        and it is left running when something comes later: at a busy door each release prolongs the one before."""
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        self._due[name] = due, call
        if self._timer is None or self._timer.when() > due:
            self._wake_at(due)

    def _wake_at(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due, self._on_time)

    def _on_time(self) -> None:
        assert self._timer is not None
        now = max(self._timer.when(), asyncio.get_running_loop().time())  # a loop's timer may be a tick early
        self._timer = None
        try:
            for name in sorted(self._due, key=lambda name: self._due[name][0]):
                due, call = self._due.get(name, (math.inf, _nothing))
                if due <= now:
                    del self._due[name]
                    call()
        finally:
            if self._due:
                self._wake_at(min(due for due, _ in self._due.values()))

    def _cancel(self, *names: str) -> None:
        for name in names:
            self._due.pop(name, None)

    def retire(self) -> None:
        """The site has this door no longer, or at another lock: what was open about it is brought to its end."""
        self._not_taken()
        self._raise(DoorAlarm.NORMAL)
        self.close()

    def close(self) -> None:
        """At the end of the program: no timer outlives it."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _nothing() -> None: ...


class Doors(dict[str, DoorRuntime]):
    """The doors of the site by id, and what is shown of them."""

    def views(self) -> list[DoorView]:
        return [door.view() for door in self.values()]

    def view(self, door: str) -> DoorView:
        """Raises `KeyError` for a door the site does not have."""
        return self[door].view()


async def left_in(journal: Journal) -> tuple[dict[str, DoorMode], str]:
    """At start: the modes in which the journal says the doors were left, and why nobody knows, "" when it could be read.
    Whatever is wrong with it, the doors are served: they begin Locked then, and a person is told."""
    try:
        found = await journal.latest("DoorMode")
        return {door: DoorMode(entry.data["mode"]) for door, entry in found.items()}, ""
    except Exception as error:  # a damaged file fails in any way, also with values that no entry can have
        why = f"{type(error).__name__}: {error}"
        log.error("the journal cannot be read: doors begin Locked", why=why)
        return {}, why
