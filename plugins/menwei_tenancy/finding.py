"""Finding a flat: by typing a part of its name, by building, or those that stand empty. Reading only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select

from menwei import Reading
from menwei.columns import among
from menwei.names import half_width
from menwei_tenancy.places import Places, flat_rows
from menwei_tenancy.tables import LeaseState, buildings, flats, leases, units
from menwei_tenancy.words import Acting, Flat

_LOOKED_AT = 500
"""Flats that a search looks at before it puts the likeliest first."""
_TOKENS = re.compile(r"[0-9]+|[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class BuildingCount:
    """A building with the number of its flats, and of those of them that stand empty."""

    external_id: str
    name: str
    flats: int
    vacant: int


async def find(
    places: Places,
    reading: Reading,
    acting: Acting,
    today: date,
    *,
    search: str = "",
    building: str = "",
    vacant: bool = False,
    after: str = "",
    limit: int = 200,
) -> list[Flat]:
    """Flats by external id, a landlord's own only. `search`: every number and word of it stands in the flat's, unit's or
    building's name or external id; the likeliest first, and all on one page. `building` is an external id, `vacant` those
    in which nobody's lease runs."""
    query = flat_rows().order_by(flats.c.external_id)
    if acting.landlord is not None:
        query = query.where(flats.c.landlord == acting.landlord)
    if building:
        query = query.where(buildings.c.external_id == building)
    if vacant:
        query = query.where(~exists().where(leases.c.flat == flats.c.id, running(today)))
    tokens = _words(search)
    if search.strip():
        found = await _searched(places, reading, query, tokens)
        return found[:limit]
    rows = (await reading.execute(query.where(flats.c.external_id > after).limit(limit))).all()
    return [places.flat_from(row) for row in rows]


async def called(places: Places, reading: Reading, said: str) -> list[Flat]:
    """The flats that somebody means who calls one so ("12 501", "1号楼1单元302室"): every number and word of it stands in
    whole, the last of them in the flat's own name. Of "501" that may be many, one in each building."""
    tokens = _words(said)
    found = await _searched(places, reading, flat_rows().order_by(flats.c.external_id), tokens, None)
    return [flat for flat in found if _unlikely(flat, tokens) == 0]


async def _searched(
    places: Places,
    reading: Reading,
    query: Select[Any],
    tokens: Sequence[str],
    looked_at: int | None = _LOOKED_AT,
) -> list[Flat]:
    if not tokens:
        return []
    text = func.lower(buildings.c.name + " " + units.c.name + " " + flats.c.name + " " + flats.c.external_id)
    for token in tokens:
        query = query.where(text.contains(token, autoescape=True))
    rows = (await reading.execute(query.limit(looked_at))).all()
    found = [flat for flat in map(places.flat_from, rows) if _meant(flat, tokens)]
    return sorted(found, key=lambda flat: (_unlikely(flat, tokens), flat.external_id))


def _meant(flat: Flat, tokens: Sequence[str]) -> bool:
    """Whether every number of what was typed begins a number there: 2 is not what 302 ends with."""
    every = _words(f"{flat.building} {flat.unit} {flat.name} {flat.external_id}")
    return all(any(word.startswith(token) for word in every) for token in tokens if token.isdigit())


def _unlikely(flat: Flat, tokens: Sequence[str]) -> int:
    """How many of the tokens are only a part of a number or word there; and whether the last is the flat's own."""
    own = _words(flat.name)
    every = {*own, *_words(f"{flat.building} {flat.unit} {flat.external_id}")}
    return 2 * sum(token not in every for token in tokens) + (tokens[-1] not in own)


def _counted(text: str) -> list[tuple[int, str]]:
    parts = re.split(r"([0-9]+)", half_width(text).casefold())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def _words(text: str) -> list[str]:
    return _TOKENS.findall(half_width(text).casefold())


def running(today: date) -> ColumnElement[bool]:
    """A lease that gives rights: not checked out, and its last day not gone by."""
    return and_(
        leases.c.state == str(LeaseState.ACTIVE), or_(leases.c.last_day.is_(None), leases.c.last_day >= today)
    )


async def living(reading: Reading, today: date, numbers: Sequence[int]) -> Mapping[int, int]:
    """How many households have a running lease of each of these flats; flats without one are left out."""
    homes = select(leases.c.flat, func.count().label("homes")).where(running(today)).group_by(leases.c.flat)
    return {row.flat: int(row.homes) for row in await among(reading, homes, leases.c.flat, numbers)}


async def by_building(reading: Reading, acting: Acting, today: date) -> list[BuildingCount]:
    """Every building in which the caller may see a flat, by external id as people count: 2 before 10."""
    empty = ~exists().where(leases.c.flat == flats.c.id, running(today))
    every = select(buildings.c.external_id, buildings.c.name, func.count().label("flats")).select_from(
        flats.join(units, flats.c.unit == units.c.id).join(buildings, units.c.building == buildings.c.id)
    )
    if acting.landlord is not None:
        every = every.where(flats.c.landlord == acting.landlord)
    grouped = every.group_by(buildings.c.id, buildings.c.external_id, buildings.c.name)
    rows = sorted((await reading.execute(grouped)).all(), key=lambda row: _counted(row.external_id))
    vacant = {row.external_id: int(row.flats) for row in (await reading.execute(grouped.where(empty))).all()}
    return [
        BuildingCount(row.external_id, row.name, int(row.flats), vacant.get(row.external_id, 0))
        for row in rows
    ]


__all__ = ["BuildingCount", "by_building", "called", "find", "living", "running"]
