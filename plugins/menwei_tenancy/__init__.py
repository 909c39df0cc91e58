"""Who may pass until when: buildings and flats, landlords, leases, households and their members.

The rules of both places it was written for, an estate of public rental flats and a village of many landlords, as a
plugin on the public API. What it decides stands in the credentials' validity: doors refuse by it with the plugin gone.
Other plugins use `Tenancy` (manifest: `permissions.services: [tenancy]`), from a route `call.service(Tenancy)`.
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
    from menwei_tenancy.tables import metadata

    return metadata


@hookimpl
def register_services() -> list[type[Service]]:
    from menwei_tenancy.service import Tenancy

    return [Tenancy]


@hookimpl
def register_routes() -> list[Route]:
    from menwei_tenancy.api import routes
    from menwei_tenancy.api_mine import routes as tenants_routes
    from menwei_tenancy.pages import routes as pages

    return [*routes(), *tenants_routes(), *pages()]


@hookimpl
def register_commands() -> typer.Typer:
    from menwei_tenancy.commands import app

    return app
