"""The simulated controllers as a process: `python -m menwei_simulator.device --id sim-gate`.

Prints one JSON line when everything listens, and ends cleanly on SIGTERM or Ctrl-C. `simulate` is the same inside a
running loop, for tests.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from menwei_simulator.announcement import Announcer
from menwei_simulator.backstage import Backstage
from menwei_simulator.controller import Controller, ControllerSpec
from menwei_simulator.pulselog import PulseLog


@dataclass(frozen=True, slots=True)
class Simulation:
    """What runs: the controllers by id, and the port of their stage channel on 127.0.0.1."""

    controllers: dict[str, Controller]
    stage_port: int


@asynccontextmanager
async def simulate(
    specs: Sequence[ControllerSpec],
    pulse_log: Path,
    *,
    interfaces: tuple[str, ...] = ("127.0.0.1",),
    stage_port: int = 0,
    announce: bool = True,
    sync: Callable[[int], None] = os.fsync,
) -> AsyncIterator[Simulation]:
    """Run these controllers until the block ends. Raises `OSError` when a port is taken or an interface is down."""
    async with AsyncExitStack() as stack:
        log = PulseLog(pulse_log, sync)
        stack.push_async_callback(log.close)
        controllers = [Controller(spec, log, interfaces) for spec in specs]
        for controller in controllers:
            stack.push_async_callback(controller.stop)
            await controller.start()
        announcer = Announcer(interfaces) if announce else None
        backstage = Backstage(controllers, announcer)
        stack.push_async_callback(backstage.stop)
        await backstage.start(stage_port)
        if announcer is not None:
            stack.push_async_callback(announcer.close)
            await announcer.announce(controllers)
        yield Simulation({controller.spec.id: controller for controller in controllers}, backstage.port)


def main(argv: Sequence[str] | None = None) -> int:
    """The command. Answers the exit code."""
    options = _parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s", stream=sys.stderr)
    try:
        specs = _specs(options)
    except (ValueError, TypeError) as error:
        print(f"menwei_simulator.device: {error}", file=sys.stderr)
        return 2
    try:
        asyncio.run(_serve(specs, options))
    except OSError as error:
        interfaces = ", ".join(options.interface)
        print(
            f"menwei_simulator.device: {error} (interfaces {interfaces}, log {options.pulse_log}). "
            "Is the port free and the interface up? In a new network namespace: ip link set lo up",
            file=sys.stderr,
        )
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m menwei_simulator.device", description=__doc__)
    parser.add_argument("--id", default="sim-gate", help="stable id, also the mDNS name")
    parser.add_argument("--count", type=int, default=1, help="so many controllers, named ID-1, ID-2 …")
    parser.add_argument("--doors", type=int, default=1, help="locks 1, 2 …, each with a door and a contact")
    parser.add_argument("--readers", default="in,out", help="names of the readers, with commas")
    parser.add_argument("--secret", default="", help="what a host must know (visible in the process list)")
    parser.add_argument("--port", type=int, default=0, help="TCP port for hosts; 0 takes a free one")
    parser.add_argument(
        "--controller",
        action="append",
        default=[],
        metavar="JSON",
        help="one controller instead of the options above, repeatable: "
        '{"id": "sim-gate", "locks": ["1"], "readers": ["in"], "secret": "", "port": 0}',
    )
    parser.add_argument(
        "--interface", action="append", default=[], help="address to serve and announce on (127.0.0.1)"
    )
    parser.add_argument(
        "--stage-port", type=int, default=0, help="TCP port of the stage channel on 127.0.0.1"
    )
    parser.add_argument(
        "--pulse-log", type=Path, required=True, help="file that every lock pulse is appended to"
    )
    parser.add_argument("--no-announce", action="store_true", help="no mDNS")
    parser.add_argument("--until-eof", action="store_true", help="end when standard input is closed")
    return parser


def _specs(options: argparse.Namespace) -> list[ControllerSpec]:
    """Raises `ValueError` or `TypeError`."""
    options.interface = options.interface or ["127.0.0.1"]
    if options.controller:
        specs = [_spec(text) for text in options.controller]
    else:
        locks = tuple(str(number) for number in range(1, options.doors + 1))
        readers = tuple(name for name in options.readers.split(",") if name)
        spec = ControllerSpec(options.id, locks, readers, options.secret, options.port)
        several = [
            dataclasses.replace(spec, id=f"{options.id}-{number}") for number in range(1, options.count + 1)
        ]
        specs = [spec] if options.count == 1 else several
    if len({spec.id for spec in specs}) != len(specs):
        raise ValueError("two controllers have the same id")
    return specs


def _spec(text: str) -> ControllerSpec:
    fields: dict[str, Any] = json.loads(text)
    for name in ("locks", "readers"):
        if name in fields:
            fields[name] = tuple(fields[name])
    return ControllerSpec(**fields)


async def _serve(specs: list[ControllerSpec], options: argparse.Namespace) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    running = simulate(
        specs,
        options.pulse_log,
        interfaces=tuple(options.interface),
        stage_port=options.stage_port,
        announce=not options.no_announce,
    )
    async with running as simulation:
        if options.until_eof:
            await loop.connect_read_pipe(lambda: _UntilEof(ended), sys.stdin)
        ready = {
            "ready": True,
            "pid": os.getpid(),
            "stage_port": simulation.stage_port,
            "pulse_log": str(options.pulse_log),
            "controllers": [
                {"id": controller.spec.id, "host": options.interface[0], "port": controller.port}
                for controller in simulation.controllers.values()
            ],
        }
        print(json.dumps(ready), flush=True)
        await ended.wait()


class _UntilEof(asyncio.Protocol):
    """Whoever started us holds our standard input open; its end is ours, even when it was killed."""

    def __init__(self, ended: asyncio.Event) -> None:
        self._ended = ended

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended.set()


if __name__ == "__main__":
    sys.exit(main())
