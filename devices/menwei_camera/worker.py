"""The worker process: `python -m menwei_camera.worker FD`, started by `process.py` and by nobody else.

One thread a camera reads; this one looks, at one frame after the other, so that all cameras together take one core
beside decoding. It ends with its parent. Nothing is written to the standard streams: FFmpeg puts addresses with their
passwords there.
"""

from __future__ import annotations

import base64
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from menwei_camera import wire
from menwei_camera.looking import Event, Looker, LookSpec, resolve
from menwei_camera.stream import StreamSpec

BEAT = 1.0
PAUSE = 0.01
"""Seconds between two looks for new frames; the most that a frame waits unseen in an idle worker."""
NICE = 5
"""Cards are answered before faces when the machine is busy."""


@dataclass(slots=True)
class _Look:
    spec: LookSpec
    lookers: dict[str, Looker]


class Worker:
    def __init__(self, pipe: socket.socket) -> None:
        self._pipe = pipe
        self._captures: dict[str, Any] = {}
        self._live: set[str] = set()
        self._looks: dict[str, _Look] = {}
        self._snapshots: dict[str, list[int]] = {}
        self._beat = 0.0

    def run(self) -> None:
        """Until the core closes the pipe."""
        while True:
            if not self._hear(PAUSE):
                return
            for camera, capture in list(self._captures.items()):
                if capture.lost is not None:
                    del self._captures[camera]
                    self._live.discard(camera)
                    self._say(
                        "lost", camera=camera, number=capture.number, text=str(capture.lost),
                        refused=capture.lost.refused,
                    )  # fmt: skip
                elif frame := capture.take():
                    self._look(camera, capture, *frame)
            if time.monotonic() - self._beat >= BEAT:
                self._beat = time.monotonic()
                self._say("beat", frames={name: one.frames for name, one in self._captures.items()})

    def _look(self, camera: str, capture: Any, image: Any, at: float) -> None:
        if camera not in self._live:
            self._live.add(camera)
            self._say(
                "live", camera=camera, number=capture.number, height=image.shape[0], width=image.shape[1]
            )
        for id in self._snapshots.pop(camera, ()):
            self._snapshot(id, image)
        for look in list(self._looks.values()):
            looker = look.lookers.get(camera)
            if looker is None:
                continue
            try:
                self._events(look, camera, looker.frame(image, at))
            except Exception as error:  # told to the core; it costs this frame
                self._say("failed", look=look.spec.name, camera=camera, text=_describe(error))

    def _events(self, look: _Look, camera: str, events: Iterable[Event]) -> None:
        for event in events:
            self._say("event", look=look.spec.name, camera=camera, event=dict(event))

    def _snapshot(self, id: int, image: Any) -> None:
        import cv2

        done, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85])
        self._say("snapshot", id=id, jpeg=base64.b64encode(jpeg.tobytes()).decode() if done else "")

    # ----------------------------------------------------------------------------------------------- from the core

    def _hear(self, seconds: float) -> bool:
        """Do what the core says; False when it is gone."""
        while select.select([self._pipe], [], [], seconds)[0]:
            seconds = 0.0
            head = self._exactly(wire.LENGTH.size)
            payload = self._exactly(wire.length(head)) if head else b""
            if not head or not payload:
                return False
            word, *rest = wire.in_worker(payload)
            getattr(self, f"_do_{word}")(*rest)
        return True

    def _exactly(self, count: int) -> bytes:
        held = bytearray()
        while len(held) < count:
            piece = self._pipe.recv(count - len(held))
            if not piece:
                return b""
            held += piece
        return bytes(held)

    def _do_attach(self, spec: StreamSpec, number: int) -> None:
        from menwei_camera.capture import Capture

        self._do_detach(spec.camera)
        self._captures[spec.camera] = Capture(spec, number)

    def _do_detach(self, camera: str) -> None:
        self._live.discard(camera)
        if capture := self._captures.pop(camera, None):
            capture.close()

    def _do_look(self, spec: LookSpec) -> None:
        try:
            make = resolve(spec.make)(spec.options)
            self._looks[spec.name] = _Look(spec, {camera: make(camera) for camera in spec.cameras})
        except Exception as error:
            self._say("unmade", look=spec.name, text=_describe(error))
            return
        self._say("looking", look=spec.name)

    def _do_unlook(self, name: str) -> None:
        self._looks.pop(name, None)

    def _do_tell(self, name: str, camera: str, message: Any) -> None:
        look = self._looks.get(name)
        looker = look.lookers.get(camera) if look else None
        if look is None or looker is None:
            return
        try:
            self._events(look, camera, looker.told(message))
        except Exception as error:
            self._say("failed", look=name, camera=camera, text=_describe(error))

    def _do_snapshot(self, camera: str, id: int) -> None:
        self._snapshots.setdefault(camera, []).append(id)

    def _say(self, word: str, **facts: Any) -> None:
        self._pipe.sendall(wire.to_core({"word": word, **facts}))


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the core's to answer; it closes the pipe
    os.nice(NICE)
    os.environ["OPENCV_LOG_LEVEL"] = "SILENT"
    os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp")
    pipe = socket.socket(fileno=int(sys.argv[1]))
    try:
        import cv2
    except ImportError as error:
        pipe.sendall(wire.to_core({"word": "no_opencv", "text": _describe(error)}))
        return
    cv2.setNumThreads(1)
    pipe.sendall(wire.to_core({"word": "ready", "opencv": cv2.__version__}))
    code = 0
    try:
        Worker(pipe).run()
    except OSError:  # the core went away in the middle of a message
        code = 1
    except Exception as error:
        pipe.sendall(wire.to_core({"word": "fault", "text": _describe(error)}))
        code = 1
    os._exit(code)  # captures hang in native reads; there is nothing to tidy


if __name__ == "__main__":
    main()
