"""Buildings, units, flats and landlords: entered and corrected by their external ids, any number of times alike.

Every function takes the transaction it is part of, so that an import is one, and `Acting`, so that a landlord sees and
changes only what is theirs. Places are the committee's: no landlord enters or moves a flat.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Select, Table, insert, select, update

from menwei import Context, Reading, SetProfiles, Transaction
from menwei.columns import among, new_id
from menwei_tenancy.tables import buildings, flats, landlords, leases, members, passes, units
from menwei_tenancy.words import Acting, Flat, TenancyError, not_found


class Places:
    """`site_profiles` are carried by everybody who lives on the site (the compound gate)."""

    def __init__(self, context: Context, site_profiles: tuple[str, ...]) -> None:
        self._context = context
        self._site_profiles = site_profiles

    # ---------------------------------------------------------------------------------------------------------- write

    async def put_building(
        self, tx: Transaction, acting: Acting, external_id: str, name: str, profiles: Sequence[str] = ()
    ) -> int:
        """A building of that external id exists, with this name and these access profiles; returns its number."""
        self._only_the_site(acting)
        return await self._put(tx, acting, buildings, external_id, {"name": name}, profiles)

    async def put_unit(
        self,
        tx: Transaction,
        acting: Acting,
        external_id: str,
        building: str,
        name: str,
        profiles: Sequence[str] = (),
    ) -> int:
        """A unit (staircase) of the building with the external id `building`."""
        self._only_the_site(acting)
        parent = await self._number(tx, buildings, building, "building")
        return await self._put(tx, acting, units, external_id, {"name": name, "building": parent}, profiles)

    async def put_flat(
        self,
        tx: Transaction,
        acting: Acting,
        external_id: str,
        unit: str,
        name: str,
        profiles: Sequence[str] = (),
        landlord: int | None = None,
    ) -> int:
        """A flat (room) of the unit with the external id `unit`; `landlord` None: the committee's own."""
        self._only_the_site(acting)
        parent = await self._number(tx, units, unit, "unit")
        if landlord is not None:
            await self._landlord_exists(tx, landlord)
        return await self._put(
            tx, acting, flats, external_id, {"name": name, "unit": parent, "landlord": landlord}, profiles
        )

    async def put_landlord(
        self, tx: Transaction, acting: Acting, external_id: str, account: int | None = None
    ) -> int:
        """A landlord of that external id exists and signs in with `account`; an account is one landlord's."""
        self._only_the_site(acting)
        blind = self._context.tables.blind("landlord/" + external_id)
        if account is not None:
            taken = select(landlords.c.external_id).where(landlords.c.account == account)
            owner = (await tx.execute(taken)).first()
            if owner is not None and owner.external_id != blind:
                raise TenancyError("tenancy.account_taken")
        number = (await tx.execute(select(landlords.c.id).where(landlords.c.external_id == blind))).scalar()
        if number is None:
            number = new_id()
            await tx.execute(insert(landlords), [{"id": number, "external_id": blind, "account": account}])
        else:
            await tx.execute(update(landlords).where(landlords.c.id == number).values(account=account))
        return int(number)

    # ----------------------------------------------------------------------------------------------------------- read

    async def landlord_of_account(self, reading: Reading, account: int) -> int | None:
        return (await reading.execute(select(landlords.c.id).where(landlords.c.account == account))).scalar()

    async def landlord_of(self, reading: Reading, external_id: str) -> int:
        """Raises `TenancyError` when there is none."""
        blind = self._context.tables.blind("landlord/" + external_id)
        number = (
            await reading.execute(select(landlords.c.id).where(landlords.c.external_id == blind))
        ).scalar()
        if number is None:
            raise not_found("landlord")
        return int(number)

    async def flats(self, reading: Reading, acting: Acting, after: str = "", limit: int = 200) -> list[Flat]:
        """Flats by external id, from the one behind `after` on; a landlord's own only."""
        query = flat_rows().where(flats.c.external_id > after).order_by(flats.c.external_id).limit(limit)
        if acting.landlord is not None:
            query = query.where(flats.c.landlord == acting.landlord)
        return [self.flat_from(row) for row in (await reading.execute(query)).all()]

    async def flat(self, reading: Reading, acting: Acting, flat: int) -> Flat:
        """Raises `TenancyError` when there is no such flat, or it is not the landlord's own."""
        row = (await reading.execute(flat_rows().where(flats.c.id == flat))).first()
        if row is None or acting.landlord not in (None, row.landlord):
            raise not_found("flat")
        return self.flat_from(row)

    async def flat_of(self, reading: Reading, acting: Acting, external_id: str) -> Flat:
        """The same by external id."""
        row = (await reading.execute(flat_rows().where(flats.c.external_id == external_id))).first()
        if row is None or acting.landlord not in (None, row.landlord):
            raise not_found("flat")
        return self.flat_from(row)

    async def way(self, reading: Reading, external_id: str) -> tuple[str, ...]:
        """The access profiles of the doors on the way to a flat: the site's, the building's and the unit's, not the
        flat's own lock. For guests, who are let in at the flat's door by their host. Raises `TenancyError` when there is
        no such flat."""
        row = (await reading.execute(flat_rows().where(flats.c.external_id == external_id))).first()
        if row is None:
            raise not_found("flat")
        return self._way(row)

    async def known(self, reading: Reading, external_ids: Iterable[str]) -> frozenset[str]:
        """Which of these are flats."""
        rows = await among(reading, select(flats.c.external_id), flats.c.external_id, external_ids)
        return frozenset(row.external_id for row in rows)

    # --------------------------------------------------------------------------------------------------------- inside

    def _way(self, row: Any) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self._site_profiles, *row.building_profiles, *row.unit_profiles)))

    def flat_from(self, row: Any) -> Flat:
        """A row of `flat_rows`."""
        profiles = (*self._way(row), *row.profiles)
        return Flat(
            row.id, row.external_id, row.building_name, row.unit_name, row.name, row.landlord, tuple(dict.fromkeys(profiles))
        )  # fmt: skip

    def _only_the_site(self, acting: Acting) -> None:
        if acting.landlord is not None:
            raise TenancyError("tenancy.not_yours", 403)

    async def _put(
        self,
        tx: Transaction,
        acting: Acting,
        table: Table,
        external_id: str,
        values: dict[str, Any],
        profiles: Sequence[str],
    ) -> int:
        for profile in profiles:
            if self._context.rights.profile(profile) is None:
                raise TenancyError("tenancy.no_profile", profile=profile)
        row = (await tx.execute(select(table).where(table.c.external_id == external_id))).first()
        if row is None:
            number = new_id()
            await tx.execute(
                insert(table),
                [{"id": number, "external_id": external_id, "profiles": list(profiles), **values}],
            )
            return number
        await tx.execute(update(table).where(table.c.id == row.id).values(profiles=list(profiles), **values))
        moved = any(
            getattr(row, name) != value for name, value in values.items() if name in ("building", "unit")
        )
        if moved or tuple(row.profiles) != tuple(profiles):
            await self._carry_anew(tx, acting, table, row.id)
        return int(row.id)

    async def _carry_anew(self, tx: Transaction, acting: Acting, table: Table, number: int) -> None:
        """Who lives in that building, unit or flat carries what it says now."""
        inside = {buildings.name: units.c.building, units.name: flats.c.unit, flats.name: flats.c.id}[
            table.name
        ]
        found = (await tx.execute(flat_rows().where(inside == number))).all()
        profiles = {row.id: self.flat_from(row).profiles for row in found}
        given = (
            select(passes.c.credential, leases.c.flat)
            .join_from(passes, members, passes.c.member == members.c.id)
            .join(leases, leases.c.household == members.c.household)
        )
        changes = [
            SetProfiles(row.credential, profiles[row.flat])
            for row in await among(tx, given, leases.c.flat, profiles)
            if self._context.rights.credential(row.credential) is not None
        ]
        await self._context.rights.apply(tx, changes, by=acting.actor)

    async def _number(self, tx: Transaction, table: Table, external_id: str, what: str) -> int:
        number = (await tx.execute(select(table.c.id).where(table.c.external_id == external_id))).scalar()
        if number is None:
            raise not_found(what)
        return int(number)

    async def _landlord_exists(self, tx: Transaction, landlord: int) -> None:
        if (await tx.execute(select(landlords.c.id).where(landlords.c.id == landlord))).first() is None:
            raise not_found("landlord")


def flat_rows() -> Select[Any]:
    """Flats with the names and profiles of their units and buildings: what `Places.flat_from` reads."""
    return (
        select(
            flats,
            units.c.name.label("unit_name"),
            units.c.profiles.label("unit_profiles"),
            buildings.c.name.label("building_name"),
            buildings.c.profiles.label("building_profiles"),
        )
        .join_from(flats, units, flats.c.unit == units.c.id)
        .join(buildings, units.c.building == buildings.c.id)
    )
