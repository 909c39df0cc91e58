"""One board that decides alone, as the config has it, and how far it is in step with the rights: facts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from menwei.boardfacts import BoardAbilities, BoardCard, BoardHealth
from menwei.site import Site

NEARLY_FULL = 0.9
"""Of its cards: there is time to buy a larger board."""


@dataclass(frozen=True, slots=True)
class BoardPlan:
    """One board as the config has it: for each lock that it decides about its access points, its door, its time."""

    device: str
    abilities: BoardAbilities
    locks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    doors: Mapping[str, str] = field(default_factory=dict)
    release_times: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drift:
    """What a reading found that was neither given nor taken by us: cards added, gone, and altered; `at` when. `mended` is
    when the board was confirmed to hold again what it should."""

    at: float
    added: int
    missing: int
    changed: int
    mended: float | None = None


@dataclass(frozen=True, slots=True)
class Pushed:
    """The last cards that were given and taken."""

    at: float
    given: int
    taken: int


@dataclass(frozen=True, slots=True)
class Lacks:
    """What a board cannot hold of what it should: cards for which it has no room, cards whose number is not known,
    schedules with special days, rights that begin or end within a day, and hours (`hours`: why) of which there are too
    many."""

    overflow: int = 0
    without_number: int = 0
    schedules: tuple[str, ...] = ()
    within_a_day: int = 0
    hours: str = ""


class Filling(StrEnum):
    """How full a board is with what it should hold."""

    ROOM = "room"
    NEARLY_FULL = "nearly_full"
    FULL = "full"
    """Some have no place on it."""


@dataclass(frozen=True, slots=True)
class BoardStatus:
    """How far a board is. `revision` is the newest that it holds completely; counts are cards. `revoked` are the
    credentials that it still admits and should not. `since` is since when it is reached, or not, as far as this life of
    the program knows; `reading` how many cards the reading that goes on, or was asked for, has read. `doors` are those
    about which it decides."""

    device: str
    online: bool
    revision: int
    wanted: int
    held: int
    capacity: int
    to_give: int
    to_take: int
    revoked: tuple[int, ...]
    read_back: float | None
    drift: Drift | None
    trouble: str
    doors: tuple[str, ...] = ()
    since: float | None = None
    reading: int | None = None
    pushed: Pushed | None = None
    lacks: Lacks = field(default_factory=Lacks)
    health: BoardHealth = field(default_factory=BoardHealth)

    @property
    def filling(self) -> Filling:
        if self.lacks.overflow:
            return Filling.FULL
        return Filling.NEARLY_FULL if self.wanted > self.capacity * NEARLY_FULL else Filling.ROOM


@dataclass(frozen=True, slots=True)
class Want:
    """One card that a board should hold, but for its number; `holding` as `BoardCard.holding` says."""

    credential: int
    card: BoardCard
    holding: str


@dataclass(slots=True)
class Wanted:
    """What a board should hold as of one look at the rights."""

    revision: int
    cards: dict[bytes, Want]
    due: float
    """The next instant at which it becomes something else by itself."""
    overflow: int = 0
    without_number: int = 0
    within_a_day: int = 0
    """Credentials that begin or end in the middle of a day."""
    special: tuple[str, ...] = ()


def plans(site: Site, boards: Mapping[str, BoardAbilities], also: Iterable[str] = ()) -> dict[str, BoardPlan]:
    """By device id: every board that the site lets decide about a door, and those of `also`, which decide about none
    (any more) and are to be emptied."""
    found = {device: BoardPlan(device, boards[device]) for device in also if device in boards}
    for device, board in boards.items():
        locks, doors, times = {}, {}, {}
        for door in site.doors.values():
            points = tuple(id for id in door.access_points if site.access_points[id].decides == "controller")
            if door.device == device and points:
                locks[door.lock], doors[door.lock], times[door.lock] = points, door.id, door.release_time
        if locks:
            found[device] = BoardPlan(device, board, locks, doors, times)
    return found


def alone(site: Site, device: str) -> frozenset[str]:
    """The readers of a device at which it decides by itself."""
    return frozenset(
        reader
        for point in site.access_points.values()
        if point.decides == "controller"
        for owner, reader in point.readers
        if owner == device
    )


__all__ = [
    "BoardPlan", "BoardStatus", "Drift", "Filling", "Lacks", "Pushed", "Want", "Wanted", "alone", "plans",
]  # fmt: skip
