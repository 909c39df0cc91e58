"""Households: who moves in, as what, until when, and who leaves.

A credential's validity is written whenever what it follows from changes (the lease's days, a member's role or own last
day, a collection), in the same transaction. Nothing here is asked when somebody stands at a door.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, delete, exists, insert, select, update

from menwei import Change, Context, CredentialState, Reading, SetState, SetValidity, Transaction
from menwei.columns import among, new_id
from menwei_tenancy.places import Places
from menwei_tenancy.residence import EndsWith, leaving
from menwei_tenancy.tables import (
    LeaseState,
    ended,
    ended_members,
    endings,
    flats,
    households,
    leases,
    members,
    passes,
)
from menwei_tenancy.terms import Role, Rules, Term, bound_of, term_of
from menwei_tenancy.words import Acting, Household, Lease, Member, Pass, TenancyError, Undo, not_found

UNDO_SECONDS = 600.0
"""Ten minutes in which a check-out of the wrong flat can be taken back."""


class Households:
    """Leases, households and members of one site."""

    def __init__(self, context: Context, places: Places, rules: Rules) -> None:
        self._context = context
        self._places = places
        self.rules = rules
        self.ends_with: list[EndsWith] = []

    # ----------------------------------------------------------------------------------------------------- moving in

    async def move_in(
        self,
        tx: Transaction,
        acting: Acting,
        flat: int,
        first_day: date | None = None,
        last_day: date | None = None,
        external_id: str | None = None,
    ) -> int:
        """A household has the lease of a flat; returns the household's number. With the `external_id` of one that is
        there, its lease is set to these days instead; not for landlords, as in `add_member`. Days are included; None is
        open."""
        place = await self._places.flat(tx, acting, flat)
        _only_the_sites(acting, external_id)
        _check_days(first_day, last_day)
        blind = self._blind("household", external_id)
        if blind is not None:
            found = (
                await tx.execute(select(households.c.id).where(households.c.external_id == blind))
            ).scalar()
            if found is not None:
                lease = await self._lease(tx, acting, found)
                if lease.flat != place.id:
                    raise TenancyError("tenancy.lives_elsewhere")
                await self.set_lease(tx, acting, found, first_day, last_day)
                return int(found)
        number = new_id()
        await tx.execute(
            insert(households), [{"id": number, "external_id": blind, "created": self._context.clock.now()}]
        )
        lease_row = {"household": number, "flat": place.id, "first_day": first_day, "last_day": last_day}
        await tx.execute(insert(leases), [{**lease_row, "state": str(LeaseState.ACTIVE)}])
        return number

    async def add_member(
        self,
        tx: Transaction,
        acting: Acting,
        household: int,
        role: Role,
        *,
        name: str = "",
        phone: str = "",
        holder: int | None = None,
        until: date | None = None,
        external_id: str | None = None,
    ) -> int:
        """Somebody belongs to a household; returns the member's number. Either a new person of this `name`, or one who
        is here already (`holder`; not for landlords: whose cards a check-out ends must be their own tenant). With the
        `external_id` of a member who is there, role and last day are set instead; not for landlords: the answer would
        say whether that person lives somewhere else here."""
        await self._open_lease(tx, acting, household)
        _only_the_sites(acting, external_id)
        blind = self._blind("member", external_id)
        if blind is not None:
            row = (await tx.execute(select(members).where(members.c.external_id == blind))).first()
            if row is not None:
                if row.household != household:
                    raise TenancyError("tenancy.lives_elsewhere")
                await self.set_member(tx, acting, row.id, role, until)
                return int(row.id)
        if holder is not None:
            await self._may_join(tx, acting, holder, role)
        else:
            holder = await self._context.people.add(tx, name, phone=phone, by=acting.actor)
        number = new_id()
        row_values = {
            "id": number, "household": household, "holder": holder, "external_id": blind, "role": str(role),
            "until": until, "collected": None, "ends": None, "reminded": None, "left": None,
        }  # fmt: skip
        await tx.execute(insert(members), [row_values])
        await self.rewrite(tx, acting, members.c.id == number)
        return number

    async def _may_join(self, tx: Transaction, acting: Acting, holder: int, role: Role) -> None:
        if acting.landlord is not None:
            raise TenancyError("tenancy.not_yours", 403)
        if role is not Role.COHABITANT:
            return
        lives = exists().where(members.c.holder == holder, members.c.left.is_(None))
        elsewhere = (await tx.execute(select(lives))).scalar()
        works = any(
            credential.state is not CredentialState.ENDED
            for credential in self._context.rights.of_holder(holder)
        )
        if works and not elsewhere:
            raise TenancyError("tenancy.has_cards")

    # ------------------------------------------------------------------------------------------------------ changing

    async def set_lease(
        self, tx: Transaction, acting: Acting, household: int, first_day: date | None, last_day: date | None
    ) -> None:
        """The lease has these days: extended, shortened, moved. Every member's right follows, in this transaction."""
        await self._open_lease(tx, acting, household)
        _check_days(first_day, last_day)
        changed = update(leases).where(leases.c.household == household)
        await tx.execute(changed.values(first_day=first_day, last_day=last_day))
        await self.rewrite(tx, acting, members.c.household == household)

    async def extend(self, tx: Transaction, acting: Acting, household: int, last_day: date | None) -> None:
        """The same with the first day left as it is. Not to a day gone by: all would end at once, and a check-out, which
        does that, can be taken back."""
        lease = await self._open_lease(tx, acting, household)
        today = datetime.fromtimestamp(self._context.clock.now(), self.rules.zone).date()
        if last_day is not None and last_day < today:
            raise TenancyError("tenancy.extend_past")
        await self.set_lease(tx, acting, household, lease.first_day, last_day)

    async def set_member(
        self, tx: Transaction, acting: Acting, member: int, role: Role, until: date | None
    ) -> None:
        """A member's role and own last day (None: as the lease). Nobody becomes a cohabitant with cards that were not
        collected as one."""
        found = await self._member(tx, acting, member)
        if found.left is not None:
            raise TenancyError("tenancy.has_left")
        if role is Role.COHABITANT and found.collected is None:
            theirs = exists().where(passes.c.member == member)
            if (await tx.execute(select(theirs))).scalar():
                raise TenancyError("tenancy.collect_first")
        await tx.execute(update(members).where(members.c.id == member).values(role=str(role), until=until))
        await self.rewrite(tx, acting, members.c.id == member)

    # ------------------------------------------------------------------------------------------------------- leaving

    async def check_out(self, tx: Transaction, acting: Acting, household: int) -> Undo:
        """The household leaves: all its credentials end on all doors, now, with what other plugins say ends with them. Can
        be undone for ten minutes."""
        await self._open_lease(tx, acting, household)
        gone = [row for row in await self._rows(tx, members.c.household == household) if row.left is None]
        await tx.execute(
            update(leases).where(leases.c.household == household).values(state=str(LeaseState.ENDED))
        )
        return await self._leave(
            tx, acting, household, [row.id for row in gone], [row.holder for row in gone]
        )

    async def leave(self, tx: Transaction, acting: Acting, member: int) -> Undo:
        """One member leaves the household: all their credentials end. Can be undone for ten minutes."""
        found = await self._member(tx, acting, member)
        if found.left is not None:
            raise TenancyError("tenancy.has_left")
        await self._open_lease(tx, acting, found.household)
        return await self._leave(tx, acting, found.household, [member], [found.holder])

    async def _leave(
        self, tx: Transaction, acting: Acting, household: int, gone: Sequence[int], holders: Sequence[int]
    ) -> Undo:
        now = self._context.clock.now()
        undo = Undo(new_id(), now + UNDO_SECONDS)
        await tx.execute(update(members).where(members.c.id.in_(gone)).values(left=now))
        row = {"id": undo.id, "household": household, "at": now, "undo_until": undo.until}
        await tx.execute(insert(endings), [row])
        if gone:
            await tx.execute(
                insert(ended_members), [{"ending": undo.id, "member": member} for member in gone]
            )
        numbers = await self._credentials_of(tx, gone, holders)
        told = await leaving(tx, household, holders, now, self.rules)
        for ends_with in self.ends_with:
            numbers |= set(await ends_with(tx, told))
        held = [self._context.rights.credential(number) for number in sorted(numbers)]
        credentials = [one for one in held if one is not None and one.state is not CredentialState.ENDED]
        if credentials:
            before = [{"ending": undo.id, "credential": c.id, "state": str(c.state)} for c in credentials]
            await tx.execute(insert(ended), before)
        changes = [SetState(credential.id, CredentialState.ENDED) for credential in credentials]
        await self._context.rights.apply(tx, changes, by=acting.actor)
        return undo

    async def _credentials_of(self, tx: Transaction, gone: Sequence[int], holders: Sequence[int]) -> set[int]:
        """What the leaving members were given as such, and, of those who live nowhere else, everything they have."""
        query = select(passes.c.credential).where(passes.c.member.in_(gone))
        numbers = set((await tx.execute(query)).scalars())
        stay = await self._living(tx, holders)
        for holder in holders:
            if holder not in stay:
                numbers |= {credential.id for credential in self._context.rights.of_holder(holder)}
        return numbers

    async def _living(self, reading: Reading, holders: Sequence[int]) -> frozenset[int]:
        """Who of these belongs to some household now."""
        query = select(members.c.holder).where(members.c.holder.in_(holders), members.c.left.is_(None))
        return frozenset((await reading.execute(query)).scalars())

    async def undo(self, tx: Transaction, acting: Acting, household: int) -> None:
        """Take the last check-out of a household back: everything is as it was. Raises `TenancyError` when it is more
        than ten minutes ago, or there was none."""
        await self._lease(tx, acting, household)
        query = select(endings).where(endings.c.household == household).order_by(endings.c.at.desc()).limit(1)
        ending = (await tx.execute(query)).first()
        if ending is None or self._context.clock.now() >= ending.undo_until:
            raise TenancyError("tenancy.too_late_to_undo")
        theirs = select(ended_members.c.member).where(ended_members.c.ending == ending.id)
        returning = list((await tx.execute(theirs)).scalars())
        await tx.execute(update(members).where(members.c.id.in_(returning)).values(left=None))
        await tx.execute(
            update(leases).where(leases.c.household == household).values(state=str(LeaseState.ACTIVE))
        )
        before = (await tx.execute(select(ended).where(ended.c.ending == ending.id))).all()
        changes = [
            SetState(row.credential, CredentialState(row.state))
            for row in before
            if self._context.rights.credential(row.credential) is not None
        ]
        await self._forget_ending(tx, [ending.id])
        await self._context.rights.apply(tx, changes, by=acting.actor)
        await self.rewrite(tx, acting, members.c.id.in_(returning))

    async def make_final(self, tx: Transaction, acting: Acting) -> int:
        """Check-outs that can no longer be undone: who lives nowhere any more is ended for good, so that their cards
        may be given to others. Called by upkeep; returns how many people that were."""
        query = select(endings.c.id).where(endings.c.undo_until <= self._context.clock.now())
        due = list((await tx.execute(query)).scalars())
        if not due:
            return 0
        joined = select(members.c.holder).join_from(
            ended_members, members, ended_members.c.member == members.c.id
        )
        holders = sorted(set((await tx.execute(joined.where(ended_members.c.ending.in_(due)))).scalars()))
        stay = await self._living(tx, holders)
        known = await self._context.people.read(holders)
        gone = [
            holder
            for holder in holders
            if holder not in stay
            and holder in known
            and all(c.state is CredentialState.ENDED for c in self._context.rights.of_holder(holder))
        ]
        for holder in gone:
            await self._context.people.end(tx, holder, by=acting.actor)
        await self._forget_ending(tx, due)
        return len(gone)

    async def _forget_ending(self, tx: Transaction, numbers: Sequence[int]) -> None:
        for table in (ended, ended_members):
            await tx.execute(delete(table).where(table.c.ending.in_(numbers)))
        await tx.execute(delete(endings).where(endings.c.id.in_(numbers)))

    # ------------------------------------------------------------------------------------------------------- reading

    async def household(self, reading: Reading, acting: Acting, household: int) -> Household:
        """Raises `TenancyError` when there is none, or it does not live in one of the landlord's rooms."""
        lease = await self._lease(reading, acting, household)
        rows = await self._rows(reading, members.c.household == household)
        theirs = select(passes).where(passes.c.member.in_([row.id for row in rows]))
        given = (await reading.execute(theirs.order_by(passes.c.issued, passes.c.credential))).all()
        query = select(endings).where(endings.c.household == household).order_by(endings.c.at.desc()).limit(1)
        ending = (await reading.execute(query)).first()
        now = self._context.clock.now()
        found = ((row, self._context.rights.credential(row.credential)) for row in given)
        return Household(
            household,
            lease,
            tuple(_member(row) for row in rows),
            tuple(
                Pass(credential, row.member, row.kind) for row, credential in found if credential is not None
            ),
            Undo(ending.id, ending.undo_until) if ending is not None and now < ending.undo_until else None,
        )

    async def of_external_id(self, reading: Reading, acting: Acting, external_id: str) -> Household:
        """The same by another system's number."""
        blind = self._blind("household", external_id)
        number = (
            await reading.execute(select(households.c.id).where(households.c.external_id == blind))
        ).scalar()
        if number is None:
            raise not_found("household")
        return await self.household(reading, acting, number)

    async def in_flat(self, reading: Reading, acting: Acting, flat: int) -> list[Household]:
        """Who has the lease of a flat now, those who left within the last ten minutes included; who came first, first."""
        await self._places.flat(reading, acting, flat)
        undoable = exists().where(endings.c.household == leases.c.household)
        here = (
            select(leases.c.household)
            .join(households, households.c.id == leases.c.household)
            .where(leases.c.flat == flat, (leases.c.state == str(LeaseState.ACTIVE)) | undoable)
            .order_by(leases.c.first_day, households.c.created, leases.c.household)
        )
        return [
            await self.household(reading, acting, number)
            for number in (await reading.execute(here)).scalars().all()
        ]

    async def expiring(self, reading: Reading, acting: Acting, before: float) -> list[Member]:
        """Members whose right runs out from now on and before that moment, the nearest first; of those that run out
        together, a flat's beside each other."""
        query = (
            select(members)
            .join(leases, leases.c.household == members.c.household)
            .join(flats, flats.c.id == leases.c.flat)
            .where(
                members.c.left.is_(None), members.c.ends > self._context.clock.now(), members.c.ends < before
            )
            .order_by(members.c.ends, flats.c.external_id, leases.c.household, members.c.id)
        )
        if acting.landlord is not None:
            query = query.where(flats.c.landlord == acting.landlord)
        return [_member(row) for row in (await reading.execute(query)).all()]

    async def member(self, reading: Reading, acting: Acting, member: int) -> Member:
        """Raises `TenancyError` when there is none, or they do not live in one of the landlord's rooms."""
        return await self._member(reading, acting, member)

    async def member_of_credential(self, reading: Reading, acting: Acting, credential: int) -> Member:
        """Whose pass this is. Raises `TenancyError` as `member` does."""
        owner = (
            await reading.execute(select(passes.c.member).where(passes.c.credential == credential))
        ).scalar()
        if owner is None:
            raise not_found("pass")
        try:
            return await self._member(reading, acting, owner)
        except TenancyError:
            raise not_found("pass") from None

    # ------------------------------------------------------------------------------------------------------ validity

    def term(self, member: Member, lease: Lease, issued: float) -> Term | None:
        """When a member's pass that was issued then holds."""
        if member.left is not None or lease.state is LeaseState.ENDED:
            return None
        return term_of(
            member.role, lease.first_day, lease.last_day, member.until, member.collected, issued, self.rules
        )  # fmt: skip

    async def rewrite(self, tx: Transaction, acting: Acting, which: Any) -> None:
        """Write the validity of these members' passes as it follows from lease, role and collection."""
        rows = (await tx.execute(_with_lease().where(which, members.c.left.is_(None)))).all()
        given = await self._given(tx, [row.id for row in rows])
        changes: list[Change] = []
        now = self._context.clock.now()
        for row in rows:
            member, lease = _member(row), _lease(row)
            ends = bound_of(member.role, lease.last_day, member.until, member.collected, self.rules)
            reminded = row.reminded if ends == row.ends else None
            await tx.execute(
                update(members).where(members.c.id == row.id).values(ends=ends, reminded=reminded)
            )
            for owned in given.get(row.id, ()):
                if self._context.rights.credential(owned.credential) is not None:
                    changes.append(self._validity(member, lease, owned, now))
        await self._context.rights.apply(tx, changes, by=acting.actor)

    def _validity(self, member: Member, lease: Lease, owned: Any, now: float) -> SetValidity:
        term = self.term(member, lease, owned.issued)
        if term is not None:
            return SetValidity(owned.credential, term.begins, term.ends)
        # It holds at no time: over since now, whatever it was before.
        return SetValidity(owned.credential, min(owned.issued, now) - 1, min(owned.issued, now))

    async def _given(self, tx: Transaction, numbers: Sequence[int]) -> Mapping[int, list[Any]]:
        found: dict[int, list[Any]] = {}
        for row in await among(tx, select(passes), passes.c.member, numbers):
            found.setdefault(row.member, []).append(row)
        return found

    # -------------------------------------------------------------------------------------------------------- inside

    async def _rows(self, reading: Reading, which: Any) -> Sequence[Any]:
        return (await reading.execute(select(members).where(which).order_by(members.c.id))).all()

    async def _member(self, reading: Reading, acting: Acting, member: int) -> Member:
        row = (await reading.execute(_with_lease().where(members.c.id == member))).first()
        if row is None or acting.landlord not in (None, row.landlord):
            raise not_found("member")
        return _member(row)

    async def lease(self, reading: Reading, acting: Acting, household: int) -> Lease:
        return await self._lease(reading, acting, household)

    async def _lease(self, reading: Reading, acting: Acting, household: int) -> Lease:
        query = select(leases, flats.c.landlord).join(flats, flats.c.id == leases.c.flat)
        row = (await reading.execute(query.where(leases.c.household == household))).first()
        if row is None or acting.landlord not in (None, row.landlord):
            raise not_found("household")
        return _lease(row)

    async def _open_lease(self, reading: Reading, acting: Acting, household: int) -> Lease:
        lease = await self._lease(reading, acting, household)
        if lease.state is LeaseState.ENDED:
            raise TenancyError("tenancy.checked_out")
        return lease

    def _blind(self, what: str, external_id: str | None) -> bytes | None:
        return None if not external_id else self._context.tables.blind(f"{what}/{external_id}")


def _with_lease() -> Select[Any]:
    return (
        select(
            members, leases.c.flat, leases.c.first_day, leases.c.last_day, leases.c.state, flats.c.landlord
        )
        .join_from(members, leases, leases.c.household == members.c.household)
        .join(flats, flats.c.id == leases.c.flat)
    )


def _only_the_sites(acting: Acting, external_id: str | None) -> None:
    if acting.landlord is not None and external_id:
        raise TenancyError("tenancy.not_yours", 403)


def _check_days(first_day: date | None, last_day: date | None) -> None:
    if first_day is not None and last_day is not None and last_day < first_day:
        raise TenancyError("tenancy.days_reversed")


def _member(row: Any) -> Member:
    return Member(
        row.id, row.household, row.holder, Role(row.role), row.until, row.collected, row.ends, row.left
    )  # fmt: skip


def _lease(row: Any) -> Lease:
    return Lease(row.household, row.flat, row.landlord, row.first_day, row.last_day, LeaseState(row.state))


__all__ = ["UNDO_SECONDS", "Households"]
