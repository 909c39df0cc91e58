"""A simulated door controller (`python -m menwei_simulator.device`), the driver for it, and `menwei demo`.

The controller is a process of its own that this program knows only through its protocol and its announcement, as it
would know a bought one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from menwei.hookspecs import hookimpl

if TYPE_CHECKING:
    import typer

    from menwei.plugin import Driver, Policy


@hookimpl
def register_drivers() -> list[type[Driver]]:
    from menwei_simulator.driver import SimulatorDriver  # the controller's process needs no driver

    return [SimulatorDriver]


@hookimpl
def register_policies() -> list[type[Policy]]:
    from menwei_simulator.quiet import QuietHours

    return [QuietHours]


@hookimpl
def register_commands() -> typer.Typer:
    from menwei_simulator.command import app

    return app
