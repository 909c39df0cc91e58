"""The tenancy of one site: what API, commands and pages call, and what happens by itself.

By itself: reminders before a cohabitant's year ends, check-outs made final after ten minutes, rows of removed people
deleted, and the committee told when somebody tries a door with a credential that was cancelled. No door waits for any
of it: who may pass until when stands in the credentials.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import time
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import delete, exists, select, update

from menwei import Actor, Change, Config, Context, Fact, Reading, Repair, Service, Transaction
from menwei_tenancy.households import Households
from menwei_tenancy.passes import Passes
from menwei_tenancy.places import Places
from menwei_tenancy.residence import EndsWith
from menwei_tenancy.tables import households, leases, members, passes, tenants
from menwei_tenancy.tenants import Tenants
from menwei_tenancy.terms import Quiet, Role, Rules, reminder_due
from menwei_tenancy.words import Acting

ROUND = 60.0
"""Seconds between rounds of what happens by itself: a check-out is final within a minute of its ten."""
SELDOM = 60
"""Rounds between two looks for people who were removed: that asks for everybody without a card."""

UPKEEP = Acting(Actor("tenancy", "plugin", "plugin"))
CANCELLED = frozenset({"Lost", "Disabled", "Ended"})
DENIED = "AccessDenied"


class Options(Config):
    """The plugin's section in the config. `profiles` are carried by everybody who lives here (the compound gate);
    `grace_days` follow the end of a lease, never a cohabitant's year; nothing runs out in the quiet hours. `consent` is
    the version of the text that cohabitants consent to at the desk."""

    profiles: tuple[str, ...] = ()
    grace_days: Annotated[int, Field(ge=0, le=90)] = 0
    quiet_from: time = time(20)
    quiet_to: time = time(8)
    reminders: Annotated[tuple[Annotated[int, Field(ge=0, le=180)], ...], Field(max_length=6)] = (30, 7, 1)
    consent: Annotated[str, Field(min_length=1, max_length=60)] = "1"


class Tenancy(Service):
    """Places, leases, households and their cards. Made at start; without it doors go on by what is written, and only
    changes have to wait."""

    name = "tenancy"
    Config = Options

    def __init__(self, context: Context, config: Options) -> None:
        super().__init__(context, config)
        quiet = Quiet(config.quiet_from, config.quiet_to)
        self.rules = Rules(context.site.zone, config.grace_days, quiet)
        self.places = Places(context, config.profiles)
        self.households = Households(context, self.places, self.rules)
        self.passes = Passes(context, self.places, self.households)
        self.tenants = Tenants(context, self.households, self.passes)
        self._reminders = tuple(sorted(config.reminders, reverse=True))

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Every function that changes something takes one: several together are done or not as one."""
        return self.context.tables.transaction()

    def read(self) -> AbstractAsyncContextManager[Reading]:
        return self.context.tables.read()

    async def audit(self, acting: Acting, action: str, **about: Any) -> None:
        """Record who did this; `about` are numbers (household, member, holder …) and goes into the personal part."""
        await self.context.facts.audit(acting.actor, action, personal=about)

    def on_leaving(self, ends_with: EndsWith) -> None:
        """Ask this about every check-out and every member who leaves. For services of other plugins, called once, when
        they are made: what they gave for somebody's home ends with it, in one transaction, and comes back with an undo."""
        self.households.ends_with.append(ends_with)

    async def review(self, tx: Reading, changes: Sequence[Change], actor: Actor) -> None:
        await self.passes.review(tx, changes)

    def repairs(self) -> list[Repair]:
        known = self.context.rights.profile
        missing = [profile for profile in self.config.profiles if known(profile) is None]
        if not missing:
            return []
        return [
            Repair("tenancy:profiles", "tenancy.repair.profiles", {"profiles": ", ".join(missing)}, "error")
        ]

    # --------------------------------------------------------------------------------------------------- by itself

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._rounds())
            tasks.create_task(self._watch())

    async def _rounds(self) -> None:
        for number in itertools.count():
            await self.upkeep()
            if number % SELDOM == 0:
                await self.forget_removed()
            await asyncio.sleep(ROUND)

    async def upkeep(self) -> None:
        """One round of what happens by itself."""
        async with self.transaction() as tx:
            await self.households.make_final(tx, UPKEEP)
        await self.remind()

    async def remind(self) -> int:
        """Tell of every cohabitant whose right ends in 30, 7 or 1 days (`reminders`), once each; returns how many. The
        fact is durable before it is noted as sent: after a crash it may come twice, never not at all."""
        now, zone = self.context.clock.now(), self.rules.zone
        query = (
            select(members, leases.c.flat)
            .join(leases, leases.c.household == members.c.household)
            .where(members.c.role == str(Role.COHABITANT), members.c.left.is_(None), members.c.ends > now)
        )
        async with self.read() as reading:
            rows = (await reading.execute(query)).all()
        sent = 0
        for row in rows:
            due = reminder_due(row.ends, now, zone, self._reminders, row.reminded)
            if due is None:
                continue
            data = {
                "member": row.id,
                "household": row.household,
                "flat": row.flat,
                "days": due,
                "ends": row.ends,
            }
            if (
                await self.context.facts.record("Reminder", data=data, personal={"holder": row.holder})
                is None
            ):
                continue  # not durable: the next round tells it
            async with self.transaction() as tx:
                same = (members.c.id == row.id) & (members.c.ends == row.ends)
                await tx.execute(update(members).where(same).values(reminded=due))
            sent += 1
        return sent

    async def forget_removed(self) -> int:
        """Delete the rows of people whom the privacy desk removed, and households nobody is left of."""
        async with self.read() as reading:
            rows = (await reading.execute(select(members.c.id, members.c.holder))).all()
        unseen = {row.holder for row in rows if not self.context.rights.of_holder(row.holder)}
        removed = unseen - (await self.context.people.read(sorted(unseen))).keys()
        gone = [row.id for row in rows if row.holder in removed]
        if not gone:
            return 0
        async with self.transaction() as tx:
            homes = select(members.c.household).where(members.c.id.in_(gone))
            emptied = list((await tx.execute(homes)).scalars())
            await tx.execute(delete(passes).where(passes.c.member.in_(gone)))
            await tx.execute(delete(members).where(members.c.id.in_(gone)))
            await tx.execute(delete(tenants).where(tenants.c.holder.in_(removed)))
            nobody = ~exists().where(members.c.household == households.c.id)
            await tx.execute(delete(households).where(households.c.id.in_(emptied), nobody))
        return len(gone)

    async def _watch(self) -> None:
        async for fact in self.context.facts.follow("cancelled", {DENIED}):
            await self.tell_of_cancelled(fact)

    async def tell_of_cancelled(self, fact: Fact) -> bool:
        """Tell the committee when the denied credential was reported lost, disabled or ended; whose it is stands, sealed,
        in the entry that `passage` names."""
        states = {
            str(check.get("detail"))
            for check in fact.data.get("checks", ())
            if check.get("reason") == "CredentialNotEnabled"
        }
        cancelled = sorted(states & CANCELLED)
        if not cancelled:
            return False
        data = {"passage": fact.id, "state": cancelled[0]}
        await self.context.facts.record(
            "CancelledUse", door=fact.door, access_point=fact.access_point, data=data
        )
        return True
