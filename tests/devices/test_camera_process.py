"""The worker process from outside: missing OpenCV, hanging, nonsense. Needs no OpenCV itself."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from importlib.util import find_spec
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from menwei import NotReady
from menwei.clock import TrustedClock
from menwei.context import Context
from menwei_camera import wire
from menwei_camera.driver import Camera, CameraConfig
from menwei_camera.looking import LookSpec
from menwei_camera.process import WorkerProcess
from menwei_camera.service import NO_OPENCV, CameraOptions, Cameras, Lost
from menwei_camera.stream import parse


def cameras() -> Cameras:
    return Cameras(Context("camera", structlog.get_logger("camera"), TrustedClock()), CameraOptions())


@pytest.fixture
def no_opencv(tmp_path, monkeypatch):
    """The worker finds a cv2 that cannot be imported, as after half an installation."""
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')\n")
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.e2e
async def test_without_opencv_the_camera_says_so(no_opencv):
    with pytest.raises(NotReady, match="OpenCV is not installed"):
        await Camera.probe(CameraConfig(url="rtsp://127.0.0.1:1/x"))


@pytest.mark.e2e
async def test_without_opencv_every_camera_is_told_and_it_is_a_repair(no_opencv):
    service = cameras()
    running = asyncio.create_task(service.run())
    told = []
    service.attach(parse("gate", "rtsp://127.0.0.1:1/x"), told.append)
    async with asyncio.timeout(60):
        while not told:
            await asyncio.sleep(0.02)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert told == [Lost(NO_OPENCV)]
    assert [repair.message for repair in service.repairs()] == ["camera.repair.worker"]


@pytest.mark.e2e
async def test_a_worker_that_hangs_is_ended():
    begun = asyncio.Event()
    worker = WorkerProcess(lambda _message: begun.set(), silence=10.0)
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(60):
        await begun.wait()  # it has begun, with OpenCV or without
        worker._silence = 0.5
        if not running.done():
            os.kill(worker.pid, signal.SIGSTOP)
        why = await running
    assert why.startswith("said nothing" if find_spec("cv2") else "ended with 0")
    assert not (Path("/proc") / str(worker.pid)).exists()


class FakeReader(asyncio.StreamReader):
    """In place of a worker that was taken over by what it decoded."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.feed_data(data)
        self.feed_eof()


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff\xff",
        wire.LENGTH.pack(3) + b"not",
        wire.LENGTH.pack(2) + b"[]",
        wire.to_worker({"a": 1}),
    ],
)
async def test_a_worker_that_speaks_nonsense_is_ended_and_never_unpickled(data):
    heard = []
    assert (await WorkerProcess(heard.append)._listen(FakeReader(data))).startswith("spoke nonsense")
    assert heard == []


WORDS = st.sampled_from(
    ["ready", "fault", "live", "lost", "looking", "unmade", "event", "failed", "snapshot", "beat", "x", ""]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(
    ["camera", "number", "look", "event", "text", "refused", "id", "jpeg", "width", "height", "frames"]
)


@given(WORDS | JSON, st.dictionaries(FIELDS, JSON | st.sampled_from(["test", "gate", 1]), max_size=6))
def test_no_message_of_the_worker_breaks_the_service(word, facts):
    service = cameras()
    service._attached[1] = parse("gate", "rtsp://127.0.0.1/x"), lambda _told: None
    service._looking["test"] = _Silent(LookSpec("test", "x:y", ("gate",)))
    service._heard({"word": word, **facts})


class _Silent:
    """A recognizer's hold, without a loop around it."""

    def __init__(self, spec):
        self.spec, self.trouble = spec, ""
        self.ready = self.lost = self

    def set(self):
        """Somebody waits for it in a real one."""

    def happened(self, camera, event):
        assert camera in self.spec.cameras and isinstance(event, dict)


async def test_what_is_said_while_there_is_no_worker_is_lost_without_harm():
    service = cameras()
    detach = service.attach(parse("gate", "rtsp://127.0.0.1/x"), lambda _told: None)
    looking = service.look(LookSpec("test", "x:y", ("gate",)), lambda *_: None)
    looking.tell("gate", "hello")
    with pytest.raises(ValueError, match="looks already"):
        service.look(LookSpec("test", "x:y", ("gate",)), lambda *_: None)
    looking.close()
    detach()
    detach()
    with pytest.raises(NotReady):
        await service.snapshot("gate", 0.05)


def test_the_pipe_of_the_worker_carries_whole_messages():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(wire.to_core({"word": "beat"}))
        head = ours.recv(wire.LENGTH.size)
        assert wire.in_core(ours.recv(wire.length(head))) == {"word": "beat"}
