"""What a door camera would see, played from one photo: somebody walks up, stands there, holds up a print, turns.

Real photos, moved and scaled over a grey background as JPEGs. A head that turns cannot be made from a photo: what
`print_turned` shows is a print that is turned, which is the attack.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
WIDTH, HEIGHT = 640, 480
NEAR, FAR = 190.0, 60.0
"""Width of a face in pixels, before the door and a few steps away."""


def photo(file: Path) -> Image:
    """A photo at a size at which a detector is quick."""
    picture = cv2.imread(str(file))
    if picture is None:
        raise ValueError(f"{file} is no picture")
    scale = 480 / max(picture.shape[:2])
    return np.asarray(
        cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), dtype=np.uint8
    )


def nobody() -> list[bytes]:
    return [_jpeg(_grey())]


def standing(picture: Image, face: tuple[float, float, float], *, width: float = NEAR) -> list[bytes]:
    """Somebody stands before the camera and shakes a little. `face`: middle and width of the face in `picture`."""
    return [_jpeg(_placed(picture, face, width, shake)) for shake in _shakes(6)]


def approaching(picture: Image, face: tuple[float, float, float], frames: int = 12) -> list[bytes]:
    """Somebody walks up, from far to near."""
    widths = np.linspace(FAR, NEAR, frames)
    return [
        _jpeg(_placed(picture, face, width, shake))
        for width, shake in zip(widths, _shakes(frames), strict=True)
    ]


def print_turned(picture: Image, face: tuple[float, float, float], degrees: float = 40.0) -> list[bytes]:
    """A print of the photo that is turned about its vertical axis to both sides and back: cos-shrunk, as a flat thing."""
    still = _placed(picture, face, NEAR, np.zeros(2))
    middle = np.array([WIDTH / 2, HEIGHT / 2])
    swing = (
        [0.0] * 4 + [degrees / 2, degrees, degrees / 2] + [0.0] * 3 + [-degrees / 2, -degrees, -degrees / 2]
    )
    return [_jpeg(_flat(still, middle, np.radians(angle))) for angle in swing]


def jpegs(frames: Iterable[Image]) -> list[bytes]:
    return [_jpeg(frame) for frame in frames]


class Once(list[bytes]):
    """A film for `HttpCamera.jpegs` that begins when it is put there, is played once, and stands still at its end."""

    def __init__(self, film: Iterable[bytes]) -> None:
        super().__init__(film)
        self._shown = 0

    def __getitem__(self, number: Any) -> Any:
        self._shown += 1
        return super().__getitem__(min(self._shown, len(self)) - 1)


def _flat(still: Image, middle: NDArray[np.float64], angle: float) -> Image:
    """The projective picture of a flat sheet turned by `angle`, seen from three of its half widths away."""
    half, distance = 160.0, 480.0
    corners = np.array([[-half, -half], [half, -half], [half, half], [-half, half]])
    turned = np.stack([corners[:, 0] * np.cos(angle), corners[:, 1], corners[:, 0] * np.sin(angle)], axis=1)
    seen = turned[:, :2] * (distance / (distance + turned[:, 2:]))
    matrix = cv2.getPerspectiveTransform(
        (corners + middle).astype(np.float32), (seen + middle).astype(np.float32)
    )
    return np.asarray(
        cv2.warpPerspective(still, matrix, (WIDTH, HEIGHT), borderValue=(96, 96, 96)), dtype=np.uint8
    )


def _placed(
    picture: Image, face: tuple[float, float, float], width: float, shake: NDArray[np.float64]
) -> Image:
    x, y, wide = face
    scale = width / wide
    move = np.array(
        [[scale, 0, WIDTH / 2 - scale * x + shake[0]], [0, scale, HEIGHT / 2 - scale * y + shake[1]]]
    )
    return np.asarray(
        cv2.warpAffine(picture, move, (WIDTH, HEIGHT), borderValue=(96, 96, 96)), dtype=np.uint8
    )


def _shakes(count: int) -> Iterator[NDArray[np.float64]]:
    random = np.random.default_rng(2)
    return iter(random.normal(0, 1.5, (count, 2)))


def _grey() -> Image:
    return np.full((HEIGHT, WIDTH, 3), 96, np.uint8)


def _jpeg(picture: Image) -> bytes:
    return bytes(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())
