"""The installer's and the desk's way, by the real program: from an empty folder to a door that opens, and back."""

import asyncio
import json
import os

import pytest

from menwei_simulator.controller import ControllerSpec
from peers.street import Street
from program import Program

pytestmark = pytest.mark.e2e

CARD = "04A1B2C3"
CONFIG = """\
site: {{id: yard, name: 示范小区, language: en}}
web: {{port: {port}}}
plugins:
  simulator:
"""
PROFILES = """\
profiles:
  residents: [{access_points: [gate-in], schedule: always}]
"""


@pytest.fixture
async def street(tmp_path):
    spec = ControllerSpec(f"sim-{os.getpid()}-gate")
    async with Street(tmp_path, [spec], announce=True) as street:
        street.id = spec.id  # type: ignore[attr-defined]
        yield street


@pytest.fixture
def program(tmp_path, unused_tcp_port):
    return Program(tmp_path, CONFIG.format(port=unused_tcp_port))


async def until(condition, seconds: float = 60.0):
    """Wait for a condition; what it last said is in the failure."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        value = await condition()
        if value:
            return value
        assert asyncio.get_running_loop().time() < end, f"not within {seconds} s"
        await asyncio.sleep(0.2)


async def test_from_an_empty_folder_to_an_open_door_and_back(program, street):
    assert "fine" in await program("check")

    found = {device["id"] for device in await program.json("discover")}
    assert street.id in found

    adopted = await program.json(
        "adopt", street.id, "--id", "sim-gate", "--door", "gate=小区门", "--access-point", "gate-in=in"
    )
    assert adopted["doors"] == ["gate"]
    assert "sim-gate" in (program.folder / "adopted.yaml").read_text("utf-8")
    with (program.folder / "config.yaml").open("a", encoding="utf-8") as file:
        file.write(PROFILES)
    assert "fine" in await program("check")

    async with program.running():
        await until(street.at(street.id).served)
        holder = (
            await program.json("people", "add", "林晓", "--card", f"uid:{CARD}", "--profile", "residents")
        )["id"]
        assert (await program.json("explain", "--holder", str(holder), "--access-point", "gate-in"))[
            "outcome"
        ] == "AccessGranted"

        await street.at(street.id).present(CARD, reader="in")
        await until(lambda: asyncio.sleep(0, street.pulses()))
        (entry,) = [e for e in await journal(program, "gate") if e["kind"] == "AccessGranted"]
        assert street.pulses()[0].passage == entry["position"]
        day, clock = entry["time"][:10], entry["time"][11:19]
        assert f"{entry['position']}  {day} {clock}+08:00  " in await program(
            "journal", "show", "--door", "gate"
        )

        await program("people", "end", str(holder))
        refused = await program.json("explain", "--holder", str(holder), "--access-point", "gate-in")
        assert refused["outcome"] == "AccessDenied"
        assert "CredentialNotEnabled" in refused["reasons"]
        assert (await program.json("journal", "verify"))["ok"]

    # With the service stopped, the same commands work on their own.
    assert (await program.json("journal", "verify"))["ok"]
    assert "CredentialNotEnabled" in await program(
        "explain", "--holder", str(holder), "--access-point", "gate-in"
    )
    people = await program.json("people", "list")
    assert [person["name"] for person in people] == [None], (
        "names are sealed: the operator does not read them"
    )


async def journal(program, door):
    lines = (await program("journal", "show", "--door", door, "--json")).splitlines()
    return [json.loads(line) for line in lines]


async def test_a_query_by_person_needs_a_reason_and_is_recorded(program):
    assert "The service is not running" in await program.said("doctor", code=None)
    holder = (await program.json("people", "add", "王建国"))["id"]
    assert "--reason" in await program.said("journal", "show", "--holder", str(holder), code=1)
    await program("journal", "show", "--holder", str(holder), "--reason", "asked at the desk")
    await program("journal", "export", "--reason", "backup", "--to", "out.jsonl", "--who")
    assert (program.folder / "out.jsonl").stat().st_mode & 0o777 == 0o600
    await program("journal", "export", "--reason", "x", "--to", "no.jsonl", code=1)  # too short a reason
    assert not (program.folder / "no.jsonl").exists()
    entries = [json.loads(line) for line in (program.folder / "out.jsonl").read_text("utf-8").splitlines()]
    looks = [entry for entry in entries if entry["data"].get("action") == "journal.by_holder"]
    assert [entry["personal"]["reason"] for entry in looks] == ["asked at the desk"]


async def test_a_second_service_on_the_same_data_is_refused_in_a_sentence(program):
    async with program.running() as first:
        refused = await program.said("run", code=1)
        assert str(first.process.pid) in refused
        assert "Traceback" not in refused


async def test_ten_mistakes_in_one_config_are_ten_located_messages(program):
    (program.folder / "config.yaml").write_text(TEN_MISTAKES, "utf-8")
    problems = await program.json("check", code=1)
    assert len(problems) == 10
    assert len({(problem["line"], problem["path"]) for problem in problems}) == 10
    assert all(problem["file"].endswith("config.yaml") and problem["message"] for problem in problems)


TEN_MISTAKES = """\
site: {id: Yard!, time_zone: Asia/Shanghay}
web: {port: 99999}
pluggins: {simulator: }
devices:
  sim-gate: {host: 127.0.0.1}
doors:
  gate:
    lock: sim-gate/1
    release_time: soon
    access_points:
      gate-in: {readers: [sim-gaet/in], security_level: Kard, policies: [quiet]}
schedules:
  night: {weekly: ["Mon-Sun 25:00-06:00"]}
"""


async def test_nothing_is_written_when_the_connection_test_fails(program, street):
    await street.kill()
    before = sorted(path.name for path in program.folder.iterdir())
    refused = await program.said("adopt", "no-such-device", "--door", "gate=小区门", code=1)
    assert "Traceback" not in refused
    assert sorted(path.name for path in program.folder.iterdir() if path.name != "var") == before
    assert not (program.folder / "adopted.yaml").exists()


async def test_a_site_may_lie_in_a_folder_however_deep(tmp_path, unused_tcp_port):
    deep = tmp_path / ("deep-" * 12) / ("deeper-" * 12)
    deep.mkdir(parents=True)
    program = Program(deep, CONFIG.format(port=unused_tcp_port))
    async with program.running():
        assert await program.json("people", "list") == []


async def test_an_unknown_command_is_answered_with_the_nearest_one(program):
    assert "people" in await program.said("peeple", code=2)
