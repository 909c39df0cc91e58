"""`menwei check`: everything that would be wrong at a start, found before the doors are.

The files (`config.py`), and the options of every device, policy and plugin against the plugin's own models: all of it in
one run, also where there are other mistakes. What the parts have against each other (a door's form and its device, a
camera that nothing looks through) is looked at when each is in order. Nothing is connected and no data is opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from menwei import certificate
from menwei.boardchecks import board_faults
from menwei.config import Loaded, Problem, load
from menwei.context import Config
from menwei.faults import NEAR, near
from menwei.forms import unseen
from menwei.loader import LoadedPlugin, PluginState
from menwei.loader import load as load_plugins
from menwei.manifest import NEEDS_ALLOWING, Explained
from menwei.messages import Messages
from menwei.model import AccessPoint
from menwei.plugin import Driver, Recognizer
from menwei.problems import Fault, Words
from menwei.routecheck import checked
from menwei.settings import Settings
from menwei.site import build_site, door_missing
from menwei.web import core_paths


def check_all(config: Path) -> list[Problem]:
    """Every problem, in the order of the file; empty when the site can start as it is configured."""
    loaded = load(config)
    settings = loaded.sound
    if settings is None:
        return list(loaded.problems)
    plugins = checked(load_plugins(settings.plugins), core_paths())
    drivers = {cls.name: cls for plugin in plugins.values() for cls in plugin.drivers}
    found = [
        *loaded.problems,
        *_plugins(loaded, plugins),
        *_drivers(loaded, settings, drivers),
        *_policies(loaded, settings, plugins),
        *_options(loaded, settings, plugins),
    ]
    if loaded.config is not None:
        found += [
            *_boards(loaded, drivers),
            *_cameras(loaded, plugins),
            *_recognizers(loaded, plugins),
            *_forms(loaded, drivers),
            *_tls(loaded),
        ]
    return sorted(found, key=lambda one: (one.file != str(config), one.file, one.line, one.column))


def _plugins(loaded: Loaded, plugins: Mapping[str, LoadedPlugin]) -> list[Problem]:
    found = []
    for plugin in plugins.values():
        for failure in plugin.failures:
            fault = Fault(("plugins", plugin.name), "config.plugin_failed", {"detail": failure.text("en")})
            found.append(replace(loaded.problem(fault), words=_as_told(failure)))
    return found


def _as_told(failure: Explained) -> Words:
    """A failure in whatever language it is asked for."""

    def words(language: str, _key: str, /, **_: object) -> str:
        return failure.text(language)

    return words


def _drivers(loaded: Loaded, settings: Settings, drivers: Mapping[str, type[Driver]]) -> list[Problem]:
    found: list[Problem] = []
    for device, section in settings.devices.items():
        if section.driver not in drivers:
            names = {"driver": section.driver, "known": ", ".join(sorted(drivers)) or "–"}
            found.append(loaded.problem(Fault(("devices", device, "driver"), "config.no_driver", names)))
            continue
        options = loaded.check_plugin_options(("devices", device), drivers[section.driver].Config)
        found += options if isinstance(options, list) else []
    return found


def _boards(loaded: Loaded, drivers: Mapping[str, type[Driver]]) -> list[Problem]:
    return _deciders(loaded, drivers) + [loaded.problem(fault) for fault in board_faults(loaded, drivers)]


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


def _policies(loaded: Loaded, settings: Settings, plugins: Mapping[str, LoadedPlugin]) -> list[Problem]:
    policies = {f"{plugin.name}.{cls.name}": cls for plugin in plugins.values() for cls in plugin.policies}
    found: list[Problem] = []
    for name, section in settings.policies.items():
        if section.policy not in policies:
            names = {"policy": section.policy, "known": ", ".join(sorted(policies)) or "–"}
            found.append(loaded.problem(Fault(("policies", name, "policy"), "config.no_policy", names)))
            continue
        options = loaded.check_plugin_options(("policies", name), policies[section.policy].Config)
        found += options if isinstance(options, list) else []
    return found


def _options(loaded: Loaded, settings: Settings, plugins: Mapping[str, LoadedPlugin]) -> list[Problem]:
    """What stands in the sections of the plugins: options, which a plugin of drivers and pages alone has none of, and
    what they are allowed."""
    found: list[Problem] = []
    for plugin in plugins.values():
        for number, word in enumerate(settings.plugins[plugin.name].allow):
            if word not in NEEDS_ALLOWING:
                meant = near(word, NEEDS_ALLOWING)
                names = {"word": word, "known": ", ".join(sorted(NEEDS_ALLOWING)), "near": meant}
                where = ("plugins", plugin.name, "allow", number)
                fault = Fault(where, "config.allow", names, NEAR if meant else "")
                found.append(loaded.problem(fault))
        models = [cls.Config for cls in plugin.notifiers] + [cls.Config for cls in plugin.services]
        models += [cls.Config for cls in plugin.recognizers]
        if not models and plugin.state is PluginState.OK:
            models = [Config]
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


def _tls(loaded: Loaded) -> list[Problem]:
    """A certificate that cannot be used: the doors would be served, and the console to this machine alone."""
    assert loaded.config is not None
    tls = loaded.config.web.tls
    if tls is None:
        return []
    try:
        certificate.context(*tls.files(loaded.path.parent))
    except certificate.CertificateTrouble as trouble:
        path = ("web", "tls", trouble.part)
        return [loaded.problem(Fault(path, f"config.tls.{trouble.kind}", {"file": str(trouble.file)}))]
    return []


def _forms(loaded: Loaded, drivers: Mapping[str, type[Driver]]) -> list[Problem]:
    """Doors that lack what their form needs, call a part seen that their device's driver can not see, or name a lock
    where there can be none."""
    assert loaded.config is not None
    site, found = build_site(loaded.config), []
    for door in site.doors.values():
        for lack in door_missing(site, door):
            found.append(
                Fault(("doors", door.id, lack.key), f"config.form.{lack.says}", {"form": str(door.form)})
            )
        section = loaded.config.devices.get(door.device)
        driver = drivers.get(section.driver) if section else None
        if driver is None:
            continue
        if not driver.locks:
            found.append(Fault(("doors", door.id, "lock"), "config.no_lock", {"driver": driver.name}))
            continue
        for part in unseen(door, driver.inputs):
            names = {"driver": driver.name, "part": str(part)}
            key = "config.form.unseen_contact" if part == "contact" else "config.form.unseen"
            found.append(Fault(("doors", door.id, part.value), key, names))
    return [loaded.problem(fault) for fault in found]


def _recognizers(loaded: Loaded, plugins: Mapping[str, LoadedPlugin]) -> list[Problem]:
    """What the recognizers themselves have against serving these access points so."""
    assert loaded.config is not None
    points = build_site(loaded.config).access_points
    found: list[Problem] = []
    for plugin in plugins.values():
        if not plugin.recognizers:
            continue
        words = _words(plugin)
        for cls in plugin.recognizers:
            options = loaded.check_plugin_options(("plugins", plugin.name), cls.Config)
            if not isinstance(options, list):
                found += objections(loaded, plugin, cls, options, points.values(), words)
    return found


def _words(plugin: LoadedPlugin) -> Words:
    """The core's sentences and the plugin's, where it has any."""
    words = Messages()
    if plugin.words is not None:
        words.include(plugin.words)
    return words.t


def objections(
    loaded: Loaded,
    plugin: LoadedPlugin,
    cls: type[Recognizer],
    options: Any,
    points: Iterable[AccessPoint],
    words: Words,
) -> list[Problem]:
    """`Recognizer.objections` at their places in the file. `words` knows the plugin's sentences. Never raises."""
    where: tuple[str | int, ...] = ("plugins", plugin.name)
    try:
        served = [point for point in points if point.watched_for(cls.identifier)]
        against = cls.objections(options, served, loaded.data / plugin.name)
        faults = [Fault((*where, *one.path), one.message, one.values) for one in against]
    except (Exception, SystemExit) as error:
        values = {"detail": f"{cls.name}: {type(error).__name__}: {error}"}
        return [loaded.problem(Fault(where, "config.plugin_failed", values))]
    return [replace(loaded.problem(fault), words=words) for fault in faults]
