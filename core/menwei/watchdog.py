"""Names the line that blocks the event loop.

One blocking call in a plugin holds every door of the site. A heartbeat runs in the loop; a thread notices when it is
late and reads `sys._current_frames()` to see what the loop's thread is doing at that moment. Nothing is patched, and a
loop that never comes back is named too, which no measurement from within the loop could do.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from types import FrameType

import structlog

log = structlog.get_logger(__name__)

LATE = 0.1
"""Seconds. A person at a door notices more than 200 ms in all; half of that may not be lost to one call."""

BEAT = 0.05
"""Seconds between heartbeats: short against `LATE`, and only twenty wake-ups a second on a small board."""


@dataclass(frozen=True, slots=True)
class Stall:
    """The loop stood still. `package` is the plugin's top package, "" when no plugin's code is on the stack.

    `file`, `line` and `function` are the innermost line of that plugin, or of anything when no plugin is involved.
    `idle` means that the loop was in `select`: no code blocks it, the machine has no processor time left.
    `seconds` is how long it has stood still so far, or in all once `over`.
    """

    file: str
    line: int
    function: str
    package: str
    seconds: float
    idle: bool = False
    over: bool = False

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line} {self.function}"


def blame(frame: FrameType | None, packages: Collection[str]) -> Stall:
    """Which line of a stack to name: the innermost one of `packages`, else the innermost one."""
    if frame is None:
        return Stall("?", 0, "?", "", 0.0)
    innermost: FrameType = frame
    walk: FrameType | None = frame
    while walk is not None and walk.f_code.co_name != "_run_once":  # below it is whoever started the loop
        package = str(walk.f_globals.get("__name__", "")).partition(".")[0]
        if package in packages:
            return Stall(walk.f_code.co_filename, walk.f_lineno, walk.f_code.co_qualname, package, 0.0)
        walk = walk.f_back
    idle = innermost.f_globals.get("__name__") == "selectors"
    return Stall(
        innermost.f_code.co_filename, innermost.f_lineno, innermost.f_code.co_qualname, "", 0.0, idle
    )


class Watchdog:
    """Watches the loop it is started in.

    `packages` are the top packages of the loaded plugins. `on_stall` is called **in the watchdog's thread** when a stall
    is noticed and again, with `over`, when the loop runs again; the default writes log lines.
    """

    def __init__(
        self,
        packages: Collection[str] = (),
        on_stall: Callable[[Stall], None] | None = None,
        late: float = LATE,
        beat: float = BEAT,
    ) -> None:
        self._packages = frozenset(packages)
        self._on_stall = on_stall or _tell
        self._late = late
        self._beat = beat
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Call within the running loop, in the thread that runs it."""
        self._stopping.clear()
        self._pulse(asyncio.get_running_loop())
        self._thread = threading.Thread(
            target=self._watch, args=(threading.get_ident(),), name="watchdog", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the thread and the heartbeat. Safe to call twice."""
        self._stopping.set()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _pulse(self, loop: asyncio.AbstractEventLoop) -> None:
        self._last = time.monotonic()
        self._timer = loop.call_later(self._beat, self._pulse, loop)

    def _watch(self, loop_thread: int) -> None:
        stalled: tuple[float, Stall] | None = None
        while not self._stopping.wait(self._beat):
            last = self._last
            if stalled is not None and last != stalled[0]:
                self._report(replace(stalled[1], seconds=last - stalled[0] - self._beat, over=True))
                stalled = None
            lag = time.monotonic() - last - self._beat
            if stalled is None and lag > self._late:
                stall = replace(blame(sys._current_frames().get(loop_thread), self._packages), seconds=lag)
                if (
                    self._last == last
                ):  # else the loop came back while its stack was read, and the line is innocent
                    stalled = (last, stall)
                    self._report(stall)

    def _report(self, stall: Stall) -> None:
        try:
            self._on_stall(stall)
        except Exception as error:
            log.error(
                "the listener to stalls failed", place=stall.place, error=f"{type(error).__name__}: {error}"
            )


def _tell(stall: Stall) -> None:
    if stall.over:
        log.warning("the event loop runs again", place=stall.place, seconds=round(stall.seconds, 3))
    elif stall.idle:
        log.warning(
            "the event loop was not given the processor: the machine is overloaded",
            seconds=round(stall.seconds, 3),
        )
    else:
        log.error(
            "the event loop is blocked",
            place=stall.place,
            plugin=stall.package,
            seconds=round(stall.seconds, 3),
        )
