"""Labelled photos in folders (one folder a person), their vectors, and altered copies of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from menwei_face.detect import Detector, HogDetector
from menwei_face.embed import Embedder
from menwei_face.geometry import Box, Image, Vector
from menwei_face.photo import examine
from menwei_face.quality import DOOR, ENROLMENT, Flaw, Limits

ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


@dataclass(frozen=True, slots=True)
class Photo:
    """`person` numbers the folders. `box` and `vector` are None where no face was found."""

    person: int
    file: Path
    image: Image
    box: Box | None
    vector: Vector | None
    door: bool
    enrolment: bool


@dataclass(frozen=True, slots=True)
class Photos:
    """All photos of a folder, those with a face as matrices, and how many had none or were too poor."""

    photos: tuple[Photo, ...]
    people: int

    @property
    def found(self) -> tuple[Photo, ...]:
        return tuple(photo for photo in self.photos if photo.vector is not None)

    @property
    def vectors(self) -> Vector:
        return np.stack([photo.vector for photo in self.found if photo.vector is not None])

    @property
    def persons(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        return np.array([photo.person for photo in self.found])


def load(folder: Path, embedder: Embedder, *, unit: bool) -> Photos:
    """Reads and embeds every photo once. The face nearest the middle counts (press photos show bystanders); a photo in
    which the detector finds nothing is tried once more for small faces, as enrolment does."""
    names = sorted(path for path in folder.iterdir() if path.is_dir())
    if len(names) < 2:
        raise SystemExit(f"{folder}: a folder for each person is expected")
    plain, patient = HogDetector(), HogDetector(upsample=1)
    photos = [
        _photo(number, file, embedder, plain, patient, unit)
        for number, name in enumerate(names)
        for file in sorted(name.iterdir())
        if file.suffix.lower() in ENDINGS
    ]
    return Photos(tuple(photos), len(names))


def _photo(
    person: int, file: Path, embedder: Embedder, plain: Detector, patient: Detector, unit: bool
) -> Photo:
    image = cv2.imread(str(file))
    if image is None:
        raise SystemExit(f"{file} is not a picture")
    picture = np.asarray(image, dtype=np.uint8)
    seen = _look(picture, plain, embedder, DOOR)
    if Flaw.NO_FACE in seen.flaws:
        seen = _look(picture, patient, embedder, DOOR)
    if seen.face is None:
        return Photo(person, file, picture, None, None, False, False)
    vector = seen.face.vector / np.float32(np.linalg.norm(seen.face.vector)) if unit else seen.face.vector
    from menwei_face.quality import flaws

    door, enrolment = not flaws(seen.face.quality, DOOR), not flaws(seen.face.quality, ENROLMENT)
    return Photo(person, file, picture, seen.face.box, vector, door, enrolment)


def _look(picture: Image, detector: Detector, embedder: Embedder, limits: Limits) -> Any:
    return examine(picture, detector, embedder, limits, central=True)


def altered(image: Image, random: np.random.Generator) -> Image:
    """A copy that another camera might have taken: mirrored or not, turned up to 8°, zoomed and shifted by 6 %,
    brighter or darker, blurred or noisy, compressed."""
    picture: Any = image[:, ::-1] if random.random() < 0.5 else image
    height, width = picture.shape[:2]
    matrix: Any = cv2.getRotationMatrix2D(
        (width / 2, height / 2), random.uniform(-8, 8), random.uniform(0.94, 1.06)
    )
    matrix[:, 2] += random.uniform(-0.06, 0.06, 2) * (width, height)
    picture = cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT)
    levels = np.clip(
        255 * (np.arange(256) / 255) ** random.uniform(0.7, 1.4) * random.uniform(0.85, 1.15), 0, 255
    )
    picture = cv2.LUT(picture, levels.astype(np.uint8))
    if random.random() < 0.5:
        picture = cv2.GaussianBlur(picture, (0, 0), random.uniform(0.4, 1.2))
    else:
        noise = random.normal(0, random.uniform(2, 8), picture.shape)
        picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
    _, packed = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(50, 95))])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), dtype=np.uint8)


def approach(
    image: Image, box: Box, random: np.random.Generator, *, frames: int = 45, fps: float = 15.0
) -> list[Any]:
    """(time, frame) of somebody walking up to a 640×480 camera: the face grows from 70 to 210 pixels and shakes a
    little, before a grey wall; the first half second is the empty wall."""
    wall = np.clip(random.normal(96, 6, (480, 640, 3)), 0, 255).astype(np.uint8)
    film: list[Any] = [(number / fps, wall.copy()) for number in range(int(fps / 2))]
    x, y = box.center
    for number in range(frames):
        wide = 70 + 140 * min(1.0, number / (frames * 0.6))
        scale = wide / box.width
        shake = random.normal(0, 1.2, 2)
        matrix = np.array([[scale, 0, 320 - scale * x + shake[0]], [0, scale, 240 - scale * y + shake[1]]])
        frame = wall.copy()
        cv2.warpAffine(image, matrix, (640, 480), frame, borderMode=cv2.BORDER_TRANSPARENT)
        film.append(((number + int(fps / 2)) / fps, frame))
    return film
