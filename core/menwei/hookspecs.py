"""Everything a plugin can register, on one page.

A hook is called once, at start, after `menwei check` passed, and only on the plugins the config names. It returns
**classes** (or tables, routes, commands), never running things: the core makes the instances, hands each its
`Context`, and supervises them. Order is the order of the config and never matters for safety.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import typer
    from sqlalchemy import MetaData

    from menwei.plugin import Driver, Finder, Notifier, Policy, Recognizer, Service
    from menwei.routes import Route

PROJECT = "menwei"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin's top module as the answer to the hook of the same name."""


class Hooks:
    """The hooks. An answer is a list, empty where there is nothing to register; anything else is a named error."""

    @hookspec
    def register_drivers(self) -> list[type[Driver]]:  # type: ignore[empty-body]
        """Driver classes: one instance is made for each device of the config whose `driver` is the class's name."""

    @hookspec
    def register_finders(self) -> list[type[Finder]]:  # type: ignore[empty-body]
        """Finder classes, for devices that mDNS does not show. One instance each while somebody is looking."""

    @hookspec
    def register_recognizers(self) -> list[type[Recognizer]]:  # type: ignore[empty-body]
        """Recognizer classes: they say who stands at an access point (face, QR code)."""

    @hookspec
    def register_policies(self) -> list[type[Policy]]:  # type: ignore[empty-body]
        """Policy classes: asked last about every passage of the doors that name them; they refuse, never grant."""

    @hookspec
    def register_notifiers(self) -> list[type[Notifier]]:  # type: ignore[empty-body]
        """Notifier classes: they follow the journal behind a durable cursor and tell somebody."""

    @hookspec
    def register_services(self) -> list[type[Service]]:  # type: ignore[empty-body]
        """Service classes: what a plugin's routes and policies share, and its background work. One instance each."""

    @hookspec
    def register_schema(self) -> MetaData:  # type: ignore[empty-body]
        """The plugin's own tables. Each table says `info={"subject": …}`, each column `personal` and `retention`;
        an undeclared table refuses to load. Migrations live in the package's `migrations/` folder."""

    @hookspec
    def register_routes(self) -> list[Route]:  # type: ignore[empty-body]
        """HTTP routes and pages, added under the core's accounts and roles."""

    @hookspec
    def register_commands(self) -> typer.Typer:  # type: ignore[empty-body]
        """Commands, as `menwei <plugin> …`."""
