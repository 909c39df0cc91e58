"""From the checked configuration to the facts the core works with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from zoneinfo import ZoneInfo

from menwei.forms import Missing, missing, read_sides
from menwei.model import (
    AccessPoint,
    AccessProfile,
    AccessRule,
    Door,
    DoorForm,
    LevelInForce,
    SecurityLevel,
    Unpowered,
    Wired,
)
from menwei.schedules import ScheduleSpec
from menwei.settings import AccessPointSection, DoorSection, LevelEntry, Settings, level_groups

EXTENDED_RELEASE, EXTENDED_OPEN, PRE_ALARM = 15.0, 60.0, 10.0
"""Defaults in seconds, where the door's ordinary times leave room for them."""


@dataclass(frozen=True, slots=True)
class Site:
    """One place with its doors. `readers` and `locks` are by (device id, name on that device). Plugins are shown the same
    mappings that the line decides by: they cannot be changed."""

    id: str
    name: str
    zone: ZoneInfo
    language: str
    doors: Mapping[str, Door]
    access_points: Mapping[str, AccessPoint]
    readers: Mapping[tuple[str, str], str]
    locks: Mapping[tuple[str, str], str]
    profiles: tuple[AccessProfile, ...]
    schedules: Mapping[str, ScheduleSpec]


def build_site(config: Settings) -> Site:
    """The facts of a configuration that `load` found no problem in."""
    doors = {id: _door(id, section) for id, section in config.doors.items()}
    points = {
        point_id: _access_point(point_id, door_id, point, doors[door_id].name)
        for door_id, door in config.doors.items()
        for point_id, point in door.access_points.items()
    }
    return Site(
        id=config.site.id,
        name=config.site.name,
        zone=ZoneInfo(config.site.time_zone),
        language=config.site.language,
        doors=MappingProxyType(doors),
        access_points=MappingProxyType(points),
        readers=MappingProxyType({reader: point.id for point in points.values() for reader in point.readers}),
        locks=MappingProxyType({(door.device, door.lock): door.id for door in doors.values()}),
        profiles=tuple(
            AccessProfile(
                id, tuple(AccessRule(frozenset(rule.access_points), rule.schedule) for rule in rules)
            )
            for id, rules in config.profiles.items()
        ),
        schedules=MappingProxyType({id: section.spec() for id, section in config.schedules.items()}),
    )


def door_missing(site: Site, door: Door) -> list[Missing]:
    """What this door needs by its form and does not have."""
    return missing(door, read_sides(site.access_points[point].readers for point in door.access_points))


def security_level(text: str) -> SecurityLevel:
    """`card and pin OR QRCode` → the level named "Card and PIN or QRCode"."""
    groups = level_groups(text)
    order = {kind: rank for rank, kind in enumerate(("Card", "QRCode", "Face", "PIN"))}
    name = " or ".join(" and ".join(sorted(group, key=lambda kind: order[kind])) for group in groups)
    return SecurityLevel(name, groups)


def _door(id: str, section: DoorSection) -> Door:
    device, _, lock = section.lock.partition("/")
    return Door(
        id=id,
        name=section.name or id,
        device=device,
        lock=lock,
        release_time=section.release_time,
        extended_release_time=section.extended_release_time or max(EXTENDED_RELEASE, section.release_time),
        open_time=section.open_time,
        extended_open_time=section.extended_open_time or max(EXTENDED_OPEN, section.open_time),
        pre_alarm_time=section.pre_alarm_time or min(PRE_ALARM, section.open_time / 3),
        has_contact=section.contact,
        access_points=tuple(section.access_points),
        policies=tuple(section.policies),
        form=DoorForm(section.form) if section.form else None,
        exit_button=Wired(section.exit_button),
        call_button=Wired(section.call_button),
        fire_input=Wired(section.fire_input),
        without_power=Unpowered(section.without_power),
    )


def _access_point(id: str, door: str, section: AccessPointSection, door_name: str) -> AccessPoint:
    return AccessPoint(
        id=id,
        door=door,
        name=section.name or door_name,
        levels=tuple(_level(entry) for entry in section.security_level),
        readers=tuple(
            (device, name) for device, _, name in (reader.partition("/") for reader in section.readers)
        ),
        policies=tuple(section.policies),
        area_from=section.from_ or "",
        area_to=section.to or "",
        pin_timeout=section.pin_timeout,
        decides=section.decides,
        cameras=tuple(section.cameras),
    )


def _level(entry: LevelEntry) -> LevelInForce:
    return LevelInForce(security_level(entry.level), entry.schedule)
