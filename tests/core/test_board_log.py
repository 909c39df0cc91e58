"""What a board decided by itself stands in the journal once, with who decided and both clocks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from board_support import FORMAT, BoardSite, board_site, value
from menwei.boardfacts import BoardDecision
from menwei.changes import SetState
from menwei.devices import Devices
from menwei.journal import JournalFull
from menwei.model import CredentialState, DoorState, IdentifierType, Reason, Request

ZONE = ZoneInfo("Asia/Shanghai")
SHOWN = datetime.fromisoformat("2026-11-22T09:59:58")
NOW = datetime(2026, 11, 22, 10, tzinfo=ZONE).timestamp()
PASSAGES = ("AccessGranted", "AccessDenied")


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[BoardSite]:
    async with board_site(tmp_path, NOW) as made:
        yield made


def decision(index: int, number: int = 1, granted: bool = True, **changes: Any) -> BoardDecision:
    facts: dict[str, Any] = {
        "epoch": 1, "index": index, "reader": "in", "format": FORMAT, "value": value(number), "granted": granted,
        "shown": SHOWN, "reason": None if granted else Reason.UNAUTHORIZED,
    }  # fmt: skip
    return BoardDecision(**(facts | changes))


async def test_an_entry_says_who_decided_whose_card_it_was_and_what_both_clocks_showed(
    site: BoardSite,
) -> None:
    who = await site.enrol(1, "residents")
    await site.log.merge("board", decision(7))
    (entry,) = await site.kinds(*PASSAGES)
    assert (entry.kind, entry.door, entry.access_point) == ("AccessGranted", "gate", "gate-in")
    assert entry.at == NOW - 2
    assert entry.data["decided"] == "controller"
    assert entry.data["log"] == {"device": "board", "epoch": 1, "index": 7}
    assert entry.data["device_time"] == "2026-11-22T09:59:58"
    assert NOW <= entry.data["received"] < NOW + 60
    assert entry.personal == {"holder": 1, "credential": who}
    assert value(1) not in repr(entry)


async def test_what_is_told_twice_stands_there_once_also_after_a_restart(tmp_path: Path) -> None:
    async with board_site(tmp_path, NOW) as site:
        await site.log.merge("board", decision(7))
        await site.log.merge("board", decision(7))
        await asyncio.gather(*(site.log.merge("board", decision(8)) for _ in range(5)))
    async with board_site(tmp_path, NOW) as later:
        for index in (7, 8, 9):
            await later.log.merge("board", decision(index))
        entries = await later.kinds(*PASSAGES)
        assert [entry.data["log"]["index"] for entry in entries] == [7, 8, 9]


async def test_how_far_a_log_is_merged_is_known_after_a_restart_too(tmp_path: Path) -> None:
    async with board_site(tmp_path, NOW) as site:
        assert await site.log.last("board") is None
        for index in (7, 9, 8):  # what was missed is read behind what happens now
            await site.log.merge("board", decision(index))
        last = await site.log.last("board")
        assert last is not None
        assert (last.epoch, last.index, last.at) == (1, 9, NOW - 2)
    async with board_site(tmp_path, NOW) as later:
        assert await later.log.last("board") == last
        assert await later.log.last("another") is None
        await later.log.merge("board", decision(1, epoch=2))
        newer = await later.log.last("board")
        assert newer is not None
        assert (newer.epoch, newer.index) == (2, 1)


async def test_a_log_that_began_anew_has_indexes_of_its_own(site: BoardSite) -> None:
    await site.log.merge("board", decision(7))
    await site.log.merge("board", decision(7, epoch=2))
    assert len(await site.kinds(*PASSAGES)) == 2


async def test_a_refusal_carries_the_board_s_reason_and_the_holder_s(site: BoardSite) -> None:
    who = await site.enrol(1, "residents")
    await site.apply(SetState(who, CredentialState.LOST))
    await site.log.merge("board", decision(1, granted=False))
    await site.log.merge("board", decision(2, granted=False, number=5))
    await site.log.merge(
        "board", decision(3, granted=False, reason=Reason.NOT_PERMITTED_AT_THIS_TIME, number=6)
    )
    entries = await site.kinds("AccessDenied")
    reasons = [[check["reason"] for check in entry.data["checks"]] for entry in entries]
    assert reasons == [
        ["CredentialNotEnabled", "Unauthorized"],
        ["CredentialNotFound"],
        ["CredentialNotFound"],
    ]
    assert {check["by"] for entry in entries for check in entry.data["checks"]} == {"controller"}
    assert [entry.personal for entry in entries][1:] == [None, None]


async def test_a_card_that_a_board_still_admits_is_marked(site: BoardSite) -> None:
    who = await site.enrol(1, "residents")
    await site.apply(SetState(who, CredentialState.LOST))
    await site.log.merge("board", decision(1))
    await site.log.merge("board", decision(2, number=77))
    first, second = await site.kinds("AccessGranted")
    assert first.data["against"] == ["CredentialNotEnabled"]
    assert second.data["against"] == ["CredentialNotFound"]


@pytest.mark.parametrize("shown", [
    None, SHOWN + timedelta(days=3), SHOWN - timedelta(days=9999), datetime.fromisoformat("0001-01-01"), datetime.fromisoformat("9999-12-31"),
])  # fmt: skip
async def test_a_board_s_impossible_clock_is_not_believed(site: BoardSite, shown: datetime | None) -> None:
    """An entry of the future would make this program's own clock start there."""
    await site.log.merge("board", decision(1, shown=shown))
    (entry,) = await site.kinds(*PASSAGES)
    assert NOW <= entry.at < NOW + 60
    assert entry.data["device_clock"] == "wrong"


async def test_a_week_s_old_entries_end_with_one_of_now(
    site: BoardSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("menwei.boardlog.SUMMARY_AFTER", 0.05)
    for index in range(5):
        await site.log.merge("board", decision(index, shown=SHOWN - timedelta(days=5 - index)))
    found: list[Any] = []
    while not found:
        await asyncio.sleep(0.02)
        found = await site.kinds("BoardLogRead")
    assert [entry.data for entry in found] == [{"device": "board", "entries": 5}]
    assert found[0].at >= NOW


async def test_an_opening_after_a_live_grant_is_taken_and_not_forced(site: BoardSite) -> None:
    site.gate.contact(DoorState.CLOSED)
    await site.log.merge("board", decision(1, live=True))
    site.gate.contact(DoorState.OPEN)
    await site.until(lambda: site.journal.waiting == 0)
    assert await site.kinds("DoorAlarm") == []
    (taken,) = await site.kinds("AccessTaken")
    (passage,) = await site.kinds("AccessGranted")
    assert taken.data["passage"] == str(passage.position)


async def test_an_opening_after_a_refusal_or_an_old_grant_is_forced(site: BoardSite) -> None:
    site.gate.contact(DoorState.CLOSED)
    await site.log.merge("board", decision(1))
    await site.log.merge("board", decision(2, granted=False, live=True))
    site.gate.contact(DoorState.OPEN)
    await site.until(lambda: site.journal.waiting == 0)
    (alarm,) = await site.kinds("DoorAlarm")
    assert alarm.data["alarm"] == "DoorForcedOpen"


async def test_a_full_journal_makes_the_board_wait_and_loses_nothing(
    site: BoardSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("menwei.boardlog.FULL_PAUSE", 0.01)
    append, full = site.journal.append, [True, True]

    def refusing(entry: Any) -> Any:
        if full and entry.kind in PASSAGES:
            full.pop()
            future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            future.set_exception(JournalFull("full"))
            return future
        return append(entry)

    monkeypatch.setattr(site.journal, "append", refusing)
    await site.log.merge("board", decision(1))
    assert len(await site.kinds(*PASSAGES)) == 1


async def test_a_refused_card_of_somebody_known_is_given_to_the_board_from_now_on(site: BoardSite) -> None:
    await site.enrol(1, "residents", for_boards=False)
    await site.begin()
    site.connect()
    await site.log.merge("board", decision(1, granted=False))
    await site.until(lambda: site.held() == [1])


async def test_a_card_at_a_board_that_decides_is_not_decided_again(site: BoardSite) -> None:
    asked: list[Request] = []
    devices = Devices(site.site, site.devices, site.journal, site.clock, lambda text: text)  # type: ignore[arg-type]
    devices.submit = asked.append
    devices.merge = site.log.merge
    reports = devices.reports("board", frozenset({IdentifierType.CARD}), lambda _: None)
    reports.card("in", FORMAT, value(1))
    await reports.decided(decision(1, live=True))
    assert asked == []
    assert len(await site.kinds(*PASSAGES)) == 1


async def test_a_desk_that_waits_at_such_a_reader_is_given_the_card(site: BoardSite) -> None:
    devices = Devices(site.site, site.devices, site.journal, site.clock, lambda text: text)  # type: ignore[arg-type]
    devices.merge = site.log.merge
    site.connect()
    waiting = asyncio.create_task(devices.capture("board", "in", 10))
    await asyncio.sleep(0)
    reports = devices.reports("board", frozenset({IdentifierType.CARD}), lambda _: None)
    await reports.decided(decision(1, granted=False, live=True))
    card = await waiting
    assert (card.format, card.value) == (FORMAT, value(1))
