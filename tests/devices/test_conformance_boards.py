"""The cases for devices that decide are themselves tested: drivers with one fault each fail at the case meant for it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from menwei.boardfacts import DAY_AND_NIGHT, LAST_DAY, BoardCard, BoardDecision, WeekHours
from menwei.plugin import Driver
from menwei.testing.conformance import DriverConformance
from menwei_uhppote.driver import UhppoteBoard
from menwei_uhppote.holdings import Holdings
from peers.tiny_lock import TinyDriver, TinyPeer
from peers.uhppote import BoardPeer

pytestmark = pytest.mark.e2e


class KeepsWhatIsTaken(UhppoteBoard):
    async def remove_cards(self, values: Sequence[str]) -> None:
        return None


class IgnoresDays(UhppoteBoard):
    async def put_cards(self, cards: Sequence[BoardCard]) -> None:
        await super().put_cards([replace(card, last_day=LAST_DAY) for card in cards])


class IgnoresHours(UhppoteBoard):
    async def put_cards(self, cards: Sequence[BoardCard]) -> None:
        await super().put_cards(
            [replace(card, doors=dict.fromkeys(card.doors, DAY_AND_NIGHT)) for card in cards]
        )


class RemembersInsteadOfReading(UhppoteBoard):
    given: dict[str, BoardCard] = {}  # noqa: RUF012 - outlives the driver, as a file of its own would

    async def put_cards(self, cards: Sequence[BoardCard]) -> None:
        self.given.update((card.value, card) for card in cards)
        await super().put_cards(cards)

    async def held_cards(self) -> AsyncIterator[BoardCard]:
        for card in self.given.values():
            yield card


class OverwritesHours(UhppoteBoard):
    async def put_profiles(self, profiles: Sequence[WeekHours]) -> None:
        self._holdings = Overwriting(self._board, self.settings.cards, self.settings.door_count, self._in)
        await super().put_profiles(profiles)


class Overwriting(Holdings):
    def _free(self, kept: Any) -> list[int]:
        return list(range(2, 255))


class AsksTheHostToo(UhppoteBoard):
    async def _tell_decided(self, entry: Any, *, live: bool) -> None:
        await super()._tell_decided(entry, live=live)
        self._tell_card(entry, self._now())


class CallsOldDecisionsLive(UhppoteBoard):
    async def _tell_decided(self, entry: Any, *, live: bool) -> None:
        await super()._tell_decided(entry, live=True)


class DoesNotWait(UhppoteBoard):
    async def _tell_decided(self, entry: Any, *, live: bool) -> None:
        self.telling = asyncio.create_task(super()._tell_decided(entry, live=live))
        await asyncio.sleep(0)


class CountsAnew(UhppoteBoard):
    number = 0

    async def _tell_decided(self, entry: Any, *, live: bool) -> None:
        before, self.reports.decided = self.reports.decided, self._counted  # type: ignore[method-assign]
        self.before = before
        try:
            await super()._tell_decided(entry, live=live)
        finally:
            self.reports.decided = before  # type: ignore[method-assign]

    async def _counted(self, decision: BoardDecision) -> None:
        self.number += 1
        await self.before(replace(decision, epoch=1, index=self.number))


class ConfirmsBlindly(UhppoteBoard):
    async def put_cards(self, cards: Sequence[BoardCard]) -> None:
        try:
            await super().put_cards(cards)
        except TimeoutError:
            return


class LogsNumbers(UhppoteBoard):
    async def put_cards(self, cards: Sequence[BoardCard]) -> None:
        self.context.log.warning("putting", cards=[card.value for card in cards])
        await super().put_cards(cards)


MUTANTS: dict[type[Driver], str] = {
    KeepsWhatIsTaken: "test_cards_read_back_as_they_were_given",
    IgnoresDays: "test_it_opens_on_the_days_of_the_card",
    IgnoresHours: "test_it_opens_in_the_hours_of_the_card",
    RemembersInsteadOfReading: "test_what_somebody_else_altered_is_seen",
    OverwritesHours: "test_hours_keep_their_meaning_when_others_are_put",
    AsksTheHostToo: "test_each_decision_is_told_once_across_a_restart_of_ours",
    CallsOldDecisionsLive: "test_each_decision_is_told_once_across_a_restart_of_ours",
    CountsAnew: "test_each_decision_is_told_once_across_a_restart_of_ours",
    DoesNotWait: "test_a_decision_that_was_not_taken_in_is_told_again",
    ConfirmsBlindly: "test_a_device_that_is_lost_confirms_nothing",
    LogsNumbers: "test_no_number_of_a_card_it_holds_is_logged_or_remembered",
}
FAILURE = (AssertionError, pytest.fail.Exception)


async def play(case: str, driver: type[Driver], folder: Path, peer: Any) -> None:
    class Suite(DriverConformance):
        bound = 4.0
        hang = 2.0

    Suite.driver = driver
    suite = Suite()
    known = {
        "peer": peer,
        "driven": suite.again(peer, folder),
        "tmp_path": folder,
        "first": -9,
        "last": -2,
        "opens": False,
    }
    method = getattr(suite, case)
    await peer.start()
    try:
        await method(**{name: known[name] for name in inspect.signature(method).parameters})
    finally:
        await peer.stop()
        await peer.close()


@pytest.mark.parametrize(("mutant", "case"), MUTANTS.items(), ids=[cls.__name__ for cls in MUTANTS])
async def test_a_faulty_driver_fails(mutant: type[Driver], case: str, tmp_path: Path) -> None:
    (tmp_path / "device").mkdir()
    with pytest.raises(FAILURE):
        await play(case, mutant, tmp_path, BoardPeer(tmp_path / "device"))


async def test_a_driver_that_lets_nothing_decide_is_skipped_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(pytest.skip.Exception, match="does not let its device decide"):
        case = "test_the_device_opens_with_this_program_gone_and_for_nobody_else"
        await play(case, TinyDriver, tmp_path, TinyPeer(tmp_path))
