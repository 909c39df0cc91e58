"""The door controllers that the benches command: the simulator's, in a process of their own, without a pulse log.

    python bench/controllers.py --controller JSON [--controller JSON …]

The same as `python -m menwei_simulator.device`, but no pulse is written or synced before its acknowledgement: a real
controller answers without a disk, and two syncs on one disk would measure the disk twice. Ends when standard input is
closed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from typing import Any

from menwei_simulator.controller import Controller, ControllerSpec
from menwei_simulator.pulselog import PulseLog


class Unwritten(PulseLog):
    """Counts what the locks do, and keeps none of it."""

    def __init__(self) -> None:
        self._count = 0

    async def append(self, line: Mapping[str, Any]) -> int:
        self._count += 1
        return self._count


async def serve(specs: list[ControllerSpec]) -> None:
    log = Unwritten()
    controllers = [Controller(spec, log) for spec in specs]
    for controller in controllers:
        await controller.start()
    print(
        json.dumps({"ports": {controller.spec.id: controller.port for controller in controllers}}), flush=True
    )
    await asyncio.to_thread(sys.stdin.read)  # until whoever started us ends, however it ends
    for controller in controllers:
        await controller.stop()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--controller", action="append", required=True, help="ControllerSpec as JSON, repeatable"
    )
    options = parser.parse_args()
    specs = []
    for text in options.controller:
        fields = json.loads(text)
        specs.append(ControllerSpec(fields["id"], tuple(fields["locks"]), tuple(fields["readers"])))
    asyncio.run(serve(specs))


if __name__ == "__main__":
    main()
