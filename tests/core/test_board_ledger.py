"""What a board should hold beside what it holds: the difference follows each batch, and the doors are never kept waiting."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from board_support import FORMAT, BoardSite, board_site, value
from menwei.boardfacts import DAY_AND_NIGHT, LAST_DAY, BoardCard
from menwei.boardledger import Ledger, fit
from menwei.boardnumbers import Held, card_digest, identifier_change
from menwei.boardplan import Want, Wanted
from menwei.boardrights import BoardRights
from rights_support import KEYS, card, credential, holder

NOW = 1.79e9
CARD = BoardCard("", date(2026, 1, 1), LAST_DAY, {"1": DAY_AND_NIGHT})
HOLDINGS = ("short", "long", "none")


def digest(number: int) -> bytes:
    return number.to_bytes(16, "big")


def held(number: int, holding: str, who: int | None = None) -> Held:
    return Held(digest(number), number if who is None else who, b"", holding)


def wanted(cards: dict[int, str]) -> Wanted:
    return Wanted(1, {digest(number): Want(number, CARD, holding) for number, holding in cards.items()}, 0.0)


def said(ledger: Ledger) -> tuple[set[bytes], set[bytes], list[int]]:
    assert (ledger.giving, ledger.taking) == (len(ledger.to_give()), len(ledger.to_take()))
    return set(ledger.to_give()), set(ledger.to_take()), ledger.revoked()


def counted(there: dict[int, str], should: dict[int, str]) -> tuple[set[bytes], set[bytes], list[int]]:
    """The same, counted from the beginning."""
    give = {digest(number) for number, holding in should.items() if there.get(number) != holding}
    take = there.keys() - should.keys()
    return give, {digest(number) for number in take}, sorted(take)


# ------------------------------------------------------------------------------------------------------ the difference

cards = st.dictionaries(st.integers(1, 6), st.sampled_from(HOLDINGS))


@given(cards, cards, st.lists(st.tuples(st.integers(1, 6), st.sampled_from((*HOLDINGS, None))), max_size=12))
def test_after_any_batches_the_difference_is_what_a_new_count_finds(
    there: dict[int, str], should: dict[int, str], batches: list[tuple[int, str | None]]
) -> None:
    ledger = Ledger()
    for number, holding in there.items():
        ledger.remember(held(number, holding))
    asyncio.run(ledger.want(wanted(should)))
    assert said(ledger) == counted(there, should)
    for number, told in batches:
        if told is None:
            ledger.gone([digest(number)])
            there.pop(number, None)
        else:
            ledger.confirmed([held(number, told)])
            there[number] = told
        assert said(ledger) == counted(there, should)


async def test_what_became_less_is_given_before_what_is_new() -> None:
    ledger = Ledger()
    ledger.remember(held(2, "long"))
    await ledger.want(wanted({1: "long", 2: "short"}))
    assert ledger.to_give() == [digest(2), digest(1)]


async def test_somebody_with_two_cards_is_revoked_until_both_are_gone() -> None:
    ledger = Ledger()
    for number in (1, 2):
        ledger.remember(held(number, "long", who=7))
    await ledger.want(wanted({}))
    ledger.gone([digest(1)])
    assert ledger.revoked() == [7]
    assert ledger.admits(7)
    ledger.gone([digest(2)])
    assert not ledger.admits(7)


async def test_a_full_board_keeps_what_it_has_then_takes_who_came_first() -> None:
    found = wanted(dict.fromkeys(range(1, 200), "long"))
    await fit(found, 70, {digest(150), digest(199)})
    assert found.overflow == 129
    assert set(found.cards) == {digest(number) for number in (*range(1, 69), 150, 199)}


# ---------------------------------------------------------------------------------------------- the doors get the loop


class Steps:
    """Counts what is done between two turns of the event loop."""

    def __init__(self) -> None:
        self.all = self.most = self._now = 0

    def step(self) -> None:
        self.all += 1
        self._now += 1
        self.most = max(self.most, self._now)

    def counting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*given: Any) -> Any:
            self.step()
            return function(*given)

        return counted

    @asynccontextmanager
    async def between_turns(self) -> AsyncIterator[None]:
        async def turn() -> None:
            while True:
                self._now = 0
                await asyncio.sleep(0)

        task = asyncio.create_task(turn())
        try:
            yield
        finally:
            task.cancel()


class Counted(dict[bytes, Any]):
    """A dict that counts how often it is looked into."""

    def __init__(self, given: dict[bytes, Any], steps: Steps) -> None:
        super().__init__(given)
        self.steps = steps

    def get(self, *asked: Any) -> Any:
        self.steps.step()
        return super().get(*asked)

    def __contains__(self, asked: object) -> bool:
        self.steps.step()
        return super().__contains__(asked)

    def __getitem__(self, asked: bytes) -> Any:
        self.steps.step()
        return super().__getitem__(asked)

    def __iter__(self) -> Iterator[bytes]:
        for each in super().__iter__():
            self.steps.step()
            yield each


@pytest.fixture
def slices(monkeypatch: pytest.MonkeyPatch) -> int:
    """Slices so small that a handful of cards is many of them."""
    for module in ("boardledger", "boardkeeper"):
        monkeypatch.setattr(f"menwei.{module}.SLICE", 5)
    return 5


async def test_laying_the_lists_side_by_side_gives_the_loop_back(slices: int) -> None:
    steps, ledger = Steps(), Ledger()
    ledger.held = Counted({digest(number): held(number, "long") for number in range(1, 41)}, steps)
    found = wanted(dict.fromkeys(range(21, 61), "long"))
    found.cards = Counted(found.cards, steps)
    async with steps.between_turns():
        await ledger.want(found)
    assert steps.all >= 80
    assert steps.most <= slices


async def test_choosing_who_has_a_place_gives_the_loop_back(slices: int) -> None:
    steps = Steps()
    found = wanted(dict.fromkeys(range(1, 61), "long"))
    found.cards = Counted(found.cards, steps)
    async with steps.between_turns():
        await fit(found, 40, Counted({digest(60): None}, steps))
    assert steps.all >= 100
    assert steps.most <= slices


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[BoardSite]:
    async with board_site(tmp_path, NOW) as made:
        await made.apply(*(change for number in range(1, 61) for change in person(number)))
        yield made


def person(number: int) -> tuple[Any, ...]:
    """Each with an end of their own: the days of none can be taken from another's."""
    put = credential(
        number + 1000, number, profiles=("residents",), valid_from=0.0, valid_to=NOW + 86_400.0 * number
    )
    return holder(number), put, identifier_change(KEYS, put.id, card(value(number), FORMAT), True)


@pytest.mark.slow
async def test_judging_and_reading_back_give_the_loop_back(
    site: BoardSite, slices: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The board of the test hands over all it holds without waiting once, as one that is read in a few large packets."""
    judged, read = Steps(), Steps()
    monkeypatch.setattr(BoardRights, "holding", judged.counting(BoardRights.holding))
    monkeypatch.setattr("menwei.boardkeeper.card_digest", read.counting(card_digest))
    async with judged.between_turns(), read.between_turns():
        await site.begin()
        site.connect()
        await site.settled()
        site.boards.look("board")
        await site.until(lambda: read.all >= 60)
        await site.until(lambda: site.status().reading is None)
    assert judged.all >= 60
    assert judged.most <= slices
    assert read.most <= slices


class Untouched(dict[bytes, Any]):
    """A dict that may be asked for its length alone."""

    def _refused(self, *_: Any) -> Any:
        raise AssertionError("cards were counted")

    get = items = values = keys = __getitem__ = __iter__ = __contains__ = _refused


@pytest.mark.slow
async def test_asking_how_far_a_board_is_counts_no_cards(site: BoardSite) -> None:
    await site.begin()
    site.connect()
    await site.settled()
    await site.boards._end()
    (keeper,) = site.boards._keepers.values()
    keeper.ledger.held = Untouched(keeper.ledger.held)
    keeper.ledger.wanted.cards = Untouched(keeper.ledger.wanted.cards)
    assert site.status().held == 60
    assert site.boards.pending(1001) == []
    assert site.boards.repairs()
