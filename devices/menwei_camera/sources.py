"""Opening a stream and reading it, in the worker. Blocking; each source lives in its capture's thread."""

from __future__ import annotations

import math
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import cv2
import numpy as np

from menwei_camera.jpegs import LONGEST, JpegStream
from menwei_camera.stream import Kind, StreamSpec

if TYPE_CHECKING:
    from menwei_camera.looking import Image

PIECE = 64 * 1024
SLOWEST, FASTEST = 0.2, 120.0
"""Frames a second that a file may claim of itself."""


class Lost(Exception):
    """The stream is not there (any more). The text is for the installer and holds no secret."""

    def __init__(self, why: str, *, refused: bool = False) -> None:
        super().__init__(why)
        self.refused = refused
        """The camera refused the password."""


class Source(Protocol):
    def grab(self) -> None:
        """Wait for the next frame. Raises `Lost`."""

    def picture(self) -> Image | None:
        """The frame last grabbed, decoded; None when it is no picture."""

    def close(self) -> None: ...


def open_source(spec: StreamSpec) -> Source:
    """Raises `Lost` when nothing is there within the time-out."""
    return HttpSource(spec) if spec.kind is Kind.HTTP else OpenCvSource(spec)


class OpenCvSource:
    """RTSP (over TCP), files and V4L2 through OpenCV."""

    def __init__(self, spec: StreamSpec) -> None:
        self._spec = spec
        self._pace: float | None = None
        self._due = 0.0
        self._video = self._open()

    def _open(self) -> Any:
        spec = self._spec
        limits = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, int(spec.open_timeout * 1000),
            cv2.CAP_PROP_READ_TIMEOUT_MSEC, int(spec.stall * 1000),
            cv2.CAP_PROP_N_THREADS, 1,
        ]  # fmt: skip
        if spec.kind is Kind.V4L2:
            video = cv2.VideoCapture(spec.address, cv2.CAP_V4L2)
        else:
            video = cv2.VideoCapture(spec.with_secrets(), cv2.CAP_FFMPEG, limits)
        if not video.isOpened():
            video.release()
            raise Lost("the file cannot be read" if spec.kind is Kind.FILE else "no stream there")
        if spec.kind is Kind.FILE:
            rate = video.get(cv2.CAP_PROP_FPS)
            rate = rate if math.isfinite(rate) and rate > 0 else 25.0
            self._pace = 1 / min(FASTEST, max(SLOWEST, rate))
            self._due = time.monotonic()
        return video

    def grab(self) -> None:
        if self._pace is not None:
            self._due = max(self._due + self._pace, time.monotonic() - 1.0)
            time.sleep(max(0.0, self._due - time.monotonic()))
        if self._video.grab():
            return
        if self._spec.kind is not Kind.FILE:
            raise Lost(f"no frame within {self._spec.stall:g} s, or the stream was cut")
        self._video.release()
        self._video = self._open()
        if not self._video.grab():
            raise Lost("the file holds no frame")

    def picture(self) -> Image | None:
        done, frame = self._video.retrieve()
        return frame if done else None

    def close(self) -> None:
        self._video.release()


class HttpSource:
    """MJPEG, or a JPEG for each request. Basic and digest passwords; no proxy, no redirection to another host."""

    def __init__(self, spec: StreamSpec) -> None:
        self._spec = spec
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        passwords.add_password(None, spec.address, spec.user, spec.password)
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPBasicAuthHandler(passwords),
            urllib.request.HTTPDigestAuthHandler(passwords),
            _SameHost(),
        )
        self._stream: JpegStream | None = None
        self._picture: bytes | None = None
        self._due = 0.0
        self._answer: Any = None
        self._ask()

    def _ask(self) -> None:
        try:
            self._answer = self._opener.open(self._spec.address, timeout=self._spec.open_timeout)
        except urllib.error.HTTPError as error:
            error.close()
            raise Lost(f"the camera answers {error.code}", refused=error.code in (401, 403)) from None
        except (OSError, ValueError, urllib.error.URLError) as error:
            raise Lost(self._spec.scrub(f"{type(error).__name__}: {error}")) from None
        kind = self._answer.headers.get_content_type()
        self._stream = None if kind in ("image/jpeg", "image/jpg", "image/png") else JpegStream()

    def grab(self) -> None:
        if self._stream is None:
            self._one()
            return
        limit = time.monotonic() + self._spec.stall
        while time.monotonic() < limit:
            data = self._read(lambda: self._answer.read1(PIECE))
            if not data:
                raise Lost("the camera ended the stream")
            if picture := self._stream.feed(data):
                self._picture = picture
                return
        raise Lost(f"no frame within {self._spec.stall:g} s")

    def _one(self) -> None:
        """One picture for each request, no more often than it is looked at."""
        if self._answer is None:
            time.sleep(max(0.0, self._due - time.monotonic()))
            self._ask()
        self._due = time.monotonic() + 1 / self._spec.fps
        answer, self._answer = self._answer, None
        with answer:
            self._picture = self._read(lambda: answer.read(LONGEST))
        if not self._picture:
            raise Lost("the camera sends no picture")

    def _read(self, read: Callable[[], bytes]) -> bytes:
        try:
            return read()
        except (OSError, ValueError) as error:
            raise Lost(self._spec.scrub(f"{type(error).__name__}: {error}")) from None
        except Exception as error:  # http.client has a dozen ways to say that the answer is garbage
            raise Lost(self._spec.scrub(f"garbage: {type(error).__name__}")) from None

    def picture(self) -> Image | None:
        if not self._picture:
            return None
        try:
            return np.asarray(
                cv2.imdecode(np.frombuffer(self._picture, np.uint8), cv2.IMREAD_COLOR), np.uint8
            )
        except (cv2.error, TypeError, ValueError):  # TypeError: None for what is no picture
            return None

    def close(self) -> None:
        if self._answer is not None:
            self._answer.close()


class _SameHost(urllib.request.HTTPRedirectHandler):
    """A camera that sends us elsewhere would send the password there too."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl).netloc != urlsplit(req.full_url).netloc:
            return None
        return super().redirect_request(req, fp, code, msg, headers, newurl)
