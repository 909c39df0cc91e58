"""The nouns that enrolment and withdrawal speak with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus

from menwei import Actor

LEAST = 3
"""Usable photos of a person: one leaves 5.8 % of true tries refused at 0.55, three 0.8 %."""


class Purpose(StrEnum):
    """What a face may be used for. There is one purpose, and no field for another."""

    DOORS = "doors"


class Answer(StrEnum):
    """What somebody said when they were asked."""

    GIVEN = "given"
    REFUSED = "refused"


class Source(StrEnum):
    """Where the pictures came from."""

    PHOTOS = "photos"
    CAMERA = "camera"
    LIST = "list"


class Ended(StrEnum):
    """Why templates were destroyed. The value ends the message key `face.ended.<value>`."""

    WITHDRAWN = "withdrawn"
    """The person took their consent back."""
    NO_RIGHTS = "no_rights"
    """Nothing of theirs opens a door any more: they moved out, or were removed."""
    REPAIRED = "repaired"
    """Half of an enrolment was found after a crash, or a backup brought one half back."""


@dataclass(frozen=True, slots=True)
class Recorder:
    """Who did it at the desk: `account` is None for a program or the machine's operator."""

    actor: Actor
    account: int | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """One answer of one person, the newest. `minor`: under 14 when they were asked; `guardian`: the holder who agreed
    for them. `withdrawn` ends it. `version` and `language` say which text they were shown."""

    id: int
    holder: int
    answer: Answer
    given: float
    version: int
    language: str
    minor: bool
    guardian: int | None
    withdrawn: float | None

    @property
    def holds(self) -> bool:
        return self.answer is Answer.GIVEN and self.withdrawn is None


@dataclass(frozen=True, slots=True)
class Enrolled:
    """Somebody's face is enrolled: `templates` of them, behind `credential`. `subject` is the random word that stands
    for the person in the vault and at the recognizer."""

    holder: int
    subject: str
    credential: int
    consent: int
    templates: int
    at: float
    source: Source


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Templates were destroyed, or are about to be: `done` is None until the key is gone. `at`: when it was asked."""

    id: int
    holder: int
    why: Ended
    at: float
    done: float | None
    templates: int
    key_destroyed: bool


class FaceError(Exception):
    """It cannot be done; nothing was. `says` with `values` is the message for the person, `status` for programs."""

    def __init__(self, says: str, status: int = HTTPStatus.CONFLICT, where: str = "", **values: str) -> None:
        super().__init__(f"{says} {' '.join(values.values())}".strip())
        self.says = says
        self.status = status
        self.where = where
        self.values: Mapping[str, str] = values


class TooAlike(FaceError):
    """These pictures could be taken for somebody else who is enrolled. Who that is, nobody is told."""

    def __init__(self) -> None:
        super().__init__("face.reject.too_alike")
