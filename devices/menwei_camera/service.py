"""The service behind cameras and recognizers: keeps the one worker alive and passes on what it says.

Other plugins use `Cameras.look` and `Cameras.snapshot` (their manifest names `permissions: {services: [camera]}`).
Everything runs in the loop's thread.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from menwei import Config, NotReady, Repair, Service
from menwei_camera.looking import LookSpec
from menwei_camera.process import WorkerProcess
from menwei_camera.stream import StreamSpec

FIRST_RETRY, LONGEST_RETRY = 0.2, 30.0
STEADY = 60.0
"""Seconds after which a worker counts as having worked: the next crash is a new one, and mended at once."""
SNAPSHOT = 3.0
NO_OPENCV = "OpenCV is not installed: pip install 'menwei[camera]'"


class CameraOptions(Config):
    """The plugin has no options of its own: cameras are devices."""


@dataclass(frozen=True, slots=True)
class Live:
    """The first frame has come."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Lost:
    why: str
    refused: bool = False


Told = Callable[[Live | Lost], None]
Happened = Callable[[str, Mapping[str, Any]], None]
"""A looker's event: camera, event."""


class Looking:
    """A recognizer's hold on its lookers. `ready` is set while they look; cleared when the worker is lost."""

    def __init__(self, cameras: Cameras, spec: LookSpec, happened: Happened) -> None:
        self._cameras = cameras
        self.spec = spec
        self.happened = happened
        self.ready = asyncio.Event()
        self.lost = asyncio.Event()
        self.trouble = ""

    def tell(self, camera: str, message: Any) -> None:
        """Hand `message` (picklable) to the looker of a camera. A worker that begins anew knows nothing of it."""
        self._cameras.say("tell", self.spec.name, camera, message)

    async def serve(self, on_ready: Callable[[], None]) -> None:
        """Wait until the lookers look, call `on_ready`, go on until they are lost. Raises `NotReady` with why, always:
        what a recognizer's `run` wants to do."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self.ready, self.lost)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if not self.lost.is_set():
                on_ready()
                await self.lost.wait()
        finally:
            for wait in waits:
                wait.cancel()
        raise NotReady(self.trouble or "the camera worker is lost")

    def close(self) -> None:
        self._cameras.unlook(self)


class Cameras(Service):
    """All cameras of the site and what looks through them. A failure here is one of cameras: cards do not notice."""

    name = "cameras"
    Config = CameraOptions

    def __init__(self, context: Any, config: Any) -> None:
        super().__init__(context, config)
        self._worker: WorkerProcess | None = None
        self._heard_ready = False
        self._wanted = asyncio.Event()
        self._attached: dict[int, tuple[StreamSpec, Told]] = {}
        self._looking: dict[str, Looking] = {}
        self._snapshots: dict[int, asyncio.Future[bytes]] = {}
        self._numbers = itertools.count(1)
        self._failures: dict[str, str] = {}
        self._trouble = ""
        self.crashes = 0

    @property
    def worker_pid(self) -> int | None:
        return self._worker.pid if self._worker is not None else None

    # ------------------------------------------------------------------------------------------------- what is called

    def attach(self, spec: StreamSpec, told: Told) -> Callable[[], None]:
        """Capture this camera until the answer is called. `told` hears `Live` once, and `Lost` once, after which it is
        attached no more."""
        number = next(self._numbers)
        self._attached[number] = spec, told
        self._wanted.set()
        self.say("attach", spec, number)

        def detach() -> None:
            if self._attached.pop(number, None) is not None:
                self.say("detach", spec.camera)

        return detach

    def look(self, spec: LookSpec, happened: Happened) -> Looking:
        """Run this looker on its cameras, in the worker. Raises `ValueError` when one of that name looks already."""
        if spec.name in self._looking:
            raise ValueError(f"{spec.name} looks already")
        looking = Looking(self, spec, happened)
        self._looking[spec.name] = looking
        self._wanted.set()
        self.say("look", spec)
        return looking

    def unlook(self, looking: Looking) -> None:
        if self._looking.get(looking.spec.name) is looking:
            del self._looking[looking.spec.name]
            self._failures.pop(looking.spec.name, None)
            self.say("unlook", looking.spec.name)

    async def snapshot(self, camera: str, seconds: float = SNAPSHOT) -> bytes:
        """The camera's next frame as JPEG, for whoever may ask. Raises `NotReady` when none comes in time."""
        id = next(self._numbers)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._snapshots[id] = future
        self.say("snapshot", camera, id)
        try:
            return await asyncio.wait_for(future, seconds)
        except TimeoutError:
            raise NotReady(f"no picture of {camera} within {seconds:g} s") from None
        finally:
            del self._snapshots[id]

    def say(self, *message: Any) -> None:
        if self._worker is not None and self._heard_ready:
            self._worker.say(*message)

    # ------------------------------------------------------------------------------------------------------- its life

    async def run(self) -> None:
        delay = FIRST_RETRY
        clock = asyncio.get_running_loop().time
        while True:
            await self._wanted.wait()
            began = clock()
            self._heard_ready = False
            self._worker = WorkerProcess(self._heard)
            try:
                why = await self._worker.run()
            finally:
                self._worker = None
                self._heard_ready = False
            if clock() - began > STEADY:
                delay = FIRST_RETRY
            self._gone(why)
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_RETRY)

    def _gone(self, why: str) -> None:
        """The worker ended by itself: everything in it is lost, everybody is told, and the next one begins."""
        self.crashes += 1
        why = self._trouble or f"the camera worker {why}"
        self._trouble = why
        self.context.log.error("the camera worker ended; it is started again", why=why, times=self.crashes)
        attached, self._attached = self._attached, {}
        looking, self._looking = self._looking, {}
        for _spec, told in attached.values():
            told(Lost(why))
        for one in looking.values():
            one.trouble = why
            one.lost.set()
        self._wanted.clear()
        if self._attached or self._looking:
            self._wanted.set()

    def _heard(self, message: dict[str, Any]) -> None:
        """A message of the worker, whose every part may be wrong."""
        word = message.get("word")
        try:
            handler = getattr(self, f"_on_{word}", None)
            if isinstance(word, str) and handler is not None:
                handler(message)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            self.context.log.error(
                "the camera worker spoke nonsense", word=str(word)[:32], error=type(error).__name__
            )

    def _on_ready(self, message: dict[str, Any]) -> None:
        self._heard_ready = True
        self._trouble = ""
        for number, (spec, _told) in self._attached.items():
            self.say("attach", spec, number)
        for looking in self._looking.values():
            self.say("look", looking.spec)

    def _on_no_opencv(self, message: dict[str, Any]) -> None:
        self._trouble = NO_OPENCV

    def _on_fault(self, message: dict[str, Any]) -> None:
        self.context.log.error("the camera worker failed", error=str(message["text"])[:300])

    def _on_live(self, message: dict[str, Any]) -> None:
        if known := self._attached.get(message["number"]):
            known[1](Live(int(message["width"]), int(message["height"])))

    def _on_lost(self, message: dict[str, Any]) -> None:
        if known := self._attached.pop(message["number"], None):
            spec, told = known
            told(Lost(spec.scrub(str(message["text"])), message["refused"] is True))

    def _on_looking(self, message: dict[str, Any]) -> None:
        if looking := self._looking.get(message["look"]):
            looking.ready.set()

    def _on_unmade(self, message: dict[str, Any]) -> None:
        if looking := self._looking.pop(message["look"], None):
            looking.trouble = str(message["text"])[:300]
            looking.lost.set()

    def _on_event(self, message: dict[str, Any]) -> None:
        looking, camera, event = self._looking.get(message["look"]), message["camera"], message["event"]
        if looking is not None and camera in looking.spec.cameras and isinstance(event, dict):
            looking.happened(camera, event)

    def _on_failed(self, message: dict[str, Any]) -> None:
        look, text = str(message["look"])[:64], str(message["text"])[:300]
        if self._failures.get(look) != text:
            self._failures[look] = text
            self.context.log.error(
                "looking at a frame failed", look=look, camera=message["camera"], error=text
            )

    def _on_snapshot(self, message: dict[str, Any]) -> None:
        future = self._snapshots.get(message["id"])
        if future is None or future.done():
            return
        try:
            jpeg = base64.b64decode(message["jpeg"], validate=True)
        except binascii.Error:
            jpeg = b""
        if jpeg:
            future.set_result(jpeg)

    def repairs(self) -> list[Repair]:
        found = [
            Repair(f"look:{look}", "camera.repair.look", {"look": look, "detail": text})
            for look, text in self._failures.items()
        ]
        if self._trouble:
            found.append(Repair("camera-worker", "camera.repair.worker", {"detail": self._trouble}, "error"))
        return found
