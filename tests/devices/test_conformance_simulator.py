"""The simulator's driver against the conformance suite; its controllers run in a process of their own."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from menwei.model import DoorState
from menwei.testing.conformance import DriverConformance
from menwei.testing.peer import Ability, Input, Peer, Release
from menwei.testing.proxies import Faults, TcpProxy, lines
from menwei_simulator.controller import ControllerSpec
from menwei_simulator.driver import SimulatorConfig, SimulatorDriver
from menwei_simulator.protocol import LockMode
from menwei_simulator.stage import Stage
from peers.street import Street

pytestmark = pytest.mark.e2e


class StreetPeer(Peer):
    """One simulated controller, behind a wire that can be made bad."""

    lacks: ClassVar[Mapping[Ability, str]] = {
        Ability.DUPLICATES: "it speaks TCP, which delivers every byte once",
        Ability.REORDERING: "it speaks TCP, which keeps the order",
        Ability.CLOCK: "its clock counts the milliseconds since its start and cannot be set wrong",
    }

    def __init__(self, folder: Path) -> None:
        self._street = Street(folder, [ControllerSpec("sim-gate", secret="right", heartbeat=0.2)])
        self._wire: TcpProxy | None = None

    @property
    def wire(self) -> TcpProxy:
        assert self._wire is not None
        return self._wire

    @property
    def stage(self) -> Stage:
        return self._street.at("sim-gate")

    @property
    def config(self) -> SimulatorConfig:
        return self._config("right")

    def wrong_secret(self) -> SimulatorConfig:
        return self._config("wrong")

    def _config(self, secret: str) -> SimulatorConfig:
        host, port = self.wire.address
        return SimulatorConfig.model_validate({"host": host, "port": port, "secret": secret, "silence": 1.5})

    async def start(self) -> None:
        await self._street.start()
        if self._wire is None:
            address = self._street.addresses["sim-gate"]
            self._wire = TcpProxy((address.host, address.port), units=lines)
            await self._wire.open()

    async def stop(self) -> None:
        await self._street.kill()

    async def close(self) -> None:
        await self.wire.close()

    def card(self, number: int) -> tuple[str, str]:
        return "uid", f"04A2{number:04X}"

    async def present(self, number: int) -> None:
        await self.stage.present(self.card(number)[1], self.reader)

    async def present_with(self, number: int, attributes: Mapping[str, Any]) -> None:
        """With a clock of the far future, so that the line is not taken for one that was long on the way."""
        event = {"type": "card", "reader": self.reader, "format": "uid", "value": self.card(number)[1]}
        await self.stage.garbage(line=json.dumps({**attributes, **event, "clock": 1 << 40, "age_ms": 0}))

    async def releases(self) -> list[Release]:
        now = time.time() - time.monotonic()
        return [
            Release(pulse.lock, pulse.seconds, pulse.at - now) for pulse in self._street.pulses("sim-gate")
        ]

    async def unlocked(self) -> bool:
        return (await self.stage.state()).locks[0].mode is LockMode.UNLOCKED

    async def contact(self, state: DoorState) -> None:
        if state is DoorState.OPEN:
            await self.stage.force(self.lock)
        else:
            await self.stage.close(self.lock)

    async def turn(self, which: Input, active: bool) -> None:
        if which is Input.FIRE:
            await self.stage.fire(active, self.lock)
        else:
            await self.stage.tamper(active)

    async def silent(self, active: bool) -> None:
        await self.stage.silent(active)

    async def slow(self, seconds: float) -> None:
        self.wire.to_host.faults = Faults(delay=seconds)

    async def garbage(self, data: bytes) -> None:
        self.wire.inject(data + b"\n")

    async def babble(self, active: bool) -> None:
        self.wire.to_host.faults = Faults(garble=1.0 if active else 0.0)

    async def hold_commands(self, seconds: float) -> None:
        self.wire.to_device.faults = Faults(delay=seconds)

    async def late_reads(self, seconds: float) -> None:
        await self.stage.delay(seconds)


class TestSimulator(DriverConformance):
    driver = SimulatorDriver

    def make_peer(self, folder: Path) -> Peer:
        return StreetPeer(folder)
