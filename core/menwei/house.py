"""One site, running: opens the data, loads the plugins, joins doors, devices and the line, and ends them in order.

`Menwei` is the composition root and nothing else: what it joins lives in the modules it imports. Everything that asks
for services (the HTTP API, commands, plugins' contexts) gets them from here.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import structlog

from menwei import anew
from menwei.access import Line
from menwei.accounts import Accounts, keep
from menwei.adoption import Adoption, AdoptionError, NewDoor, adopt, forget, probe
from menwei.background import Services
from menwei.boardlog import BoardLog
from menwei.boards import Boards
from menwei.certificate import CertificateTrouble
from menwei.clock import TrustedClock
from menwei.config import Loaded, Problem, build_site, load
from menwei.context import Context, Repair
from menwei.devices import Devices
from menwei.discovery import Discovery
from menwei.doors import DoorRuntime, Doors, left_in
from menwei.explain import Explanation, explain
from menwei.granting import PluginSite, grants
from menwei.journal import Entry, Journal, Position
from menwei.journal_keys import MachineKeys
from menwei.journal_place import Standing
from menwei.keys import Keys
from menwei.loader import LoadedPlugin, PluginRow, plugins_table
from menwei.loader import load as load_plugins
from menwei.making import Making
from menwei.manifest import available, installed
from menwei.memory import Memories
from menwei.messages import Messages
from menwei.model import Actor, CredentialIdentifier, DeviceInfo, Document, DoorMode, Feedback
from menwei.panel import Panel
from menwei.pending import Pendings, PinTries, Repeats
from menwei.people import SURE_FORMATS, People
from menwei.plugin import Driver, Passage, Service
from menwei.queues import Queues
from menwei.recognizers import Recognizers
from menwei.reloading import against, compiled
from menwei.repairs import collect
from menwei.reports import Discovered
from menwei.rights import Rights
from menwei.settings import Settings
from menwei.site import Site
from menwei.store import Store
from menwei.supervisor import Supervisor
from menwei.upkeep import Upkeep
from menwei.watchdog import Watchdog

log = structlog.get_logger(__name__)

FIRE = Actor("fire input", "fire", "input")
S = TypeVar("S", bound=Service)


class ConfigRefused(Exception):
    """The configuration has problems, and half of one is not used. `problems` name each place."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(problem.text("en") for problem in problems))
        self.problems = problems


class Menwei:
    """The running site. `open` reads and checks, `start` begins to serve doors, `stop` ends in reverse."""

    # Set in `open`, in the order of dependence; `making.py` makes what the plugins bring.
    loaded: Loaded
    site: Site
    data: Path
    keys: Keys
    store: Store
    journal: Journal
    clock: TrustedClock
    rights: Rights
    people: People
    accounts: Accounts
    messages: Messages
    plugins: Mapping[str, LoadedPlugin]
    supervisor: Supervisor
    devices: Devices
    boards: Boards
    board_log: BoardLog
    doors: Doors
    line: Line
    recognizers: Recognizers
    discovery: Discovery
    upkeep: Upkeep | None = None
    """Once started."""
    first_password: str | None = None
    """The admin's password, once, when this start made the account."""

    def __init__(
        self, path: Path, wall: Callable[[], float] = time.time, tell: Callable[[str], None] = keep
    ) -> None:
        self.path = path
        self._wall = wall
        self._tell = tell
        self._stack = AsyncExitStack()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._queues: Queues | None = None
        self._overflows: set[str] = set()
        self.services = Services()
        self.web_trouble: CertificateTrouble | None = None
        """Why the console is served to this machine only, although it is configured for others. Set by `serving.py`."""
        self.socket: Standing | None = None
        """The program's own, in its data folder, while it serves. Set by `serving.py`."""
        self.made_anew: tuple[str, ...] = ()
        """Files of the data that were gone at a start, and that nobody has seen to."""
        self.modes_unknown = ""
        """Why nobody knows in which modes the doors were left: the journal could not be read. Until the next start."""

    # ---------------------------------------------------------------------------------------------------------- begin

    @classmethod
    async def open(
        cls, path: Path, *, wall: Callable[[], float] = time.time, tell: Callable[[str], None] = keep
    ) -> Menwei:
        """Read the configuration and open the data. Raises `ConfigRefused`, `KeyTrouble`, `StoreLocked`; then nothing
        is left open. `wall` is the machine's clock; demonstrations and tests bring their own. `tell` shows somebody the
        admin's first password, when this opening makes the account: nothing else ever does."""
        house = cls(path, wall, tell)
        try:
            await house._open()
        except BaseException:
            try:
                await house._stack.aclose()
            except Exception as second:  # told here: the first says why nothing opened
                log.error("ending what was begun failed too", error=f"{type(second).__name__}: {second}")
            raise
        return house

    async def _open(self) -> None:
        self.loaded = load(self.path)
        if self.loaded.config is None:
            raise ConfigRefused(self.loaded.problems)
        settings = self.loaded.config
        self.site = build_site(settings)
        self.data = self.loaded.data
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.made_anew = anew.look(self.data)
        self.keys = Keys.open(self.data)
        self.store = await Store.open(self.data / "store.db")
        self._stack.push_async_callback(self.store.close)
        self.journal = await Journal.open(self.data / "journal.db", self.site.id, MachineKeys(self.keys))
        self._stack.push_async_callback(self.journal.close)
        self.clock = TrustedClock(self.journal.last_at, self._wall)
        self.rights = Rights(self.store, self.keys, now=self.clock.now)
        await self.rights.load()
        if problems := against(self.loaded, self.rights.snapshot.stores, ()):
            raise ConfigRefused(problems)
        self.rights.snapshot.set_config_profiles(list(self.site.profiles))
        self.people = People(self.store, self.rights, self.keys)
        self.accounts = Accounts(self.store, self.keys, now=self.clock.now)
        self.first_password = await self.accounts.create_first(self._tell)
        self._making = Making(self, Memories(self.data / "devices"))
        self.messages = Messages()
        found = installed()
        self.plugins = load_plugins(settings.plugins, found)
        for plugin in self.plugins.values():
            await self._welcome(plugin)
        self.supervisor = Supervisor({})
        sentence = partial(self.messages.says, self.site.language)
        self.devices = Devices(self.site, self.supervisor, self.journal, self.clock, sentence)
        self.boards = Boards(self.rights, self.keys, self.journal, self.clock, self.supervisor)
        self.board_log = BoardLog(
            self.site, self.rights.snapshot, self.keys, self.journal, self.clock, self.boards.learn
        )
        self.devices.merge = self.board_log.merge
        self.schedules = compiled(settings, self.site, self.clock.now())
        self.recognizers = Recognizers(self.journal, self.clock, self._show)
        self.line = self._line()
        self.recognizers.view = self.rights.snapshot
        self.recognizers.times = lambda: self.schedules
        self.services.make(self.plugins, self._service_options, self.context, self.rights)
        await self._assemble()
        self.discovery = Discovery(
            settings.discovery.interfaces, self._finders(), available(found), wake=self.supervisor.wake
        )

    async def _welcome(self, plugin: LoadedPlugin) -> None:
        """A loaded plugin's words and tables."""
        if not plugin.package or plugin.package not in sys.modules:
            return
        folder = Path(next(iter(sys.modules[plugin.package].__path__)))
        if plugin.words is not None:
            self.messages.include(plugin.words)
        if plugin.schema is not None:
            await self.store.migrate(plugin.name, plugin.schema, folder / "migrations")

    async def start(self) -> None:
        """Begin to serve: devices connect, doors obey, notifiers follow. Returns before any device is ready."""
        settings = self.loaded.config
        assert settings is not None
        watchdog = Watchdog(packages=[plugin.package for plugin in self.plugins.values() if plugin.package])
        watchdog.start()
        self._stack.callback(watchdog.stop)
        self.audit_later(
            Actor("menwei", "operator", "program"), "start", {"clock_behind": round(self.clock.behind)}
        )
        await self.supervisor.start()
        self._stack.push_async_callback(self.supervisor.stop)
        self._stack.callback(self.devices.close)
        self._stack.callback(self.board_log.close)
        self.boards.start()
        self._stack.push_async_callback(self.boards.stop)
        self._stack.callback(self.line.pendings.close)
        self.upkeep = Upkeep(self)
        self.notifiers = notifiers = self._making.notifiers()
        services = self.services.runners
        for work in (
            self.upkeep.run(),
            *(runner.run() for runner in notifiers),
            *(runner.run() for runner in services),
        ):
            self._spawn(work)
        self._stack.push_async_callback(self._end_tasks)
        await self.recognizers.start()
        self._stack.push_async_callback(self.recognizers.stop)
        await self.discovery.start()
        self._stack.push_async_callback(self.discovery.stop)

    async def stop(self) -> None:
        """End everything that `open` and `start` began, newest first. What was recorded is on disk afterwards."""
        for door in self.doors.values():
            door.close()
        await self._stack.aclose()

    # ----------------------------------------------------------------------------------------------- doors and devices

    def _line(self) -> Line:
        return Line(
            points=self.site.access_points, doors={}, view=self.rights.snapshot, times=self.schedules, hashes=self.keys,
            panel=Panel({}), journal=self.journal, clock=self.clock, pendings=Pendings(), tries=PinTries(), repeats=Repeats(),
            show=self._show, expect=self.recognizers.expect, journal_required=self.settings.journal.required,
        )  # fmt: skip

    @property
    def settings(self) -> Settings:
        """The config as it was read last."""
        assert self.loaded.config is not None
        return self.loaded.config

    async def _assemble(self) -> None:
        """Join the site's doors, policies and devices; called at start and after an adoption. A door whose lock is the
        same goes on as it is, with its timers and alarms."""
        modes, unknown = await left_in(self.journal)
        self.modes_unknown = self.modes_unknown or unknown
        before = getattr(self, "doors", Doors())
        self.doors = Doors()
        for facts in self.site.doors.values():
            old = before.get(facts.id)
            if old is not None and (old.facts.device, old.facts.lock) == (facts.device, facts.lock):
                old.facts = facts  # its times and sides may be others now; what goes on there is the same
                self.doors[facts.id] = old
                continue
            door = DoorRuntime(
                facts, self.devices, self.journal, self.clock, partial(self._taken), self._show
            )
            if facts.id in modes:
                door.restore(modes[facts.id])
            self.doors[facts.id] = door
        for old in before.values():
            if self.doors.get(old.facts.id) is not old:
                old.retire()
        self._making.begin()
        policies, missing = self._making.policies()
        self.line.points = self.site.access_points
        self.line.doors = self.doors
        self.line.panel = Panel(policies, missing)
        self._restart_queues()  # at once: nobody at the doors waits for the boards, or for one that makes trouble
        self.devices.site = self.site
        self.devices.doors = self.doors
        self.devices.on_fire = self._fire
        self.people.formats = SURE_FORMATS | self._making.card_formats()
        self.board_log.site, self.board_log.doors = self.site, self.doors
        self.people.board_formats = await self.boards.replace(
            self.site, self._making.board_abilities(), frozenset(self.settings.devices), self.doors
        )
        await self.supervisor.replace(self._making.supervised())
        await self.recognizers.replace(self._making.recognizers(), self.site.access_points)

    def _restart_queues(self) -> None:
        queues = Queues(self.line, self._overflow)
        if self._queues is not None:
            self._queues.hand_over(queues)
        self._queues = queues
        self.devices.submit = self.recognizers.submit = queues.submit
        self._spawn(queues.run())

    def context(self, plugin: LoadedPlugin) -> Context:
        """What an object of `plugin` is handed: only what its manifest declares and the config allows."""
        allow = self.settings.plugins[plugin.name].allow
        allowed = plugin.manifest.permissions.allowed(allow) if plugin.manifest is not None else ()
        return Context(
            plugin.name, structlog.get_logger(plugin.name), self.clock, granted=grants(plugin, allowed, self, self.keys, self.data),
            view=PluginSite(self), find_service=partial(self.services.find_for, plugin),
        )  # fmt: skip

    def _service_options(self, plugin: LoadedPlugin, cls: type[Service]) -> Any:
        return self.loaded.check_plugin_options(("plugins", plugin.name), cls.Config)

    def service(self, cls: type[S]) -> S:
        """The running service of a plugin. Raises `LookupError`."""
        return self.services.find(cls)

    def _finders(self) -> list[Any]:
        return [cls for plugin in self.plugins.values() for cls in plugin.finders]

    # -------------------------------------------------------------------------------------------------- what is called

    async def reload(self) -> None:
        """Read the files again and apply what differs: doors and devices that did not change are not touched. Raises
        `ConfigRefused` and then changes nothing. Plugins, the web address and the site itself need a restart."""
        loaded = self._read(self.path)
        if loaded.config is None:
            raise ConfigRefused(loaded.problems)
        site = build_site(loaded.config)
        schedules = compiled(loaded.config, site, self.clock.now())
        # Whatever may refuse stands above, so that no new site is left beside an old line.
        self.rights.snapshot.set_config_profiles(list(site.profiles))
        self.loaded, self.site = loaded, site
        self.schedules = self.line.times = schedules
        await self._assemble()

    def _read(self, path: Path, *, adopted: Path | None = None) -> Loaded:
        """`config.load`, and what the running site has against the config."""
        loaded = load(path, adopted=adopted)
        problems = against(loaded, self.rights.snapshot.stores, self.plugins)
        return replace(loaded, config=None, problems=problems) if problems else loaded

    def recompile_schedules(self) -> None:
        """Once a day, off the decision line: swapped in as a whole."""
        self.schedules = self.line.times = compiled(self.settings, self.site, self.clock.now())

    async def accept_clock(self) -> float:
        """Go by the machine's clock although it is behind, on a person's word; the caller audits. Returns by how many
        seconds it was behind, 0 when there was nothing to accept."""
        behind = self.clock.behind
        if behind:
            self.clock.accept()
            self.recompile_schedules()
            await self.accounts.end_later()
        return behind

    async def adopt(
        self, device: str, id: str, doors: Sequence[NewDoor] = (), settings: Mapping[str, Any] | None = None
    ) -> Adoption:
        """Test the connection to a discovered device, write it into adopted.yaml and begin to use it. Raises `KeyError`
        when nothing of that id is discovered, `AdoptionError` with a sentence for the installer; then nothing is
        written."""
        found, driver = self._discovered(device)
        adopted = await adopt(
            found, driver, self.path, id=id, settings=settings, doors=doors, read=self._read
        )
        await self.reload()
        return adopted

    async def probe(self, device: str, settings: Mapping[str, Any] | None = None) -> DeviceInfo:
        """Test the connection to a discovered device and write nothing. Raises `KeyError`, `AdoptionError`."""
        return await probe(*self._discovered(device), settings)

    def _discovered(self, device: str) -> tuple[Discovered, type[Driver]]:
        found = self.discovery.devices[device]
        drivers = (cls for plugin in self.plugins.values() for cls in plugin.drivers)
        driver = next((cls for cls in drivers if cls.name == found.driver), None)
        if driver is None:
            raise AdoptionError("adopt.no_driver", driver=found.driver)
        return found, driver

    async def forget(self, id: str) -> tuple[str, ...]:
        """Take an adopted device out again, with its doors; returns their ids. Raises `AdoptionError`."""
        doors = await forget(self.path, id)
        await self.reload()
        return doors

    def drivers(self) -> dict[str, str]:
        """Device id → driver name, for every device of the config."""
        return {id: section.driver for id, section in self.settings.devices.items()}

    def plugin_rows(self, language: str) -> list[PluginRow]:
        """The configured plugins, then those that are only installed."""
        allow = {name: section.allow for name, section in self.settings.plugins.items()}
        return plugins_table(self.plugins, allow, language=language)

    def shows(self) -> frozenset[str]:
        """The plugins' journal kinds that stand among the passages (`permissions.shows`)."""
        return frozenset(kind for plugin in self.plugins.values() for kind in plugin.shows)

    async def capture(self, device: str, reader: str, seconds: float) -> CredentialIdentifier:
        """The next card at a chosen reader, for enrolment; see `Devices.capture`."""
        return await self.devices.capture(device, reader, seconds)

    async def capture_document(self, device: str, reader: str, seconds: float) -> Document:
        """The next identity document at a chosen enrolment reader; see `Devices.capture_document`."""
        return await self.devices.capture_document(device, reader, seconds)

    async def explain(self, holder: int, access_point: str, at: float | None = None) -> Explanation:
        """Would this person pass, and if not, why? Raises `KeyError` for an unknown holder or access point."""
        return await explain(self, holder, access_point, self.clock.now() if at is None else at)

    async def audit(
        self, actor: Actor, action: str, data: Mapping[str, Any], personal: Mapping[str, Any] | None = None
    ) -> Position | None:
        """Record that somebody looked at or changed something; in the same chain as the passages."""
        return await self.journal.record(self._audit_entry(actor, action, data, personal))

    def audit_later(self, actor: Actor, action: str, data: Mapping[str, Any]) -> None:
        self.journal.post(self._audit_entry(actor, action, data, None))

    def _audit_entry(
        self, actor: Actor, action: str, data: Mapping[str, Any], personal: Mapping[str, Any] | None
    ) -> Entry:
        open_part = {"action": action, "role": actor.role, "by": actor.kind, **data}
        return Entry(
            "Audit", self.clock.now(), data=open_part, personal={"actor": actor.name, **(personal or {})}
        )

    def repairs(self) -> list[Repair]:
        """Everything a person could mend, from the core, the plugins and the devices."""
        return collect(self)

    @property
    def option_problems(self) -> tuple[Problem, ...]:
        """What is wrong with the options of drivers, policies and notifiers, each at its place."""
        return (*self.services.option_problems, *self._making.problems)

    @property
    def unmade(self) -> list[Repair]:
        """Notifiers that could not be made."""
        return self._making.repairs()

    def say(self, key: str, **values: Any) -> str:
        """A sentence in the site's language."""
        return self.messages.t(self.site.language, key, **values)

    # ---------------------------------------------------------------------------------------------------------- inside

    def _show(self, access_point: str, feedback: Feedback) -> None:
        if point := self.site.access_points.get(access_point):
            self.devices.show(point, feedback)

    def _taken(self, passage: Passage) -> None:
        point, door = self.site.access_points.get(passage.access_point), self.doors.get(passage.door)
        if point and door and (names := point.policies + door.facts.policies):
            self._spawn(self.line.panel.taken(names, passage))

    def _fire(self, door: str) -> None:
        self._spawn(self.line.command(door, DoorMode.LOCKED_OPEN, FIRE, "fire"))

    def _overflow(self, access_point: str) -> None:
        if access_point not in self._overflows:
            self._overflows.add(access_point)
            log.error("too many reads at once; some are dropped", access_point=access_point)
        self.journal.post(
            Entry("ReadsDropped", self.clock.now(), self.site.access_points[access_point].door, access_point)
        )

    def _spawn(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task of the house failed", error=f"{type(error).__name__}: {error}", exc_info=error)

    async def _end_tasks(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


__all__ = ["ConfigRefused", "Menwei"]
