"""The serial protocol of resident-ID readers, and the four layouts of documents."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from menwei import Document, DocumentKind
from menwei_idreader.layouts import NoDocument, identify
from menwei_idreader.protocol import (
    KEPT,
    PREAMBLE,
    Answer,
    Command,
    Garbled,
    NotAuthorised,
    Receiver,
    Status,
    Unreadable,
    conversation,
    request,
)
from peers import sam

NUMBER = sam.citizen_number("11010519491231002")
CARD = sam.resident("张三", NUMBER)


# ----------------------------------------------------------------------------------------------------------- the wire


def test_requests_are_as_the_makers_print_them() -> None:
    assert request(Command.FIND).hex(" ").upper() == "AA AA AA 96 69 00 03 20 01 22"
    assert request(Command.SELECT).hex(" ").upper() == "AA AA AA 96 69 00 03 20 02 21"
    assert request(Command.READ).hex(" ").upper() == "AA AA AA 96 69 00 03 30 01 32"
    assert request(Command.SAM_NUMBER).hex(" ").upper() == "AA AA AA 96 69 00 03 12 FF EE"


@given(st.integers(1, 600), st.binary(max_size=40).filter(lambda noise: b"\xaa" not in noise))
def test_an_answer_is_found_however_it_is_cut_and_whatever_stands_before_it(size: int, noise: bytes) -> None:
    stream, receiver = noise + sam.read_response(CARD), Receiver()
    answers = [receiver.feed(stream[start : start + size]) for start in range(0, len(stream), size)]
    assert [answer for answer in answers[:-1] if answer] == []
    answer = answers[-1]
    assert answer is not None
    assert (answer.status, answer.length) == (Status.OK, 4 + 256 + 1024)
    assert bytes(answer.data[4:]) == CARD


@given(st.integers(0, 9))
def test_more_aa_before_the_preamble_do_no_harm(count: int) -> None:
    assert Receiver().feed(b"\xaa" * count + sam.response(0x9F, bytes(4))) is not None


def test_nothing_of_the_photo_is_kept() -> None:
    receiver = Receiver()
    stream = sam.read_response(CARD)
    for place, byte in enumerate(stream[:-1]):
        assert receiver.feed(bytes([byte])) is None
        if place > 400:
            assert len(receiver._data) == KEPT
    answer = receiver.feed(stream[-1:])
    assert answer is not None
    assert len(answer.data) == KEPT
    assert sam.PHOTO[:8] not in bytes(answer.data)


def test_a_wrong_check_sum_or_length_is_garbled_and_the_next_answer_is_found() -> None:
    receiver, good = Receiver(), sam.response(0x80)
    for bad in (good[:-1] + bytes([good[-1] ^ 1]), PREAMBLE + b"\x00\x03", PREAMBLE + b"\xff\xff"):
        with pytest.raises(Garbled):
            receiver.feed(bad)
        assert receiver.feed(good) is not None


@given(st.lists(st.binary(max_size=200), max_size=8))
@example([PREAMBLE + b"\x00\x04", b"\x00\x00\x90\x94"])
def test_any_bytes_are_taken(pieces: list[bytes]) -> None:
    receiver = Receiver()
    for piece in pieces:
        try:
            answer = receiver.feed(piece)
        except Garbled:
            continue
        assert answer is None or len(answer.data) <= KEPT
    assert len(receiver._data) <= KEPT


# -------------------------------------------------------------------------------------------------- the conversation


def run(answers: dict[Command, Answer]) -> tuple[list[Command], bytearray | None]:
    steps, asked = conversation(), []
    command = next(steps)
    while True:
        asked.append(command)
        try:
            command = steps.send(answers[command])
        except StopIteration as end:
            return asked, end.value


def answer(status: int, data: bytes = b"") -> Answer:
    return Answer(status, bytearray(data[:KEPT]), len(data))


GOOD = {
    Command.FIND: (0x9F, b""),
    Command.SELECT: (0x90, b""),
    Command.READ: (0x90, bytes.fromhex("01000400") + CARD + sam.PHOTO),
}


def answers(**other: int) -> dict[Command, Answer]:
    return {
        command: answer(other.get(command.name, status), data) for command, (status, data) in GOOD.items()
    }


def test_a_document_is_found_selected_and_read_and_what_was_kept_of_the_answer_is_wiped() -> None:
    all_of_it = answers()
    asked, text = run(all_of_it)
    assert asked == [Command.FIND, Command.SELECT, Command.READ]
    assert text == CARD
    assert not any(all_of_it[Command.READ].data)


def test_without_a_document_nothing_more_is_asked() -> None:
    assert run(answers(FIND=0x80)) == ([Command.FIND], None)


@pytest.mark.parametrize("status", [0x10, 0x11, 0x21, 0x31, 0x32, 0x41, 0x80, 0x81, 0x00, 0xFF])
@pytest.mark.parametrize("step", ["FIND", "SELECT", "READ"])
def test_whatever_else_a_step_answers_the_document_counts_as_unread(step: str, status: int) -> None:
    if (step, status) == ("FIND", 0x80):
        return
    with pytest.raises(Unreadable, match=f"{step.lower()}: {status:02X}"):
        run(answers(**{step: status}))


def test_a_module_that_is_not_authorised_is_another_trouble() -> None:
    for step in ("FIND", "SELECT", "READ"):
        with pytest.raises(NotAuthorised):
            run(answers(**{step: 0x66}))


def test_an_answer_that_is_too_short_for_a_document_is_none() -> None:
    short = answers() | {Command.READ: answer(0x90, bytes.fromhex("01000400") + CARD[:100])}
    with pytest.raises(Unreadable):
        run(short)


# -------------------------------------------------------------------------------------------------------- the layouts


FOREIGN = sam.citizen_number("91112419850102001")


@pytest.mark.parametrize(
    ("text", "document"),
    [
        (CARD, Document(DocumentKind.RESIDENT_CARD, "张三", NUMBER)),
        (
            sam.permit("陈大文", sam.citizen_number("81000019850102001")),
            Document(DocumentKind.RESIDENCE_PERMIT, "陈大文", sam.citizen_number("81000019850102001")),
        ),
        (
            sam.foreigner_2023("李明", "LI, MING", "", FOREIGN),
            Document(DocumentKind.FOREIGN_RESIDENT_CARD, "李明", FOREIGN),
        ),
        (
            sam.foreigner_2023("", "MONTGOMERY-SMITH, ALEXANDER WILLIAM", " J THE 3RD", FOREIGN),
            Document(
                DocumentKind.FOREIGN_RESIDENT_CARD, "MONTGOMERY-SMITH, ALEXANDER WILLIAM J THE 3RD", FOREIGN
            ),
        ),
        (
            sam.foreigner_2017("李明", "LI, MING", "CAN110185010210"),
            Document(DocumentKind.FOREIGN_RESIDENT_CARD, "李明", "CAN110185010210"),
        ),
        (
            sam.foreigner_2017("", "SMITH, ALEX", "CAN110185010210"),
            Document(DocumentKind.FOREIGN_RESIDENT_CARD, "SMITH, ALEX", "CAN110185010210"),
        ),
    ],
    ids=["resident", "J", "Y", "Y-english", "I", "I-english"],
)
def test_each_layout_gives_kind_name_and_number_and_is_wiped(text: bytes, document: Document) -> None:
    buffer = bytearray(text)
    assert identify(buffer) == document
    assert not any(buffer)


def test_nothing_else_of_the_card_is_in_what_comes_out() -> None:
    made = identify(bytearray(CARD))
    for secret in sam.SECRETS[1:]:
        assert secret not in f"{made.name} {made.number} {made.kind}"
    assert {"kind", "name", "number"} == set(Document.__slots__)


@pytest.mark.parametrize("place", range(18))
def test_a_number_with_one_wrong_digit_is_refused(place: int) -> None:
    digit = "1" if NUMBER[place] != "1" else "2"
    buffer = bytearray(sam.resident("张三", NUMBER[:place] + digit + NUMBER[place + 1 :]))
    with pytest.raises(NoDocument):
        identify(buffer)
    assert not any(buffer)


@pytest.mark.parametrize(
    "number",
    ["", "1" * 15, sam.citizen_number("11010519490230002"), NUMBER[:-1], "张三1234567890123456"[:18]],
)
def test_a_number_that_is_none_is_refused(number: str) -> None:
    with pytest.raises(NoDocument):
        identify(bytearray(sam.resident("张三", number)))


@pytest.mark.parametrize("name", ["", "   ", "张\n三", "张\u202e三", "\0"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(NoDocument):
        identify(bytearray(sam.resident(name, NUMBER)))


def test_a_document_shows_neither_name_nor_number() -> None:
    shown = repr(Document(DocumentKind.RESIDENT_CARD, "张三", NUMBER))
    assert "张三" not in shown
    assert NUMBER not in shown
    assert NUMBER[-4:] not in shown


def fuzzed(make: Callable[[bytes], bytes]) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=256, max_size=256).map(make)


@given(
    st.one_of(
        st.binary(max_size=300),
        fuzzed(lambda text: text[:248] + "J".encode("utf-16-le") + text[250:]),
        fuzzed(lambda text: text[:122] + CARD[122:158] + text[158:]),
        fuzzed(lambda text: text[:248] + "I".encode("utf-16-le") + text[250:]),
    )
)
def test_any_text_is_a_document_or_refused_without_a_word_of_it(text: bytes) -> None:
    buffer = bytearray(text)
    try:
        made = identify(buffer)
    except NoDocument as error:
        assert str(error).isascii()
    else:
        assert made.name
        assert 9 <= len(made.number) <= 18
    assert not any(buffer)
