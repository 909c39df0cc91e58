"""From nothing to doors that obey: time, processor time and memory, against the bare libraries imported.

    python bench/start.py [--rounds 5] [--credentials 1000 100000] [--json]

`menwei run` is started as a program on a filled store, with controllers already there (in this process). It is ready
once every controller has been told what its locks must be. In turn with it, an interpreter that only imports the
libraries that the service imports: what no Python program on top of them can go below.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import benchsite
from controllers import Unwritten

from menwei_simulator.controller import Controller, ControllerSpec

LIBRARIES = (
    "aiohttp.web", "aiosqlite", "argon2", "babel.messages.pofile", "cryptography.hazmat.primitives.ciphers.aead", "orjson",
    "pluggy", "pydantic", "rich.console", "sqlalchemy.ext.asyncio", "sqlite3", "structlog", "typer", "yaml", "zeroconf.asyncio",
)  # fmt: skip
"""What a running service has imported of its requirements."""
IMPORT = "import " + ", ".join(LIBRARIES) + "\nprint('ready', flush=True)\nimport sys; sys.stdin.read()"
PATIENCE = 120.0
BYTE_CODE = "byte-code"
"""Folder of compiled modules, as pip leaves them: only the first start of an installation compiles."""


@dataclass(frozen=True, slots=True)
class Started:
    """Seconds until ready, processor seconds spent until then, MiB resident then."""

    seconds: float
    cpu: float
    memory: float


class Obeyed(Unwritten):
    """Notes which locks have been told their mode."""

    def __init__(self) -> None:
        super().__init__()
        self.told: set[tuple[str, str]] = set()
        self.changed = asyncio.Event()

    async def append(self, line: Any) -> int:
        if line["kind"] == "mode":
            self.told.add((line["controller"], line["lock"]))
            self.changed.set()
        return await super().append(line)

    async def all(self, count: int) -> None:
        while len(self.told) < count:
            self.changed.clear()
            await self.changed.wait()


def _measured(pid: int, began: float) -> Started:
    seconds = time.monotonic() - began
    facts = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    user, system, pages = int(facts[11]), int(facts[12]), int(facts[21])  # proc(5): utime, stime, rss
    cpu = (user + system) / os.sysconf("SC_CLK_TCK")
    return Started(seconds, cpu, pages * os.sysconf("SC_PAGE_SIZE") / 2**20)


async def _program(
    words: list[str], byte_code: Path, ready: Callable[[asyncio.subprocess.Process], Any]
) -> Started:
    """Start a program, measure it once `ready`, end it."""
    pipe = asyncio.subprocess.PIPE
    began = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable, *words, stdin=pipe, stdout=pipe, env=benchsite.environment(byte_code)
    )
    try:
        async with asyncio.timeout(PATIENCE):
            ended = asyncio.ensure_future(process.wait())
            waiting = asyncio.ensure_future(ready(process))
            await asyncio.wait({ended, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if ended.done():
                raise RuntimeError(f"{words[:2]} ended with {ended.result()} before it was ready")
        return _measured(process.pid, began)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def bare(byte_code: Path) -> Started:
    """The libraries alone."""
    return await _program(["-c", IMPORT], byte_code, lambda process: process.stdout.readline())  # type: ignore[union-attr]


async def service(config: Path, obeyed: Obeyed) -> Started:
    """`menwei run`, until every lock was told its mode."""
    obeyed.told.clear()
    words = ["-m", "menwei", "run", "--config", str(config)]
    return await _program(
        words, config.parent.parent / BYTE_CODE, lambda _process: obeyed.all(benchsite.DOORS)
    )


async def measure(folder: Path, credentials: list[int], rounds: int) -> dict[str, Any]:
    """Medians of the rounds: the bare libraries, and the service with each number of credentials."""
    obeyed = Obeyed()
    controllers = []
    for text in benchsite.controller_specs(benchsite.CONTROLLERS):
        fields = json.loads(text)
        controllers.append(
            Controller(ControllerSpec(fields["id"], tuple(fields["locks"]), tuple(fields["readers"])), obeyed)
        )
    for controller in controllers:
        await controller.start()
    ports = {controller.spec.id: controller.port for controller in controllers}
    configs = {}
    for count in credentials:
        site = folder / f"site-{count}"
        site.mkdir()
        await benchsite.enter_people(site / "var", count, benchsite.DOORS)
        configs[count] = benchsite.write_config(site, ports)
        await service(
            configs[count], obeyed
        )  # the first start makes accounts and writes byte code: not what is measured
    await bare(folder / BYTE_CODE)
    found: dict[str, list[Started]] = {name: [] for name in ("bare", *map(str, credentials))}
    for _ in range(rounds):
        found["bare"].append(await bare(folder / BYTE_CODE))
        for count, config in configs.items():
            found[str(count)].append(await service(config, obeyed))
    for controller in controllers:
        await controller.stop()
    return _summary(found, sorted(credentials))


def _summary(found: dict[str, list[Started]], credentials: list[int]) -> dict[str, Any]:
    report: dict[str, Any] = {}
    for name, runs in found.items():
        what = "bare libraries" if name == "bare" else f"{name} credentials"
        for key in ("seconds", "cpu", "memory"):
            ratios = [
                getattr(run, key) / getattr(floor, key)
                for run, floor in zip(runs, found["bare"], strict=True)
            ]
            value = statistics.median(getattr(run, key) for run in runs)
            unit = {"seconds": "s to ready", "cpu": "CPU s", "memory": "MiB resident"}[key]
            report[f"{what}: {unit}"] = round(value, 3)
            if name != "bare":
                report[f"{what}: {unit} / bare"] = round(statistics.median(ratios), 3)
    if len(credentials) > 1:
        few, many = credentials[0], credentials[-1]
        grown = report[f"{many} credentials: MiB resident"] - report[f"{few} credentials: MiB resident"]
        report["KiB a further credential"] = round(grown * 1024 / (many - few), 3)
    return report


def run(folder: Path | None, credentials: list[int], rounds: int) -> dict[str, Any]:
    report: dict[str, Any] = {"load_before": benchsite.load()}
    with tempfile.TemporaryDirectory(dir=folder) as name:
        report |= asyncio.run(measure(Path(name), credentials, rounds))
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
