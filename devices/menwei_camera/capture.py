"""One camera in the worker: a thread that reads, of which only the newest frame is ever looked at."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import cv2

from menwei_camera.sources import Lost, Source, open_source
from menwei_camera.stream import Kind, StreamSpec

if TYPE_CHECKING:
    from menwei_camera.looking import Image

TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}
BUSIEST = 60.0
"""Frames a second that are read at most; a source that answers at once for ever must not take a core."""


class Capture:
    """Reads until `close` or until the stream is lost; then `lost` says why. Opened anew by whoever attached it."""

    def __init__(self, spec: StreamSpec, number: int) -> None:
        self.spec = spec
        self.number = number
        self.lost: Lost | None = None
        self.frames = 0
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._newest: tuple[Image, float] | None = None
        self._next = 0.0
        self._thread = threading.Thread(target=self._read, name=f"camera {spec.camera}", daemon=True)
        self._thread.start()

    def take(self) -> tuple[Image, float] | None:
        """The newest frame and when it was taken, once; None when there is no new one."""
        with self._lock:
            newest, self._newest = self._newest, None
            return newest

    def close(self) -> None:
        """Returns at once; the thread ends with the read it is in."""
        self._ended.set()

    def _read(self) -> None:
        source: Source | None = None
        try:
            source = open_source(self.spec)
            self._frames(source)
        except Lost as lost:
            self.lost = lost
        except Exception as error:  # a fault of ours or of OpenCV ends this camera and is told like any loss
            self.lost = Lost(self.spec.scrub(f"{type(error).__name__}: {error}"))
        finally:
            if source is not None:
                source.close()

    def _frames(self, source: Source) -> None:
        good = time.monotonic()
        while not self._ended.is_set():
            began = time.monotonic()
            source.grab()
            now = time.monotonic()
            if now >= self._next:
                picture = source.picture()
                if picture is not None and picture.ndim == 3 and min(picture.shape[:2]) >= 2:
                    good = now
                    self._next = max(self._next + 1 / self.spec.fps, now + 0.5 / self.spec.fps)
                    with self._lock:
                        self._newest = self._upright(picture), now
                        self.frames += 1
            if now - good > self.spec.stall:
                raise Lost(f"what comes is no picture for {self.spec.stall:g} s")
            if self.spec.kind is not Kind.FILE:
                time.sleep(max(0.0, 1 / BUSIEST - (time.monotonic() - began)) if now - began < 0.002 else 0)

    def _upright(self, picture: Image) -> Image:
        factor = self.spec.longest / max(picture.shape[:2])
        if factor < 1:
            size = max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor))
            picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
        return cv2.rotate(picture, TURNS[self.spec.rotate]) if self.spec.rotate in TURNS else picture
