"""The visitors of one site: what API, commands and pages call, and the deletion that happens by itself.

Inviting writes a credential that ends at local midnight; no door asks this plugin for anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field
from sqlalchemy import delete, func, insert, select, update

from menwei import (
    Actor,
    Config,
    Context,
    CredentialIdentifier,
    CredentialState,
    Reading,
    RemoveHolder,
    Repair,
    Service,
    SetState,
    Transaction,
    is_random,
)
from menwei.columns import new_id
from menwei_visitors.codes import Codes, obvious, shown, typed
from menwei_visitors.days import day_of, end_of
from menwei_visitors.tables import deletions, hosts, passes
from menwei_visitors.words import Kind, Means, Pass, Purpose, VisitorError

if TYPE_CHECKING:
    from menwei_tenancy.residence import Leaving
    from menwei_tenancy.service import Tenancy

_TOLD = 3
"""Of several flats that may be meant, so many are told as examples."""
ROUND = 60.0
"""Seconds between looks whether a day is over; the credential itself has ended at midnight."""
UPKEEP = Actor("visitors", "plugin", "plugin")
Profiles = tuple[Annotated[str, Field(min_length=1, max_length=64)], ...]


class Options(Config):
    """The plugin's section in the config. Every guest carries the access profiles `profiles` (the compound gate) and
    those of the longest beginning of their host's flat in `ways` (the unit door), never the flat's own lock. Where `ways`
    says nothing of a flat, the plugin `tenancy` knows the way, if it runs. Couriers carry `courier_profiles` alone.
    `per_flat` and `couriers` are passes a day, ended ones included."""

    profiles: Profiles = ()
    ways: Mapping[str, Profiles] = Field(default_factory=dict)
    courier_profiles: Profiles = ()
    per_flat: Annotated[int, Field(ge=1, le=1000)] = 8
    couriers: Annotated[int, Field(ge=1, le=10_000)] = 200


class Visitors(Service):
    """Passes for today. Made at start; without it nobody is invited, and who is invited passes until midnight."""

    name = "visitors"
    Config = Options

    def __init__(self, context: Context, config: Options) -> None:
        super().__init__(context, config)
        self._options = config
        self._zone = context.site.zone
        self.codes = Codes(context.site.id, context.tables.blind)
        if (tenancy := self._tenancy()) is not None:
            tenancy.on_leaving(self._ending_with)

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Every function that changes something takes one."""
        return self.context.tables.transaction()

    def read(self) -> AbstractAsyncContextManager[Reading]:
        return self.context.tables.read()

    @property
    def today(self) -> date:
        return day_of(self.context.clock.now(), self._zone)

    def repairs(self) -> list[Repair]:
        options = self._options
        named = {
            *options.profiles,
            *options.courier_profiles,
            *(p for way in options.ways.values() for p in way),
        }
        missing = sorted(profile for profile in named if self.context.rights.profile(profile) is None)
        if missing:
            values = {"profiles": ", ".join(missing)}
            return [Repair("visitors:profiles", "visitors.repair.profiles", values, "error")]
        nowhere = not named and self._tenancy() is None
        return [Repair("visitors:no-doors", "visitors.repair.no_doors", {})] if nowhere else []

    # --------------------------------------------------------------------------------------------------------- inviting

    async def invite(
        self,
        tx: Transaction,
        by: Actor,
        flat: str,
        purpose: Purpose = Purpose.FRIEND,
        *,
        card: CredentialIdentifier | None = None,
        profiles: Sequence[str] | None = None,
        external_id: str | None = None,
        host: int | None = None,
    ) -> Pass:
        """A guest of a flat may pass from now until midnight, any number of times: by code, or with their own `card`
        that was just touched. `profiles` are the doors on the way where the caller knows them (a plugin that knows the
        flats); None: as the options say. For the same flat the same `external_id`, or the same card, is the same pass.
        `host` is the account that invites, None the desk: with their home ends what they invited to. Raises
        `VisitorError`, or a `RightsError` of the core."""
        flat = flat.strip()
        if not flat:
            raise VisitorError("visitors.which_flat", HTTPStatus.BAD_REQUEST)
        if host is not None and await self.flat_of(tx, host) != flat:  # as it is in this transaction
            raise VisitorError("visitors.no_own_flat", HTTPStatus.FORBIDDEN)
        way = await self._way(flat) if profiles is None else tuple(profiles)
        return await self._give(
            tx, by, Kind.GUEST, flat, purpose, way, self._options.per_flat, card, external_id, host
        )

    async def courier(
        self,
        tx: Transaction,
        by: Actor,
        *,
        card: CredentialIdentifier | None = None,
        external_id: str | None = None,
    ) -> Pass:
        """A courier may pass the doors for couriers until midnight."""
        way, most = self._options.courier_profiles, self._options.couriers
        return await self._give(tx, by, Kind.COURIER, "", Purpose.DELIVERY, way, most, card, external_id)

    async def meant(self, said: str) -> str:
        """The flat that the desk means: by its external id, or as its pages call it (12 501, 1号楼1单元302室) where the
        plugin `tenancy` knows just one that is called so. Raises `VisitorError` when there is no way to it."""
        flat = said.strip()
        tenancy = self._tenancy()
        if tenancy is not None and self._begins(flat) is None:
            from menwei_tenancy.finding import called

            async with tenancy.read() as reading:
                known = await tenancy.places.known(reading, [flat])
                found = [] if known else await called(tenancy.places, reading, flat)
            if len(found) > 1:
                some = ", ".join(one.external_id for one in found[:_TOLD])
                raise VisitorError("visitors.several_flats", count=str(len(found)), flats=some)
            flat = found[0].external_id if found else flat
        await self._way(flat)
        return flat

    def _begins(self, flat: str) -> str | None:
        """What of `ways` says most of this flat."""
        return max((begin for begin in self._options.ways if flat.startswith(begin)), key=len, default=None)

    async def _way(self, flat: str) -> tuple[str, ...]:
        ways, begins = self._options.ways, self._begins(flat)
        way = ways[begins] if begins is not None else await self._way_of_tenancy(flat)
        if way is None and ways:
            raise VisitorError("visitors.unknown_flat", HTTPStatus.NOT_FOUND)
        return tuple(dict.fromkeys((*self._options.profiles, *(way or ()))))

    async def _way_of_tenancy(self, flat: str) -> tuple[str, ...] | None:
        """The way to a flat as the plugin `tenancy` knows it; None where it does not run. Raises `VisitorError` when it
        runs and knows no such flat."""
        from menwei_tenancy.words import TenancyError

        tenancy = self._tenancy()
        if tenancy is None:
            return None
        async with tenancy.read() as reading:
            try:
                return await tenancy.places.way(reading, flat)
            except TenancyError:
                raise VisitorError("visitors.unknown_flat", HTTPStatus.NOT_FOUND) from None

    def _tenancy(self) -> Tenancy | None:
        from menwei_tenancy.service import Tenancy  # not before it is asked for: a site may do without it

        try:
            return self.context.service(Tenancy)
        except LookupError:
            return None

    async def _give(
        self,
        tx: Transaction,
        by: Actor,
        kind: Kind,
        flat: str,
        purpose: Purpose,
        way: tuple[str, ...],
        most: int,
        card: CredentialIdentifier | None,
        external_id: str | None,
        host: int | None = None,
    ) -> Pass:
        if not way:
            raise VisitorError("visitors.no_doors")
        await self.clear(tx)
        blind = self._blind(kind, flat, external_id) if external_id else None
        if blind is not None and (held := await self._one(tx, passes.c.external_id == blind)) is not None:
            return held
        if card is not None and (held := await self._of_card(tx, card, kind, flat)) is not None:
            return held
        given = select(func.count()).where(
            passes.c.day == self.today, passes.c.flat == flat, passes.c.kind == str(kind)
        )
        if int((await tx.execute(given)).scalar_one()) >= most:
            raise VisitorError(
                "visitors.enough_today", HTTPStatus.TOO_MANY_REQUESTS, seconds=self._seconds_left()
            )
        number, today = new_id(), self.today
        attempt = 0 if card is not None else self._free_attempt(number)
        identifiers = [card] if card is not None else self._identifiers(today, number, attempt)
        people, now = self.context.people, self.context.clock.now()
        holder = await people.add(
            tx, f"{kind} {purpose}", by=by
        )  # a person of the rights needs a name: no one's
        credential = await people.add_credential(
            tx, holder, identifiers, profiles=way, valid_from=now, valid_to=end_of(today, self._zone), by=by
        )
        row = {
            "id": number, "external_id": blind, "day": today, "flat": flat, "kind": str(kind),
            "purpose": str(purpose), "means": str(Means.CODE if card is None else Means.CARD), "attempt": attempt,
            "holder": holder, "credential": credential, "created": now, "ended": None, "host": host,
        }  # fmt: skip
        await tx.execute(insert(passes), [row])
        made = await self._one(tx, passes.c.id == number)
        assert made is not None
        return made

    def _blind(self, kind: Kind, flat: str, external_id: str) -> bytes:
        """Numbers are guessed easily, so each flat has its own, and couriers theirs. The length keeps flat and number
        apart, whatever characters stand in them."""
        return self.context.tables.blind(f"pass/{kind}/{len(flat)}/{flat}/{external_id}")

    def _identifiers(self, day: date, number: int, attempt: int) -> list[CredentialIdentifier]:
        return [typed(self.codes.digits(number, attempt)), shown(self.codes.qr(day, number))]

    def _free_attempt(self, number: int) -> int:
        """Two visitors never have the same digits at once, and nobody has those that are guessed first."""
        attempt = 0
        while obvious(digits := self.codes.digits(number, attempt)) or self.context.rights.find(
            typed(digits)
        ):
            attempt += 1
        return attempt

    async def _of_card(
        self, tx: Transaction, card: CredentialIdentifier, kind: Kind, flat: str
    ) -> Pass | None:
        """The pass this card already is today; None when it is nobody's. Raises `VisitorError` when it is something
        else: a resident's card does not become a visitor's."""
        if is_random(card):
            raise VisitorError("card.random")
        held = self.context.rights.find(card)
        if held is None or held.state is CredentialState.ENDED:
            return None
        found = await self._one(tx, passes.c.credential == held.id)
        if found is None:
            if held.valid_to <= self.context.clock.now():
                return None  # an earlier visitor's, deleted in this very transaction
            raise VisitorError("visitors.card_registered")
        if (found.flat, found.kind) != (flat, kind):
            raise VisitorError("visitors.card_has_pass")
        return found

    # ---------------------------------------------------------------------------------------------------------- looking

    async def passes_today(self, reading: Reading, flat: str | None = None) -> list[Pass]:
        """Today's passes, newest first; those of one flat, or all."""
        query = (
            select(passes).where(passes.c.day == self.today).order_by(passes.c.created.desc(), passes.c.id)
        )
        if flat is not None:
            query = query.where(passes.c.flat == flat)
        return [self._pass(row) for row in (await reading.execute(query)).all()]

    async def one(self, reading: Reading, number: int, flat: str | None = None) -> Pass:
        """Today's pass of this number. Raises `VisitorError` 404 when there is none, or it is another flat's."""
        found = await self._one(reading, (passes.c.id == number) & (passes.c.day == self.today))
        if found is None or flat not in (None, found.flat):
            raise VisitorError("visitors.no_pass", HTTPStatus.NOT_FOUND)
        return found

    def digits_of(self, given: Pass) -> str:
        """What is typed; empty for a pass that is a card."""
        return self.codes.digits(given.id, given.attempt) if given.means is Means.CODE else ""

    def qr_of(self, given: Pass) -> str:
        """What the QR code says; empty for a pass that is a card."""
        return self.codes.qr(given.day, given.id) if given.means is Means.CODE else ""

    async def check(self, reading: Reading, text: str) -> Pass:
        """Whose QR code this is. Raises `CodeRefused`, or `VisitorError` when the pass was ended."""
        found = await self.one(reading, self.codes.read(text, self.today))
        if found.ended is not None:
            raise VisitorError("visitors.code.ended")
        return found

    # ----------------------------------------------------------------------------------------------------------- ending

    async def end(self, tx: Transaction, by: Actor, number: int, flat: str | None = None) -> None:
        """The pass opens nothing any more, now. Raises `VisitorError` as `one` does."""
        found = await self.one(tx, number, flat)
        if found.ended is not None:
            return
        await tx.execute(update(passes).where(passes.c.id == number).values(ended=self.context.clock.now()))
        await self.context.rights.apply(tx, [SetState(found.credential, CredentialState.ENDED)], by=by)

    async def _ending_with(self, tx: Transaction, who: Leaving) -> list[int]:
        """The credentials of guests that end with somebody's home: those they invited to it, and with the last household
        all of the flat's."""
        own = self.context.tables.within(tx)
        query = select(passes.c.id, passes.c.credential).where(
            passes.c.day == self.today, passes.c.flat == who.flat, passes.c.kind == str(Kind.GUEST)
        )
        if not who.empty:
            query = query.where(passes.c.host.in_(who.accounts))
        ending = [row for row in (await own.execute(query)).all() if not self._over(row.credential)]
        gone = passes.c.id.in_([row.id for row in ending])
        await own.execute(update(passes).where(gone).values(ended=self.context.clock.now()))
        return [row.credential for row in ending]

    def _over(self, credential: int) -> bool:
        held = self.context.rights.credential(credential)
        return held is not None and held.state is CredentialState.ENDED

    async def clear(self, tx: Transaction) -> int:
        """Delete every pass of an earlier day with the visitor behind it; returns how many. What was deleted is told
        to the journal by `prove`."""
        query = select(passes.c.id, passes.c.day, passes.c.holder).where(passes.c.day < self.today)
        over = (await tx.execute(query)).all()
        if not over:
            return 0
        await self.context.rights.apply(tx, [RemoveHolder(row.holder) for row in over], by=UPKEEP)
        await tx.execute(delete(passes).where(passes.c.day < self.today))
        days: dict[date, int] = {}
        for row in over:
            days[row.day] = days.get(row.day, 0) + 1
        told = [{"id": new_id(), "day": day, "passes": count} for day, count in days.items()]
        await tx.execute(insert(deletions), told)
        return len(over)

    async def prove(self) -> int:
        """Write the proof of each deletion into the journal, durable before it is forgotten here: after a crash it may
        stand there twice, never not at all. Returns how many were written."""
        async with self.read() as reading:
            untold = (await reading.execute(select(deletions))).all()
        written = 0
        for row in untold:
            data = {"day": row.day.isoformat(), "passes": row.passes}
            if await self.context.facts.record("Deleted", data=data) is None:
                break  # not durable: the next round tells it
            async with self.transaction() as tx:
                await tx.execute(delete(deletions).where(deletions.c.id == row.id))
            written += 1
        return written

    async def upkeep(self) -> None:
        """One round of what happens by itself."""
        async with self.transaction() as tx:
            await self.clear(tx)
        await self.prove()

    async def run(self) -> None:
        while True:
            await self.upkeep()
            left = end_of(self.today, self._zone) - self.context.clock.now()
            await asyncio.sleep(min(ROUND, max(left, 0.0) + 1.0))

    # ------------------------------------------------------------------------------------------------------------ hosts

    async def set_host(self, tx: Transaction, account: int, flat: str) -> None:
        """This account invites for that flat; an empty flat: for none."""
        await tx.execute(delete(hosts).where(hosts.c.account == account))
        if flat.strip():
            await tx.execute(insert(hosts), [{"account": account, "flat": flat.strip()}])

    async def flat_of(self, reading: Reading, account: int) -> str | None:
        """The flat for which this account invites now."""
        flat = (await reading.execute(select(hosts.c.flat).where(hosts.c.account == account))).scalar()
        return flat if flat is not None and await self.at_home({account: flat}) else None

    async def at_home(self, homes: Mapping[int, str]) -> frozenset[int]:
        """Of these accounts (to flats) those that may invite there: in a flat that the plugin `tenancy` knows, whoever
        lives in it now; in any other, whoever the committee named."""
        tenancy = self._tenancy()
        if tenancy is None:
            return frozenset(homes)
        async with tenancy.read() as reading:
            known = await tenancy.places.known(reading, homes.values())
            lived_in = await tenancy.tenants.flats_of(reading, homes.keys())
        return frozenset(
            account
            for account, flat in homes.items()
            if flat not in known or flat in lived_in.get(account, frozenset())
        )

    async def hosts(self, reading: Reading) -> dict[int, str]:
        """Account → flat."""
        rows = (await reading.execute(select(hosts).order_by(hosts.c.flat))).all()
        return {row.account: row.flat for row in rows}

    # ----------------------------------------------------------------------------------------------------------- inside

    async def _one(self, reading: Reading, which: Any) -> Pass | None:
        row = (await reading.execute(select(passes).where(which))).first()
        return None if row is None else self._pass(row)

    def _pass(self, row: Any) -> Pass:
        held = self.context.rights.credential(row.credential)
        ended = row.ended if held is None or held.state is CredentialState.ENDED else None  # or it was undone
        return Pass(
            row.id, row.day, row.flat, Kind(row.kind), Purpose(row.purpose), Means(row.means), row.attempt,
            row.credential, row.created, ended, end_of(row.day, self._zone),
        )  # fmt: skip

    def _seconds_left(self) -> str:
        return str(int(end_of(self.today, self._zone) - self.context.clock.now()) + 1)
