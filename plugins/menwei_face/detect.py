"""Where the faces of a frame are.

`HogDetector` needs nothing but dlib; `YuNetDetector` needs its ONNX file (see `models.py`) and sees turned and small
faces better. Both take BGR frames and answer in the frame's own pixels, largest face first.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from menwei_face.geometry import Box, Detection, Image

HOG_WINDOW = 80
"""The smallest face, in pixels, that dlib's HOG detector knows."""
LONGEST_SIDE = 1280
"""Larger frames are shrunk before the search: a face that matters at a door is a large one."""


class Detector(Protocol):
    """Finds faces. `smallest` is the width in pixels below which it sees nothing in a frame of ordinary size."""

    smallest: float

    def find(self, frame: Image) -> list[Detection]:
        """The faces of a BGR frame, largest first; empty when there is none."""

    def find_near(self, frame: Image, box: Box) -> list[Detection]:
        """The faces around `box`, where one was seen a moment ago: many times cheaper than `find`."""


def shrink(frame: Image, factor: float) -> Image:
    """`frame` at `factor` of its size, averaged (`factor` below 1) or interpolated."""
    import cv2

    if abs(factor - 1) < 0.01:
        return frame
    size = max(1, round(frame.shape[1] * factor)), max(1, round(frame.shape[0] * factor))
    way = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(frame, size, interpolation=way), dtype=np.uint8)


def around(frame: Image, box: Box, reach: float) -> tuple[Image, float, float]:
    """The part of the frame `reach` times as large as `box`, and where it begins (x, y)."""
    left, top, right, bottom = box.grown(reach).within(frame.shape[1], frame.shape[0])
    return frame[top:bottom, left:right], float(left), float(top)


def largest_first(found: list[Detection]) -> list[Detection]:
    return sorted(found, key=lambda one: one.box.width * one.box.height, reverse=True)


class HogDetector:
    """dlib's frontal face detector on grey pictures: a quarter cheaper than on colour, with the same scores.

    `least` is the score below which a face is not reported; `upsample` 1 finds faces from 40 pixels at four times
    the price.
    """

    reach = 2.2
    wanted = 110.0

    def __init__(self, least: float = 0.0, upsample: int = 0) -> None:
        import dlib

        self._find: Any = dlib.get_frontal_face_detector()
        self.least = least
        self.upsample = upsample
        self.smallest = HOG_WINDOW / 2**upsample

    def find(self, frame: Image) -> list[Detection]:
        factor = min(1.0, LONGEST_SIDE / max(frame.shape[:2]))
        return self._search(shrink(frame, factor), factor, 0.0, 0.0, self.upsample)

    def find_near(self, frame: Image, box: Box) -> list[Detection]:
        """Searches one cut-out, shrunk so that the face is about `wanted` pixels wide."""
        part, x, y = around(frame, box, self.reach)
        if min(part.shape[:2]) < 8:
            return []
        factor = min(2.0, self.wanted / max(box.width, 1.0))
        if abs(factor - 1) < 0.2:
            factor = 1.0
        return self._search(shrink(part, factor), factor, x, y, 0)

    def _search(self, picture: Image, factor: float, x: float, y: float, upsample: int) -> list[Detection]:
        boxes, scores, _ = self._find.run(grey(picture), upsample, self.least)
        return largest_first(
            [
                Detection(
                    Box(box.left(), box.top(), box.right() + 1, box.bottom() + 1)
                    .scaled(1 / factor)
                    .moved(x, y),
                    float(score),
                )
                for box, score in zip(boxes, scores, strict=True)
            ]
        )

    def score(self, frame: Image, box: Box) -> float:
        """How much like a frontal face the place looks, on the HOG scale; -1 when nothing is found there."""
        near = [one for one in self.find_near(frame, box) if one.box.overlap(box) > 0.3]
        return max((one.score for one in near), default=-1.0)


class YuNetDetector:
    """OpenCV's YuNet. Its confidence says little about pose, so the HOG score is taken beside it for liveness."""

    smallest = 20.0
    longest = 640

    def __init__(self, file: Path, least: float = 0.8) -> None:
        import cv2

        self._net: Any = cv2.FaceDetectorYN.create(str(file), "", (320, 320), least)
        self._hog = HogDetector(least=-1.0)

    def find(self, frame: Image) -> list[Detection]:
        return self._search(frame, min(1.0, self.longest / max(frame.shape[:2])), 0.0, 0.0)

    def find_near(self, frame: Image, box: Box) -> list[Detection]:
        part, x, y = around(frame, box, 3.0)
        if min(part.shape[:2]) < 8:
            return []
        return self._search(part, min(1.0, 240 / max(part.shape[:2])), x, y)

    def _search(self, frame: Image, factor: float, x: float, y: float) -> list[Detection]:
        from menwei_face.geometry import square

        picture = shrink(frame, factor)
        self._net.setInputSize((picture.shape[1], picture.shape[0]))
        _, rows = self._net.detect(picture)
        found: list[Detection] = []
        for row in rows if rows is not None else ():
            left, top, wide, high = (float(number) / factor for number in row[:4])
            box = square(Box(left, top, left + wide, top + high))
            found.append(Detection(box.moved(x, y), self._hog.score(frame, box)))
        return largest_first(found)


def grey(frame: Image) -> NDArray[np.uint8]:
    """(height, width) brightness of a BGR frame."""
    import cv2

    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
