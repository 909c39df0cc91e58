"""Households over HTTP: a lease begins, changes and ends, people come and leave, and how a household is shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from menwei.routes import Call, Done, Route, number
from menwei_tenancy.actors import (
    BASE,
    BY_DESK,
    BY_HOUSE,
    DESK,
    DONE,
    EXTERNAL,
    MADE,
    acting,
    doing,
    external_of,
    refusing,
)
from menwei_tenancy.api_passes import pass_out
from menwei_tenancy.models import (
    CheckedOut,
    ExpiringList,
    ExpiringOut,
    Extended,
    GivenRoom,
    HouseholdList,
    HouseholdOut,
    LeaseDays,
    Made,
    MemberFacts,
    MemberOut,
    NewMember,
    PassOut,
    RoomGiven,
    SyncedHousehold,
    Within,
)
from menwei_tenancy.service import Tenancy
from menwei_tenancy.terms import Role as MemberRole
from menwei_tenancy.terms import why_of
from menwei_tenancy.words import Household, Member


async def sync_household(call: Call) -> Made:
    body: SyncedHousehold = call.body
    async with doing(call) as do:
        flat = await do.tenancy.places.flat_of(do.tx, do.acting, body.flat)
        made = await do.tenancy.households.move_in(
            do.tx, do.acting, flat.id, body.first_day, body.last_day, external_of(call)
        )
    await do.tenancy.audit(do.acting, "move_in", household=made)
    return Made(id=made)


async def give_room(call: Call) -> RoomGiven:
    body: GivenRoom = call.body
    async with doing(call) as do:
        households = do.tenancy.households
        made = await households.move_in(do.tx, do.acting, body.flat, body.first_day, body.last_day)
        member = None
        if body.name:
            member = await households.add_member(
                do.tx, do.acting, made, MemberRole.LESSEE, name=body.name, phone=body.phone
            )  # fmt: skip
    await do.tenancy.audit(do.acting, "move_in", household=made)
    return RoomGiven(household=made, member=member)


async def get_household(call: Call) -> HouseholdOut:
    tenancy, who = call.service(Tenancy), await acting(call)
    with refusing():
        async with tenancy.read() as reading:
            found = await tenancy.households.household(reading, who, _household(call))
    return await shown(call, found)


async def get_synced(call: Call) -> HouseholdOut:
    tenancy, who = call.service(Tenancy), await acting(call)
    with refusing():
        async with tenancy.read() as reading:
            found = await tenancy.households.of_external_id(reading, who, external_of(call))
    return await shown(call, found)


async def set_lease(call: Call) -> Done:
    body: LeaseDays = call.body
    household = _household(call)
    async with doing(call) as do:
        await do.tenancy.households.set_lease(do.tx, do.acting, household, body.first_day, body.last_day)
    await do.tenancy.audit(do.acting, "lease", household=household)
    return Done()


async def extend(call: Call) -> Done:
    body: Extended = call.body
    household = _household(call)
    async with doing(call) as do:
        await do.tenancy.households.extend(do.tx, do.acting, household, body.last_day)
    await do.tenancy.audit(do.acting, "extend", household=household)
    return Done()


async def check_out(call: Call) -> CheckedOut:
    household = _household(call)
    async with doing(call) as do:
        undo = await do.tenancy.households.check_out(do.tx, do.acting, household)
    await do.tenancy.audit(do.acting, "check_out", household=household)
    return CheckedOut(undo_until=undo.until)


async def undo(call: Call) -> Done:
    household = _household(call)
    async with doing(call) as do:
        await do.tenancy.households.undo(do.tx, do.acting, household)
    await do.tenancy.audit(do.acting, "undo", household=household)
    return Done()


# ------------------------------------------------------------------------------------------------- members


async def add_member(call: Call) -> Made:
    body: NewMember = call.body
    household = _household(call)
    async with doing(call) as do:
        made = await do.tenancy.households.add_member(
            do.tx, do.acting, household, body.role, name=body.name, phone=body.phone, holder=body.holder,
            until=body.until, external_id=body.external_id,
        )  # fmt: skip
    await do.tenancy.audit(do.acting, "member", household=household, member=made)
    return Made(id=made)


async def set_member(call: Call) -> Done:
    body: MemberFacts = call.body
    member = _member(call)
    async with doing(call) as do:
        await do.tenancy.households.set_member(do.tx, do.acting, member, body.role, body.until)
    await do.tenancy.audit(do.acting, "member", member=member)
    return Done()


async def leave(call: Call) -> CheckedOut:
    member = _member(call)
    async with doing(call) as do:
        undoable = await do.tenancy.households.leave(do.tx, do.acting, member)
    await do.tenancy.audit(do.acting, "leave", member=member)
    return CheckedOut(undo_until=undoable.until)


# --------------------------------------------------------------------------------------------------------------- lists


async def in_flat(call: Call) -> HouseholdList:
    tenancy, who, flat = call.service(Tenancy), await acting(call), number(call.path["flat"], "path.flat")
    with refusing():
        async with tenancy.read() as reading:
            found = await tenancy.households.in_flat(reading, who, flat)
    return HouseholdList(households=tuple([await shown(call, household) for household in found]))


async def expiring(call: Call) -> ExpiringList:
    tenancy, who = call.service(Tenancy), await acting(call)
    before = call.house.clock.now() + timedelta(days=call.query.days).total_seconds()
    async with tenancy.read() as reading:
        found = await tenancy.households.expiring(reading, who, before)
    return ExpiringList(
        members=tuple(
            ExpiringOut(member=member.id, household=member.household, role=member.role, ends=member.ends)
            for member in found
            if member.ends is not None
        )
    )


async def shown(call: Call, household: Household) -> HouseholdOut:
    """A household as the API shows it; names only to an unlocked session."""
    tenancy = call.service(Tenancy)
    people = await tenancy.context.people.read([member.holder for member in household.members], call.key)
    entered = {number: (person.created, person.name or "") for number, person in people.items()}
    desk = call.who.role in DESK
    return HouseholdOut(
        id=household.id,
        flat=household.lease.flat,
        first_day=household.lease.first_day,
        last_day=household.lease.last_day,
        state=household.lease.state,
        members=tuple(
            MemberOut(
                id=member.id, holder=member.holder, role=member.role, until=member.until, collected=member.collected,
                ends=member.ends, left=member.left, passes=_passes(household, member.id),
                name=people[member.holder].name if member.holder in people else None,
                document=people[member.holder].document if desk and member.holder in people else "",
                why=why_of(
                    member.role, household.lease.last_day, member.until, member.collected, member.left is not None,
                    tenancy.rules,
                ),
            )
            for member in _in_order(household, entered)
        ),
        undo_until=household.undo.until if household.undo is not None else None,
    )  # fmt: skip


def _in_order(household: Household, entered: Mapping[int, tuple[float, str]]) -> list[Member]:
    """Whoever holds the lease first; those of one role as they were entered (when, and by what name where it can be
    read): the order of numbers means nothing."""
    roles = list(MemberRole)
    unknown = 0.0, ""
    return sorted(
        household.members,
        key=lambda member: (roles.index(member.role), *entered.get(member.holder, unknown)),
    )


def _passes(household: Household, member: int) -> tuple[PassOut, ...]:
    return tuple(
        pass_out(given.credential, given.kind) for given in household.passes if given.member == member
    )


def _household(call: Call) -> int:
    return number(call.path["household"], "path.household")


def _member(call: Call) -> int:
    return number(call.path["member"], "path.member")


def routes() -> list[Route]:
    flat, household = BASE + r"/flats/{flat:\d{1,18}}", BASE + r"/households/{household:\d{1,18}}"
    member, synced = BASE + r"/members/{member:\d{1,18}}", f"{BASE}/synced-households/{EXTERNAL}"
    return [
        Route("GET", f"{flat}/households", in_flat, summary="tenancy.api.in_flat", response=HouseholdList,
              statuses=(404,),
              **BY_HOUSE),
        Route("PUT", synced, sync_household, summary="tenancy.api.sync", body=SyncedHousehold, **MADE, **BY_DESK),
        Route("GET", synced, get_synced, summary="tenancy.api.household", response=HouseholdOut, statuses=(404,),
              **BY_DESK),
        Route("POST", f"{BASE}/households", give_room, summary="tenancy.api.give_room", body=GivenRoom,
              response=RoomGiven,
              statuses=(404, 409), **BY_HOUSE),
        Route("GET", household, get_household, summary="tenancy.api.household", response=HouseholdOut,
              statuses=(404,), **BY_HOUSE),
        Route("POST", f"{household}/lease", set_lease, summary="tenancy.api.lease", body=LeaseDays, **DONE, **BY_HOUSE),
        Route("POST", f"{household}/extend", extend, summary="tenancy.api.extend", body=Extended, **DONE, **BY_HOUSE),
        Route("POST", f"{household}/check-out", check_out, summary="tenancy.api.check_out", response=CheckedOut,
              statuses=(404, 409), destructive=True, **BY_HOUSE),
        Route("POST", f"{household}/undo", undo, summary="tenancy.api.undo", **DONE, **BY_HOUSE),
        Route("POST", f"{household}/members", add_member, summary="tenancy.api.add_member", body=NewMember, **MADE,
              **BY_HOUSE),
        Route("POST", member, set_member, summary="tenancy.api.set_member", body=MemberFacts, **DONE, **BY_DESK),
        Route("POST", f"{member}/leave", leave, summary="tenancy.api.leave", response=CheckedOut, statuses=(404, 409),
              destructive=True, **BY_HOUSE),
        Route("GET", f"{BASE}/expiring", expiring, summary="tenancy.api.expiring", query=Within,
              response=ExpiringList, **BY_HOUSE),
    ]  # fmt: skip
