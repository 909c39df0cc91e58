"""Which of the networks a site uses, and whom a change of the embedder would leave without a template.

Kept in a file beside the networks' files, not in the configuration: it may only name what was verified when it was
chosen. Needs neither numpy nor deepface, so that it can be asked before either is installed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from menwei_face.models import CATALOGUE, DLIB, LANDMARKS, Model, ModelsNotReady, Purpose, verify
from menwei_face.vault_files import TEMPLATES

FILE = "menwei-choice.json"
CHOSEN_BY_NAME = frozenset({Purpose.EMBEDDER, Purpose.DETECTOR, Purpose.LIVENESS})


class ChoiceTrouble(Exception):
    """The file of the choice cannot be understood; the text says which and why."""


@dataclass(frozen=True, slots=True)
class Choice:
    """`detector` None: dlib's HOG, which has no file. `liveness` None: the head turn alone."""

    embedder: Model
    detector: Model | None = None
    liveness: Model | None = None

    @property
    def models(self) -> tuple[Model, ...]:
        """Everything whose files must be right before faces can be looked at."""
        chosen = (CATALOGUE[LANDMARKS.name], self.embedder, self.detector, self.liveness)
        return tuple(model for model in chosen if model is not None)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a change of the embedder means: templates belong to one network and cannot be turned into another's.

    `enrolled`: people with templates of any model. `again`: those of them with none for `model`; they enrol again, and
    until then their face opens nothing and their card goes on working. `by_model`: people per model.
    """

    model: str
    enrolled: int
    again: int
    by_model: Mapping[str, int]


def chosen(folder: Path) -> Choice:
    """The choice kept in the models folder, the defaults where there is none. Raises `ChoiceTrouble`."""
    try:
        text = (folder / FILE).read_text("utf-8")
    except FileNotFoundError:
        text = "{}"
    try:
        kept = json.loads(text)
        models = {purpose: CATALOGUE[kept[purpose]] for purpose in CHOSEN_BY_NAME if kept.get(purpose)}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ChoiceTrouble(f"{folder / FILE}: {type(error).__name__}: {error}") from error
    wrong = [model.name for purpose, model in models.items() if model.purpose is not purpose]
    if wrong:
        raise ChoiceTrouble(f"{folder / FILE}: {', '.join(wrong)} is for another purpose")
    return Choice(
        models.get(Purpose.EMBEDDER, CATALOGUE[DLIB.name]),
        models.get(Purpose.DETECTOR),
        models.get(Purpose.LIVENESS),
    )


def choose(folder: Path, model: Model) -> None:
    """Use `model` for its purpose from the next start on. Raises `ModelsNotReady` when its files are not right, and
    then changes nothing; `ChoiceTrouble`; `ValueError` for what is not a matter of choice (the landmarks)."""
    if model.purpose not in CHOSEN_BY_NAME:
        raise ValueError(f"{model.name} belongs to every choice")
    now = chosen(folder)
    if problems := verify(folder, [CATALOGUE[LANDMARKS.name], model]):
        raise ModelsNotReady(problems)
    names = {
        Purpose.EMBEDDER: now.embedder.name,
        Purpose.DETECTOR: now.detector.name if now.detector else None,
        Purpose.LIVENESS: now.liveness.name if now.liveness else None,
        model.purpose: model.name,
    }
    beside = folder / (FILE + ".part")
    beside.write_text(json.dumps(names, indent=1, sort_keys=True), "utf-8")
    beside.replace(folder / FILE)


def plan(vault: Path, model: Model) -> Plan:
    """Whom a change to `model` would ask to enrol again. Counts rows, opens no template and needs no key."""
    file = vault / TEMPLATES
    if not file.is_file():
        return Plan(model.name, 0, 0, MappingProxyType({}))
    db = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=5.0)
    try:
        enrolled, same = db.execute(
            "SELECT count(DISTINCT subject), count(DISTINCT CASE WHEN model = ? THEN subject END) FROM templates",
            (model.name,),
        ).fetchone()
        rows = db.execute("SELECT model, count(DISTINCT subject) FROM templates GROUP BY model").fetchall()
    finally:
        db.close()
    return Plan(model.name, enrolled, enrolled - same, MappingProxyType(dict(rows)))
