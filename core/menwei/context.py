"""What every object of a plugin is given: the `Context` with what its manifest declared and the site allowed, the base of
its settings, and the words for what goes wrong.

In-process Python cannot be jailed: a plugin is *not handed* templates, keys or other plugins' tables, and that is what
the permissions (`permissions.py`) mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    import structlog.typing

    from menwei.permissions import (
        DoorCommands,
        Facts,
        Files,
        PeopleDesk,
        RightsWriter,
        SiteView,
        Subjects,
        Tables,
    )

S = TypeVar("S")


class Config(BaseModel):
    """Base of every plugin's settings. Unknown keys are errors, with the place in the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NotReady(Exception):
    """The device cannot be reached now. The core tries again, with back-off, sooner when it is announced."""


class AuthFailed(Exception):
    """The device answered and refused the secret. Trying again would not help: the installer is told."""


@dataclass(frozen=True, slots=True)
class Repair:
    """Something a person can mend, shown by `menwei doctor` and in the console: message keys with placeholders.

    `key` is stable for one trouble, so that it is shown once; `severity` is "error", "warning" or "info".
    """

    key: str
    message: str
    values: Mapping[str, str]
    severity: str = "warning"


class Clock(Protocol):
    """Time as the core trusts it (`clock.py`). Policies take `Passage.at` instead and read no clock."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""

    def monotonic(self) -> float:
        """Seconds that only grow; for time-outs and deadlines."""


class Memory(Protocol):
    """A few small facts that the driver of one device must still know after a restart or a power cut: the last event
    it read, say. `memory.py` keeps them in a file a device. Nothing personal belongs here: it is not encrypted.

    Keys are up to 64 characters, values up to 1024, 64 keys at most; more is a `ValueError`.
    """

    def get(self, key: str) -> str | None:
        """What was kept last, None when nothing was. Never waits."""

    async def keep(self, key: str, value: str) -> None:
        """Remember `value`. When it returns, it is on the disk; raises `OSError` when it cannot be. `get` knows it at
        once. Calls that overlap are written in their order, several by one write."""


@dataclass(frozen=True, slots=True)
class Context:
    """What every plugin object is given. `options` are the plugin's own settings from the config."""

    plugin: str
    log: structlog.typing.FilteringBoundLogger
    clock: Clock
    tasks: asyncio.TaskGroup | None = None
    granted: Mapping[str, Any] | None = None
    """What the manifest asked for and the site allowed, by permission: `rights`, `doors`, `store` …"""
    memory: Memory | None = None
    """Drivers only: what this device's driver keeps across restarts. None where the core gives none."""
    device: str = ""
    """Drivers only: the id of their device in the config."""
    alone: frozenset[str] = frozenset()
    """Drivers only: the readers, by their names on the device, at which the device decides by itself and is not asked
    for `access` after a read (`decides: controller` in the config)."""
    view: SiteView | None = None
    find_service: Callable[[type[Any]], Any] | None = None

    def need(self, permission: str) -> Any:
        """The object behind a permission; raises `PermissionError` when it was not declared or not allowed."""
        if self.granted is None or permission not in self.granted:
            raise PermissionError(
                f"{self.plugin}: permission {permission!r} is not declared in menwei-plugin.yaml or not allowed in the config"
            )
        return self.granted[permission]

    # What is behind the permissions, by type (`permissions.py`). Each raises `PermissionError` like `need`.

    @property
    def tables(self) -> Tables:
        return cast("Tables", self.need("tables"))

    @property
    def rights(self) -> RightsWriter:
        return cast("RightsWriter", self.need("rights"))

    @property
    def people(self) -> PeopleDesk:
        return cast("PeopleDesk", self.need("people"))

    @property
    def facts(self) -> Facts:
        return cast("Facts", self.need("facts"))

    @property
    def doors(self) -> DoorCommands:
        return cast("DoorCommands", self.need("doors"))

    @property
    def files(self) -> Files:
        return cast("Files", self.need("files"))

    @property
    def subjects(self) -> Subjects:
        return cast("Subjects", self.need("subjects"))

    @property
    def site(self) -> SiteView:
        """The place; every plugin may know it. Raises `PermissionError` where there is none (`menwei discover`)."""
        if self.view is None:
            raise PermissionError(f"{self.plugin}: no site is running here")
        return self.view

    def service(self, cls: type[S]) -> S:
        """The running service of this class: the plugin's own, or that of a plugin the manifest names under
        `permissions.services`. Raises `LookupError` when it is not there, `PermissionError` when it is not declared."""
        if self.find_service is None:
            raise LookupError(f"{self.plugin}: no services are running here")
        return cast("S", self.find_service(cls))


__all__ = ["AuthFailed", "Clock", "Config", "Context", "Memory", "NotReady", "Repair"]
