"""The tenancy's HTTP API: a housing system syncs by external ids, a desk registers, a landlord manages their own rooms.

Each handler is a few lines around a function of the service; pages and commands use the same ones. What a tenant does
themselves is `api_mine.py`.
"""

from __future__ import annotations

from menwei.routes import Route
from menwei_tenancy import api_households, api_passes, api_places


def routes() -> list[Route]:
    """The routes of places, households and passes."""
    return [*api_places.routes(), *api_households.routes(), *api_passes.routes()]
