"""The simulator's wire format and pulse log, without a socket."""

from __future__ import annotations

import os
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from menwei_simulator import protocol
from menwei_simulator.protocol import (
    MAX_LINE,
    AccessCommand,
    Ack,
    Bye,
    CardEvent,
    Contact,
    ContactEvent,
    DeviceHello,
    DeviceMessage,
    DigitsEvent,
    FeedbackCommand,
    HostHello,
    HostMessage,
    Lines,
    LineTooLong,
    LockMode,
    LockStatus,
    ModeCommand,
    ReaderStatus,
    Refusal,
    Role,
    Side,
    Welcome,
    decode_device,
    decode_host,
    encode,
)
from menwei_simulator.pulselog import Cause, PulseLog, read_lines, read_pulses
from menwei_simulator.session import DeviceClock

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
WHOLE = st.integers(0, 2**53)
DEVICE_MESSAGES = st.one_of(
    st.builds(DeviceHello, WHOLE, WORDS, WORDS, st.booleans()),
    st.builds(
        Welcome,
        clock=WHOLE,
        heartbeat=WHOLE,
        proof=WORDS,
        model=WORDS,
        version=WORDS,
        tamper=st.booleans(),
        locks=st.lists(
            st.builds(
                LockStatus,
                WORDS,
                st.sampled_from([*LockMode, None]),
                st.booleans(),
                st.sampled_from([*Contact, None]),
                st.booleans(),
            ),
            max_size=3,
        ).map(tuple),
        readers=st.lists(st.builds(ReaderStatus, WORDS, st.booleans(), st.booleans()), max_size=3).map(tuple),
    ),
    st.builds(Bye, st.sampled_from(Refusal)),
    st.builds(Ack, WHOLE, st.booleans(), st.sampled_from([*Refusal, None]), WHOLE),
    st.builds(CardEvent, reader=WORDS, format=WORDS, value=WORDS, clock=WHOLE, age_ms=WHOLE),
    st.builds(DigitsEvent, reader=WORDS, digits=WORDS, clock=WHOLE, age_ms=WHOLE),
    st.builds(ContactEvent, lock=WORDS, state=st.sampled_from([*Contact, None]), clock=WHOLE, age_ms=WHOLE),
)
SECONDS = st.floats(0, 1000, allow_nan=False)
HOST_MESSAGES = st.one_of(
    st.builds(HostHello, WHOLE, st.sampled_from(Role), WORDS, WORDS),
    st.builds(AccessCommand, WHOLE, WORDS, SECONDS, WHOLE, WHOLE, WORDS),
    st.builds(ModeCommand, WHOLE, WORDS, st.sampled_from(LockMode), WHOLE, WHOLE),
    st.builds(FeedbackCommand, WHOLE, WORDS, WORDS, WORDS, SECONDS),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)
KNOWN_FIELDS = sorted(
    {
        "id",
        "nonce",
        "proof",
        "role",
        "protocol",
        "secret",
        "clock",
        "heartbeat",
        "locks",
        "readers",
        "lock",
        "mode",
    }
    | {
        "released",
        "contact",
        "fire",
        "reader",
        "online",
        "tamper",
        "format",
        "value",
        "age_ms",
        "digits",
        "state",
    }
    | {
        "part",
        "active",
        "seconds",
        "sent",
        "expires_in",
        "passage",
        "kind",
        "text",
        "ok",
        "error",
        "pulse",
        "reason",
    }
)
KNOWN_TYPES = sorted(
    {"hello", "welcome", "bye", "alive", "ack", "card", "digits", "contact", "exit", "call", "tamper"}
    | {"fire", "reader", "access", "mode", "feedback"}
)


@given(DEVICE_MESSAGES)
def test_what_a_device_says_is_understood_as_it_was_said(message: DeviceMessage) -> None:
    assert decode_device(encode(message)) == message


@given(HOST_MESSAGES)
def test_what_a_host_says_is_understood_as_it_was_said(message: HostMessage) -> None:
    assert decode_host(encode(message)) == message


@given(st.binary(max_size=300))
def test_random_bytes_are_no_message_and_no_exception(line: bytes) -> None:
    assert decode_device(line) is None
    assert decode_host(line) is None


@given(st.sampled_from(KNOWN_TYPES), st.dictionaries(st.sampled_from(KNOWN_FIELDS), JSON, max_size=12))
def test_known_fields_with_any_json_in_them_never_raise(kind: str, body: dict[str, object]) -> None:
    line = orjson.dumps(body | {"type": kind})
    for decode in (decode_device, decode_host):
        message = decode(line)
        assert message is None or kind == message.TYPE
    assert protocol.command_id(line) >= 0


def test_a_state_this_version_does_not_know_is_none() -> None:
    line = b'{"type":"contact","lock":"1","state":"ajar","clock":1,"age_ms":0}'
    assert decode_device(line) == ContactEvent(lock="1", state=None, clock=1)


def test_fields_this_version_does_not_know_are_ignored() -> None:
    assert decode_device(b'{"type":"alive","clock":7,"mood":"good"}') == protocol.Alive(7)


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 60_000,
        b'{"type":"alive","clock":1e999}',
        b'{"type":"alive","clock":-1}',
        b'{"type":"alive","clock":true}',
        b'{"type":"hello","protocol":1,"id":"\\ud800","nonce":"","secret":false}',
        b'{"type":"hello","protocol":1,"id":"' + b"x" * 2000 + b'","nonce":"","secret":false}',
        b'{"type":"welcome","locks":[[]]}',
        b"\x00",
        b"\xff\xfe",
    ],
)
def test_hostile_lines_are_no_message(line: bytes) -> None:
    assert decode_device(line) is None


def test_a_card_number_does_not_show_in_the_text_of_its_event() -> None:
    shown = repr(CardEvent(reader="in", format="uid", value="04A2B3C4")) + repr(
        DigitsEvent(reader="in", digits="2468")
    )
    assert "04A2B3C4" not in shown
    assert "2468" not in shown


@given(
    st.lists(st.binary(max_size=40).map(lambda b: b.replace(b"\n", b"") + b"x"), max_size=8),
    st.integers(1, 7),
)
def test_lines_are_the_same_however_the_stream_is_cut(sent: list[bytes], cut: int) -> None:
    lines, stream = Lines(), b"".join(line + b"\n" for line in sent)
    found = [line for at in range(0, len(stream), cut) for line in lines.feed(stream[at : at + cut])]
    assert found == sent


def test_a_line_of_ten_megabytes_is_refused_before_it_is_held() -> None:
    lines = Lines()
    fed = 0
    with pytest.raises(LineTooLong):
        for _ in range(160):
            fed += MAX_LINE
            lines.feed(b"x" * MAX_LINE)
    assert fed <= 2 * MAX_LINE


def test_the_longest_line_allowed_is_64_kib_with_its_newline() -> None:
    assert Lines().feed(b"x" * (MAX_LINE - 1) + b"\n") == [b"x" * (MAX_LINE - 1)]
    with pytest.raises(LineTooLong):
        Lines().feed(b"x" * MAX_LINE + b"\n")


def test_a_proof_of_one_side_is_not_one_of_the_other() -> None:
    proof = protocol.prove("secret", Side.HOST, "a", "b")
    assert protocol.proven(proof, "secret", Side.HOST, "a", "b")
    assert not protocol.proven(proof, "secret", Side.DEVICE, "a", "b")
    assert not protocol.proven("", "secret", Side.HOST, "a", "b")
    assert not protocol.proven("密", "secret", Side.HOST, "a", "b")


def test_the_device_clock_is_judged_by_the_quickest_of_the_last_heartbeats() -> None:
    clock = DeviceClock()
    clock.beat(10_000, 100.5)  # half a second on the way
    clock.beat(11_000, 101.0)  # at once
    assert clock.at(102.0) == 12_000
    assert clock.travelled(12_000, 112.0) == pytest.approx(10.0)


def test_a_drifting_device_clock_is_followed() -> None:
    clock = DeviceClock()
    for beat in range(100):
        clock.beat(beat * 900, float(beat))  # the device loses a tenth
    assert clock.at(99.0) - 99 * 900 <= 16 * 100


# ------------------------------------------------------------------------------------------------------ pulse log


def pulse(passage: str) -> dict[str, object]:
    return {
        "kind": "pulse",
        "controller": "sim",
        "lock": "1",
        "seconds": 5.0,
        "cause": Cause.COMMAND,
        "command": 1,
        "passage": passage,
    }


async def test_the_index_goes_on_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "pulses"
    for passage in ("a", "b"):
        log = PulseLog(path)
        await log.append(pulse(passage))
        await log.close()
    assert [(p.index, p.passage) for p in read_pulses(path)] == [(1, "a"), (2, "b")]


async def test_a_torn_last_line_is_cut_off_and_its_index_used_again(tmp_path: Path) -> None:
    path = tmp_path / "pulses"
    log = PulseLog(path)
    await log.append(pulse("a"))
    await log.close()
    with path.open("ab") as file:
        file.write(b'{"index":2,"kind":"pul')
    assert [p.passage for p in read_pulses(path)] == ["a"]
    log = PulseLog(path)
    assert await log.append(pulse("b")) == 2
    await log.close()
    assert [p.passage for p in read_pulses(path)] == ["a", "b"]


async def test_a_refusing_disk_leaves_no_line_and_no_gap(tmp_path: Path) -> None:
    full = False

    def sync(file: int) -> None:
        if full:
            raise OSError(28, "No space left on device")
        os.fsync(file)

    log = PulseLog(tmp_path / "pulses", sync)
    await log.append(pulse("a"))
    full = True
    with pytest.raises(OSError, match="No space"):
        await log.append(pulse("lost"))
    full = False
    assert await log.append(pulse("b")) == 2
    await log.close()
    assert [p.passage for p in read_pulses(tmp_path / "pulses")] == ["a", "b"]


async def test_two_devices_cannot_write_one_log(tmp_path: Path) -> None:
    log = PulseLog(tmp_path / "pulses")
    with pytest.raises(BlockingIOError):
        PulseLog(tmp_path / "pulses")
    await log.close()
    await PulseLog(tmp_path / "pulses").close()


def test_a_line_cut_out_of_the_log_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "pulses"
    path.write_bytes(b'{"index":1,"kind":"mode"}\n{"index":3,"kind":"mode"}\n')
    with pytest.raises(ValueError, match="index 3"):
        read_lines(path)
