"""What has to be done once in a while, off the decision line: schedules further ahead, retention, old sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import structlog

from menwei.clock import LEAP
from menwei.context import Repair
from menwei.model import Actor

if TYPE_CHECKING:
    from menwei.house import Menwei

log = structlog.get_logger(__name__)

ROUND = 3600.0
"""Seconds between rounds: nothing of theirs is waited for by anybody."""
LOOK = 60.0
"""Seconds between looks at the date. A machine that boots in 1970 and is then set right stands outside of every compiled
schedule; until it is compiled anew nobody passes."""
DAY = 86_400.0
"""Seconds that a time which leapt ahead must have stood before personal data is destroyed by it: for somebody to come by."""

ANSWERABLE = ("Audit", "DoorCommand")
"""Entries about somebody's deed in the house's name, who is told in their personal part. Every other kind that has one,
those of plugins and of later versions too, says where a person was and when: it goes after `journal.passages`."""
AUDIT_KEPT = 180 * 86_400.0
"""Seconds. Who looked at whom and who opened what stays answerable for half a year."""


def local_date(at: float, zone: ZoneInfo) -> date:
    return datetime.fromtimestamp(at, zone).date()


def local_time(at: float, zone: ZoneInfo) -> str:
    """A moment for people, to the minute."""
    return f"{datetime.fromtimestamp(at, zone):%Y-%m-%d %H:%M}"


class Upkeep:
    """Runs beside the house; one failing task is logged and does not keep the others from running."""

    def __init__(self, house: Menwei) -> None:
        self._house = house
        self._compiled = local_date(house.clock.now(), house.site.zone)
        self._leapt: tuple[float, float] | None = None
        self._told = self._told_lost = False

    async def run(self) -> None:
        rounds_at = self._house.clock.monotonic()
        while True:
            if self._house.clock.monotonic() >= rounds_at:
                rounds_at = self._house.clock.monotonic() + ROUND
                await self.once()
            else:
                await self._do(self._schedules)
                await self._do(self._folder)
            await asyncio.sleep(LOOK)

    async def once(self) -> None:
        for task in (self._schedules, self._folder, self._retention, self._sessions):
            await self._do(task)

    async def _do(self, task: Callable[[], Awaitable[None]]) -> None:
        try:
            await task()
        except Exception as error:
            log.error(
                "upkeep failed",
                task=task.__name__.strip("_"),
                error=f"{type(error).__name__}: {error}",
                exc_info=error,
            )

    def repairs(self) -> list[Repair]:
        """What is wrong with the clock, and with the data folder."""
        return [*self._lost(), *self._doubt()]

    def _lost(self) -> list[Repair]:
        """Commands reach the program by its socket alone: without it they would take it for one that does not run, and a
        data folder that is gone for a new site."""
        socket = self._house.socket
        if socket is None or socket.stands():
            return []
        return [Repair("data", "repair.data", {"folder": str(self._house.data)}, "error")]

    def _doubt(self) -> list[Repair]:
        """Why retention waits, if it does: what a wrong clock has ended does not come back."""
        clock, zone = self._house.clock, self._house.site.zone
        if clock.behind > LEAP:  # one of the two is wrong by days, and nobody has said which
            return [Repair("retention", "repair.retention.apart", {}, "error")]
        if self._leapt is None:
            return []
        before, after = self._leapt
        moments = {"before": before, "after": after, "until": after + DAY}
        values = {name: local_time(at, zone) for name, at in moments.items()}
        return [Repair("retention", "repair.retention.leapt", values)]

    async def _schedules(self) -> None:
        today = local_date(self._house.clock.now(), self._house.site.zone)
        if today != self._compiled:
            self._house.recompile_schedules()
            self._compiled = today

    async def _folder(self) -> None:
        """Told in the log as well: `menwei doctor` may not reach this program any more."""
        lost = bool(self._lost())
        if lost and not self._told_lost:
            log.error("the data folder or its socket is gone or another's", folder=str(self._house.data))
        self._told_lost = lost

    async def _retention(self) -> None:
        self._leapt = await self._leap()
        waits = self._doubt()
        if waits and not self._told:
            log.error("nothing of the journal is forgotten while the clock is in doubt", why=waits[0].message)
        self._told = bool(waits)
        if waits:
            return
        settings = self._house.loaded.config
        assert settings is not None
        older_than = dict.fromkeys(ANSWERABLE, AUDIT_KEPT) | {"*": settings.journal.passages}
        emptied = await self._house.journal.forget(older_than, self._house.clock.now())
        if emptied:
            self._house.audit_later(Actor("menwei", "operator", "program"), "retention", {"emptied": emptied})

    async def _leap(self) -> tuple[float, float] | None:
        """From when to when the time leapt within the last day. The journal is asked, because a restart meanwhile is no
        reason to believe the clock."""
        clock, journal = self._house.clock, self._house.journal
        now = clock.now()
        if clock.steady >= DAY:
            return None
        old = await journal.read(until=now - DAY, limit=1, newest_first=True)
        if not old:
            return None
        before = old[0]
        since = await journal.read(before.position, since=before.at, until=now, limit=1)
        after = since[0].at if since else now
        return (before.at, after) if after > before.at + LEAP else None

    async def _sessions(self) -> None:
        await self._house.accounts.forget_ended()
