"""Files of networks: the right ones, from here, under their licence. With small stand-ins for the weights."""

from __future__ import annotations

import os
import socket
from dataclasses import replace

import pytest

pytest.importorskip("numpy", reason="NO FACE CODE TESTED: the extra 'face' (numpy) is not installed")

from menwei_face import models
from menwei_face.models import Model, ModelFile, ModelsNotReady, Purpose, Trouble

RIGHT = b"the weights"


@pytest.fixture
def model(tmp_path):
    file = tmp_path / "given" / "net.onnx"
    file.parent.mkdir()
    file.write_bytes(RIGHT)
    return Model("Net", Purpose.EMBEDDER, (ModelFile("net.onnx", models.sha256(file)),), "MIT", "somewhere")


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def _untouched_environment(monkeypatch):
    for name in ("DEEPFACE_HOME", "DEEPFACE_BACKEND_ENGINE", "DEEPFACE_LOG_LEVEL", "ORT_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "")


def troubles(error):
    return [problem.trouble for problem in error.value.problems]


def test_files_from_a_folder_are_taken_and_verified(model, home, tmp_path):
    models.import_files(home, tmp_path / "given", model)
    assert models.verify(home, [model]) == []
    assert (models.weights(home) / "net.onnx").read_bytes() == RIGHT


def test_an_altered_file_is_told_at_start(model, home, tmp_path):
    models.import_files(home, tmp_path / "given", model)
    (models.weights(home) / "net.onnx").write_bytes(RIGHT + b"!")
    with pytest.raises(ModelsNotReady) as error:
        models.require(home, [model])
    assert troubles(error) == [Trouble.ALTERED]
    assert os.environ["DEEPFACE_HOME"] == ""


def test_a_missing_file_is_told_and_not_fetched(model, home, monkeypatch):
    monkeypatch.setattr(socket, "socket", lambda *_: pytest.fail("a socket was opened"))
    with pytest.raises(ModelsNotReady) as error:
        models.require(home, [model])
    assert troubles(error) == [Trouble.MISSING]


def test_the_wrong_file_is_not_imported(model, home, tmp_path):
    (tmp_path / "given" / "net.onnx").write_bytes(b"something else")
    with pytest.raises(ModelsNotReady) as error:
        models.import_files(home, tmp_path / "given", model)
    assert troubles(error) == [Trouble.ALTERED]
    assert not models.weights(home).exists()


def test_a_file_without_a_published_sum_needs_the_installers(model, home, tmp_path):
    unpinned = replace(model, files=(ModelFile("net.onnx"),))
    with pytest.raises(ModelsNotReady) as error:
        models.import_files(home, tmp_path / "given", unpinned)
    assert troubles(error) == [Trouble.UNPINNED]
    models.import_files(home, tmp_path / "given", unpinned, sums={"net.onnx": model.files[0].sha256.upper()})
    assert models.verify(home, [unpinned]) == []
    (models.weights(home) / "net.onnx").write_bytes(b"altered later")
    assert [one.trouble for one in models.verify(home, [unpinned])] == [Trouble.ALTERED]


def test_a_file_that_was_only_copied_in_is_not_trusted(model, home, tmp_path):
    unpinned = replace(model, files=(ModelFile("net.onnx"),))
    models.weights(home).mkdir(parents=True)
    (models.weights(home) / "net.onnx").write_bytes(RIGHT)
    assert [one.trouble for one in models.verify(home, [unpinned])] == [Trouble.UNPINNED]


def test_non_commercial_weights_are_refused_until_the_site_acknowledges(model, home, tmp_path):
    research = replace(model, commercial=False)
    with pytest.raises(ModelsNotReady) as error:
        models.import_files(home, tmp_path / "given", research)
    assert troubles(error) == [Trouble.NON_COMMERCIAL]
    models.import_files(home, tmp_path / "given", research, acknowledged=True)
    assert models.verify(home, [research]) == []


def test_of_two_files_none_is_taken_when_one_is_wrong(model, home, tmp_path):
    pair = replace(model, files=(*model.files, ModelFile("second.onnx", "0" * 64)))
    (tmp_path / "given" / "second.onnx").write_bytes(b"wrong")
    with pytest.raises(ModelsNotReady):
        models.import_files(home, tmp_path / "given", pair)
    assert not models.weights(home).exists()


def test_deepface_is_pointed_at_the_folder_and_held_to_onnx(model, home, tmp_path):
    models.import_files(home, tmp_path / "given", model)
    models.require(home, [model])
    assert os.environ["DEEPFACE_HOME"] == str(home)
    assert os.environ["DEEPFACE_BACKEND_ENGINE"] == "onnx"


def test_without_the_wheel_the_default_is_told_to_be_missing(home, monkeypatch):
    monkeypatch.setattr(models.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelsNotReady) as error:
        models.install(home)
    assert set(troubles(error)) == {Trouble.NO_WHEEL}


def test_the_default_models_may_be_used_commercially_and_carry_sums():
    assert all(model.commercial for model in models.DEFAULT)
    assert all(file.sha256 and len(file.sha256) == 64 for model in models.DEFAULT for file in model.files)


def test_the_landmarks_whose_licence_excludes_commerce_are_not_in_the_catalogue():
    names = {file.name for model in models.CATALOGUE.values() for file in model.files}
    assert not any("68_face_landmarks" in name or "buffalo" in name.lower() for name in names)


def test_the_list_says_what_is_in_the_way_of_each_model(home):
    listed = {
        model.name: [problem.trouble for problem in problems] for model, _, problems in models.listing(home)
    }
    assert listed["SFace"] == [Trouble.MISSING]
    assert listed["ArcFace"] == [Trouble.NON_COMMERCIAL, Trouble.MISSING]


def test_a_rate_is_only_said_for_a_threshold_that_was_measured():
    measured = replace(models.DLIB, far=((0.45, 0.001), (0.55, 0.002)))
    assert measured.far_at(0.40) == 0.001
    assert measured.far_at(0.50) == 0.002
    assert measured.far_at(0.60) is None
