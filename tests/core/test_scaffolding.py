"""A plugin author's first minute: the project that `menwei new` makes works before anything in it is changed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from menwei.manifest import installed
from menwei.scaffolding import KINDS, ScaffoldError, create

CORE = Path(__file__).parents[2] / "core"


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(CORE)])}
    return subprocess.run(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.e2e
@pytest.mark.parametrize("kind", KINDS)
def test_the_tests_of_a_new_project_pass(kind, tmp_path):
    create(kind, "my-first", tmp_path)
    done = run(tmp_path / "menwei-my-first", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_project_is_clean_for_a_linter(kind, tmp_path):
    create(kind, "my-first", tmp_path)
    done = run(
        tmp_path / "menwei-my-first",
        "ruff",
        "check",
        "--line-length",
        "120",
        "--isolated",
        "--select",
        "E,F,I,UP,B,SIM",
        ".",
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_the_manifest_of_a_new_project_is_one_the_core_accepts(kind, tmp_path, monkeypatch):
    create(kind, "my-first", tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "menwei-my-first"))
    found = installed()["my_first"]
    assert found.faults == ()
    assert found.manifest is not None


@pytest.mark.parametrize(
    "name", ["", "1st", "Upper", "a b", "../up", "class", "x" * 41, "名", "quiet_", "quiet-"]
)
def test_a_name_that_is_no_python_name_is_refused_and_nothing_is_written(name, tmp_path):
    with pytest.raises(ScaffoldError) as refused:
        create("policy", name, tmp_path)
    assert refused.value.key == "new.name"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["null", "true", "on", "no"])
def test_a_name_that_yaml_takes_for_something_else_is_refused(name, tmp_path):
    with pytest.raises(ScaffoldError) as refused:
        create("policy", name, tmp_path)
    assert refused.value.key == "new.yaml"


@pytest.mark.parametrize("name", ["simulator", "console", "face"])
def test_a_plugin_that_is_installed_is_not_overwritten_by_a_project_of_its_name(name, tmp_path):
    with pytest.raises(ScaffoldError) as refused:
        create("policy", name, tmp_path)
    assert refused.value.key == "new.installed"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("driver", "card"),
        ("driver", "hello"),
        ("driver", "board"),
        ("driver", "board_config"),
        ("notifier", "post_config"),
        ("policy", "hours"),
    ],
)
def test_a_project_may_be_called_as_a_class_of_the_templates_is(kind, name, tmp_path):
    create(kind, name, tmp_path)
    done = run(next(tmp_path.iterdir()), "pytest", "-q", "-p", "no:cacheprovider", "-W", "error")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    (tmp_path / "menwei-quiet").mkdir()
    with pytest.raises(ScaffoldError) as refused:
        create("policy", "quiet", tmp_path)
    assert refused.value.key == "new.exists"
    assert list((tmp_path / "menwei-quiet").iterdir()) == []
