"""What a board says of its cards and profiles, as bytes from anybody; and hours as its profiles and back. Pure."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import date
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uhppoted import encode
from uhppoted.codec import GET_CARD, GET_CARD_AT_INDEX, GET_TIME_PROFILE, SOM
from uhppoted.decode import get_time_profile_response
from uhppoted.structs import TimeProfile

from menwei.boardfacts import DAY_AND_NIGHT, LAST_DAY, WeekHours
from menwei_uhppote.board import CardRecord, _card, _card_at, _one_of, _profile
from menwei_uhppote.cards import CardFormat, card_value, number_of
from menwei_uhppote.holdings import FIRST_DAY, Holdings, hours_of
from menwei_uhppote.profiles import HIGHEST, LOWEST, minutes, profiles

SPANS = st.lists(st.integers(0, 1440).filter(lambda edge: edge != 1439), max_size=8, unique=True).map(
    lambda edges: tuple(zip(*[iter(sorted(edges)[: len(edges) // 2 * 2])] * 2, strict=True))
)


@given(st.binary(min_size=62, max_size=62), st.sampled_from([GET_CARD, GET_CARD_AT_INDEX, GET_TIME_PROFILE]))
def test_whatever_a_board_answers_is_a_fact_or_refused(rest: bytes, function: int) -> None:
    packet = bytes([SOM, function]) + rest
    try:
        if function == GET_TIME_PROFILE:
            profile = _profile(get_time_profile_response(packet))
            assert profile is None or len(minutes([profile])) == 7
        else:
            read = _card if function == GET_CARD else _card_at
            record = _one_of(read(packet))
            assert record is None or record.number not in {0, 0xFFFFFFFF}
    except ValueError:
        return  # refused, as the answer of somebody else would be


@given(st.lists(SPANS, min_size=7, max_size=7).filter(any))
def test_hours_become_profiles_that_say_the_same(days: list[tuple[tuple[int, int], ...]]) -> None:
    week = WeekHours(tuple(days))
    chain = profiles(hours_of(week), FIRST_DAY, LAST_DAY, range(LOWEST, HIGHEST + 1))
    assert WeekHours.of_minutes(minutes(chain)) == week
    assert [profile.linked_profile for profile in chain] == [profile.id for profile in chain[1:]] + [0]


@given(st.lists(SPANS, min_size=7, max_size=7).filter(any))
def test_a_profile_reads_back_from_its_bytes_as_it_was_written(
    days: list[tuple[tuple[int, int], ...]],
) -> None:
    for profile in profiles(
        hours_of(WeekHours(tuple(days))), FIRST_DAY, LAST_DAY, range(LOWEST, HIGHEST + 1)
    ):
        packet = bytearray(encode.set_time_profile_record_request(1, profile))
        packet[1] = GET_TIME_PROFILE
        assert _profile(get_time_profile_response(bytes(packet))) == profile


class Shelf:
    """In place of a board: 253 profiles, one for each hour of the week as far as they go, and cards that carry them."""

    def __init__(self) -> None:
        self.profiles = {number: only(number) for number in range(LOWEST, HIGHEST + 1)}
        self.written: list[int] = []

    async def profile(self, number: int, deadline: float) -> TimeProfile | None:
        return self.profiles[number]

    async def set_profile(self, profile: TimeProfile, deadline: float) -> None:
        self.written.append(profile.id)
        self.profiles[profile.id] = profile

    async def cards(self, deadline: float) -> int:
        return 600

    async def card_at(self, place: int, deadline: float) -> CardRecord:
        number = LOWEST + place % (HIGHEST - LOWEST + 1)
        return CardRecord(101_00000 + place, date(2026, 1, 1), LAST_DAY, (number, number, 0, 0))


def hour(number: int) -> WeekHours:
    day, begin = divmod(number, 24)
    return WeekHours(tuple(((begin * 30, begin * 30 + 20),) if n == day % 7 else () for n in range(7)))


def only(number: int) -> TimeProfile:
    (profile,) = profiles(hours_of(hour(number)), FIRST_DAY, LAST_DAY, [number])
    return profile


async def test_what_profiles_say_is_worked_out_once_and_not_all_in_one_turn_of_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turn, worked_out = 0, Counter[int]()

    def counted(parts: Iterable[TimeProfile]) -> tuple[int, ...]:
        worked_out[turn] += 1
        return minutes(parts)

    async def turning() -> None:
        nonlocal turn
        while True:
            turn += 1
            await asyncio.sleep(0)

    monkeypatch.setattr("menwei_uhppote.holdings.minutes", counted)
    shelf = Shelf()
    here = Holdings(cast("Any", shelf), CardFormat.WIEGAND26, 4, lambda seconds: seconds)
    task = asyncio.create_task(turning())
    await here.put_profiles([hour(number) for number in range(20, 80)])
    assert (worked_out.total(), max(worked_out.values())) == (HIGHEST - LOWEST + 1, 1)
    cards = [card async for card in here.held()]
    assert worked_out.total() == HIGHEST - LOWEST + 1
    task.cancel()
    assert shelf.written == []
    assert {card.doors["2"] for card in cards} == {hour(number) for number in range(LOWEST, HIGHEST + 1)}


def test_day_and_night_is_one_profile() -> None:
    assert len(profiles(hours_of(DAY_AND_NIGHT), FIRST_DAY, LAST_DAY, [7])) == 1


@pytest.mark.parametrize("format", list(CardFormat))
@given(number=st.integers(1, (1 << 32) - 1))
def test_every_number_a_board_can_hold_can_be_named_and_deleted(number: int, format: CardFormat) -> None:
    assert number_of(card_value(number, format) or str(number), format) == number


def test_a_card_record_does_not_show_its_number() -> None:
    assert "10100001" not in repr(CardRecord(101_00001, date(2026, 1, 1), LAST_DAY, (1, 0, 0, 0)))
