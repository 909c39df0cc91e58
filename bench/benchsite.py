"""A site to measure: its config, its people in bulk, and its controllers in a process of their own."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog

from menwei.changes import PutCredential, PutHolder, PutIdentifier, PutProfile
from menwei.keys import Keys
from menwei.model import (
    FOREVER,
    AccessProfile,
    AccessRule,
    Actor,
    CredentialIdentifier,
    CredentialState,
    IdentifierType,
)
from menwei.rights import Rights
from menwei.store import Store

ROOT = Path(__file__).resolve().parent.parent
CONTROLLERS = 16
DOORS_EACH = 4
DOORS = CONTROLLERS * DOORS_EACH
CHUNK = 5_000
"""Credentials in one revision while filling the store."""


def environment(byte_code: Path | None = None) -> dict[str, str]:
    """For programs that the benches start. With `byte_code`, a folder that keeps modules compiled from one start to the
    next, as an installation does."""
    made = dict(os.environ)
    if byte_code is not None:
        made.pop("PYTHONDONTWRITEBYTECODE", None)
        made["PYTHONPYCACHEPREFIX"] = str(byte_code)
    return made


def card(number: int) -> str:
    """The UID of credential `number` (from 1)."""
    return f"{number * 2_654_435_761 % (1 << 32):08X}"


def door_id(number: int) -> str:
    return f"door-{number}"


def reader_of(number: int) -> tuple[str, str]:
    """Controller and reader of door `number` (from 0)."""
    return f"sim-{number // DOORS_EACH}", f"r{number % DOORS_EACH + 1}"


def controller_specs(controllers: int) -> list[str]:
    parts = range(1, DOORS_EACH + 1)
    return [
        json.dumps(
            {"id": f"sim-{number}", "locks": [str(n) for n in parts], "readers": [f"r{n}" for n in parts]}
        )
        for number in range(controllers)
    ]


def write_config(folder: Path, ports: Mapping[str, int]) -> Path:
    """A site with the core and the simulator's driver alone. The doors have no contact: nobody walks through them, and
    with one each passage would add an AccessNotTaken entry seconds later, in the middle of another measurement."""
    lines = [
        "site: {id: bench, name: bench, time_zone: Asia/Shanghai, language: en}",
        "web: {host: 127.0.0.1, port: 8460}",
        "data: ./var",
        "discovery: {interfaces: [127.0.0.1]}",
        "plugins: {simulator: }",
        "devices:",
    ]
    lines += [f"  {id}: {{driver: simulator, host: 127.0.0.1, port: {port}}}" for id, port in ports.items()]
    lines.append("doors:")
    for number in range(len(ports) * DOORS_EACH):
        controller, reader = reader_of(number)
        lines.append(
            f"  {door_id(number)}: {{name: {door_id(number)}, lock: {controller}/{reader[1:]}, release_time: 5s, "
            f"contact: false, access_points: {{{door_id(number)}-in: {{readers: [{controller}/{reader}]}}}}}}"
        )
    config = folder / "config.yaml"
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return config


async def enter_people(data: Path, credentials: int, doors: int) -> None:
    """Fill `data`/store.db as an import would: `credentials` people with one card each, all with the right to pass
    every door, through the one writer of rights."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    keys = Keys.open(data)
    actor = Actor("bench", "operator")
    async with await Store.open(data / "store.db") as store:
        rights = Rights(store, keys)
        await rights.load()
        points = frozenset(f"{door_id(number)}-in" for number in range(doors))
        everybody = AccessProfile("everybody", (AccessRule(points, "always"),))
        async with store.transaction() as tx:
            await rights.apply(tx, [PutProfile(everybody)], actor=actor)
        for first in range(1, credentials + 1, CHUNK):
            some = range(first, min(first + CHUNK, credentials + 1))
            holders = [
                PutHolder(number, b"a sealed name of some sixty bytes, as the desk writes it ....")
                for number in some
            ]
            cards = [
                PutCredential(number, number, CredentialState.ENABLED, 0.0, FOREVER, ("everybody",))
                for number in some
            ]
            identifiers = [
                PutIdentifier(number, _digest(keys, number), IdentifierType.CARD, "uid") for number in some
            ]
            async with store.transaction() as tx:
                await rights.apply(tx, [*holders, *cards, *identifiers], actor=actor)


def _digest(keys: Keys, number: int) -> bytes:
    return keys.digest(CredentialIdentifier(IdentifierType.CARD, "uid", card(number)))


@asynccontextmanager
async def controllers(count: int) -> AsyncIterator[dict[str, int]]:
    """The controllers' process while the block runs; their ports by id."""
    command = [sys.executable, str(ROOT / "bench" / "controllers.py")]
    for spec in controller_specs(count):
        command += ["--controller", spec]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=environment())
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), 60)
        if not line:
            raise RuntimeError(f"the controllers did not start: exit code {await process.wait()}")
        yield dict(json.loads(line)["ports"])
    finally:
        process.stdin.close()
        await process.wait()


def quiet() -> None:
    """The house's log to stderr and only its errors: standard output is for the report."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )


def load() -> list[float]:
    """What else the machine had to do, to be printed beside every figure."""
    return [round(value, 2) for value in os.getloadavg()]


def table(report: Mapping[str, Any], indent: str = "") -> str:
    """A report as lines for people."""
    lines = []
    for key, value in report.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{key}", table(value, indent + "  ")]
        elif isinstance(value, list):
            lines.append(f"{indent}{key:<40} {' … '.join(f'{one:,.2f}' for one in value)}")
        elif isinstance(value, str):
            lines.append(f"{indent}{key:<40} {value}")
        else:
            lines.append(f"{indent}{key:<40} {value:12,.3f}")
    return "\n".join(lines)
