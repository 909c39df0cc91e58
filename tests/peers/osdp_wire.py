"""Somebody on an OSDP wire: sees every frame of both directions, may change them, drop them or put others in.

    async with Tapped() as wire:
        wire.edit = lambda unit: [unit]      # what goes on instead of each frame

The frames are cut and built here from the standard (SIA OSDP 2.2, 5.9), not with the driver's own code.
"""

from __future__ import annotations

from collections.abc import Callable

from menwei.testing.proxies import SerialProxy

POLL, OUTPUT, KEYSET, CHALLENGE = 0x60, 0x68, 0x75, 0x76
ACK, CAPABILITIES, RAW = 0x40, 0x46, 0x50


class Tapped(SerialProxy):
    """A serial cable with somebody on it. `seen` are all frames so far, as they came."""

    def __init__(self) -> None:
        super().__init__(units=self._cut)
        self.seen: list[bytes] = []
        self.edit: Callable[[bytes], list[bytes]] = lambda unit: [unit]

    def _cut(self, buffer: bytearray) -> list[bytes]:
        units = []
        while (start := buffer.find(0x53)) >= 0 and len(buffer) >= start + 5:
            length = buffer[start + 2] | buffer[start + 3] << 8
            if not 7 <= length <= 1024:
                del buffer[: start + 1]
                continue
            if len(buffer) < start + length:
                break
            units.append(bytes(buffer[start : start + length]))
            del buffer[: start + length]
        self.seen += units
        return [changed for unit in units for changed in self.edit(unit)]


def is_reply(unit: bytes) -> bool:
    return bool(unit[1] & 0x80)


def block_of(unit: bytes) -> int | None:
    return unit[6] if unit[4] & 0x08 else None


def code_of(unit: bytes) -> int:
    return unit[5 + unit[5]] if unit[4] & 0x08 else unit[5]


def uses_default_key(unit: bytes) -> bool:
    return block_of(unit) in (0x11, 0x12, 0x13) and unit[7] == 0


def frame(head: bytes, body: bytes, block: bytes = b"") -> bytes:
    """A frame from the same side, address and sequence number as `head`; `block` is a whole security block."""
    control = 0x04 | head[4] & 0x03 | (0x08 if block else 0)
    length = 5 + len(block) + len(body) + 2
    unit = bytes([0x53, head[1], length & 0xFF, length >> 8, control]) + block + body
    return unit + crc(unit).to_bytes(2, "little")


def raw_card(bits: int, number: int) -> bytes:
    data = (number << (-bits % 8)).to_bytes((bits + 7) // 8, "big")
    return bytes([RAW, 0, 1]) + bits.to_bytes(2, "little") + data


def crc(data: bytes) -> int:
    value = 0x1D0F
    for byte in data:
        value ^= byte << 8
        for _ in range(8):
            value = (value << 1 ^ 0x1021 if value & 0x8000 else value << 1) & 0xFFFF
    return value
