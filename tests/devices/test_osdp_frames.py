"""Frames of OSDP, seen from outside."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from menwei_osdp.frames import Block, Command, Frame, Reply, crc, parse, sound, split
from peers import osdp_wire

POLL_OF_ADDRESS_1 = bytes.fromhex("530109000461006023")
"""What libosdp 3.2.9 sends first: osdp_ID in clear, with CRC."""


def test_a_frame_of_the_library_is_understood() -> None:
    (unit,) = split(bytearray(b"\xff" + POLL_OF_ADDRESS_1))
    assert parse(unit) == Frame(1, False, 0, None, False, Command.ID)


def test_the_crc_is_the_standards() -> None:
    assert crc(POLL_OF_ADDRESS_1[:-2]) == osdp_wire.crc(POLL_OF_ADDRESS_1[:-2])


def test_a_frame_with_a_checksum_is_understood() -> None:
    unit = bytes([0x53, 0x81, 7, 0, 0x01, Reply.ACK])
    unit += bytes([-sum(unit) & 0xFF])
    assert sound(unit)
    assert parse(unit) == Frame(1, True, 1, None, False, Reply.ACK)


def test_a_handshake_says_whether_it_uses_the_default_key() -> None:
    head = bytes([0x53, 5, 0, 0, 2])
    own = osdp_wire.frame(head, bytes([Command.CHALLENGE]) + bytes(8), bytes([3, 0x11, 1]))
    default = osdp_wire.frame(head, bytes([Command.CHALLENGE]) + bytes(8), bytes([3, 0x11, 0]))
    assert parse(own) == Frame(5, False, 2, Block.CHALLENGE, False, Command.CHALLENGE)
    assert parse(default) == Frame(5, False, 2, Block.CHALLENGE, True, Command.CHALLENGE)


def test_noise_before_between_and_after_frames_is_passed_over() -> None:
    noise = b"\x00\x53\xff\xff\x01\x53"
    stream = noise + POLL_OF_ADDRESS_1 + noise + POLL_OF_ADDRESS_1 + noise
    assert split(bytearray(stream)) == [POLL_OF_ADDRESS_1] * 2


def test_a_frame_with_one_wrong_bit_is_none() -> None:
    for place in range(len(POLL_OF_ADDRESS_1) * 8):
        spoilt = bytearray(POLL_OF_ADDRESS_1)
        spoilt[place // 8] ^= 1 << place % 8
        assert split(spoilt) == []


@given(st.lists(st.binary(max_size=40), max_size=6), st.integers(1, 20))
def test_a_stream_gives_the_same_frames_however_it_is_cut(parts: list[bytes], size: int) -> None:
    stream = b"".join(part.replace(b"\x53", b"") + POLL_OF_ADDRESS_1 for part in parts)
    buffer, found = bytearray(), []
    for start in range(0, len(stream), size):
        buffer += stream[start : start + size]
        found += split(buffer)
    assert found == [POLL_OF_ADDRESS_1] * len(parts)


@given(st.binary(max_size=600))
def test_any_bytes_are_taken(data: bytes) -> None:
    for unit in split(bytearray(data)):
        parse(unit)


@given(st.binary(max_size=60), st.binary(max_size=6), st.integers(0, 255))
def test_any_sound_frame_is_taken(body: bytes, block: bytes, control: int) -> None:
    length = 7 + len(block) + len(body)
    unit = bytes([0x53, 0x81, length & 0xFF, length >> 8, control | 4]) + block + body
    unit += osdp_wire.crc(unit).to_bytes(2, "little")
    assert split(bytearray(unit)) == [unit]
    seen = parse(unit)
    assert seen is None or seen.address == 1
