"""Wiring test: an installer at a door proves each of its wires, one step at a time, and a dated report stays.

What can be seen is seen in what the device reports; what nobody here can see the installer answers, and the report says
which was which. The plugin acts on the door under its own name, like anybody in the journal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from menwei import Service, hookimpl

if TYPE_CHECKING:
    import typer
    from sqlalchemy import MetaData

    from menwei.routes import Route


@hookimpl
def register_schema() -> MetaData:
    from menwei_wiring.tables import metadata

    return metadata


@hookimpl
def register_services() -> list[type[Service]]:
    from menwei_wiring.service import Wiring

    return [Wiring]


@hookimpl
def register_routes() -> list[Route]:
    from menwei_wiring import api, pages

    return [*api.routes(), *pages.routes()]


@hookimpl
def register_commands() -> typer.Typer:
    from menwei_wiring.commands import app

    return app
