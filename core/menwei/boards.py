"""All boards of the site that decide alone: one `Keeper` each, what an installer should know of them, what they log.

At a site without such a board this does nothing and keeps no card number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import structlog

from menwei.boardfacts import BoardAbilities
from menwei.boardkeeper import Keeper, Parts
from menwei.boardnumbers import BoardNumbers, card_digest, identifier_change
from menwei.boardplan import BoardPlan, BoardStatus, Filling, plans
from menwei.changes import RightsError
from menwei.context import Clock, Repair
from menwei.doors import DoorRuntime
from menwei.journal import Entry, Journal
from menwei.keys import Keys
from menwei.model import AccessPoint, Actor, CredentialIdentifier
from menwei.rights import Rights
from menwei.schedules import ScheduleSpec
from menwei.site import Site
from menwei.supervisor import DeviceState, Supervisor

log = structlog.get_logger(__name__)

SOON = 10.0
"""Seconds that taking a card from a board may take before it is told: longer, and the board is away or slow."""
BY_TOUCH = Actor("menwei", "operator", "program")
"""Who keeps a card's number that a board told about a person who is known."""


class Boards:
    """`replace` takes the config, `start` and `stop` are the program's."""

    def __init__(
        self, rights: Rights, keys: Keys, journal: Journal, clock: Clock, supervisor: Supervisor
    ) -> None:
        self._rights = rights
        self._numbers = BoardNumbers(rights.store)
        self._parts = Parts(self._numbers, rights.snapshot, keys, journal, clock, supervisor)
        self._keepers: dict[str, Keeper] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._abandoned: dict[str, int] = {}
        self._since: dict[str, tuple[bool, float]] = {}
        """By device id: whether it is reached, and since when."""
        self._zone = ZoneInfo("UTC")
        self._running = False
        self._unfollow: list[Callable[[], None]] = []

    # ----------------------------------------------------------------------------------------------------- its life

    async def replace(
        self,
        site: Site,
        abilities: Mapping[str, BoardAbilities],
        devices: frozenset[str],
        doors: Mapping[str, DoorRuntime],
    ) -> frozenset[str]:
        """Take the config: `abilities` by device id of every board that could decide, `devices` are all of the site.
        Returns the card formats in which numbers are kept from now on."""
        filled = await self._numbers.devices()
        for device in sorted(filled.keys() - devices):
            self._abandoned[device] = filled[device]
            log.error("a board that still holds cards is not in the config any more", device=device)
            facts = {"device": device, "cards": filled[device]}
            self._parts.journal.post(Entry("BoardAbandoned", self._parts.clock.now(), data=facts))
            await self._numbers.abandon(device)
        wanted = plans(site, abilities, filled)
        formats = frozenset(plan.abilities.card_format for plan in wanted.values() if plan.locks)
        # A plugin that is broken today must not cost a site the numbers of all its cards.
        deciding = {point.readers[0][0] for point in _deciding(site) if point.readers}
        if deciding <= abilities.keys():
            await self._numbers.keep_only(formats)
        self._zone = site.zone
        await self._end()
        self._keepers = {device: self._keeper(plan, site.schedules, doors) for device, plan in wanted.items()}
        if self._running:
            for device in self._keepers:
                self._turned(device)
            self._begin()
        return formats

    def _keeper(
        self, plan: BoardPlan, specs: Mapping[str, ScheduleSpec], doors: Mapping[str, DoorRuntime]
    ) -> Keeper:
        return Keeper(self._parts, plan, specs, self._zone, doors)

    def start(self) -> None:
        self._running = True
        for device in self._keepers:
            self._turned(device)
        self._unfollow = [
            self._parts.view.on_change(self._changed),
            self._parts.supervisor.on_change(self._device_changed),
        ]
        self._begin()

    async def stop(self) -> None:
        self._running = False
        for unfollow in self._unfollow:
            unfollow()
        await self._end()

    def _begin(self) -> None:
        for device, keeper in self._keepers.items():
            self._tasks[device] = asyncio.create_task(keeper.run(), name=f"board {device}")

    async def _end(self) -> None:
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _changed(self) -> None:
        for keeper in self._keepers.values():
            keeper.wake()

    def _device_changed(self, device: str, state: DeviceState, text: str) -> None:
        if device in self._keepers:
            self._turned(device)
            self._keepers[device].wake()

    def _turned(self, device: str) -> None:
        reached = self._parts.supervisor.driver(device) is not None
        if device not in self._since or self._since[device][0] is not reached:
            self._since[device] = reached, self._parts.clock.now()

    # --------------------------------------------------------------------------------------------------- what is called

    def statuses(self) -> list[BoardStatus]:
        return [self._status(device, keeper) for device, keeper in self._keepers.items()]

    def _status(self, device: str, keeper: Keeper) -> BoardStatus:
        return keeper.status(self._since[device][1] if device in self._since else None)

    def deciding(self) -> bool:
        """Whether there is a board here that decides, or that still holds cards of ours."""
        return bool(self._keepers)

    def look(self, device: str) -> None:
        """Read back, now, all that a board holds. Raises `KeyError` for a device that decides nothing."""
        self._keepers[device].look()

    def pending(self, credential: int) -> list[str]:
        """The boards that still admit this credential and should not."""
        return [device for device, keeper in self._keepers.items() if keeper.ledger.admits(credential)]

    async def learn(self, credential: int, card: CredentialIdentifier) -> None:
        """Somebody known touched a card at a board that was never given its number: enrolled before the board decided,
        or elsewhere. Its number is kept from now on, and the board is given it."""
        digest = card_digest(self._parts.keys, card.format, card.value)
        formats = {
            keeper.plan.abilities.card_format for keeper in self._keepers.values() if keeper.plan.locks
        }
        if card.format not in formats or await self._numbers.known(digest):
            return
        change = identifier_change(self._parts.keys, credential, card, True)
        try:
            async with self._rights.store.transaction() as tx:
                await self._rights.apply(tx, [change], actor=BY_TOUCH)
        except RightsError as error:  # removed or given to somebody else in this moment
            log.warning("a card's number could not be kept for the boards", error=str(error))

    def repairs(self) -> list[Repair]:
        found = [
            _repair("abandoned", device, "error", count=str(count))
            for device, count in self._abandoned.items()
        ]
        for keeper in self._keepers.values():
            found += self._of(keeper)
        return found

    def _of(self, keeper: Keeper) -> list[Repair]:
        status, found = keeper.status(), list[Repair]()
        lacks = status.lacks

        def tell(what: str, severity: str, **values: str) -> None:
            found.append(_repair(what, status.device, severity, **values))

        waited = self._parts.clock.monotonic() - keeper.since if keeper.since is not None else 0.0
        if status.to_take and (not status.online or waited > SOON):
            tell("pending", "error", count=str(status.to_take))
        if status.to_give and not status.online:
            tell("waiting", "warning", count=str(status.to_give))
        if status.drift is not None:
            drift = status.drift
            at = datetime.fromtimestamp(drift.at, self._zone).strftime("%Y-%m-%d %H:%M")
            counts = {"added": str(drift.added), "missing": str(drift.missing), "changed": str(drift.changed)}
            tell("drift", "warning", time=at, **counts)
        if status.filling is Filling.FULL:
            tell("full", "error", count=str(lacks.overflow), capacity=str(status.capacity))
        elif status.filling is Filling.NEARLY_FULL:
            tell("nearly_full", "warning", count=str(status.wanted), capacity=str(status.capacity))
        if lacks.without_number:
            tell("no_number", "warning", count=str(lacks.without_number))
        if lacks.schedules:
            tell("schedule", "error", schedules=", ".join(lacks.schedules))
        if lacks.within_a_day:
            tell("within_a_day", "info", count=str(lacks.within_a_day))
        if keeper.no_room:
            tell("no_room", "error", detail=keeper.no_room)
        if keeper.trouble:
            tell("trouble", "error", detail=keeper.trouble)
        return found


def _deciding(site: Site) -> list[AccessPoint]:
    return [point for point in site.access_points.values() if point.decides == "controller"]


def _repair(what: str, device: str, severity: str, **values: str) -> Repair:
    return Repair(f"board:{what}:{device}", f"board.repair.{what}", {"device": device, **values}, severity)


__all__ = ["Boards"]
