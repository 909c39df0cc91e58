"""From the config to the objects of plugins: drivers, recognizers, policies and notifiers, each with its options.

What cannot be made stands in for itself: a device or recognizer that says why it is not there, a policy that is missing
(and so denies), a notifier that is left out. `problems` name each place in the config.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from menwei.announcement import clean
from menwei.boardchecks import abilities
from menwei.boardfacts import BoardAbilities
from menwei.boardplan import alone
from menwei.checking import objections
from menwei.config import Problem
from menwei.context import Repair
from menwei.loader import LoadedPlugin
from menwei.memory import Memories
from menwei.model import DeviceInfo
from menwei.notify import NotifierRunner
from menwei.plugin import Driver, Policy, Recognizer
from menwei.recognizers import Wanted
from menwei.reports import Report
from menwei.supervisor import Ready, Supervised

if TYPE_CHECKING:
    from menwei.house import Menwei

log = structlog.get_logger(__name__)


class Making:
    """Used by one house, which calls `begin` whenever it reads its config, and then asks for what is configured now."""

    def __init__(self, house: Menwei, memories: Memories) -> None:
        self._house = house
        self._memories = memories
        self._found: list[Problem] = []
        self._of_notifiers: list[Problem] = []
        self._unmade: dict[str, str] = {}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the options of drivers, recognizers, policies and notifiers."""
        return (*self._found, *self._of_notifiers)

    def begin(self) -> None:
        """Forget what was wrong with the config before."""
        self._found = []

    # ------------------------------------------------------------------------------------------------------- devices

    def card_formats(self) -> frozenset[str]:
        """What the drivers of this site's devices deliver beyond the formats that are always enrolled."""
        drivers = self._drivers()
        used = [
            drivers[section.driver][1]
            for section in self._house.settings.devices.values()
            if section.driver in drivers
        ]
        return frozenset[str]().union(*(cls.card_formats for cls in used))

    def board_abilities(self) -> dict[str, BoardAbilities]:
        """Of each device whose board may decide, by device id."""
        drivers = {name: cls for name, (_, cls) in self._drivers().items()}
        found, faults = abilities(self._house.loaded, drivers)
        self._found += [self._house.loaded.problem(fault) for fault in faults]
        return found

    def supervised(self) -> dict[str, Supervised]:
        """Every device of the config, by its id."""
        house, drivers, wanted = self._house, self._drivers(), {}
        for device, section in house.settings.devices.items():
            if section.driver not in drivers:
                wanted[device] = Supervised(partial(_no_driver, section.driver), settings=section)
                continue
            plugin, cls = drivers[section.driver]
            options = house.loaded.check_plugin_options(("devices", device), cls.Config)
            if isinstance(options, list):
                self._found += options
                wanted[device] = Supervised(partial(_wrong_options, options), settings=section)
                continue
            # A door that is new or changed knows neither contact nor lock: its device says all that when it connects.
            doors = tuple(door for door in house.site.doors.values() if door.device == device)
            make = partial(self._driver, device, plugin, cls, options)
            deciding = alone(house.site, device)
            wanted[device] = Supervised(make, settings=(section, options, doors, deciding))
        return wanted

    def _drivers(self) -> dict[str, tuple[LoadedPlugin, type[Driver]]]:
        return {cls.name: (plugin, cls) for plugin in self._house.plugins.values() for cls in plugin.drivers}

    def _driver(
        self, device: str, plugin: LoadedPlugin, cls: type[Driver], options: Any, announce: Ready
    ) -> Driver:
        house = self._house
        context = replace(
            house.context(plugin),
            memory=self._memories.of(device),
            device=device,
            alone=alone(house.site, device),
        )
        return cls(context, options, house.devices.reports(device, cls.identifiers, announce))

    # -------------------------------------------------------------------------- recognizers, policies and notifiers

    def recognizers(self) -> dict[str, Wanted]:
        """One of each class the plugins bring, under its plugin's options; those that serve no access point too, so
        that what is configured and cannot work is seen before a camera is."""
        house, wanted = self._house, {}
        for plugin in house.plugins.values():
            for cls in plugin.recognizers:
                options = house.loaded.check_plugin_options(("plugins", plugin.name), cls.Config)
                name = f"{plugin.name}.{cls.name}"
                if isinstance(options, list):
                    self._found += options
                    wanted[name] = Wanted(cls, partial(_wrong_recognizer, options), options)
                    continue
                points = house.site.access_points.values()
                self._found += objections(house.loaded, plugin, cls, options, points, house.messages.t)
                wanted[name] = Wanted(cls, partial(cls, house.context(plugin), options), options)
        return wanted

    def policies(self) -> tuple[dict[str, Policy], dict[str, str]]:
        """The configured policies, and why those are missing that cannot be had: a door that names one denies."""
        house = self._house
        made: dict[str, Policy] = {}
        missing: dict[str, str] = {}
        for name, section in house.settings.policies.items():
            plugin_name, _, class_name = section.policy.partition(".")
            plugin = house.plugins.get(plugin_name)
            cls = next((cls for cls in plugin.policies if cls.name == class_name), None) if plugin else None
            if plugin is None or cls is None:
                missing[name] = f"{section.policy}: " + (
                    plugin.error if plugin and plugin.error else "not provided by any loaded plugin"
                )
                continue
            options = house.loaded.check_plugin_options(("policies", name), cls.Config)
            if isinstance(options, list):
                self._found += options
                missing[name] = "; ".join(problem.text("en") for problem in options)
                continue
            try:
                made[name] = cls(house.context(plugin), options)
            except (Exception, SystemExit) as error:
                log.error("policy could not be made", policy=name, error=f"{type(error).__name__}: {error}")
                missing[name] = f"{type(error).__name__}: {error}"
        return made, missing

    def notifiers(self) -> list[NotifierRunner]:
        """One of each class the plugins bring, not yet running."""
        house, runners = self._house, []
        self._of_notifiers, self._unmade = [], {}
        for plugin in house.plugins.values():
            for cls in plugin.notifiers:
                options = house.loaded.check_plugin_options(("plugins", plugin.name), cls.Config)
                if isinstance(options, list):
                    self._of_notifiers += options
                    continue
                name = f"{plugin.name}.{cls.name}"
                try:
                    notifier = cls(house.context(plugin), options)
                except (Exception, SystemExit) as error:
                    self._unmade[name] = f"{type(error).__name__}: {error}"
                    log.error("notifier could not be made", notifier=name, error=self._unmade[name])
                    continue
                runners.append(NotifierRunner(name, notifier, house.journal))
        return runners

    def repairs(self) -> list[Repair]:
        """Notifiers that could not be made: nothing is told to anybody through them."""
        return [
            Repair(f"notifier:{name}", "repair.notifier", {"notifier": name, "detail": clean(why)}, "error")
            for name, why in self._unmade.items()
        ]


def _no_driver(name: str, _announce: Callable[[DeviceInfo], None]) -> Driver:
    raise LookupError(f"no loaded plugin provides the driver {name!r}: is its plugin named under `plugins:`?")


def _wrong_options(problems: list[Problem], _announce: Callable[[DeviceInfo], None]) -> Driver:
    raise ValueError("; ".join(problem.text("en") for problem in problems))


def _wrong_recognizer(problems: list[Problem], _report: Report) -> Recognizer:
    raise ValueError("; ".join(problem.text("en") for problem in problems))


__all__ = ["Making"]
