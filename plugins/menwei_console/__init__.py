"""The console: the pages of the house for committee, guards, registrars, installers and auditors.

Server-rendered from the same API that programs use, in Chinese and English; our own small modules only make the pages
live. It registers its pages like any plugin and sees nothing that the caller's role may not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from menwei import hookimpl

if TYPE_CHECKING:
    from menwei.routes import Route


@hookimpl
def register_routes() -> list[Route]:
    from menwei_console.pages import routes

    return routes()
