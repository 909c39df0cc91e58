"""`menwei check`: everything that would be wrong at a start, found before the doors are.

The files first (`config.py`); when they are in order, the plugins they name are loaded and the options of every device,
policy and plugin are checked against the plugin's own models. Nothing is connected and no data is opened.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from menwei.config import Loaded, Problem, load
from menwei.loader import LoadedPlugin, PluginState
from menwei.loader import load as load_plugins
from menwei.plugin import Driver
from menwei.problems import Fault
from menwei.site import build_site


def check_all(config: Path) -> list[Problem]:
    """Every problem, in the order of the file; empty when the site can start as it is configured."""
    loaded = load(config)
    if loaded.config is None:
        return list(loaded.problems)
    plugins = load_plugins(loaded.config.plugins)
    found = [
        *_plugins(loaded, plugins),
        *_drivers(loaded, plugins),
        *_policies(loaded, plugins),
        *_notifiers(loaded, plugins),
        *_cameras(loaded, plugins),
    ]
    return sorted(found, key=lambda problem: (problem.file, problem.line, problem.column))


def _plugins(loaded: Loaded, plugins: Mapping[str, LoadedPlugin]) -> list[Problem]:
    broken = [plugin for plugin in plugins.values() if plugin.state is not PluginState.OK]
    return [
        loaded.problem(Fault(("plugins", plugin.name), "config.plugin_failed", {"detail": plugin.error}))
        for plugin in broken
    ]


def _drivers(loaded: Loaded, plugins: Mapping[str, LoadedPlugin]) -> list[Problem]:
    assert loaded.config is not None
    drivers = {cls.name: cls for plugin in plugins.values() for cls in plugin.drivers}
    found: list[Problem] = []
    for device, section in loaded.config.devices.items():
        if section.driver not in drivers:
            names = {"driver": section.driver, "known": ", ".join(sorted(drivers)) or "–"}
            found.append(loaded.problem(Fault(("devices", device, "driver"), "config.no_driver", names)))
            continue
        options = loaded.check_plugin_options(("devices", device), drivers[section.driver].Config)
        found += options if isinstance(options, list) else []
    return found + _deciders(loaded, drivers)


def _deciders(loaded: Loaded, drivers: Mapping[str, type[Driver]]) -> list[Problem]:
    """Access points whose way of deciding their reader's driver cannot do."""
    assert loaded.config is not None
    found: list[Problem] = []
    for door_id, door in loaded.config.doors.items():
        for point_id, point in door.access_points.items():
            for number, reader in enumerate(point.readers):
                section = loaded.config.devices.get(reader.partition("/")[0])
                driver = drivers.get(section.driver) if section else None
                if driver is not None and point.decides not in driver.decides:
                    path = ("doors", door_id, "access_points", point_id, "readers", number)
                    names = {"driver": driver.name, "decides": point.decides}
                    found.append(loaded.problem(Fault(path, "config.decides", names)))
    return found


def _policies(loaded: Loaded, plugins: Mapping[str, LoadedPlugin]) -> list[Problem]:
    assert loaded.config is not None
    policies = {f"{plugin.name}.{cls.name}": cls for plugin in plugins.values() for cls in plugin.policies}
    found: list[Problem] = []
    for name, section in loaded.config.policies.items():
        if section.policy not in policies:
            names = {"policy": section.policy, "known": ", ".join(sorted(policies)) or "–"}
            found.append(loaded.problem(Fault(("policies", name, "policy"), "config.no_policy", names)))
            continue
        options = loaded.check_plugin_options(("policies", name), policies[section.policy].Config)
        found += options if isinstance(options, list) else []
    return found


def _notifiers(loaded: Loaded, plugins: Mapping[str, LoadedPlugin]) -> list[Problem]:
    found: list[Problem] = []
    for plugin in plugins.values():
        models = [cls.Config for cls in plugin.notifiers] + [cls.Config for cls in plugin.services]
        models += [cls.Config for cls in plugin.recognizers]
        for model in dict.fromkeys(models):
            options = loaded.check_plugin_options(("plugins", plugin.name), model)
            found += options if isinstance(options, list) else []
    return found


def _cameras(loaded: Loaded, plugins: Mapping[str, LoadedPlugin]) -> list[Problem]:
    """Access points with a camera that nothing looks through: no level asks for what a loaded recognizer delivers."""
    assert loaded.config is not None
    kinds = {cls.identifier for plugin in plugins.values() for cls in plugin.recognizers}
    known = ", ".join(sorted(kinds)) or "–"
    return [
        loaded.problem(
            Fault(
                ("doors", door.id, "access_points", point.id, "cameras"),
                "config.camera_unused",
                {"known": known},
            )
        )
        for site in [build_site(loaded.config)]
        for door in site.doors.values()
        for point in (site.access_points[id] for id in door.access_points)
        if point.cameras and not any(point.watched_for(kind) for kind in kinds)
    ]
