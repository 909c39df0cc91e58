"""Door forms: what they fill in, and what `menwei check` and `menwei doctor` say of a door that lacks a part."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menwei.checking import check_all
from menwei.config import build_site, load
from menwei.forms import FORMS, missing, unseen
from menwei.house import Menwei
from menwei.model import Door, DoorForm, Part, Unpowered, Wired
from menwei.settings import DoorSection
from menwei.site import door_missing

DOOR = """\
site: {id: yard}
plugins: {%s: }
devices:
  board: {%s}
doors:
  front:
    form: %s
    lock: board/1
%s    access_points:
      front-in: {readers: [%s]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(form: str, *lines: str, reader: str = "board/in", driver: str = "simulator") -> Path:
    options = {
        "simulator": "driver: simulator, host: 127.0.0.1, port: 1",
        "osdp": "driver: osdp, port: /dev/null, readers: {in: {address: 1, key: 0123456789abcdeffedcba9876543210}}",
    }
    extra = "".join(f"    {line}\n" for line in lines)
    path = Path("config.yaml")
    path.write_text(DOOR % (driver, options[driver], form, extra, reader), "utf-8")
    return path


def door(form: str, *lines: str) -> Door:
    config = load(written(form, *lines)).config
    assert config is not None
    return build_site(config).doors["front"]


@pytest.mark.parametrize("form", ["gate", "unit_door", "flat_lock"])
def test_a_door_that_says_no_more_than_its_form_lacks_nothing(folder: Path, form: str) -> None:
    assert [problem.text("en") for problem in check_all(written(form))] == []


def test_a_form_fills_in_what_is_left_out(folder: Path) -> None:
    unit = door("unit_door")
    assert (unit.exit_button, unit.call_button, unit.fire_input) == (Wired.SEEN, Wired.SEEN, Wired.UNSEEN)
    assert (unit.has_contact, unit.without_power, unit.release_time) == (True, Unpowered.UNLOCKED, 5.0)
    flat = door("flat_lock")
    assert (flat.has_contact, flat.exit_button, flat.without_power) == (False, Wired.NONE, Unpowered.LOCKED)


def test_what_is_written_counts_more_than_the_form(folder: Path) -> None:
    unit = door("unit_door", "release_time: 9s", "call_button: unseen")
    assert (unit.release_time, unit.call_button) == (9.0, Wired.UNSEEN)


def test_a_form_nobody_knows_is_told_at_its_place(folder: Path) -> None:
    (problem,) = load(written("saloon")).problems
    assert (problem.path, problem.line) == ("doors.front.form", 7)


@pytest.mark.parametrize(
    ("form", "line", "path", "key"),
    [
        ("gate", "contact: false", "doors.front.contact", "config.form.contact"),
        ("gate", "exit_button: none", "doors.front.exit_button", "config.form.exit_button"),
        ("gate", "fire_input: none", "doors.front.fire_input", "config.form.fire_input"),
        ("gate", "without_power: locked", "doors.front.without_power", "config.form.without_power"),
        ("unit_door", "call_button: none", "doors.front.call_button", "config.form.call_button"),
    ],
)
def test_a_missing_part_is_told_at_its_line_in_both_languages(
    folder: Path, form: str, line: str, path: str, key: str
) -> None:
    (problem,) = check_all(written(form, line))
    assert (problem.path, problem.key, problem.line) == (path, key, 9)
    assert form in problem.text("en")
    assert form in problem.text("zh-CN")
    assert problem.text("en") != problem.text("zh-CN")


def test_a_turnstile_is_read_at_both_sides(folder: Path) -> None:
    (problem,) = check_all(written("turnstile"))
    assert (problem.path, problem.key) == ("doors.front.access_points", "config.form.both_sides")


def test_a_door_without_any_reader_is_told(folder: Path) -> None:
    path = written("flat_lock")
    path.write_text(path.read_text("utf-8").replace("{readers: [board/in]}", "{}"), "utf-8")
    assert [problem.key for problem in check_all(path)] == ["config.form.readers"]


def test_a_part_that_the_driver_cannot_see_is_told(folder: Path) -> None:
    found = check_all(written("unit_door", driver="osdp"))
    assert [(problem.key, problem.values.get("part")) for problem in found] == [
        ("config.form.unseen_contact", "contact"),
        ("config.form.unseen", "exit_button"),
        ("config.form.unseen", "call_button"),
    ]


def test_a_door_whose_lock_is_at_a_mere_reader_is_told(folder: Path) -> None:
    path = written("flat_lock")
    path.write_text(
        path.read_text("utf-8").replace("simulator", "pcsc").replace(", host: 127.0.0.1, port: 1", ""),
        "utf-8",
    )
    (problem,) = [problem for problem in check_all(path) if problem.key == "config.no_lock"]
    assert (problem.path, problem.values) == ("doors.front.lock", {"driver": "pcsc"})


def test_a_missing_part_keeps_no_site_from_starting(folder: Path) -> None:
    found = load(written("unit_door", "call_button: none"))
    assert found.config is not None
    site = build_site(found.config)
    assert [lack.says for lack in door_missing(site, site.doors["front"])] == ["call_button"]


async def test_a_running_site_lists_the_missing_part_among_its_repairs(folder: Path) -> None:
    house = await Menwei.open(written("unit_door", "name: 前门", "call_button: none"))
    try:
        found = [repair for repair in house.repairs() if repair.key.startswith("form:")]
    finally:
        await house.stop()
    assert [(repair.message, dict(repair.values)) for repair in found] == [
        ("repair.form.call_button", {"door": "前门"})
    ]


doors = st.builds(
    Door,
    id=st.just("d"),
    name=st.just("d"),
    device=st.just("b"),
    lock=st.just("1"),
    has_contact=st.booleans(),
    form=st.sampled_from(list(DoorForm)),
    exit_button=st.sampled_from(list(Wired)),
    call_button=st.sampled_from(list(Wired)),
    fire_input=st.sampled_from(list(Wired)),
    without_power=st.sampled_from(list(Unpowered)),
)


@given(doors, st.integers(0, 3))
def test_whatever_is_missing_stands_under_a_key_of_the_door(found: Door, sides: int) -> None:
    keys = {lack.key for lack in missing(found, sides)}
    assert keys <= set(DoorSection.model_fields)


@given(doors, st.frozensets(st.sampled_from(list(Part))))
def test_what_a_driver_reports_is_never_called_unseen(found: Door, inputs: frozenset[Part]) -> None:
    assert not inputs & set(unseen(found, inputs))


@pytest.mark.parametrize("form", list(DoorForm))
def test_no_form_lacks_anything_by_its_own_defaults(form: DoorForm) -> None:
    facts = FORMS[form]
    own = Door(
        "d", "d", "b", "1", has_contact=facts.contact, form=form, exit_button=facts.exit_button,
        call_button=facts.call_button, fire_input=facts.fire_input, without_power=facts.without_power,
    )  # fmt: skip
    assert missing(own, facts.sides) == []
