"""One step of a wiring test as a script that is told what happens, without a clock, a door or a network of its own.

A script is a generator (`steps.py` has them): it yields what it waits for (`Wait`) or wants done (`Do`), is sent what
happened, ends when all is well, and raises `Fails` with the sentence that says what to mend. `StepRun` drives one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from menwei import Door, DoorMode, DoorState


class Heard(StrEnum):
    """Kinds of facts that a step looks at, as the journal names them."""

    STATE = "DoorState"
    EXIT = "ExitButton"
    CALL = "CallButton"
    FIRE = "Fire"
    READ = "Read"
    """A card or a number was presented; whether it opened is not asked."""
    DEVICE = "DeviceState"


@dataclass(frozen=True, slots=True)
class Saw:
    """The device reported something. `value` is the state, "on" or "off"; `access_point` where a read arrived."""

    kind: Heard
    at: float
    value: str = ""
    access_point: str = ""


@dataclass(frozen=True, slots=True)
class Answered:
    """The installer said what he saw: one of the choices that the step offers."""

    at: float
    choice: str


@dataclass(frozen=True, slots=True)
class TimeUp:
    """What was waited for did not come."""

    at: float


@dataclass(frozen=True, slots=True)
class Did:
    """What became of the command that the step asked for."""

    at: float
    ok: bool


Event = Saw | Answered | TimeUp | Did


@dataclass(frozen=True, slots=True)
class Wait:
    """What the installer is asked to do or to say, and how long, in seconds. Message keys."""

    prompt: str
    seconds: float
    choices: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Do:
    """A command to the door."""

    mode: DoorMode


Script = Generator[Wait | Do, Event, None]


class Fails(Exception):
    """The step is not passed: `says` is the message key of what to mend."""

    def __init__(self, says: str, **values: str) -> None:
        super().__init__(says)
        self.says = says
        self.values = values


class By(StrEnum):
    """Who knows it."""

    SEEN = "seen"
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class Note:
    """One line of the report: what was seen or answered, and when."""

    at: float
    by: By
    says: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Scene:
    """What a script knows: the door as configured, the side it looks at, the contact now, and what it has noted.

    `points` are the door's access points and their names for people, `elsewhere` those of other doors.
    """

    door: Door
    now: float
    contact: DoorState = DoorState.UNKNOWN
    point: str = ""
    points: Mapping[str, str] = field(default_factory=dict)
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    notes: list[Note] = field(default_factory=list)
    saw: list[Saw] = field(default_factory=list)
    lock_due: float = 0.0
    """When the last release by this step is over."""
    freed_until: float = 0.0
    """Until when the exit button may have released the lock: before that, an open door says nothing about it."""
    rides_out: bool = False
    """The step goes on while the controller is away: its power is what is tested."""

    def take(self, event: Event) -> None:
        self.now = max(self.now, event.at)
        if isinstance(event, Saw):
            self.saw.append(event)
            if event.kind is Heard.STATE and event.value in set(DoorState):
                self.contact = DoorState(event.value)

    def note(self, by: By, says: str, **values: str) -> None:
        self.notes.append(Note(self.now, by, says, values))


class Outcome(StrEnum):
    """How a step stands."""

    WAITING = "waiting"
    """Not begun, or begun and interrupted."""
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    """It cannot be tested here; the installer said why."""
    ABSENT = "absent"
    """The door does not have this part."""


class StepRun:
    """Drives one script: `feed` it every event, carry out `do`, call it with `TimeUp` at `deadline`."""

    def __init__(self, script: Callable[[Scene], Script], scene: Scene) -> None:
        self.scene = scene
        self.outcome = Outcome.RUNNING
        self.failure: Fails | None = None
        self.error: Exception | None = None
        """A fault of the script itself; then the step has failed, whatever the door is like."""
        self.wait: Wait | None = None
        self.do: Do | None = None
        self.deadline = float("inf")
        self._held: deque[Event] = deque()
        self._script = script(scene)
        self._go(None)

    def feed(self, event: Event) -> None:
        """Something happened. After the end nothing does any more; what comes while a command is under way is heard
        when its answer is there."""
        if self.outcome is not Outcome.RUNNING:
            return
        if self.do is not None and not isinstance(event, Did):
            if not isinstance(event, TimeUp):
                self._held.append(event)
            return
        if isinstance(event, Did) and self.do is None:
            return
        if isinstance(event, TimeUp) and event.at < self.deadline:
            return
        if isinstance(event, Answered) and event.choice not in self.choices:
            return
        self._hear(event)
        while self._held and self.do is None and self.outcome is Outcome.RUNNING:
            self.feed(self._held.popleft())

    @property
    def choices(self) -> tuple[str, ...]:
        """What the installer may answer now."""
        return self.wait.choices if self.wait is not None else ()

    def _hear(self, event: Event) -> None:
        self.scene.take(event)
        lost = isinstance(event, Saw) and event.kind is Heard.DEVICE and event.value != "ready"
        if lost and not self.scene.rides_out:
            self._end(Fails("wiring.fail.device_lost"))
            return
        self._go(event)

    def _go(self, event: Event | None) -> None:
        self.do = None
        try:
            wants = next(self._script) if event is None else self._script.send(event)
        except StopIteration:
            self._end(None)
        except Fails as failure:
            self._end(failure)
        except Exception as error:  # a script that broke off must not look like one that came to its end
            self.error = error
            self._end(Fails("wiring.fail.program"))
        else:
            self.wait, self.do = (wants, None) if isinstance(wants, Wait) else (None, wants)
            self.deadline = self.scene.now + wants.seconds if isinstance(wants, Wait) else float("inf")

    def _end(self, failure: Fails | None) -> None:
        self._script.close()
        self.wait, self.do, self.deadline = None, None, float("inf")
        self.failure = failure
        self.outcome = Outcome.PASSED if failure is None else Outcome.FAILED
