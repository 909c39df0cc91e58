"""From a cut-out face to its vector, through `DeepFace.represent`.

deepface is asked with `detector_backend="skip"`: detection and alignment are ours, see `align.py`. For the default
model it is given dlib's own weights as an ONNX graph (`dlibnet.py`), fourteen times cheaper on a CPU than dlib's
convolutions; at start both are asked about one picture, and dlib's own is used where they differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from menwei_face.align import Landmarks, chip_112
from menwei_face.geometry import Box, Image, Points, Vector
from menwei_face.models import DLIB, LANDMARKS, Chip, Model, require, weights

TOLERANCE = 1e-3
"""Largest difference of two embeddings of one picture that still counts as the same network; 1e-6 is seen."""


class Embedder(Protocol):
    """Cuts faces out as its model wants them and turns the cut-outs into vectors."""

    @property
    def model(self) -> Model: ...

    def cut(self, frame: Image, box: Box) -> tuple[Points, Image]:
        """The five points of the face in `box` and the model's cut-out of it (BGR)."""

    def embed(self, chips: Sequence[Image]) -> Vector:
        """(n, dimensions) for n cut-outs; n may be 0."""


@dataclass(frozen=True, slots=True)
class DeepFaceEmbedder:
    """The embedder of every model of the catalogue. `name` is what deepface is asked for; `exact` tells whether
    deepface's own implementation is used (slower) or the checked ONNX one."""

    model: Model
    name: str
    landmarks: Landmarks
    exact: bool
    _represent: Any

    def cut(self, frame: Image, box: Box) -> tuple[Points, Image]:
        if self.model.chip is Chip.DLIB:
            return self.landmarks.chip(frame, box, self.model.size)
        points = self.landmarks.points(frame, box)
        return points, chip_112(frame, points, self.model.size)

    def embed(self, chips: Sequence[Image]) -> Vector:
        if not chips:
            return np.zeros((0, self.model.dimensions), dtype=np.float32)
        answer = self._represent(list(chips), model_name=self.name, detector_backend="skip")
        rows = [answer[0]] if len(chips) == 1 else [row[0] for row in answer]
        return np.array([row["embedding"] for row in rows], dtype=np.float32)


def open_embedder(folder: Path, model: Model = DLIB) -> DeepFaceEmbedder:
    """The embedder of `model`, verified, loaded and warm. Blocks for a second or two; called once, in the worker.

    Raises `menwei_face.models.ModelsNotReady` when a file is missing or altered.
    """
    require(folder, [LANDMARKS, model])
    from deepface import DeepFace

    landmarks = Landmarks(weights(folder) / LANDMARKS.files[0].name)
    opened = DeepFaceEmbedder(model, model.name, landmarks, True, DeepFace.represent)
    if model is DLIB:
        fast = DeepFaceEmbedder(model, _register(), landmarks, False, DeepFace.represent)
        if _same(fast, folder):
            opened = fast
    opened.embed([_picture(model.size)])  # the first call of a network costs several times the next ones
    return opened


def _register() -> str:
    """Puts our ONNX form of dlib's network into deepface's table of models; the table is how deepface finds any."""
    from deepface.modules import modeling

    from menwei_face import dlibclient

    table: dict[str, dict[str, str]] = modeling.AVAILABLE_MODELS["facial_recognition"]
    table.setdefault(
        dlibclient.NAME, {modeling.ANY: f"{dlibclient.__name__}.{dlibclient.DlibOnOnnx.__name__}"}
    )
    return dlibclient.NAME


def _same(fast: DeepFaceEmbedder, folder: Path) -> bool:
    """Whether the ONNX form says of a picture what dlib says of it. dlib's network is let go afterwards."""
    import dlib

    from menwei_face.dlibnet import NotThisNetwork

    picture = _picture(fast.model.size)
    exact = dlib.face_recognition_model_v1(str(weights(folder) / fast.model.files[0].name))
    expected = np.array(exact.compute_face_descriptor(np.ascontiguousarray(picture[:, :, ::-1])))
    try:
        got = fast.embed([picture])[0]
    except NotThisNetwork:
        return False
    return bool(np.linalg.norm(got - expected) < TOLERANCE)


def _picture(size: int) -> Image:
    """A smooth test picture with every grey level and all three channels different."""
    y, x = np.mgrid[0:size, 0:size] / size
    bands = [np.sin(3 * x + 5 * y), np.cos(7 * x * y), np.sin(11 * x) * np.cos(4 * y)]
    return np.asarray(np.stack(bands, axis=2) * 120 + 127, dtype=np.uint8)
