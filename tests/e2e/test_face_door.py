"""Faces at a simulated door, from the camera to the lock: the real program, the real networks, real photos."""

# ruff: noqa: E402 (what can be skipped is asked for before it is imported)
from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e
for package in ("cv2", "deepface", "dlib", "face_recognition_models", "numpy"):
    if find_spec(package) is None:
        pytest.skip(f"NO FACE AT A DOOR TESTED: {package} is not installed", allow_module_level=True)

import cv2
import yaml

from menwei import CredentialIdentifier, IdentifierType
from menwei.cardformats import normalise
from menwei.supervisor import DeviceState
from menwei_camera.service import Cameras
from menwei_face import models
from menwei_face.detect import HogDetector
from menwei_face.embed import open_embedder
from menwei_face.match import template
from menwei_face.photo import examine
from menwei_face.places import models_folder
from menwei_face.service import Faces
from menwei_face.subject import identifier, new_subject
from menwei_simulator.controller import ControllerSpec
from peers import face_films, face_photos
from peers.http_camera import HttpCamera
from peers.rtsp_camera import rtsp_camera
from peers.street import Street
from street_site import TEST, recorded, running, write_config
from waiting import until

CARD, OTHER_CARD = "04A1B2C3", "04D4E5F6"
PIN = IdentifierType.PIN
ALONE = {
    "demonstration": True,
    "doors": {"gate": {"liveness": "none", "alone": {"people": 5, "one_stranger_in": 40}}},
}
"""A face alone opens, and no liveness is checked: photos stand before this gate."""
BENCH = Path(__file__).parents[2] / "bench"
READY = 180.0
"""Seconds in which the networks are loaded, on a machine that has other things to do."""
SEEN = 90.0


class People:
    """The photos and what the networks make of them."""

    def __init__(self, home):
        cv2.setNumThreads(1)
        detector, embedder = HogDetector(), open_embedder(home)
        files = {**face_photos.photos(), "astronaut": face_photos.astronaut()}
        self.pictures = {name: face_films.photo(file) for name, file in files.items()}
        found = {name: examine(picture, detector, embedder).face for name, picture in self.pictures.items()}
        self.vectors = {name: face.vector for name, face in found.items()}
        self.boxes = {name: face.box for name, face in found.items()}
        self.places = {name: (*face.box.center, face.box.width) for name, face in found.items()}

    def film(self, how, name):
        return how(self.pictures[name], self.places[name])


@pytest.fixture(scope="session")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    models.install(folder)
    return folder


@pytest.fixture(scope="session")
def people(home):
    return People(home)


def configure(folder, street, url, level="Card and Face", faces=None, pin_timeout=30):
    point = {
        "readers": ["sim-a/in"],
        "cameras": ["gate-cam"],
        "security_level": level,
        "pin_timeout": pin_timeout,
    }
    points = {"gate-in": point, "gate-out": {"readers": ["sim-a/out"]}}
    doors = {"gate": {"lock": "sim-a/1", "release_time": 1, "access_points": points}}
    path = write_config(folder, street, doors)
    config = yaml.safe_load(path.read_text("utf-8"))
    config["plugins"] |= {"camera": None, "face": {"allow": ["rights"], **(faces or {})}}
    config["devices"]["gate-cam"] = {"driver": "camera", "url": url, "stall": 5.0, "open_timeout": 10.0}
    path.write_text(yaml.safe_dump(config, allow_unicode=True), "utf-8")
    return path


class Gate:
    """A gate with a reader and a camera, and the people who live behind it."""

    def __init__(self, camera, street, house, people):
        self.camera, self.house, self.people = camera, house, people
        self.stage = street.at("sim-a")

    @property
    def faces(self):
        return self.house.service(Faces)

    def before(self, how, name):
        """From now on the camera sees this."""
        self.camera.jpegs[:] = self.people.film(how, name)

    def looks(self):
        return (
            self.house.recognizers.states().get("face.faces", ("",))[0] is DeviceState.READY
            and self.house.supervisor.state("gate-cam") is DeviceState.READY
        )

    async def moves_in(self, card, photos, *codes):
        """A person with a card and a face; the subject of the face."""
        subject = new_subject()
        means = [normalise("uid", card), *(CredentialIdentifier(PIN, "code", code) for code in codes)]
        holder = await self.house.people.add("林晓", cards=means, profiles=["residents"], actor=TEST)
        await self.faces.enrol(subject, [template(self.people.vectors[photo]) for photo in photos], 1.0)
        await self.house.people.add_credential(
            holder, [identifier(subject)], profiles=["residents"], actor=TEST
        )
        return subject

    async def entries(self, *kinds):
        return await self.house.journal.read(kinds=kinds)

    async def displayed(self, words):
        """What the reader's display says, as soon as these words are in it."""
        async with asyncio.timeout(SEEN):
            while words not in (shown := await self.stage.display()):
                await asyncio.sleep(0.05)
        return shown

    async def card_opens(self):
        """The other side of the gate asks for a card alone."""
        await self.stage.present(CARD, reader="out")
        return await self.stage.walk_through(wait=SEEN)


@asynccontextmanager
async def gate(folder, home, people, url=None, **settings):
    async with AsyncExitStack() as stack:
        camera = stack.enter_context(HttpCamera(face_films.nobody(), interval=0.1))
        street = await stack.enter_async_context(Street(folder, [ControllerSpec("sim-a")]))
        path = configure(folder, street, url or camera.url("mjpeg"), **settings)
        if home is not None:
            place = models_folder(folder / "var")
            place.parent.mkdir(parents=True)
            place.symlink_to(home)
        house = await stack.enter_async_context(running(path))
        yield Gate(camera, street, house, people)


async def test_a_card_and_the_face_it_belongs_to_open_the_door(tmp_path, home, people):
    async with gate(tmp_path, home, people) as it:
        await it.moves_in(CARD, ["obama2", "obama3"])
        await until(it.looks, READY)
        it.before(face_films.standing, "obama")
        await it.stage.present(CARD)
        assert await it.stage.walk_through(wait=SEEN)
        (granted,) = await recorded(it.house, "AccessGranted")
        assert granted.data["factors"] == ["Card", "Face"]
        assert granted.data["recognition"]["recognizer"] == "face.faces"
        assert granted.data["recognition"]["liveness"] == "none"
        assert 0.5 < granted.data["recognition"]["score"] < 1.0


async def test_somebody_elses_face_does_not_open_with_the_card_and_the_person_is_told(tmp_path, home, people):
    async with gate(tmp_path, home, people, pin_timeout=12) as it:
        await it.moves_in(CARD, ["obama2", "obama3"])
        await it.moves_in(OTHER_CARD, ["biden"])
        await until(it.looks, READY)
        it.before(face_films.standing, "biden")
        await it.stage.present(CARD)
        assert await it.stage.shown("denied", reader="in", within=SEEN)
        (denied,) = await recorded(it.house, "AccessDenied", seconds=SEEN)
        assert denied.data["says"] == "door.timeout"
        assert await it.entries("AccessGranted") == []
        it.before(face_films.standing, "biden")
        await it.stage.present(OTHER_CARD)
        assert await it.stage.walk_through(wait=SEEN)


async def test_a_code_and_the_face_it_belongs_to_open_the_door(tmp_path, home, people):
    async with gate(tmp_path, home, people, level="PIN and Face") as it:
        await it.moves_in(CARD, ["obama2", "obama3"], "27182818")
        await until(it.looks, READY)
        it.before(face_films.standing, "obama")
        await it.stage.type("27182818", reader="in")
        assert await it.stage.walk_through(wait=SEEN)
        (granted,) = await recorded(it.house, "AccessGranted")
        assert granted.data["factors"] == ["Face", "PIN"]


async def test_a_resident_who_walks_up_is_let_in_by_the_face_alone_and_a_stranger_leaves_no_trace(
    tmp_path, home, people
):
    async with gate(tmp_path, home, people, level="Face", faces=ALONE) as it:
        await it.moves_in(CARD, ["obama2", "obama3"])
        await until(it.looks, READY)
        it.before(face_films.approaching, "astronaut")
        assert await it.stage.shown("denied", reader="in", within=SEEN)
        assert await it.entries("AccessGranted", "AccessDenied") == []
        it.camera.jpegs[:] = face_films.nobody()
        await asyncio.sleep(2)
        it.before(face_films.approaching, "obama")
        assert await it.stage.walk_through(wait=SEEN)
        (granted,) = await recorded(it.house, "AccessGranted")
        assert granted.data["factors"] == ["Face"]
        assert await it.entries("AccessDenied") == []
        assert len(it.faces.enrolled()) == 1


async def test_a_withdrawn_face_opens_nothing_a_second_later_and_the_card_goes_on(tmp_path, home, people):
    async with gate(tmp_path, home, people) as it:
        subject = await it.moves_in(CARD, ["obama2", "obama3"])
        await until(it.looks, READY)
        it.before(face_films.standing, "obama")
        await it.stage.present(CARD)
        assert await it.stage.walk_through(wait=SEEN)
        receipt = await it.faces.withdraw(subject)
        assert (receipt.templates, receipt.key_destroyed) == (2, True)
        await asyncio.sleep(1)
        await it.stage.present(CARD)
        assert await it.stage.shown("denied", reader="in", within=SEEN)
        assert len(await it.entries("AccessGranted")) == 1
        assert await it.card_opens()


async def test_whoever_enrols_or_moves_in_while_the_camera_looks_is_known_a_second_later(
    tmp_path, home, people
):
    async with gate(tmp_path, home, people, level="Face", faces=ALONE) as it:
        await until(it.looks, READY)
        await it.moves_in(CARD, ["obama2", "obama3"])
        await asyncio.sleep(1)
        it.before(face_films.approaching, "obama")
        assert await it.stage.walk_through(wait=SEEN)


async def test_a_print_that_is_turned_before_the_camera_does_not_open_where_a_head_must_turn(
    tmp_path, home, people
):
    settings = {"doors": {"gate": {"liveness": "head_turn"}}}
    async with gate(tmp_path, home, people, faces=settings) as it:
        await it.moves_in(CARD, ["obama2", "obama3"])
        await until(it.looks, READY)
        it.before(face_films.print_turned, "obama")
        await it.stage.present(CARD)
        await it.displayed("转头")
        (failed, *_) = await recorded(it.house, "menwei_face.NotLive", seconds=60)
        assert (failed.access_point, failed.data["method"]) == ("gate-in", "head_turn")
        assert failed.kind in it.house.shows()  # a guard sees it go by
        assert await it.entries("AccessGranted") == []
        assert await it.card_opens()


def turning(prints, photo, degrees):
    """The bench's rendered head, still, turned by so much and back; the man of this photo looks 4° past the camera."""
    swing = prints.swing(1.0)
    film = prints.film(photo, prints.head, lambda part: (4 + degrees * swing(part)[0], 0.0, 0.0), seconds=5.0)
    return face_films.jpegs(frame for _, frame in film)


async def test_a_rendered_head_that_turns_as_asked_opens_and_the_record_says_so(
    tmp_path, home, people, monkeypatch
):
    """No film of a real person turning is to be had; the head is the bench's: a photo on a body with a nose."""
    monkeypatch.syspath_prepend(str(BENCH))
    import prints

    photo = prints.crop(people.pictures["obama"], people.boxes["obama"])
    films = {"左": turning(prints, photo, 33), "右": turning(prints, photo, -33)}
    settings = {"doors": {"gate": {"liveness": "head_turn"}}}
    async with gate(tmp_path, home, people, faces=settings) as it:
        await it.moves_in(CARD, ["obama2", "obama3"])
        await until(it.looks, READY)
        it.camera.jpegs[:] = films["左"][:1]
        await it.stage.present(CARD)
        for _ in range(2):  # as often as a person is asked
            asked = await it.displayed("转头")
            (side,) = [side for side in films if side in asked]
            it.camera.jpegs = face_films.Once(films[side])
            if await it.stage.walk_through(wait=10):
                break
        (granted,) = await recorded(it.house, "AccessGranted")
        assert granted.data["recognition"]["liveness"] == "head_turn"


async def test_without_the_files_of_the_networks_cards_open_and_the_installer_is_told(tmp_path, home, people):
    async with gate(tmp_path, None, people) as it:
        await it.moves_in(CARD, ["obama2"])
        await until(lambda: it.house.recognizers.states()["face.faces"][0] is DeviceState.RETRYING)
        assert await it.card_opens()
        told = [it.house.messages.t("zh-CN", one.message, **one.values) for one in it.house.repairs()]
        assert any("dlib_face_recognition_resnet_model_v1.dat" in one for one in told)
        place = models_folder(tmp_path / "var")
        place.symlink_to(home)  # the installer puts them there: nothing needs a restart
        await until(it.looks, READY)
        assert "face-model" not in str([one.key for one in it.house.repairs()])


async def test_after_a_crash_of_the_worker_the_face_opens_again(tmp_path, home, people):
    async with gate(tmp_path, home, people) as it:
        await it.moves_in(CARD, ["obama2", "obama3"])
        await until(it.looks, READY)
        cameras = it.house.service(Cameras)
        os.kill(cameras.worker_pid, signal.SIGSEGV)
        await until(lambda: cameras.crashes == 1)
        assert await it.card_opens()
        await until(it.looks, READY)
        it.before(face_films.standing, "obama")
        await it.stage.present(CARD)
        assert await it.stage.walk_through(wait=SEEN)


async def test_an_rtsp_camera_serves_a_door_like_any_other(tmp_path, home, people):
    film = people.film(face_films.standing, "obama") * 5
    with rtsp_camera(tmp_path, film) as url:
        async with gate(tmp_path, home, people, url=url) as it:
            await it.moves_in(CARD, ["obama2", "obama3"])
            await until(it.looks, READY)
            await it.stage.present(CARD)
            assert await it.stage.walk_through(wait=SEEN)
