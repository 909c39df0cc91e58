"""Is the turned face the same flat picture as the one before, seen from another side?

Any two views of a plane differ by one projective map; two views of a head do not. So the face as it was held still is
brought over the turned one by the best projective map (OpenCV's ECC alignment, started from the eyes and the nose),
and the correlation of the two tells: rendered flat prints, turned and tilted, came to 0.99 and more (1 % below),
rendered heads to 0.95 at most. It says nothing about bent prints (0.7-0.96), masks or films.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from menwei_face.geometry import Box, Image, Points

SIZE = 96
_MARGIN = 1.1
_ROUNDS = 40
_SMOOTH = 5
"""Pixels of the blur that ECC applies: fine grain of the camera is not compared."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A grey cut-out of a face, not turned upright, with its five points in it. Lives as long as one challenge."""

    grey: NDArray[np.uint8]
    points: Points


def patch(frame: Image, points: Points, box: Box, *, room: float = 1.0) -> Patch:
    """The face in `box` at a size of 96 pixels, `room` times as much around it."""
    import cv2

    scale, middle = SIZE / (box.width * _MARGIN), SIZE * room / 2
    (x, y), side = box.center, round(SIZE * room)
    matrix = np.array([[scale, 0, middle - scale * x], [0, scale, middle - scale * y]], dtype=np.float64)
    cut = cv2.warpAffine(frame, matrix, (side, side), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    moved = (points * scale + matrix[:, 2]).astype(np.float32)
    return Patch(np.asarray(cv2.cvtColor(cut, cv2.COLOR_BGR2GRAY), dtype=np.uint8), moved)


def flatness(still: Patch, frame: Image, points: Points, box: Box) -> float:
    """Correlation, at most 1, of the still face with this one through the best projective map; -1 when there is none."""
    import cv2

    turned = patch(frame, points, box, room=2.0)
    start = cv2.getAffineTransform(_corners(still.points), _corners(turned.points))
    matrix: Any = np.vstack([start, [0, 0, 1]]).astype(np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _ROUNDS, 1e-4)
    align: Any = cv2.findTransformECC  # its stubs do not know that the mask may be None here
    try:
        found, _ = align(still.grey, turned.grey, matrix, cv2.MOTION_HOMOGRAPHY, criteria, None, _SMOOTH)
    except cv2.error:  # no map was found: the two are not one plane
        return -1.0
    return float(found) if np.isfinite(found) else -1.0


def _corners(points: Points) -> Points:
    return np.array([(points[0] + points[1]) / 2, (points[2] + points[3]) / 2, points[4]], dtype=np.float32)
