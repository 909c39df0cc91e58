"""Boxes, points and the pose that five points tell. Pure numbers: no picture is touched here.

Pixel coordinates have their origin at the top left; x grows to the right of the *picture*, which for a camera that
does not mirror is the person's own left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""(height, width, 3), BGR as OpenCV delivers, unless a name says `rgb` or `grey`."""
Points = NDArray[np.float32]
"""(5, 2), x and y, in dlib's order: outer and inner corner of the person's left eye (picture right), outer and inner
corner of the other eye, base of the nose."""
Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels, right and bottom exclusive."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def center(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def overlap(self, other: Box) -> float:
        """Intersection over union, 0…1."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        if wide <= 0 or high <= 0:
            return 0.0
        shared = wide * high
        return shared / (self.width * self.height + other.width * other.height - shared)

    def moved(self, x: float, y: float) -> Box:
        return Box(self.left + x, self.top + y, self.right + x, self.bottom + y)

    def scaled(self, factor: float) -> Box:
        """The same rectangle in a picture `factor` times as large."""
        return Box(self.left * factor, self.top * factor, self.right * factor, self.bottom * factor)

    def grown(self, factor: float) -> Box:
        """A rectangle about the same centre, `factor` times as wide and high."""
        x, y = self.center
        wide, high = self.width * factor / 2, self.height * factor / 2
        return Box(x - wide, y - high, x + wide, y + high)

    def within(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Whole pixels inside a picture of that size: left, top, right, bottom."""
        left, top = max(0, math.floor(self.left)), max(0, math.floor(self.top))
        return (
            left,
            top,
            max(left, min(width, math.ceil(self.right))),
            max(top, min(height, math.ceil(self.bottom))),
        )


@dataclass(frozen=True, slots=True)
class Detection:
    """A face that a detector found. `score` is on the detector's own scale (HOG: below 0 doubtful, 1 good, 2 clear)."""

    box: Box
    score: float


@dataclass(frozen=True, slots=True)
class Pose:
    """How the head is held, from five points.

    `yaw`: the base of the nose against the middle of the eyes, along the eye axis, in eye distances: about 0 when
    frontal, positive when the person turns to their own left. It mirrors with the picture.
    `pitch`: the same across the eye axis. `roll`: the eye axis against the horizontal, degrees.
    `eyes`: distance of the eye centres, pixels.
    """

    yaw: float
    pitch: float
    roll: float
    eyes: float


def pose(points: Points) -> Pose:
    """The pose that the five points tell. Points in one spot give a pose that no limit accepts (yaw infinite)."""
    right, left = (points[0] + points[1]) / 2, (points[2] + points[3]) / 2
    axis = right - left
    eyes = float(np.hypot(axis[0], axis[1]))
    if eyes < 1e-6:
        return Pose(math.inf, math.inf, 0.0, 0.0)
    nose = points[4] - (left + right) / 2
    yaw = float(nose @ axis) / eyes**2
    pitch = float(axis[0] * nose[1] - axis[1] * nose[0]) / eyes**2
    return Pose(yaw, pitch, math.degrees(math.atan2(float(axis[1]), float(axis[0]))), eyes)


def square(box: Box, down: float = 0.05) -> Box:
    """A YuNet box as the five-point model wants it: square about its centre and a little lower."""
    x, y = box.center
    half = max(box.width, box.height) / 2
    y += down * 2 * half
    return Box(x - half, y - half, x + half, y + half)
