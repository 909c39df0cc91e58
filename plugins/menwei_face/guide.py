"""Enrolment before a camera, in the camera worker: tells the person what to do, and takes pictures when all is well.

It looks only while a desk enrols somebody at this camera. What leaves the worker are flaws by name and, of good frames,
the vector; no picture.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from menwei_face import choice
from menwei_face.detect import Detector, HogDetector, YuNetDetector
from menwei_face.embed import Embedder, open_embedder
from menwei_face.flaw import Flaw, Hint
from menwei_face.geometry import Box, Image, Vector, pose
from menwei_face.match import template
from menwei_face.models import CATALOGUE, YUNET, require, weights
from menwei_face.orders import GuideOptions
from menwei_face.photo import RIVAL
from menwei_face.photos import SAME_PICTURE, Reject
from menwei_face.pipeline import usable
from menwei_face.quality import ENROLMENT, Quality, flaws, measure

if TYPE_CHECKING:
    from menwei_camera.looking import Event, Looker

EVERY = 0.25
"""Seconds between two frames that are searched."""
APART = 0.8
"""Seconds between two pictures that are taken: the person moves a little in between, and templates differ."""
CALM = 0.5
"""Overlap of a face with itself in the frame before from which it counts as held still."""


class Guide:
    """One camera. Tells {"guidance": [...]} when it changes, and {"vector", "quality"} of every picture taken."""

    def __init__(self, detector: Detector, embedder: Embedder, options: GuideOptions) -> None:
        self._detector = detector
        self._embedder = embedder
        self._options = options
        self._taken: list[Vector] = []
        self._said: tuple[str, ...] | None = None
        self._before: Box | None = None
        self._next = self._pause = 0.0

    def frame(self, image: Image, at: float) -> Iterator[Event]:
        picture = usable(image)
        if at < self._next or picture is None:
            return
        self._next = at + EVERY
        found = self._detector.find(picture)
        if not found:
            self._before = None
            yield from self._say(Flaw.NO_FACE)
            return
        one, before, self._before = found[0], self._before, found[0].box
        points, chip = self._embedder.cut(picture, one.box)
        quality = measure(chip, pose(points), one.score)
        wrong = list(flaws(quality, ENROLMENT))
        if any(other.box.width >= RIVAL * one.box.width for other in found[1:]):
            wrong.insert(0, Flaw.TWO_FACES)
        if wrong:
            yield from self._say(*wrong)
        elif before is None or before.overlap(one.box) < CALM or at < self._pause:
            yield from self._say(Hint.HOLD)
        else:
            self._pause = at + APART
            yield from self._take(self._embedder.embed([chip])[0], quality)

    def _take(self, vector: Vector, quality: Quality) -> Iterator[Event]:
        compared = self._scaled(vector)
        distances = [float(np.linalg.norm(compared - other)) for other in self._taken]
        if distances and min(distances) > self._options.threshold:
            yield from self._say(Reject.SOMEBODY_ELSE)
            return
        if distances and min(distances) < SAME_PICTURE:
            yield from self._say(Hint.MOVE)
            return
        self._taken.append(compared)
        yield {
            "vector": base64.b64encode(template(vector)).decode(),
            "quality": [
                quality.eyes, quality.sharpness, quality.yaw, quality.roll, quality.brightness, quality.clipped,
                quality.score,
            ],
        }  # fmt: skip
        yield from self._say(Hint.HOLD)

    def _scaled(self, vector: Vector) -> Vector:
        if not self._options.unit:
            return vector
        return vector / np.float32(max(float(np.linalg.norm(vector)), 1e-12))

    def _say(self, *what: StrEnum) -> Iterator[Event]:
        said = tuple(str(one) for one in what)
        if said != self._said:
            self._said = said
            yield {"guidance": list(said)}

    def told(self, message: object) -> Iterator[Event]:
        """Nothing is told to it."""
        return iter(())


@cache
def _networks(models: Path, name: str) -> tuple[Detector, Embedder]:
    """Loaded once in a worker's life: the second person does not wait, and neither do the doors."""
    chosen = choice.chosen(models)
    embedder = open_embedder(models, CATALOGUE[name])
    if chosen.detector is YUNET:
        require(models, [YUNET])
        return YuNetDetector(weights(models) / YUNET.files[0].name), embedder
    return HogDetector(), embedder


def make(options: GuideOptions) -> Callable[[str], Looker]:
    """For `LookSpec.make`. Raises `ModelsNotReady`, `ChoiceTrouble`, `ImportError`."""
    detector, embedder = _networks(options.models, options.embedder)
    return lambda camera: Guide(detector, embedder, options)
