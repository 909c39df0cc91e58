"""What the process that opens doors weighs, by config: `measure`, for the benches; `python bench/weight.py CONFIG` is one start.

Each config is served as `menwei run` does, until its recognizers look (if it has any) and some seconds on. Weighed are
the pages in memory, and those of them that are nobody else's file ("own"): other processes that happen to map the same
libraries change neither.
"""

from __future__ import annotations

import asyncio
import gc
import json
import statistics
import sys
from collections.abc import Mapping
from pathlib import Path

import benchsite

from menwei.serving import serving, settle
from menwei.supervisor import DeviceState

READY = 180.0
SETTLED = 5.0
"""Seconds after everything looks: galleries have been handed on, and what that took is given back."""
FIELDS = {"resident": "Rss", "own": "Anonymous"}


def weighed() -> dict[str, float]:
    """MiB of this process (proc(5), smaps_rollup)."""
    lines = Path("/proc/self/smaps_rollup").read_text("ascii").splitlines()[1:]
    facts = dict(line.split(":") for line in lines)
    return {name: int(facts[field].split()[0]) / 1024 for name, field in FIELDS.items()}


async def one_start(config: Path) -> dict[str, float]:
    gc.disable()
    async with serving(config, port=0) as site:
        settle()
        async with asyncio.timeout(READY):
            while any(
                state is not DeviceState.READY for state, _ in site.house.recognizers.states().values()
            ):
                await asyncio.sleep(0.1)
        await asyncio.sleep(SETTLED)
        return weighed()


async def measure(configs: Mapping[str, Path], rounds: int) -> dict[str, dict[str, float]]:
    """Medians for each config; in turn, after one start each that makes tables and compiles."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in configs}
    for number in range(rounds + 1):
        for name, config in configs.items():
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                __file__,
                str(config),
                stdout=asyncio.subprocess.PIPE,
                env=benchsite.environment(),
            )
            said, _ = await process.communicate()
            if process.returncode:
                raise RuntimeError(f"{config} was not served: exit code {process.returncode}")
            if number:
                found[name].append(json.loads(said.splitlines()[-1]))
    return {
        name: {field: statistics.median(one[field] for one in runs) for field in FIELDS}
        for name, runs in found.items()
    }


if __name__ == "__main__":
    benchsite.quiet()
    print(json.dumps(asyncio.run(one_start(Path(sys.argv[1])))))
