"""Registration for real numbers: rooms and people from a spreadsheet, checked as a whole before anything is written.

Who lives where is the tenancy plugin's, by which document somebody is known the core's. Needs the plugin `tenancy`.
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
    from menwei_registration.tables import metadata

    return metadata


@hookimpl
def register_services() -> list[type[Service]]:
    from menwei_registration.service import Registration

    return [Registration]


@hookimpl
def register_routes() -> list[Route]:
    from menwei_registration.api import routes
    from menwei_registration.desk import routes as desk
    from menwei_registration.pages import routes as pages

    return [*routes(), *desk(), *pages()]


@hookimpl
def register_commands() -> typer.Typer:
    from menwei_registration.commands import app

    return app
