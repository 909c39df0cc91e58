"""Real pcscd, virtual cards: what a PC/SC reader reports, and how it comes back.

One pcscd serves all tests; those that end it start it again. The supervisor is the program's own.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from menwei.context import Context, NotReady
from menwei.model import DeviceInfo, DoorState
from menwei.reports import Discovered
from menwei.supervisor import DeviceState, Ready, Supervised, Supervisor, Times
from menwei_pcsc import driver as driver_module
from menwei_pcsc.driver import PcscReader, ReaderConfig
from menwei_pcsc.finder import PcscFinder
from menwei_pcsc.reader_thread import ReaderThread
from peers.vpcd import (
    CardTable,
    VirtualCard,
    card_folder,
    card_table,
    missing,
    pullable_reader,
    resident_card,
    uid_card,
)

pytest.importorskip("smartcard.scard", reason="pyscard is not installed: pip install 'menwei[pcsc]'")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(missing()), reason=f"apt-get install {' '.join(missing())}"),
]

READER = "Virtual PCD ?? 00"
OTHER_READER = "Virtual PCD ?? 01"
UID, ANOTHER, MARK = "04A1B2C3", "04D4E5F6", "04777777"
SERIAL = "1122334455667788"
GET_UID, GET_RESIDENT = "FFCA000000", "0036000008"

IMPATIENT = Times(first_retry=0.1, longest_retry=0.3, wake=0.05)
BOUND = 60.0
"""Seconds until a test gives up; on an idle machine everything here comes in less than two."""


class SystemClock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class Reported:
    """Everything the driver reports."""

    announce: Ready
    cards: list[tuple[str, str, str]] = field(default_factory=list)
    received: list[float] = field(default_factory=list)
    delivered: list[float] = field(default_factory=list)

    def ready(self, info: DeviceInfo) -> None:
        self.announce(info)

    def card(self, reader: str, format: str, value: str, *, received: float | None = None) -> None:
        assert threading.current_thread() is threading.main_thread(), "reports are made in the event loop"
        assert received is not None
        self.cards.append((reader, format, value))
        self.received.append(received)
        self.delivered.append(time.monotonic())

    def digits(self, reader: str, digits: str, *, received: float | None = None) -> None:
        raise AssertionError("a card reader has no keypad")

    def door_state(self, lock: str, state: DoorState) -> None:
        raise AssertionError("a card reader has no door")

    def exit_button(self, lock: str) -> None:
        raise AssertionError("a card reader has no door")

    def call_button(self, lock: str) -> None:
        raise AssertionError("a card reader has no door")

    def tamper(self, part: str, active: bool) -> None:
        raise AssertionError("a card reader has no tamper contact")

    def fire(self, lock: str, active: bool) -> None:
        raise AssertionError("a card reader has no fire input")


class Device:
    """A supervised reader, as the program runs it. What successive drivers report comes together here."""

    def __init__(self, **config: Any) -> None:
        self.reported = Reported(lambda info: None)
        self.driver: PcscReader | None = None
        self._config = ReaderConfig.model_validate({"reader": READER, "debounce": 0.8, **config})
        self._supervisor = Supervisor({"reader": Supervised(self._make)}, IMPATIENT)
        self.stop = self._supervisor.stop
        self.start = self._supervisor.start

    def _make(self, ready: Ready) -> PcscReader:
        self.reported.announce = ready
        self.driver = PcscReader(
            Context("pcsc", structlog.get_logger(), SystemClock()), self._config, self.reported
        )
        return self.driver

    @property
    def cards(self) -> list[tuple[str, str, str]]:
        return self.reported.cards

    @property
    def values(self) -> list[str]:
        return [value for _, _, value in self.cards]

    @property
    def state(self) -> DeviceState:
        return self._supervisor.state("reader")

    @property
    def text(self) -> str:
        return self._supervisor.text("reader")

    @property
    def info(self) -> DeviceInfo | None:
        return self._supervisor.info("reader")

    async def becomes(self, state: DeviceState, text: str = "") -> None:
        await until(lambda: self.state is state and text in self.text, lambda: f"{self.state}: {self.text}")

    async def reports(self, *values: str) -> None:
        """Exactly these, in this order."""
        await until(lambda: len(self.values) >= len(values), lambda: f"{self.values}")
        assert self.values == list(values)


async def until(condition: Callable[[], bool], shown: Callable[[], str] = lambda: "") -> None:
    end = time.monotonic() + BOUND
    while not condition():
        assert time.monotonic() < end, f"not within {BOUND:g} s {shown()}"
        await asyncio.sleep(0.02)


async def asked(table: CardTable, command: str) -> None:
    """The card on the table was asked `command`."""
    found: list[str] = []

    def look() -> bool:
        found.extend(table.asked())
        return command in found

    await until(look, lambda: f"asked: {found}")


@pytest.fixture(scope="module")
def pcscd() -> Iterator[CardTable]:
    folder = card_folder()
    before = os.environ.get("PCSCLITE_CSOCK_NAME")
    try:
        with card_table(folder) as table:
            pullable_reader(folder)
            os.environ["PCSCLITE_CSOCK_NAME"] = str(table.socket)
            table.start()
            yield table
    finally:
        os.environ.pop("PCSCLITE_CSOCK_NAME", None)
        if before is not None:
            os.environ["PCSCLITE_CSOCK_NAME"] = before
        shutil.rmtree(folder)


@pytest.fixture
async def table(pcscd: CardTable) -> AsyncIterator[CardTable]:
    """With pcscd running and no card on it."""
    pcscd.asked()
    pcscd.powered()
    yield pcscd
    for slot in (0, 1):
        pcscd.remove(slot)
    await until(lambda: not ReaderThread.left_behind(READER))


@pytest.fixture
async def device(table: CardTable) -> AsyncIterator[Device]:
    device = Device()
    await device.start()
    await device.becomes(DeviceState.READY)
    yield device
    await device.stop()


async def test_a_contactless_card_is_reported_by_its_uid(table: CardTable, device: Device) -> None:
    table.insert(uid_card(UID))
    await device.reports(UID)
    assert device.cards == [("in", "uid", UID)]


async def test_a_resident_card_is_reported_by_its_chip_serial(table: CardTable, device: Device) -> None:
    table.insert(resident_card(SERIAL))
    await device.reports(SERIAL)
    assert device.cards == [("in", "idcard", SERIAL)]


async def test_a_ready_reader_says_what_it_is(device: Device) -> None:
    assert device.info is not None
    assert (device.info.id, device.info.model) == ("pcsc-virtual-pcd", "Virtual PCD")
    assert (device.info.readers, device.info.locks) == (("in",), ())


async def test_a_card_held_on_the_reader_is_one_read(table: CardTable, device: Device) -> None:
    table.insert(uid_card(UID))
    await device.reports(UID)
    left = time.monotonic() + 2.0
    await until(lambda: time.monotonic() > left)  # more than twice the debounce
    table.insert(uid_card(MARK))
    await device.reports(UID, MARK)


async def test_a_resident_card_that_repeats_while_it_lies_there_is_one_read(
    table: CardTable, device: Device
) -> None:
    for _ in range(4):
        table.insert(resident_card(SERIAL))
        await asked(table, GET_RESIDENT)
        table.remove()
    table.insert(uid_card(MARK))
    await device.reports(SERIAL, MARK)
    await device.stop()


async def test_a_card_that_was_away_longer_than_the_debounce_is_read_again(
    table: CardTable, device: Device
) -> None:
    table.insert(uid_card(UID))
    await device.reports(UID)
    table.remove()
    away = time.monotonic() + 2.0
    await until(lambda: time.monotonic() > away)
    table.insert(uid_card(UID))
    await device.reports(UID, UID)


async def test_two_cards_after_each_other_are_two_reads(table: CardTable, device: Device) -> None:
    table.insert(uid_card(UID))
    await device.reports(UID)
    table.insert(uid_card(ANOTHER))
    await device.reports(UID, ANOTHER)


@pytest.mark.parametrize("atr", [VirtualCard().atr, resident_card(SERIAL).atr], ids=["type A", "type B"])
async def test_a_card_that_answers_garbage_is_not_reported_and_the_next_one_is(
    table: CardTable, device: Device, atr: str
) -> None:
    for other in ("6A81", "90", "9000", "0000000000009000", "FF" * 250 + "9000", "3B" * 64):
        with capture_logs() as logs:
            table.insert(VirtualCard(atr=atr, other=other))
            await until(lambda logs=logs: any(line["event"] == "a card could not be read" for line in logs))
        assert "3b3b" not in str(logs).lower(), "what a card says does not go into the log"
    table.insert(uid_card(UID))
    await device.reports(UID)


async def test_sql_in_a_uid_is_ten_bytes_of_data(table: CardTable, device: Device) -> None:
    table.insert(uid_card(b"' or 1=1--".hex()))
    await device.reports(b"' or 1=1--".hex().upper())


async def test_a_card_that_dies_in_the_middle_is_not_reported_and_the_next_one_is(
    table: CardTable, device: Device
) -> None:
    with capture_logs() as logs:
        table.insert(VirtualCard(dies=True))
        await until(lambda: any(line["event"] == "a card could not be read" for line in logs))
    table.insert(uid_card(UID))
    await device.reports(UID)
    assert device.state is DeviceState.READY


async def test_a_slow_card_was_received_when_it_was_found_not_when_it_answered(
    table: CardTable, device: Device
) -> None:
    table.insert(VirtualCard(answers={GET_UID: UID + "9000"}, seconds=1.5))
    await device.reports(UID)
    assert device.reported.delivered[0] - device.reported.received[0] >= 1.4


async def test_a_reader_that_is_ended_while_a_card_keeps_it_waiting_reports_nothing_later(
    table: CardTable,
) -> None:
    device = Device()
    await device.start()
    await device.becomes(DeviceState.READY)
    table.insert(VirtualCard(answers={GET_UID: UID + "9000"}, seconds=4.0))
    await asked(table, GET_UID)
    with capture_logs() as logs:
        await device.stop()
    assert any("left behind" in line["event"] for line in logs)
    await until(lambda: not ReaderThread.left_behind(READER))
    assert device.cards == []


async def test_a_card_on_the_other_reader_is_not_ours(table: CardTable, device: Device) -> None:
    other = Device(reader=OTHER_READER, **{"as": "out"})
    await other.start()
    await other.becomes(DeviceState.READY)
    table.insert(uid_card(ANOTHER), slot=1)
    await other.reports(ANOTHER)
    table.insert(uid_card(UID), slot=0)
    await device.reports(UID)
    assert other.cards == [("out", "uid", ANOTHER)]
    await other.stop()


async def test_a_restarted_pcscd_is_found_again(table: CardTable, device: Device) -> None:
    table.kill(signal.SIGKILL)
    await device.becomes(DeviceState.RETRYING, "pcscd")
    table.start()
    await device.becomes(DeviceState.READY)
    table.insert(uid_card(UID))
    await device.reports(UID)


async def test_a_card_forgotten_on_the_reader_opens_nothing_when_pcscd_restarts(
    table: CardTable, device: Device
) -> None:
    table.insert(uid_card(UID))
    await device.reports(UID)
    table.kill()
    await device.becomes(DeviceState.RETRYING)
    table.asked()
    table.start()
    await asked(table, GET_UID)  # it was found and known
    await device.becomes(DeviceState.READY)
    table.insert(uid_card(MARK))
    await device.reports(UID, MARK)


async def test_pcscd_absent_at_the_start_is_told_and_its_start_is_enough(table: CardTable) -> None:
    table.kill(signal.SIGTERM)
    device = Device()
    await device.start()
    await device.becomes(DeviceState.RETRYING, "pcscd is not running")
    assert "apt-get install pcscd" in device.text
    assert device.driver is not None
    assert [repair.message for repair in device.driver.repairs()] == ["pcsc.repair.no-service"]
    table.start()
    await device.becomes(DeviceState.READY)
    table.insert(uid_card(UID))
    await device.reports(UID)
    await device.stop()


async def test_a_reader_that_is_pulled_is_not_ready_and_works_again_when_it_is_back(
    table: CardTable, device: Device
) -> None:
    if not (table.folder / "pullable.so").exists():
        pytest.skip(f"no reader that can be pulled: apt-get install {pullable_reader(table.folder)}")
    table.unplug()
    await device.becomes(DeviceState.RETRYING, "unplugged")
    table.plug()
    await device.becomes(DeviceState.READY)
    table.insert(uid_card(UID))
    await device.reports(UID)


async def test_a_reader_that_is_not_there_at_the_start_is_told_and_plugging_it_in_is_enough(
    table: CardTable,
) -> None:
    table.kill()
    table.start(readers=False)
    device = Device()
    await device.start()
    await device.becomes(DeviceState.RETRYING, "no reader 'Virtual PCD ?? 00'")
    assert device.driver is not None
    assert [repair.message for repair in device.driver.repairs()] == ["pcsc.repair.no-reader"]
    table.kill()
    table.start()
    await device.becomes(DeviceState.READY)
    table.insert(uid_card(UID))
    await device.reports(UID)
    await device.stop()


async def test_a_pcscd_that_hangs_is_given_up_and_found_again(
    table: CardTable, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver_module, "SILENCE", 1.5)
    monkeypatch.setattr(driver_module, "ENDING", 0.2)
    table.signal(signal.SIGSTOP)
    try:
        await device.becomes(DeviceState.RETRYING, "does not answer")
    finally:
        table.signal(signal.SIGCONT)
    await device.becomes(DeviceState.READY)
    table.insert(uid_card(UID))
    await device.reports(UID)


async def test_two_readers_that_match_are_not_guessed_at(table: CardTable) -> None:
    device = Device(reader="Virtual PCD*")
    await device.start()
    await device.becomes(DeviceState.RETRYING, "2 readers match")
    assert "Virtual PCD 00 00" in device.text
    assert "Virtual PCD 00 01" in device.text
    assert device.driver is not None
    assert [repair.message for repair in device.driver.repairs()] == ["pcsc.repair.many-readers"]
    await device.stop()


async def test_the_connection_test_names_the_reader_and_touches_no_card(table: CardTable) -> None:
    table.insert(uid_card(UID))
    info = await PcscReader.probe(ReaderConfig(reader=READER))
    assert info.details == {"reader": "Virtual PCD 00 00"}
    assert table.asked() == []


async def test_the_connection_test_of_a_reader_that_is_not_there_names_those_that_are(
    table: CardTable,
) -> None:
    with pytest.raises(NotReady, match="Virtual PCD 00 00"):
        await PcscReader.probe(ReaderConfig(reader="ACS*"))


async def test_the_finder_proposes_each_reader_and_powers_no_card(table: CardTable) -> None:
    quiet = VirtualCard()
    table.insert(quiet)
    found: dict[str, Discovered] = {}
    task = asyncio.create_task(PcscFinder().find(lambda device: found.__setitem__(device.id, device)))
    await until(lambda: len(found) == 2)
    task.cancel()
    await asyncio.wait({task})
    assert {device.address for device in found.values()} == {"Virtual PCD 00 00", "Virtual PCD 00 01"}
    assert table.asked() == []


async def test_what_the_finder_proposes_passes_the_connection_test(table: CardTable) -> None:
    found: list[Discovered] = []
    task = asyncio.create_task(PcscFinder().find(found.append))
    await until(lambda: len(found) == 2)
    task.cancel()
    await asyncio.wait({task})
    for device in found:
        info = await PcscReader.probe(ReaderConfig.model_validate(device.config))
        assert (info.id, info.details["reader"]) == (device.id, device.address)


async def test_the_finder_without_pcscd_says_so(table: CardTable) -> None:
    table.kill()
    try:
        with pytest.raises(NotReady, match="pcscd is not running"):
            await PcscFinder().find(lambda device: None)
    finally:
        table.start()
