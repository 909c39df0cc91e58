"""What may pass between the library and the wire. Pure: the bytes of both directions go through here.

libosdp keeps the secure channel; this watches that nothing goes round it. libosdp 3.2.9 takes a reply whose security
block says "handshake" (types 12 and 14) without its MAC being looked at, also in the middle of a session: whoever sits
on the wire could present any card. So each reply must have the protection of its command, and there is one for each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from menwei_osdp.frames import Block, Command, Frame, Reply, parse, split

MARK = 0xFF


class Refusal(StrEnum):
    """Why a frame did not pass."""

    CLEAR_TEXT = "clear-text"
    """Something that must be protected was not."""
    DEFAULT_KEY = "default-key"
    """A session under the key that everybody knows, outside of pairing."""
    LATE = "late"
    """A lock command whose time was over."""
    STRAY = "stray"
    """Nobody asked for it, or no longer. On a shared wire this is mostly an echo, a slow reader or a second panel."""


@dataclass(slots=True)
class Heard:
    """What is known of one address: when it last answered, and what the last question and answer were."""

    asked: int = 0
    asked_at: float = 0.0
    replied: int | None = None
    """The code of the answer to the last question, None while there is none."""
    answered_at: float = 0.0
    before: float = 0.0
    """The answer before that one."""


@dataclass(slots=True)
class Guard:
    """One wire. `monotonic` tells the time of `deadlines`; `refused` is told of every frame that did not pass.

    `pairing` lets the default key through and the one clear answer that a reader may give when it took a new key; it
    lets nothing else through in clear.
    """

    monotonic: Callable[[], float]
    refused: Callable[[int, Refusal], None]
    pairing: bool = False
    deadlines: dict[int, float] = field(default_factory=dict)
    """Address → until when a lock command may leave for it. There is no entry when none may."""
    heard: dict[int, Heard] = field(default_factory=dict)
    _buffer: bytearray = field(default_factory=bytearray)
    _asked: Frame | None = None

    def of(self, address: int) -> Heard:
        return self.heard.setdefault(address, Heard())

    def outgoing(self, data: bytes) -> bytes:
        """What of one frame of the library's goes onto the wire: all or nothing."""
        self._buffer.clear()  # half duplex: what is still there answers nothing that will be asked
        self._asked = None
        frames = split(bytearray(data))
        frame = parse(frames[0]) if len(frames) == 1 else None
        if frame is None or frame.reply:
            return b""
        why = self._objection(frame)
        if why is not None:
            self.refused(frame.address, why)
            return b""
        heard = self.of(frame.address)
        heard.asked, heard.asked_at, heard.replied = frame.code, self.monotonic(), None
        self._asked = frame
        return data

    def incoming(self, data: bytes) -> bytes:
        """What of the bytes that came is an answer to the last question: one frame, or nothing yet."""
        self._buffer += data
        for unit in split(self._buffer):
            frame = parse(unit)
            if frame is None or not frame.reply:
                continue  # noise that happens to have a checksum, or the echo of our own command
            asked = self._asked
            # A slow reader's answer may come when the question after it has been asked; its sequence number tells
            # (SIA OSDP 2.2, 5.9: a reply bears its command's). It is of no use, and nobody's attack.
            if asked is None or (frame.address, frame.sequence) != (asked.address, asked.sequence):
                self.refused(frame.address, Refusal.STRAY)
                continue
            if (why := self._distrust(asked, frame)) is not None:
                self.refused(frame.address, why)
                continue
            self._asked = None
            heard = self.of(frame.address)
            heard.before, heard.answered_at = heard.answered_at, self.monotonic()
            heard.replied = frame.code
            return unit
        return b""

    def _objection(self, frame: Frame) -> Refusal | None:
        """What is wrong with a command."""
        if frame.default_key and not self.pairing:
            return Refusal.DEFAULT_KEY
        if frame.block is None and frame.code not in (Command.ID, Command.CAPABILITIES):
            return Refusal.CLEAR_TEXT
        if frame.code == Command.OUTPUT and self.monotonic() >= self.deadlines.get(
            frame.address, float("-inf")
        ):
            return Refusal.LATE
        return None

    def _distrust(self, asked: Frame, frame: Frame) -> Refusal | None:
        """What is wrong with a reply."""
        if frame.default_key and not self.pairing:
            return Refusal.DEFAULT_KEY
        if frame.block is None and frame.code in (Reply.NAK, Reply.BUSY):
            return (
                None  # a reader that lost its session can only say so in clear; neither means anything else
            )
        if self.pairing and asked.code == Command.KEYSET and frame.block is None and frame.code == Reply.ACK:
            return None  # it already works with the new key
        return None if frame.block in _PROTECTION[asked.block] else Refusal.CLEAR_TEXT


_PROTECTION: dict[int | None, tuple[int | None, ...]] = {
    None: (None,),
    Block.CHALLENGE: (Block.CRYPTOGRAM,),
    Block.CONFIRM: (Block.CONFIRMED,),
    Block.COMMAND: (Block.REPLY, Block.REPLY_DATA),
    Block.COMMAND_DATA: (Block.REPLY, Block.REPLY_DATA),
}
"""The security block of a command → those that its reply may have."""
