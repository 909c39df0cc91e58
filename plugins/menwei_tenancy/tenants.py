"""Tenants who sign in: which person an account is, what they hold, and what they may do about it themselves."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import delete, insert, select, update

from menwei import Actor, Context, CredentialState, Reading, SetState, Transaction
from menwei_tenancy.households import Households
from menwei_tenancy.passes import Passes
from menwei_tenancy.residence import flats_of
from menwei_tenancy.tables import LeaseState, flats, leases, members, passes, tenants
from menwei_tenancy.terms import Role
from menwei_tenancy.words import Acting, Household, Member, TenancyError, not_found


@dataclass(frozen=True, slots=True)
class Home:
    """A household in which a tenant lives: their own membership, and the flat. Nobody else of it is told of."""

    household: Household
    member: Member


class Tenants:
    """Accounts of the role tenant. Everything here is narrowed to the person the account is."""

    def __init__(self, context: Context, households: Households, given: Passes) -> None:
        self._context = context
        self._households = households
        self._passes = given

    async def link(self, tx: Transaction, acting: Acting, member: int, account: int | None) -> None:
        """The member signs in with this account from now on; None: with none. An account is one person's, and a person
        has one."""
        found = await self._households.member(tx, acting, member)
        await tx.execute(delete(tenants).where(tenants.c.holder == found.holder))
        if account is None:
            return
        await tx.execute(delete(tenants).where(tenants.c.account == account))
        await tx.execute(insert(tenants), [{"account": account, "holder": found.holder}])

    async def accounts(self, reading: Reading) -> Mapping[int, int]:
        """Holder → account."""
        rows = (await reading.execute(select(tenants.c.holder, tenants.c.account))).all()
        return {row.holder: row.account for row in rows}

    async def holder(self, reading: Reading, account: int) -> int:
        """Whose account this is. Raises `TenancyError` when nobody has been named yet."""
        found = (await reading.execute(select(tenants.c.holder).where(tenants.c.account == account))).scalar()
        if found is None:
            raise TenancyError("tenancy.no_tenant_account", 403)
        return int(found)

    async def homes(self, reading: Reading, actor: Actor, holder: int) -> list[Home]:
        """Where they live now: homes whose lease runs before those that ended, then by the flats' numbers."""
        query = (
            select(members.c.id, members.c.household)
            .join(leases, leases.c.household == members.c.household)
            .join(flats, flats.c.id == leases.c.flat)
            .where(members.c.holder == holder, members.c.left.is_(None))
            .order_by(leases.c.state == str(LeaseState.ENDED), flats.c.external_id, members.c.id)
        )
        found = []
        for row in (await reading.execute(query)).all():
            household = await self._households.household(reading, Acting(actor), row.household)
            (own,) = (member for member in household.members if member.id == row.id)
            found.append(Home(household, own))
        return found

    async def flats_of(self, reading: Reading, accounts: Collection[int]) -> Mapping[int, frozenset[str]]:
        """Account → the flats (external ids) in which its person lives now; see `residence.flats_of`."""
        return await flats_of(reading, accounts, self._context.clock.now(), self._households.rules)

    async def report_lost(self, tx: Transaction, actor: Actor, holder: int, credential: int) -> None:
        """Their own card opens nothing from now on. To restore it they come to the desk: whoever found a card and a
        telephone must not be able to."""
        held = self._context.rights.credential(credential)
        if held is None or held.holder != holder:
            raise not_found("pass")
        await self._passes.report_lost(tx, Acting(actor), credential)

    async def withdraw(self, tx: Transaction, actor: Actor, holder: int, member: int) -> int:
        """A cohabitant takes their consent back: what was collected ends now, and passes again only when it is collected
        anew. Returns how many cards that were. The right of the others in the household stays as it is."""
        found = await self._households.member(tx, Acting(actor), member)
        if found.holder != holder or found.left is not None:
            raise not_found("member")
        if found.role is not Role.COHABITANT or found.collected is None:
            raise TenancyError("tenancy.nothing_to_withdraw")
        owned = (await tx.execute(select(passes.c.credential).where(passes.c.member == member))).scalars()
        held = [self._context.rights.credential(number) for number in owned.all()]
        ending = [one.id for one in held if one is not None and one.state is not CredentialState.ENDED]
        await tx.execute(update(members).where(members.c.id == member).values(collected=None, ends=None))
        changes = [SetState(number, CredentialState.ENDED) for number in ending]
        await self._context.rights.apply(tx, changes, by=actor)
        return len(ending)


__all__ = ["Home", "Tenants"]
