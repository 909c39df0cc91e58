"""What members pass with: cards they have or are given, collected anew each year from cohabitants, lost and found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import delete, insert, select, update

from menwei import (
    Change,
    Context,
    CredentialIdentifier,
    CredentialState,
    PutCredential,
    PutIdentifier,
    Reading,
    SetState,
    SetValidity,
    Transaction,
    is_random,
)
from menwei.columns import among, new_id
from menwei_tenancy.households import Households
from menwei_tenancy.places import Places
from menwei_tenancy.tables import CardKind, collections, ended, endings, members, passes
from menwei_tenancy.terms import Role, Term, year_from
from menwei_tenancy.words import Acting, CollectAgain, MayComeBack, Member, TenancyError, Touch

FRESH = 300.0
"""Seconds after a touch in which it still proves that the person is here: the desk types the rest meanwhile."""


class Passes:
    """Cards and captures of members."""

    def __init__(self, context: Context, places: Places, households: Households) -> None:
        self._context = context
        self._places = places
        self._households = households

    async def give(
        self,
        tx: Transaction,
        acting: Acting,
        member: int,
        card: CredentialIdentifier,
        kind: CardKind = CardKind.KEY_CARD,
        label: str = "",
    ) -> int:
        """A member passes with this card from now on, as long as their lease (and role) says; returns the credential.
        The card they already have here is left as it is. Cohabitants' cards are collected instead (`collect`)."""
        found = await self._households.member(tx, acting, member)
        if found.role is Role.COHABITANT:
            raise TenancyError("tenancy.collect_first")
        return await self._give(tx, acting, found, card, kind, label)

    async def collect(
        self,
        tx: Transaction,
        acting: Acting,
        member: int,
        consent: str,
        touch: Touch,
        kind: CardKind = CardKind.KEY_CARD,
        label: str = "",
    ) -> int:
        """A member consented (to the text of that version) and touched their card, or was captured, just now: the year
        of a cohabitant begins again. Returns the credential. There is no other way to make that year longer."""
        now = self._context.clock.now()
        if not consent.strip():
            raise TenancyError("tenancy.no_consent", 400)
        if not now - FRESH <= touch.at <= now:
            raise TenancyError("tenancy.touch_again")
        found = await self._households.member(tx, acting, member)
        if found.left is not None:
            raise TenancyError("tenancy.has_left")
        await tx.execute(
            update(members).where(members.c.id == member).values(collected=touch.at, reminded=None)
        )
        row = {
            "id": new_id(), "member": member, "at": touch.at, "ends": year_from(touch.at, self._households.rules),
            "consent": consent.strip(), "identifier": str(touch.identifier.type),
        }  # fmt: skip
        await tx.execute(insert(collections), [row])
        fresh = await self._households.member(tx, acting, member)
        credential = await self._give(tx, acting, fresh, touch.identifier, kind, label)
        await self._households.rewrite(tx, acting, members.c.id == member)
        return credential

    async def _give(
        self,
        tx: Transaction,
        acting: Acting,
        member: Member,
        card: CredentialIdentifier,
        kind: CardKind,
        label: str,
    ) -> int:
        if is_random(card):
            raise TenancyError("card.random")
        if (kind is CardKind.RESIDENT_ID) != (card.format == "idcard"):
            raise TenancyError("tenancy.other_card", 400)
        lease = await self._households.lease(tx, acting, member.household)
        now = self._context.clock.now()
        term = self._households.term(member, lease, now)
        if term is None:
            raise TenancyError("tenancy.over")
        held = self._context.rights.find(card)
        if held is not None and held.holder == member.holder and held.state is not CredentialState.ENDED:
            return await self._take_in(tx, acting, member, held.id, held.state, term, kind)
        flat = await self._places.flat(tx, acting, lease.flat)
        credential = await self._context.people.add_credential(
            tx, member.holder, [card], profiles=flat.profiles, valid_from=term.begins, valid_to=term.ends, label=label,
            by=acting.actor,
        )  # fmt: skip
        await self._write(tx, credential, member.id, kind, now)
        await self._households.rewrite(tx, acting, members.c.id == member.id)
        return credential

    async def _take_in(
        self,
        tx: Transaction,
        acting: Acting,
        member: Member,
        credential: int,
        state: CredentialState,
        term: Term,
        kind: CardKind,
    ) -> int:
        """The card they touched is one they have: it becomes (or stays) this membership's."""
        if state is not CredentialState.ENABLED:
            raise TenancyError("tenancy.restore_first")
        owner = (await tx.execute(select(passes.c.member).where(passes.c.credential == credential))).scalar()
        if owner not in (None, member.id):
            raise TenancyError("tenancy.card_of_other_flat")
        if owner is None:
            await self._write(tx, credential, member.id, kind, self._context.clock.now())
            change = SetValidity(credential, term.begins, term.ends)
            await self._context.rights.apply(tx, [change], by=acting.actor)
        return credential

    async def _write(self, tx: Transaction, credential: int, member: int, kind: CardKind, now: float) -> None:
        row = {"credential": credential, "member": member, "kind": str(kind), "issued": now}
        await tx.execute(insert(passes), [row])

    # ------------------------------------------------------------------------------------------- lost, found, ended

    async def report_lost(self, tx: Transaction, acting: Acting, credential: int) -> None:
        """It opens nothing from now on, until it is restored."""
        await self._turn(tx, acting, credential, CredentialState.ENABLED, CredentialState.LOST)

    async def restore(self, tx: Transaction, acting: Acting, credential: int) -> None:
        """It was found again: as before it was reported lost. What was disabled or ended is not restored."""
        await self._turn(tx, acting, credential, CredentialState.LOST, CredentialState.ENABLED)

    async def end(self, tx: Transaction, acting: Acting, credential: int) -> None:
        """It opens nothing any more, for good: given back, or broken."""
        await self._households.member_of_credential(tx, acting, credential)
        await self._context.rights.apply(tx, [SetState(credential, CredentialState.ENDED)], by=acting.actor)

    async def _turn(
        self, tx: Transaction, acting: Acting, credential: int, was: CredentialState, becomes: CredentialState
    ) -> None:
        await self._households.member_of_credential(tx, acting, credential)
        held = self._context.rights.credential(credential)
        if held is not None and held.state is becomes:
            return
        if held is None or held.state is not was:
            raise TenancyError("tenancy.not_in_that_state")
        await self._context.rights.apply(tx, [SetState(credential, becomes)], by=acting.actor)

    # ------------------------------------------------------------------------------------------------------- review

    async def review(self, reading: Reading, changes: Sequence[Change]) -> None:
        """No credential of a cohabitant outlasts their year, and nobody is given a card that its household may get back,
        whoever writes it and by whichever way. Raises `CollectAgain`, `MayComeBack`."""
        made = {change.id: change.holder for change in changes if isinstance(change, PutCredential)}
        await self._given_up(reading, changes, made)
        concerned = await self._concerned(reading, made)
        for change in changes:
            if isinstance(change, PutCredential) and change.id not in concerned:
                continue
            if isinstance(change, PutCredential):
                await self._within_the_year(reading, change.id, change.holder, change.valid_to)
            elif isinstance(change, SetValidity):
                held = self._context.rights.credential(change.credential)
                holder = held.holder if held is not None else made.get(change.credential)
                await self._within_the_year(reading, change.credential, holder, change.valid_to)
            elif isinstance(change, SetState) and (
                held := self._context.rights.credential(change.credential)
            ):
                await self._within_the_year(
                    reading, held.id, held.holder, held.valid_to
                )  # what was written without us

    async def _given_up(self, reading: Reading, changes: Sequence[Change], made: Mapping[int, int]) -> None:
        """What ended with a check-out comes back with its undo, and must then still be whoever's it was."""
        rights = self._context.rights
        others = set()
        for change in changes:
            if not isinstance(change, PutIdentifier):
                continue
            stands_on, goes_to = rights.find(change.digest), rights.credential(change.credential)
            holder = goes_to.holder if goes_to is not None else made.get(change.credential)
            if stands_on is not None and stands_on.holder != holder:
                others.add(stands_on.id)
        query = select(endings.c.undo_until).join_from(ended, endings, ended.c.ending == endings.c.id)
        undoable = query.where(endings.c.undo_until > self._context.clock.now())
        rows = await among(reading, undoable, ended.c.credential, others)
        if rows:
            minute = -(-max(row.undo_until for row in rows) // 60) * 60
            free = datetime.fromtimestamp(minute, self._households.rules.zone)
            raise MayComeBack("the check-out that ended this card can still be undone", time=f"{free:%H:%M}")

    async def _concerned(self, reading: Reading, made: Mapping[int, int]) -> frozenset[int]:
        """Of these credentials (to holders), those that are a member's or whose holder is one; a few statements for an
        import of thousands of people who are not members yet."""
        given = await among(reading, select(passes.c.credential), passes.c.credential, made)
        theirs = await among(reading, select(members.c.holder), members.c.holder, made.values())
        living = {row.holder for row in theirs}
        found = {row.credential for row in given}
        return frozenset(found | {number for number, holder in made.items() if holder in living})

    async def _within_the_year(
        self, reading: Reading, credential: int, holder: int | None, valid_to: float
    ) -> None:
        owner = select(passes.c.member).where(passes.c.credential == credential)
        mine = (await reading.execute(select(members).where(members.c.id.in_(owner)))).first()
        if mine is not None:
            concerned = [mine]
        elif (
            holder is None
        ):  # made in an earlier step of this transaction, by somebody else: nobody can tell whose
            raise CollectAgain(f"credential {credential} is not known yet: set its validity when it is made")
        else:
            query = select(members).where(members.c.holder == holder, members.c.left.is_(None))
            concerned = list((await reading.execute(query)).all())
        if not concerned or any(row.role != Role.COHABITANT for row in concerned):
            return
        years = [
            year_from(row.collected, self._households.rules) for row in concerned if row.collected is not None
        ]
        if not years or valid_to > max(years):
            raise CollectAgain(f"credential {credential} would outlast the year of a cohabitant")

    async def forget(self, tx: Transaction, numbers: Sequence[int]) -> None:
        """These credentials are no passes any more (their people were removed)."""
        await tx.execute(delete(passes).where(passes.c.credential.in_(numbers)))


__all__ = ["FRESH", "Passes"]
