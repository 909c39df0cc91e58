"""A street of simulated controllers as a process of its own, for the demonstration and for tests.

async with Street(tmp_path, [ControllerSpec("sim-gate")]) as street:
    gate = street.at("sim-gate")
    await gate.present("04A2B3C4")
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType

import menwei
import menwei_simulator
from menwei_simulator.controller import ControllerSpec
from menwei_simulator.pulselog import Cause, Pulse, read_lines, read_pulses
from menwei_simulator.stage import Channel, Stage, open_stage

START_SECONDS = 30.0
"""A generous bound: the machine may be busy."""


@dataclass(frozen=True, slots=True)
class Address:
    host: str
    port: int


class Street:
    """Starts the process on entering, ends it on leaving. `kill` and `start` in between keep the ports and the log."""

    def __init__(
        self, folder: Path, controllers: Sequence[ControllerSpec], *, announce: bool = False
    ) -> None:
        self.pulse_log = folder / "pulses.jsonl"
        self.addresses: dict[str, Address] = {}
        self.pid = 0
        self.stage_port = 0
        self._controllers = list(controllers)
        self._announce = announce
        self._process: asyncio.subprocess.Process | None = None
        self._stack = AsyncExitStack()
        self._channel: Channel | None = None

    async def __aenter__(self) -> Street:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        code = await self.stop()
        if kind is None:
            assert code in (0, None), f"the simulator ended with {code}"

    def at(self, controller: str = "") -> Stage:
        """The stage before a controller."""
        assert self._channel is not None, "the street is not running"
        return self._channel.at(controller)

    def pulses(self, controller: str = "", cause: Cause | None = Cause.COMMAND) -> list[Pulse]:
        """What the pulse log on disk says now; by default only what a host commanded."""
        return read_pulses(self.pulse_log, controller, cause)

    def lines(self) -> list[dict[str, object]]:
        """Every line of the pulse log on disk."""
        return read_lines(self.pulse_log)

    async def start(self) -> None:
        """Start the process and wait until it listens, on the ports it had before if it ran before."""
        specs = [
            replace(spec, port=self.addresses[spec.id].port) if spec.id in self.addresses else spec
            for spec in self._controllers
        ]
        command = [sys.executable, "-m", "menwei_simulator.device", "--until-eof"]
        command += ["--pulse-log", str(self.pulse_log), "--stage-port", str(self.stage_port)]
        command += [] if self._announce else ["--no-announce"]
        for spec in specs:
            command += ["--controller", json.dumps(asdict(spec))]
        roots = {str(Path(package.__path__[0]).parent) for package in (menwei, menwei_simulator)}
        path = os.pathsep.join([*sorted(roots), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
        self._process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for whoever started it; that one ends us, or our input ends
        )
        assert self._process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the simulator did not start: exit code {await self._process.wait()}")
        ready = json.loads(line)
        self.pid, self.stage_port = ready["pid"], ready["stage_port"]
        self.addresses = {c["id"]: Address(c["host"], c["port"]) for c in ready["controllers"]}
        self._channel = await self._stack.enter_async_context(open_stage(self.stage_port))

    async def stop(self) -> int | None:
        """End it with SIGTERM; the exit code, None when it was not running."""
        return await self._end(signal.SIGTERM)

    async def kill(self) -> None:
        """kill -9."""
        await self._end(signal.SIGKILL)

    async def _end(self, number: signal.Signals) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        if process.returncode is None:
            process.send_signal(number)
        self._channel = None
        await self._stack.aclose()
        async with asyncio.timeout(START_SECONDS):
            code = await process.wait()
        if process.stdin is not None:
            process.stdin.close()
        return code
