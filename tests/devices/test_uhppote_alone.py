"""A UHPPOTE board that decides by itself: what it is given, what it makes of it, and what it logs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from menwei.boardfacts import DAY_AND_NIGHT, LAST_DAY, BoardCard, CannotHold, WeekHours
from menwei.memory import Memories
from menwei.model import Reason
from menwei.supervisor import DeviceState
from menwei.testing.driven import Driven
from menwei_uhppote.board import Board
from menwei_uhppote.cards import CardFormat
from menwei_uhppote.driver import UhppoteBoard
from menwei_uhppote.eventlog import PLACE
from menwei_uhppote.holdings import Holdings
from peers.uhppote import SERIAL, BoardPeer, BoardProcess

pytestmark = pytest.mark.e2e

FIRST = date(2026, 1, 1)
ALONE = frozenset({"1", "1-out"})


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[BoardPeer]:
    (tmp_path / "device").mkdir()
    made = BoardPeer(tmp_path / "device")
    await made.start()
    try:
        yield made
    finally:
        await made.stop()
        await made.close()


def holdings(peer: BoardPeer) -> Holdings:
    board = Board(SERIAL, ("127.0.0.1", peer.board.port))
    return Holdings(board, CardFormat.WIEGAND26, 4, lambda seconds: time.monotonic() + seconds)


def value(number: int) -> str:
    return f"101,{number:05d}"


def card(number: int, **changes: object) -> BoardCard:
    facts = {"value": value(number), "first_day": FIRST, "last_day": LAST_DAY, "doors": {"1": DAY_AND_NIGHT}}
    return BoardCard(**(facts | changes))  # type: ignore[arg-type]


def only(weekday: int, begin: int, end: int) -> WeekHours:
    return WeekHours(tuple(((begin, end),) if day == weekday else () for day in range(7)))


async def held(here: Holdings) -> dict[str, BoardCard]:
    return {each.value: each async for each in here.held()}


async def opens(board: BoardProcess, number: int, door: int = 1) -> bool:
    return bool(await board.do("swipe", card=101_00000 + number, door=door))


async def shows(board: BoardProcess, moment: datetime) -> None:
    await board.do("clock", off=moment.timestamp() - time.time())


async def test_what_is_put_reads_back_as_it_was_given(peer: BoardPeer) -> None:
    here = holdings(peer)
    week = WeekHours((((480, 720), (780, 1080)),) * 5 + (((0, 60), (120, 180), (240, 300), (360, 1440)),) * 2)
    night = WeekHours((((0, 300), (1320, 1440)),) * 7)
    await here.put_profiles([week, night])
    given = [
        card(1),
        card(2, doors={"1": week, "3": night}),
        card(3, last_day=date(2026, 12, 31), doors={"4": DAY_AND_NIGHT}),
    ]
    await here.put(given)
    assert await held(here) == {each.value: each for each in given}
    assert await held(holdings(peer)) == {each.value: each for each in given}, "after a restart of ours"
    await here.remove([value(2), value(77)])
    assert sorted(await held(here)) == [value(1), value(3)]


async def test_a_card_that_is_put_again_is_held_once(peer: BoardPeer) -> None:
    here = holdings(peer)
    await here.put([card(1), card(2)])
    await here.put([card(1, last_day=date(2027, 1, 1))])
    assert (await held(here))[value(1)].last_day == date(2027, 1, 1)
    assert len(await held(here)) == 2


async def test_the_board_opens_on_its_days_at_its_doors_in_its_hours(peer: BoardPeer) -> None:
    here = holdings(peer)
    monday = only(0, 480, 720)
    await here.put_profiles([monday])
    await here.put([card(1), card(2, last_day=date(2026, 11, 22)), card(3, doors={"1": monday})])
    await shows(peer.board, datetime.fromisoformat("2026-11-22T23:59:30"))
    assert [await opens(peer.board, n) for n in (1, 2, 3, 4)] == [True, True, False, False]
    assert not await opens(peer.board, 1, door=2)
    await shows(peer.board, datetime.fromisoformat("2026-11-23T00:00:05"))
    assert [await opens(peer.board, n) for n in (1, 2, 3)] == [True, False, False]
    await shows(peer.board, datetime.fromisoformat("2026-11-23T08:00:00"))
    assert await opens(peer.board, 3)
    await shows(peer.board, datetime.fromisoformat("2026-11-23T12:00:00"))
    assert not await opens(peer.board, 3)


async def test_hours_that_cards_carry_keep_their_meaning_when_others_are_put(peer: BoardPeer) -> None:
    here = holdings(peer)
    first, second = only(0, 480, 720), only(1, 480, 720)
    await here.put_profiles([first])
    await here.put([card(1, doors={"1": first})])
    again = holdings(peer)
    await held(again)
    await again.put_profiles([second])
    await again.put([card(2, doors={"1": second})])
    found = await held(holdings(peer))
    assert (found[value(1)].doors["1"], found[value(2)].doors["1"]) == (first, second)


async def test_hours_that_no_card_carries_any_more_make_room(peer: BoardPeer) -> None:
    here = holdings(peer)
    for start in range(0, 1200, 60):
        many = [only(day, start + step, start + step + 1) for day in range(7) for step in range(0, 30, 2)]
        await here.put_profiles(many[:100])
    with pytest.raises(CannotHold):
        await here.put_profiles([only(day, step, step + 1) for day in range(7) for step in range(0, 80, 2)])


async def test_a_board_that_is_full_says_so(peer: BoardPeer) -> None:
    await peer.board.do("limit", cards=2)
    here = holdings(peer)
    with pytest.raises(CannotHold):
        await here.put([card(1), card(2), card(3)])
    assert sorted(await held(here)) == [value(1), value(2)]


async def test_what_somebody_else_altered_does_not_read_back_as_ours(peer: BoardPeer) -> None:
    here = holdings(peer)
    await here.put([card(1), card(2), card(3)])
    await peer.board.do("put_card", card=101_00001, first="2026-01-01", doors=[1, 1, 0, 0])
    await peer.board.do("put_card", card=101_00002, first="2026-01-01", doors=[1, 0, 0, 0], pin="d20400")
    await peer.board.do("put_card", card=101_00003, first="2026-01-01", doors=[99, 0, 0, 0])
    await peer.board.do("put_card", card=4_000_000_000)
    found = await held(here)
    assert all(found[value(n)].holding() != card(n).holding() for n in (1, 2, 3))
    await here.remove([each for each in found if each != value(1)])
    assert sorted(await held(here)) == [value(1)]


async def test_its_decisions_are_told_and_not_its_reads(peer: BoardPeer, tmp_path: Path) -> None:
    async with Driven(UhppoteBoard, peer, tmp_path, alone=ALONE) as program:
        await program.ready()
        await program.driver.put_cards([card(1)])
        await opens(peer.board, 1)
        await opens(peer.board, 2)
        await opens(peer.board, 3, door=2)
        await program.until(lambda: len(program.heard.decisions) == 2)
        await program.until(lambda: len(program.heard.cards) == 1)
        first, second = program.heard.decisions
    assert (first.granted, first.value, first.reader, first.live) == (True, value(1), "1", True)
    assert (second.granted, second.reason, second.value) == (False, Reason.UNAUTHORIZED, value(2))
    assert program.heard.cards == [("2", "wiegand26", value(3))]
    assert second.index == first.index + 1


async def test_nothing_it_decided_is_lost_or_doubled_across_power_cuts_on_either_side(
    peer: BoardPeer, tmp_path: Path
) -> None:
    number, seen = 0, []
    for life in range(3):
        async with Driven(UhppoteBoard, peer, tmp_path, alone=ALONE) as program:
            await program.ready()
            for step in range(5):
                number += 1
                if step == 2:
                    peer.events.cut()
                if step == 3:
                    peer.events.mend()
                    await peer.stop()
                    await peer.start()
                await opens(peer.board, number)
            await program.until(lambda p=program, n=number, s=seen: len(s) + len(p.heard.decisions) == n)  # type: ignore[misc]
            await program.until(lambda p=program: kept(p, tmp_path))  # type: ignore[misc]
            seen += program.heard.decisions
        if life < 2:
            number += 1
            await opens(peer.board, number)
    assert [each.value for each in sorted(seen, key=lambda each: each.index)] == [
        value(n) for n in range(1, number + 1)
    ]
    assert len({(each.epoch, each.index) for each in seen}) == number


def kept(program: Driven, folder: Path) -> bool:
    """Its place in the log is on the disk: a driver that is ended before that tells the last entry once more."""
    if program.state is not DeviceState.READY:
        return False
    log = program.driver._log
    written = Memories(folder / "memory").of("device").get(PLACE)
    return program.driver.board_health().unread == 0 and written == log.place.text()


async def test_what_is_not_in_the_journal_yet_is_told_again(peer: BoardPeer, tmp_path: Path) -> None:
    """Killed between the board's log and our disk: the place moves on only when `decided` returned."""
    async with Driven(UhppoteBoard, peer, tmp_path, alone=ALONE) as program:
        await program.ready()

        async def hangs(decision: object) -> None:
            program.heard.tampers.append(("asked", True))
            await asyncio.Event().wait()

        program.driver.reports.decided = hangs  # type: ignore[method-assign]
        await opens(peer.board, 1)
        await program.until(lambda: bool(program.heard.tampers))
    async with Driven(UhppoteBoard, peer, tmp_path, alone=ALONE) as later:
        await later.ready()
        await later.until(lambda: bool(later.heard.decisions))
        assert [each.value for each in later.heard.decisions] == [value(1)]
        assert not later.heard.decisions[0].live


async def test_the_release_time_of_its_own_openings_is_set(peer: BoardPeer, tmp_path: Path) -> None:
    async with Driven(UhppoteBoard, peer, tmp_path, alone=ALONE) as program:
        await program.ready()
        await program.driver.set_release_times({"1": 6.5, "2": 400.0})
        doors = peer.board.state()["doors"]
    assert (doors["1"]["delay"], doors["2"]["delay"]) == (7, 255)


async def test_its_cards_are_no_trouble_where_it_decides(peer: BoardPeer, tmp_path: Path) -> None:
    async with Driven(UhppoteBoard, peer, tmp_path, alone=ALONE) as program:
        await program.ready()
        await program.driver.put_cards([card(1)])
        await opens(peer.board, 1)
        await program.until(lambda: bool(program.heard.decisions))
        assert program.driver.repairs() == []


async def test_how_its_clock_and_its_log_stand_is_known(peer: BoardPeer, tmp_path: Path) -> None:
    async with Driven(UhppoteBoard, peer, tmp_path, alone=ALONE) as program:
        await program.ready()
        await program.driver.put_cards([card(1)])
        await opens(peer.board, 1)
        await program.until(lambda: bool(program.heard.decisions))

        def sound() -> bool:
            health = program.driver.board_health()
            return health.unread == 0 and health.clock_ahead is not None and abs(health.clock_ahead) < 5.0

        await program.until(sound)


async def test_a_board_s_days_are_those_of_the_site(peer: BoardPeer, tmp_path: Path) -> None:
    """Its clock shows the site's zone where it decides, whatever the machine's is."""
    await peer.wrong_clock(-5 * 3600.0)
    async with Driven(UhppoteBoard, peer, tmp_path, alone=ALONE) as program:
        await program.ready()
        await program.until(lambda: abs(shown_off(peer)) < 5.0)


def shown_off(peer: BoardPeer) -> float:
    shown = datetime.fromtimestamp(time.time() + peer.board.state()["offset"])  # noqa: DTZ006 - as the board shows it
    return (shown - datetime.fromisoformat(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()))) / timedelta(
        seconds=1
    )
