"""Asking a card who it is: bytes in, bytes out."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menwei.cardformats import normalise
from menwei_pcsc.apdu import (
    GET_RESIDENT_SERIAL,
    GET_UID,
    CardFormat,
    CardIdentity,
    NoIdentity,
    may_be_type_b,
    split,
)
from menwei_pcsc.reader_thread import converse

TYPE_A = bytes.fromhex("3B8F8001804F0CA000000306030001000000006A")
TYPE_B = bytes.fromhex("3B88800100000000338191002A")
SERIAL = bytes.fromhex("1122334455667788")


class Script:
    """A card that answers from a table, and remembers what it was asked."""

    def __init__(self, answers: dict[bytes, str]) -> None:
        self.answers = answers
        self.asked: list[bytes] = []

    def __call__(self, command: bytes) -> bytes:
        self.asked.append(command)
        return bytes.fromhex(self.answers.get(command, "6D00"))


@pytest.mark.parametrize("uid", ["04A1B2C3", "04A1B2C3D4E5F6", "E004010012345678", "00112233445566778899"])
def test_a_contactless_card_is_known_by_its_uid(uid: str) -> None:
    assert converse(Script({GET_UID: uid + "9000"}), TYPE_A) == CardIdentity(CardFormat.UID, uid)


@pytest.mark.parametrize("refusal", ["6A81", "6300", "9000", "", "90", "000000009000", "FFFFFFFF9000"])
def test_a_card_without_a_uid_is_asked_for_its_resident_serial(refusal: str) -> None:
    card = Script({GET_UID: refusal, GET_RESIDENT_SERIAL: SERIAL.hex() + "9000"})
    assert converse(card, TYPE_A) == CardIdentity(CardFormat.RESIDENT, "1122334455667788")


def test_a_type_b_card_is_asked_for_its_resident_serial_first_because_its_pupi_may_change() -> None:
    card = Script({GET_UID: "0A0B0C0D9000", GET_RESIDENT_SERIAL: SERIAL.hex() + "9000"})
    assert converse(card, TYPE_B) == CardIdentity(CardFormat.RESIDENT, "1122334455667788")
    assert card.asked == [GET_RESIDENT_SERIAL]


def test_a_type_b_card_that_is_no_resident_card_is_known_by_its_uid() -> None:
    assert converse(Script({GET_UID: "0A0B0C0D9000"}), TYPE_B) == CardIdentity(CardFormat.UID, "0A0B0C0D")


@pytest.mark.parametrize("length", [0, 1, 7, 9, 255])
def test_a_resident_serial_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(NoIdentity):
        converse(Script({GET_RESIDENT_SERIAL: "AB" * length + "9000"}), TYPE_B)


def test_a_card_that_asks_for_another_length_is_asked_once_more_with_it() -> None:
    card = Script({GET_UID: "6C04", bytes.fromhex("FFCA000004"): "04A1B2C39000"})
    assert converse(card, TYPE_A) == CardIdentity(CardFormat.UID, "04A1B2C3")


def test_a_card_that_always_asks_for_another_length_is_refused_after_four_questions() -> None:
    asked = []

    def card(command: bytes) -> bytes:
        asked.append(command)
        return b"\x6c\x04"

    with pytest.raises(NoIdentity):
        converse(card, TYPE_A)
    assert len(asked) == 4


def test_a_uid_that_comes_with_a_warning_is_refused() -> None:
    with pytest.raises(NoIdentity):
        converse(Script({GET_UID: "04A1B2C36282"}), TYPE_A)


def test_a_refusal_tells_status_words_and_lengths_and_no_data() -> None:
    with pytest.raises(
        NoIdentity, match=re.escape("FF CA: 9000 with 5 bytes; 00 36: 6D00 with 0 bytes")
    ) as refusal:
        converse(Script({GET_UID: "DEADBEEF019000"}), TYPE_A)
    assert "DEAD" not in str(refusal.value).upper()


def test_an_identity_does_not_show_its_number() -> None:
    assert "04A1B2C3" not in repr(CardIdentity(CardFormat.UID, "04A1B2C3"))


def test_an_atr_of_a_memory_card_is_not_taken_for_type_b() -> None:
    assert may_be_type_b(TYPE_B)
    assert not may_be_type_b(TYPE_A)


@given(st.binary(max_size=300))
def test_any_response_splits_into_data_and_status(response: bytes) -> None:
    answer = split(response)
    assert answer.data == response[:-2]
    assert (answer.status is None) == (len(response) < 2)


@given(st.binary(max_size=40), st.lists(st.binary(max_size=300), min_size=4, max_size=4))
def test_any_bytes_from_a_card_become_a_number_of_a_known_form_or_are_refused(
    atr: bytes, responses: list[bytes]
) -> None:
    rest = iter(responses)
    try:
        identity = converse(lambda command: next(rest), atr)
    except NoIdentity:
        return
    assert normalise(identity.format, identity.value).value == identity.value


@given(
    st.binary(min_size=4, max_size=4) | st.binary(min_size=7, max_size=8), st.sampled_from([TYPE_A, TYPE_B])
)
def test_every_uid_is_kept_byte_for_byte(uid: bytes, atr: bytes) -> None:
    if set(uid) in ({0x00}, {0xFF}):
        return
    assert bytes.fromhex(converse(Script({GET_UID: uid.hex() + "9000"}), atr).value) == uid
