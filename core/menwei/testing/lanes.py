"""What happens to the bytes of one direction of a faulty wire (`menwei.testing.proxies`)."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

OVERTAKEN: Final = 0.2
"""Seconds after which an overtaken unit goes on although nothing came behind it: reordering loses nothing."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong in one direction. Chances are 0 to 1 a unit, times in seconds, `rate` in bytes a second."""

    delay: float = 0.0
    jitter: float = 0.0
    """Up to so much later, evenly. Datagrams overtake each other by it, streams keep their order."""
    drop: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    """Chance to be overtaken by the next unit."""
    garble: float = 0.0
    """Chance that some of its bytes are replaced."""
    rate: float = 0.0
    """A throttle; 0 is none."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens to one unit: `copies` to deliver (none, one or two), `late` seconds from now."""

    copies: tuple[bytes, ...]
    late: float
    overtaken: bool


def fate(seed: str, number: int, unit: bytes, faults: Faults) -> Fate:
    """The fate of the `number`-th unit. Pure; each chance has a draw of its own, so that changing one fault leaves the
    others where they were."""
    dice = random.Random(f"{seed}/{number}")  # noqa: S311 - a reproducible fault is no secret
    dropped, doubled, overtaken, garbled, jitter = (dice.random() for _ in range(5))
    data = garble(unit, dice) if garbled < faults.garble else unit
    copies = () if dropped < faults.drop else (data, data) if doubled < faults.duplicate else (data,)
    return Fate(copies, faults.delay + jitter * faults.jitter, overtaken < faults.reorder)


def garble(unit: bytes, dice: random.Random) -> bytes:
    """`unit` with one to eight of its bytes replaced by others; never equal to it, except when it is empty."""
    data = bytearray(unit)
    for place in dice.sample(range(len(data)), min(len(data), dice.randint(1, 8))):
        data[place] ^= dice.randint(1, 255)
    return bytes(data)


Units = Callable[[bytearray], list[bytes]]
"""Takes the complete units out of the front of a buffer and leaves the rest in it."""


def as_read(buffer: bytearray) -> list[bytes]:
    """Everything that is there is one unit."""
    unit = bytes(buffer)
    buffer.clear()
    return [unit] if unit else []


def lines(buffer: bytearray) -> list[bytes]:
    """Each line with its newline is a unit."""
    *whole, rest = bytes(buffer).split(b"\n")
    buffer[:] = rest
    return [line + b"\n" for line in whole]


class Lane:
    """One direction of a wire. Set `faults` at any time; they hold for the units that come after."""

    def __init__(self, seed: str, *, ordered: bool) -> None:
        self.faults = Faults()
        self.units = 0
        """How many came in so far."""
        self._seed = seed
        self._ordered = ordered
        self._free = 0.0
        self._queue: deque[tuple[float, Callable[[bytes], None], bytes]] = deque()
        self._cut = False
        self._kept: list[tuple[Callable[[bytes], None], bytes]] = []
        self._overtaken: tuple[Callable[[bytes], None], Fate] | None = None
        self._timers: set[asyncio.TimerHandle] = set()

    def carry(self, unit: bytes, deliver: Callable[[bytes], None]) -> None:
        """Take one unit; `deliver` is called for each copy of it that arrives."""
        if self._cut:
            self._kept += [(deliver, unit)] if self._ordered else []
            return
        self.units += 1
        what = fate(self._seed, self.units, unit, self.faults)
        if what.overtaken and self._overtaken is None:
            self._overtaken = (deliver, what)
            self._at(asyncio.get_running_loop().time() + OVERTAKEN, self._release)
            return
        self._send(what, deliver)
        self._release()

    def cut(self) -> None:
        """Nothing passes. A datagram that comes meanwhile is lost; a stream's bytes are kept, as its sender would."""
        self._cut = True

    def mend(self) -> None:
        """It passes again; a stream first gets what was kept, late as it is."""
        kept, self._kept, self._cut = self._kept, [], False
        for deliver, unit in kept:
            self.carry(unit, deliver)

    def forget(self) -> None:
        """Lose what is on the way."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._kept.clear()
        self._queue.clear()
        self._overtaken = None

    def _release(self) -> None:
        held, self._overtaken = self._overtaken, None
        if held is not None:
            self._send(held[1], held[0])

    def _send(self, what: Fate, deliver: Callable[[bytes], None]) -> None:
        now = asyncio.get_running_loop().time()
        for copy in what.copies:
            due = now + what.late
            if self.faults.rate > 0:
                self._free = max(self._free, due) + len(copy) / self.faults.rate
                due = self._free
            if self._ordered:
                last = self._queue[-1][0] if self._queue else due
                self._queue.append((max(due, last), deliver, copy))
            elif due <= now:
                deliver(copy)
            else:
                self._at(due, partial(deliver, copy))
        self._flush()

    def _flush(self) -> None:
        """Deliver what is due of a stream, in order, and come back for the rest."""
        now = asyncio.get_running_loop().time()
        while self._queue and self._queue[0][0] <= now:
            _, deliver, copy = self._queue.popleft()
            deliver(copy)
        if self._queue:
            self._at(self._queue[0][0], self._flush)

    def _at(self, due: float, work: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            work()

        timer = asyncio.get_running_loop().call_at(due, run)
        self._timers.add(timer)
