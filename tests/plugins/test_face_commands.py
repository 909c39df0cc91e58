"""`menwei face models`: offline, before deepface is there, with the licences said."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from menwei.cli import app
from menwei_face import choice, commands, models, packages
from menwei_face.models import ARCFACE, CATALOGUE, DLIB, LANDMARKS, SFACE, ModelFile
from menwei_face.places import models_folder, vault_folder
from menwei_face.vault_files import TEMPLATES

WEIGHTS = b"the weights"
SUM = hashlib.sha256(WEIGHTS).hexdigest()


@pytest.fixture(autouse=True)
def _the_log_as_it_was():
    """The program sends its log to the stream it was called with, which is closed once the call has ended."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A site whose catalogue knows small stand-ins for the files of the networks."""
    small = {
        name: replace(model, files=tuple(ModelFile(file.name, file.sha256 and SUM) for file in model.files))
        for name, model in CATALOGUE.items()
    }
    for module in (models, choice, commands):
        monkeypatch.setattr(module, "CATALOGUE", small)
    monkeypatch.setattr(models, "DEFAULT", (small["Dlib5"], small["Dlib"]))
    monkeypatch.setattr(packages, "PACKAGES", {"json": "json"})
    config = tmp_path / "config.yaml"
    config.write_text("site: {id: yard}\n", "utf-8")
    given = tmp_path / "given"
    given.mkdir()
    for model in small.values():
        for file in model.files:
            (given / file.name).write_bytes(WEIGHTS)
    return tmp_path


def menwei(site: Path, *words: str, lang: str = "en"):
    return CliRunner().invoke(
        app, ["--lang", lang, "face", "models", *words, "--config", str(site / "config.yaml")]
    )


def take(site: Path, *names: str) -> None:
    for name in names:
        assert menwei(site, "import", name, str(site / "given")).exit_code == 0


def enrol(site: Path, **people: str) -> None:
    """Rows as the vault writes them; what is sealed in them is not looked at."""
    folder = vault_folder(site / "var")
    folder.mkdir(parents=True)
    with sqlite3.connect(folder / TEMPLATES) as db:
        db.execute(
            "CREATE TABLE templates (subject TEXT, model TEXT, number INTEGER, sealed BLOB, made REAL)"
        )
        rows = [(who, model, number, b"", 0.0) for who, model in people.items() for number in range(3)]
        db.executemany("INSERT INTO templates VALUES (?, ?, ?, ?, ?)", rows)


def test_every_model_is_listed_with_its_licence(site):
    said = menwei(site).stdout
    assert all(model.name in said and model.licence in said for model in CATALOGUE.values())


def test_the_list_says_what_is_in_use_and_what_is_missing(site):
    take(site, "Dlib5", "Dlib")
    listed = json.loads(menwei(site, "list", "--json").stdout)
    state = {row["name"]: (row["usable"], row["chosen"]) for row in listed["models"]}
    assert state["Dlib"] == (True, True)
    assert state["SFace"] == (False, False)


def test_files_come_from_a_folder_and_are_verified(site):
    take(site, "Dlib5", "Dlib")
    assert menwei(site, "verify").exit_code == 0


def test_an_altered_file_fails_the_verification_by_its_name(site):
    take(site, "Dlib5", "Dlib")
    (models.weights(models_folder(site / "var")) / DLIB.files[0].name).write_bytes(b"something else")
    result = menwei(site, "verify")
    assert result.exit_code == 1
    assert DLIB.files[0].name in result.stdout


def test_a_file_that_is_not_the_right_one_is_not_imported(site):
    (site / "given" / SFACE.files[0].name).write_bytes(b"something else")
    result = menwei(site, "import", "sface", str(site / "given"))
    assert result.exit_code == 1
    assert "sha256" in result.stderr
    assert not (models.weights(models_folder(site / "var")) / SFACE.files[0].name).exists()


def test_weights_for_non_commercial_use_are_refused_until_the_site_acknowledges_it(site):
    words = ("import", "ArcFace", str(site / "given"), "--sha256", f"{ARCFACE.files[0].name}={SUM}")
    refused = menwei(site, *words)
    assert (refused.exit_code, "non-commercial" in refused.stderr) == (1, True)
    taken = menwei(site, *words, "--acknowledge-non-commercial")
    assert (taken.exit_code, ARCFACE.licence in taken.stdout) == (0, True)


def test_a_file_without_a_published_sum_needs_one(site):
    result = menwei(site, "import", "Facenet512", str(site / "given"))
    assert result.exit_code == 1
    assert "facenet512_weights.onnx" in result.stderr


@pytest.mark.parametrize(
    "given", ["facenet512_weights.onnx", "facenet512_weights.onnx=12", "other.onnx=" + SUM]
)
def test_a_sum_that_is_none_is_told(site, given):
    assert menwei(site, "import", "Facenet512", str(site / "given"), "--sha256", given).exit_code == 1


def test_a_switch_with_nobody_enrolled_is_done_at_once(site):
    take(site, "Dlib5", "Dlib", "SFace")
    assert menwei(site, "use", "SFace").exit_code == 0
    assert choice.chosen(models_folder(site / "var")).embedder.name == "SFace"


def test_a_switch_is_planned_before_it_is_done(site):
    take(site, "Dlib5", "Dlib", "SFace")
    enrol(site, lin="Dlib", wang="Dlib", zhao="SFace")
    planned = json.loads(menwei(site, "plan", "SFace", "--json").stdout)
    assert planned == {"model": "SFace", "enrolled": 3, "again": 2, "by_model": {"Dlib": 2, "SFace": 1}}
    refused = menwei(site, "use", "SFace")
    assert (refused.exit_code, "2 of 3" in refused.stdout) == (1, True)
    assert choice.chosen(models_folder(site / "var")).embedder.name == "Dlib"
    assert menwei(site, "use", "SFace", "--yes").exit_code == 0
    assert choice.chosen(models_folder(site / "var")).embedder.name == "SFace"


def test_a_model_whose_files_are_missing_is_not_switched_to(site):
    take(site, "Dlib5", "Dlib")
    assert menwei(site, "use", "SFace").exit_code == 1
    assert choice.chosen(models_folder(site / "var")).embedder.name == "Dlib"


def test_a_detector_is_chosen_beside_the_embedder(site):
    take(site, "Dlib5", "Dlib", "YuNet")
    assert menwei(site, "use", "YuNet").exit_code == 0
    now = choice.chosen(models_folder(site / "var"))
    assert (now.embedder.name, now.detector.name) == ("Dlib", "YuNet")


@pytest.mark.parametrize("text", ["[]", "{", '{"embedder": "Nobody"}', '{"embedder": "YuNet"}'])
def test_a_choice_that_cannot_be_read_is_told_and_not_guessed(site, text):
    folder = models_folder(site / "var")
    folder.mkdir(parents=True)
    (folder / choice.FILE).write_text(text, "utf-8")
    result = menwei(site, "list")
    assert result.exit_code == 1
    assert choice.FILE in result.stderr.replace("\n", "")


def test_an_unknown_model_and_one_that_is_no_choice_are_told(site):
    assert "SFace" in menwei(site, "plan", "Sfacex").stderr
    assert menwei(site, "use", LANDMARKS.name).exit_code == 1
    assert menwei(site, "plan", "YuNet").exit_code == 1


def test_what_is_not_installed_is_said_and_the_list_is_shown_all_the_same(site, monkeypatch):
    monkeypatch.setattr(packages, "PACKAGES", {"not_installed_here": "deepface"})
    listed = menwei(site, "list")
    assert (listed.exit_code, "deepface" in listed.stdout, "Dlib" in listed.stdout) == (0, True, True)
    assert menwei(site, "verify").exit_code == 1


def test_the_commands_import_neither_numpy_nor_deepface():
    code = "import sys, menwei_face.commands; print([m for m in ('numpy', 'cv2', 'deepface', 'dlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
