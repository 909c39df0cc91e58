"""`menwei demo`, the real program: its story, its answer when a right was altered, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil
import pytest

from menwei_simulator import facing
from menwei_simulator.pulselog import Cause, read_pulses
from menwei_simulator.stories import story_of
from peers import face_photos

pytestmark = pytest.mark.e2e

FACES = "faces"
"""Among the options of `play`: with faces, where they can be played."""
WITHIN = 300.0
"""Seconds a whole story may take; the longest takes seventy, the machine may be busy."""
SHAPE = {
    "scene",
    "door",
    "by",
    "holder",
    "decision",
    "reasons",
    "refused_by",
    "events",
    "shown",
    "latency_ms",
    "expected",
    "ok",
}


@asynccontextmanager
async def demo(folder: Path, *options: str) -> AsyncIterator[Process]:
    """The program with a folder for temporary files of its own; whatever of it still runs at the end is killed."""
    environment = os.environ | {"TMPDIR": str(folder), "COLUMNS": "200"}
    environment.pop("PYTHONPATH", None)
    environment.pop("PYTEST_VERSION", None)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "menwei", "--lang", "en", "demo", *options,
        stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=environment, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def play(folder: Path, *options: str) -> tuple[int, list[dict[str, Any]], str]:
    """`menwei demo --once --json` to its end: exit code, the objects, what it wrote for people. Without faces, which
    have a test of their own, unless they are asked for."""
    faces = () if "--story" in options or FACES in options else ("--no-faces",)
    words = [option for option in options if option != FACES]
    async with demo(folder, "--once", "--json", *faces, *words) as process:
        async with asyncio.timeout(WITHIN):
            out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, [json.loads(line) for line in out.splitlines()], err.decode()


async def text_of(process: Process, wanted: str) -> str:
    """Read its standard output until `wanted` is in a line."""
    assert process.stdout is not None
    read = ""
    async with asyncio.timeout(WITHIN):
        while wanted not in read:
            line = await process.stdout.readline()
            assert line, read
            read += line.decode()
    return read


def assert_as_told(story: str, code: int, scenes: list[dict[str, Any]], text: str) -> None:
    """Every scene of the story was played and ended as it must, and the accounts agree."""
    expected = [(scene.id, True) for scene in story_of(story).scenes]
    assert [(scene["scene"], scene["ok"]) for scene in scenes] == expected, text
    assert code == 0, text
    assert "The accounts agree" in text or "核对一致" in text


def altered(scenes: list[dict[str, Any]]) -> dict[str, tuple[str, list[str]]]:
    """The scenes that did not end as they must."""
    return {scene["scene"]: (scene["decision"], scene["reasons"]) for scene in scenes if not scene["ok"]}


def tree(process: Process) -> list[psutil.Process]:
    """The program and everything it started."""
    root = psutil.Process(process.pid)
    return [root, *root.children(recursive=True)]


def listening(processes: list[psutil.Process]) -> set[int]:
    return {c.laddr.port for p in processes for c in p.net_connections() if c.status == psutil.CONN_LISTEN}


async def test_every_scene_of_the_story_ends_as_it_must(tmp_path: Path) -> None:
    code, scenes, text = await play(tmp_path)
    assert_as_told("street", code, scenes, text)
    assert all(scene.keys() == SHAPE for scene in scenes)
    assert all(0 < scene["latency_ms"] < 60_000 for scene in scenes)
    assert len(re.findall(r"^\$ menwei adopt sim-", text, re.MULTILINE)) == 4
    assert list(tmp_path.iterdir()) == [], "the demonstration's folder is left"


async def test_faces_open_and_a_stranger_and_a_photo_do_not(tmp_path: Path) -> None:
    if missing := [package for package in facing.PACKAGES if find_spec(package) is None]:
        pytest.skip(f"NO DEMONSTRATION OF FACES TESTED: not installed are {', '.join(missing)}")
    face_photos.photos()  # skips, loudly, where they are not to be had
    code, scenes, text = await play(tmp_path, FACES)
    assert code == 0, text
    played = {scene["scene"]: scene for scene in scenes}
    assert [scene["scene"] for scene in scenes][-4:] == list(facing.FACE_SCENES)
    assert played["face-stranger"]["decision"] == "Nothing"
    assert "not registered" in played["face-stranger"]["shown"].lower()
    assert played["face-photo"]["events"] == ["NotLive"]
    assert played["face-alone"]["holder"] == played["face-and-card"]["holder"] == facing.FACE.name
    assert list(tmp_path.iterdir()) == [], "the demonstration's folder is left, photos and films with it"


async def test_a_card_that_was_restored_before_its_scene_opens_and_the_demo_fails(tmp_path: Path) -> None:
    """The alteration is made by the command an operator would use, in another process."""
    restore = f"{sys.executable} -m menwei people state $MENWEI_DEMO_CREDENTIAL Enabled"
    code, scenes, text = await play(tmp_path, "--before", "lost", "--", "sh", "-c", restore)
    lost = next(scene for scene in scenes if scene["scene"] == "lost")
    assert (lost["decision"], lost["ok"]) == ("AccessGranted", False), text
    assert [scene["scene"] for scene in scenes if not scene["ok"]] == ["lost"]
    assert code == 1
    assert "Scenes that did not end as they must: lost" in text


async def test_one_day_on_the_tenants_card_has_ended_and_the_demo_fails(tmp_path: Path) -> None:
    code, scenes, text = await play(tmp_path, "--ahead", "card=1d")
    assert altered(scenes) == {
        "card": ("AccessDenied", ["CredentialExpired"]),
        "no-right": ("AccessDenied", ["CredentialExpired", "Unauthorized"]),
    }, text
    assert code == 1


async def test_the_estate_ends_as_it_must_and_says_at_the_door_what_the_glossary_says(tmp_path: Path) -> None:
    code, scenes, text = await play(tmp_path, "--story", "estate", "--lang", "zh-CN")
    assert_as_told("estate", code, scenes, text)
    shown = {scene["scene"]: scene["shown"].partition(" · ")[0] for scene in scenes}
    assert shown["stranger"] == "未注册信息"
    assert shown["other-unit"] == "您在此门无通行权限"
    assert shown["year-over"] == "证件已过期"
    assert shown["check-out"] == "此证件已注销"


async def test_in_the_estate_a_card_reported_lost_and_a_clock_put_ahead_show_and_the_demo_fails(
    tmp_path: Path,
) -> None:
    """By the tenancy's own command; the check-out later on is undone to what was before, so the card stays lost. And the
    cohabitant comes on the day on which the year is over."""
    lose = f"{sys.executable} -m menwei tenancy lost $MENWEI_DEMO_CREDENTIAL"
    altering = ("--ahead", "last-day=25h", "--before", "child", "--", "sh", "-c", lose)
    code, scenes, text = await play(tmp_path, "--story", "estate", *altering)
    refused = ("AccessDenied", ["CredentialNotEnabled"])
    assert altered(scenes) == {
        "child": refused,
        "other-unit": ("AccessDenied", ["CredentialNotEnabled", "Unauthorized"]),
        "child-back": refused,
        "last-day": ("AccessDenied", ["CredentialExpired"]),
    }, text
    assert code == 1


async def test_the_village_of_2449_people_ends_as_it_must(tmp_path: Path) -> None:
    code, scenes, text = await play(tmp_path, "--story", "village", "--lang", "zh-CN")
    assert_as_told("village", code, scenes, text)
    assert "52 栋楼 2449 人已导入" in text
    by_name = {scene["scene"]: scene for scene in scenes}
    assert by_name["visitor-again"]["events"] == ["AccessTaken"] * 19
    assert by_name["stranger"]["shown"].startswith("未注册信息")
    assert by_name["visitor-midnight"]["shown"].startswith("未注册信息")
    assert by_name["reported-lost"]["shown"].startswith("此证件已挂失")


async def test_in_the_village_a_card_reported_lost_and_a_visitor_of_the_next_day_show_and_the_demo_fails(
    tmp_path: Path,
) -> None:
    """The visitor's pass has ended at midnight; whether it is deleted yet is the minute's."""
    lose = f"{sys.executable} -m menwei tenancy lost $MENWEI_DEMO_CREDENTIAL"
    altering = ("--ahead", "visitor-again=14h", "--before", "resident-house", "--", "sh", "-c", lose)
    code, scenes, text = await play(tmp_path, "--story", "village", *altering)
    found = altered(scenes)
    visitor, (why,) = found.pop("visitor-again")
    assert (visitor, why in {"CredentialExpired", "CredentialNotFound"}) == ("AccessDenied", True)
    assert found == {
        "resident-house": ("AccessDenied", ["CredentialNotEnabled"]),
        "next-house": ("AccessDenied", ["CredentialNotEnabled", "Unauthorized"]),
    }, text
    assert code == 1


@pytest.mark.skipif(
    any(find_spec(module) is None for module in ("uhppoted", "osdp_sys", "serial")),
    reason="NO WIRED STORY: uhppoted, libosdp or pyserial is not installed",
)
async def test_the_wired_doors_end_as_they_must_save_the_one_whose_card_was_reported_lost(
    tmp_path: Path,
) -> None:
    """A UHPPOTE board and an OSDP reader, both this project's own peers in processes of their own."""
    lose = f"{sys.executable} -m menwei people state $MENWEI_DEMO_CREDENTIAL Lost"
    altering = ("--before", "wired-power", "--", "sh", "-c", lose)
    code, scenes, text = await play(tmp_path, "--story", "wired", *altering)
    assert altered(scenes) == {"wired-power": ("AccessDenied", ["CredentialNotEnabled"])}, text
    assert [scene["scene"] for scene in scenes] == [scene.id for scene in story_of("wired").scenes]
    assert "The accounts agree" in text
    assert code == 1
    assert list(tmp_path.iterdir()) == []


async def test_a_command_before_a_scene_that_fails_ends_the_demo(tmp_path: Path) -> None:
    code, scenes, text = await play(tmp_path, "--before", "night", "--", "false")
    assert code == 1
    assert [scene["scene"] for scene in scenes] == ["card"]
    assert "night" in text
    assert list(tmp_path.iterdir()) == []


async def test_two_demos_at_once_do_not_disturb_one_another(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        folder.mkdir()
    ends = await asyncio.gather(*(play(folder) for folder in folders))
    for code, scenes, text in ends:
        assert code == 0, text
        assert all(scene["ok"] for scene in scenes)


async def test_ctrl_c_among_the_passers_by_ends_everything(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    async with demo(tmp_path, "--passers-by", "--port", "0", "--folder", str(folder)) as process:
        begun = await text_of(process, "Passers-by come now")
        await text_of(process, "Granted")  # who comes by is drawn by lot: wait for somebody who may pass
        started = tree(process)
        ports = listening(started)
        assert len(started) == 2, "the program and the street"
        assert int(re.search(r"Console: http://127\.0\.0\.1:(\d+)", begun)[1]) in ports  # type: ignore[index]
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(WITHIN):
            out, err = await process.communicate()
        assert process.returncode == 0, (out.decode(), err.decode())
    assert "The accounts agree" in out.decode()
    _gone, alive = await asyncio.to_thread(psutil.wait_procs, started, 60)
    assert not alive
    assert not ports & {c.laddr.port for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    assert read_pulses(folder / "pulses.jsonl", cause=Cause.COMMAND), "nobody was let in"
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


async def test_a_demo_that_is_killed_takes_its_street_with_it(tmp_path: Path) -> None:
    async with demo(tmp_path, "--passers-by", "--port", "0") as process:
        await text_of(process, "Passers-by come now")
        started = tree(process)
        assert len(started) == 2, "the program and the street"
        process.kill()
        await process.wait()
    _gone, alive = await asyncio.to_thread(psutil.wait_procs, started, 60)
    assert not alive


async def test_a_folder_that_is_not_empty_is_not_touched(tmp_path: Path) -> None:
    folder = tmp_path / "full"
    folder.mkdir()
    (folder / "mine.txt").write_text("mine")
    code, scenes, text = await play(tmp_path, "--folder", str(folder))
    assert (code, scenes) == (1, [])
    assert "not empty" in text
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]
