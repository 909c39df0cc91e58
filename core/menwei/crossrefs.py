"""Names in the configuration against each other: what is named exists, and what may be used once is used once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from menwei.faults import NEAR, near
from menwei.problems import Fault, Path, dotted, printable
from menwei.schedules import BUILT_IN
from menwei.settings import AccessPointSection, DoorSection, Settings


def references(settings: Settings, raw: Mapping[str, Any]) -> list[Fault]:
    """Every name that leads nowhere or is taken already. `raw` is the data as written: an entry that is wrong inside
    still counts as known, so that one mistake is told once."""
    known = _Known(raw)
    faults = list(_site(settings, raw, known))
    used = _Once()
    points = _Once()
    for door_id, door in settings.doors.items():
        path: Path = ("doors", door_id)
        faults += _door(door, path, known)
        faults += used.take("config.lock_twice", "lock " + door.lock, (*path, "lock"), door.lock)
        for point_id, point in door.access_points.items():
            where: Path = (*path, "access_points", point_id)
            faults += points.take("config.access_point_twice", point_id, where)
            faults += _access_point(point, where, known)
            for index, reader in enumerate(point.readers):
                faults += used.take(
                    "config.reader_twice", "reader " + reader, (*where, "readers", index), reader
                )
            for index, camera in enumerate(point.cameras):
                faults += used.take(
                    "config.camera_twice", "camera " + camera, (*where, "cameras", index), camera
                )
    for profile, rules in settings.profiles.items():
        for index, rule in enumerate(rules):
            where = ("profiles", profile, index)
            for number, point_id in enumerate(rule.access_points):
                faults += known.check("access_points", point_id, (*where, "access_points", number))
            faults += known.check("schedules", rule.schedule, (*where, "schedule"))
    return faults


class _Known:
    """Which names are written in each section."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.names = {
            section: _keys(raw.get(section))
            for section in ("devices", "policies", "plugins", "schedules", "profiles")
        }
        self.names["schedules"] += BUILT_IN
        doors = raw.get("doors")
        inside = (
            [door.get("access_points") for door in doors.values() if isinstance(door, dict)]
            if isinstance(doors, dict)
            else []
        )
        self.names["access_points"] = [point for points in inside for point in _keys(points)]

    def check(self, section: str, name: str, path: Path) -> Iterator[Fault]:
        if name not in self.names[section]:
            found = near(name, self.names[section])
            yield Fault(
                path,
                f"config.no_such_{_SINGULAR[section]}",
                {"name": printable(name), "near": found},
                NEAR if found else "",
            )


_SINGULAR = {
    "devices": "device",
    "policies": "policy",
    "plugins": "plugin",
    "schedules": "schedule",
    "access_points": "access_point",
}


class _Once:
    """Things that may be used in one place only."""

    def __init__(self) -> None:
        self.first: dict[str, Path] = {}

    def take(self, key: str, thing: str, path: Path, shown: str = "") -> Iterator[Fault]:
        if thing in self.first:
            yield Fault(path, key, {"name": printable(shown or thing), "first": dotted(self.first[thing])})
        else:
            self.first[thing] = path


def _keys(section: Any) -> list[str]:
    return list(section) if isinstance(section, dict) else []


def _site(settings: Settings, raw: Mapping[str, Any], known: _Known) -> Iterator[Fault]:
    if "tls" not in _keys(raw.get("web")) and not settings.web.on_loopback():
        yield Fault(("web", "host"), "config.tls_needed", {}, "config.hint.tls")
    for name, policy in settings.policies.items():
        plugin = policy.policy.partition(".")[0]
        if plugin not in known.names["plugins"]:
            found = near(plugin, known.names["plugins"])
            values = {"name": printable(plugin), "near": found}
            hint = NEAR if found else "config.hint.plugin"
            yield Fault(("policies", name, "policy"), "config.no_such_plugin", values, hint)
    for name in settings.schedules:
        if name in BUILT_IN:
            yield Fault(("schedules", name), "config.schedule_built_in", {"name": name})


def _door(door: DoorSection, path: Path, known: _Known) -> Iterator[Fault]:
    yield from known.check("devices", door.lock.partition("/")[0], (*path, "lock"))
    yield from _policies(door.policies, path, known)
    if door.pre_alarm_time is not None and door.pre_alarm_time >= door.open_time:
        yield Fault((*path, "pre_alarm_time"), "config.pre_alarm", {"limit": f"{door.open_time:g}"})
    for name, ordinary in (("extended_release_time", "release_time"), ("extended_open_time", "open_time")):
        extended, usual = getattr(door, name), getattr(door, ordinary)
        if extended is not None and extended < usual:
            yield Fault((*path, name), "config.extended", {"name": ordinary, "limit": f"{usual:g}"})


def _access_point(point: AccessPointSection, path: Path, known: _Known) -> Iterator[Fault]:
    for index, reader in enumerate(point.readers):
        yield from known.check("devices", reader.partition("/")[0], (*path, "readers", index))
    for index, camera in enumerate(point.cameras):
        yield from known.check("devices", camera, (*path, "cameras", index))
    yield from _policies(point.policies, path, known)
    always = False
    for index, entry in enumerate(point.security_level):
        where = (*path, "security_level", index)
        if always:
            yield Fault(where, "config.level_unreachable", {"name": printable(entry.level)})
        if entry.schedule is None:
            always = True
        else:
            yield from known.check("schedules", entry.schedule, (*where, "schedule"))


def _policies(names: Iterable[str], path: Path, known: _Known) -> Iterator[Fault]:
    for index, name in enumerate(names):
        yield from known.check("policies", name, (*path, "policies", index))
