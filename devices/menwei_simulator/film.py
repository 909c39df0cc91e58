"""Somebody walks up to a door, as its camera sees it: a photo that comes nearer, shaking a little. Needs OpenCV.

What it is not: the photo stays flat, so a door that asks for a turn of the head is not satisfied by it; that is what
the demonstration shows with it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

WIDTH, HEIGHT = 640, 480
FPS = 10.0
FAR, NEAR = 0.08, 0.42
"""Height of the face against the picture's, at the beginning and at the end of the approach."""
SHAKE = 4.0
"""Pixels by which a hand, or a gait, moves the picture."""
QUALITY = 90


class Unreadable(ValueError):
    """A file that is no picture."""


def wall() -> Image:
    """What the camera sees when nobody is there."""
    rows = np.linspace(150, 110, HEIGHT, dtype=np.float32)[:, None, None]
    grain = np.random.default_rng(7).normal(0.0, 2.0, (HEIGHT, WIDTH, 1)).astype(np.float32)
    seen: Image = np.clip(np.broadcast_to(rows, (HEIGHT, WIDTH, 3)) + grain, 0, 255).astype(np.uint8)
    return seen


def approach(photo: Path, *, walk: float = 2.0, stay: float = 2.0, seed: int = 1) -> Iterator[bytes]:
    """JPEGs at `FPS`: `walk` seconds of coming nearer, `stay` seconds of standing there. Raises `Unreadable`."""
    picture = _read(photo)
    chance = random.Random(seed)  # noqa: S311  # the shake of a hand is no secret
    face = _face(picture)
    steps, frames = max(1, round(walk * FPS)), round((walk + stay) * FPS)
    for number in range(frames):
        done = min(1.0, number / steps)
        factor = HEIGHT * (FAR + (NEAR - FAR) * done) / face.height
        sway = math.sin(number / FPS * 2 * math.pi * 0.9) * SHAKE * (1.0 - 0.6 * done)
        at = (WIDTH / 2 + sway + chance.uniform(-1, 1), HEIGHT * 0.45 + chance.uniform(-1, 1))
        yield jpeg(_before(wall(), picture, face, factor, at))


def picture(photo: Path, *, mirrored: bool = False) -> bytes:
    """A photo as a JPEG, as whoever enrols would bring it. Raises `Unreadable`."""
    image = _read(photo)
    return jpeg(cv2.flip(image, 1) if mirrored else image)


def _read(photo: Path) -> Any:
    image = cv2.imdecode(np.frombuffer(photo.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise Unreadable(f"{photo} is no picture")
    return image


def jpeg(image: Image) -> bytes:
    made, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not made:
        raise ValueError("a picture could not be written as JPEG")
    return bytes(data.tobytes())


@dataclass(frozen=True, slots=True)
class _Face:
    """Where the face is in the photo, in its pixels."""

    across: float
    down: float
    height: float


def _face(picture: Any) -> _Face:
    """The largest face that OpenCV's own cascade finds; the upper middle of the photo where it finds none."""
    cascade = cv2.CascadeClassifier(
        str(Path(cv2.__file__).with_name("data") / "haarcascade_frontalface_default.xml")
    )
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    least = max(24, min(grey.shape) // 12)
    found = cascade.detectMultiScale(grey, 1.1, 6, minSize=(least, least))
    if len(found) == 0:
        rows, columns = grey.shape
        return _Face(columns / 2, rows * 0.35, rows * 0.4)
    left, top, width, height = max(found, key=lambda box: int(box[2]))
    return _Face(left + width / 2, top + height / 2, float(height))


def _before(back: Image, picture: Any, face: _Face, factor: float, at: tuple[float, float]) -> Image:
    """The photo before the wall, `factor` times its size, with the face at `at`."""
    matrix = np.array(
        [[factor, 0.0, at[0] - face.across * factor], [0.0, factor, at[1] - face.down * factor]],
        dtype=np.float32,
    )
    kind = cv2.INTER_AREA if factor < 0.5 else cv2.INTER_LINEAR
    cv2.warpAffine(picture, matrix, (WIDTH, HEIGHT), dst=back, flags=kind, borderMode=cv2.BORDER_TRANSPARENT)
    return back
