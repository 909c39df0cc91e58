"""Frames of the Open Supervised Device Protocol, as far as one must see them from outside. Pure: bytes in, facts out.

Source: IEC 60839-11-5 / SIA OSDP 2.2, 5.9 (packet format) and annex D (secure channel):

    53 | address, bit 7 set in replies | length, 2 bytes, least first, of everything | control | [security block] |
    command or reply code | data | [4 bytes MAC] | checksum, or CRC-16 where control says so

Before it there may be a mark byte FF. Even in a secure channel the code stands in clear; only its data is encrypted.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from enum import IntEnum

SOM = 0x53
"""Start of message."""
REPLY = 0x80
BROADCAST = 0x7F
HEADER = 5
LONGEST = 256
"""Bytes; libosdp takes no longer ones either."""
_USES_CRC = 0x04
_HAS_BLOCK = 0x08
_SEQUENCE = 0x03


class Command(IntEnum):
    """Codes that the panel sends; those that are named somewhere."""

    POLL = 0x60
    ID = 0x61
    CAPABILITIES = 0x62
    LOCAL_STATUS = 0x64
    OUTPUT = 0x68
    LED = 0x69
    BUZZER = 0x6A
    TEXT = 0x6B
    KEYSET = 0x75
    CHALLENGE = 0x76
    CRYPTOGRAM = 0x77


class Reply(IntEnum):
    """Codes that a reader sends; those that are named somewhere."""

    ACK = 0x40
    NAK = 0x41
    ID = 0x45
    CAPABILITIES = 0x46
    RAW_CARD = 0x50
    KEYPAD = 0x53
    CRYPTOGRAM = 0x76
    FIRST_MAC = 0x78
    BUSY = 0x79


class Block(IntEnum):
    """Types of the security block: who sends it and what it protects."""

    CHALLENGE = 0x11
    CRYPTOGRAM = 0x12
    CONFIRM = 0x13
    CONFIRMED = 0x14
    COMMAND = 0x15
    REPLY = 0x16
    COMMAND_DATA = 0x17
    REPLY_DATA = 0x18


@dataclass(frozen=True, slots=True)
class Frame:
    """What can be seen of one frame. `block` is the security block's type, None in clear text; `default_key` is True
    where the block says that the key everybody knows (SCBK-D) is used. The data is not kept."""

    address: int
    reply: bool
    sequence: int
    block: int | None
    default_key: bool
    code: int


def split(buffer: bytearray) -> list[bytes]:
    """Takes the complete frames with a good checksum out of `buffer`, marks and noise too, and leaves the rest in it."""
    found: list[bytes] = []
    while (start := buffer.find(SOM)) >= 0:
        del buffer[:start]
        if len(buffer) < HEADER:
            return found
        length = buffer[2] | buffer[3] << 8
        if not HEADER + 2 <= length <= LONGEST:
            del buffer[0]
            continue
        if len(buffer) < length:
            return found
        unit = bytes(buffer[:length])
        if not sound(unit):
            del buffer[0]
            continue
        found.append(unit)
        del buffer[:length]
    buffer.clear()
    return found


def sound(unit: bytes) -> bool:
    """Whether the checksum or CRC of a whole frame is right."""
    if unit[4] & _USES_CRC:
        return crc(unit[:-2]) == unit[-2] | unit[-1] << 8
    return sum(unit) & 0xFF == 0


def crc(data: bytes) -> int:
    """CRC-16 with polynomial 1021 and start value 1D0F (SIA OSDP 2.2, annex C)."""
    return binascii.crc_hqx(data, 0x1D0F)


def parse(unit: bytes) -> Frame | None:
    """The facts of a sound frame; None where it is too short for what its control byte promises."""
    control = unit[4]
    end = len(unit) - (2 if control & _USES_CRC else 1)
    at, block, default_key = HEADER, None, False
    if control & _HAS_BLOCK:
        if at + 2 > end:
            return None
        length, block = unit[at], unit[at + 1]
        if length < 2 or at + length > end:
            return None
        default_key = (
            block in (Block.CHALLENGE, Block.CRYPTOGRAM, Block.CONFIRM)
            and unit[at + 2 : at + length] == b"\0"
        )
        at += length
    if at >= end:
        return None
    return Frame(unit[1] & 0x7F, bool(unit[1] & REPLY), control & _SEQUENCE, block, default_key, unit[at])
