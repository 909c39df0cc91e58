"""Which building, unit and flat of the house a row of a list means: by their numbers (external ids) or by their names.

A list says "1号楼" of what the house may keep as B1. Whatever stands already is meant, and keeps its number and name; only
what matches nothing is new, under the list's own words. Where several match, a person has to say which. Pure, but for
`places`, which reads them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import select

from menwei import Reading
from menwei.names import half_width
from menwei_tenancy.tables import buildings, flats, units

_SAID = "、"


@dataclass(frozen=True, slots=True)
class Place:
    """A building, unit or flat; `inside` is the external id of what it is part of, empty for buildings."""

    external_id: str
    name: str
    inside: str = ""


Places = tuple[list[Place], list[Place], list[Place]]
"""Every building, unit and flat."""


class Unclear(Exception):
    """A person has to say which place is meant: message key with values, and the column that is to be mended."""

    def __init__(self, column: str, key: str, **values: str) -> None:
        super().__init__(key)
        self.column = column
        self.key = key
        self.values = values


class Standing:
    """What stands in the house and, row by row, what the list adds to it. `new` are the buildings and units it adds, as
    people read them."""

    def __init__(self, places: Places = ([], [], [])) -> None:
        self.new: list[str] = []
        self._buildings = _Kind("building", places[0])
        self._units = _Kind("unit", places[1])
        self._flats = _Kind("flat", places[2])

    def meant(self, building: str, unit: str, flat: str) -> tuple[Place, Place, Place]:
        """Building, unit and flat of a row. Raises `Unclear`."""
        house = self._buildings.find("", building)
        if house is None:
            house = self._buildings.add(Place(building, building))
            self.new.append(house.name)
        stairs = self._unit(house, unit) if unit else self._only_unit(house)
        home = self._flats.find(stairs.external_id, flat)
        if home is None:
            home = self._flats.add(Place(f"{stairs.external_id}-{flat}", flat, stairs.external_id))
        return house, stairs, home

    def _unit(self, house: Place, unit: str) -> Place:
        found = self._units.find(house.external_id, unit)
        if found is None:
            found = self._units.add(Place(f"{house.external_id}-{unit}", unit, house.external_id))
            self.new.append(f"{house.name} {unit}")
        return found

    def _only_unit(self, house: Place) -> Place:
        """The unit of a row that names none: the building's own, or the only one."""
        inside = self._units.inside(house.external_id)
        if not inside:
            return self._units.add(Place(house.external_id, house.name, house.external_id))
        own = [one for one in inside if one.external_id == house.external_id or one.name == house.name]
        if len(own) != 1 and len(inside) > 1:
            raise Unclear("unit", "unit_missing", names=_SAID.join(one.name for one in inside))
        return own[0] if own else inside[0]


class _Kind:
    """All buildings, all units or all flats."""

    def __init__(self, column: str, places: Iterable[Place]) -> None:
        self._column = column
        self._ids: set[str] = set()
        self._called: dict[tuple[str, str], list[Place]] = {}
        self._inside: dict[str, list[Place]] = {}
        for place in places:
            self._put(place)

    def _put(self, place: Place) -> None:
        self._ids.add(place.external_id)
        self._inside.setdefault(place.inside, []).append(place)
        for word in {_folded(place.external_id), _folded(place.name)}:
            self._called.setdefault((place.inside, word), []).append(place)

    def find(self, inside: str, said: str) -> Place | None:
        """The place of this name or number, in full or as it goes on behind that of what it is part of. Raises
        `Unclear` where there are several."""
        words = {_folded(said), _folded(f"{inside}-{said}")}
        found = {one.external_id: one for word in words for one in self._called.get((inside, word), ())}
        if len(found) > 1:
            raise Unclear(self._column, "place_unclear", numbers=_SAID.join(sorted(found)))
        return next(iter(found.values()), None)

    def add(self, place: Place) -> Place:
        """It is new. Raises `Unclear` where its number is that of a place elsewhere."""
        if place.external_id in self._ids:
            raise Unclear(self._column, "place_elsewhere", number=place.external_id)
        self._put(place)
        return place

    def inside(self, number: str) -> list[Place]:
        return self._inside.get(number, [])


def _folded(text: str) -> str:
    return "".join(half_width(text).casefold().split())


async def places(reading: Reading) -> Places:
    """Every place of the house."""
    of_units = select(units.c.external_id, units.c.name, buildings.c.external_id.label("inside")).join(
        buildings, units.c.building == buildings.c.id
    )
    of_flats = select(flats.c.external_id, flats.c.name, units.c.external_id.label("inside")).join(
        units, flats.c.unit == units.c.id
    )
    whole = (await reading.execute(select(buildings.c.external_id, buildings.c.name))).all()
    return (
        [Place(row.external_id, row.name) for row in whole],
        [Place(row.external_id, row.name, row.inside) for row in (await reading.execute(of_units)).all()],
        [Place(row.external_id, row.name, row.inside) for row in (await reading.execute(of_flats)).all()],
    )


__all__ = ["Place", "Places", "Standing", "Unclear", "places"]
