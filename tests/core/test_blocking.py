"""A driver whose library blocks: its thread tells the loop, is stopped in peace, and is left behind when it hangs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable

import pytest

from menwei import DeviceThread, in_a_thread
from waiting import until

PATIENCE = 10.0
"""Seconds for a thread that is on its way anyhow."""


class Meter(DeviceThread[str]):
    """A device that does what its script says."""

    def __init__(self, script: Callable[[Meter], None], heard: list[str], place: str = "port 1") -> None:
        super().__init__("meter", place, time.monotonic, heard.append)
        self._script = script
        self.waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def serve(self) -> None:
        self._script(self)

    def finishing(self) -> None:
        self.waiting.cancel()


@pytest.fixture
async def let_go() -> AsyncIterator[threading.Event]:
    """Set at the end: threads that hang in it end then."""
    event = threading.Event()
    yield event
    event.set()
    await until(lambda: not any(isinstance(thread, Meter) for thread in threading.enumerate()))


async def test_events_reach_the_loop_in_order_and_the_thread_ends_by_itself():
    heard: list[str] = []

    def script(meter: Meter) -> None:
        for number in range(3):
            meter.tell(f"reading {number}")

    meter = Meter(script, heard)
    meter.start()
    await asyncio.wait_for(meter.ended, PATIENCE)
    assert heard == ["reading 0", "reading 1", "reading 2"]


async def test_whoever_waits_is_told_what_ended_the_thread():
    def script(meter: Meter) -> None:
        raise OSError("unplugged")

    meter = Meter(script, [])
    meter.start()
    with pytest.raises(OSError, match="unplugged"):
        await asyncio.wait_for(meter.ended, PATIENCE)


async def test_what_waits_for_the_device_hears_of_its_end_before_ended_is_done():
    meter = Meter(lambda _meter: None, [])
    meter.start()
    await asyncio.wait_for(meter.ended, PATIENCE)
    assert meter.waiting.cancelled()


async def test_nothing_is_told_after_stop():
    heard: list[str] = []

    def script(meter: Meter) -> None:
        meter.tell("before")
        meter.stopping.wait()
        meter.tell("after")

    meter = Meter(script, heard)
    meter.start()
    await until(lambda: heard == ["before"])
    assert await meter.stop(PATIENCE)
    await asyncio.sleep(0)
    assert heard == ["before"]


async def test_a_thread_that_hangs_is_left_behind_and_known_until_it_ends(let_go):
    hanging = Meter(lambda _meter: let_go.wait() and None, [], "port 7")
    hanging.start()
    assert not Meter.left_behind("port 7")  # it was not given up yet

    assert not await hanging.stop(0.01)
    assert Meter.left_behind("port 7")
    assert not Meter.left_behind("port 8")

    let_go.set()
    await until(lambda: not Meter.left_behind("port 7"))


async def test_a_thread_that_comes_round_is_not_silent(let_go):
    def script(meter: Meter) -> None:
        while not let_go.wait(0.001):
            meter.alive()

    meter = Meter(script, [])
    made = time.monotonic()
    meter.start()
    await until(lambda: time.monotonic() - made > meter.silent_for() + 0.02)


async def test_a_thread_that_hangs_grows_silent(let_go):
    meter = Meter(lambda _meter: let_go.wait() and None, [])
    meter.start()
    await until(lambda: meter.silent_for() > 0.05)


async def test_a_blocking_call_gives_its_value():
    assert await in_a_thread(lambda: threading.current_thread().name, PATIENCE, "the meter's list") == (
        "the meter's list"
    )


async def test_a_blocking_call_raises_what_it_raises():
    with pytest.raises(ZeroDivisionError):
        await in_a_thread(lambda: 1 / 0, PATIENCE, "a call")


async def test_a_blocking_call_that_takes_too_long_is_left_behind(let_go):
    with pytest.raises(TimeoutError, match=r"0\.01 s"):
        await in_a_thread(let_go.wait, 0.01, "a call")


async def test_a_call_that_answers_after_its_time_does_no_harm(let_go):
    with pytest.raises(TimeoutError):
        await in_a_thread(let_go.wait, 0.01, "a late call")
    let_go.set()
    await until(lambda: not any(thread.name == "a late call" for thread in threading.enumerate()))
    await asyncio.sleep(0)  # its answer is taken and dropped
