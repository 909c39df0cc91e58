"""Enrolment with real photos of faces: a list from the command line, a camera with guidance, and what is left after."""

# ruff: noqa: E402 (what can be skipped is asked for before it is imported)
from __future__ import annotations

import shutil
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
for package in ("cv2", "deepface", "dlib", "face_recognition_models", "numpy"):
    if find_spec(package) is None:
        pytest.skip(f"NO ENROLMENT OF REAL FACES TESTED: {package} is not installed", allow_module_level=True)

import cv2
import numpy as np
import yaml

from menwei import Actor, CredentialState, IdentifierType
from menwei.cardformats import normalise
from menwei.supervisor import DeviceState
from menwei_face import models
from menwei_face.consent import TEXT_VERSION, Said
from menwei_face.detect import HogDetector
from menwei_face.enrolment import Enrolment
from menwei_face.examiner import Examiner
from menwei_face.flaw import Flaw
from menwei_face.photos import Reject
from menwei_face.places import models_folder
from menwei_face.service import Faces
from menwei_face.sessions import State
from menwei_face.words import Recorder, Source
from menwei_simulator.controller import ControllerSpec
from peers import face_films, face_photos
from peers.http_camera import HttpCamera
from peers.street import Street
from program import Program
from street_site import TEST, running, write_config
from waiting import until

CONFIG = """\
site: {id: yard, name: 示范小区, language: en}
plugins:
  camera:
  face: {allow: [rights]}
  simulator:
devices:
  sim: {driver: simulator, host: 127.0.0.1, port: 9}
doors:
  gate: {lock: sim/1, access_points: {gate-in: {readers: [sim/in]}}}
profiles:
  residents: [{access_points: [gate-in]}]
"""
DESK = Recorder(Actor("li", "registrar"))
READY, SEEN = 120.0, 120.0


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    models.install(folder)
    return folder


@pytest.fixture(scope="session")
def photos():
    return {**face_photos.photos(), "astronaut": face_photos.astronaut()}


# ---------------------------------------------------------------------------------------------------- the real networks


async def test_each_flaw_of_a_photo_is_found_by_the_process_that_looks(home, photos):
    good = cv2.imread(str(photos["obama"]))
    scale = 700 / max(good.shape)
    small = cv2.resize(good, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    shown = {
        Flaw.BLURRED: cv2.GaussianBlur(small, (0, 0), 4),
        Flaw.TOO_DARK: (small * 0.2).astype(np.uint8),
        Flaw.TWO_FACES: np.hstack([small, small[:, ::-1]]),
        Flaw.NO_FACE: np.full((400, 400, 3), 128, np.uint8),
        Flaw.TILTED: cv2.warpAffine(
            small, cv2.getRotationMatrix2D((small.shape[1] / 2, small.shape[0] / 2), 19, 0.8), small.shape[1::-1]
        ),
    }  # fmt: skip
    examiner = Examiner(home)
    try:
        assert (await examiner.look("good", photos["obama"].read_bytes())).why == ()
        for flaw, picture in shown.items():
            jpeg = cv2.imencode(".jpg", picture)[1].tobytes()
            assert flaw in (await examiner.look(str(flaw), jpeg)).why, flaw
        for garbage in (b"", b"\xff\xd8\xff" + b"no picture" * 50, b"GIF89a" + bytes(40)):
            assert (await examiner.look("garbage", garbage)).why == (Reject.UNREADABLE,)
    finally:
        await examiner.close()


async def test_missing_networks_are_said(tmp_path):
    from menwei_face.examiner import ExaminerTrouble

    examiner = Examiner(tmp_path)
    with pytest.raises(ExaminerTrouble, match="ModelsNotReady"):
        await examiner.look("one", b"")
    await examiner.close()


# ------------------------------------------------------------------------------------------------------- from the list


def program_with(folder: Path, home: Path) -> Program:
    place = models_folder(folder / "var")
    place.parent.mkdir(parents=True)
    place.symlink_to(home)
    return Program(folder, CONFIG)


LIST = """\
编号,姓名,照片,同意,同意日期,未满14周岁
P01,林晓,,是,2026-03-01,否
P02,王五,b1.jpg;b2.jpg,是,2026-03-01,否
P03,赵六,c.jpg,否,2026-03-01,否
P04,孙七,n.jpg,是,2026-03-01,是
P99,无名,n.jpg2,是,2026-03-01,否
"""


async def test_a_list_is_checked_entered_entered_again_and_one_of_it_withdraws(tmp_path, home, photos):
    program = program_with(tmp_path, home)
    folder = tmp_path / "photos"
    (folder / "P01").mkdir(parents=True)
    for name in ("obama", "obama2", "obama3"):
        shutil.copy(photos[name], folder / "P01" / f"{name}.jpg")
    shutil.copy(photos["biden"], folder / "b1.jpg")
    cv2.imwrite(str(folder / "b2.jpg"), cv2.GaussianBlur(cv2.imread(str(photos["biden"])), (0, 0), 25))
    shutil.copy(photos["astronaut"], folder / "c.jpg")
    shutil.copy(photos["astronaut"], folder / "n.jpg")
    (tmp_path / "list.csv").write_bytes(LIST.encode("gb18030"))
    for number in range(1, 5):
        await program(
            "people", "add", f"somebody {number}", "--external-id", f"P0{number}", "--card", f"uid:0A0B0C0{number}",
            "--profile", "residents",
        )  # fmt: skip

    dry = await program.json("face", "enrol", "photos", "list.csv", "--dry-run", code=1)
    assert (dry["would"], dry["enrolled"], dry["rejected"]) == (1, 0, 4)
    assert len(list((folder / "P01").iterdir())) == 3

    told = await program.json("face", "enrol", "photos", "list.csv", code=1)
    assert (told["enrolled"], told["already"], told["rejected"]) == (1, 0, 4)
    reasons = {row["row"]: row["reason"] for row in told["rows"] if row["result"] == "rejected"}
    assert reasons == {
        3: "too_few", 4: "face.consent.not_agreed", 5: "face.consent.guardian_missing", 6: "face.enrol.no_person",
    }  # fmt: skip
    assert any("b2.jpg" in photo for photo in next(r for r in told["rows"] if r["row"] == 3)["photos"])
    assert list((folder / "P01").iterdir()) == [], "the photos of who is enrolled are gone"
    assert (folder / "b1.jpg").exists(), "those of a rejected row are left to be mended"

    again = await program("face", "enrol", "photos", "list.csv", code=1)
    assert "1 people were enrolled before" in again
    assert "Fewer than three photos" in again

    mark = photos["obama"].read_bytes()[2000:2064]
    files = [file for file in (tmp_path / "var").rglob("*") if file.is_file() and "models" not in file.parts]
    assert files
    assert [file.name for file in files if mark in file.read_bytes()] == []

    receipt = await program("face", "withdraw", "P01", "--external-id", "--yes")
    assert "Templates destroyed: 3" in receipt
    assert "Key destroyed: yes" in receipt
    assert "never sent to controllers" in receipt
    await program("face", "withdraw", "P01", "--external-id", "--yes", code=1)

    for name in ("obama", "obama2", "obama3"):  # the same paper does not bring back who has withdrawn
        shutil.copy(photos[name], folder / "P01" / f"{name}.jpg")
    told = await program.json("face", "enrol", "photos", "list.csv", code=1)
    assert next(row for row in told["rows"] if row["row"] == 2)["reason"] == "face.consent.older"


# ---------------------------------------------------------------------------------------------------- before the camera


def configure(folder, street, camera, home):
    point = {"readers": ["sim-a/in"], "cameras": ["gate-cam"], "security_level": "Card and Face"}
    path = write_config(folder, street, {"gate": {"lock": "sim-a/1", "access_points": {"gate-in": point}}})
    config = yaml.safe_load(path.read_text("utf-8"))
    config["plugins"] |= {"camera": None, "face": {"allow": ["rights"]}}
    config["devices"]["gate-cam"] = {"driver": "camera", "url": camera.url("mjpeg"), "stall": 5.0}
    path.write_text(yaml.safe_dump(config, allow_unicode=True), "utf-8")
    place = models_folder(folder / "var")
    place.parent.mkdir(parents=True)
    place.symlink_to(home)
    return path


async def signed_in():
    return True


def film(photos, *names):
    """Somebody before the camera who moves a little: several photos of one person, each for a while."""
    detector, shots = HogDetector(), []
    for name in names:
        picture = face_films.photo(photos[name])
        box = detector.find(picture)[0].box
        shots += face_films.standing(picture, (*box.center, box.width)) * 3
    return shots


async def test_before_a_camera_somebody_is_guided_enrolled_and_withdrawn(tmp_path, home, photos):
    async with AsyncExitStack() as stack:
        camera = stack.enter_context(HttpCamera(face_films.nobody(), interval=0.1))
        street = await stack.enter_async_context(Street(tmp_path, [ControllerSpec("sim-a")]))
        house = await stack.enter_async_context(running(configure(tmp_path, street, camera, home)))
        enrolment, faces = house.service(Enrolment), house.service(Faces)
        await until(lambda: house.supervisor.state("gate-cam") is DeviceState.READY, READY)
        card = normalise("uid", "04A1B2C3")
        holder = await house.people.add("林晓", cards=[card], profiles=["residents"], actor=TEST)
        await enrolment.agree(DESK, holder, Said(True, TEXT_VERSION, "zh-CN", under_14=False))
        session = await enrolment.sessions.begin(DESK, holder, "gate-cam", signed_in)

        def stands():
            return enrolment.sessions.watch(session.id)

        await until(lambda: stands().guidance == ("no_face",), READY)
        camera.jpegs[:] = film(photos, "obama", "obama2", "obama3")
        await until(lambda: stands().state.over, SEEN)
        assert (session.state, session.says) == (State.DONE, "face.camera.done")
        assert session.pictures == []
        found = (await enrolment.standing(holder)).enrolled
        assert (found.source, found.templates >= 3) == (Source.CAMERA, True)
        assert faces.enrolled() == {found.subject}
        receipt = await enrolment.withdraw(DESK, holder)
        assert (receipt.templates, receipt.key_destroyed) == (found.templates, True)
        assert faces.enrolled() == frozenset()
        kinds = {kind: one for one in house.rights.snapshot.of_holder(holder) for kind in one.factors}
        assert kinds[IdentifierType.FACE].state is CredentialState.ENDED
        assert kinds[IdentifierType.CARD].state is CredentialState.ENABLED


async def test_two_people_taking_turns_before_the_camera_are_not_enrolled_as_one(tmp_path, home, photos):
    async with AsyncExitStack() as stack:
        camera = stack.enter_context(HttpCamera(film(photos, "obama"), interval=0.1))
        street = await stack.enter_async_context(Street(tmp_path, [ControllerSpec("sim-a")]))
        house = await stack.enter_async_context(running(configure(tmp_path, street, camera, home)))
        enrolment = house.service(Enrolment)
        await until(lambda: house.supervisor.state("gate-cam") is DeviceState.READY, READY)
        card = normalise("uid", "04A1B2C3")
        holder = await house.people.add("林晓", cards=[card], profiles=["residents"], actor=TEST)
        await enrolment.agree(DESK, holder, Said(True, TEXT_VERSION, "zh-CN", under_14=False))
        session = await enrolment.sessions.begin(DESK, holder, "gate-cam", signed_in)
        await until(lambda: enrolment.sessions.watch(session.id).have >= 1, READY)
        camera.jpegs[:] = film(photos, "biden")
        await until(lambda: enrolment.sessions.watch(session.id).guidance == ("somebody_else",), SEEN)
        ended = await enrolment.sessions.end(session.id)
        assert (ended.state, ended.pictures) == (State.ENDED, [])
        assert (await enrolment.standing(holder)).enrolled is None
