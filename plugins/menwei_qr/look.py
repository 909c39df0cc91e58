"""The part that looks at frames, in the camera worker. What a code says leaves it only when the code is one of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import cv2

from menwei_qr.codes import Shown

if TYPE_CHECKING:
    from menwei_camera.looking import Event, Image, Looker

EVERY = 0.2
"""Seconds between two frames that are searched: some 18 ms each, and a code is held up for longer than that."""
WIDEST = 960
"""Pixels. A code on a telephone before the door fills a third of the picture: this is enough, and cheap."""


class QrLooker:
    def __init__(self) -> None:
        self._detector: Any = cv2.QRCodeDetector()
        self._shown = Shown()
        self._next = 0.0

    def frame(self, image: Image, at: float) -> Iterator[Event]:
        if at < self._next:
            return
        self._next = at + EVERY
        factor = WIDEST / max(image.shape[:2])
        grey: Any = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
        if factor < 1:
            grey = cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        try:
            _found, texts, _points, _codes = self._detector.detectAndDecodeMulti(grey)
        except (cv2.error, UnicodeDecodeError):  # a code that cannot be decoded is none that was shown
            texts = ()
        for text in self._shown.add(texts, at):
            yield {"code": text, "at": at}

    def told(self, message: Any) -> Iterator[Event]:
        """Nothing is told to it: whose code it may be is for the rights to say."""
        return iter(())


def make(options: Any) -> Callable[[str], Looker]:
    """For `LookSpec.make`."""
    return lambda camera: QrLooker()
