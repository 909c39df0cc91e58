"""What a board that decides by itself cannot do, found in the config before the doors are (`menwei check`).

How many cards a board has room for is not seen here, because no data is opened: the running program tells (`boards.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from menwei.boardfacts import BoardAbilities
from menwei.config import Loaded
from menwei.model import IdentifierType
from menwei.plugin import Driver
from menwei.problems import Fault, Path
from menwei.schedules import BUILT_IN, week_of
from menwei.settings import AccessPointSection, DoorSection, Settings, level_groups

CARD_ALONE = frozenset({IdentifierType.CARD})


def abilities(
    loaded: Loaded, drivers: Mapping[str, type[Driver]]
) -> tuple[dict[str, BoardAbilities], list[Fault]]:
    """By device id: what each board of the config could do by itself, as far as its options are in order; and the
    devices whose driver failed to say it: to the core they can do nothing by themselves."""
    assert loaded.config is not None
    found: dict[str, BoardAbilities] = {}
    faults: list[Fault] = []
    for device, section in loaded.config.devices.items():
        cls = drivers.get(section.driver)
        if cls is None or "controller" not in cls.decides:
            continue
        options = loaded.check_plugin_options(("devices", device), cls.Config)
        if isinstance(options, list):
            continue
        try:
            board = cls.board(options)
            if not isinstance(board, BoardAbilities | None):
                raise TypeError(f"a {type(board).__name__} is no BoardAbilities")
        except (Exception, SystemExit) as error:
            detail = f"{cls.name}: board(): {type(error).__name__}: {error}"
            faults.append(Fault(("devices", device), "config.plugin_failed", {"detail": detail}))
            continue
        if board is not None:
            found[device] = board
    return found, faults


def board_faults(loaded: Loaded, drivers: Mapping[str, type[Driver]]) -> list[Fault]:
    """Every reason why a door at which the controller should decide is not one at which it can."""
    assert loaded.config is not None
    boards, found = abilities(loaded, drivers)
    for door_id, door in loaded.config.doors.items():
        if any(point.decides == "controller" for point in door.access_points.values()):
            found += _door(loaded.config, ("doors", door_id), door, boards)
    return [*found, *_schedules(loaded.config, boards), *_zones(loaded.config, boards)]


def _door(
    settings: Settings, path: Path, door: DoorSection, boards: Mapping[str, BoardAbilities]
) -> Iterator[Fault]:
    device, _, lock = door.lock.partition("/")
    for index in range(len(door.policies)):
        yield Fault((*path, "policies", index), "config.board_policy")
    for point_id, point in door.access_points.items():
        where: Path = (*path, "access_points", point_id)
        if point.decides == "controller":
            yield from _point(where, point, device, lock, boards.get(device))
        elif point.readers:
            yield Fault((*where, "decides"), "config.board_mixed")


def _point(
    where: Path, point: AccessPointSection, device: str, lock: str, board: BoardAbilities | None
) -> Iterator[Fault]:
    for index in range(len(point.policies)):
        yield Fault((*where, "policies", index), "config.board_policy")
    levels = board.levels if board is not None else frozenset({CARD_ALONE})
    for index, entry in enumerate(point.security_level):
        place = (*where, "security_level", index)
        if entry.schedule is not None:
            yield Fault((*place, "schedule"), "config.board_level_schedule")
        # Of PINs only keyed hashes are kept, so that no board can be given one: a card alone, whatever the board can.
        if set(level_groups(entry.level)) != {CARD_ALONE} or CARD_ALONE not in levels:
            yield Fault(place, "config.board_level", {"level": entry.level})
    if not point.readers:
        yield Fault((*where, "decides"), "config.board_no_reader")
    for index, reader in enumerate(point.readers):
        owner, _, name = reader.partition("/")
        if owner != device or (board is not None and board.opens.get(name) != lock):
            values = {"reader": reader, "lock": f"{device}/{lock}"}
            yield Fault((*where, "readers", index), "config.board_reader", values)


def _schedules(settings: Settings, boards: Mapping[str, BoardAbilities]) -> Iterator[Fault]:
    """Rules whose hours no board can be given, at the rule."""
    at = {
        point_id: boards.get(door.lock.partition("/")[0])
        for door in settings.doors.values()
        for point_id, point in door.access_points.items()
        if point.decides == "controller"
    }
    for profile, rules in settings.profiles.items():
        for index, rule in enumerate(rules):
            there = sorted(set(rule.access_points) & at.keys())
            section = settings.schedules.get(rule.schedule)
            if not there or rule.schedule in BUILT_IN or section is None:
                continue
            values: dict[str, Any] = {"schedule": rule.schedule, "access_point": there[0]}
            path = ("profiles", profile, index, "schedule")
            if week_of(section.spec()) is None:
                yield Fault(path, "config.board_schedule", values)
            elif any((board := at[point]) is not None and not board.time_profiles for point in there):
                yield Fault(path, "config.board_no_profiles", values)


def _zones(settings: Settings, boards: Mapping[str, BoardAbilities]) -> Iterator[Fault]:
    """A board that decides goes by its own clock: it must show the time of the site."""
    deciding = {
        door.lock.partition("/")[0]
        for door in settings.doors.values()
        if any(point.decides == "controller" for point in door.access_points.values())
    }
    for device in sorted(deciding & boards.keys()):
        zone = boards[device].time_zone
        if zone and zone != settings.site.time_zone:
            values = {"zone": zone, "site": settings.site.time_zone}
            yield Fault(("devices", device, "time_zone"), "config.board_zone", values)


__all__ = ["abilities", "board_faults"]
