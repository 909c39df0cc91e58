"""The UHPPOTE driver against a board in a process of its own (`peers.uhppote_board`, written by this project)."""

from __future__ import annotations

import asyncio
import errno
import json
import time
from collections.abc import AsyncIterator
from datetime import date, datetime
from datetime import time as day_time
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from uhppoted.errors import EventNotFound, EventOverwritten
from uhppoted.uhppote_async import UhppoteAsync

from menwei.cardformats import FORMATS
from menwei.context import NotReady, Repair
from menwei.memory import FileMemory
from menwei.messages import Messages
from menwei.model import DoorMode, DoorState
from menwei.reports import Discovered
from menwei.testing import RecordedReports, context
from menwei.testing.driven import Driven
from menwei.testing.proxies import Faults
from menwei_uhppote.board import Board
from menwei_uhppote.cards import CardFormat
from menwei_uhppote.driver import OLD, UhppoteBoard
from menwei_uhppote.finder import UhppoteFinder, broadcasts
from menwei_uhppote.profiles import Hours, profiles
from menwei_uhppote.settings import BoardConfig
from menwei_uhppote.troubles import Troubles
from peers.uhppote import SERIAL, BoardPeer, BoardProcess, free_port

pytestmark = pytest.mark.e2e

BOUND = 60.0
FIRST_CARD = 101_00000


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[BoardPeer]:
    (tmp_path / "device").mkdir()
    peer = BoardPeer(tmp_path / "device")
    await peer.start()
    yield peer
    await peer.stop()
    await peer.close()


def driven(peer: BoardPeer, tmp_path: Path, **changes: Any) -> Driven:
    return Driven(UhppoteBoard, peer, tmp_path, config=BoardConfig.model_validate(peer.settings() | changes))


def soon() -> float:
    return time.monotonic() + BOUND


def values(program: Driven) -> list[str]:
    return [value for _, _, value in program.heard.cards]


def keys(program: Driven) -> set[str]:
    return {repair.message.rpartition(".")[2] for repair in program.driver.repairs()}


# --------------------------------------------------------------------------------------------------- what it controls


async def test_it_says_what_it_is(peer: BoardPeer, tmp_path: Path) -> None:
    async with driven(peer, tmp_path) as program:
        info = await program.ready()
    assert (info.id, info.model, info.version) == (f"uhppote-{SERIAL}", "UHPPOTE UT0311-L04", "v8.92")
    assert (info.locks, info.readers) == (("1", "2", "3", "4"), ("1", "2", "3", "4"))


async def test_a_board_of_two_doors_has_readers_on_both_sides(peer: BoardPeer, tmp_path: Path) -> None:
    async with driven(peer, tmp_path, doors=2) as program:
        info = await program.ready()
        assert (info.locks, info.readers) == (("1", "2"), ("1", "2", "1-out", "2-out"))
        await peer.board.do("swipe", card=FIRST_CARD + 1, door=2, direction=2)
        await program.until(lambda: program.heard.cards == [("2-out", "wiegand26", "101,00001")])


async def test_each_of_four_doors_is_released_for_its_own_time(peer: BoardPeer, tmp_path: Path) -> None:
    async with driven(peer, tmp_path) as program:
        await program.ready()
        for door, seconds in ((1, 3.0), (2, 4.5), (3, 0.2), (4, 900.0), (1, 15.0), (1, 3.0)):
            await program.driver.access(str(door), seconds, soon())
    released = [(release.lock, release.seconds) for release in await peer.releases()]
    assert released == [("1", 3), ("2", 5), ("3", 1), ("4", 255), ("1", 15), ("1", 3)]


async def test_modes_never_take_the_exit_button_away(peer: BoardPeer, tmp_path: Path) -> None:
    async with driven(peer, tmp_path) as program:
        await program.ready()
        for mode in DoorMode:
            await program.driver.set_mode("1", mode, soon())
            assert peer.board.state()["doors"]["1"]["control"] in (1, 3)
        await program.driver.set_mode("2", DoorMode.LOCKED_DOWN, soon())
        await program.driver.access("2", 3.0, soon())
    assert len(await peer.releases()) == 1


async def test_a_lost_answer_does_not_release_the_door_twice(peer: BoardPeer, tmp_path: Path) -> None:
    async with driven(peer, tmp_path, poll="10s") as program:
        await program.ready()
        await program.driver.access("1", 3.0, soon())
        before = len(await peer.releases())
        peer.questions.to_host.faults = Faults(drop=1.0)
        access = asyncio.create_task(program.driver.access("1", 3.0, soon()))
        async with asyncio.timeout(BOUND):
            while len(await peer.releases()) == before:
                await asyncio.sleep(0.02)
        peer.questions.to_host.faults = Faults()
        await access
        assert len(await peer.releases()) == before + 1


async def test_a_lost_command_is_given_again(peer: BoardPeer, tmp_path: Path) -> None:
    async with driven(peer, tmp_path, poll="10s") as program:
        await program.ready()
        await program.driver.access("1", 1.0, soon())
        await asyncio.sleep(1.1)
        peer.questions.to_device.faults = Faults(drop=1.0)
        access = asyncio.create_task(program.driver.access("1", 1.0, soon()))
        await asyncio.sleep(0.3)
        peer.questions.to_device.faults = Faults()
        await access
        assert len(await peer.releases()) == 2


# ----------------------------------------------------------------------------------------------------- what it reports


async def test_an_exit_button_and_the_door_contacts_are_reported(peer: BoardPeer, tmp_path: Path) -> None:
    async with driven(peer, tmp_path) as program:
        await program.ready()
        await peer.board.do("button", door=3)
        await peer.board.do("contact", door=3, open=True)
        await peer.board.do("contact", door=3, open=False)
        await program.until(lambda: ("3", DoorState.OPEN) in program.heard.states)
        await program.until(lambda: program.heard.states[-1] == ("3", DoorState.CLOSED))
        assert program.heard.exits == ["3"]


async def test_its_own_remote_opening_is_no_read(peer: BoardPeer, tmp_path: Path) -> None:
    async with driven(peer, tmp_path, cards="decimal") as program:
        await program.ready()
        await program.driver.access("1", 3.0, soon())
        await peer.board.do("swipe", card=12345)
        await program.until(lambda: bool(program.heard.cards))
        assert program.heard.cards == [("1", "decimal", "0000012345")]


async def test_an_event_whose_datagram_was_lost_is_read_soon(peer: BoardPeer, tmp_path: Path) -> None:
    async with driven(peer, tmp_path) as program:
        await program.ready()
        peer.events.cut()
        before = time.monotonic()
        await peer.present(1)
        await program.read(1)
        assert program.received(1)[0] > before - 5.0, "told as something of now"


async def test_a_forged_event_reports_nothing(peer: BoardPeer, tmp_path: Path) -> None:
    """Somebody on the network sends the datagram of a card; the board's log knows nothing of it."""
    async with driven(peer, tmp_path) as program:
        await program.ready()
        forged = bytearray(64)
        forged[0], forged[1] = 0x17, 0x20
        forged[4:8] = SERIAL.to_bytes(4, "little")
        for index in (2, 3, 100, 1 << 31):
            forged[8:12] = index.to_bytes(4, "little")
            forged[12], forged[14], forged[15], forged[27] = 1, 1, 1, 6
            forged[16:20] = (FIRST_CARD + 9).to_bytes(4, "little")
            await peer.garbage(bytes(forged))
        await peer.present(1)
        await program.read(1)
        assert values(program) == ["101,00001"]


# ---------------------------------------------------------------------------------------------------------- power cuts


def kept(folder: Path) -> list[str]:
    """What the memory of the driver says on disk."""
    file = folder / "memory" / "device.json"
    return list(json.loads(file.read_text("utf-8")).values()) if file.exists() else []


async def test_nothing_is_lost_or_doubled_across_power_cuts_on_either_side(
    peer: BoardPeer, tmp_path: Path
) -> None:
    """The board loses its power, we are restarted, datagrams are lost: every card is reported once, in all lives."""
    seen: list[str] = []
    number = 0
    for life in range(4):
        async with driven(peer, tmp_path) as program:
            await program.ready()
            for step in range(6):
                number += 1
                if step == 2:
                    peer.events.cut()
                if step == 4:
                    peer.events.mend()
                    await peer.stop()
                    await peer.start()
                await peer.present(number)
            await program.until(lambda n=number: f"101,{n:05d}" in values(program))  # type: ignore[misc]
            await program.until(lambda n=number, s=seen, p=program: len(s) + len(values(p)) == n)  # type: ignore[misc]
            # What was reported and is not on disk yet is told again by the next life, as old: that is no power cut of ours.
            await program.until(lambda p=program: p.driver._log.place.text() in kept(tmp_path))  # type: ignore[misc]
            seen += values(program)
        if life % 2:
            for _ in range(3):
                number += 1
                await peer.present(number)
    async with driven(peer, tmp_path) as program:
        await program.ready()
        await program.until(lambda: len(seen) + len(values(program)) == number)
        seen += values(program)
    assert sorted(seen) == [f"101,{n:05d}" for n in range(1, number + 1)]


async def test_what_was_there_on_the_first_day_is_not_ours(peer: BoardPeer, tmp_path: Path) -> None:
    await peer.present(1)
    async with driven(peer, tmp_path) as program:
        await program.ready()
        await peer.present(2)
        await program.read(2)
        assert values(program) == ["101,00002"]


async def test_a_log_that_began_anew_is_read_from_its_start(peer: BoardPeer, tmp_path: Path) -> None:
    async with driven(peer, tmp_path) as program:
        await program.ready()
        for number in (1, 2, 3):
            await peer.present(number)
        await program.read(3)
    await asyncio.sleep(1.1)  # entries of one second and one index are told apart by nothing but their card
    await peer.board.do("erase")
    for number in (4, 5, 6, 7, 8):
        await peer.present(number)
    async with driven(peer, tmp_path) as program:
        await program.ready()
        await program.read(8)
        assert values(program) == [f"101,{n:05d}" for n in (4, 5, 6, 7, 8)]
        await peer.present(9)
        await program.read(9)


async def test_a_log_that_begins_anew_while_we_serve_is_noticed(peer: BoardPeer, tmp_path: Path) -> None:
    async with driven(peer, tmp_path) as program:
        await program.ready()
        for number in (1, 2, 3):
            await peer.present(number)
        await program.read(3)
        await peer.board.do("erase")
        await peer.present(4)
        await program.read(4)
        assert [program.times(number) for number in (1, 2, 3, 4)] == [1, 1, 1, 1]
        assert program.faults() == []


async def test_what_the_board_wrote_over_is_counted_and_told(peer: BoardPeer, tmp_path: Path) -> None:
    async with driven(peer, tmp_path) as program:
        await program.ready()
        await peer.present(1)
        await program.read(1)
    for number in range(2, 12):
        await peer.present(number)
    await peer.board.do("overwrite", count=7)
    async with driven(peer, tmp_path) as program:
        await program.ready()
        await program.read(11)
        await program.until(lambda: "overwritten" in keys(program))
        (repair,) = [repair for repair in program.driver.repairs() if "overwritten" in repair.message]
        assert int(repair.values["count"]) + len(values(program)) == 10


async def test_a_person_at_the_door_does_not_wait_for_the_history(peer: BoardPeer, tmp_path: Path) -> None:
    async with driven(peer, tmp_path) as program:
        await program.ready()
    for number in range(1, 201):
        await peer.present(number)
    async with driven(peer, tmp_path) as program:
        await program.ready()
        connected = time.monotonic()
        await peer.slow(0.02)
        await peer.present(500)
        await program.read(500)
        assert program.times(200) == 0
        await peer.slow(0)
        await program.read(200)
        assert sorted(values(program)) == [f"101,{n:05d}" for n in (*range(1, 201), 500)]
        assert max(program.received(200)) <= connected - OLD


async def test_a_read_from_before_our_start_is_old_whatever_the_clock_says(
    peer: BoardPeer, tmp_path: Path
) -> None:
    """The board's clock was set back an hour while nobody was there, so that an old read looks like one of now."""
    async with driven(peer, tmp_path) as program:
        await program.ready()
    await peer.present(1)
    await peer.wrong_clock(-1.0)
    async with driven(peer, tmp_path) as program:
        await program.ready()
        connected = time.monotonic()
        await program.read(1)
        assert program.received(1)[0] <= connected - OLD


async def test_a_full_disk_closes_no_door_and_is_told(
    peer: BoardPeer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(self: FileMemory, key: str, value: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async with driven(peer, tmp_path) as program:
        await program.ready()
        monkeypatch.setattr(FileMemory, "keep", full)
        await peer.present(1)
        await program.read(1)
        await program.driver.access("1", 3.0, soon())
        await program.until(lambda: "unkept" in keys(program))
        monkeypatch.undo()
        await peer.present(2)
        await program.read(2)
        await program.until(lambda: "unkept" not in keys(program))
        assert program.endings == []


# ----------------------------------------------------------------------------------------------------- clock and repairs


async def test_a_clock_that_is_wrong_is_set_and_told(peer: BoardPeer, tmp_path: Path) -> None:
    await peer.wrong_clock(-86400.0 * 365)
    async with driven(peer, tmp_path) as program:
        await program.ready()
        await program.until(lambda: "clock" in keys(program))
        await program.until(lambda: abs(peer.board.state()["offset"]) < 3.0)


async def test_the_clock_shows_the_time_of_the_board_s_zone(peer: BoardPeer, tmp_path: Path) -> None:
    async with driven(peer, tmp_path, time_zone="Asia/Kathmandu") as program:
        await program.ready()
        await program.until(lambda: abs(peer.board.state()["offset"]) > 60)
        shown = datetime.fromisoformat((await peer.board.do("look"))["shown"])
    wanted = datetime.now(ZoneInfo("Asia/Kathmandu")).replace(tzinfo=None)
    assert abs((shown - wanted).total_seconds()) < 5


async def test_a_card_that_the_board_admits_by_itself_is_told(peer: BoardPeer, tmp_path: Path) -> None:
    await peer.board.do("put_card", card=FIRST_CARD + 1)
    async with driven(peer, tmp_path) as program:
        await program.ready()
        assert "cards_on_board" in keys(program)
        await peer.present(1)
        await program.read(1)
        assert "opened_by_itself" in keys(program)


async def test_a_network_without_authentication_is_a_repair() -> None:
    config = BoardConfig.model_validate({"serial": SERIAL, "host": "192.168.7.5"})
    assert [repair.message for repair in Troubles(config, None).repairs()] == [
        "uhppote.repair.no_authentication"
    ]  # type: ignore[arg-type]


def test_every_repair_has_a_sentence_in_both_languages() -> None:
    class Quiet:
        def warning(self, *_: object, **__: object) -> None: ...

    troubles = Troubles(BoardConfig.model_validate({"serial": SERIAL, "host": "192.168.7.5"}), Quiet())  # type: ignore[arg-type]
    troubles.cards_on_board(3)
    troubles.opened_by_itself(2)
    troubles.overwritten(4)
    troubles.clock(100.0)
    troubles.listener_taken(("1.2.3.4", 60001))
    troubles.unkept("OSError: No space left on device")
    found: list[Repair] = troubles.repairs()
    assert len(found) == 7
    messages = Messages()
    messages.add("menwei_uhppote")
    for repair in found:
        for language in ("zh-CN", "en"):
            shown = messages.t(language, repair.message, **repair.values)
            assert str(SERIAL) in shown
            assert "{" not in shown


async def test_the_library_s_own_client_understands_the_board(peer: BoardPeer) -> None:
    """The board of these tests is ours; at least who wrote the library reads it as we do."""
    client = UhppoteAsync(bind="127.0.0.1")
    where = (SERIAL, f"127.0.0.1:{peer.board.port}", "udp")
    await peer.board.do("contact", door=2, open=True)
    await peer.present(1)
    status = await client.get_status_record(where)
    assert (status.doors[2].open, status.event.card, status.event.reason) == (True, FIRST_CARD + 1, 6)
    assert (await client.get_event_record(where, status.event.index)).card == FIRST_CARD + 1
    with pytest.raises(EventNotFound):
        await client.get_event_record(where, status.event.index + 1)
    await peer.board.do("overwrite", count=1)
    with pytest.raises(EventOverwritten):
        await client.get_event_record(where, 1)
    assert (await client.set_door_control(where, 4, 3, 7)).delay == 7
    assert (await client.open_door(where, 4)).opened
    assert (await client.get_status_record(where)).doors[4].unlocked
    assert [release.seconds for release in await peer.releases()] == [7.0]


# ------------------------------------------------------------------------------------------------------------- the rest


async def test_a_listener_that_another_program_took_is_taken_back(
    peer: BoardPeer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("menwei_uhppote.driver.WATCH", 0.5)
    async with driven(peer, tmp_path) as program:
        await program.ready()
        await Board(SERIAL, peer.questions.address).set_listener(("127.0.0.1", 9), soon())
        await program.until(lambda: "listener_taken" in keys(program))
        await program.until(lambda: peer.board.state()["listener"][1] != 9)


async def test_a_free_port_is_told_to_the_board(peer: BoardPeer, tmp_path: Path) -> None:
    async with driven(peer, tmp_path, listen="0.0.0.0:0", told=None) as program:
        await program.ready()
        address, port = peer.board.state()["listener"]
        assert (address, port > 0) == ("127.0.0.1", True)
        await peer.present(1)
        await program.read(1)


async def test_a_port_that_is_taken_is_told(peer: BoardPeer) -> None:
    loop = asyncio.get_running_loop()
    taken = free_port()
    other, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", taken))
    config = BoardConfig.model_validate(peer.settings() | {"listen": f"127.0.0.1:{taken}"})
    with pytest.raises(NotReady, match="cannot listen"):
        await UhppoteBoard(context("uhppote"), config, RecordedReports()).run()
    other.close()


async def test_time_profiles_are_stored_on_the_board(peer: BoardPeer) -> None:
    hours = [Hours(frozenset({0, 1}), day_time(8), day_time(18)), Hours(frozenset({6}), day_time(9), None)]
    board = Board(SERIAL, peer.questions.address)
    for profile in profiles(hours, date(2026, 1, 1), date(2026, 12, 31), [10, 11]):
        await board.set_profile(profile, soon())
    assert set(peer.board.state()["profiles"]) == {"10", "11"}


async def test_the_finder_proposes_each_board_that_answers(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    board = BoardProcess(tmp_path / "a", 223000001)
    await board.start()

    class Nearby(UhppoteFinder):
        port = board.port

    found: dict[str, Discovered] = {}
    finder = Nearby(("127.0.0.1",))
    looking = asyncio.create_task(finder.find(lambda device: found.update({device.id: device})))
    try:
        async with asyncio.timeout(BOUND):
            while not found:
                await asyncio.sleep(0.02)
        device = found["uhppote-223000001"]
        assert device.properties["doors"] == "2"
        info = await UhppoteBoard.probe(BoardConfig.model_validate(dict(device.config)))
        assert (info.id, info.locks) == (device.id, ("1", "2"))
    finally:
        looking.cancel()
        await asyncio.wait({looking})
        await board.stop()


def test_without_a_choice_loopback_is_not_called() -> None:
    assert all(not address.startswith("127.") for address, _ in broadcasts(()))
    assert broadcasts(("127.0.0.1",)) == [("127.0.0.1", "127.255.255.255")]


def test_the_card_formats_are_those_of_the_core() -> None:
    assert set(CardFormat) <= set(FORMATS)
