"""Who looked at a person's coming and going, as that person may see it.

Looks at the person by name stand in the journal under their name. Reading a door's records or exporting them with
names is a look at everybody who passes there: it counts as one at whoever has cards for that door.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from menwei.journal import Journal, Position, RecordedPersonal

MOST = 30
"""Of each kind, the newest: many looks of one kind push no look of another out of the list."""
_PAGE = 200


class What(StrEnum):
    """What somebody did; the value is the action of its Audit entry."""

    PASSAGES = "journal.by_holder"
    """Read this person's passages. Only this look has a reason that is about this person and nobody else."""
    EXPLAIN = "explain"
    """Asked whether this person may pass an access point."""
    DOOR = "journal.by_door"
    """Read a door's records with names."""
    EXPORT = "journal.export"
    """Took records of doors away, with names."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look. `doors`: those of the person's own that it showed, sorted. `access_point`: the one that was asked about."""

    what: What
    position: Position
    at: float
    role: str
    name: str
    reason: str = ""
    doors: tuple[str, ...] = ()
    access_point: str = ""


async def looks(journal: Journal, holder: int, doors: frozenset[str], since: float) -> list[Look]:
    """The newest first. `doors` are the person's own, `since` when they first had a card: a door was nothing of theirs
    before. Raises `sqlite3.Error` while the disk fails."""
    found = []
    for what in (What.PASSAGES, What.EXPLAIN):
        for entry in await journal.by_holder(holder, MOST, kinds={"Audit"}, actions={what}):
            found.append(_look(what, entry))
    for what in (What.DOOR, What.EXPORT):
        found += await _at_doors(journal, what, doors, since)
    return sorted(found, key=lambda look: look.position, reverse=True)


async def _at_doors(journal: Journal, what: What, doors: frozenset[str], since: float) -> list[Look]:
    found: list[Look] = []
    before = None
    while len(found) < MOST:
        page = await journal.audits({what}, since=since, before=before, limit=_PAGE)
        found += [look for entry in page if (look := _look(what, entry, doors)).doors and entry.personal]
        if len(page) < _PAGE:
            break
        before = page[-1].position
    return found[:MOST]


def _look(what: What, entry: RecordedPersonal, own: Collection[str] = ()) -> Look:
    data, personal = entry.data, entry.personal or {}
    return Look(
        what, entry.position, entry.at, str(data.get("role", "")), str(personal.get("actor", "")),
        reason=str(personal.get("reason", "")) if what is What.PASSAGES else "",
        doors=tuple(sorted(set(own) & _shown(what, entry, own))),
        access_point=str(data.get("access_point", "")),
    )  # fmt: skip


def _shown(what: What, entry: RecordedPersonal, own: Collection[str]) -> set[str]:
    """Of which doors it showed who passed. An export without names shows nobody; one that names no door is of all."""
    if what is What.DOOR:
        return {str(entry.data["door"])}
    if what is What.EXPORT and entry.data["who"]:
        return set(own if entry.data["doors"] is None else entry.data["doors"])
    return set()
