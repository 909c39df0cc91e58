"""The driver against libosdp's own readers in another process: reads, keys, lights, relays, lost and found."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

import pytest
from structlog.testing import capture_logs

from menwei import AuthFailed, DeviceInfo, DoorMode, Feedback, FeedbackKind, NotReady
from menwei.supervisor import DeviceState, Supervised, Supervisor, Times
from menwei.testing import RecordedReports, context, running
from menwei.testing.proxies import SerialProxy
from menwei_osdp.bus import BusThread
from menwei_osdp.driver import OsdpBus
from menwei_osdp.relays import NoSuchLock
from osdp_support import FRESH, KEY_1, KEY_2, LOST, OTHER, TWO, bench, settings
from peers.osdp_pd import Readers, reader, wiegand26, wiegand34

pytest.importorskip("osdp_sys", reason="libosdp is not installed: pip install 'menwei[osdp]'")
pytest.importorskip("serial", reason="pyserial is not installed: pip install 'menwei[osdp]'")
pytestmark = pytest.mark.e2e


class Announcing(RecordedReports):
    """Reports that a supervisor hears too."""

    def __init__(self, ready: Any, cards: list[tuple[str, str, str]]) -> None:
        super().__init__(cards=cards)
        self._announce = ready

    def ready(self, info: DeviceInfo) -> None:
        self._announce(info)


async def fails(*readers: dict[str, Any], **plans: dict[str, Any]) -> BaseException:
    """What ends the driver's `run` before it is ready."""
    with pytest.raises((NotReady, AuthFailed)) as ended:
        async with bench(*readers, **plans):
            raise AssertionError("it is ready")
    return ended.value


# -------------------------------------------------------------------------------------------------------------- reads


async def test_cards_of_several_readers_on_one_wire_are_reported_with_their_moment() -> None:
    async with bench(reader(1, KEY_1), reader(2, KEY_2), **TWO) as b:
        assert b.heard.infos[0].readers == ("in", "out")
        await b.fresh()
        before = time.monotonic()
        await b.readers.card(1, 26, wiegand26(123, 45678))
        await b.heard.until(lambda: len(b.heard.cards) == 1)
        await b.readers.card(2, 34, wiegand34(0x12345678))
        await b.heard.until(lambda: len(b.heard.cards) == 2)
        assert b.heard.cards == [("in", "wiegand26", "123,45678"), ("out", "wiegand34", "4660,22136")]
        assert all(at is not None and before <= at <= time.monotonic() for at in b.heard.received)


async def test_a_card_of_an_unknown_length_is_told_to_the_installer_without_its_number() -> None:
    async with bench() as b:
        await b.fresh()
        with capture_logs() as logs:
            await b.readers.card(1, 37, 123456789)
            await b.until(lambda: logs)
        assert "37 bits" in str(logs)
        assert "123456789" not in str(logs) and f"{123456789:x}" not in str(logs)
        assert b.heard.cards == []


async def test_a_number_is_collected_until_the_hash_key_or_a_pause() -> None:
    async with bench() as b:
        await b.fresh()
        await b.typed(b"123\r", "123")
        await b.typed(b"45", "45")
        assert b.heard.numbers[-1] == ("in", "45")
        assert not [number for _, number in b.heard.numbers if len(number) > 3], "the first one had ended"


async def test_an_opened_case_is_reported_and_its_closing_too() -> None:
    async with bench() as b:
        await b.readers.tamper(1, True)
        await b.heard.until(lambda: b.heard.tampers)
        await b.readers.tamper(1, False)
        await b.heard.until(lambda: len(b.heard.tampers) == 2)
        assert b.heard.tampers == [("in", True), ("in", False)]


async def test_what_was_read_before_the_connection_opens_nothing() -> None:
    async with SerialProxy() as wire, Readers(wire.device_path, [reader(1, KEY_1)]) as peers:
        for number in range(5):
            await peers.card(1, 26, wiegand26(9, number))
        await peers.keys(1, b"1234\r")
        heard = RecordedReports()
        driver = OsdpBus(context("osdp"), settings(wire.host_path), heard)
        async with running(driver):
            await heard.until(lambda: heard.infos)
            while (
                not heard.cards
            ):  # a busy machine leaves the wire silent for so long that what comes then counts as old
                await asyncio.sleep(FRESH + 0.5)
                await peers.card(1, 26, wiegand26(1, 2))
                with suppress(TimeoutError):
                    await heard.until(lambda: heard.cards, 2.0)
            assert set(heard.cards) <= {("in", "wiegand26", "1,00002"), ("in", "wiegand26", "1,2")}
            assert heard.numbers == []


async def test_what_was_read_while_the_wire_was_cut_opens_nothing() -> None:
    async with bench() as b:
        await b.fresh()
        await b.readers.silent(1, True)
        await b.readers.card(1, 26, wiegand26(9, 9))
        await asyncio.sleep(3.0)
        with capture_logs() as logs:
            await b.readers.silent(1, False)
            await b.until(lambda: any("before" in str(line.get("why")) for line in logs))
        assert b.heard.cards == []


# ------------------------------------------------------------------------------------------------------------ showing


async def test_each_outcome_is_shown_by_light_and_sound() -> None:
    async with bench() as b:
        for number, kind in enumerate(FeedbackKind, 1):
            await b.driver.feedback("in", Feedback(kind, "Welcome", 2.0))
            await b.readers.told(1, "text", count=number)
        lights = await b.readers.told(1, "led", count=4)
        assert [light["on_color"] for light in lights] == [2, 1, 3, 1]
        assert all(light["temporary"] and light["timer_count"] == 20 for light in lights)
        assert len(await b.readers.told(1, "buzzer", count=4)) == 4
        assert [text["data"] for text in await b.readers.told(1, "text", count=4)] == ["Welcome"] * 4
        assert b.heard.faults == []


async def test_a_reader_without_lights_keeps_its_session() -> None:
    async with bench(reader(1, KEY_1, led=False, buzzer=False, text=False, outputs=0)) as b:
        await b.driver.feedback("in", Feedback(FeedbackKind.GRANTED))
        await b.fresh()
        await b.readers.card(1, 26, wiegand26(1, 2))
        await b.heard.until(lambda: b.heard.cards)
        assert b.heard.faults == []
        assert b.repairs() == ["osdp.repair.outputs"]


# ------------------------------------------------------------------------------------------------------------- relays


async def test_a_release_is_timed_by_the_reader_itself() -> None:
    async with bench() as b:
        await b.driver.access("in-out0", 3.0, time.monotonic() + LOST)
        first, release = await b.readers.told(1, "output", count=2)
        assert first["control_code"] == 1, "what an earlier panel left on is switched off"
        assert (release["control_code"], release["timer_count"]) == (5, 30)


async def test_an_open_door_is_held_by_renewal_and_never_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("menwei_osdp.relays.RENEW", 0.2)
    async with bench() as b:
        await b.driver.set_mode("in-out0", DoorMode.UNLOCKED, time.monotonic() + LOST)
        told = await b.readers.told(1, "output", count=4)
        assert all(one["control_code"] in (1, 5) for one in told)
        assert all(one["timer_count"] == 255 for one in told[1:])
        await b.driver.set_mode("in-out0", DoorMode.LOCKED, time.monotonic() + LOST)
        count = len(await b.readers.told(1, "output"))
        await asyncio.sleep(0.7)
        after = await b.readers.told(1, "output")
        assert len(after) == count and after[-1]["control_code"] == 1


async def test_a_release_that_the_reader_did_not_hear_in_time_never_comes_later() -> None:
    async with bench() as b:
        await b.readers.told(1, "output")
        await b.readers.silent(1, True)
        with pytest.raises(TimeoutError):
            await b.driver.access("in-out0", 3.0, time.monotonic() + 0.6)
        await b.readers.silent(1, False)
        await b.until(lambda: b.heard.faults or b.driver.repairs() == [], LOST)
        await asyncio.sleep(4.0)
        assert [one["control_code"] for one in await b.readers.told(1, "output")] == [1]


async def test_a_release_after_its_deadline_and_at_no_lock_is_refused() -> None:
    async with bench() as b:
        with pytest.raises(TimeoutError):
            await b.driver.access("in-out0", 3.0, time.monotonic() - 0.01)
        with pytest.raises(NoSuchLock):
            await b.driver.access("in-out7", 3.0, time.monotonic() + 1)
        assert [one["control_code"] for one in await b.readers.told(1, "output")] == [1]


# ----------------------------------------------------------------------------------------------------- lost and found


async def test_one_lost_reader_is_a_fault_and_the_other_goes_on() -> None:
    async with bench(reader(1, KEY_1), reader(2, KEY_2), **TWO) as b:
        await b.fresh()
        await b.readers.silent(2, True)
        await b.until(lambda: b.heard.faults, LOST)
        assert b.heard.faults == [("out", True)]
        assert b.repairs() == ["osdp.repair.reader-lost"]
        await b.readers.card(1, 26, wiegand26(1, 2))
        await b.heard.until(lambda: b.heard.cards)
        await b.readers.silent(2, False)
        await b.until(lambda: len(b.heard.faults) == 2, LOST)
        assert b.heard.faults[-1] == ("out", False)
        assert b.repairs() == []


async def test_a_reader_that_restarts_itself_is_back_at_once_and_no_alarm() -> None:
    async with bench() as b:
        await b.readers.restart(1)
        await b.serves_again(2)
        assert b.heard.faults == []


async def test_a_reader_with_another_key_is_told_and_back_when_it_has_the_right_one() -> None:
    async with bench() as b:
        await b.readers.restart(1, key=OTHER)
        await b.until(lambda: b.heard.faults)
        await b.until(lambda: b.repairs() == ["osdp.repair.reader-key"])
        await b.readers.restart(1, key=KEY_1)
        await b.until(lambda: len(b.heard.faults) == 2, LOST)
        assert b.heard.faults == [("in", True), ("in", False)]
        assert b.repairs() == []


async def test_a_wrong_key_at_the_start_is_told_to_the_installer() -> None:
    ended = await fails(reader(1, OTHER))
    assert isinstance(ended, AuthFailed)
    assert "another key" in str(ended) and "address 1" in str(ended)


async def test_a_wire_on_which_nobody_answers_is_not_ready() -> None:
    ended = await fails(reader(5, KEY_1))
    assert isinstance(ended, NotReady)
    assert "has not answered" in str(ended) or "does not answer" in str(ended)


async def test_when_all_readers_are_lost_the_wire_is_and_it_comes_back_by_itself() -> None:
    async with SerialProxy() as wire, Readers(wire.device_path, [reader(1, KEY_1)]) as peers:
        heard = RecordedReports()

        def make(ready: Any) -> OsdpBus:
            return OsdpBus(context("osdp"), settings(wire.host_path), Announcing(ready, heard.cards))

        supervisor = Supervisor(
            {"wire": Supervised(make)}, Times(first_retry=0.1, longest_retry=0.3, wake=0.05)
        )

        async def turned(state: DeviceState) -> None:
            end = time.monotonic() + LOST
            while supervisor.state("wire") is not state:
                assert time.monotonic() < end, supervisor.text("wire")
                await asyncio.sleep(0.02)

        await supervisor.start()
        try:
            await turned(DeviceState.READY)
            wire.cut()
            await turned(DeviceState.RETRYING)
            wire.mend()
            await turned(DeviceState.READY)
            await asyncio.sleep(FRESH)
            await peers.card(1, 26, wiegand26(1, 2))
            end = time.monotonic() + LOST
            while not heard.cards:
                assert time.monotonic() < end
                await asyncio.sleep(0.02)
        finally:
            await supervisor.stop()


async def test_a_pulled_adapter_ends_the_wire_at_once() -> None:
    async with SerialProxy() as wire, Readers(wire.device_path, [reader(1, KEY_1)]):
        heard = RecordedReports()
        driver = OsdpBus(context("osdp"), settings(wire.host_path), heard)
        task = asyncio.create_task(driver.run())
        await heard.until(lambda: heard.infos)
        wire.unplug()
        with pytest.raises(NotReady, match="is lost"):
            await asyncio.wait_for(task, LOST)
        assert [repair.message for repair in driver.repairs()] == ["osdp.repair.port-lost"]


async def test_a_port_that_is_not_there_or_in_use_says_so() -> None:
    missing = OsdpBus(context("osdp"), settings("/dev/does-not-exist"), RecordedReports())
    with pytest.raises(NotReady, match="no serial port"):
        await missing.run()
    async with bench() as b:
        second = OsdpBus(context("osdp"), settings(b.wire.host_path), RecordedReports())
        with pytest.raises(NotReady, match="in use"):
            await second.run()
        assert [repair.message for repair in second.repairs()] == ["osdp.repair.busy"]


async def test_a_port_that_hangs_does_not_hang_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    let_go = threading.Event()
    monkeypatch.setattr("menwei_osdp.bus.Port.__init__", lambda *_: let_go.wait(60))
    monkeypatch.setattr("menwei_osdp.wire.STARTING", 0.4)
    monkeypatch.setattr("menwei_osdp.wire.ENDING", 0.2)
    driver = OsdpBus(context("osdp"), settings("/dev/hangs"), RecordedReports())
    try:
        with pytest.raises(NotReady, match="hangs"):
            await asyncio.wait_for(driver.run(), 30)
        assert BusThread.left_behind("/dev/hangs")
        with pytest.raises(NotReady, match="earlier thread"):
            await asyncio.wait_for(driver.run(), 30)
    finally:
        monkeypatch.setattr("menwei_osdp.bus.Port.__exit__", lambda *_: None)
        let_go.set()


async def test_a_connection_test_wants_every_reader() -> None:
    async with (
        SerialProxy() as wire,
        Readers(wire.device_path, [reader(1, KEY_1), reader(2, KEY_2)]) as peers,
    ):
        info = await OsdpBus.probe(settings(wire.host_path, **TWO))
        assert info.readers == ("in", "out") and info.id.startswith("osdp:")
        await peers.restart(2, key=OTHER)
        with pytest.raises(AuthFailed, match="reader out"):
            await OsdpBus.probe(settings(wire.host_path, **TWO))
