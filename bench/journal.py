"""How much of the disk's speed the journal keeps: durable records against raw SQLite group commit, and one against one.

    python bench/journal.py [--rounds 5] [--folder DIR] [--json]

Each round measures, one after the other and in turn on the same disk:
  journal    `Journal.record` by 64 tasks, each waiting for its own record, with a sealed personal part
  raw group  the same 64 tasks on a bare writer thread: one table, rows of the same size, one transaction for all that
             waits, no chain, no sealing, no index
  bare       64 rows a transaction from a loop without any waiting: the most SQLite gives
  one / raw one / fsync   one at a time: `record`, one raw row in its own transaction, write + fsync of the same bytes
Only ratios taken within a round count; what is printed is their median over the rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import queue
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "core"))

from menwei.journal import Entry, Journal
from menwei.journal_keys import MachineKeys
from menwei.keys import Keys

WAITING = 64
EACH = 20
SLICES = 6
ALONE = 200
HOLDERS = 10_000
DOORS = 50


def entry(number: int) -> Entry:
    """A grant as the line writes it."""
    door = f"unit-{number % DOORS}"
    data = {"factors": ["Card"], "mode": "Locked", "decided_ms": 0.4}
    return Entry(
        "AccessGranted",
        time.time(),
        door,
        f"{door}-in",
        data,
        {"holder": number * 7919 % HOLDERS, "credential": number},
    )


def row(number: int) -> tuple[Any, ...]:
    """The bytes of `entry` as the journal stores them, in one row: facts, commitment, link, sealed part, blind holder."""
    given = entry(number)
    now = time.time()
    data = json.dumps(dict(given.data))
    return (
        given.kind,
        given.at,
        now,
        now,
        given.door,
        given.access_point,
        data,
        bytes(32),
        bytes(32),
        bytes(80),
        bytes(16),
    )


class RawGroupCommit:
    """The least a group commit can be: a queue, a thread, `executemany`, one wake-up a group."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[tuple[tuple[Any, ...], asyncio.Future[None]] | None] = (
            queue.SimpleQueue()
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    async def record(self, values: tuple[Any, ...]) -> None:
        future: asyncio.Future[None] = self._loop.create_future()
        self._queue.put((values, future))
        await future

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        connection = raw_connection(self._path)
        while (first := self._queue.get()) is not None:
            group = [first]
            while not self._queue.empty():
                item = self._queue.get()
                if item is None:
                    self._queue.put(None)
                    break
                group.append(item)
            write_raw(connection, [values for values, _ in group])
            self._loop.call_soon_threadsafe(_finish, [future for _, future in group])
        connection.close()


def _finish(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        future.set_result(None)


def raw_connection(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY, a, b, c, d, e, f, g, h, i, j, k)"
    )
    return connection


def write_raw(connection: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        "INSERT INTO entry (a, b, c, d, e, f, g, h, i, j, k) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
    )
    connection.execute("COMMIT")


async def together(record: Callable[[int], Awaitable[object]]) -> float:
    """Seconds for 64 tasks that each wait for their own record, `EACH` times."""

    async def task(first: int) -> None:
        for number in range(first, first + EACH):
            if await record(number) is False:
                raise RuntimeError("a record was not durable in time: this disk is too slow to compare")

    started = time.perf_counter()
    await asyncio.gather(*(task(index * EACH) for index in range(WAITING)))
    return time.perf_counter() - started


async def alone(record: Callable[[int], Awaitable[object]], number: int) -> float:
    """Seconds of one record, nothing else waiting."""
    started = time.perf_counter()
    await record(number)
    return time.perf_counter() - started


async def one_round(folder: Path) -> dict[str, float]:
    keys = MachineKeys(Keys(os.urandom(32)))
    journal = await Journal.open(folder / "journal.db", "bench", keys)
    raw = RawGroupCommit(folder / "raw.db")
    bare = raw_connection(folder / "bare.db")
    rows = [row(number) for number in range(WAITING)]

    async def durable(number: int) -> bool:
        return await journal.record(entry(number), 30.0) is not None

    async def plain(number: int) -> None:
        await raw.record(row(number))

    async def bare_groups(number: int) -> None:
        write_raw(bare, rows)

    async def bare_one(number: int) -> None:
        write_raw(bare, [row(number)])

    async def fsync(number: int) -> None:
        file.write(bytes(4096))  # a page, as SQLite writes one
        os.fsync(file.fileno())

    grouped: dict[str, float] = dict.fromkeys(("journal", "raw_group", "bare"), 0.0)
    single: dict[str, list[float]] = {"one": [], "raw_one_waited": [], "raw_one": [], "fsync": []}
    try:
        with (folder / "fsync.bin").open("ab", buffering=0) as file:
            for _ in range(SLICES):  # in slices: the speed of a shared disk changes within seconds
                grouped["journal"] += await together(durable)
                grouped["raw_group"] += await together(plain)
                for number in range(EACH):
                    grouped["bare"] += await alone(bare_groups, number)
            for number in range(ALONE):
                single["one"].append(await alone(durable, number))
                single["raw_one_waited"].append(await alone(plain, number))
                single["raw_one"].append(await alone(bare_one, number))
                single["fsync"].append(await alone(fsync, number))
    finally:
        raw.close()
        bare.close()
        await journal.close()
    found = {f"{name}_per_s": SLICES * WAITING * EACH / seconds for name, seconds in grouped.items()}
    return found | {f"{name}_ms": statistics.median(times) * 1000 for name, times in single.items()}


def ratios(measured: dict[str, float]) -> dict[str, float]:
    return {
        "journal / raw group": measured["journal_per_s"] / measured["raw_group_per_s"],
        "journal / bare": measured["journal_per_s"] / measured["bare_per_s"],
        "one / raw one, both waited for": measured["one_ms"] / measured["raw_one_waited_ms"],
        "one / raw one": measured["one_ms"] / measured["raw_one_ms"],
        "one / fsync": measured["one_ms"] / measured["fsync_ms"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--folder", type=Path, default=None, help="on the disk to measure (default: the temporary folder)"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rounds = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            rounds.append(asyncio.run(one_round(Path(folder))))
    medians = {name: statistics.median(found[name] for found in rounds) for name in rounds[0]}
    compared = [ratios(found) for found in rounds]
    shares = {name: statistics.median(found[name] for found in compared) for name in compared[0]}
    if options.json:
        print(json.dumps({"rounds": rounds, "median": medians, "ratios": shares}, indent=2))
        return
    for name, value in medians.items():
        print(f"{name:34} {value:12,.2f}")
    for name, value in shares.items():
        low, high = min(found[name] for found in compared), max(found[name] for found in compared)
        print(f"{name:34} {value:12.2f}   ({low:.2f} … {high:.2f})")


if __name__ == "__main__":
    main()
