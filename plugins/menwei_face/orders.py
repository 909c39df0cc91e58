"""What the recognizer says to its lookers in the camera worker: options at start, and messages afterwards.

Pickled on their way. Templates in them go to that process and nowhere else, and are in no
`repr`. Importing this needs neither a network nor numpy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from menwei_face.options import Liveness
from menwei_face.template import Templates

MAKE = "menwei_face.look:make"
"""`LookSpec.make`."""
MAKE_GUIDE = "menwei_face.guide:make"
"""The same, for an enrolment before a camera."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One camera's. `always`: look for everybody of the door while nobody is expected; otherwise nobody is looked at
    before a card or PIN has announced somebody."""

    threshold: float
    margin: float
    liveness: Liveness
    always: bool


@dataclass(frozen=True, slots=True)
class Orders:
    """`LookSpec.options`: where the files of the networks are, whose vectors the templates are (the choice on the disk
    may be another one, for the next start), and what each camera does."""

    models: Path
    embedder: str
    cameras: Mapping[str, Settings]


@dataclass(frozen=True, slots=True)
class Known:
    """Templates that were not there yet, or are others now; for every camera, said to any of them."""

    templates: Templates = field(repr=False)


@dataclass(frozen=True, slots=True)
class Gone:
    """Templates to forget at once, at every camera; said to any of them."""

    subjects: frozenset[str]


@dataclass(frozen=True, slots=True)
class Admit:
    """Who belongs to this camera's door from now on. `everybody` False: nobody is looked for until one is expected."""

    subjects: frozenset[str]
    everybody: bool


@dataclass(frozen=True, slots=True)
class Expect:
    """Only these from now on; None: nobody in particular any more."""

    subjects: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class GuideOptions:
    """`LookSpec.options` of an enrolment. `embedder`: the network that the vault keeps templates of; another may be
    chosen for the next start meanwhile. `threshold`: distance within which two faces are one person's."""

    models: Path
    embedder: str
    threshold: float
    unit: bool = False


Message = Known | Gone | Admit | Expect
