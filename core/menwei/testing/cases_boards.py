"""Cases of the conformance suite for drivers whose device can decide by itself ("controller" in `Driver.decides`)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from menwei.boardfacts import DAY_AND_NIGHT, LAST_DAY, MINUTES, BoardAbilities, BoardCard, WeekHours
from menwei.context import NotReady
from menwei.testing.cases import Cases, need, within
from menwei.testing.driven import Driven
from menwei.testing.logged import logged
from menwei.testing.peer import Ability, Peer

FIRST = date(2020, 1, 1)


class BoardCases(Cases):
    """The device is at `peer.reader`, which opens `peer.lock`; it decides there. The site's zone is UTC."""

    async def test_cards_read_back_as_they_were_given(
        self, peer: Peer, driven: Driven, tmp_path: Path
    ) -> None:
        async with (board := self._deciding(peer, tmp_path)):
            await board.ready()
            week, night = _days(0, 1, 2, 3, 4), WeekHours((((0, 360), (1320, MINUTES)),) * 7)
            hours = [week, night] if self._board(peer).time_profiles >= 2 else []
            await board.driver.put_profiles(hours)
            given = [self._card(peer, 1), self._card(peer, 2, last_day=date(2030, 12, 31))]
            given += [self._card(peer, 3 + place, hours=each) for place, each in enumerate(hours)]
            await board.driver.put_cards(given)
            assert await _held(board) == {card.value: card for card in given}
            await board.driver.put_cards([self._card(peer, 1, last_day=date(2031, 1, 1))])
            await board.driver.remove_cards([given[1].value, peer.card(99)[1]])
        async with (later := self._deciding(peer, tmp_path)):
            await later.ready()
            wanted = [self._card(peer, 1, last_day=date(2031, 1, 1)), *given[2:]]
            assert await _held(later) == {card.value: card for card in wanted}
        assert later.faults() == []

    async def test_the_device_opens_with_this_program_gone_and_for_nobody_else(
        self, peer: Peer, driven: Driven, tmp_path: Path
    ) -> None:
        await self._given(peer, tmp_path, self._card(peer, 1))
        before = await peer.admitted()
        await peer.present(1)
        await peer.present(2)
        assert await peer.admitted() == before + 1

    async def test_what_it_was_given_outlives_its_power(
        self, peer: Peer, driven: Driven, tmp_path: Path
    ) -> None:
        need(peer, Ability.ABSENCE)
        await self._given(peer, tmp_path, self._card(peer, 1))
        await peer.stop()
        await peer.start()
        before = await peer.admitted()
        await peer.present(1)
        assert await peer.admitted() == before + 1

    @pytest.mark.parametrize(("first", "last", "opens"), [(-3, 3, True), (-9, -2, False), (2, 9, False)])
    async def test_it_opens_on_the_days_of_the_card(
        self, peer: Peer, driven: Driven, tmp_path: Path, first: int, last: int, opens: bool
    ) -> None:
        today = datetime.now(UTC).date()
        card = self._card(
            peer, 1, first_day=today + timedelta(days=first), last_day=today + timedelta(days=last)
        )
        await self._given(peer, tmp_path, card)
        before = await peer.admitted()
        await peer.present(1)
        assert await peer.admitted() == before + opens

    async def test_it_opens_in_the_hours_of_the_card(
        self, peer: Peer, driven: Driven, tmp_path: Path
    ) -> None:
        if self._board(peer).time_profiles < 2:
            pytest.skip("the device holds no hours")
        today = datetime.now(UTC).weekday()
        now, never = _days(*((today + day) % 7 for day in (-1, 0, 1))), _days((today + 3) % 7)
        cards = [self._card(peer, 1, hours=now), self._card(peer, 2, hours=never)]
        await self._given(peer, tmp_path, *cards, hours=(now, never))
        before = await peer.admitted()
        await peer.present(1)
        assert await peer.admitted() == before + 1
        await peer.present(2)
        assert await peer.admitted() == before + 1

    async def test_hours_keep_their_meaning_when_others_are_put(
        self, peer: Peer, driven: Driven, tmp_path: Path
    ) -> None:
        if self._board(peer).time_profiles < 2:
            pytest.skip("the device holds no hours")
        old, new = _days(1, 2), _days(4, 5)
        await self._given(peer, tmp_path, self._card(peer, 1, hours=old), hours=(old,))
        async with (later := self._deciding(peer, tmp_path)):
            await later.ready()
            await later.driver.put_profiles([new])
            await later.driver.put_cards([self._card(peer, 2, hours=new)])
            held = await _held(later)
        assert held[self._value(peer, 1)].doors == {peer.lock: old}
        assert held[self._value(peer, 2)].doors == {peer.lock: new}

    async def test_each_decision_is_told_once_across_a_restart_of_ours(
        self, peer: Peer, driven: Driven, tmp_path: Path
    ) -> None:
        async with (board := self._deciding(peer, tmp_path)):
            await board.ready()
            await board.driver.put_cards([self._card(peer, 1)])
            await peer.present(1)
            await peer.present(2)
            await board.until(lambda: len(board.heard.decisions) == 2)
        await peer.present(3)
        async with (later := self._deciding(peer, tmp_path)):
            await later.ready()
            await peer.present(1)
            await later.until(lambda: len(later.heard.decisions) == 2)
        told = [*board.heard.decisions, *later.heard.decisions]
        by_index = sorted(told, key=lambda each: (each.epoch, each.index))
        assert [each.value for each in by_index] == [self._value(peer, number) for number in (1, 2, 3, 1)]
        assert [each.granted for each in by_index] == [True, False, False, True]
        assert len({(each.epoch, each.index) for each in told}) == len(told)
        assert [each.live for each in by_index] == [True, True, False, True]
        assert board.heard.cards == later.heard.cards == [], "the host would decide it again"

    async def test_a_decision_that_was_not_taken_in_is_told_again(
        self, peer: Peer, driven: Driven, tmp_path: Path
    ) -> None:
        async with (board := self._deciding(peer, tmp_path)):
            await board.ready()
            asked = asyncio.Event()

            async def never(decision: object) -> None:
                asked.set()
                await asyncio.Event().wait()

            board.driver.reports.decided = never  # type: ignore[method-assign]
            await peer.present(1)
            await within(self.bound, asked.wait())
            await asyncio.sleep(peer.late)  # a driver that does not wait has moved on by then
        async with (later := self._deciding(peer, tmp_path)):
            await later.ready()
            await later.until(lambda: bool(later.heard.decisions))
        assert [each.value for each in later.heard.decisions] == [self._value(peer, 1)]

    async def test_what_somebody_else_altered_is_seen(
        self, peer: Peer, driven: Driven, tmp_path: Path
    ) -> None:
        await self._given(peer, tmp_path, self._card(peer, 1), self._card(peer, 2))
        await peer.alter(1)
        async with (later := self._deciding(peer, tmp_path)):
            await later.ready()
            held = await _held(later)
        assert held.get(self._value(peer, 1)) != self._card(peer, 1)
        assert held[self._value(peer, 2)] == self._card(peer, 2)

    async def test_a_device_that_is_lost_confirms_nothing(
        self, peer: Peer, driven: Driven, tmp_path: Path
    ) -> None:
        need(peer, Ability.ABSENCE)
        async with (board := self._deciding(peer, tmp_path)):
            await board.ready()
            driver = board.driver
            await peer.stop()
            with pytest.raises((NotReady, TimeoutError)):
                await within(peer.notices + self.hang, driver.put_cards([self._card(peer, 1)]))
            with pytest.raises((NotReady, TimeoutError)):
                await within(peer.notices + self.hang, driver.remove_cards([self._value(peer, 1)]))
            await peer.start()
            await board.ready()
        assert board.faults() == []

    async def test_no_number_of_a_card_it_holds_is_logged_or_remembered(
        self, peer: Peer, driven: Driven, tmp_path: Path
    ) -> None:
        with logged() as lines:
            async with (board := self._deciding(peer, tmp_path)):
                await board.ready()
                await board.driver.put_cards([self._card(peer, 7777)])
                await peer.present(7777)
                await board.until(lambda: bool(board.heard.decisions))
                await _held(board)
        value = self._value(peer, 7777)
        assert [line for line in lines if value in line] == []
        kept = [path for path in (tmp_path / "memory").rglob("*") if value.encode() in path.read_bytes()]
        assert kept == []

    # ------------------------------------------------------------------------------------------------------- shared

    def _deciding(self, peer: Peer, tmp_path: Path) -> Driven:
        """The program, with the device deciding at its reader. Skips where the driver does not let it."""
        if "controller" not in self.driver.decides:
            pytest.skip("the driver does not let its device decide")
        return Driven(self.driver, peer, tmp_path, bound=self.bound, alone=frozenset({peer.reader}))

    async def _given(
        self, peer: Peer, tmp_path: Path, *cards: BoardCard, hours: tuple[WeekHours, ...] = ()
    ) -> None:
        """The device holds these cards, its clock is kept, and this program is gone."""
        async with (board := self._deciding(peer, tmp_path)):
            await board.ready()
            await board.driver.put_profiles(hours)
            await board.driver.put_cards(cards)
            end = time.monotonic() + self.bound
            while not await peer.shows(datetime.now(UTC)):
                assert time.monotonic() < end, "the device does not show the time of the site"
                await asyncio.sleep(0.05)

    def _board(self, peer: Peer) -> BoardAbilities:
        found = self.driver.board(peer.config) if "controller" in self.driver.decides else None
        if found is None:
            pytest.skip("the driver does not let its device decide")
        assert found.opens[peer.reader] == peer.lock
        return found

    def _value(self, peer: Peer, number: int) -> str:
        return peer.card(number)[1]

    def _card(
        self, peer: Peer, number: int, hours: WeekHours = DAY_AND_NIGHT, first_day: date = FIRST, last_day: date = LAST_DAY
    ) -> BoardCard:  # fmt: skip
        format, value = peer.card(number)
        assert format == self._board(peer).card_format, (
            "its readers give cards in the format in which it is given them"
        )
        return BoardCard(value, first_day, last_day, {peer.lock: hours})


def _days(*weekdays: int) -> WeekHours:
    return WeekHours(tuple(((0, MINUTES),) if day in weekdays else () for day in range(7)))


async def _held(board: Driven) -> Mapping[str, BoardCard]:
    return {card.value: card async for card in board.driver.held_cards()}
