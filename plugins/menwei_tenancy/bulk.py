"""Many rooms and people at once: what an import enters in one transaction, in a few statements for each table.

The same rules as `places.py`, `households.py` and `passes.py`, and the same rows; what is there already (by its external
id) is corrected one by one with the functions of those modules, so that entering a list twice is entering it once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any

from sqlalchemy import Table, insert, select

from menwei import (
    CredentialIdentifier,
    CredentialState,
    NewCredential,
    NewPerson,
    Reading,
    Transaction,
)
from menwei.columns import among, new_id
from menwei_tenancy.service import Tenancy
from menwei_tenancy.tables import (
    CardKind,
    LeaseState,
    buildings,
    flats,
    households,
    landlords,
    leases,
    members,
    passes,
    units,
)
from menwei_tenancy.terms import Role, Term, bound_of, term_of
from menwei_tenancy.words import Acting, Flat, TenancyError, not_found

_AT_ONCE = 250
"""People entered in one step: some 10 ms of the event loop at a time, which doors share. Smaller steps cost more in all."""
_ROWS = 200
"""Rows inserted by one statement, for the same reason."""


@dataclass(frozen=True, slots=True)
class Room:
    """A flat with its unit and building, by external ids. `profiles` are the unit's; None leaves them as they are, as
    `landlord` None leaves the flat's landlord."""

    building: str
    building_name: str
    unit: str
    unit_name: str
    flat: str
    name: str
    landlord: str | None = None
    profiles: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Resident:
    """A person in a household of a flat; `key` and `household` are their numbers in the other list."""

    key: str
    household: str
    flat: str
    role: Role
    name: str
    phone: str = ""
    first_day: date | None = None
    last_day: date | None = None
    until: date | None = None
    card: CredentialIdentifier | None = None
    document: str = ""
    """The number of their identity document; by its keyed hash the desk knows them again."""

    def __repr__(self) -> str:  # a name in a traceback is a name in a log
        return "Resident(…)"


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a resident stands now; `new` when they were not here before."""

    member: int
    holder: int
    new: bool


@dataclass(frozen=True, slots=True)
class Known:
    """What of a list is here already: members and households by external id, with the flat each lives in."""

    members: Mapping[str, Any]
    households: Mapping[str, Any]


async def known(tenancy: Tenancy, reading: Reading, residents: Sequence[Resident]) -> Known:
    """A few statements, however long the list is."""
    blind = tenancy.context.tables.blind
    keys = {blind(f"member/{one.key}"): one.key for one in residents}
    homes = {blind(f"household/{one.household}"): one.household for one in residents}
    found_members = await among(reading, select(members), members.c.external_id, keys)
    query = select(
        households.c.id,
        households.c.external_id,
        leases.c.first_day,
        leases.c.last_day,
        leases.c.state,
        flats.c.external_id.label("flat"),
    ).join_from(households, leases, leases.c.household == households.c.id)
    query = query.join(flats, flats.c.id == leases.c.flat)
    found_homes = await among(reading, query, households.c.external_id, homes)
    return Known(
        {keys[row.external_id]: row for row in found_members},
        {homes[row.external_id]: row for row in found_homes},
    )


def terms(tenancy: Tenancy) -> Callable[[Resident], Term | None]:
    """When a resident who comes now may pass. Most people of a list have one of a few leases, and finding the waking
    hour after the end of one takes a millisecond."""
    now = tenancy.context.clock.now()

    @cache
    def of(role: Role, *days: date | None) -> Term | None:
        first, last, until = days
        return term_of(role, first, last, until, None, now, tenancy.rules)

    return lambda one: of(one.role, one.first_day, one.last_day, one.until)


def bounds(tenancy: Tenancy) -> Callable[[Resident], float | None]:
    """What ends the right of a resident who comes now, gone by or not; as `terms`, once for each lease."""

    @cache
    def of(role: Role, *days: date | None) -> float | None:
        last, until = days
        return bound_of(role, last, until, None, tenancy.rules)

    return lambda one: of(one.role, one.last_day, one.until)


async def put_rooms(tenancy: Tenancy, tx: Transaction, acting: Acting, rooms: Sequence[Room]) -> int:
    """Every building, unit and flat of the list exists, named as there; returns how many are new. Raises
    `TenancyError`."""
    new = 0
    wanted: dict[str, dict[str, Any]] = {room.building: {"name": room.building_name} for room in rooms}
    there = await _places(tx, buildings, wanted)
    new += await _insert_places(tx, buildings, wanted, there)
    for external, values in wanted.items():
        if external in there and there[external].name != values["name"]:
            kept = tuple(there[external].profiles)
            await tenancy.places.put_building(tx, acting, external, values["name"], kept)
    numbers = await _numbers(tx, buildings, wanted)

    first = {room.unit: room for room in rooms}
    profiles = {room.unit: room.profiles for room in rooms if room.profiles is not None}
    for profile in {name for named in profiles.values() for name in named}:
        if tenancy.context.rights.profile(profile) is None:
            raise TenancyError("tenancy.no_profile", profile=profile)
    wanted = {
        unit: {
            "name": room.unit_name,
            "building": numbers[room.building],
            "profiles": list(profiles.get(unit, ())),
        }
        for unit, room in first.items()
    }
    there = await _places(tx, units, wanted)
    new += await _insert_places(tx, units, wanted, there)
    for external, row in there.items():
        room, kept = first[external], tuple(row.profiles)
        now = profiles.get(external, kept)
        if (row.name, row.building, kept) != (room.unit_name, numbers[room.building], now):
            await tenancy.places.put_unit(tx, acting, external, room.building, room.unit_name, now)
    numbers = await _numbers(tx, units, wanted)

    owners = await _landlords(tenancy, tx, {room.landlord for room in rooms if room.landlord is not None})
    flat_rooms = {room.flat: room for room in rooms}
    wanted = {
        flat: {
            "name": room.name,
            "unit": numbers[room.unit],
            "landlord": owners[room.landlord] if room.landlord is not None else None,
        }
        for flat, room in flat_rooms.items()
    }
    there = await _places(tx, flats, wanted)
    new += await _insert_places(tx, flats, wanted, there)
    for external, row in there.items():
        room, values = flat_rooms[external], wanted[external]
        owner = values["landlord"] if room.landlord is not None else row.landlord
        if (row.name, row.unit, row.landlord) != (values["name"], values["unit"], owner):
            kept = tuple(row.profiles)
            await tenancy.places.put_flat(tx, acting, external, room.unit, room.name, kept, owner)
    return new


async def put_residents(
    tenancy: Tenancy,
    tx: Transaction,
    acting: Acting,
    residents: Sequence[Resident],
    step: Callable[[int], Awaitable[None]] | None = None,
) -> list[Placed]:
    """Every person of the list belongs to their household, with their card; in the list's order. `step` is told from
    time to time how many are done. Raises `TenancyError` or a `RightsError`."""
    before = await known(tenancy, tx, residents)
    places = {flat.external_id: flat for flat in await tenancy.places.flats(tx, acting, limit=1_000_000)}
    homes = await _put_households(tenancy, tx, acting, residents, before, places)
    placed: dict[str, Placed] = {}
    for one in residents:
        if one.key in before.members:
            placed[one.key] = await _correct(tenancy, tx, acting, one, before.members[one.key], homes)
    await _put_documents(
        tenancy, tx, acting, {placed[one.key].holder: one.document for one in residents if one.key in placed}
    )
    term_for, bound_for = terms(tenancy), bounds(tenancy)
    fresh = [one for one in residents if one.key not in before.members]
    for part in (fresh[at : at + _AT_ONCE] for at in range(0, len(fresh), _AT_ONCE)):
        placed |= await _enter(tenancy, tx, acting, part, homes, places, term_for, bound_for)
        if step is not None:
            await step(len(placed))
    return [placed[one.key] for one in residents]


async def _put_households(
    tenancy: Tenancy,
    tx: Transaction,
    acting: Acting,
    residents: Sequence[Resident],
    before: Known,
    places: Mapping[str, Flat],
) -> dict[str, int]:
    blind, now = tenancy.context.tables.blind, tenancy.context.clock.now()
    homes = {name: int(row.id) for name, row in before.households.items()}
    rows, lease_rows = [], []
    for count, one in enumerate({one.household: one for one in residents}.values()):
        if count % _ROWS == 0:
            await asyncio.sleep(0)
        if one.flat not in places:
            raise not_found("flat")
        held = before.households.get(one.household)
        if held is not None:
            if held.flat != one.flat:
                raise TenancyError("tenancy.lives_elsewhere")
            if (held.first_day, held.last_day) != (one.first_day, one.last_day):
                await tenancy.households.set_lease(tx, acting, held.id, one.first_day, one.last_day)
            continue
        homes[one.household] = number = new_id()
        rows.append({"id": number, "external_id": blind(f"household/{one.household}"), "created": now})
        lease_rows.append(
            {
                "household": number,
                "flat": places[one.flat].id,
                "first_day": one.first_day,
                "last_day": one.last_day,
                "state": str(LeaseState.ACTIVE),
            }
        )
    await _insert(tx, households, rows)
    await _insert(tx, leases, lease_rows)
    return homes


async def _enter(
    tenancy: Tenancy,
    tx: Transaction,
    acting: Acting,
    residents: Sequence[Resident],
    homes: Mapping[str, int],
    places: Mapping[str, Flat],
    term_for: Callable[[Resident], Term | None],
    bound_for: Callable[[Resident], float | None],
) -> dict[str, Placed]:
    blind, now = tenancy.context.tables.blind, tenancy.context.clock.now()
    terms = [term_for(one) for one in residents]
    persons = []
    for one, term in zip(residents, terms, strict=True):
        given: tuple[NewCredential, ...] = ()
        if one.card is not None:
            if one.role is Role.COHABITANT:
                raise TenancyError("tenancy.collect_first")
            if term is None:
                raise TenancyError("tenancy.over")
            profiles = places[one.flat].profiles
            given = (NewCredential((one.card,), profiles, term.begins, term.ends),)
        persons.append(NewPerson(one.name, phone=one.phone, credentials=given, document=one.document))
    entered = await tenancy.context.people.add_many(tx, persons, by=acting.actor)
    member_rows, pass_rows, placed = [], [], {}
    for one, person in zip(residents, entered, strict=True):
        number = new_id()
        member_rows.append(
            {
                "id": number,
                "household": homes[one.household],
                "holder": person.holder,
                "external_id": blind(f"member/{one.key}"),
                "role": str(one.role),
                "until": one.until,
                "collected": None,
                "ends": bound_for(one),
                "reminded": None,
                "left": None,
            }
        )
        for credential in person.credentials:
            kind = _kind(one)
            row = {"credential": credential, "member": number, "kind": str(kind), "issued": now}
            pass_rows.append(row)
        placed[one.key] = Placed(number, person.holder, True)
    await _insert(tx, members, member_rows)
    await _insert(tx, passes, pass_rows)
    return placed


async def _correct(
    tenancy: Tenancy, tx: Transaction, acting: Acting, one: Resident, row: Any, homes: Mapping[str, int]
) -> Placed:
    if row.household != homes[one.household]:
        raise TenancyError("tenancy.lives_elsewhere")
    if row.left is not None:
        raise TenancyError("tenancy.has_left")
    if (row.role, row.until) != (str(one.role), one.until):
        await tenancy.households.set_member(tx, acting, row.id, one.role, one.until)
    if one.card is not None and not has_card(tenancy, row.holder, one.card):
        await tenancy.passes.give(tx, acting, row.id, one.card, _kind(one))
    return Placed(row.id, row.holder, False)


async def _put_documents(
    tenancy: Tenancy, tx: Transaction, acting: Acting, numbers: Mapping[int, str]
) -> None:
    """What the list says of the documents of people who were here before, where it is not what is known."""
    people = tenancy.context.people
    known = await people.by_documents([number for number in numbers.values() if number])
    new = {
        holder: number
        for holder, number in numbers.items()
        if number and holder not in known.get(number, frozenset())
    }
    if new:
        await people.put_documents(tx, new, by=acting.actor)


def has_card(tenancy: Tenancy, holder: int, card: CredentialIdentifier) -> bool:
    """Whether the card is this holder's already, in whatever state: a list does not restore what was reported lost."""
    held = tenancy.context.rights.find(card)
    return held is not None and held.holder == holder and held.state is not CredentialState.ENDED


def _kind(one: Resident) -> CardKind:
    is_document = one.card is not None and one.card.format == "idcard"
    return CardKind.RESIDENT_ID if is_document else CardKind.KEY_CARD


async def _landlords(tenancy: Tenancy, tx: Transaction, names: Iterable[str]) -> dict[str, int]:
    blind = tenancy.context.tables.blind
    hashes = {blind("landlord/" + name): name for name in names}
    found = await among(tx, select(landlords), landlords.c.external_id, hashes)
    owners = {hashes[row.external_id]: int(row.id) for row in found}
    if len(owners) < len(hashes):
        raise not_found("landlord")
    return owners


async def _places(tx: Transaction, table: Table, wanted: Mapping[str, Any]) -> dict[str, Any]:
    rows = await among(tx, select(table), table.c.external_id, wanted)
    return {row.external_id: row for row in rows}


async def _numbers(tx: Transaction, table: Table, wanted: Mapping[str, Any]) -> dict[str, int]:
    return {name: int(row.id) for name, row in (await _places(tx, table, wanted)).items()}


async def _insert_places(
    tx: Transaction, table: Table, wanted: Mapping[str, Mapping[str, Any]], there: Mapping[str, Any]
) -> int:
    rows = [
        {"id": new_id(), "external_id": external, "profiles": [], **values}
        for external, values in wanted.items()
        if external not in there
    ]
    await _insert(tx, table, rows)
    return len(rows)


async def _insert(tx: Transaction, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    for some in (rows[at : at + _ROWS] for at in range(0, len(rows), _ROWS)):
        await tx.execute(insert(table), some)


__all__ = ["Known", "Placed", "Resident", "Room", "has_card", "known", "put_residents", "put_rooms", "terms"]
