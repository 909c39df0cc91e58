"""What the recognizer says to its lookers in the camera worker: options at start, and messages afterwards.

Pickled on their way. The galleries in them hold templates: they go to that process and nowhere else, and are in no
`repr`. Importing this needs no network; numpy comes with the gallery.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from menwei_face.options import Liveness

if TYPE_CHECKING:
    from menwei_face.match import Gallery

MAKE = "menwei_face.look:make"
"""`LookSpec.make`."""


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

    gallery: Gallery = field(repr=False)


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


Message = Known | Gone | Admit | Expect
