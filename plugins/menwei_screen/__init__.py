"""The door screen: any old tablet at a door shows and says what the door answers, and may be its keypad.

A screen is a device like a reader, of the driver `screen`: it is named among the `readers` of its access point, hears
that access point's feedback and nothing else, and what is typed on it goes the way of every keypad's digits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from menwei import Driver, Service, hookimpl

if TYPE_CHECKING:
    import typer
    from sqlalchemy import MetaData

    from menwei.routes import Route


@hookimpl
def register_drivers() -> list[type[Driver]]:
    from menwei_screen.driver import Screen

    return [Screen]


@hookimpl
def register_schema() -> MetaData:
    from menwei_screen.tables import metadata

    return metadata


@hookimpl
def register_services() -> list[type[Service]]:
    from menwei_screen.service import Screens

    return [Screens]


@hookimpl
def register_routes() -> list[Route]:
    from menwei_screen import api, pages

    return [*api.routes(), *pages.routes()]


@hookimpl
def register_commands() -> typer.Typer:
    from menwei_screen.commands import app

    return app
