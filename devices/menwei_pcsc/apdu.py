"""What to ask a card for its name, and what its answers mean. Pure: bytes in, bytes out.

Sources: PC/SC Workgroup, Interoperability Specification Part 3, 3.1.3.2.3 (ATR of contactless cards) and 3.2.2.1.3
(Get Data, `FF CA 00 00 00`); ISO/IEC 7816-4 for status words; ISO/IEC 14443-3 for the sizes of UIDs. The resident
identity card's command stands in no public standard; it is the one that card reader makers describe.

What a card answers is data from a stranger: it becomes hexadecimal text of a known length, or it is refused.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from enum import StrEnum

GET_UID = bytes.fromhex("FFCA000000")
"""Get Data: the reader itself answers with the UID it learned when it found the card."""

GET_RESIDENT_SERIAL = bytes.fromhex("0036000008")
"""Asks a Chinese resident identity card for its chip's serial: 8 bytes. It is not the citizen's number, and it changes
with the card."""

UID_LENGTHS = frozenset({4, 7, 8, 10})
"""ISO/IEC 14443-3: 4, 7 and 10; ISO/IEC 15693 and FeliCa: 8."""

RESIDENT_SERIAL_LENGTH = 8

SUCCESS = 0x9000
WRONG_LENGTH = 0x6C
"""First status byte of "ask again, with the length in the second byte" (ISO/IEC 7816-4)."""


class CardFormat(StrEnum):
    """The `format` of what is reported; the value is always hexadecimal, upper case."""

    UID = "uid"
    RESIDENT = "idcard"


@dataclass(frozen=True, slots=True)
class CardIdentity:
    """What a card said it is. Never shown: a card number in a log is a person in a log."""

    format: CardFormat
    value: str

    def __repr__(self) -> str:
        return f"CardIdentity({self.format}, …)"


class NoIdentity(Exception):
    """The card answered, but with nothing that identifies it. The text has status words and lengths, no data."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A response APDU: data and status word, `status` None when there were too few bytes for one."""

    data: bytes
    status: int | None

    @property
    def text(self) -> str:
        """For the log. Two bytes that are no status word are somebody's data, and are not shown."""
        known = self.status is not None and self.status >> 12 in (0x6, 0x9)
        return (
            f"{self.status:04X} with {len(self.data)} bytes"
            if known
            else f"no status, {len(self.data)} bytes"
        )


def split(response: bytes) -> Answer:
    """Separates a response APDU into data and status word."""
    if len(response) < 2:
        return Answer(b"", None)
    return Answer(response[:-2], int.from_bytes(response[-2:], "big"))


def may_be_type_b(atr: bytes) -> bool:
    """Whether the ATR is one that readers make up for ISO/IEC 14443 type B.

    Such an ATR is `3B 88 80 01`, then 4 bytes application data, 3 bytes protocol information, 1 byte with MBLI in its
    high half and nothing in its low half. Type A cards with 8 historical bytes can look the same.
    """
    return len(atr) == 13 and atr[:4] == b"\x3b\x88\x80\x01" and atr[11] & 0x0F == 0


def identify(atr: bytes) -> Generator[bytes, bytes, CardIdentity]:
    """The conversation with one card: yields commands, is sent responses, returns who it is.

    A type B card is asked for the resident serial first, because its "UID" (PUPI) may be another one each time it is
    found. Raises `NoIdentity`.
    """
    resident_first = may_be_type_b(atr)
    refusals = []
    for command in (GET_RESIDENT_SERIAL, GET_UID) if resident_first else (GET_UID, GET_RESIDENT_SERIAL):
        answer = split((yield command))
        if answer.status is not None and answer.status >> 8 == WRONG_LENGTH:
            answer = split((yield command[:-1] + bytes([answer.status & 0xFF])))
        identity = _resident(answer) if command == GET_RESIDENT_SERIAL else _uid(answer)
        if identity is not None:
            return identity
        refusals.append(f"{command[:2].hex(' ').upper()}: {answer.text}")
    raise NoIdentity("; ".join(refusals))


def _uid(answer: Answer) -> CardIdentity | None:
    if answer.status != SUCCESS or len(answer.data) not in UID_LENGTHS or _is_blank(answer.data):
        return None
    return CardIdentity(CardFormat.UID, answer.data.hex().upper())


def _resident(answer: Answer) -> CardIdentity | None:
    if answer.status != SUCCESS or len(answer.data) != RESIDENT_SERIAL_LENGTH or _is_blank(answer.data):
        return None
    return CardIdentity(CardFormat.RESIDENT, answer.data.hex().upper())


def _is_blank(data: bytes) -> bool:
    """All zeros or all ones: an empty answer in another dress, and the same for every such card."""
    return data in (bytes(len(data)), b"\xff" * len(data))
