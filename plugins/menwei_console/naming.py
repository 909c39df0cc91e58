"""What stands to choose from in a page's lists, each named so that no two read alike. For the pages of other plugins too."""

from __future__ import annotations

from menwei.routes import Call


async def card_readers(call: Call) -> list[dict[str, str]]:
    """Where a card can be touched ("id", "name"), those at a desk first: that is what they stand there for; then those that
    are connected."""
    readers = (await call.ask("GET", "/api/readers")).readers
    readers = sorted(readers, key=lambda reader: (bool(reader.place), not reader.connected))
    places = [reader.place for reader in readers]
    found = []
    for reader in readers:
        name = reader.place or call.t("console.reader.desk", reader=reader.id)
        if reader.place and places.count(reader.place) > 1:
            name = call.t("console.reader.of", place=name, reader=reader.id)
        if not reader.connected:
            name = call.t("console.reader.away", reader=name)
        found.append({"id": reader.id, "name": name})
    return found


async def points_named(call: Call) -> list[dict[str, str]]:
    """The access points ("id", "place")."""
    points = (await call.ask("GET", "/api/access-points")).access_points
    places = [point.place for point in points]
    return [
        {
            "id": point.id,
            "place": point.place
            if places.count(point.place) == 1
            else call.t("console.reader.of", place=point.place, reader=point.id),
        }
        for point in points
    ]
