"""The serial protocol of resident-ID readers with a SAM, sans-IO: bytes in, answers out.

Source: what makers of such readers publish about the SDT interface (115200 8N1):

    request   AA AA AA 96 69 | length, 2 bytes, greatest first | command, 2 bytes | data | xor
    response  AA AA AA 96 69 | length, 2 bytes, greatest first | sw1 sw2 sw3      | data | xor

The length counts what follows it with the xor; the xor covers the length and all up to itself.

The answer to "read" carries everything that stands on the card. Of its data only the first `KEPT` bytes are ever kept:
the photo goes through the check sum byte by byte and nowhere else.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from enum import Enum, IntEnum

PREAMBLE = bytes.fromhex("AAAAAA9669")
TEXT_BYTES = 256
_LENGTHS = 4
"""Before the text: its length and the photo's, two bytes each."""
KEPT = _LENGTHS + TEXT_BYTES
LONGEST = 0x0A00
"""An answer with text, photo and fingerprint has 2315 bytes; what claims to be longer is noise."""
_STATUS = 3
_XOR = 1


class Command(Enum):
    """What a reader is told. Not here: 3010, which also reads fingerprints, and 3003, which reads addresses."""

    RESET = bytes.fromhex("10FF")
    STATUS = bytes.fromhex("11FF")
    SAM_NUMBER = bytes.fromhex("12FF")
    FIND = bytes.fromhex("2001")
    SELECT = bytes.fromhex("2002")
    READ = bytes.fromhex("3001")


class Status(IntEnum):
    """The third status byte."""

    OK = 0x90
    FOUND = 0x9F
    NOT_FOUND = 0x80
    NOT_SELECTED = 0x81
    NOT_READ = 0x41
    CARD_REFUSED_SAM = 0x31
    SAM_REFUSED_CARD = 0x32
    WRONG_CHECKSUM = 0x10
    WRONG_LENGTH = 0x11
    WRONG_COMMAND = 0x21
    NOT_AUTHORISED = 0x66


@dataclass(slots=True)
class Answer:
    """`data` is at most `KEPT` bytes; `length` is how many there were. Call `wipe` when done with it."""

    status: int
    data: bytearray = field(repr=False)
    length: int

    def wipe(self) -> None:
        self.data[:] = bytes(len(self.data))


class Garbled(Exception):
    """An answer came whose check sum or length is wrong."""


def request(command: Command) -> bytes:
    body = (len(command.value) + _XOR).to_bytes(2, "big") + command.value
    return PREAMBLE + body + bytes([_xor(body)])


class Receiver:
    """Takes what comes from the port, in pieces of any size, and finds the answer in it."""

    def __init__(self) -> None:
        self._matched = 0
        self._head = bytearray()
        self._data = bytearray(KEPT)  # of full size from the start: growing would leave copies behind
        self._kept = 0
        self._taken = 0
        self._xor = 0

    def feed(self, piece: bytes | bytearray | memoryview) -> Answer | None:
        """The answer, when it is complete; what comes behind it is thrown away. Raises `Garbled`, and then begins
        anew."""
        for byte in piece:
            if self._matched < len(PREAMBLE):
                self._match(byte)
            elif (answer := self._take(byte)) is not None:
                return answer
        return None

    def reset(self) -> None:
        """Forget a half answer."""
        self._matched, self._kept, self._taken, self._xor = 0, 0, 0, 0
        self._head = bytearray()
        self._data[:] = bytes(KEPT)

    def _match(self, byte: int) -> None:
        if byte == PREAMBLE[self._matched]:
            self._matched += 1
        elif byte == PREAMBLE[0]:  # a fourth AA: three of them still stand before what comes
            self._matched = 3 if self._matched == 3 else 1
        else:
            self._matched = 0

    def _take(self, byte: int) -> Answer | None:
        if len(self._head) < 2:
            self._head.append(byte)
            self._xor ^= byte
            if len(self._head) == 2 and not _STATUS + _XOR <= self._length <= LONGEST:
                self.reset()
                raise Garbled("a length that no answer has")
            return None
        self._taken += 1
        if self._taken == self._length:
            return self._finish(byte)
        self._xor ^= byte
        if self._taken <= _STATUS:
            self._head.append(byte)
        elif self._kept < KEPT:
            self._data[self._kept] = byte
            self._kept += 1
        return None

    def _finish(self, xor: int) -> Answer:
        if xor != self._xor:
            self.reset()
            raise Garbled("a wrong check sum")
        answer = Answer(self._head[4], self._data[: self._kept], self._length - _STATUS - _XOR)
        self.reset()
        return answer

    @property
    def _length(self) -> int:
        return int.from_bytes(self._head[:2], "big")


class Unreadable(Exception):
    """A document lies there and could not be read. The text has status numbers and lengths, no data."""


class NotAuthorised(Exception):
    """The reader's own security module says that it may not work: the reader must be mended or paid for."""


def conversation() -> Generator[Command, Answer, bytearray | None]:
    """One look for a document: yields commands, is sent answers, returns the 256 bytes of text, or None when nothing
    lies there. Whoever gets the text wipes it. Raises `Unreadable` and `NotAuthorised`.

    A document that was read is not found again before it has left the field.
    """
    answer = yield Command.FIND
    if answer.status == Status.NOT_FOUND:
        return None
    _expect(answer, Status.FOUND, "find")
    _expect((yield Command.SELECT), Status.OK, "select")
    answer = yield Command.READ
    try:
        _expect(answer, Status.OK, "read")
        if len(answer.data) < KEPT or int.from_bytes(answer.data[:2], "big") != TEXT_BYTES:
            raise Unreadable(f"an answer of {answer.length} bytes is no document")
        return answer.data[_LENGTHS:KEPT]
    finally:
        answer.wipe()


def _expect(answer: Answer, status: Status, step: str) -> None:
    if answer.status == status:
        return
    if answer.status == Status.NOT_AUTHORISED:
        raise NotAuthorised("the reader's security module is not authorised (66)")
    raise Unreadable(f"{step}: {answer.status:02X}")


def _xor(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
    return value
