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
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from raw import RawGroupCommit, entry, raw_connection, row, write_raw

from menwei.journal import Journal
from menwei.journal_keys import MachineKeys
from menwei.keys import Keys

WAITING = 64
EACH = 20
SLICES = 6
ALONE = 200


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


async def one_round(folder: Path, slices: int = SLICES) -> dict[str, float]:
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
            for _ in range(slices):  # in slices: the speed of a shared disk changes within seconds
                grouped["journal"] += await together(durable)
                grouped["raw_group"] += await together(plain)
                for number in range(EACH):
                    grouped["bare"] += await alone(bare_groups, number)
            for number in range(ALONE * slices // SLICES):
                single["one"].append(await alone(durable, number))
                single["raw_one_waited"].append(await alone(plain, number))
                single["raw_one"].append(await alone(bare_one, number))
                single["fsync"].append(await alone(fsync, number))
    finally:
        raw.close()
        bare.close()
        await journal.close()
    found = {f"{name}_per_s": slices * WAITING * EACH / seconds for name, seconds in grouped.items()}
    return found | {f"{name}_ms": statistics.median(times) * 1000 for name, times in single.items()}


def ratios(measured: dict[str, float]) -> dict[str, float]:
    return {
        "journal / raw group": measured["journal_per_s"] / measured["raw_group_per_s"],
        "journal / bare": measured["journal_per_s"] / measured["bare_per_s"],
        "one / raw one, both waited for": measured["one_ms"] / measured["raw_one_waited_ms"],
        "one / raw one": measured["one_ms"] / measured["raw_one_ms"],
        "one / fsync": measured["one_ms"] / measured["fsync_ms"],
    }


def summary(rounds: list[dict[str, float]]) -> dict[str, Any]:
    """Medians of the rounds and of their ratios, with the least and the greatest ratio."""
    compared = [ratios(found) for found in rounds]
    return {
        "median": {name: statistics.median(found[name] for found in rounds) for name in rounds[0]},
        "ratios": {name: statistics.median(found[name] for found in compared) for name in compared[0]},
        "range": {
            name: [min(f[name] for f in compared), max(f[name] for f in compared)] for name in compared[0]
        },
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
    found = summary(rounds)
    if options.json:
        print(json.dumps({"rounds": rounds} | found, indent=2))
        return
    for name, value in found["median"].items():
        print(f"{name:34} {value:12,.2f}")
    for name, value in found["ratios"].items():
        low, high = found["range"][name]
        print(f"{name:34} {value:12.2f}   ({low:.2f} … {high:.2f})")


if __name__ == "__main__":
    main()
