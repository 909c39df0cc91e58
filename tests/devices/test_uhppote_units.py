"""The pure parts of the UHPPOTE driver: cards, log entries, the board's clock, our place in its log, time profiles."""

# ruff: noqa: DTZ001 - the board's wall time has no zone
from __future__ import annotations

import asyncio
from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from uhppoted import decode, encode
from uhppoted.codec import GET_EVENT, GET_STATUS, LISTEN_EVENT, SOM

from menwei.cardformats import normalise
from menwei_uhppote.board import Board, identity
from menwei_uhppote.boardclock import EPOCH, BoardClock
from menwei_uhppote.cards import REMOTE_OPEN_CARD, CardFormat, board_number, card_value
from menwei_uhppote.eventlog import EventLog, Place
from menwei_uhppote.events import LogEntry, What, hint, log_entry, status
from menwei_uhppote.profiles import Hours, NotPossible, profiles
from menwei_uhppote.settings import BoardConfig, doors_of
from menwei_uhppote.wire import NoAnswer, ask, meant

SERIAL = 423187757

# ------------------------------------------------------------------------------------------------------------- cards


def test_a_wiegand_26_number_is_facility_and_card() -> None:
    assert card_value(10058400, CardFormat.WIEGAND26) == "100,58400"
    assert card_value(105, CardFormat.WIEGAND26) == "000,00105"


@pytest.mark.parametrize("number", [0, 100_65536, 256_00000, REMOTE_OPEN_CARD])
def test_what_no_wiegand_26_reader_gives_is_no_card(number: int) -> None:
    assert card_value(number, CardFormat.WIEGAND26) is None


@given(st.integers(0, (1 << 32) - 1), st.sampled_from(CardFormat))
def test_every_card_is_in_the_core_s_own_spelling_and_goes_back(number: int, format: CardFormat) -> None:
    value = card_value(number, format)
    if value is not None:
        assert normalise(format, value).value == value
        assert board_number(value, format) == number


# ------------------------------------------------------------------------------------------------------------ events


def entry(**changes: object) -> LogEntry:
    facts = {
        "index": 7,
        "kind": 1,
        "granted": False,
        "door": 1,
        "direction": 1,
        "card": 10058400,
        "reason": 6,
    }
    return LogEntry(**({"at": datetime(2026, 3, 1, 8, 0, 0)} | facts | changes))  # type: ignore[arg-type]


def packet(function: int, body: dict[int, int]) -> bytes:
    data = bytearray(64)
    data[0], data[1] = SOM, function
    encode.pack_uint32(SERIAL, data, 4)
    for place, value in body.items():
        data[place] = value
    return bytes(data)


def test_an_entry_is_read_as_the_library_s_layout_has_it() -> None:
    data = bytearray(packet(GET_EVENT, {12: 1, 13: 0, 14: 3, 15: 2, 27: 6}))
    encode.pack_uint32(41, data, 8)
    encode.pack_uint32(10058400, data, 16)
    encode.pack_datetime(datetime(2026, 3, 1, 8, 30, 59), data, 20)
    found = log_entry(bytes(data))
    assert (found.index, found.door, found.reader, found.card) == (41, 3, "3-out", 10058400)
    assert (found.at, found.what) == (datetime(2026, 3, 1, 8, 30, 59), What.CARD)


@pytest.mark.parametrize(
    ("reason", "what"),
    [(1, What.CARD), (5, What.CARD), (6, What.CARD), (20, What.EXIT), (23, What.OPENED), (24, What.CLOSED),
     (28, What.POWER), (44, What.OTHER), (45, What.OTHER), (38, What.OTHER), (200, What.OTHER)],
)  # fmt: skip
def test_the_reason_says_what_an_entry_is(reason: int, what: What) -> None:
    assert entry(reason=reason, kind=2).what is what


def test_the_junk_card_of_a_remote_opening_is_no_read() -> None:
    assert entry(reason=44, card=REMOTE_OPEN_CARD, kind=2, granted=True).what is What.OTHER


def test_a_card_shows_neither_in_the_text_nor_in_the_mark_of_an_entry() -> None:
    assert "10058400" not in repr(entry())
    assert entry().mark == entry(card=10058401).mark
    assert entry().mark != entry(at=datetime(2026, 3, 1, 8, 0, 1)).mark


@given(st.binary(max_size=80))
def test_any_bytes_are_an_answer_or_a_value_error(data: bytes) -> None:
    for read in (log_entry, status, identity):
        try:
            read(data)
        except ValueError:
            continue
    assert hint(data, SERIAL) is None or len(data) == 64


@given(st.binary(min_size=56, max_size=56), st.sampled_from([GET_EVENT, GET_STATUS, LISTEN_EVENT]))
def test_any_body_under_a_right_head_is_understood(body: bytes, function: int) -> None:
    data = packet(function, {})[:8] + body
    if function == GET_EVENT:
        log_entry(data)
    else:
        assert status(data).last >= 0
        assert hint(data, SERIAL) == int.from_bytes(body[:4], "little")
    assert hint(data, SERIAL + 1) is None


def test_an_event_of_firmware_6_62_is_heard_too() -> None:
    data = bytearray(packet(LISTEN_EVENT, {8: 9}))
    data[0] = 0x19
    assert hint(bytes(data), SERIAL) == 9


def test_only_the_board_s_own_answers_count() -> None:
    data = packet(GET_EVENT, {})
    assert meant(data, SERIAL, GET_EVENT)
    assert meant(data, 0, GET_EVENT)
    assert not meant(data, SERIAL + 1, GET_EVENT)
    assert not meant(data, SERIAL, GET_STATUS)
    assert not meant(data[:63], SERIAL, GET_EVENT)


async def test_nothing_is_sent_after_the_deadline() -> None:
    loop = asyncio.get_running_loop()
    heard: list[bytes] = []

    class Ear(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            heard.append(data)

    ear, _ = await loop.create_datagram_endpoint(Ear, local_addr=("127.0.0.1", 0))
    address = ear.get_extra_info("sockname")
    request = bytes(encode.open_door_request(SERIAL, 1))
    with pytest.raises(NoAnswer):
        await ask(address, SERIAL, request, decode.open_door_response, loop.time() - 0.01)
    await asyncio.sleep(0.1)
    assert heard == []
    with pytest.raises(NoAnswer):
        await ask(address, SERIAL, request, decode.open_door_response, loop.time() + 0.7)
    await asyncio.sleep(0.7)
    assert heard == [request, request]
    ear.close()


# ------------------------------------------------------------------------------------------------------------- clock

NOON = datetime(2026, 3, 1, 12, 0, 0)


def test_looks_narrow_the_board_s_clock_below_its_second() -> None:
    clock = BoardClock()
    for tenth in range(30):  # a board that is exactly 100.5 s ahead of our monotonic clock, since NOON
        now = tenth / 10
        shown = NOON + timedelta(seconds=int(100.5 + now))
        assert clock.look(shown, now, now + 0.01)
    assert abs(clock.happened(NOON + timedelta(seconds=101)) - 0.5) < 0.15


def test_a_clock_that_was_set_is_seen() -> None:
    clock = BoardClock()
    assert clock.look(NOON, 10.0, 10.1)
    assert clock.look(NOON + timedelta(seconds=1), 11.0, 11.1)
    assert not clock.look(NOON - timedelta(days=3650), 12.0, 12.1)
    assert abs(clock.happened(NOON - timedelta(days=3650)) - 12.0) < 1.0


def test_how_far_it_is_behind() -> None:
    clock = BoardClock()
    clock.look(NOON - timedelta(seconds=30), 50.0, 50.0)
    assert abs(clock.behind((NOON - EPOCH).total_seconds(), 50.0) - 30.0) < 1.0


@given(st.floats(-1e6, 1e6), st.lists(st.floats(0.01, 30.0), min_size=1, max_size=20))
def test_a_moment_is_never_told_much_later_than_it_was(offset: float, pauses: list[float]) -> None:
    clock, now = BoardClock(), 1000.0
    for pause in pauses:
        now += pause
        shown = EPOCH + timedelta(seconds=int(1.7e9 + offset + now))
        clock.look(shown, now, now + 0.02)
    true = now - 5.0
    shown = EPOCH + timedelta(seconds=int(1.7e9 + offset + true))
    assert -1.6 <= clock.happened(shown) - true <= 0.6


# ------------------------------------------------------------------------------------------------------------- place


def test_a_place_survives_being_written_down() -> None:
    place = Place(3, 500, "abc", ((10, 20), (30, 40)))
    assert Place.of(place.text()) == place
    assert len(Place(9, 1 << 32, "0" * 16, tuple((n << 27, n << 27) for n in range(16))).text()) <= 1024


@pytest.mark.parametrize(
    "text", [None, "", "x", "{}", "[1,2]", '["a",2,"",[]]', "[1,2,3,[4]]", "[1,1e999,3,[]]"]
)
def test_what_is_no_place_is_none(text: str | None) -> None:
    assert Place.of(text) is None


@given(st.text(max_size=60))
def test_any_text_is_a_place_or_none(text: str) -> None:
    Place.of(text)


def test_what_happened_meanwhile_is_a_gap_and_is_closed_in_order() -> None:
    place = Place(1, 10).resumed(1, 13)
    assert (place.top, place.gaps) == (13, ((11, 13),))
    assert place.without(11).without(12).gaps == ((13, 13),)
    assert place.without(13).gaps == ()


def test_how_many_entries_are_unread_counts_gaps_and_what_is_new() -> None:
    log = EventLog(Board(1, ("127.0.0.1", 1)), None)
    log.place = Place(1, 20, "", ((3, 5), (9, 9)))
    assert log.unread(20) == 4
    assert log.unread(22) == 6
    assert log.unread(0) == 4


def test_a_gap_that_was_not_finished_is_kept_at_the_next_connection() -> None:
    assert Place(1, 13, "", ((12, 13),)).resumed(1, 20).gaps == ((12, 13), (14, 20))


def test_what_the_board_wrote_over_is_no_gap_any_more() -> None:
    assert Place(1, 13, "", ((2, 5), (8, 13))).resumed(11, 20).gaps == ((11, 13), (14, 20))


# ---------------------------------------------------------------------------------------------------------- profiles

WEEK = frozenset(range(5))
FIRST, LAST = date(2026, 1, 1), date(2026, 12, 31)


def test_weekly_hours_are_one_profile() -> None:
    (profile,) = profiles([Hours(WEEK, time(8), time(18))], FIRST, LAST, [29])
    assert (profile.id, profile.linked_profile) == (29, 0)
    assert (profile.weekdays.monday, profile.weekdays.saturday) == (True, False)
    sent = decode.get_time_profile_response(
        _as_answer(encode.set_time_profile_record_request(SERIAL, profile))
    )
    assert (sent.segment_1_start, sent.segment_1_end, sent.start_date) == (time(8), time(18), FIRST)


def _as_answer(request: bytes) -> bytes:
    return bytes(request[:1]) + b"\x98" + bytes(request[2:])


def test_a_fourth_span_and_other_days_are_linked_profiles() -> None:
    hours = [Hours(WEEK, time(n), time(n, 30)) for n in range(4)] + [Hours(frozenset({6}), time(9), None)]
    chain = profiles(hours, FIRST, LAST, [5, 6, 7])
    assert [(profile.id, profile.linked_profile) for profile in chain] == [(5, 6), (6, 7), (7, 0)]
    assert [len(profile.segments) for profile in chain] == [3, 1, 1]
    assert chain[2].segments[1].end == time(23, 59)


@pytest.mark.parametrize(
    ("hours", "numbers", "why"),
    [
        (Hours(WEEK, time(22), time(6)), [2], "over midnight"),
        (Hours(WEEK, time(8, 0, 30), time(9)), [2], "whole minutes"),
        (Hours(frozenset({7}), time(8), time(9)), [2], "days are"),
        (Hours(WEEK, time(8), time(9)), [1], "from 2 to 254"),
        (Hours(WEEK, time(8), time(9)), [], "are free"),
    ],
)
def test_what_the_board_cannot_hold_is_refused_with_the_reason(
    hours: Hours, numbers: list[int], why: str
) -> None:
    with pytest.raises(NotPossible, match=why):
        profiles([hours], FIRST, LAST, numbers)


# ---------------------------------------------------------------------------------------------------------- settings


def test_the_serial_number_says_how_many_doors() -> None:
    assert [doors_of(serial) for serial in (123456789, 223456789, 423187757, 987654321)] == [1, 2, 4, 4]


@pytest.mark.parametrize(
    "wrong",
    [{"host": "board.lan"}, {"listen": "60001"}, {"listen": "0.0.0.0:99999"}, {"time_zone": "Mars/Base"}, {"doors": 5},
     {"cards": "rot13"}, {"told": "x:1"}, {"serial": 0}],
)  # fmt: skip
def test_a_wrong_setting_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        BoardConfig.model_validate({"serial": SERIAL, "host": "192.168.1.5"} | wrong)
