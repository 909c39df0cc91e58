"""JPEG pictures out of the bytes of an MJPEG stream, sans I/O.

Parts of `multipart/x-mixed-replace` come with a length, without one, with a boundary that is not the announced one, or
without any: cameras differ. What they share is JPEG itself, so pictures are found by their own first and last markers
(ITU-T T.81: SOI FF D8 FF, EOI FF D9). An embedded preview ends early and gives a short picture, which the decoder
refuses; the next one is whole again.
"""

from __future__ import annotations

SOI, EOI = b"\xff\xd8\xff", b"\xff\xd9"
LONGEST = 16 * 1024 * 1024
"""Bytes of one picture; a 4K JPEG of high quality has some 6 million."""


class JpegStream:
    """Feed it bytes as they come; it answers with the newest complete picture in them."""

    def __init__(self, longest: int = LONGEST) -> None:
        self._longest = longest
        self._held = bytearray()
        self._seen = 0
        self.dropped = 0
        """Bytes that belonged to no picture, or to one that was too long."""

    def feed(self, data: bytes) -> bytes | None:
        """The newest picture that is complete with `data`; None while there is none."""
        self._held += data
        newest: bytes | None = None
        while True:
            begin = self._held.find(SOI)
            if begin < 0:
                self._forget(max(0, len(self._held) - len(SOI) + 1))
                return newest
            self._forget(begin)
            end = self._held.find(EOI, max(len(SOI), self._seen - 1))
            if end < 0:
                self._seen = len(self._held)
                if len(self._held) > self._longest:
                    self._forget(len(self._held))
                return newest
            newest = bytes(self._held[: end + len(EOI)])
            del self._held[: end + len(EOI)]
            self._seen = 0

    def _forget(self, count: int) -> None:
        if count:
            self.dropped += count
            del self._held[:count]
            self._seen = 0
