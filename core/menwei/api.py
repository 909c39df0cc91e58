"""The core's own routes, together. Each list stands beside what it serves in an `api_*` module."""

from __future__ import annotations

from menwei import (
    api_accounts,
    api_boards,
    api_clock,
    api_credentials,
    api_devices,
    api_documents,
    api_doors,
    api_explain,
    api_journal,
    api_people,
    api_session,
    api_tokens,
)
from menwei.context import Clock
from menwei.routes import Route
from menwei.streams import Streams


def core_routes(clock: Clock, streams: Streams) -> list[Route]:
    """Made anew for each application: limits and streams are counted for that one."""
    return [
        *api_session.routes(),
        *api_doors.routes(streams),
        *api_journal.routes(clock.monotonic),
        *api_people.routes(),
        *api_credentials.routes(),
        *api_documents.routes(),
        *api_explain.routes(clock.monotonic),
        *api_devices.routes(),
        *api_boards.routes(),
        *api_clock.routes(),
        *api_accounts.routes(),
        *api_tokens.routes(),
    ]
