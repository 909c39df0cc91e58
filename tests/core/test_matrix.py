"""The page of drivers and abilities says what the code says, and whose the peers are that drivers were run against."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from menwei.manifest import installed

ROOT = Path(__file__).parents[2]
DEVICES = ROOT / "docs" / "devices"


@pytest.fixture(scope="module")
def matrix() -> ModuleType:
    spec = importlib.util.spec_from_file_location("matrix", ROOT / "scripts" / "matrix.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["matrix"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_drivers_say(matrix: ModuleType) -> None:
    assert (DEVICES / "matrix.md").read_text("utf-8") == matrix.page(), "run scripts/matrix.py"


def test_every_driver_stands_in_the_page_with_what_it_was_run_against(matrix: ModuleType) -> None:
    assert set(matrix.drivers()) == set(matrix.KNOWN)
    assert all(known.tested for known in matrix.KNOWN.values())


def test_what_the_page_names_is_there(matrix: ModuleType) -> None:
    for known in matrix.KNOWN.values():
        assert (DEVICES / known.page).is_file(), known.page
        assert [tested.file for tested in known.tested if not (ROOT / tested.file).is_file()] == []


def test_own_peers_are_labelled_as_such(matrix: ModuleType) -> None:
    rows = [line for line in matrix.page().splitlines() if "sam.py" in line or "uhppote_board.py" in line]
    assert len(rows) == 2
    assert all("own" in row for row in rows)


def test_an_ability_that_is_taken_away_changes_the_page(
    matrix: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = matrix.page()
    _, uhppote = matrix.drivers()["uhppote"]
    monkeypatch.setattr(uhppote, "inputs", frozenset())
    assert matrix.page() != before


def test_every_driver_package_under_devices_has_a_driver_in_the_page(matrix: ModuleType) -> None:
    packages = {path.name for path in (ROOT / "devices").iterdir() if (path / "menwei-plugin.yaml").is_file()}
    plugins = {
        found.package
        for name, found in installed().items()
        if name in {p for p, _ in matrix.drivers().values()}
    }
    assert packages <= plugins


def test_what_has_no_lock_reports_no_part_of_a_door(matrix: ModuleType) -> None:
    readers = {name: cls for name, (_, cls) in matrix.drivers().items() if not cls.locks}
    assert set(readers) == {"pcsc", "camera", "idreader", "screen"}
    assert {name for name, cls in readers.items() if cls.inputs} == set()


@pytest.mark.parametrize("page", sorted(path.name for path in DEVICES.glob("*.md")))
def test_every_link_of_the_device_pages_leads_somewhere(page: str) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", (DEVICES / page).read_text("utf-8"))
    assert [link for link in links if not (DEVICES / link).exists()] == []


def test_every_price_of_the_kits_says_that_it_is_an_estimate_and_the_sums_are_right() -> None:
    text = (DEVICES / "kits.md").read_text("utf-8")
    kits = text.split("\n## ")[1:]
    assert len(kits) == 3
    for kit in kits:
        assert "估价" in kit
        ranges = [
            tuple(int(number.replace(",", "")) for number in found)
            for found in re.findall(r"\| (?:\*\*)?([\d,]+)–([\d,]+)(?:\*\*)? \|", kit)
        ]
        *parts, total = ranges
        assert tuple(map(sum, zip(*parts, strict=True))) == total, kit.splitlines()[0]
