"""A blocked event loop is named by its line, whoever blocks it."""

import asyncio
import inspect
import sys
import threading
import time
from pathlib import Path

import pytest

from menwei.watchdog import Watchdog, blame
from plugin_folder import plugins  # noqa: F401

pytestmark = pytest.mark.slow

BLOCK = 1.0
"""Seconds; the watchdog below notices after 0.1, as soon as its thread has the processor."""


class Stalls:
    """What a watchdog told, from its thread."""

    def __init__(self):
        self.told = []
        self.over = threading.Event()

    def __call__(self, stall):
        self.told.append(stall)
        if stall.over and stall.seconds > BLOCK / 2:  # a busy machine makes short ones of its own
            self.over.set()


async def watched(block, packages=(), *, named):
    """What was told of the function that is named."""
    stalls = Stalls()
    watchdog = Watchdog(packages, stalls, late=0.1, beat=0.02)
    watchdog.start()
    await asyncio.sleep(0.05)
    block()
    await asyncio.to_thread(stalls.over.wait, 60)
    watchdog.stop()
    return [stall for stall in stalls.told if stall.function == named]


def sleep_here():
    time.sleep(BLOCK)


async def test_the_blocking_line_is_named():
    first, *_ = await watched(sleep_here, named="sleep_here")
    line = inspect.getsourcelines(sleep_here)[1] + 1
    assert (first.file, first.line) == (__file__, line)


async def test_a_stall_is_told_once_and_once_more_when_it_is_over():
    told = await watched(sleep_here, named="sleep_here")
    assert [stall.over for stall in told] == [False, True]
    assert told[1].seconds > told[0].seconds > 0.1


async def test_the_plugin_on_the_stack_is_named_not_the_library_it_blocks_in(plugins):  # noqa: F811
    home = plugins.package(
        "menwei_slow", "import subprocess\ndef ask():\n    subprocess.run(['sleep', '1'])\n"
    )
    import menwei_slow

    first, *_ = await watched(menwei_slow.ask, {"menwei_slow"}, named="ask")
    assert first.package == "menwei_slow"
    assert Path(first.file) == home / "__init__.py"
    assert "subprocess.run" in Path(first.file).read_text().splitlines()[first.line - 1]


async def test_a_waiting_loop_is_not_taken_for_a_blocked_one():
    stalls = Stalls()
    watchdog = Watchdog(on_stall=stalls, late=10.0, beat=0.01)
    watchdog.start()
    await asyncio.sleep(0.3)
    watchdog.stop()
    assert stalls.told == []


async def test_a_machine_without_processor_time_is_not_blamed_on_a_line():
    loop, loop_thread, looked = asyncio.get_running_loop(), threading.get_ident(), asyncio.Event()
    seen = []

    def look():
        frame = sys._current_frames()[loop_thread]
        while not seen and frame is not None:
            seen.append(blame(frame, ()))
        loop.call_soon_threadsafe(looked.set)

    timer = threading.Timer(0.1, look)
    timer.start()
    await looked.wait()
    timer.join()
    assert seen[0].idle


async def test_a_listener_that_fails_does_not_end_the_watching():
    calls = []

    def broken(stall):
        calls.append(stall)
        raise RuntimeError("listener")

    watchdog = Watchdog(on_stall=broken, late=0.1, beat=0.02)
    watchdog.start()
    for _ in range(2):
        await asyncio.sleep(0.1)
        time.sleep(BLOCK)
    await asyncio.sleep(0.1)
    watchdog.stop()
    assert sum(not stall.over for stall in calls) >= 2


async def test_stop_ends_the_thread():
    watchdog = Watchdog(on_stall=Stalls())
    watchdog.start()
    watchdog.stop()
    watchdog.stop()
    assert "watchdog" not in {thread.name for thread in threading.enumerate()}


async def test_the_plugin_that_started_the_loop_is_not_blamed_for_what_runs_in_it():
    """The test module stands below the loop on the stack as whoever started it does; the blocking line is time.sleep's."""

    def in_another_module():
        exec("time.sleep(seconds)", {"time": time, "seconds": BLOCK, "__name__": "elsewhere"})

    first, *_ = await watched(lambda: in_another_module(), packages=["_pytest"], named="<module>")
    assert first.package == ""
