"""What boards decided by themselves, merged into the journal: each of it once, however often it is told.

The journal itself is what knows which entries of a board's log it has: there is no second file that a power cut could
leave a step behind. Both clocks stand in an entry: the board's as it showed (`device_time`), and ours when it was read
(`received`). `at` is the board's, turned into an instant, where that can be true.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog

from menwei.boardfacts import BoardDecision
from menwei.cardformats import CardFormatError, normalise
from menwei.context import Clock, NotReady
from menwei.decide import View, standing
from menwei.doors import DoorRuntime
from menwei.journal import Entry, Journal, JournalError, JournalFull, Position
from menwei.keys import Keys
from menwei.model import Check, Credential, CredentialIdentifier, Reason
from menwei.site import Site

log = structlog.get_logger(__name__)

AHEAD = 120.0
"""Seconds by which a board's clock may be ahead before what it shows is not believed."""
LONGEST_AWAY = 400 * 86_400.0
"""Seconds: an entry that claims to be older comes from a clock without battery."""
FULL_PAUSE = 1.0
SUMMARY_AFTER = 2.0
"""Seconds without another entry of the past after which their count is told."""

BY = "controller"
SAYS = {
    Reason.CREDENTIAL_NOT_FOUND: "door.not_registered",
    Reason.CREDENTIAL_EXPIRED: "door.expired",
    Reason.CREDENTIAL_NOT_ACTIVE: "door.not_yet",
    Reason.NOT_PERMITTED_AT_THIS_TIME: "door.not_now",
    Reason.UNAUTHORIZED: "door.no_right",
}
"""The sentence for a board's reason; `door.denied` for the others."""

Learn = Callable[[int, CredentialIdentifier], Awaitable[None]]
"""Called with the credential and the card when a board refused a card that is known here."""


@dataclass(frozen=True, slots=True)
class Merged:
    """An entry of a board's log that the journal has: `at` when it happened, `received` when it was read."""

    epoch: int
    index: int
    at: float
    received: float


class BoardLog:
    """One for the site. `site` and `doors` are replaced after an adoption."""

    def __init__(
        self, site: Site, view: View, keys: Keys, journal: Journal, clock: Clock, learn: Learn
    ) -> None:
        self.site = site
        self.doors: Mapping[str, DoorRuntime] = {}
        self._view, self._keys, self._journal, self._clock = view, keys, journal, clock
        self._learn = learn
        self._merged: dict[str, set[tuple[int, int]]] = {}
        self._last: dict[str, Merged | None] = {}
        self._reading: dict[str, asyncio.Lock] = {}
        self._late: dict[str, int] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._closed = False

    async def merge(self, device: str, decision: BoardDecision) -> None:
        """Write the decision into the journal unless it is there; returns when it is durable. Raises `NotReady` when
        the journal was closed first, or cannot be asked what it has."""
        point = self.site.access_points.get(self.site.readers.get((device, decision.reader), ""))
        if point is None:
            log.warning(
                "a board decided at a reader of no access point", device=device, reader=decision.reader
            )
            return
        merged = await self._known(device)
        key = (decision.epoch, decision.index)
        if key in merged:
            return
        merged.add(key)
        card = self._card(decision)
        credential = self._view.find(self._keys.digest(card)) if card is not None else None
        entry = self._entry(device, point.door, point.id, decision, credential)
        try:
            position = await self._append(entry)
        except BaseException:
            merged.discard(key)
            raise
        self._newest(device, Merged(decision.epoch, decision.index, entry.at, self._clock.now()))
        door = self.doors.get(point.door)
        if decision.live and decision.granted and door is not None:
            door.let_in(position, point.id)
        if not decision.live:
            self._count(device)
        if card is not None and credential is not None and not decision.granted:
            await self._learn(credential.id, card)

    async def last(self, device: str) -> Merged | None:
        """The newest entry of a board's log that is in the journal; None when there is none. Raises `NotReady` when the
        journal cannot be asked."""
        await self._known(device)
        return self._last[device]

    def _newest(self, device: str, merged: Merged) -> None:
        last = self._last[device]
        if last is None or (merged.epoch, merged.index) > (last.epoch, last.index):
            self._last[device] = merged

    async def _known(self, device: str) -> set[tuple[int, int]]:
        """The entries of a device's log that the journal has; read once in a life of this program."""
        async with self._reading.setdefault(device, asyncio.Lock()):
            if device not in self._merged:
                try:
                    merged = await self._journal.merged(device)
                    newest = max(merged, default=None)
                    times = await self._journal.when_merged(device, *newest) if newest else None
                except sqlite3.Error as error:
                    raise NotReady(f"the journal cannot be read: {error}") from error
                self._last[device] = Merged(*newest, *times) if newest and times else None
                self._merged[device] = merged
            return self._merged[device]

    async def _append(self, entry: Entry) -> Position:
        while True:
            try:
                return await self._journal.append(entry)
            except JournalFull:  # the board keeps its log: nothing is lost by waiting
                await asyncio.sleep(FULL_PAUSE)
            except JournalError as error:
                raise NotReady(f"the journal took no more: {error}") from error

    def _card(self, decision: BoardDecision) -> CredentialIdentifier | None:
        try:
            return normalise(decision.format, decision.value)
        except CardFormatError as error:  # the number itself stays out of the log
            log.warning("unreadable card in a board's log", reader=decision.reader, error=error.key)
            return None

    def _entry(
        self, device: str, door: str, point: str, decision: BoardDecision, credential: Credential | None
    ) -> Entry:
        at, believed = self._when(decision.shown)
        data: dict[str, object] = {
            "factors": ["Card"],
            "decided": BY,
            "log": {"device": device, "epoch": decision.epoch, "index": decision.index},
            "device_time": decision.shown.isoformat() if decision.shown else "",
            "received": self._clock.now(),
        }
        if not believed:
            data["device_clock"] = "wrong"
        against = standing(credential, at) if credential is not None else []
        if not decision.granted:
            checks = _checks(decision, credential, against)
            data["says"] = checks[0].says
            data["checks"] = [
                {"reason": c.reason, "says": c.says, "by": c.by, "detail": c.detail} for c in checks
            ]
        elif credential is None or against:
            # The board let in somebody whom the rights, as they are known now, would have refused at that moment.
            found = [check.reason for check in against] or [Reason.CREDENTIAL_NOT_FOUND]
            data["against"] = list(dict.fromkeys(found))
        personal = {"holder": credential.holder, "credential": credential.id} if credential else None
        return Entry("AccessGranted" if decision.granted else "AccessDenied", at, door, point, data, personal)

    def _when(self, shown: datetime | None) -> tuple[float, bool]:
        """The instant of an entry, and whether the board's clock was believed. Never ahead of ours: the trusted clock
        begins at the journal's last entry."""
        now = self._clock.now()
        if shown is None:
            return now, False
        try:
            at = shown.replace(tzinfo=self.site.zone).timestamp()
        except (OverflowError, ValueError):
            return now, False
        if not now - LONGEST_AWAY < at < now + AHEAD:
            return now, False
        return min(at, now), True

    # ------------------------------------------------------------------------------------------------- the summary

    def _count(self, device: str) -> None:
        """What is read of the past ends with one entry of now: how many that were, and a last entry that is not old."""
        if self._closed:
            return
        self._late[device] = self._late.get(device, 0) + 1
        if timer := self._timers.pop(device, None):
            timer.cancel()
        self._timers[device] = asyncio.get_running_loop().call_later(SUMMARY_AFTER, self._tell, device)

    def _tell(self, device: str) -> None:
        self._timers.pop(device, None)
        facts = {"device": device, "entries": self._late.pop(device, 0)}
        self._journal.post(Entry("BoardLogRead", self._clock.now(), data=facts))

    def close(self) -> None:
        self._closed = True
        for device, timer in list(self._timers.items()):
            timer.cancel()
            self._tell(device)


def _checks(decision: BoardDecision, credential: Credential | None, against: list[Check]) -> list[Check]:
    """Why the board refused: its own reason first, in the words of who the card belongs to, where that explains it."""
    if credential is None:
        return [Check(Reason.CREDENTIAL_NOT_FOUND, "door.not_registered", BY)]
    reason = decision.reason or Reason.UNAUTHORIZED
    own = Check(reason, SAYS.get(reason, "door.denied"), BY)
    return [*(Check(check.reason, check.says, BY, check.detail) for check in against), own]


__all__ = ["BoardLog", "Merged"]
