"""Runs a notifier: it follows the journal behind a durable cursor, one entry after the other, and is patient."""

from __future__ import annotations

import asyncio
from typing import Any

import structlog

from menwei.complaints import complaints
from menwei.context import Repair
from menwei.journal import Journal, Recorded
from menwei.patience import within
from menwei.plugin import Notifier

log = structlog.get_logger(__name__)

NOTIFY_TIME = 60.0
"""Seconds for one entry: mail and web hooks are slow, and nobody waits for them."""
FIRST_RETRY = 1.0
LONGEST_RETRY = 300.0
"""Seconds. A dead mail server is asked twelve times an hour, and an alarm is at most five minutes late after it."""


class NotifierRunner:
    """One notifier. An entry is handed over until `notify` returned; the cursor outlives a restart."""

    def __init__(
        self, name: str, notifier: Notifier, journal: Journal, first_retry: float = FIRST_RETRY
    ) -> None:
        self.name = name
        self._notifier = notifier
        self._journal = journal
        self._first_retry = first_retry
        self.trouble = ""

    async def run(self) -> None:
        """Until cancelled. A new notifier begins with what happens from now on, not with the past."""
        cursor = f"notifier:{self.name}"
        async for batch in self._journal.follow(cursor, self._journal.head, self._notifier.hears):
            for entry in batch:
                await self._hand_over(entry)
                await self._journal.advance(cursor, entry.position)

    async def _hand_over(self, entry: Recorded) -> None:
        delay = self._first_retry
        while True:
            try:
                await within(NOTIFY_TIME, lambda: self._notifier.notify(facts(entry)))
            except Exception as error:
                self.trouble = f"{type(error).__name__}: {error}"
                log.warning(
                    "a notifier failed; the same entry comes again",
                    notifier=self.name,
                    error=self.trouble,
                    in_seconds=delay,
                )
                await asyncio.sleep(delay)
                delay = min(delay * 2, LONGEST_RETRY)
                continue
            self.trouble = ""
            return

    def repairs(self) -> list[Repair]:
        """What the notifier says, and its own failure."""
        found = complaints(self._notifier, self._unsaid)
        if self.trouble:
            found.append(
                Repair(
                    f"notifier:{self.name}",
                    "repair.notifier",
                    {"notifier": self.name, "detail": self.trouble},
                )
            )
        return found

    def _unsaid(self, why: str) -> Repair:
        values = {"part": self.name, "detail": why}
        return Repair(f"notifier-repairs:{self.name}", "repair.repairs", values)


def facts(entry: Recorded) -> dict[str, Any]:
    """An entry as notifiers and streams get it: without its personal part."""
    return {
        "id": str(entry.position),
        "kind": entry.kind,
        "at": entry.at,
        "door": entry.door,
        "access_point": entry.access_point,
        "data": dict(entry.data),
    }
