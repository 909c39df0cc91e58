"""What the pipeline tells about one camera. Facts for the worker to pass on; none holds a picture or a vector."""

from __future__ import annotations

from dataclasses import dataclass

from menwei_face.liveness import Failure, Method, Side
from menwei_face.quality import Flaw


@dataclass(frozen=True, slots=True)
class Recognized:
    """Somebody of the gallery stands at the door: once per approach. `captured` is the time of the deciding frame."""

    track: int
    subject: str
    score: float
    distance: float
    liveness: Method
    captured: float


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody of the gallery, once per approach. `ambiguous`: two people of the gallery are as near as each other."""

    track: int
    captured: float
    ambiguous: bool = False


@dataclass(frozen=True, slots=True)
class Prompt:
    """The door screen is to ask for a head turn to `side`, until `until`."""

    track: int
    side: Side
    until: float


@dataclass(frozen=True, slots=True)
class NotLive:
    """The head turn was not done as asked. `again`: another try follows with a new prompt."""

    track: int
    failure: Failure
    again: bool
    captured: float


@dataclass(frozen=True, slots=True)
class Guidance:
    """What the person could do so that the face can be used; told when it changes, empty when all is well."""

    track: int
    flaws: tuple[Flaw, ...]


@dataclass(frozen=True, slots=True)
class Left:
    """The face is gone; the screen can be cleared."""

    track: int


Event = Recognized | Unknown | Prompt | NotLive | Guidance | Left
