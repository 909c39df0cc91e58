"""A card is read, the grant is durable, the door is commanded: how long, and how many a second.

    python bench/line.py [--rounds 5] [--credentials 1000 100000] [--folder DIR] [--json]

The system is the real house (`menwei.serving`) with its store, journal, supervisor, HTTP server and the simulator's
driver; the controllers are a process of their own, behind loopback TCP (`controllers.py`). A passage is timed from
`Reports.card` on the host to the controller's acknowledgement of the release.

  alone      one passage at a time, in turn with the raw loop: append a row's bytes, fsync, echo a command's bytes from
             another process. Where the time goes is told in three parts: to the record (queue, resolve, decide),
             the record (until durable), the command (until acknowledged). The simulated controllers are Python too and
             slower than an echo, so the same command is also sent to one of them from a blocking socket; and the least
             that asyncio and SQLite can do, a row committed by a thread and that command, stands beside it.
  paced      the same with a pause of 50 ms before each, as at a door in a quiet hour: caches and processors are cold.
  together   64 doors, each with somebody waiting, in turn with raw SQLite group commit with 64 waiting.
             "opened" goes to the controller's acknowledgement and shows the person a light; in "recorded" the driver
             obeys at once, so that only the core's own work is left: read, decide, record durably, command, feedback.

Each round gives its own ratios; what is printed is their median over the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import benchsite
from raw import BareCommand, FsyncAndEcho, LeastAsyncio, RawGroupCommit, row

from menwei.house import Menwei
from menwei.journal import Position
from menwei.serving import serving, settle
from menwei.supervisor import DeviceState

ALONE = 200
"""Passages a round, one at a time."""
PACED = 30
PAUSE = 0.05
"""Seconds before each paced passage, and before each raw one beside it."""
SETTLE = 5
"""Turns of the event loop after which a passage has nothing left to do, the light at the reader included."""
WAITING = benchsite.DOORS
EACH = 10
"""Passages a door in one slice of a throughput round."""
SLICES = 3
READY = 60.0


@dataclass(slots=True)
class Marks:
    """When one passage got where, on `perf_counter`."""

    read: float = 0.0
    asked: float = 0.0
    durable: float = 0.0
    opened: asyncio.Future[float] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Passages:
    """Presents cards at the house's readers and notes when each passage is recorded and acknowledged. The house is
    asked in its own way; only the two calls at the ends of the line, the journal's and the device's, are watched."""

    def __init__(self, house: Menwei, credentials: int) -> None:
        self._house = house
        self._credentials = credentials
        self._uids = [benchsite.card(number) for number in range(1, credentials + 1)]
        self._doors = [(benchsite.door_id(door), *benchsite.reader_of(door)) for door in range(WAITING)]
        self._next = 0
        self._open: dict[str, Marks] = {}
        self.late = 0
        """Doors that opened without waiting any longer for the disk; their times say nothing about durability."""
        self._record, self._access = house.journal.record, house.devices.access
        house.journal.record = self._watch_record  # type: ignore[method-assign]
        house.devices.access = self._watch_access  # type: ignore[method-assign]

    async def _watch_record(self, entry: Any, patience: float = 0.5) -> Position | None:
        marks = self._open.get(entry.door)
        if marks is None:
            return await self._record(entry, patience)
        marks.asked = time.perf_counter()
        position = await self._record(entry, patience)
        marks.durable = time.perf_counter()
        if position is None:
            self.late += 1
        return position

    async def _watch_access(
        self, device: str, lock: str, seconds: float, deadline: float, passage: str
    ) -> None:
        await self._access(device, lock, seconds, deadline, passage)
        marks = self._open.pop(self._house.site.locks[device, lock])
        marks.opened.set_result(time.perf_counter())

    async def pass_once(self, door: int) -> Marks:
        """One person at one door."""
        id, device, reader = self._doors[door]
        driver = self._house.supervisor.driver(device)
        assert driver is not None
        uid = self._uids[self._next]
        self._next = (self._next + 1) % self._credentials
        self._open[id] = marks = Marks()
        marks.read = time.perf_counter()
        driver.reports.card(reader, "uid", uid)
        await marks.opened
        return marks

    def prompt(self, prompt: bool) -> None:
        """Whether the drivers obey at once and reach no controller: what is left is the core's own work."""
        for number in range(benchsite.CONTROLLERS):
            driver: Any = self._house.supervisor.driver(f"sim-{number}")
            for name in ("access", "feedback"):
                if prompt:
                    setattr(driver, name, _obey)
                elif name in vars(driver):
                    delattr(driver, name)


async def _obey(*_: Any, **__: Any) -> None:
    """A driver's command that is done at once."""


async def alone(
    passages: Passages,
    raw: FsyncAndEcho,
    controller: BareCommand,
    least: LeastAsyncio,
    count: int,
    pause: float = 0.0,
) -> dict[str, float]:
    """Milliseconds of single passages, of the raw loop and of a bare command to the same controllers, in turn."""
    times: dict[str, list[float]] = {
        key: []
        for key in (
            "passage",
            "decide",
            "record",
            "command",
            "raw",
            "fsync",
            "echo",
            "bare_command",
            "bare",
            "least",
        )
    }
    for number in range(count):
        await asyncio.sleep(pause)
        marks = await passages.pass_once(number % WAITING)
        opened = marks.opened.result()
        times["passage"].append(opened - marks.read)
        times["decide"].append(marks.asked - marks.read)
        times["record"].append(marks.durable - marks.asked)
        times["command"].append(opened - marks.durable)
        for _ in range(SETTLE):
            await asyncio.sleep(0)
        await asyncio.sleep(pause)
        synced, echoed = raw.once()
        times["raw"].append(synced + echoed)
        times["fsync"].append(synced)
        times["echo"].append(echoed)
        times["bare_command"].append(controller.once())
        times["bare"].append(synced + times["bare_command"][-1])
        await asyncio.sleep(pause)
        times["least"].append(await least.once(row(number)))
    found = {f"{key}_p50_ms": statistics.median(values) * 1e3 for key, values in times.items()}
    for key in ("passage", "raw"):
        found[f"{key}_p99_ms"] = sorted(times[key])[max(0, int(len(times[key]) * 0.99) - 1)] * 1e3
    return found


async def together(one: Callable[[int], Any], each: int) -> float:
    """Seconds for all doors at once, each `each` times one after the other."""

    async def door(number: int) -> None:
        for _ in range(each):
            await one(number)

    started = time.perf_counter()
    await asyncio.gather(*(door(number) for number in range(WAITING)))
    return time.perf_counter() - started


async def one_round(
    passages: Passages, ports: tuple[int, int], folder: Path, size: int, each: int, slices: int
) -> dict[str, float]:
    """`ports`: two controllers that the house does not serve."""
    raw = RawGroupCommit(folder / "raw.db")
    seconds = dict.fromkeys(("opened", "recorded", "raw_group"), 0.0)
    busy = dict.fromkeys(("opened", "recorded"), 0.0)
    try:
        found = await singles(passages, raw, ports, folder, size)
        for _ in range(slices):
            for key in ("opened", "recorded"):
                passages.prompt(key == "recorded")
                began = time.process_time()
                seconds[key] += await together(passages.pass_once, each)
                busy[key] += time.process_time() - began
                passages.prompt(False)
                await asyncio.sleep(0.2)
            seconds["raw_group"] += await together(lambda number: raw.record(row(number)), each)
    finally:
        raw.close()
    found["not_durable_in_time"], passages.late = passages.late, 0
    passed = slices * WAITING * each
    found |= {f"{key}_per_s": passed / taken for key, taken in seconds.items()}
    return found | {f"{key}_cpu_ms": taken / passed * 1e3 for key, taken in busy.items()}


async def singles(
    passages: Passages, raw: RawGroupCommit, ports: tuple[int, int], folder: Path, size: int
) -> dict[str, float]:
    """One passage at a time, close upon each other and with pauses."""
    bare, other = ports
    with FsyncAndEcho(folder / "raw.bin") as floor, BareCommand(bare) as controller:
        with BareCommand(other) as greeted:
            least = await LeastAsyncio.over(raw, greeted)
        try:
            await alone(passages, floor, controller, least, min(size, 20))  # everything warm
            found = await alone(passages, floor, controller, least, size)
            paced = await alone(passages, floor, controller, least, max(1, size * PACED // ALONE), PAUSE)
        finally:
            least.close()
    return found | {f"paced_{key}": paced[key] for key in ("passage_p50_ms", "raw_p50_ms", "least_p50_ms")}


async def ready(house: Menwei) -> None:
    """Until every controller is connected. Raises `TimeoutError`."""
    async with asyncio.timeout(READY):
        while any(state is not DeviceState.READY for state, _ in house.supervisor.states().values()):
            await asyncio.sleep(0.02)


async def measure(
    folder: Path, credentials: int, *, rounds: int, size: int = ALONE, each: int = EACH, slices: int = SLICES
) -> list[dict[str, float]]:
    """The rounds of one site with so many credentials."""
    site = folder / f"site-{credentials}"
    site.mkdir()
    await benchsite.enter_people(site / "var", credentials, WAITING)
    async with AsyncExitStack() as stack:
        ports = await stack.enter_async_context(benchsite.controllers(benchsite.CONTROLLERS + 2))
        spare = ports.popitem()[1], ports.popitem()[1]  # two more, for the bare commands
        running = await stack.enter_async_context(serving(benchsite.write_config(site, ports), port=0))
        await ready(running.house)
        settle()  # as `menwei run` does
        passages = Passages(running.house, credentials)
        return [await one_round(passages, spare, site, size, each, slices) for _ in range(rounds)]


def ratios(found: dict[str, float]) -> dict[str, float]:
    return {
        "passage / (fsync + echo), p50": found["passage_p50_ms"] / found["raw_p50_ms"],
        "passage / (fsync + the same command, bare), p50": found["passage_p50_ms"] / found["bare_p50_ms"],
        "least on asyncio and SQLite / (fsync + echo), p50": found["least_p50_ms"] / found["raw_p50_ms"],
        "passage / least on asyncio and SQLite, p50": found["passage_p50_ms"] / found["least_p50_ms"],
        "passage / (fsync + echo), p99": found["passage_p99_ms"] / found["raw_p99_ms"],
        "paced passage / (fsync + echo), p50": found["paced_passage_p50_ms"] / found["paced_raw_p50_ms"],
        "paced passage / least on asyncio and SQLite, p50": found["paced_passage_p50_ms"]
        / found["paced_least_p50_ms"],
        "recorded per s / raw group commit": found["recorded_per_s"] / found["raw_group_per_s"],
        "opened per s / raw group commit": found["opened_per_s"] / found["raw_group_per_s"],
    }


def summary(rounds: list[dict[str, float]]) -> dict[str, Any]:
    """Medians of the rounds' figures and of their ratios, with the least and the greatest ratio."""
    compared = [ratios(found) for found in rounds]
    late = sum(found["not_durable_in_time"] for found in rounds)
    return {
        "passages that were not durable in time": late,
        "median": {key: statistics.median(found[key] for found in rounds) for key in rounds[0]},
        "ratios": {key: statistics.median(found[key] for found in compared) for key in compared[0]},
        "range": {key: [min(f[key] for f in compared), max(f[key] for f in compared)] for key in compared[0]},
    }


def run(
    folder: Path | None,
    credentials: list[int],
    rounds: int,
    *,
    size: int = ALONE,
    each: int = EACH,
    slices: int = SLICES,
) -> dict[str, Any]:
    """Everything this bench measures, by number of credentials."""
    report: dict[str, Any] = {"load_before": benchsite.load()}
    with tempfile.TemporaryDirectory(dir=folder) as name:
        for count in credentials:
            found = asyncio.run(
                measure(Path(name), count, rounds=rounds, size=size, each=each, slices=slices)
            )
            report[f"{count} credentials"] = summary(found)
    return report | {"load_after": benchsite.load()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--credentials", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--folder", type=Path, help="on the disk to measure (default: the temporary folder)")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    benchsite.quiet()
    report = run(options.folder, options.credentials, options.rounds)
    print(json.dumps(report, indent=1) if options.json else benchsite.table(report))


if __name__ == "__main__":
    main()
