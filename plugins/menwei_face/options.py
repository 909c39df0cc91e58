"""The plugin's options in the config, `plugins: {face: …}`. Needs neither numpy nor a network."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from menwei import Config

Distance = Annotated[float, Field(gt=0.0, le=2.0)]


class Liveness(StrEnum):
    """How a door makes sure that a person stands there, and not a picture of one; the words of the record."""

    NONE = "none"
    HEAD_TURN = "head_turn"
    FASNET = "fasnet"


class FaceAlone(Config):
    """The site's word that it knows what a face alone means at a door: with at most `people` enrolled there, one
    stranger in `one_stranger_in` may be let in. `menwei check` says the figure; it accepts none that sounds better."""

    people: int = Field(ge=1, le=200_000)
    one_stranger_in: int = Field(ge=1)


class DoorFaces(Config):
    """What is different at one door. `alone` is needed where a security level asks for a face and nothing else."""

    threshold: Distance | None = None
    liveness: Liveness | None = None
    alone: FaceAlone | None = None


class FaceOptions(Config):
    """`threshold`: distance within which a face is a person's (the network's own where nothing is written); `margin`:
    by how much the next person must be further away. `liveness`: at doors that name no other; where nothing is
    written, the head turn where a face alone opens and none behind a card or PIN. `doors`: by the door's id.
    `demonstration`: a face alone may open without liveness; for a demonstration with photos, and told as a repair.
    """

    threshold: Distance | None = None
    margin: float = Field(default=0.04, ge=0.0, le=0.5)
    liveness: Liveness | None = None
    doors: dict[str, DoorFaces] = Field(default_factory=dict)
    demonstration: bool = False
