"""A list is enrolled row by row over the API: what happens to the photos, and how an interrupted run goes on. In place of
the process that looks at photos stands one that reads the answer off the file."""

# ruff: noqa: E402 (what can be skipped is asked for before it is imported)
from __future__ import annotations

import pytest

np = pytest.importorskip("numpy", reason="NO FACE CODE TESTED: the extra 'face' (numpy) is not installed")

import aiohttp
from aiohttp.test_utils import TestServer
from typer import Exit

from face_house import face, face_house
from menwei.cli_client import Api
from menwei.web import application
from menwei_face import bulk
from menwei_face.consent import TEXT_VERSION
from menwei_face.enrol_commands import Result, _enrol_one
from menwei_face.examiner import ExaminerTrouble
from menwei_face.flaw import Flaw
from menwei_face.match import template
from menwei_face.photos import Looked
from menwei_face.quality import Quality
from small_house import HOUSE

GOOD = Quality(80.0, 100.0, 0.02, 1.0, 130.0, 0.0, 2.0)
SAID = {"agreed": True, "version": TEXT_VERSION, "given": "2026-03-01", "age": "older"}


class Reader:
    async def look(self, name: str, photo: bytes) -> Looked:
        if photo == b"trouble":
            raise ExaminerTrouble("weights are missing")
        who, _, number = photo.decode().partition(" ")
        return (
            Looked(name, (), template(face(who, int(number))), GOOD)
            if number
            else Looked(name, (Flaw.BLURRED,))
        )

    async def close(self) -> None:
        """Nothing was opened."""


@pytest.fixture
async def house(tmp_path):
    data = tmp_path / "data"
    async with face_house(data) as opened:
        opened.enrolment._examiner = Reader()
        yield opened


@pytest.fixture
async def service(house):
    """The API as the committee's account sees it, with the names of people."""
    app = application(house, [route for plugin in house.plugins.values() for route in plugin.routes])
    app[HOUSE] = house
    async with TestServer(app, host="127.0.0.1") as server:
        base = str(server.make_url("")).rstrip("/")
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(cookie_jar=jar) as session:
            opened = Api(session, {"Accept-Language": "en", "Origin": base}, base)
            await opened.sign_in("admin", house.first_password)
            yield opened


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "photos"
    for person, photos in {
        "P01": ("lin 1", "lin 2", "lin 3"),
        "P02": ("wang 1", "blurred", "wang 2"),
    }.items():
        (made / person).mkdir(parents=True)
        for number, photo in enumerate(photos):
            (made / person / f"{number}.jpg").write_bytes(photo.encode())
    return made


def row(external_id="P01", name="", photos=()):
    return bulk.Row(2, external_id, name, tuple(photos), SAID)


def names(folder):
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*.jpg"))


async def test_photos_of_who_is_enrolled_are_deleted_and_the_others_stay_to_be_mended(house, service, folder):
    for number in ("P01", "P02"):
        await house.person(number.replace("P", "04"), external_id=number)
    told = await _enrol_one(service, folder, row(), False, False)
    assert (told.result, told.left) == (Result.ENROLLED, 0)
    told = await _enrol_one(service, folder, row("P02"), False, False)
    assert (told.result, told.reason, told.left) == (Result.REJECTED, "too_few", 3)
    assert [name for name, _why in told.photos] == ["1.jpg"]
    assert names(folder) == ["P02/0.jpg", "P02/1.jpg", "P02/2.jpg"]


async def test_a_dry_run_writes_and_deletes_nothing(house, service, folder):
    holder = await house.person(external_id="P01")
    assert (await _enrol_one(service, folder, row(), True, False)).result is Result.WOULD
    assert (await house.enrolment.standing(holder)).consent is None
    assert len(names(folder)) == 6


async def test_a_run_that_was_interrupted_goes_on_and_cleans_up(house, service, folder):
    """The service had enrolled; before the photos were deleted the power went."""
    await house.person(external_id="P01")
    assert (await _enrol_one(service, folder, row(), False, True)).left == 3
    assert len(names(folder)) == 6
    before = await house.known()
    told = await _enrol_one(service, folder, row(), False, False)
    assert (told.result, told.left) == (Result.ALREADY, 0)
    assert names(folder) == ["P02/0.jpg", "P02/1.jpg", "P02/2.jpg"]
    assert (await _enrol_one(service, folder, row(), False, False)).result is Result.ALREADY
    assert await house.known() == before


async def test_people_are_found_by_a_name_that_only_one_of_them_has(house, service, folder):
    await house.person("0401", "林晓")
    await house.person("0402", "王五")
    await house.person("0403", "王五")
    photos = [f"P01/{number}.jpg" for number in range(3)]
    told = await _enrol_one(service, folder, row("", "王五", photos), False, False)
    assert told.reason == "face.list.several"
    told = await _enrol_one(service, folder, row("", "林", photos), False, False)
    assert told.reason == "face.enrol.no_person", "part of a name is nobody's"
    assert (
        await _enrol_one(service, folder, row("", "林晓", photos), False, False)
    ).result is Result.ENROLLED


async def test_a_row_whose_person_has_no_other_way_in_is_rejected_with_that_reason(house, service, folder):
    await house.person(carded=False, external_id="P01")
    told = await _enrol_one(service, folder, row(), False, False)
    assert (told.result, told.reason) == (Result.REJECTED, "face.enrol.no_other_way")


async def test_missing_networks_end_the_run_instead_of_rejecting_every_row(house, service, folder):
    await house.person(external_id="P01")
    (folder / "P01" / "0.jpg").write_bytes(b"trouble")
    with pytest.raises(Exit):
        await _enrol_one(service, folder, row(), False, False)
    assert len(names(folder)) == 6
