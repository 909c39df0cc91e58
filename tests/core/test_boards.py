"""A board that decides alone is kept in step with the rights: given, taken back, read back, and told where it is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from board_support import FORMAT, BoardSite, board_site, replace, value, values
from menwei.boardfacts import BoardCard, BoardHealth
from menwei.changes import EndHolder, RemoveHolder, SetState, SetValidity
from menwei.messages import Messages
from menwei.model import CredentialState, DoorMode
from menwei.people import People
from rights_support import DESK, KEYS, card

pytestmark = pytest.mark.slow

ZONE = ZoneInfo("Asia/Shanghai")


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE).timestamp()


NOW = at("2026-11-22 10:00")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[BoardSite]:
    async with board_site(tmp_path, NOW) as made:
        yield made


# --------------------------------------------------------------------------------------------------- giving and taking


async def test_who_has_a_right_there_is_on_the_board_and_nobody_else(site: BoardSite) -> None:
    await site.enrol(1, "residents")
    await site.enrol(2)
    await site.enrol(3, "residents", state=CredentialState.LOST)
    await site.begin()
    board = site.connect()
    await site.settled()
    assert site.held() == [1]
    assert board.cards[value(1)].last_day == date(2099, 12, 31)
    assert board.times == {"1": 5.0}


async def test_a_new_right_reaches_a_board_that_is_there(site: BoardSite) -> None:
    await site.begin()
    site.connect()
    await site.settled()
    await site.enrol(1, "residents")
    await site.until(lambda: site.held() == [1])


@pytest.mark.parametrize("change", [
    lambda who: SetState(who, CredentialState.LOST), lambda who: EndHolder(1), lambda who: RemoveHolder(1),
    lambda who: SetValidity(who, 0.0, NOW - 1),
])  # fmt: skip
async def test_a_right_that_is_taken_away_leaves_the_board(site: BoardSite, change: object) -> None:
    who = await site.enrol(1, "residents")
    await site.begin()
    site.connect()
    await site.settled()
    await site.apply(change(who))  # type: ignore[operator]
    await site.until(lambda: site.held() == [])


async def test_a_lost_card_is_taken_before_the_rest_of_a_large_push(
    site: BoardSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("menwei.boardkeeper.PUSHED", 0.0)
    monkeypatch.setattr("menwei.boardkeeper.BATCH", 10)
    for number in range(1, 91):
        await site.enrol(number, "residents")
    await site.begin()
    board = site.connect()
    lost: list[asyncio.Task[int]] = []

    def first_batch() -> None:
        if not lost:
            (first, *_) = board.asked[-1][1]
            who = int(first.partition(",")[2]) + 1000
            lost.append(asyncio.create_task(site.apply(SetState(who, CredentialState.LOST))))

    board.between = first_batch
    await site.settled()
    assert len(site.held()) == 89
    assert board.order().index("remove") < len(board.order()) - 1, (
        "the board was filled before the card was taken"
    )


async def test_a_right_that_ends_is_taken_at_its_end_while_the_board_is_there(site: BoardSite) -> None:
    await site.enrol(1, "residents", valid_to=at("2026-11-22 12:00"))
    await site.begin()
    board = site.connect()
    await site.settled()
    assert board.cards[value(1)].doors["1"].days[6] == ((0, 720),)
    site.wall[0] = at("2026-11-22 12:00")
    await site.until(lambda: site.held() == [])


async def test_a_board_that_is_away_is_brought_up_to_date_when_it_comes(site: BoardSite) -> None:
    who = await site.enrol(1, "residents")
    await site.begin()
    site.connect()
    await site.settled()
    site.disconnect()
    await site.apply(SetState(who, CredentialState.LOST))
    await site.until(lambda: site.boards.pending(who) == ["board"])
    assert site.held() == [1]
    assert site.repairs()["pending"] == {"device": "board", "count": "1"}
    site.connect()
    await site.until(lambda: site.held() == [])
    await site.until(lambda: site.boards.pending(who) == [])
    assert "pending" not in site.repairs()


async def test_what_the_board_did_not_confirm_is_tried_again(
    site: BoardSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("menwei.boardkeeper.AGAIN", 0.0)
    await site.enrol(1, "residents")
    site.driver.fails = 3
    await site.begin()
    site.connect()
    await site.settled()
    assert site.held() == [1]
    assert site.repairs() == {}


async def test_a_board_that_fails_is_told_with_its_own_words(site: BoardSite) -> None:
    await site.enrol(1, "residents")
    site.driver.fails = 1000
    await site.begin()
    site.connect()
    await site.until(lambda: site.repairs().get("trouble", {}).get("detail") == "the board is away")


async def test_nothing_is_written_when_nothing_changed(site: BoardSite) -> None:
    await site.enrol(1, "residents")
    await site.begin()
    board = site.connect()
    await site.settled()
    site.disconnect()
    before = len(board.order())
    await site.enrol(2)
    site.connect()
    await site.settled()
    assert board.order()[before:] == []


async def test_a_shut_door_is_shut_to_the_board_s_cards_too(site: BoardSite) -> None:
    await site.enrol(1, "residents")
    await site.begin()
    site.connect()
    await site.settled()
    await site.gate.command(DoorMode.LOCKED_DOWN, None)
    await site.until(lambda: site.held() == [])
    await site.gate.command(DoorMode.LOCKED, None)
    await site.until(lambda: site.held() == [1])


async def test_since_when_a_board_is_reached_is_known(site: BoardSite) -> None:
    await site.begin()
    assert (site.status().online, site.status().since) == (False, NOW)
    site.wall[0] = NOW + 60
    site.connect()
    assert (site.status().online, site.status().since) == (True, NOW + 60)
    site.wall[0] = NOW + 90
    site.disconnect()
    site.wall[0] = NOW + 120
    site.devices.turn(None)  # tried again, and still away
    assert (site.status().online, site.status().since) == (False, NOW + 90)


async def test_a_driver_that_cannot_say_how_its_board_is_keeps_nobody_from_the_rest(site: BoardSite) -> None:
    await site.enrol(1, "residents")
    await site.begin()
    board = site.connect()
    await site.settled()
    board.board_health = lambda: BoardHealth(-1.5, 3)  # type: ignore[method-assign]
    assert site.status().health == BoardHealth(-1.5, 3)

    def fails() -> BoardHealth:
        raise RuntimeError("a fault of the driver")

    board.board_health = fails  # type: ignore[method-assign]
    assert (site.status().held, site.status().health) == (1, BoardHealth())


# ------------------------------------------------------------------------------------------------------ reading back


async def test_somebody_else_s_changes_are_told_and_put_right(site: BoardSite) -> None:
    for number in (1, 2, 3):
        await site.enrol(number, "residents")
    await site.begin()
    board = site.connect()
    await site.settled()
    good = dict(board.cards)
    board.cards[value(1)] = replace(good[value(1)], last_day=date(2020, 1, 1))
    del board.cards[value(2)]
    board.cards[value(9)] = replace(good[value(3)], value=value(9))
    site.boards.look("board")
    await site.until(lambda: "drift" in site.repairs())
    await site.until(lambda: board.cards == good)
    told = site.repairs()["drift"]
    assert (told["added"], told["missing"], told["changed"]) == ("1", "1", "1")
    (entry,) = await site.kinds("BoardDrift")
    assert entry.data == {"device": "board", "added": 1, "missing": 1, "changed": 1}
    await site.until(lambda: site.status().drift.mended is not None)
    pushed = site.status().pushed
    assert (pushed.given, pushed.taken) == (2, 1)


async def test_a_lost_card_does_not_wait_for_a_long_reading(site: BoardSite) -> None:
    lost: list[int] = []
    for number in range(1, 6):
        await site.enrol(number, "residents")
    await site.begin()
    board = site.connect()
    await site.settled()
    whole = board.held_cards

    async def slowly() -> AsyncIterator[BoardCard]:
        async for each in whole():
            if not lost:
                lost.append(await site.apply(SetState(1001, CredentialState.LOST)))
            yield each
        board.asked.append(("read through", None))

    board.held_cards = slowly  # type: ignore[method-assign]
    board.asked.clear()
    site.boards.look("board")
    await site.until(lambda: ("read through", None) in board.asked)
    assert ("remove", [value(1)]) in board.asked[: board.asked.index(("read through", None))]
    assert site.held() == [2, 3, 4, 5]
    assert "drift" not in site.repairs()


async def test_numbers_outlive_a_plugin_that_is_broken_today(site: BoardSite) -> None:
    await site.enrol(1, "residents")
    assert await site.boards.replace(site.site, {}, frozenset({"board"}), {}) == frozenset()
    assert len(await site.numbers.digests(FORMAT)) == 1


async def test_a_change_behind_our_back_is_known_after_a_restart_of_ours(tmp_path: Path) -> None:
    async with board_site(tmp_path, NOW) as site:
        await site.enrol(1, "residents")
        await site.begin()
        board = site.connect()
        await site.settled()
    board.cards[value(1)] = replace(board.cards[value(1)], last_day=date(2020, 1, 1))
    async with board_site(tmp_path, NOW + 7 * 86_400) as later:
        later.driver = board
        await later.begin()
        later.connect()
        await later.until(lambda: later.repairs().get("drift", {}).get("changed") == "1")
        await later.until(lambda: board.cards[value(1)].last_day == date(2099, 12, 31))


async def test_an_ended_right_that_somebody_prolonged_on_the_board_is_told_and_taken(tmp_path: Path) -> None:
    async with board_site(tmp_path, NOW) as site:
        await site.enrol(1, "residents", valid_to=at("2026-11-25 00:00"))
        await site.begin()
        board = site.connect()
        await site.settled()
    board.cards[value(1)] = replace(board.cards[value(1)], last_day=date(2099, 1, 1))
    async with board_site(tmp_path, NOW + 7 * 86_400) as later:
        later.driver = board
        await later.begin()
        later.connect()
        await later.until(lambda: later.held() == [])
        assert later.repairs()["drift"]["changed"] == "1"


async def test_what_we_had_still_to_give_and_to_take_is_no_drift(tmp_path: Path) -> None:
    """A week without this program: one right ended, one was given meanwhile through a restored store."""
    async with board_site(tmp_path, NOW) as site:
        await site.enrol(1, "residents", valid_to=NOW + 86_400)
        await site.enrol(2, "residents")
        await site.begin()
        board = site.connect()
        await site.settled()
        site.disconnect()
        await site.enrol(3, "residents")
    async with board_site(tmp_path, NOW + 7 * 86_400) as later:
        later.driver = board
        await later.begin()
        later.connect()
        await later.until(lambda: later.held() == [2, 3])
        assert "drift" not in later.repairs()


async def test_a_crash_between_the_board_and_our_own_record_is_no_drift(site: BoardSite) -> None:
    await site.enrol(1, "residents")
    site.driver.cards[value(1)] = BoardCard(value(1), date(1970, 1, 1), date(2099, 12, 31), {})
    await site.begin()
    board = site.connect()
    await site.settled()
    assert site.repairs()["drift"]["added"] == "1"
    site.disconnect()
    await site.numbers.gone("board", [KEYS.digest(card(value(1), FORMAT))])
    await site.boards.stop()
    await site.begin()
    site.driver = board
    site.connect()
    await site.settled()
    assert "drift" not in site.repairs()


# --------------------------------------------------------------------------------------------------------- what it is told


async def test_a_full_board_keeps_who_is_on_it_and_says_how_many_are_not(site: BoardSite) -> None:
    site.abilities = replace(site.abilities, cards=2)
    await site.enrol(5, "residents")
    await site.enrol(6, "residents")
    await site.begin()
    site.connect()
    await site.settled()
    await site.enrol(1, "residents")
    await site.until(lambda: "full" in site.repairs())
    assert site.held() == [5, 6]
    assert site.repairs()["full"] == {"device": "board", "count": "1", "capacity": "2"}


async def test_a_nearly_full_board_is_told_in_time(site: BoardSite) -> None:
    site.abilities = replace(site.abilities, cards=10)
    for number in range(1, 11):
        await site.enrol(number, "residents")
    await site.begin()
    site.connect()
    await site.until(lambda: "nearly_full" in site.repairs())


async def test_hours_that_do_not_fit_leave_their_cards_off_and_not_wider(site: BoardSite) -> None:
    who = await site.enrol(1, "residents")
    await site.enrol(2, "residents")
    site.driver.profile_room = 0
    await site.begin()
    site.connect()
    await site.settled()
    from menwei.changes import SetProfiles

    await site.apply(SetProfiles(who, ("office",)))
    await site.until(lambda: site.held() == [2])
    assert "no_room" in site.repairs()


async def test_hours_reach_the_board_before_the_cards_that_carry_them(site: BoardSite) -> None:
    await site.enrol(1, "office")
    await site.begin()
    board = site.connect()
    await site.settled()
    assert [what for what, _ in board.asked if what in {"profiles", "put"}] == ["profiles", "put"]
    assert board.cards[value(1)].doors["1"] == board.profiles[0]


async def test_a_schedule_with_special_days_gives_nothing_and_is_told(site: BoardSite) -> None:
    await site.enrol(1, "market")
    await site.begin()
    site.connect()
    await site.until(lambda: site.repairs().get("schedule", {}).get("schedules") == "market")
    assert site.held() == []


async def test_a_card_enrolled_before_is_told_and_learned_by_one_touch(site: BoardSite) -> None:
    who = await site.enrol(1, "residents", for_boards=False)
    await site.begin()
    site.connect()
    await site.until(lambda: site.repairs().get("no_number", {}).get("count") == "1")
    assert site.held() == []
    await site.boards.learn(who, card(value(1), FORMAT))
    await site.until(lambda: site.held() == [1])
    await site.until(lambda: "no_number" not in site.repairs())


async def test_numbers_are_kept_only_where_a_board_needs_them(site: BoardSite) -> None:
    assert await site.begin() == frozenset({FORMAT})
    people = People(site.store, site.rights, KEYS, formats=frozenset({FORMAT}))
    people.board_formats = frozenset({FORMAT})
    (change,) = [c for c in people._identifiers(1, [card("0A643039")]) if c.format == FORMAT]
    (uid,) = [c for c in people._identifiers(1, [card("0A643039")]) if c.format == "uid"]
    assert change.number is not None
    assert uid.number is None
    people.board_formats = frozenset()
    assert all(c.number is None for c in people._identifiers(1, [card("0A643039")]))


async def test_numbers_that_no_board_needs_any_more_are_forgotten(site: BoardSite) -> None:
    await site.enrol(1, "residents")
    assert len(await site.numbers.digests(FORMAT)) == 1
    site.site = replace(site.site, access_points={
        id: replace(point, decides="host") for id, point in site.site.access_points.items()
    })  # fmt: skip
    assert await site.begin() == frozenset()
    assert await site.numbers.digests(FORMAT) == []


async def test_a_board_that_does_not_decide_any_more_is_emptied(tmp_path: Path) -> None:
    async with board_site(tmp_path, NOW) as site:
        await site.enrol(1, "residents")
        await site.begin()
        board = site.connect()
        await site.settled()
    async with board_site(tmp_path, NOW) as later:
        points = {id: replace(point, decides="host") for id, point in later.site.access_points.items()}
        later.site = replace(later.site, access_points=points)
        later.driver = board
        await later.begin()
        later.connect()
        await later.until(lambda: later.held() == [])


async def test_a_board_that_left_the_config_with_cards_on_it_is_told(site: BoardSite) -> None:
    await site.enrol(1, "residents")
    await site.begin()
    site.connect()
    await site.settled()
    await site.boards.stop()
    await site.begin(device="another")
    assert site.repairs() == {"abandoned": {"device": "board", "count": "1"}}
    assert await site.numbers.devices() == {}


async def test_no_card_number_stands_in_the_store_in_clear(site: BoardSite, tmp_path: Path) -> None:
    for number in range(1, 6):
        await site.enrol(number, "residents")
    await site.begin()
    site.connect()
    await site.settled()
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("store.db*"))
    assert [each for each in values(range(1, 6)) if each.encode() in stored] == []


async def test_every_repair_has_a_sentence_in_both_languages(site: BoardSite) -> None:
    messages = Messages(strict=True)
    shown = {
        "abandoned": {"count": "1"}, "pending": {"count": "1"}, "waiting": {"count": "1"},
        "drift": {"time": "…", "added": "1", "missing": "0", "changed": "0"}, "full": {"count": "1", "capacity": "2"},
        "nearly_full": {"count": "1", "capacity": "2"}, "no_number": {"count": "1"}, "schedule": {"schedules": "x"},
        "within_a_day": {"count": "1"}, "no_room": {"detail": "x"}, "trouble": {"detail": "x"},
    }  # fmt: skip
    for what, facts in shown.items():
        for language in ("zh-CN", "en"):
            text = messages.t(language, f"board.repair.{what}", device="board", **facts)
            assert "board" in text
            assert "{" not in text


async def test_each_push_stands_in_the_journal_with_its_revision(site: BoardSite) -> None:
    await site.enrol(1, "residents")
    await site.begin()
    site.connect()
    await site.settled()
    (entry,) = await site.kinds("BoardUpdated")
    facts = {"device": "board", "revision": site.rights.snapshot.revision, "given": 1, "taken": 0}
    assert entry.data == facts
    assert DESK.name not in repr(entry.data)
