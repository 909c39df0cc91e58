"""The camera worker with real streams: HTTP cameras, RTSP from GStreamer, files; cut, frozen, silent, garbage, crashed."""

# ruff: noqa: E402 (what can be skipped is asked for before it is imported)
from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e
for package in ("cv2", "numpy"):
    if find_spec(package) is None:
        pytest.skip(
            f"NO CAMERA TESTED: the extra 'camera' ({package}) is not installed", allow_module_level=True
        )

import cv2
import numpy as np
import structlog

from menwei import AuthFailed, NotReady
from menwei.clock import TrustedClock
from menwei.context import Context
from menwei_camera.driver import Camera, CameraConfig
from menwei_camera.looking import LookSpec
from menwei_camera.service import CameraOptions, Cameras, Live, Lost
from menwei_camera.stream import parse
from peers.http_camera import HttpCamera

SYSTEM_PYTHON = "/usr/bin/python3"
LOOK = "peers.lookers:brightness"
WITHIN = 30.0


def grey(level: int, width=320, height=240, corner: int | None = None) -> np.ndarray:
    """A picture of one grey; `corner`: another grey in the quarter at the upper left."""
    picture = np.full((height, width, 3), level, np.uint8)
    if corner is not None:
        picture[: height // 2, : width // 2] = corner
    return picture


def jpeg(picture) -> bytes:
    return cv2.imencode(".jpg", picture)[1].tobytes()


class Desk:
    """The service, running, and what it told."""

    def __init__(self, service):
        self.service = service
        self.told: dict[str, list] = {}
        self.events: list[tuple[str, dict]] = []
        self.looking = None

    def attach(self, url, camera="gate", **more):
        spec = parse(camera, url, **({"open_timeout": 3.0, "stall": 1.5} | more))
        heard = self.told.setdefault(camera, [])
        return self.service.attach(spec, heard.append)

    def look(self, *cameras, make=LOOK, options=None):
        spec = LookSpec("test", make, cameras or ("gate",), options)
        self.looking = self.service.look(spec, lambda camera, event: self.events.append((camera, event)))
        return self.looking

    async def until(self, condition, within=WITHIN):
        async with asyncio.timeout(within):
            while not condition():
                await asyncio.sleep(0.01)

    async def live(self, camera="gate"):
        await self.until(lambda: self.told[camera])
        assert isinstance(self.told[camera][0], Live), self.told[camera]
        return self.told[camera][0]

    async def lost(self, camera="gate"):
        await self.until(lambda: any(isinstance(one, Lost) for one in self.told[camera]))
        return next(one for one in self.told[camera] if isinstance(one, Lost))

    async def seen(self, count=1, since=0):
        await self.until(lambda: len(self.frames()) >= since + count)
        return self.frames()

    def frames(self, camera="gate"):
        return [event for who, event in self.events if "mean" in event and who == camera]


@asynccontextmanager
async def desk():
    service = Cameras(Context("camera", structlog.get_logger("camera"), TrustedClock()), CameraOptions())
    running = asyncio.create_task(service.run())
    try:
        yield Desk(service)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.mark.parametrize("path", ["mjpeg", "bare", "jpeg"])
async def test_frames_of_an_http_camera_are_looked_at(path):
    with HttpCamera([jpeg(grey(90))]) as camera:
        async with desk() as it:
            it.look()
            it.attach(camera.url(path))
            assert await it.live() == Live(320, 240)
            frame = (await it.seen())[0]
            assert abs(frame["mean"] - 90) < 3 and 0 <= frame["age"] < WITHIN


async def test_only_the_newest_frame_is_looked_at_when_looking_is_slow():
    with HttpCamera([jpeg(grey(90))], interval=0.01) as camera:
        async with desk() as it:
            it.look(make="peers.lookers:slow")
            it.attach(camera.url("mjpeg"), fps=30.0)
            frames = await it.seen(6)
            assert all(frame["age"] < 0.15 + 1.0 for frame in frames)
            assert frames[5]["at"] - frames[0]["at"] > 5 * 0.14


async def test_no_more_frames_are_looked_at_than_the_camera_is_allowed():
    with HttpCamera([jpeg(grey(90))], interval=0.005) as camera:
        async with desk() as it:
            it.look()
            it.attach(camera.url("mjpeg"), fps=4.0)
            frames = await it.seen(5)
            assert frames[4]["at"] - frames[1]["at"] > 0.6


async def test_a_picture_is_turned_upright():
    with HttpCamera([jpeg(grey(200, corner=20))]) as camera:
        async with desk() as it:
            it.look("gate", "turned")
            it.attach(camera.url("mjpeg"))
            it.attach(camera.url("mjpeg"), "turned", rotate=90)
            await it.seen()
            await it.until(lambda: it.frames("turned"))
            straight, turned = it.frames()[0], it.frames("turned")[0]
            assert (straight["width"], straight["height"], straight["corner"] < 40) == (320, 240, True)
            assert (turned["width"], turned["height"], turned["corner"] > 180) == (240, 320, True)


async def test_a_4k_picture_is_shrunk():
    with HttpCamera([jpeg(grey(90, 3840, 2160))], interval=0.1) as camera:
        async with desk() as it:
            it.look()
            it.attach(camera.url("mjpeg"), stall=10.0)
            frame = (await it.seen())[0]
            assert (frame["width"], frame["height"]) == (1920, 1080)


@pytest.mark.parametrize("path", ["garbage", "nonsense", "silent", "cut"])
async def test_a_camera_that_fails_is_lost_and_the_others_go_on(path):
    with HttpCamera([jpeg(grey(90))]) as camera:
        async with desk() as it:
            it.look("gate", "good")
            it.attach(camera.url("mjpeg"), "good")
            it.attach(camera.url(path))
            lost = await it.lost()
            assert lost.why and not lost.refused
            before = len(it.frames("good"))
            await it.until(lambda: len(it.frames("good")) > before + 3)
            assert it.service.crashes == 0


async def test_a_wrong_password_is_told_apart_and_stays_out_of_every_text(caplog):
    with HttpCamera([jpeg(grey(90))], user="door", password="s3cret-good") as camera:
        async with desk() as it:
            it.attach(camera.url("mjpeg").replace("//", "//door:s3cret-bad@"))
            lost = await it.lost()
            assert lost.refused and "s3cret" not in lost.why
            it.told.clear()
            it.look()
            it.attach(camera.url("mjpeg").replace("//", "//door:s3cret-good@"))
            await it.live()
    assert "s3cret" not in caplog.text


async def test_a_password_stands_in_no_process_listing():
    with HttpCamera([jpeg(grey(90))], user="door", password="s3cret-good") as camera:
        async with desk() as it:
            it.attach(camera.url("mjpeg"), user="door", password="s3cret-good")
            await it.live()
            folder = Path("/proc") / str(it.service.worker_pid)
            assert b"s3cret" not in (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()


async def test_one_picture_is_given_on_request():
    with HttpCamera([jpeg(grey(90))]) as camera:
        async with desk() as it:
            it.attach(camera.url("mjpeg"))
            await it.live()
            picture = cv2.imdecode(
                np.frombuffer(await it.service.snapshot("gate"), np.uint8), cv2.IMREAD_COLOR
            )
            assert picture.shape == (240, 320, 3)
            with pytest.raises(NotReady):
                await it.service.snapshot("nowhere", 0.2)


async def test_what_a_recognizer_tells_reaches_its_looker():
    with HttpCamera([jpeg(grey(90))]) as camera:
        async with desk() as it:
            looking = it.look(options={"threshold": 0.5})
            it.attach(camera.url("mjpeg"))
            await it.seen()
            looking.tell("gate", "hello")
            await it.until(lambda: ("gate", {"told": "hello", "options": {"threshold": 0.5}}) in it.events)


async def test_a_looker_that_fails_costs_the_frame_and_is_a_repair():
    with HttpCamera([jpeg(grey(90))]) as camera:
        async with desk() as it:
            it.look(make="peers.lookers:failing")
            it.attach(camera.url("mjpeg"))
            await it.until(lambda: it.service.repairs())
            assert "no such luck" in it.service.repairs()[0].values["detail"]
            assert it.service.crashes == 0


async def test_a_looker_that_cannot_be_made_is_told_to_its_recognizer():
    async with desk() as it:
        looking = it.look(make="peers.lookers:unmakeable")
        with pytest.raises(NotReady, match="no weights"):
            await looking.serve(lambda: pytest.fail("it does not look"))


async def test_a_segfault_is_noticed_and_the_next_worker_looks_again():
    with HttpCamera([jpeg(grey(90))]) as camera:
        async with desk() as it:
            looking = it.look()
            it.attach(camera.url("mjpeg"))
            await it.seen()
            first = it.service.worker_pid
            looking.tell("gate", "crash")
            assert "SIGSEGV" in (await it.lost()).why
            with pytest.raises(NotReady, match="SIGSEGV"):
                await looking.serve(lambda: None)
            since = len(it.frames())
            it.look()
            it.attach(camera.url("mjpeg"))
            await it.seen(since=since)
            assert it.service.worker_pid != first and it.service.crashes == 1


async def test_the_worker_ends_with_the_service():
    with HttpCamera([jpeg(grey(90))]) as camera:
        async with desk() as it:
            it.attach(camera.url("mjpeg"))
            await it.live()
            pid = it.service.worker_pid
        assert not (Path("/proc") / str(pid)).exists()


async def test_a_file_is_played_again_and_again(tmp_path):
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter_fourcc(*"MJPG"), 20, (320, 240))
    for level in (40, 60, 80):
        writer.write(grey(level))
    writer.release()
    async with desk() as it:
        it.look()
        it.attach(f"file://{clip}", fps=30.0)
        assert len(await it.seen(8)) >= 8


async def test_files_that_are_none_are_lost(tmp_path):
    (tmp_path / "noise.mp4").write_bytes(os.urandom(5000))
    async with desk() as it:
        it.attach(f"file://{tmp_path}/noise.mp4")
        it.attach(f"file://{tmp_path}/nowhere.mp4", "other")
        assert (await it.lost()).why and (await it.lost("other")).why


async def test_a_connection_test_opens_the_stream_and_names_what_it_found():
    with HttpCamera([jpeg(grey(90))], user="door", password="s3cret") as camera:
        info = await Camera.probe(CameraConfig(url=camera.url("mjpeg"), user="door", password="s3cret"))
        assert info.model == "http 320×240"
        with pytest.raises(AuthFailed):
            await Camera.probe(CameraConfig(url=camera.url("mjpeg")))
    with pytest.raises(NotReady):
        await Camera.probe(CameraConfig(url=camera.url("mjpeg"), open_timeout=1))


# ------------------------------------------------------------------------------------------------------------- RTSP


@pytest.fixture(scope="module")
def h264(tmp_path_factory):
    if shutil.which("ffmpeg") is None:
        pytest.skip("NO RTSP TESTED: the system package ffmpeg is not installed")
    clip = tmp_path_factory.mktemp("rtsp") / "clip.h264"
    subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc=size=320x240:rate=15", "-t", "4", "-c:v", "libx264",
         "-pix_fmt", "yuv420p", "-g", "15", "-bf", "0", "-f", "h264", str(clip)],
        check=True,
    )  # fmt: skip
    return clip


@pytest.fixture
def rtsp(h264):
    """A real RTSP server; its process and address."""
    has = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    if (
        not Path(SYSTEM_PYTHON).exists()
        or subprocess.run([SYSTEM_PYTHON, "-c", has], capture_output=True).returncode
    ):
        pytest.skip(
            "NO RTSP TESTED: the system packages gir1.2-gst-rtsp-server-1.0 and python3-gi are not installed"
        )
    script = Path(sys.modules[HttpCamera.__module__].__file__).with_name("rtsp_server.py")
    server = subprocess.Popen(
        [SYSTEM_PYTHON, str(script), str(h264)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    port = server.stdout.readline().strip()
    try:
        yield server, f"rtsp://door:s3cret@127.0.0.1:{port}/door"
    finally:
        server.send_signal(signal.SIGCONT)
        server.kill()
        server.wait()
        server.stdout.close()
        server.stdin.close()


async def test_an_rtsp_stream_is_looked_at(rtsp):
    async with desk() as it:
        it.look()
        it.attach(rtsp[1], open_timeout=10.0, stall=5.0)
        assert await it.live() == Live(320, 240)
        assert len(await it.seen(5)) >= 5


async def test_a_frozen_rtsp_server_is_lost_within_the_stall_time(rtsp):
    async with desk() as it:
        it.look()
        it.attach(rtsp[1], open_timeout=10.0)
        await it.seen(3)
        rtsp[0].send_signal(signal.SIGSTOP)
        assert "s3cret" not in (await it.lost()).why


async def test_an_rtsp_stream_that_is_cut_is_lost_and_comes_back_when_attached_again(rtsp, h264):
    server, url = rtsp
    async with desk() as it:
        it.look()
        it.attach(url, open_timeout=10.0)
        await it.seen(3)
        server.kill()
        assert "s3cret" not in (await it.lost()).why
        it.told.clear()
        it.attach(url)
        assert "s3cret" not in (await it.lost()).why
