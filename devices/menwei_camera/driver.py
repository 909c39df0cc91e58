"""One camera of the config, as a device: ready while frames come, retried with back-off when they do not."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, SecretStr, field_validator

from menwei import AuthFailed, Config, DeviceInfo, DoorMode, Driver, NotReady
from menwei_camera.process import WorkerProcess
from menwei_camera.service import NO_OPENCV, Cameras, Live, Lost
from menwei_camera.stream import StreamSpec, parse


def _secret(value: object) -> object:
    return SecretStr(value) if isinstance(value, str) else value


class CameraConfig(Config):
    """`{driver: camera, url: rtsp://10.0.0.8/stream2, user: door, password: !secret door-camera}`.

    `url`: rtsp, rtsps, http, https, file:///…, v4l2:///dev/video0. Take a camera's second stream, 640 to 1280 pixels
    wide: a larger one is shrunk after it was decoded. `fps`: frames a second that are looked at. `rotate`: degrees by
    which the picture is turned, clockwise. `stall`: seconds without a frame after which it counts as lost.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: Annotated[SecretStr, BeforeValidator(_secret)]
    user: str = ""
    password: Annotated[SecretStr, BeforeValidator(_secret)] = SecretStr("")
    fps: float = Field(default=10.0, ge=0.2, le=30)
    rotate: Literal[0, 90, 180, 270] = 0
    open_timeout: float = Field(default=5.0, ge=0.5, le=60)
    stall: float = Field(default=5.0, ge=0.5, le=60)

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: SecretStr) -> SecretStr:
        parse("", url.get_secret_value())
        return url

    def spec(self, camera: str) -> StreamSpec:
        return parse(
            camera, self.url.get_secret_value(), self.user, self.password.get_secret_value(), fps=self.fps,
            rotate=self.rotate, open_timeout=self.open_timeout, stall=self.stall,
        )  # fmt: skip


class Camera(Driver):
    """Attached to the worker from `run` to its end; recognizers look through it by the device's id.

    `NotReady` when the stream does not open, stalls or is cut, and when the worker is lost; `AuthFailed` when an HTTP
    camera refuses the password (an RTSP one only says that there is no stream).
    """

    name = "camera"
    Config = CameraConfig
    identifiers = frozenset()
    locks = False

    @classmethod
    async def probe(cls, config: CameraConfig) -> DeviceInfo:
        """Opens the stream in a worker of its own until the first frame."""
        spec = config.spec("probe")
        answer: asyncio.Future[Live | Lost] = asyncio.get_running_loop().create_future()

        def heard(message: dict[str, Any]) -> None:
            word = message.get("word")
            if word == "ready":
                worker.say("attach", spec, 1)
            elif answer.done():
                return
            elif word == "live":
                answer.set_result(Live(int(message["width"]), int(message["height"])))
            elif word == "lost":
                answer.set_result(Lost(spec.scrub(str(message["text"])), message["refused"] is True))
            elif word == "no_opencv":
                answer.set_result(Lost(NO_OPENCV))

        worker = WorkerProcess(heard)
        running = asyncio.create_task(worker.run())
        try:
            async with asyncio.timeout(spec.open_timeout + spec.stall + 10):
                waiting: set[asyncio.Future[Any]] = {running, answer}
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        except TimeoutError:
            raise NotReady("no frame came") from None
        finally:
            running.cancel()
            await asyncio.wait({running})
        if not answer.done():
            raise NotReady("the camera worker ended at this stream")
        return _info("", spec, _live(answer.result()))

    async def run(self) -> None:
        id = self.context.device
        spec = self.config.spec(id)
        heard: asyncio.Queue[Live | Lost] = asyncio.Queue()
        detach = self.context.service(Cameras).attach(spec, heard.put_nowait)
        try:
            self.reports.ready(_info(id, spec, _live(await heard.get())))
            _live(await heard.get())
        finally:
            detach()

    async def access(self, lock: str, seconds: float, deadline: float, *, passage: str = "") -> None:
        raise NotReady("a camera has no lock")

    async def set_mode(self, lock: str, mode: DoorMode, deadline: float) -> None:
        raise NotReady("a camera has no lock")


def _live(heard: Live | Lost) -> Live:
    """Raises `NotReady` or `AuthFailed` for what is lost."""
    if isinstance(heard, Live):
        return heard
    raise AuthFailed(heard.why) if heard.refused else NotReady(heard.why)


def _info(id: str, spec: StreamSpec, live: Live) -> DeviceInfo:
    return DeviceInfo(id or spec.address, f"{spec.kind} {live.width}×{live.height}")
