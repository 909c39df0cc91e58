"""Who lives where at this moment, for other plugins' services: by leases and leavings, never by what cards still open."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from menwei import Reading, Transaction
from menwei.columns import among
from menwei_tenancy.tables import LeaseState, flats, leases, members, tenants
from menwei_tenancy.terms import Rules, holds

RUNS = leases.c.state == str(LeaseState.ACTIVE)


@dataclass(frozen=True, slots=True)
class Leaving:
    """Some people leave a flat now. `flat` is its external id, `accounts` are those with which they sign in, `empty` says
    that no other household lives there."""

    flat: str
    accounts: frozenset[int]
    empty: bool


EndsWith = Callable[[Transaction, Leaving], Awaitable[Collection[int]]]
"""Asked within the transaction of a check-out, or of one member's leaving; returns the credentials that end with it.
They are enabled again when it is undone. What it raises undoes all of it."""


async def flats_of(
    reading: Reading, accounts: Collection[int], now: float, rules: Rules
) -> Mapping[int, frozenset[str]]:
    """Account → the flats (external ids) in which its person lives now: their lease runs, the days of grace included, and
    they have not left. Accounts that are nobody's, or of somebody who lives nowhere, are left out."""
    query = (
        select(tenants.c.account, flats.c.external_id, leases.c.first_day, leases.c.last_day, members.c.until)
        .join_from(tenants, members, members.c.holder == tenants.c.holder)
        .join(leases, leases.c.household == members.c.household)
        .join(flats, flats.c.id == leases.c.flat)
        .where(members.c.left.is_(None), RUNS)
    )
    found: dict[int, frozenset[str]] = {}
    for row in await among(reading, query, tenants.c.account, accounts):
        if holds(row.first_day, row.last_day, row.until, now, rules):
            found[row.account] = found.get(row.account, frozenset()) | {row.external_id}
    return found


async def leaving(
    reading: Reading, household: int, holders: Sequence[int], now: float, rules: Rules
) -> Leaving:
    """These people leave the flat of this household. `reading` sees the household as it is afterwards."""
    flat = select(leases.c.flat).where(leases.c.household == household).scalar_subquery()
    name = (await reading.execute(select(flats.c.external_id).where(flats.c.id == flat))).scalar_one()
    signing_in = select(tenants.c.account).where(tenants.c.holder.in_(holders))
    accounts = frozenset((await reading.execute(signing_in)).scalars())
    running = select(leases.c.first_day, leases.c.last_day).where(leases.c.flat == flat, RUNS)
    homes = (await reading.execute(running)).all()
    lived_in = any(holds(row.first_day, row.last_day, None, now, rules) for row in homes)
    return Leaving(name, accounts, not lived_in)


__all__ = ["EndsWith", "Leaving", "flats_of", "leaving"]
