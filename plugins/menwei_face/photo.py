"""One photo looked at: which face is in it, whether it is good enough, and its vector. For enrolment and the bench."""

from __future__ import annotations

from dataclasses import dataclass

from menwei_face.detect import Detector
from menwei_face.embed import Embedder
from menwei_face.geometry import Box, Detection, Image, Pose, Vector, pose
from menwei_face.quality import ENROLMENT, Flaw, Limits, Quality, flaws, measure

RIVAL = 0.5
"""A second face this wide, against the first, makes a photo a photo of two people."""


@dataclass(frozen=True, slots=True)
class Face:
    """A face of a photo with everything that was measured on it. Nothing of it is kept by this module."""

    box: Box
    pose: Pose
    quality: Quality
    vector: Vector


@dataclass(frozen=True, slots=True)
class Examination:
    """What a photo came to: `face` where one was found, `flaws` for the row of a list of rejects."""

    face: Face | None
    flaws: tuple[Flaw, ...]

    @property
    def usable(self) -> bool:
        return self.face is not None and not self.flaws


def examine(
    photo: Image, detector: Detector, embedder: Embedder, limits: Limits = ENROLMENT, *, central: bool = False
) -> Examination:
    """Looks at one photo (BGR). The largest face counts, or the one nearest the middle where `central`; another of
    at least half its width is reported as TWO_FACES. The vector is made whatever the flaws are: the caller decides."""
    found = detector.find(photo)
    if not found:
        return Examination(None, (Flaw.NO_FACE,))
    chosen = _most_central(photo, found) if central else found[0]
    points, chip = embedder.cut(photo, chosen.box)
    held = pose(points)
    quality = measure(chip, held, chosen.score)
    wrong = list(flaws(quality, limits))
    if any(one is not chosen and one.box.width >= RIVAL * chosen.box.width for one in found):
        wrong.insert(0, Flaw.TWO_FACES)
    return Examination(Face(chosen.box, held, quality, embedder.embed([chip])[0]), tuple(wrong))


def _most_central(photo: Image, found: list[Detection]) -> Detection:
    x, y = photo.shape[1] / 2, photo.shape[0] / 2
    return min(found, key=lambda one: (one.box.center[0] - x) ** 2 + (one.box.center[1] - y) ** 2)
