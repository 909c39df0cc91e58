"""OSDP readers on a serial wire (RS-485): one device is one wire with up to eight readers.

Reads, keys, lights, sound, case contacts and the readers' relays, always in a secure channel under each reader's own
key. Keys are set once, at a desk, by `menwei osdp pair`; the service itself never speaks the default key or clear text.
libosdp and pyserial are needed (`pip install 'menwei[osdp]'`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from menwei import hookimpl

if TYPE_CHECKING:
    import typer

    from menwei import Driver


@hookimpl
def register_drivers() -> list[type[Driver]]:
    from menwei_osdp.driver import OsdpBus

    return [OsdpBus]


@hookimpl
def register_commands() -> typer.Typer:
    from menwei_osdp.command import app

    return app
