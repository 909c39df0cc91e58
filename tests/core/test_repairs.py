"""Repairs that ask the machine: what is installed is read once in a process."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from menwei import repairs


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of what is installed, to be filled by the test; asking for it leaves "asked" at the end."""
    installed: list[str] = []

    def distributions() -> list[SimpleNamespace]:
        found = [SimpleNamespace(metadata={"Name": name}) for name in installed]
        installed.append("asked")
        return found

    monkeypatch.setattr(importlib.metadata, "distributions", distributions)
    repairs.opencv_packages.cache_clear()
    yield installed
    repairs.opencv_packages.cache_clear()


def test_two_opencv_packages_are_one_repair_that_names_them(asked: list[str]) -> None:
    asked += ["opencv-python", "numpy", "opencv-contrib-python-headless"]
    (repair,) = repairs.opencv()
    assert repair.values == {"packages": "opencv-contrib-python-headless, opencv-python"}


def test_one_opencv_package_is_nothing_to_mend(asked: list[str]) -> None:
    asked += ["opencv-python"]
    assert repairs.opencv() == []


def test_what_is_installed_is_asked_once(asked: list[str]) -> None:
    repairs.opencv()
    repairs.opencv()
    assert asked == ["asked"]
