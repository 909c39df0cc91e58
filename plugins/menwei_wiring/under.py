"""A test under way, and the small conversions between a step that runs, its report and its row."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from menwei import Door
from menwei_wiring.models import LiveOut, NowOut, Report, Result, RunOut, RunRow, StepOut, TryOut
from menwei_wiring.models import Wiring as WiringOut
from menwei_wiring.script import Outcome, StepRun
from menwei_wiring.words import WiringError


@dataclass(slots=True)
class Under:
    """A test under way: its report so far, and the step that is running."""

    id: int
    tester: str
    report: Report
    key: str = ""
    step: StepRun | None = None
    freed_until: float = 0.0
    """As in `Scene`: what the step before did at the exit button still counts in the next one."""
    version: int = 1
    """Larger at every change, and than that of any test before: a page that asks for what is newer must not be told
    something older, also after a restart."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def now(self, at: float) -> NowOut:
        live = None
        if self.step is not None and self.step.wait is not None:
            wait = self.step.wait
            live = LiveOut(
                step=self.key, prompt=wait.prompt, values=dict(wait.values), choices=wait.choices,
                seconds=max(self.step.deadline - at, 0.0),
            )  # fmt: skip
        elif self.step is not None:
            live = LiveOut(step=self.key, prompt="wiring.do.commanding", values={}, choices=(), seconds=0.0)
        return NowOut(
            run=RunOut(id=self.id, tester=self.tester, report=self.report), live=live, version=self.version
        )

    def find(self, key: str) -> StepOut:
        """Raises `WiringError` 404."""
        found = next((step for step in self.report.steps if step.key == key), None)
        if found is None:
            raise WiringError("wiring.no_step", HTTPStatus.NOT_FOUND)
        return found

    def put(self, changed: StepOut) -> None:
        steps = tuple(changed if step.key == changed.key else step for step in self.report.steps)
        self.report = self.report.model_copy(update={"steps": steps})


def wiring_of(facts: Door) -> WiringOut:
    return WiringOut(
        contact=facts.has_contact, exit_button=str(facts.exit_button), call_button=str(facts.call_button),
        fire_input=str(facts.fire_input), without_power=str(facts.without_power), release_time=facts.release_time,
    )  # fmt: skip


def again(step: StepOut, says: str, ended: float) -> StepOut:
    """The step as it waits for another try; what became of this one is kept."""
    tried = TryOut(ended=ended, says=says, values=dict(step.values))
    fresh: Mapping[str, Any] = {
        "outcome": Outcome.WAITING, "begun": None, "ended": None, "says": "", "values": {}, "why": "", "notes": (),
        "tries": (*step.tries, tried),
    }  # fmt: skip
    return step.model_copy(update=fresh)


def row_of(row: Any) -> RunRow:
    return RunRow(
        id=row.id,
        door=row.door,
        begun=row.begun,
        ended=row.ended,
        result=Result(row.result),
        tester=row.tester,
    )


def standing(step: StepRun) -> tuple[object, ...]:
    """What of a step is shown and kept."""
    return step.outcome, step.wait and (step.wait.prompt, step.wait.choices), step.do, len(step.scene.notes)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
