"""Real faces through the real networks. Photos come from registry packages at run time (`peers/face_photos.py`)."""

# ruff: noqa: E402 (what can be skipped is asked for before it is imported)
from __future__ import annotations

import os
import socket
import subprocess
import sys
from importlib.util import find_spec

import pytest

pytestmark = pytest.mark.e2e
for package in ("deepface", "dlib", "cv2", "face_recognition_models"):
    if find_spec(package) is None:
        pytest.skip(
            f"NO REAL FACES TESTED: the extra 'face' ({package}) is not installed", allow_module_level=True
        )

import cv2
import numpy as np

from menwei.repairs import opencv_packages
from menwei_face import models, planar
from menwei_face.detect import HogDetector
from menwei_face.embed import TOLERANCE, open_embedder
from menwei_face.events import Recognized, Unknown
from menwei_face.match import Gallery, template
from menwei_face.models import ModelsNotReady, Trouble
from menwei_face.photo import examine
from menwei_face.pipeline import Pipeline
from menwei_face.quality import Flaw
from menwei_face.vault import Vault
from peers import face_photos


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    models.install(folder)
    return folder


@pytest.fixture(scope="session")
def embedder(home):
    cv2.setNumThreads(1)
    return open_embedder(home)


@pytest.fixture(scope="session")
def detector():
    return HogDetector()


@pytest.fixture(scope="session")
def pictures():
    read = {name: cv2.imread(str(file)) for name, file in face_photos.photos().items()}
    return {name: small(picture) for name, picture in read.items()}


def small(picture):
    return cv2.resize(
        picture, None, fx=(scale := 480 / max(picture.shape)), fy=scale, interpolation=cv2.INTER_AREA
    )


@pytest.fixture(scope="session")
def vectors(pictures, detector, embedder):
    return {name: examine(picture, detector, embedder).face.vector for name, picture in pictures.items()}


def approach(picture, detector, frames=30):
    """Somebody walking up to a 640×480 camera."""
    (box,) = [one.box for one in detector.find(picture)[:1]]
    x, y = box.center
    random = np.random.default_rng(2)
    yield np.full((480, 640, 3), 96, np.uint8)
    for number in range(frames):
        scale = (70 + 130 * min(1.0, number / 15)) / box.width
        matrix = np.array([[scale, 0, 320 - scale * x], [0, scale, 240 - scale * y]])
        matrix[:, 2] += random.normal(0, 1, 2)
        yield cv2.warpAffine(picture, matrix, (640, 480), borderValue=(96, 96, 96))


def test_three_photos_of_one_man_are_one_man_and_another_is_another(vectors):
    same = [np.linalg.norm(vectors["obama"] - vectors[name]) for name in ("obama2", "obama3")]
    other = [np.linalg.norm(vectors["biden"] - vectors[name]) for name in ("obama", "obama2", "obama3")]
    assert max(same) < 0.50 < min(other)


def test_the_onnx_form_gives_dlibs_own_vectors(home, embedder, detector, pictures):
    import dlib

    assert not embedder.exact
    network = dlib.face_recognition_model_v1(str(models.weights(home) / models.DLIB.files[0].name))
    for picture in pictures.values():
        _, chip = embedder.cut(picture, detector.find(picture)[0].box)
        expected = np.array(network.compute_face_descriptor(np.ascontiguousarray(chip[:, :, ::-1])))
        assert np.linalg.norm(embedder.embed([chip])[0] - expected) < TOLERANCE


def test_a_batch_gives_what_single_faces_give(embedder, detector, pictures):
    chips = [embedder.cut(picture, detector.find(picture)[0].box)[1] for picture in pictures.values()]
    together, alone = embedder.embed(chips), np.concatenate([embedder.embed([chip]) for chip in chips])
    assert np.abs(together - alone).max() < 1e-4
    assert embedder.embed([]).shape == (0, 128)


def test_a_resident_who_walks_up_is_recognised_once(embedder, detector, pictures, vectors):
    gallery = Gallery({"resident": [vectors["obama2"], vectors["obama3"]]})
    pipeline = Pipeline(detector, embedder, gallery=gallery)
    told = [
        event
        for at, frame in enumerate(approach(pictures["obama"], detector))
        for event in pipeline.frame(frame, at / 10)
    ]
    assert [event.subject for event in told if isinstance(event, Recognized)] == ["resident"]
    assert not [event for event in told if isinstance(event, Unknown)]


def test_a_stranger_who_walks_up_is_unknown_once(embedder, detector, pictures, vectors):
    gallery = Gallery({"resident": [vectors[name] for name in ("obama", "obama2", "obama3")]})
    pipeline = Pipeline(detector, embedder, gallery=gallery)
    told = [
        event
        for at, frame in enumerate(approach(pictures["biden"], detector))
        for event in pipeline.frame(frame, at / 10)
    ]
    assert len([event for event in told if isinstance(event, Unknown)]) == 1
    assert not [event for event in told if isinstance(event, Recognized)]


def test_a_woman_who_is_not_enrolled_is_not_recognised(embedder, detector, vectors):
    face = examine(small(cv2.imread(str(face_photos.astronaut()))), detector, embedder).face
    gallery = Gallery({name: [vector] for name, vector in vectors.items()})
    assert gallery.search(face.vector, 0.50).subject is None


def test_another_view_of_a_photo_is_one_plane_and_another_photo_of_the_man_is_not(
    embedder, detector, pictures
):
    def seen(picture):
        box = detector.find(picture)[0].box
        return embedder.cut(picture, box)[0], box

    photo = pictures["obama2"]
    still = planar.patch(photo, *seen(photo))
    high, wide = photo.shape[:2]
    corners = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)
    tilted = np.array([[0.10, 0.05], [0.85, 0.0], [0.90, 0.95], [0.15, 1.0]], np.float32) * [wide, high]
    print_seen = cv2.warpPerspective(
        photo, cv2.getPerspectiveTransform(corners, tilted.astype(np.float32)), (wide, high)
    )
    assert planar.flatness(still, print_seen, *seen(print_seen)) > 0.98
    for other in ("obama", "obama3"):
        assert planar.flatness(still, pictures[other], *seen(pictures[other])) < 0.96


def test_photos_that_cannot_be_enrolled_are_refused_with_the_reason(embedder, detector, pictures):
    good = pictures["obama2"]
    assert examine(good, detector, embedder).usable
    assert Flaw.NO_FACE in examine(np.full((200, 200, 3), 90, np.uint8), detector, embedder).flaws
    assert Flaw.BLURRED in examine(cv2.GaussianBlur(good, (0, 0), 4), detector, embedder).flaws
    assert Flaw.TOO_DARK in examine((good * 0.15).astype(np.uint8), detector, embedder).flaws
    beside = np.hstack([good, good])
    assert Flaw.TWO_FACES in examine(beside, detector, embedder).flaws


def test_what_the_vault_gives_the_worker_recognises(tmp_path, vectors):
    with Vault(tmp_path, bytes(32)) as vault:
        vault.enrol("resident", "Dlib", [template(vectors[name]) for name in ("obama", "obama2")], 1.0)
        gallery = Gallery.of(vault.load("Dlib", vault.enrolled()).templates)
        assert gallery.search(vectors["obama3"], 0.50).subject == "resident"
        vault.withdraw("resident", 2.0)
        assert len(vault.load("Dlib", vault.enrolled()).templates) == 0


@pytest.mark.parametrize("frame", ["noise", "4k", "black", "stripes"])
def test_the_detector_withstands_any_frame(detector, frame):
    random = np.random.default_rng(3)
    picture = {
        "noise": random.integers(0, 255, (480, 640, 3)).astype(np.uint8),
        "4k": np.full((2160, 3840, 3), 128, np.uint8),
        "black": np.zeros((480, 640, 3), np.uint8),
        "stripes": np.tile(np.array([0, 255], np.uint8), (64, 96, 3)).reshape(64, -1, 3),
    }[frame]
    assert detector.find(picture) == []


def test_a_face_is_found_in_a_4k_frame_in_its_own_pixels(detector, pictures):
    box = detector.find(pictures["obama2"])[0].box
    frame = np.full((2160, 3840, 3), 96, np.uint8)
    large = cv2.resize(pictures["obama2"], None, fx=3, fy=3)
    frame[300 : 300 + large.shape[0], 1000 : 1000 + large.shape[1]] = large[: 2160 - 300]
    expected = box.scaled(3).moved(1000, 300)
    assert detector.find(frame)[0].box.overlap(expected) > 0.6


def test_the_default_models_are_installed_without_the_network(tmp_path):
    """In a process of its own whose sockets are closed, as on a machine at a gate."""
    script = (
        "import socket, sys, pathlib\n"
        "def refuse(*_): raise OSError('no network here')\n"
        "socket.socket.connect = refuse; socket.getaddrinfo = refuse\n"
        "from menwei_face import models\n"
        "from menwei_face.embed import open_embedder\n"
        "home = pathlib.Path(sys.argv[1]); models.install(home)\n"
        "print(open_embedder(home).name)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        check=False,
    )
    assert done.stdout.strip().splitlines()[-1:] == ["Dlib on ONNX"], done.stderr


def test_altered_weights_are_told_and_nothing_is_fetched(tmp_path, monkeypatch):
    models.install(tmp_path)
    file = models.weights(tmp_path) / models.DLIB.files[0].name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a connection was tried"))
    with pytest.raises(ModelsNotReady) as error:
        open_embedder(tmp_path)
    assert [problem.trouble for problem in error.value.problems] == [Trouble.ALTERED]
    models.install(tmp_path)
    assert models.verify(tmp_path, models.DEFAULT) == []


def test_a_torch_that_is_installed_beside_does_not_change_the_engine(home, tmp_path):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise RuntimeError('torch was imported')\n")
    script = (
        "import sys, pathlib\n"
        "from menwei_face.embed import open_embedder\n"
        "embedder = open_embedder(pathlib.Path(sys.argv[1]))\n"
        "from deepface.commons import backend_utils\n"
        "print(backend_utils.get_backend_engine(), embedder.name)\n"
    )
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
        "DEEPFACE_BACKEND_ENGINE": "pytorch",
    }
    done = subprocess.run(
        [sys.executable, "-c", script, str(home)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        check=False,
    )
    assert done.stdout.strip().splitlines()[-1:] == ["onnx Dlib on ONNX"], done.stderr


def test_looking_at_faces_leaves_no_trace_of_the_libraries_own_and_calls_nobody(home, tmp_path):
    """onnxruntime's wheels carry telemetry: a session file, an identifier of the machine, and a maker to report to."""
    script = (
        "import socket, sys, pathlib\n"
        "sys.addaudithook(lambda event, _: sys.exit('called') if event == 'socket.connect' else None)\n"
        "import numpy, cv2\n"
        "from menwei_face.embed import open_embedder\n"
        "embedder = open_embedder(pathlib.Path(sys.argv[1]))\n"
        "print(embedder.embed([numpy.zeros((150, 150, 3), numpy.uint8)]).shape)\n"
    )
    own, temporary = tmp_path / "home", tmp_path / "tmp"
    own.mkdir()
    temporary.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    environment |= {"HOME": str(own), "TMPDIR": str(temporary), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script, str(home)],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "(1, 128)"
    assert list(temporary.iterdir()) == []
    assert [file for file in own.rglob("*") if "microsoft" in str(file).lower()] == []


def test_opencv_is_installed_once():
    assert opencv_packages() == ("opencv-contrib-python-headless",)
