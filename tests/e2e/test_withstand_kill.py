"""kill -9 at any moment: what the doors did against what the journal says."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from menwei_simulator.controller import ControllerSpec
from menwei_simulator.stage import Stage
from peers import house_forks
from peers.street import Street
from program import Program
from street_site import all_recorded, check_accounts, door, enter, running, write_config
from waiting import WITHIN

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

KILLS = 200
REAL_KILLS = 4
"""Through `menwei run` itself, which takes seconds to start."""
CARDS = [f"04{number:06X}" for number in range(0x10000, 0x10100)]
"""Enough that none is touched twice within the two seconds in which that is one touch."""


async def read_line(process: Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(60):
        line = await process.stdout.readline()
    assert line, "the program ended by itself"
    return line.decode().strip()


@asynccontextmanager
async def forks(config: Path) -> AsyncIterator[Process]:
    path = os.pathsep.join(entry for entry in sys.path if entry)
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(house_forks.__file__), str(config), stdin=PIPE, stdout=PIPE, env=os.environ | {"PYTHONPATH": path}
    )  # fmt: skip
    assert process.stdin is not None
    try:
        yield process
    finally:
        process.stdin.close()
        async with asyncio.timeout(60):
            await process.wait()


async def crowd(stage: Stage, cards: Iterator[str], chance: random.Random) -> None:
    """People touch one after the other, faster than the disk writes."""
    while True:
        await stage.present(next(cards))
        await asyncio.sleep(chance.uniform(0.0, 0.03))


async def life(stages: list[Stage], cards: Iterator[str], chance: random.Random) -> None:
    """A while with a crowd at every door, after somebody serves them; some lives end before that."""
    if chance.random() < 0.1:
        await asyncio.sleep(chance.uniform(0.0, 0.5))
        return
    for stage in stages:
        assert await stage.served(within=WITHIN)
    await crowds(stages, cards, chance, chance.uniform(0.02, 0.5))


async def crowds(stages: list[Stage], cards: Iterator[str], chance: random.Random, seconds: float) -> None:
    """A crowd at every door for so long."""
    people = [asyncio.create_task(crowd(stage, cards, chance)) for stage in stages]
    done, _ = await asyncio.wait(people, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in people:
        task.cancel()
    await asyncio.gather(*people, return_exceptions=True)
    for task in done:
        task.result()  # somebody could not touch: that is a fault of the test


@asynccontextmanager
async def killing_ground(tmp_path: Path) -> AsyncIterator[tuple[Street, Path, list[Stage]]]:
    specs = [ControllerSpec("sim-a", readers=("in",)), ControllerSpec("sim-b", readers=("in",))]
    async with Street(tmp_path, specs) as street:
        doors = {
            "gate": door("sim-a/1", {"gate-in": "sim-a/in"}),
            "unit": door("sim-b/1", {"unit-in": "sim-b/in"}),
        }
        config = write_config(tmp_path, street, doors)
        async with running(config) as house:
            await enter(house, CARDS)
        yield street, config, [street.at("sim-a"), street.at("sim-b")]


async def test_after_200_kills_the_doors_did_what_the_journal_says(tmp_path: Path) -> None:
    chance, cards = random.Random(200), itertools.cycle(CARDS)
    async with killing_ground(tmp_path) as (street, config, stages):
        async with forks(config) as runner:
            assert runner.stdin is not None
            for _ in range(KILLS):
                runner.stdin.write(b"go\n")
                pid = int(await read_line(runner))
                try:
                    await life(stages, cards, chance)
                finally:
                    os.kill(pid, signal.SIGKILL)
                assert await read_line(runner) == f"ended {signal.SIGKILL:d}"
        async with running(config) as house:
            grants = await all_recorded(house, "AccessGranted")
            assert (await house.journal.verify()).ok
        lacking = check_accounts(grants, street.pulses())
    assert len({entry.position.epoch for entry in grants}) > KILLS // 2, "too few lives saw a passage"
    assert lacking, "no kill fell between a record and its pulse: the test does not test that moment"


async def test_menwei_run_itself_is_killed_and_starts_again(tmp_path: Path) -> None:
    chance, cards = random.Random(4), itertools.cycle(CARDS)
    async with killing_ground(tmp_path) as (street, config, stages):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        config.write_text(f"web: {{port: {port}}}\n" + config.read_text())
        for _ in range(REAL_KILLS):
            async with Program(tmp_path).killed():
                for stage in stages:
                    assert await stage.served(within=120)
                await crowds(stages, cards, chance, chance.uniform(0.1, 1.0))
        async with running(config) as house:
            grants = await all_recorded(house, "AccessGranted")
        check_accounts(grants, street.pulses())
    assert len({entry.position.epoch for entry in grants}) == REAL_KILLS
