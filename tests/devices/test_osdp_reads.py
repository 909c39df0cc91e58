"""From bits and keys to what the core is told; lights, recovery and the config of an OSDP wire."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from menwei import Feedback, FeedbackKind
from menwei.cardformats import normalise
from menwei_osdp.cards import UnreadableCard, card_number
from menwei_osdp.config import OsdpConfig
from menwei_osdp.freshness import Freshness
from menwei_osdp.keypad import Keypad, Typed
from menwei_osdp.recovery import Recovery
from menwei_osdp.signals import Abilities, Light, Sound, Text, orders
from menwei_osdp.trouble import Why
from peers.osdp_pd import wiegand26, wiegand34

ALL = Abilities(light=True, sound=True, display=True, outputs=1)
KEY, OTHER = "00112233445566778899aabbccddeeff", "ff112233445566778899aabbccddeeff"


def bits(width: int, number: int) -> bytes:
    return (number << (-width % 8)).to_bytes((width + 7) // 8, "big")


# ------------------------------------------------------------------------------------------------------------- cards


def test_26_bits_are_a_wiegand_26_number() -> None:
    assert card_number(bits(26, wiegand26(123, 45678)), 26) == ("wiegand26", "123,45678")


def test_34_bits_are_a_wiegand_34_number() -> None:
    assert card_number(bits(34, wiegand34(0x12345678)), 34) == ("wiegand34", "4660,22136")


def test_a_reader_that_sends_the_last_byte_first_says_so_in_the_format() -> None:
    assert card_number(bits(34, wiegand34(0x12345678)), 34, reversed=True)[0] == "wiegand34-le"
    assert card_number(bytes.fromhex("78563412"), 32, reversed=True) == ("uid-reversed", "78563412")


def test_whole_bytes_without_parity_are_a_uid() -> None:
    assert card_number(bytes.fromhex("12345678"), 32) == ("uid", "12345678")
    assert card_number(bytes.fromhex("04a1b2c3d4e5f6"), 56) == ("uid", "04A1B2C3D4E5F6")


@pytest.mark.parametrize("width", [1, 8, 25, 27, 33, 35, 37, 40, 48, 64, 128, 512])
def test_other_lengths_are_refused(width: int) -> None:
    with pytest.raises(UnreadableCard):
        card_number(bits(width, 1), width)


@given(st.integers(0, (1 << 26) - 1))
def test_one_wrong_bit_is_never_another_card(number: int) -> None:
    card = wiegand26(number >> 18 & 0xFF, number >> 2 & 0xFFFF)
    with pytest.raises(UnreadableCard):
        card_number(bits(26, card ^ 1 << number % 26), 26)


def test_all_zeros_and_all_ones_are_no_card() -> None:
    for width, number in ((26, wiegand26(0, 0)), (26, wiegand26(255, 65535)), (32, 0), (32, 0xFFFFFFFF)):
        with pytest.raises(UnreadableCard):
            card_number(bits(width, number), width)


def test_a_refusal_does_not_say_the_number() -> None:
    with pytest.raises(UnreadableCard) as refused:
        card_number(bits(37, 123456789), 37)
    assert "123456789" not in str(refused.value)
    assert "37 bits" in str(refused.value)


@given(st.binary(max_size=70), st.integers(-5, 600))
def test_any_read_is_a_card_the_core_knows_or_refused(data: bytes, width: int) -> None:
    try:
        format, value = card_number(data, width)
    except UnreadableCard:
        return
    normalise(format, value)


# -------------------------------------------------------------------------------------------------------------- keys


def test_a_number_ends_with_the_hash_key() -> None:
    keypad = Keypad(3.0)
    assert keypad.press(b"12", 1.0) == []
    assert keypad.press(b"34\r", 2.0) == [Typed("1234", 2.0)]
    assert keypad.press(b"56#", 3.0) == [Typed("56", 3.0)]


def test_a_number_ends_when_no_key_comes_and_is_as_old_as_its_last_key() -> None:
    keypad = Keypad(3.0)
    keypad.press(b"1234", 1.0)
    assert keypad.due(3.9) == []
    assert keypad.due(4.0) == [Typed("1234", 1.0)]
    assert keypad.due(9.0) == []


def test_the_star_starts_anew() -> None:
    assert Keypad(3.0).press(b"99\x7f12\r", 1.0) == [Typed("12", 1.0)]


def test_a_number_that_is_too_long_is_none_and_does_not_spoil_the_next() -> None:
    keypad = Keypad(3.0)
    assert keypad.press(b"1" * 17 + b"\r", 1.0) == []
    assert keypad.press(b"22\r", 2.0) == [Typed("22", 2.0)]


def test_a_hash_key_alone_is_no_number() -> None:
    assert Keypad(3.0).press(b"\r", 1.0) == []


@given(st.lists(st.tuples(st.binary(max_size=30), st.floats(0, 5)), max_size=10))
def test_whatever_is_pressed_numbers_are_digits(presses: list[tuple[bytes, float]]) -> None:
    keypad, now = Keypad(3.0), 0.0
    for keys, pause in presses:
        now += pause
        for typed in keypad.press(keys, now):
            assert typed.digits.isdigit()
            assert len(typed.digits) <= 16


# --------------------------------------------------------------------------------------------------------- freshness


def test_what_a_reader_tells_right_after_it_came_is_old() -> None:
    fresh = Freshness()
    fresh.begin(100.0)
    assert [fresh.is_old(at, at - 0.05) for at in (100.1, 100.9, 101.8)] == [True, True, True]
    assert not fresh.is_old(102.9, 102.85)


def test_what_a_reader_tells_after_a_silence_is_old() -> None:
    fresh = Freshness()
    fresh.begin(100.0)
    assert not fresh.is_old(110.0, 109.95)
    assert fresh.is_old(115.0, 110.0)
    assert fresh.is_old(115.05, 115.0)
    assert not fresh.is_old(117.0, 116.95)


def test_before_a_session_everything_is_old() -> None:
    assert Freshness().is_old(100.0, 99.95)


def test_a_card_held_on_the_reader_is_one_touch() -> None:
    fresh = Freshness()
    assert [fresh.is_repeated(26, b"a", at) for at in (1.0, 1.5, 2.4, 3.3)] == [False, True, True, True]
    assert not fresh.is_repeated(26, b"a", 4.5)


def test_another_card_is_another_touch_at_once() -> None:
    fresh = Freshness()
    assert [fresh.is_repeated(26, card, 1.0) for card in (b"a", b"b", b"a")] == [False, False, False]


# ---------------------------------------------------------------------------------------------------------- recovery


def test_a_lost_reader_is_tried_again_within_a_second_not_after_300() -> None:
    recovery = Recovery(0.0)
    recovery.found()
    recovery.lost(Why.LOST, 50.0)
    assert not recovery.due(50.9)
    assert recovery.due(51.0)


def test_a_reader_with_another_key_is_tried_less_and_less_but_at_least_every_20_seconds() -> None:
    recovery, now, waits = Recovery(0.0), 0.0, []
    for _ in range(7):
        recovery.lost(Why.KEY, now)
        wait = next(tenth / 10 for tenth in range(1000) if recovery.due(now + tenth / 10))
        waits.append(wait)
        now += wait
    assert waits == [2.0, 4.0, 8.0, 16.0, 20.0, 20.0, 20.0]


def test_a_reader_that_restarts_itself_is_no_alarm() -> None:
    recovery = Recovery(0.0)
    recovery.found()
    recovery.lost(Why.SESSION, 10.0)
    assert recovery.to_tell(12.0) is None
    recovery.found()
    assert recovery.to_tell(14.0) is None


def test_each_reason_is_told_once() -> None:
    recovery = Recovery(0.0)
    recovery.found()
    recovery.lost(Why.LOST, 10.0)
    assert [recovery.to_tell(10.0), recovery.to_tell(11.0)] == [Why.LOST, None]
    recovery.lost(Why.KEY, 12.0)
    assert [recovery.to_tell(12.0), recovery.to_tell(13.0)] == [Why.KEY, None]


# ----------------------------------------------------------------------------------------------------------- showing


def test_granted_and_denied_differ_in_colour_and_in_sound() -> None:
    granted, denied = (orders(Feedback(kind), ALL) for kind in (FeedbackKind.GRANTED, FeedbackKind.DENIED))
    assert isinstance(granted[0], Light) and isinstance(denied[0], Light)
    assert granted[0].signal.colour != denied[0].signal.colour
    assert granted[0].signal.beeps != denied[0].signal.beeps


def test_a_reader_is_never_sent_what_it_did_not_say_it_has() -> None:
    for kind in FeedbackKind:
        assert orders(Feedback(kind, "Welcome"), Abilities()) == []
        assert [type(order) for order in orders(Feedback(kind, "Welcome"), Abilities(sound=True))] == [Sound]


def test_only_ascii_text_is_sent_and_only_as_much_as_fits() -> None:
    assert Text("W" * 32, 3) in orders(Feedback(FeedbackKind.GRANTED, "W" * 50), ALL)
    assert not any(isinstance(order, Text) for order in orders(Feedback(FeedbackKind.GRANTED, "欢迎"), ALL))


def test_a_light_ends_by_itself_whatever_was_asked_for() -> None:
    for seconds, tenths in ((0.0, 1), (3.0, 30), (1e6, 255)):
        (light,) = orders(Feedback(FeedbackKind.GRANTED, seconds=seconds), Abilities(light=True))
        assert isinstance(light, Light)
        assert light.timer == tenths


# ------------------------------------------------------------------------------------------------------------ config


def config(**readers: dict[str, object]) -> OsdpConfig:
    return OsdpConfig.model_validate({"port": "/dev/ttyUSB0", "readers": readers})


def test_a_wire_is_described_by_its_port_and_readers() -> None:
    settings = config(
        inside={"address": 1, "key": KEY.upper(), "outputs": 2}, outside={"address": 2, "key": OTHER}
    )
    assert settings.locks() == {"inside-out0": ("inside", 0), "inside-out1": ("inside", 1)}
    assert [plan.station.key.hex() for plan in settings.plans()] == [KEY, OTHER]


@pytest.mark.parametrize(
    "key", ["", "00", KEY + "00", "zz" * 16, "00" * 16, "ff" * 16, "303132333435363738393A3B3C3D3E3F"]
)
def test_a_key_that_is_none_or_known_to_everybody_is_refused(key: str) -> None:
    with pytest.raises(ValidationError):
        config(inside={"address": 1, "key": key})


def test_two_readers_need_two_addresses_and_two_keys() -> None:
    with pytest.raises(ValidationError, match="same address"):
        config(inside={"address": 1, "key": KEY}, outside={"address": 1, "key": OTHER})
    with pytest.raises(ValidationError, match="same key"):
        config(inside={"address": 1, "key": KEY}, outside={"address": 2, "key": KEY})


def test_a_key_is_nowhere_in_what_is_printed() -> None:
    settings = config(inside={"address": 1, "key": KEY})
    shown = repr(settings) + repr(settings.plans())
    assert KEY not in shown
    assert repr(bytes.fromhex(KEY))[2:-1] not in shown
