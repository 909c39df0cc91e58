"""A simulated unit door with an installer beside it, for the tests of wiring tests: he does what the page asks of him."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from menwei import Actor
from menwei.house import Menwei
from menwei.serving import Serving, serving
from menwei_simulator.controller import ControllerSpec
from menwei_simulator.stage import Stage, StageError
from menwei_wiring.models import DeviceFacts, NowOut, RunOut, StepOut
from menwei_wiring.script import Outcome
from menwei_wiring.service import Wiring
from peers.street import Street
from waiting import until

INSTALLER = Actor("wang", "installer")
BOARD = DeviceFacts(id="sim-unit", driver="simulator", model="Menwei Sim", version="1.0")
CARD = "04A2B3C4"
BOUND = 120.0
"""Seconds for one step; the machine may be busy."""


def write(folder: Path, street: Street, *, readers: Mapping[str, str] | None = None, **door: Any) -> Path:
    """A config with the unit door `unit`, its readers at both sides, and the plugin allowed to act on it."""
    sides = readers or {"unit-in": "sim-unit/in", "unit-out": "sim-unit/out"}
    address = street.addresses["sim-unit"]
    config = {
        "site": {"id": "yard", "name": "示范小区"},
        "plugins": {"simulator": None, "console": None, "wiring": {"allow": ["doors"]}},
        "devices": {"sim-unit": {"driver": "simulator", "host": address.host, "port": address.port}},
        "doors": {
            "unit": {
                "name": "1号楼单元门",
                "form": "unit_door",
                "fire_input": "seen",
                "lock": "sim-unit/1",
                "release_time": 2,
                "access_points": {
                    point: {"name": {"unit-in": "进门侧", "unit-out": "出门侧"}[point], "readers": [reader]}
                    for point, reader in sides.items()
                },
                **door,
            }
        },
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


@asynccontextmanager
async def unit_door(folder: Path, **door: Any) -> AsyncIterator[tuple[Serving, Stage]]:
    """The program and the simulator's process, until the door is online."""
    async with (
        Street(folder, [ControllerSpec("sim-unit", heartbeat=3.0)]) as street,
        serving(write(folder, street, **door), port=0) as site,
    ):
        await until(lambda: site.house.doors["unit"].online)
        yield site, street.at("sim-unit")


class Hands:
    """The installer at the door. `says` are his answers where they are not the good ones."""

    def __init__(self, stage: Stage, says: Mapping[str, str] | None = None) -> None:
        self.stage = stage
        self.says = says or {}

    async def do(self, prompt: str, values: Mapping[str, str]) -> None:
        """What a prompt of the test asks to be done; nothing for one that only asks."""
        stage = self.stage
        match prompt.removeprefix("wiring.do."):
            case "open" | "pull" | "open_by_exit" | "pull_fire" | "pull_locked":
                with suppress(StageError):  # it is locked: he pulls, and it holds
                    await stage.open()
            case "shut" | "shut_again":
                await stage.close()
            case "press_exit":
                await stage.press_exit()
                with suppress(StageError):
                    await stage.open()
            case "touch":
                await stage.present(CARD, reader="in" if values["point"] == "进门侧" else "out")
            case "ring":
                await stage.press_call()
            case "fire":
                await stage.fire(True)
            case "fire_off":
                await stage.fire(False)
            case "wait" | "power_on" | "commanding":
                pass
            case _ if prompt.startswith("wiring.ask."):
                pass
            case _:
                raise AssertionError(f"nobody told the installer how to do {prompt}")

    def answer(self, prompt: str, choices: tuple[str, ...]) -> str:
        return self.says.get(prompt, choices[0])


async def play(wiring: Wiring, hands: Hands, key: str, door: str = "unit") -> StepOut:
    """Begin a step and do what it asks until it has ended."""
    now = await wiring.step(door, key)
    done = ""
    async with asyncio.timeout(BOUND):
        while now.live is not None:
            live = now.live
            if live.prompt != done:
                done = live.prompt
                await hands.do(live.prompt, live.values)
                if live.choices:
                    await asyncio.sleep(
                        1.0
                    )  # he looks before he answers; what the contact saw has come by then
                    now = await wiring.now(door)
                    if now.live is not None and now.live.prompt == live.prompt:
                        now = await wiring.answer(door, hands.answer(live.prompt, live.choices))
                    continue
            now = await wiring.now(door, after=now.version, seconds=2.0)
    return step_of(now, key)


def step_of(now: NowOut, key: str) -> StepOut:
    assert now.run is not None
    return next(step for step in now.run.report.steps if step.key == key)


async def whole(house: Menwei, hands: Hands) -> RunOut:
    """A whole test, from beginning to report."""
    wiring = house.service(Wiring)
    now = await wiring.begin(INSTALLER, "unit", BOARD)
    assert now.run is not None
    for step in now.run.report.steps:
        if step.outcome is Outcome.WAITING:
            await play(wiring, hands, step.key)
    return await wiring.finish(INSTALLER, "unit")
