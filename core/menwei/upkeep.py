"""What has to be done once in a while, off the decision line: schedules further ahead, retention, old sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import structlog

from menwei.model import Actor

if TYPE_CHECKING:
    from menwei.house import Menwei

log = structlog.get_logger(__name__)

ROUND = 3600.0
"""Seconds between rounds: a day that begins is noticed within the hour, a year before it is needed."""

ANSWERABLE = ("Audit", "DoorCommand")
"""Entries about somebody's deed in the house's name, who is told in their personal part. Every other kind that has one,
those of plugins and of later versions too, says where a person was and when: it goes after `journal.passages`."""
AUDIT_KEPT = 180 * 86_400.0
"""Seconds. Who looked at whom and who opened what stays answerable for half a year."""


def local_date(at: float, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(at, zone).date()


class Upkeep:
    """Runs beside the house; one failing task is logged and does not keep the others from running."""

    def __init__(self, house: Menwei) -> None:
        self._house = house
        self._compiled = local_date(house.clock.now(), house.site.zone)

    async def run(self) -> None:
        while True:
            await self.once()
            await asyncio.sleep(ROUND)

    async def once(self) -> None:
        tasks: tuple[Callable[[], Awaitable[None]], ...] = (self._schedules, self._retention, self._sessions)
        for task in tasks:
            try:
                await task()
            except Exception as error:
                log.error(
                    "upkeep failed",
                    task=task.__name__.strip("_"),
                    error=f"{type(error).__name__}: {error}",
                    exc_info=error,
                )

    async def _schedules(self) -> None:
        today = local_date(self._house.clock.now(), self._house.site.zone)
        if today != self._compiled:
            self._house.recompile_schedules()
            self._compiled = today

    async def _retention(self) -> None:
        settings = self._house.loaded.config
        assert settings is not None
        older_than = dict.fromkeys(ANSWERABLE, AUDIT_KEPT) | {"*": settings.journal.passages}
        emptied = await self._house.journal.forget(older_than, self._house.clock.now())
        if emptied:
            self._house.audit_later(Actor("menwei", "operator", "program"), "retention", {"emptied": emptied})

    async def _sessions(self) -> None:
        await self._house.accounts.forget_ended()
