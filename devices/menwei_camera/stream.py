"""What a camera's stream is, as a value that can be sent to the worker; and how its secrets stay out of every text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import quote, unquote, urlsplit, urlunsplit


class Kind(StrEnum):
    RTSP = "rtsp"
    HTTP = "http"
    """MJPEG (multipart/x-mixed-replace) or one JPEG a request, told apart by what the server answers."""
    FILE = "file"
    """A video or picture file, played in its own speed again and again."""
    V4L2 = "v4l2"
    """A camera of this machine, /dev/videoN. Untested: no such device was at hand."""


SCHEMES = {"rtsp": Kind.RTSP, "rtsps": Kind.RTSP, "http": Kind.HTTP, "https": Kind.HTTP, "file": Kind.FILE, "v4l2": Kind.V4L2}  # fmt: skip
QUARTERS = (0, 90, 180, 270)


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """One camera. `address` never holds a user or password; those are apart and in no `repr`.

    `fps`: frames a second that are looked at, at most; others are dropped unseen. `rotate`: degrees by which the camera's
    picture is turned, clockwise. `open_timeout`, `stall`: seconds until it is given up, before the first frame and
    between two. `longest`: pixels; larger frames are shrunk.
    """

    camera: str
    kind: Kind
    address: str
    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    fps: float = 10.0
    rotate: int = 0
    open_timeout: float = 5.0
    stall: float = 5.0
    longest: int = 1920

    def with_secrets(self) -> str:
        """The address with user and password in it, for libraries that take them no other way. Never to be told."""
        if not self.user:
            return self.address
        parts = urlsplit(self.address)
        who = quote(self.user, safe="") + (":" + quote(self.password, safe="") if self.password else "")
        return urlunsplit(parts._replace(netloc=f"{who}@{parts.netloc}"))

    def scrub(self, text: str) -> str:
        """`text` without this camera's secrets, in whatever form a library may have put them."""
        for secret in {self.password, quote(self.password, safe="")}:
            if secret:
                text = text.replace(secret, "***")
        return re.sub(r"//[^/@\s]*@", "//***@", text)[:300]


def parse(camera: str, url: str, user: str = "", password: str = "", **more: object) -> StreamSpec:
    """A camera of the config. Raises `ValueError`, whose text holds nothing of the address: secrets may stand in it."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise ValueError("this is no address") from None
    kind = SCHEMES.get(parts.scheme.lower())
    if kind is None:
        raise ValueError(f"an address begins with {', '.join(sorted(SCHEMES))}")
    if kind in (Kind.FILE, Kind.V4L2):
        if parts.netloc or not parts.path.startswith("/"):
            raise ValueError(f"{kind}:///path is expected")
        return StreamSpec(camera, kind, unquote(parts.path), **more)  # type: ignore[arg-type]
    if not host:
        raise ValueError("an address names a host")
    user = user or unquote(parts.username or "")
    password = password or unquote(parts.password or "")
    address = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment=""))
    return StreamSpec(camera, kind, address, user, password, **more)  # type: ignore[arg-type]
