"""What a test is on its way in and out: the report as it is kept and shown, and the bodies of the API.

The report is these models as JSON. Sentences stand in it as message keys, so that it is read in either language.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from menwei import DoorForm
from menwei.routes import NOT_BLANK, WHOLE, Model
from menwei_wiring.script import By, Outcome
from menwei_wiring.steps import Kind


class Result(StrEnum):
    """What a test came to."""

    OPEN = "open"
    """It is under way."""
    PASSED = "passed"
    FAILED = "failed"
    INCOMPLETE = "incomplete"
    """Nothing failed, and not all was tested."""


class NoteOut(Model):
    """One line: what was seen in the device's reports, or answered by the installer."""

    at: float
    by: By
    says: str
    values: dict[str, str] = Field(default_factory=dict)


class TryOut(Model):
    """An earlier try of a step that was not passed."""

    ended: float
    says: str
    values: dict[str, str] = Field(default_factory=dict)


class StepOut(Model):
    """One step. `says` is what to mend where it failed, `why` the installer's reason where it was skipped."""

    key: str
    kind: Kind
    point: str = ""
    place: str = ""
    outcome: Outcome = Outcome.WAITING
    begun: float | None = None
    ended: float | None = None
    says: str = ""
    values: dict[str, str] = Field(default_factory=dict)
    why: str = ""
    notes: tuple[NoteOut, ...] = ()
    tries: tuple[TryOut, ...] = ()

    @property
    def by(self) -> tuple[By, ...]:
        """Whose word it rests on."""
        return tuple(by for by in By if any(note.by is by for note in self.notes))


class DeviceFacts(Model):
    """The device behind the door, as it told of itself when the test began."""

    id: str
    driver: str = ""
    model: str = ""
    version: str = ""


class Wiring(Model):
    """How the config says that the door is wired."""

    contact: bool
    exit_button: str
    call_button: str
    fire_input: str
    without_power: str
    release_time: float


class Report(Model):
    """One test of one door, without who made it."""

    door: str
    door_name: str
    form: DoorForm | None
    wiring: Wiring
    device: DeviceFacts
    program: str
    begun: float
    ended: float | None = None
    result: Result = Result.OPEN
    steps: tuple[StepOut, ...]


class RunOut(Model):
    """A test with its number and who made it. `digest` is the SHA-256 of the kept report: the journal has it too."""

    id: int
    tester: str
    report: Report
    digest: str = ""


class LiveOut(Model):
    """What is waited for now: the step, the sentence for the installer, what he may answer, and the seconds left."""

    step: str
    prompt: str
    values: dict[str, str]
    choices: tuple[str, ...]
    seconds: float


class NowOut(Model):
    """The test under way at a door. `version` grows with every change, over restarts and from one test to the next; ask with
    `after` to wait for the next."""

    run: RunOut | None
    live: LiveOut | None
    version: int


class RunRow(Model):
    id: int
    door: str
    begun: float
    ended: float | None
    result: Result
    tester: str


class DoorRow(Model):
    """A door with its newest ended test, and whether one is under way."""

    id: str
    name: str
    form: DoorForm | None
    online: bool
    open: bool
    last: RunRow | None


class DoorRows(Model):
    doors: tuple[DoorRow, ...]


class RunRows(Model):
    runs: tuple[RunRow, ...]


class After(Model):
    """Wait until the test has changed since this version, half a minute at most."""

    after: Annotated[int, Field(ge=0), WHOLE] | None = None


class Begin(Model):
    """`tester` is who stands at the door, where the machine's operator types; else it is whoever signed in."""

    tester: Annotated[str, StringConstraints(max_length=100, strip_whitespace=True)] = ""


class Answer(Model):
    choice: Annotated[str, StringConstraints(min_length=1, max_length=40)]


class Skip(Model):
    """Why it cannot be tested here."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=NOT_BLANK)]
