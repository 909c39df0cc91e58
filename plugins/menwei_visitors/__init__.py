"""Visitors: a code, a QR code or their own ID card opens the doors on the way to the host's flat, today only.

A visitor is a credential of the rights like any other, valid until local midnight, so doors refuse it with this plugin
gone; what the plugin adds is who may invite how many, the codes, and that all of it is deleted the next day.
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
    from menwei_visitors.tables import metadata

    return metadata


@hookimpl
def register_services() -> list[type[Service]]:
    from menwei_visitors.service import Visitors

    return [Visitors]


@hookimpl
def register_routes() -> list[Route]:
    from menwei_visitors import api, pages

    return [*api.routes(), *pages.routes()]


@hookimpl
def register_commands() -> typer.Typer:
    from menwei_visitors.commands import app

    return app
