"""A report in sentences: the same rows on the console's page and in the file that `menwei wiring report` writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined

from menwei_wiring.models import Report, RunOut, StepOut

TONES = {
    "passed": "good", "failed": "bad", "incomplete": "warn", "open": "", "skipped": "warn", "running": "warn",
    "waiting": "", "absent": "",
}  # fmt: skip
"""The colour of a result or outcome; its word says the same."""

Say = Callable[..., str]
"""`Call.t`: a message key and its values, in the reader's language."""


@dataclass(frozen=True, slots=True)
class Line:
    """One observation: when, whose word it is, and what."""

    time: str
    by: str
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """One step of a report. `by` says whose word it rests on, `mend` what to do where it failed."""

    name: str
    outcome: str
    result: str
    by: str
    times: str
    lines: tuple[Line, ...]
    mend: str
    why: str
    tries: tuple[str, ...]


def step_rows(report: Report, say: Say, zone: ZoneInfo) -> list[Row]:
    return [_row(step, say, zone) for step in report.steps]


def step_name(step: StepOut, say: Say) -> str:
    name = say(f"wiring.step.{step.kind}")
    return say("wiring.step.at", step=name, point=step.place) if step.place else name


def _row(step: StepOut, say: Say, zone: ZoneInfo) -> Row:
    lines = tuple(
        Line(_clock(note.at, zone), say(f"wiring.by.{note.by}"), say(note.says, **note.values))
        for note in step.notes
    )
    return Row(
        name=step_name(step, say),
        outcome=str(step.outcome),
        result=say(f"wiring.outcome.{step.outcome}"),
        by=say("wiring.by." + "_".join(step.by)) if step.by else "",
        times="–".join(_clock(at, zone) for at in (step.begun, step.ended) if at is not None),
        lines=lines,
        mend=say(step.says, **step.values) if step.says else "",
        why=step.why,
        tries=tuple(
            say("wiring.tried", time=_clock(tried.ended, zone), why=say(tried.says, **tried.values))
            for tried in step.tries
        ),
    )


def _clock(at: float, zone: ZoneInfo) -> str:
    return datetime.fromtimestamp(at, zone).strftime("%H:%M:%S")


def document(run: RunOut, say: Say, language: str, site_name: str, zone: ZoneInfo) -> str:
    """The report as one HTML file that needs nothing else: to be kept, sent or printed."""
    return _templates().get_template("wiring_file.html").render(
        run=run, rows=step_rows(run.report, say, zone), t=say, language=language, tones=TONES, css=css(),
        site_name=site_name, zone=zone.key, moment=lambda at: datetime.fromtimestamp(at, zone),
    )  # fmt: skip


@cache
def css() -> str:
    return (resources.files("menwei_wiring") / "static" / "wiring.css").read_text("utf-8")


@cache
def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("menwei_wiring"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
