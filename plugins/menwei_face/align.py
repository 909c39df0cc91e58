"""From a face in a frame to the upright cut-out that a network was trained on.

The cut-out decides more than the network: the same dlib model has an equal error rate of about 1 % on its own
cut-out and 5-9 % on those of deepface's detectors. So every model here brings its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from menwei_face.geometry import Box, Image, Points

PADDING = 0.25
"""Share of the face size around it in dlib's cut-out, as its network was trained."""

ARCFACE_112 = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366]], dtype=np.float32)
"""Eye centres (picture left, right) and nose tip in the 112-pixel cut-out of ArcFace and SFace (insightface's
`face_align.py`). The five-point model sees the base of the nose, a little below the tip: `_NOSE_BASE` allows for it."""
_NOSE_BASE = 4.5


class Landmarks:
    """dlib's five-point model. `file` is `shape_predictor_5_face_landmarks.dat`."""

    def __init__(self, file: Path) -> None:
        import dlib

        self._predict: Any = dlib.shape_predictor(str(file))
        self._rectangle: Any = dlib.rectangle

    def points(self, frame: Image, box: Box) -> Points:
        """The five points of the face in `box`, (5, 2)."""
        return np.array([(part.x, part.y) for part in self._shape(rgb(frame), box).parts()], dtype=np.float32)

    def chip(self, frame: Image, box: Box, size: int = 150) -> tuple[Points, Image]:
        """The five points and dlib's own cut-out, (size, size, 3) BGR, eyes level."""
        import dlib

        picture, x, y = _region(frame, box)
        shape = self._shape(picture, box.moved(-x, -y))
        points = np.array([(part.x + x, part.y + y) for part in shape.parts()], dtype=np.float32)
        chip = dlib.get_face_chip(picture, shape, size, PADDING)
        return points, np.ascontiguousarray(np.asarray(chip, dtype=np.uint8)[:, :, ::-1])

    def _shape(self, picture: Image, box: Box) -> Any:
        edges = (round(box.left), round(box.top), round(box.right) - 1, round(box.bottom) - 1)
        return self._predict(picture, self._rectangle(*edges))


def rgb(frame: Image) -> Image:
    return np.ascontiguousarray(frame[:, :, ::-1])


def _region(frame: Image, box: Box) -> tuple[Image, int, int]:
    """The part of the frame that a cut-out can touch, in RGB, so that a large frame is not turned round as a whole."""
    left, top, right, bottom = box.grown(3.0).within(frame.shape[1], frame.shape[0])
    return rgb(frame[top:bottom, left:right]), left, top


def chip_112(frame: Image, points: Points, size: int = 112) -> Image:
    """The cut-out of ArcFace, SFace and Facenet512: turned, moved and scaled so that eyes and nose fit best.

    `size` 160 (Facenet512) scales the same template.
    """
    import cv2

    scale = size / 112
    template = ARCFACE_112.copy()
    template[2, 1] += _NOSE_BASE
    ours = np.stack([(points[2] + points[3]) / 2, (points[0] + points[1]) / 2, points[4]])
    matrix = similarity(ours, template * np.float32(scale))
    return np.asarray(cv2.warpAffine(frame, matrix, (size, size), flags=cv2.INTER_LINEAR), dtype=np.uint8)


def similarity(source: Points, target: Points) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The (2, 3) matrix of turn, scale and shift that brings `source` nearest to `target` (least squares; Umeyama
    without reflection, in closed form for the plane). Raises `ValueError` when all source points coincide."""
    middle_s, middle_t = source.mean(0), target.mean(0)
    s, t = source - middle_s, target - middle_t
    spread = float((s * s).sum())
    if spread < 1e-9:
        raise ValueError("the points of the face lie in one spot")
    a = float((s * t).sum()) / spread
    b = float((s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]).sum()) / spread
    turn = np.array([[a, -b], [b, a]], dtype=np.float64)
    shift = middle_t.astype(np.float64) - turn @ middle_s.astype(np.float64)
    return np.hstack([turn, shift[:, None]])
