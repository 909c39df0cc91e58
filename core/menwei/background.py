"""Plugins' services: made once, found by their class, run beside the doors, begun again after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from sqlalchemy import MetaData

from menwei.changes import Change, NotReviewed
from menwei.complaints import complaints
from menwei.context import Context, Repair
from menwei.granting import OwnReading
from menwei.plugin import Service

if TYPE_CHECKING:
    from menwei.loader import LoadedPlugin
    from menwei.model import Actor
    from menwei.problems import Problem
    from menwei.rights import Rights
    from menwei.store import Transaction

log = structlog.get_logger(__name__)

FIRST_RETRY = 1.0
LONGEST_RETRY = 300.0
"""Seconds. A service that fails at once fills no log, and one that was struck by a full disk is back within minutes."""
STEADY = 60.0
"""Seconds after which a run counts as having worked: the next failure is a new one."""
ENDING = 5.0
"""A service that has not ended so long after its cancellation is left behind: the shutdown does not wait for it."""

S = TypeVar("S", bound=Service)

_abandoned: set[asyncio.Task[Any]] = set()


class ServiceRunner:
    """One service. `run` ends when the service's own `run` returned, or by cancellation."""

    def __init__(self, name: str, service: Service, first_retry: float = FIRST_RETRY) -> None:
        self.name = name
        self.service = service
        self.trouble = ""
        self._first_retry = first_retry

    async def run(self) -> None:
        delay = self._first_retry
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            error = await alone(self.service.run)
            if error is None:
                self.trouble = ""
                return
            if clock() - began > STEADY:
                delay = self._first_retry
            self.trouble = f"{type(error).__name__}: {error}"
            log.error(
                "a service failed; it begins again",
                service=self.name,
                error=self.trouble,
                in_seconds=delay,
                exc_info=error,
            )
            await asyncio.sleep(delay)
            delay = min(delay * 2, LONGEST_RETRY)

    def repairs(self) -> list[Repair]:
        """What the service says, and its own failure."""
        found = complaints(self.service, self._unsaid)
        if self.trouble:
            found.append(
                Repair(
                    f"service:{self.name}",
                    "repair.service",
                    {"service": self.name, "detail": self.trouble},
                    "error",
                )
            )
        return found

    def _unsaid(self, why: str) -> Repair:
        values = {"part": self.name, "detail": why}
        return Repair(f"service-repairs:{self.name}", "repair.repairs", values)


class Services:
    """Every service of the house, by its class."""

    def __init__(self) -> None:
        self.runners: list[ServiceRunner] = []
        self.option_problems: list[Problem] = []
        self._owners: dict[type[Service], str] = {}
        self._unmade: dict[str, str] = {}

    def make(
        self,
        plugins: Mapping[str, LoadedPlugin],
        options_of: Callable[[LoadedPlugin, type[Service]], Any],
        context: Callable[[LoadedPlugin], Context],
        rights: Rights,
    ) -> None:
        """One instance of every service class, and its say in the rights. Called once, at start. What cannot be made is
        a named trouble, and refuses what it should have reviewed: rights are not given past a broken plugin."""
        for plugin in in_order(plugins):
            for cls in plugin.services:
                self._owners[cls] = plugin.name
                name = f"{plugin.name}.{cls.name}"
                service = self._made(name, plugin, cls, options_of, context)
                if service is not None:
                    self.runners.append(ServiceRunner(name, service))
                if cls.review is not Service.review:
                    rights.reviews.append(partial(_review, name, plugin, service))

    def _made(
        self, name: str, plugin: LoadedPlugin, cls: type[Service], options_of: Any, context: Any
    ) -> Service | None:
        options = options_of(plugin, cls)
        if isinstance(options, list):
            self.option_problems += options
            self._unmade[name] = "; ".join(problem.text("en") for problem in options)
            return None
        try:
            return cls(context(plugin), options)
        except (Exception, SystemExit) as error:
            self._unmade[name] = f"{type(error).__name__}: {error}"
            log.error("a service could not be made", service=name, error=self._unmade[name], exc_info=error)
            return None

    def find(self, cls: type[S]) -> S:
        """The service of this class. Raises `LookupError`."""
        for runner in self.runners:
            if type(runner.service) is cls:
                return runner.service
        raise LookupError(f"the service {cls.__name__} is not running")

    def find_for(self, plugin: LoadedPlugin, cls: type[S]) -> S:
        """The same for a plugin that asks: its own services, and those of the plugins its manifest names."""
        service = self.find(cls)
        uses = plugin.manifest.permissions.services if plugin.manifest is not None else ()
        if self._owners[cls] not in (plugin.name, *uses):
            raise PermissionError(
                f"{plugin.name}: {self._owners[cls]} is not declared in menwei-plugin.yaml (permissions.services)"
            )
        return service

    def repairs(self) -> list[Repair]:
        found = [
            Repair(f"service:{name}", "repair.service", {"service": name, "detail": why}, "error")
            for name, why in self._unmade.items()
        ]
        return found + [repair for runner in self.runners for repair in runner.repairs()]


def in_order(plugins: Mapping[str, LoadedPlugin]) -> list[LoadedPlugin]:
    """As configured, but each behind the plugins whose services its manifest names. Of two that name each other, the one
    that is configured first comes second."""
    placed: dict[str, LoadedPlugin] = {}

    def place(plugin: LoadedPlugin, waiting: frozenset[str]) -> None:
        uses = plugin.manifest.permissions.services if plugin.manifest is not None else ()
        for name in uses:
            if name in plugins and name not in placed and name not in waiting:
                place(plugins[name], waiting | {name})
        placed.setdefault(plugin.name, plugin)

    for plugin in plugins.values():
        place(plugin, frozenset({plugin.name}))
    return list(placed.values())


async def _review(
    name: str,
    plugin: LoadedPlugin,
    service: Service | None,
    tx: Transaction,
    changes: Sequence[Change],
    actor: Actor,
) -> None:
    if service is None:
        raise NotReviewed(f"{name} is configured and could not be made", service=name)
    await service.review(OwnReading(tx.connection, plugin.name, plugin.schema or MetaData()), changes, actor)


async def alone(call: Callable[[], Awaitable[None]]) -> BaseException | None:
    """Run foreign code in a task of its own until it ends; returns why, None when it simply returned. When this task is
    cancelled, the code has `ENDING` seconds to end too."""
    task = asyncio.create_task(_kept(call))
    try:
        await asyncio.wait({task})
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=ENDING)
        if not task.done():
            log.error("a service ignores its cancellation and is left behind", seconds=ENDING)
            _abandoned.add(task)
            task.add_done_callback(_abandoned.discard)
    return task.result()


async def _kept(call: Callable[[], Awaitable[None]]) -> BaseException | None:
    try:
        await call()
    except BaseException as error:  # the one place that turns every ending of foreign code into a value
        return error
    return None
