"""Scripted faces for tests of what is done with them: detector and embedder in one, which read the script."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menwei_face.geometry import Box, Detection, Image
from menwei_face.models import DLIB

ANNA, BEN, STRANGER = (np.eye(128, dtype=np.float32)[number] for number in range(3))
SHARP = np.random.default_rng(0).integers(60, 200, (150, 150, 3)).astype(np.uint8)


@dataclass(frozen=True)
class Face:
    """A face of the script: whose, and where."""

    vector: NDArray[np.float32]
    x: float = 250.0
    size: float = 140.0

    @property
    def box(self) -> Box:
        return Box(self.x, 150.0, self.x + self.size, 150.0 + self.size)


class Stage:
    """Finds and embeds the `faces` that stand before the camera now."""

    smallest = 40.0
    model = DLIB

    def __init__(self) -> None:
        self.faces: list[Face] = []
        self.embedded = 0
        self._cut: Face | None = None

    def find(self, frame: Image) -> list[Detection]:
        return [Detection(face.box, 2.0) for face in self.faces]

    def find_near(self, frame: Image, box: Box) -> list[Detection]:
        return [one for one in self.find(frame) if one.box.overlap(box.grown(2)) > 0.05]

    def cut(self, frame: Image, box: Box) -> tuple[Any, Image]:
        self._cut = next(one for one in self.faces if one.box == box)
        eyes = self._cut.size * 0.42
        points = np.array([[0.7, 0], [0.3, 0], [-0.7, 0], [-0.3, 0], [0, 0.6]]) * eyes
        return (points + np.array([self._cut.x + self._cut.size / 2, 200])).astype(np.float32), SHARP

    def embed(self, chips: Any) -> Any:
        assert self._cut is not None
        self.embedded += len(chips)
        return np.stack([self._cut.vector for _ in chips])


def picture(at: float) -> Image:
    """A frame in which something moves."""
    frame = np.full((480, 640, 3), int(at * 370) % 200, np.uint8)
    frame[: 100 + int(at * 10) % 7 * 20] = 255
    return frame
