"""What comes in and goes out of the API of enrolment."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from menwei.routes import WHOLE, Model
from menwei_face.words import Answer, Ended, Source

HolderId = Annotated[int, Field(ge=1, lt=1 << 53), WHOLE]
NameText = Annotated[str, StringConstraints(max_length=100, strip_whitespace=True)]
CameraId = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class ConsentIn(Model):
    """What was answered at the desk. `version` is that of the text that was shown, `language` its language (the site's
    where left out). `age` or `birth_year` must be answered; of somebody under 14 a guardian, known here (`guardian`) or
    by name, must have agreed. `given`: the day on a paper; today where left out."""

    agreed: bool = False
    version: Annotated[int, Field(ge=1, le=1_000_000), WHOLE]
    language: Literal["zh-CN", "en"] | None = None
    age: Literal["under_14", "older"] | None = None
    birth_year: Annotated[int, Field(ge=1800, le=9999), WHOLE] | None = None
    guardian: HolderId | None = None
    guardian_name: NameText = ""
    guardian_agreed: bool = False
    given: date | None = None


class ConsentOut(Model):
    """The newest answer. `holds`: a consent that is neither withdrawn nor a refusal. `minor`: under 14 when asked."""

    answer: Answer
    holds: bool
    given: float
    version: int
    language: str
    minor: bool
    guardian: int | None
    withdrawn: float | None


class EnrolledOut(Model):
    templates: int
    at: float
    source: Source


class ReceiptOut(Model):
    """A withdrawal. `done`: when the templates were destroyed; null while the vault has not confirmed it. `controllers`:
    those that still hold the face; none ever does, because faces are not sent to controllers."""

    id: int
    holder: int
    why: Ended
    at: float
    done: float | None
    templates: int
    key_destroyed: bool
    controllers: tuple[str, ...] = ()


class FaceOut(Model):
    """One person's face. `other_way`: they can pass without it. `ready`: they may be enrolled now."""

    holder: int
    consent: ConsentOut | None
    enrolled: EnrolledOut | None
    other_way: bool
    ready: bool
    receipts: tuple[ReceiptOut, ...]


class Overview(Model):
    """`enrolled`, `refused`: people. `waiting`: withdrawals that the vault has not confirmed. From `filing_limit` faces
    on the office must be told. `text`, `text_version`: what people agree to, in the caller's language."""

    enrolled: int
    refused: int
    waiting: int
    filing_limit: int
    text: str
    text_version: int
    least_photos: int
    most_photos: int


class Looked(Model):
    """Whose `external_id` it is: the person's number in another list."""

    external_id: Annotated[str, StringConstraints(min_length=1, max_length=60, strip_whitespace=True)]


class Wanted(Model):
    """`dry_run`: look at the photos and write nothing. `source`: `list` for a row of a list."""

    dry_run: bool = False
    source: Literal["photos", "list"] = "photos"


class PhotoOut(Model):
    """One photo: used as a template; or not, with `why` in words for programs and for people (none: good, not needed)."""

    name: str
    used: bool
    why: tuple[str, ...]
    messages: tuple[str, ...]


class OutcomeOut(Model):
    """What became of the photos. `usable`: they would do. Not enrolled: `reason` and `message` say why; nothing is kept."""

    enrolled: bool
    usable: bool
    templates: int
    reason: str
    message: str
    photos: tuple[PhotoOut, ...]


class CameraOut(Model):
    """`id` is the device's; `place` the access points that it looks at; `connected`: it delivers pictures now."""

    id: str
    place: str
    connected: bool


class CameraList(Model):
    cameras: tuple[CameraOut, ...]


class CameraIn(Model):
    camera: CameraId


class SessionOut(Model):
    """An enrolment before a camera. `state`: `starting`, `looking`, `done`, `failed`, `ended`. `message` is what the
    person should do now, or what came of it; `guidance` the same in words for programs. `have` of `need` pictures."""

    id: str
    holder: int
    camera: str
    state: str
    guidance: tuple[str, ...]
    message: str
    have: int
    need: int
