"""A simulated door controller (`python -m menwei_simulator.device`) and the driver for it.

The controller is a process of its own that this program knows only through its protocol and its announcement, as it
would know a bought one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from menwei.hookspecs import hookimpl

if TYPE_CHECKING:
    from menwei.plugin import Driver


@hookimpl
def register_drivers() -> list[type[Driver]]:
    from menwei_simulator.driver import SimulatorDriver  # the controller's process needs no driver

    return [SimulatorDriver]
