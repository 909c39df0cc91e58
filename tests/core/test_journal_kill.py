"""A process killed at any moment keeps every acknowledged entry, and two processes never write one journal."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from journal_support import KEYS, SITE, opened
from menwei.journal import Journal, JournalLocked, Position, verify_file

pytestmark = pytest.mark.e2e

KILLS = 20

WRITER = """
import asyncio, os, sys
from pathlib import Path
from journal_support import opened, passage

async def line(journal, name):
    number = 0
    while True:
        position = await journal.record(passage(name=name, number=number), 30)
        os.write(1, f"{position} {name} {number}\\n".encode())  # unbuffered: the acknowledgement is out before the next
        number += 1

async def main():
    async with opened(Path(sys.argv[1])) as journal:
        await asyncio.gather(*(line(journal, f"{sys.argv[2]}-{index}") for index in range(8)))

asyncio.run(main())
"""


def start(path: Path, name: str) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name], stdout=subprocess.PIPE, env=environment
    )


async def test_no_acknowledged_entry_is_lost_by_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    chance = random.Random(20)
    acknowledged: dict[Position, tuple[str, int]] = {}
    for kill in range(KILLS):
        process = start(path, str(kill))
        assert process.stdout is not None
        said = b"".join(process.stdout.readline() for _ in range(chance.randrange(1, 120)))
        process.send_signal(signal.SIGKILL)
        said += process.stdout.read()
        process.stdout.close()
        assert process.wait(30) == -signal.SIGKILL
        for line in said.decode().splitlines(keepends=True):
            if line.endswith("\n"):
                position, name, number = line.split()
                acknowledged[Position.parse(position)] = (name, int(number))
        checked = verify_file(path, KEYS)
        assert checked.ok, f"kill {kill}: {checked.why} at {checked.broken}: {checked.detail}"
    async with opened(path) as journal:
        entries = await journal.read(limit=1_000_000)
    recorded = {entry.position: (entry.data["name"], entry.data["number"]) for entry in entries}
    assert len(acknowledged) >= KILLS
    assert {position: recorded.get(position) for position in acknowledged} == acknowledged
    assert len({position.epoch for position in recorded}) == KILLS


async def test_a_journal_another_process_writes_is_refused_until_that_process_ends(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    process = start(path, "first")
    assert process.stdout is not None
    try:
        assert process.stdout.readline()
        with pytest.raises(JournalLocked, match=f"process {process.pid}"):
            await Journal.open(path, SITE, KEYS)
        assert verify_file(path, KEYS).ok, "looking is allowed while another writes"
    finally:
        process.kill()
        process.stdout.close()
        process.wait(30)
    async with opened(path) as journal:
        assert (await journal.verify()).ok
