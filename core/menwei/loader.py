"""Loads the plugins the config names, one at a time, so that a broken one is a named line and nothing else.

pluggy finds and registers; what it leaves open is closed here: one raising hook loses nobody else's answers, a
misspelt hook is named, an answer of the wrong type is named, and what is installed but not configured is never
imported.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
import sys
import traceback
from asyncio import CancelledError
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy
import structlog
import typer
from sqlalchemy import MetaData

from menwei import schema
from menwei.context import Config
from menwei.hookspecs import PROJECT, Hooks
from menwei.manifest import Explained, Failure, Found, Manifest, installed
from menwei.messages import Catalogue, Messages
from menwei.plugin import Driver, Finder, Notifier, Policy, Recognizer, Service
from menwei.routes import Route
from menwei.schema import Undeclared, check_declared
from menwei.version import API_VERSION

log = structlog.get_logger(__name__)

NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
"""What a class may be called: it stands in the config, in file names and in the journal."""


class PluginState(StrEnum):
    """How loading ended. The words for people are `plugin.state.<value>` in the catalogues."""

    OK = "ok"
    """Loaded; everything it registered can be used."""
    PARTIAL = "partial"
    """Imported, but one of its hooks failed or answered wrongly: what the others registered can be used."""
    MISSING = "missing"
    """The config names it and it is not installed."""
    UNREADABLE = "unreadable"
    """Its menwei-plugin.yaml is missing or has mistakes, so nobody knows what it wants. Not imported."""
    REFUSED = "refused"
    """Written for another version of the plugin API. Not imported."""
    BROKEN = "broken"
    """It could not be imported or registered. Nothing of it can be used."""


@dataclass(frozen=True, slots=True)
class LoadedPlugin:
    """A plugin of the config and what it registered. Where it failed the collections are simply empty, so whatever
    names its classes finds nothing, and denies."""

    name: str
    manifest: Manifest | None
    state: PluginState
    failures: tuple[Explained, ...] = ()
    package: str = ""
    drivers: tuple[type[Driver], ...] = ()
    finders: tuple[type[Finder], ...] = ()
    recognizers: tuple[type[Recognizer], ...] = ()
    policies: tuple[type[Policy], ...] = ()
    notifiers: tuple[type[Notifier], ...] = ()
    services: tuple[type[Service], ...] = ()
    schema: MetaData | None = None
    routes: tuple[Route, ...] = ()
    commands: typer.Typer | None = None
    words: Catalogue | None = None
    """Its sentences, when it has any that can be used."""

    @property
    def shows(self) -> frozenset[str]:
        """The journal kinds of its own that belong among the passages, as they stand in the journal."""
        if self.manifest is None or self.state is not PluginState.OK:  # then nobody has its words for them
            return frozenset()
        return frozenset(f"{self.package}.{kind}" for kind in self.manifest.permissions.shows)

    @property
    def error(self) -> str:
        """All failures in English, for logs; "" when there are none."""
        return "; ".join(failure.text("en") for failure in self.failures)

    def explain(self, language: str) -> str:
        return "\n".join(failure.text(language) for failure in self.failures)


def load(names: Iterable[str], found: Mapping[str, Found] | None = None) -> dict[str, LoadedPlugin]:
    """Load the plugins `names` (the keys of the config's `plugins:`), in order. Called once, at start, synchronously.

    Never raises for what a plugin does, save `KeyboardInterrupt`. `found` is `manifest.installed()` unless given.
    """
    found = installed() if found is None else found
    loaded: dict[str, LoadedPlugin] = {}
    messages = Messages()
    for name in names:
        plugin = _with_words(_unique_drivers(_load(name, found), loaded.values()), messages)
        for failure in plugin.failures:
            log.error(
                "plugin",
                plugin=name,
                state=str(plugin.state),
                error=failure.text("en"),
                trace=getattr(failure, "trace", ""),
            )
        loaded[name] = plugin
    return loaded


def _load(name: str, found: Mapping[str, Found]) -> LoadedPlugin:
    if name not in found:
        near = difflib.get_close_matches(name, found, 1)
        key = "plugin.missing_near" if near else "plugin.missing"
        return LoadedPlugin(
            name, None, PluginState.MISSING, (Failure(key, {"plugin": name, "near": "".join(near)}),)
        )
    here = found[name]
    manifest = here.manifest
    if manifest is None:
        return LoadedPlugin(name, None, PluginState.UNREADABLE, here.faults, here.package)
    if not manifest.api.contains(API_VERSION):
        values = {"plugin": name, "wants": str(manifest.api), "has": API_VERSION}
        return LoadedPlugin(
            name, manifest, PluginState.REFUSED, (Failure("plugin.api", values),), here.package
        )
    try:
        module = importlib.import_module(here.package)
    except (Exception, SystemExit, CancelledError) as error:
        failure = Failure("plugin.import", {"plugin": name, "error": _describe(error)}, _trace(error))
        return LoadedPlugin(name, manifest, PluginState.BROKEN, (failure,), here.package)
    return _Registration(name, manifest, module).plugin()


@dataclass(slots=True)
class _Registration:
    """Asks one imported plugin for all it has to register, and collects what went wrong on the way."""

    name: str
    manifest: Manifest
    module: ModuleType
    failures: list[Failure] = field(default_factory=list)

    def plugin(self) -> LoadedPlugin:
        # A manager for each plugin: its answers cannot be confused with another's, nor lost by another's exception.
        manager = pluggy.PluginManager(PROJECT)
        manager.add_hookspecs(Hooks)
        try:
            manager.register(self.module, name=self.name)
        except (Exception, SystemExit, CancelledError) as error:
            failure = Failure(
                "plugin.register", {"plugin": self.name, "error": _describe(error)}, _trace(error)
            )
            return LoadedPlugin(
                self.name, self.manifest, PluginState.BROKEN, (failure,), self.module.__name__
            )
        self._unknown_hooks(manager)
        plugin = LoadedPlugin(
            name=self.name,
            manifest=self.manifest,
            state=PluginState.OK,
            package=self.module.__name__,
            drivers=self._classes(manager, "register_drivers", Driver),
            finders=self._classes(manager, "register_finders", Finder),
            recognizers=self._classes(manager, "register_recognizers", Recognizer),
            policies=self._classes(manager, "register_policies", Policy),
            notifiers=self._classes(
                manager, "register_notifiers", Notifier, self._hears_only_what_it_declared
            ),
            services=self._classes(manager, "register_services", Service),
            schema=self._schema(manager),
            routes=self._routes(manager),
            commands=self._commands(manager),
        )
        if not self.failures:
            return plugin
        return replace(plugin, state=PluginState.PARTIAL, failures=tuple(self.failures))

    def _unknown_hooks(self, manager: pluggy.PluginManager) -> None:
        """Name every misspelt hook. `check_pending()` stops at the first one, so it only guards what is seen here."""
        hooks = [name for name in vars(Hooks) if name.startswith("register_")]
        for attribute in dir(self.module):
            options = manager.parse_hookimpl_opts(self.module, attribute)
            hook = options and (options.get("specname") or attribute)
            if hook and hook not in hooks:
                near = difflib.get_close_matches(hook, hooks, 1)
                self._fail(
                    "plugin.hook_unknown_near" if near else "plugin.hook_unknown", hook, near="".join(near)
                )
        try:
            manager.check_pending()
        except pluggy.PluginValidationError as error:
            if not self.failures:
                self._fail("plugin.register", "", error=str(error))

    def _ask(self, manager: pluggy.PluginManager, hook: str) -> tuple[bool, Any]:
        """(whether the plugin answers this hook and did not fail, its answer)."""
        caller = getattr(manager.hook, hook)
        if not caller.get_hookimpls():
            return False, None
        try:
            answers = caller()
        except (Exception, SystemExit, CancelledError) as error:
            self._fail("plugin.hook_raised", hook, error=_describe(error), trace=_trace(error))
            return False, None
        return True, answers[0] if answers else None  # pluggy leaves a None out of its answers

    def _classes(
        self,
        manager: pluggy.PluginManager,
        hook: str,
        base: Any,
        check: Callable[[Any], str] = lambda _: "",
    ) -> tuple[Any, ...]:
        """The classes of one hook that can be used; `base` is the abstract class they must derive from."""
        answered, answer = self._ask(manager, hook)
        if not answered:
            return ()
        if not isinstance(answer, list | tuple):
            self._wrong(hook, answer, f"list[type[{base.__name__}]]")
            return ()
        good: dict[str, Any] = {}
        for cls in answer:
            fits = isinstance(cls, type) and issubclass(cls, base)
            if not fits:
                self._wrong(hook, cls, f"type[{base.__name__}]")
            elif trouble := _trouble(cls, base) or check(cls):
                self._fail("plugin.class", hook, cls=cls.__qualname__, error=trouble)
            elif cls.name in good:
                self._fail(
                    "plugin.class", hook, cls=cls.__qualname__, error=f"the name {cls.name} is used twice"
                )
            else:
                good[cls.name] = cls
        return tuple(good.values())

    def _hears_only_what_it_declared(self, cls: type[Notifier]) -> str:
        hears = getattr(cls, "hears", None)
        if not isinstance(hears, frozenset):
            return "`hears` must be a frozenset of journal kinds"
        undeclared = sorted(hears - set(self.manifest.permissions.facts))
        return (
            f"hears {', '.join(undeclared)}, not declared in menwei-plugin.yaml (permissions.facts)"
            if undeclared
            else ""
        )

    def _schema(self, manager: pluggy.PluginManager) -> MetaData | None:
        answered, answer = self._ask(manager, "register_schema")
        if not answered:
            return None
        if not isinstance(answer, MetaData):
            self._wrong("register_schema", answer, "MetaData")
            return None
        strangers = sorted(set(answer.tables) - set(self.manifest.permissions.tables))
        if strangers:
            self._fail(
                "plugin.undeclared", "register_schema", permission="tables: [" + ", ".join(strangers) + "]"
            )
            return None
        own = f"{self.manifest.name}_"
        core = schema.metadata.tables
        foreign = sorted(name for name in answer.tables if not name.startswith(own) or name in core)
        if foreign:  # the core's, or another plugin's: rights are given by their one writer alone
            error = f"{', '.join(foreign)}: a table of a plugin is called {own}…"
            self._fail("plugin.schema", "register_schema", error=error)
            return None
        try:
            check_declared(answer)
        except Undeclared as error:
            self._fail("plugin.schema", "register_schema", error=str(error))
            return None
        return answer

    def _routes(self, manager: pluggy.PluginManager) -> tuple[Route, ...]:
        answered, answer = self._ask(manager, "register_routes")
        if not answered:
            return ()
        if not isinstance(answer, list | tuple) or not all(isinstance(route, Route) for route in answer):
            self._wrong("register_routes", answer, "list[Route]")
            return ()
        if answer and not self.manifest.permissions.pages:
            self._fail("plugin.undeclared", "register_routes", permission="pages")
            return ()
        return tuple(answer)

    def _commands(self, manager: pluggy.PluginManager) -> typer.Typer | None:
        answered, answer = self._ask(manager, "register_commands")
        if answered and not isinstance(answer, typer.Typer):
            self._wrong("register_commands", answer, "typer.Typer")
            return None
        return answer if answered else None

    def _wrong(self, hook: str, answer: object, wanted: str) -> None:
        got = answer.__name__ if isinstance(answer, type) else type(answer).__name__
        self._fail("plugin.hook_answer", hook, got=got, wanted=wanted)

    def _fail(self, key: str, hook: str, trace: str = "", **values: str) -> None:
        self.failures.append(Failure(key, {"plugin": self.name, "hook": hook, **values}, trace))


def _trouble(cls: Any, base: Any) -> str:
    """What is wrong with a class that a hook gave, "" when nothing is."""
    if inspect.isabstract(cls):
        return f"does not define {', '.join(sorted(cls.__abstractmethods__))}"
    name = getattr(cls, "name", None)
    if not isinstance(name, str) or not NAME.fullmatch(name):
        return f"`name` must be lower case letters, digits, _ and -; it is {name!r}"
    if "Config" in base.__annotations__:
        config = getattr(cls, "Config", None)
        if not (isinstance(config, type) and issubclass(config, Config)):
            return "`Config` must be a subclass of menwei.Config"
    for attribute in ("card_formats", "decides", "inputs", "identifiers"):
        if hasattr(base, attribute) and not isinstance(getattr(cls, attribute), frozenset):
            return f"`{attribute}` must be a frozenset"
    if not (cls.__dict__.get("__doc__") or "").strip():
        return "has no docstring: say when it is called and what happens when it fails"
    return ""


def _unique_drivers(plugin: LoadedPlugin, earlier: Iterable[LoadedPlugin]) -> LoadedPlugin:
    """The config names a driver without its plugin, so a driver's name belongs to the plugin that was first."""
    owners = {cls.name: other.name for other in earlier for cls in other.drivers}
    clashes = [cls for cls in plugin.drivers if cls.name in owners]
    if not clashes:
        return plugin
    failures = tuple(
        Failure("plugin.driver_twice", {"plugin": plugin.name, "driver": cls.name, "owner": owners[cls.name]})
        for cls in clashes
    )
    drivers = tuple(cls for cls in plugin.drivers if cls not in clashes)
    return replace(plugin, state=PluginState.PARTIAL, failures=plugin.failures + failures, drivers=drivers)


def _with_words(plugin: LoadedPlugin, messages: Messages) -> LoadedPlugin:
    """With its sentences, unless they cannot be read or are somebody else's. `messages` has those of the plugins before."""
    folders = getattr(sys.modules.get(plugin.package), "__path__", ())
    if not any((Path(folder) / "locale").is_dir() for folder in folders):
        return plugin
    try:
        return replace(plugin, words=messages.add(plugin.package))
    except Exception as error:  # whatever stands in the file
        state = PluginState.PARTIAL if plugin.state is PluginState.OK else plugin.state
        failure = Failure("plugin.catalogue", {"plugin": plugin.name, "error": str(error)})
        return replace(plugin, state=state, failures=(*plugin.failures, failure))


@dataclass(frozen=True, slots=True)
class PluginRow:
    """A line of `menwei plugins`. `asked` are the permissions of the manifest, `allowed` those it has."""

    name: str
    version: str
    state: PluginState | None
    error: str
    asked: tuple[str, ...]
    allowed: tuple[str, ...]


def plugins_table(
    loaded: Mapping[str, LoadedPlugin],
    allow: Mapping[str, Collection[str]],
    found: Mapping[str, Found] | None = None,
    language: str = "en",
) -> list[PluginRow]:
    """The configured plugins in order, then those that are installed only (`state` None: never imported).

    `allow` is what the config allows each plugin (`plugins: {name: {allow: [rights]}}`).
    """
    found = installed() if found is None else found
    rows = [_row(plugin, allow.get(plugin.name, ()), language) for plugin in loaded.values()]
    for name in sorted(found.keys() - loaded.keys()):
        manifest = found[name].manifest
        if manifest is None:
            rows.append(
                PluginRow(
                    name,
                    "",
                    PluginState.UNREADABLE,
                    "\n".join(fault.text(language) for fault in found[name].faults),
                    (),
                    (),
                )
            )
        else:
            rows.append(PluginRow(name, manifest.version, None, "", manifest.permissions.asked(), ()))
    return rows


def _row(plugin: LoadedPlugin, allow: Collection[str], language: str) -> PluginRow:
    version = plugin.manifest.version if plugin.manifest else ""
    asked = plugin.manifest.permissions.asked() if plugin.manifest else ()
    allowed = plugin.manifest.permissions.allowed(allow) if plugin.manifest else ()
    return PluginRow(plugin.name, version, plugin.state, plugin.explain(language), asked, allowed)


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _trace(error: BaseException) -> str:
    """Without the values of local variables: among them may be secrets."""
    return "".join(traceback.format_exception(error))
