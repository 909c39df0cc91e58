"""`menwei check` refuses what a board that decides alone cannot do, at the place where it is written."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from menwei.checking import check_all

PLAIN = """\
plugins:
  uhppote:
  rules:
devices:
  board: {driver: uhppote, serial: 223187757, host: 127.0.0.1}
  other: {driver: uhppote, serial: 223187758, host: 127.0.0.1}
policies:
  once: {policy: rules.interlock, doors: [gate, unit]}
schedules:
  office: {weekly: ["Mon-Fri 08:00-18:00"]}
  market: {weekly: ["Sat 08:00-12:00"], special_days: [{days: [2026-10-01], hours: none}]}
doors:
  gate:
    lock: board/1
    access_points:
      gate-in: {readers: [board/1], decides: controller}
      gate-out: {readers: [board/1-out], decides: controller}
  unit:
    lock: board/2
    access_points:
      unit-in: {readers: [board/2]}
profiles:
  residents: [{access_points: [gate-in, gate-out, unit-in]}]
  cleaners: [{access_points: [gate-in], schedule: office}, {access_points: [unit-in], schedule: market}]
"""


def problems(folder: Path, old: str = "", new: str = "") -> list[tuple[str, str, int]]:
    """(key, path, line) of everything `menwei check` says about the site with one thing changed."""
    file = folder / "config.yaml"
    assert old in PLAIN
    file.write_text(PLAIN.replace(old, new) if old else PLAIN, "utf-8")
    return [(found.key, found.path, found.line) for found in check_all(file)]


def line(text: str) -> int:
    return next(number for number, row in enumerate(PLAIN.splitlines(), start=1) if text in row)


def test_a_board_may_decide_about_one_door_and_this_program_about_another(tmp_path: Path) -> None:
    assert problems(tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "key", "path"),
    [
        (
            "gate-in: {readers: [board/1], decides: controller}",
            "gate-in: {readers: [board/1], decides: controller, security_level: Card and PIN}",
            "config.board_level", "doors.gate.access_points.gate-in.security_level",
        ),
        (
            "gate-in: {readers: [board/1], decides: controller}",
            "gate-in: {readers: [board/1], decides: controller, security_level: [{level: Card, schedule: office}]}",
            "config.board_level_schedule", "doors.gate.access_points.gate-in.security_level[0].schedule",
        ),
        (
            "gate-in: {readers: [board/1], decides: controller}",
            "gate-in: {readers: [board/1], decides: controller, policies: [once]}",
            "config.board_policy", "doors.gate.access_points.gate-in.policies[0]",
        ),
        ("    lock: board/1\n", "    lock: board/1\n    policies: [once]\n", "config.board_policy", "doors.gate.policies[0]"),
        (
            "gate-out: {readers: [board/1-out], decides: controller}", "gate-out: {readers: [board/1-out]}",
            "config.board_mixed", "doors.gate.access_points.gate-out",
        ),
        (
            "gate-out: {readers: [board/1-out], decides: controller}", "gate-out: {decides: controller}",
            "config.board_no_reader", "doors.gate.access_points.gate-out.decides",
        ),
        (
            "gate-out: {readers: [board/1-out]", "gate-out: {readers: [board/2-out]",
            "config.board_reader", "doors.gate.access_points.gate-out.readers[0]",
        ),
        (
            "gate-out: {readers: [board/1-out]", "gate-out: {readers: [other/1-out]",
            "config.board_reader", "doors.gate.access_points.gate-out.readers[0]",
        ),
        (
            "[{access_points: [gate-in], schedule: office}", "[{access_points: [gate-in], schedule: market}",
            "config.board_schedule", "profiles.cleaners[0].schedule",
        ),
        (
            "board: {driver: uhppote, serial: 223187757, host: 127.0.0.1}",
            "board: {driver: uhppote, serial: 223187757, host: 127.0.0.1, time_zone: Europe/Paris}",
            "config.board_zone", "devices.board.time_zone",
        ),
    ],
)  # fmt: skip
def test_what_a_board_cannot_do_is_refused_where_it_stands(
    tmp_path: Path, old: str, new: str, key: str, path: str
) -> None:
    (found,) = problems(tmp_path, old, new)
    assert found[:2] == (key, path)
    assert found[2] == line(old.splitlines()[0].strip()) + new.count("\n") - ("\n" in new)


def test_every_refusal_has_its_place_and_its_words_in_both_languages(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(PLAIN.replace("decides: controller}\n      gate-out", "decides: controller, security_level: Card and PIN, policies: [once]}\n      gate-out"), "utf-8")  # fmt: skip
    found = check_all(file)
    assert [problem.key for problem in found] == ["config.board_level", "config.board_policy"]
    for problem in found:
        assert problem.column > 1
        for language in ("zh-CN", "en"):
            text = problem.text(language)
            assert f"config.yaml:{problem.line}:{problem.column}" in text
            assert "config.board" not in text


def test_a_driver_that_only_obeys_cannot_decide(tmp_path: Path) -> None:
    site = yaml.safe_load(PLAIN)
    site["plugins"] = {"simulator": None}
    site["devices"] = {"board": {"driver": "simulator", "host": "127.0.0.1", "port": 4000}}
    site["policies"] = {}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(site), "utf-8")
    keys = {problem.key for problem in check_all(tmp_path / "config.yaml")}
    assert "config.decides" in keys
