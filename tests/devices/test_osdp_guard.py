"""What may pass on an OSDP wire, and what may not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menwei_osdp.frames import Command, Reply
from menwei_osdp.guard import Guard, Refusal
from peers.osdp_wire import frame, raw_card

PANEL, READER = bytes([0x53, 1, 0, 0, 1]), bytes([0x53, 0x81, 0, 0, 1])
IN_SESSION = bytes([2, 0x15])
POLL = frame(PANEL, bytes([Command.POLL]), IN_SESSION)
CARD = raw_card(26, 0x2000003)


class Bench:
    """A guard with its clock and what it refused."""

    def __init__(self, *, pairing: bool = False) -> None:
        self.now = 100.0
        self.refused: list[tuple[int, Refusal]] = []
        self.guard = Guard(
            lambda: self.now, lambda address, why: self.refused.append((address, why)), pairing
        )


def test_an_answer_in_the_session_passes() -> None:
    bench = Bench()
    answer = frame(READER, bytes([Reply.ACK]) + bytes(4), bytes([2, 0x16]))
    assert bench.guard.outgoing(b"\xff" + POLL) == b"\xff" + POLL
    assert bench.guard.incoming(answer) == answer
    assert bench.refused == []


def test_an_answer_in_pieces_passes_when_it_is_whole() -> None:
    bench = Bench()
    answer = frame(READER, bytes([Reply.ACK]) + bytes(4), bytes([2, 0x16]))
    bench.guard.outgoing(POLL)
    assert [bench.guard.incoming(answer[:6]), bench.guard.incoming(answer[6:])] == [b"", answer]


@pytest.mark.parametrize(
    "block", [b"", b"\x02\x12", b"\x03\x12\x01", b"\x02\x14", b"\x03\x14\x01", b"\x02\x11", b"\x02\x15"]
)
def test_a_card_without_the_sessions_protection_does_not_pass(block: bytes) -> None:
    bench = Bench()
    bench.guard.outgoing(POLL)
    assert bench.guard.incoming(frame(READER, CARD, block)) == b""
    assert bench.refused == [(1, Refusal.CLEAR_TEXT)]


def test_after_a_forged_answer_the_true_one_still_passes() -> None:
    bench = Bench()
    answer = frame(READER, bytes([Reply.ACK]) + bytes(4), bytes([2, 0x16]))
    bench.guard.outgoing(POLL)
    assert bench.guard.incoming(frame(READER, CARD) + answer) == answer


def test_a_second_answer_to_one_question_does_not_pass() -> None:
    bench = Bench()
    answer = frame(READER, bytes([Reply.ACK]) + bytes(4), bytes([2, 0x16]))
    bench.guard.outgoing(POLL)
    assert bench.guard.incoming(answer) == answer
    assert bench.guard.incoming(answer) == b""
    assert bench.refused == [(1, Refusal.STRAY)]


def test_an_answer_of_another_reader_does_not_pass() -> None:
    bench = Bench()
    bench.guard.outgoing(POLL)
    assert (
        bench.guard.incoming(frame(bytes([0x53, 0x82, 0, 0, 1]), bytes([Reply.ACK]) + bytes(4), b"\x02\x16"))
        == b""
    )
    assert bench.refused == [(2, Refusal.STRAY)]


def test_a_late_answer_to_the_question_before_does_not_pass_and_is_no_attack() -> None:
    bench = Bench()
    bench.guard.outgoing(frame(PANEL, bytes([Command.CAPABILITIES, 0])))
    next_one = bytes([0x53, 1, 0, 0, 2])
    bench.guard.outgoing(frame(next_one, bytes([Command.CHALLENGE]) + bytes(8), b"\x03\x11\x01"))
    late = frame(READER, bytes([Reply.CAPABILITIES]) + bytes(6))
    assert bench.guard.incoming(late) == b""
    assert bench.refused == [(1, Refusal.STRAY)]


def test_what_nobody_asked_for_does_not_pass() -> None:
    bench = Bench()
    assert bench.guard.incoming(frame(READER, CARD)) == b""


def test_the_echo_of_our_own_command_is_passed_over() -> None:
    bench = Bench()
    bench.guard.outgoing(POLL)
    assert bench.guard.incoming(POLL) == b""
    assert bench.refused == []


def test_a_reader_may_say_in_clear_that_it_lost_its_session_or_is_busy() -> None:
    for code in (Reply.NAK, Reply.BUSY):
        bench = Bench()
        bench.guard.outgoing(POLL)
        said = frame(READER, bytes([code, 6]))
        assert bench.guard.incoming(said) == said


def test_no_command_leaves_in_clear_but_the_two_questions_before_a_session() -> None:
    for code in range(0x60, 0xC0):
        bench = Bench()
        left = bench.guard.outgoing(frame(PANEL, bytes([code, 0])))
        assert bool(left) == (code in (Command.ID, Command.CAPABILITIES))


def test_no_handshake_under_the_default_key_leaves_outside_of_pairing() -> None:
    challenge = frame(PANEL, bytes([Command.CHALLENGE]) + bytes(8), b"\x03\x11\x00")
    bench = Bench()
    assert bench.guard.outgoing(challenge) == b""
    assert bench.refused == [(1, Refusal.DEFAULT_KEY)]
    assert Bench(pairing=True).guard.outgoing(challenge) == challenge


def test_an_answer_under_the_default_key_does_not_pass_outside_of_pairing() -> None:
    bench = Bench()
    bench.guard.outgoing(frame(PANEL, bytes([Command.CHALLENGE]) + bytes(8), b"\x03\x11\x01"))
    assert bench.guard.incoming(frame(READER, bytes([Reply.CRYPTOGRAM]) + bytes(32), b"\x03\x12\x00")) == b""
    assert bench.refused == [(1, Refusal.DEFAULT_KEY)]


def test_a_clear_confirmation_of_a_new_key_passes_in_pairing_alone() -> None:
    keyset, ack = (
        frame(PANEL, bytes([Command.KEYSET]) + bytes(20), b"\x02\x17"),
        frame(READER, bytes([Reply.ACK])),
    )
    for pairing in (False, True):
        bench = Bench(pairing=pairing)
        bench.guard.outgoing(keyset)
        assert bool(bench.guard.incoming(ack)) is pairing


def test_a_lock_command_leaves_only_before_its_deadline() -> None:
    bench = Bench()
    order = frame(PANEL, bytes([Command.OUTPUT]) + bytes(20), b"\x02\x17")
    assert bench.guard.outgoing(order) == b""
    bench.guard.deadlines[1] = 101.0
    assert bench.guard.outgoing(order) == order
    bench.now = 101.0
    assert bench.guard.outgoing(order) == b""
    assert bench.refused == [(1, Refusal.LATE)] * 2


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_whatever_comes_nothing_unprotected_passes_in_a_session(parts: list[bytes]) -> None:
    bench = Bench()
    bench.guard.outgoing(POLL)
    for part in parts:
        passed = bench.guard.incoming(part)
        assert not passed or passed[6] in (0x16, 0x18) or passed[5] in (Reply.NAK, Reply.BUSY)
