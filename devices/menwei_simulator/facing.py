"""The faces of the street: two doors more, cameras before them, and what photos can and cannot do there.

The other doors know nothing of faces. The gate lets in by the face alone, which its config calls a demonstration: what
stands before it is a photo. One door asks to turn the head, and there a photo stays outside.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import menwei
import menwei_simulator
from menwei.supervisor import DeviceState
from menwei_simulator import photos
from menwei_simulator.cast import GATE, DemoDoor, Entered, Member
from menwei_simulator.photos import NoPhotos, Photos
from menwei_simulator.scene import (
    NOTHING,
    PATIENCE,
    SAME_CARD,
    TAKEN,
    Expected,
    Playing,
    Result,
    Scene,
    Story,
    StoryFailed,
    decides,
    passed,
    reasons,
    refused_by,
)

PACKAGES: Final = ("cv2", "deepface", "dlib", "face_recognition_models", "numpy")
UNIT_3 = DemoDoor("unit-3", "sim-unit-3", "simulator.demo.door.unit-3")
OFFICE = DemoDoor("office", "sim-office", "simulator.demo.door.office")
CAMERAS: Final[Mapping[str, str]] = {GATE.id: "cam-gate", UNIT_3.id: "cam-unit-3", OFFICE.id: "cam-office"}
"""Door → the device that looks at whoever stands before it."""
FACE = Member("demo-face", "周强", "04A7210D", ("residents",))
LONGEST_WAIT = 15
"""Seconds for the second factor: loading and looking take a few on a small machine."""
READY = 180.0
"""Seconds in which the networks are read, byte by byte, and loaded."""
SEEN = 40.0
"""Seconds until a scene with a face is given up."""
GIVES_UP = 8.0
"""Seconds after which somebody with a photo has had enough of being asked to turn the head; before `LONGEST_WAIT` is over."""
GONE = 2.5
"""Seconds with nobody before the camera between two people."""
START_SECONDS = 30.0
TOLD = "menwei_face.NotLive"
NOT_TOLD = "NotTold"
"""The decision of a scene in which a stranger was shown nothing."""
FACE_SCENES: Final = ("face-and-card", "face-alone", "face-stranger", "face-photo")


def wanted(folder: Path | None) -> Photos:
    """The photos to play: of `folder`, or the fetched ones. Blocks while they are fetched. Raises `NoPhotos`."""
    if missing := [package for package in PACKAGES if find_spec(package) is None]:
        raise NoPhotos("simulator.faces.packages", packages=", ".join(missing))
    return photos.own(folder) if folder is not None else photos.fetched()


class Screens:
    """The process of the cameras; the films are made when it is entered."""

    def __init__(self, folder: Path, played: Photos) -> None:
        self.port = 0
        self._folder, self._photos = folder / "films", played
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Screens:
        await asyncio.to_thread(self._make)
        roots = {str(Path(package.__path__[0]).parent) for package in (menwei, menwei_simulator)}
        path = os.pathsep.join([*sorted(roots), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
        names = [word for camera in CAMERAS.values() for word in ("--camera", camera)]
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "menwei_simulator.cameras", "--folder", str(self._folder), *names,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env=os.environ | {"PYTHONPATH": path},
            start_new_session=True,
        )  # fmt: skip
        self.port = (await self._answer())["port"]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            async with asyncio.timeout(START_SECONDS):
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def play(self, door: DemoDoor, film: str, hold: float = SEEN) -> None:
        """Somebody comes to this door and stands there for `hold` seconds; nobody with the film "". Raises `StoryFailed` when the camera
        does not obey."""
        assert self._process is not None
        assert self._process.stdin is not None
        order = {"camera": CAMERAS[door.id], "film": film, "hold": hold}
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        answer = await self._answer()
        if answer.get("ok") is not True:
            raise StoryFailed("simulator.faces.no_film", detail=str(answer.get("error")))

    async def leave(self, door: DemoDoor) -> None:
        """They go away, and the camera has seen that nobody is there."""
        await self.play(door, "")
        await asyncio.sleep(GONE)

    async def _answer(self) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            line = await self._process.stdout.readline()
        if not line:
            raise StoryFailed("simulator.faces.no_cameras")
        found: dict[str, Any] = json.loads(line)
        return found

    def _make(self) -> None:
        """All films as files. In a thread: it takes some seconds."""
        from menwei_simulator import film

        self._folder.mkdir()
        (self._folder / "wall.jpg").write_bytes(film.jpeg(film.wall()))
        for name, photo in (("resident", self._photos.resident), ("stranger", self._photos.stranger)):
            place = self._folder / name
            place.mkdir()
            for number, picture in enumerate(film.approach(photo)):
                (place / f"{number:04}.jpg").write_bytes(picture)


def with_faces(story: Story, screens: Screens, played: Photos) -> Story:
    """The street with its faces: further doors, plugins, devices, one more person, and four scenes after its own."""
    devices = {
        camera: {"driver": "camera", "url": f"http://127.0.0.1:{screens.port}/{camera}/mjpeg"}
        for camera in CAMERAS.values()
    }
    faces = {
        "allow": ["rights"],
        "demonstration": True,
        "doors": {
            GATE.id: {"liveness": "none", "alone": {"people": 5, "one_stranger_in": 40}},
            OFFICE.id: {"liveness": "head_turn"},
        },
    }

    def sections(now: float) -> Mapping[str, Any]:
        return {**story.sections(now), "devices": devices}

    async def enter(playing: Playing) -> None:
        await story.enter(playing)
        await _move_in(playing, played)

    residents = [
        {"access_points": [door.inside for door in (*story.doors, UNIT_3, OFFICE) if door.id != "flat-501"]}
    ]
    return replace(
        story,
        doors=(*story.doors, UNIT_3, OFFICE),
        plugins={**story.plugins, "camera": None, "face": faces},
        profiles={**story.profiles, "residents": residents},
        enter=enter,
        scenes=(*story.scenes, *scenes(screens)),
        points={**story.points, **_points(story)},
        sections=sections,
        before=(*story.before, ("face", "models", "install")),
    )  # fmt: skip


def scenes(screens: Screens) -> tuple[Scene, ...]:
    return (
        Scene("face-and-card", UNIT_3, "card-face", _card_and_face(screens, UNIT_3, "resident"), TAKEN, FACE),
        Scene("face-alone", GATE, "face", _face(screens, GATE, "resident"), TAKEN, FACE),
        Scene("face-stranger", GATE, "face", _stranger(screens, GATE), Expected(NOTHING)),
        Scene(
            "face-photo", OFFICE, "card-face", _card_and_face(screens, OFFICE, "resident", GIVES_UP, TOLD),
            Expected("AccessDenied", ("Other",), ("NotLive",), ("core",)), FACE,
        ),
    )  # fmt: skip


def _points(story: Story) -> Mapping[str, Mapping[str, Any]]:
    both = {"security_level": "Card and Face", "pin_timeout": LONGEST_WAIT}
    return {
        GATE.inside: {
            **story.points.get(GATE.inside, {}),
            "cameras": [CAMERAS[GATE.id]],
            "security_level": "Card or Face",
        },
        UNIT_3.inside: {"cameras": [CAMERAS[UNIT_3.id]], **both},
        OFFICE.inside: {"cameras": [CAMERAS[OFFICE.id]], **both},
    }


async def _move_in(playing: Playing, played: Photos) -> None:
    """One more person: entered at the desk with a card, enrolled by `menwei face enrol` with a recorded consent."""
    now = playing.house.clock.now()
    person = await playing.desk.post("/api/people", {"name": FACE.name, "external_id": FACE.key})
    card = await playing.desk.post(f"/api/people/{person['id']}/credentials", FACE.card_body(now))
    playing.people[FACE.key] = Entered(FACE, person["id"], card["id"])
    folder = playing.config.parent / "photos"
    names = await asyncio.to_thread(_lay_out, folder, played)
    day = time.strftime("%Y-%m-%d", time.gmtime(now))
    rows = f"编号,照片,同意,同意日期,未满14周岁\n{FACE.key},{';'.join(names)},是,{day},否\n"
    (folder / "list.csv").write_text(rows, encoding="utf-8")
    if await playing.run("face", "enrol", str(folder), str(folder / "list.csv")):
        raise StoryFailed("simulator.faces.not_enrolled")


async def _until_it_looks(playing: Playing) -> None:
    """The networks were loaded while the other scenes were played; on a small machine it takes longer than those.
    Raises `TimeoutError`."""
    if _looks(playing):
        return
    playing.tell("simulator.faces.loading", "dim")
    end = time.monotonic() + READY
    while not _looks(playing):
        if time.monotonic() > end:
            raise TimeoutError(f"no faces are recognised: {playing.house.recognizers.states()}")
        await asyncio.sleep(0.1)


def _looks(playing: Playing) -> bool:
    """Whether the networks are loaded and every camera sends pictures."""
    states = playing.house.recognizers.states()
    cameras = playing.house.supervisor.states()
    return all(state is DeviceState.READY for state, _ in states.values()) and all(
        cameras[camera][0] is DeviceState.READY for camera in CAMERAS.values()
    )


def _lay_out(folder: Path, played: Photos) -> list[str]:
    """The photos of the enrolment, which asks for three; where there are fewer, the last one mirrored as well."""
    from menwei_simulator import film

    folder.mkdir()
    names = []
    for number, photo in enumerate(played.enrolled):
        names.append(f"{number}.jpg")
        (folder / names[-1]).write_bytes(film.picture(photo))
    if len(names) < photos.LEAST_ENROLLED:
        names.append("mirrored.jpg")
        (folder / names[-1]).write_bytes(film.picture(played.enrolled[-1], mirrored=True))
    return names


def _face(screens: Screens, door: DemoDoor, film: str) -> Callable[[Playing], Awaitable[Result]]:
    """Somebody walks up and is known by the face."""

    async def play(playing: Playing) -> Result:
        await _until_it_looks(playing)
        stage = await playing.ready(door)
        released = asyncio.create_task(stage.released(within=SEEN))
        began = time.monotonic()
        try:
            await screens.play(door, film)
            return await _ended(playing, door, began, released)
        finally:
            released.cancel()
            await screens.leave(door)

    return play


def _card_and_face(
    screens: Screens, door: DemoDoor, film: str, hold: float = SEEN, told: str = ""
) -> Callable[[Playing], Awaitable[Result]]:
    """Somebody touches a card and looks into the camera, for `hold` seconds at the most."""

    async def play(playing: Playing) -> Result:
        await _until_it_looks(playing)
        stage = await playing.ready(door)
        released = asyncio.create_task(stage.released(within=SEEN))
        try:
            await screens.play(door, film, hold)
            last = playing.touches.get((door.id, door.reader, FACE.card), 0.0)
            await asyncio.sleep(max(1.5, last + SAME_CARD - time.monotonic()))
            began = playing.touches[door.id, door.reader, FACE.card] = time.monotonic()
            await stage.present(FACE.card)
            return await _ended(playing, door, began, released, told)
        finally:
            released.cancel()
            await screens.leave(door)

    return play


def _stranger(screens: Screens, door: DemoDoor) -> Callable[[Playing], Awaitable[Result]]:
    """Somebody whom nobody enrolled walks up: told so at the door, and nothing of it is recorded."""

    async def play(playing: Playing) -> Result:
        await _until_it_looks(playing)
        stage = await playing.ready(door)
        began = time.monotonic()
        await screens.play(door, "stranger")
        if not await stage.shown("denied", within=SEEN):
            return Result(NOT_TOLD)
        shown, latency = await stage.display(), time.monotonic() - began
        await screens.leave(door)
        kinds = [seen.entry.kind for seen in playing.diary.at(door.id) if decides(seen.entry)]
        return Result(kinds[0] if kinds else NOTHING, (), playing.events(door), None, latency, shown)

    return play


async def _ended(
    playing: Playing, door: DemoDoor, began: float, released: asyncio.Task[bool], told: str = ""
) -> Result:
    """What was decided, and, when the door opened, that somebody went through."""
    seen = await playing.diary.until(door.id, decides, SEEN)
    if seen is None:
        return Result(NOTHING, events=playing.events(door))
    entry, latency, stage = seen.entry, seen.at - began, playing.stage(door)
    if entry.kind == "AccessGranted":
        if not await released:
            raise TimeoutError("the lock was not released")
        latency = time.monotonic() - began
        await stage.walk_through(wait=PATIENCE)
        await playing.diary.until(door.id, passed, PATIENCE)
    if told:
        await playing.diary.until(door.id, lambda found: found.kind == told, PATIENCE)
    return Result(
        entry.kind,
        reasons(entry),
        tuple(dict.fromkeys(playing.events(door))),
        await playing.diary.holder(entry.position),
        latency,
        await stage.display(),
        refused_by(entry),
    )


async def joined(
    stack: AsyncExitStack, story: Story, folder: Path, faces: Path | None, tell: Callable[..., None]
) -> Story:
    """The story with its faces, or as it is where there are no photos or packages; then that is said."""
    try:
        played = await asyncio.to_thread(wanted, faces)
    except NoPhotos as error:
        if faces is not None:
            raise StoryFailed(error.key, **error.values) from None
        tell(error.key, "yellow", **error.values)
        return story
    tell("simulator.faces.films", "dim")
    return with_faces(story, await stack.enter_async_context(Screens(folder, played)), played)
