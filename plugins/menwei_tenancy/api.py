"""The tenancy's HTTP API: a housing system syncs by external ids, a desk registers, a landlord manages their own rooms.

Each handler is a few lines around a function of the service; pages and commands use the same ones.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from http import HTTPStatus
from typing import Any

from menwei import (
    FOREVER,
    CardFormatError,
    Credential,
    CredentialIdentifier,
    CredentialState,
    RightsError,
    Transaction,
    normalise,
)
from menwei.routes import Call, Done, Problem, Role, Route, number
from menwei_tenancy import finding
from menwei_tenancy.models import (
    Building,
    BuildingList,
    BuildingOut,
    CancelledList,
    CancelledOut,
    CheckedOut,
    Collection,
    ExpiringList,
    ExpiringOut,
    Extended,
    FlatList,
    FlatListing,
    FlatOut,
    GivenRoom,
    HouseholdList,
    HouseholdOut,
    LeaseDays,
    Made,
    MemberFacts,
    MemberOut,
    NewFlat,
    NewLandlord,
    NewMember,
    NewPass,
    PassOut,
    RoomGiven,
    SyncedHousehold,
    TouchedPass,
    Unit,
    Within,
)
from menwei_tenancy.service import Tenancy
from menwei_tenancy.terms import Role as MemberRole
from menwei_tenancy.terms import why_of
from menwei_tenancy.words import Acting, Flat, Household, TenancyError, Touch

BASE = "/api/tenancy"
DESK = frozenset({Role.COMMITTEE, Role.REGISTRAR, Role.OPERATOR})
HOUSE = DESK | {Role.LANDLORD}
COMMITTEE = frozenset({Role.COMMITTEE, Role.OPERATOR})
FOUND_DAYS = timedelta(days=30).total_seconds()
"""How far back the list of cancelled credentials goes; passages are kept no longer by default."""


@dataclass(frozen=True, slots=True)
class Doing:
    """A change on its way: `audit` after it is durable."""

    tenancy: Tenancy
    tx: Transaction
    acting: Acting


@contextmanager
def refusing() -> Iterator[None]:
    """What the service and the rights refuse, as a refusal of the API."""
    try:
        yield
    except TenancyError as error:
        raise Problem(error.status, error.says, **error.values) from None
    except RightsError as error:
        raise Problem(HTTPStatus.CONFLICT, error.says, **error.values) from None


async def acting(call: Call) -> Acting:
    """Who calls; a landlord is the one whose account it is, and only signed in themselves (no token)."""
    if call.who.role != Role.LANDLORD:
        return Acting(call.who)
    tenancy = call.service(Tenancy)
    account = call.session.account.id if call.session is not None else None
    if account is not None:
        async with tenancy.read() as reading:
            landlord = await tenancy.places.landlord_of_account(reading, account)
        if landlord is not None:
            return Acting(call.who, landlord)
    raise Problem(HTTPStatus.FORBIDDEN, "tenancy.no_landlord_account")


@asynccontextmanager
async def doing(call: Call) -> AsyncIterator[Doing]:
    """One transaction of the service for this call."""
    tenancy, who = call.service(Tenancy), await acting(call)
    with refusing():
        async with tenancy.transaction() as tx:
            yield Doing(tenancy, tx, who)


# -------------------------------------------------------------------------------------------------------------- places


async def put_building(call: Call) -> Made:
    body: Building = call.body
    async with doing(call) as do:
        made = await do.tenancy.places.put_building(
            do.tx, do.acting, call.path["external"], body.name, body.profiles
        )
    await do.tenancy.audit(do.acting, "building", building=made)
    return Made(id=made)


async def put_unit(call: Call) -> Made:
    body: Unit = call.body
    async with doing(call) as do:
        made = await do.tenancy.places.put_unit(
            do.tx, do.acting, call.path["external"], body.building, body.name, body.profiles
        )
    await do.tenancy.audit(do.acting, "unit", unit=made)
    return Made(id=made)


async def put_flat(call: Call) -> Made:
    body: NewFlat = call.body
    async with doing(call) as do:
        places = do.tenancy.places
        landlord = await places.landlord_of(do.tx, body.landlord) if body.landlord is not None else None
        made = await places.put_flat(
            do.tx, do.acting, call.path["external"], body.unit, body.name, body.profiles, landlord
        )
    await do.tenancy.audit(do.acting, "flat", flat=made, landlord=landlord)
    return Made(id=made)


async def put_landlord(call: Call) -> Made:
    body: NewLandlord = call.body
    if body.account is not None:
        accounts = {account.id: account for account in await call.house.accounts.list()}
        if body.account not in accounts or str(accounts[body.account].role) != Role.LANDLORD:
            raise Problem(HTTPStatus.CONFLICT, "tenancy.not_a_landlord_account", "body.account")
    async with doing(call) as do:
        made = await do.tenancy.places.put_landlord(do.tx, do.acting, call.path["external"], body.account)
    await do.tenancy.audit(do.acting, "landlord", landlord=made, account=body.account)
    return Made(id=made)


async def list_buildings(call: Call) -> BuildingList:
    tenancy, who = call.service(Tenancy), await acting(call)
    async with tenancy.read() as reading:
        found = await finding.by_building(reading, who, _today(tenancy))
    return BuildingList(
        buildings=tuple(
            BuildingOut(external_id=one.external_id, name=one.name, flats=one.flats, vacant=one.vacant)
            for one in found
        )
    )


async def list_flats(call: Call) -> FlatList:
    page: FlatListing = call.query
    tenancy, who = call.service(Tenancy), await acting(call)
    async with tenancy.read() as reading:
        found = await finding.find(
            tenancy.places, reading, who, _today(tenancy), search=page.search, building=page.building,
            vacant=page.vacant, after=page.after, limit=page.limit,
        )  # fmt: skip
        living = await finding.living(reading, _today(tenancy), [flat.id for flat in found])
    more = len(found) == page.limit and not page.search
    return FlatList(
        flats=tuple(_flat_out(flat, living) for flat in found),
        next=found[-1].external_id if more else None,
    )


async def get_flat(call: Call) -> FlatOut:
    tenancy, who, which = call.service(Tenancy), await acting(call), number(call.path["flat"], "path.flat")
    with refusing():
        async with tenancy.read() as reading:
            flat = await tenancy.places.flat(reading, who, which)
            living = await finding.living(reading, _today(tenancy), [flat.id])
    return _flat_out(flat, living)


def _flat_out(flat: Flat, living: Mapping[int, int]) -> FlatOut:
    return FlatOut(
        id=flat.id, external_id=flat.external_id, building=flat.building, unit=flat.unit, name=flat.name,
        landlord=flat.landlord, profiles=flat.profiles, households=living.get(flat.id, 0),
    )  # fmt: skip


def _today(tenancy: Tenancy) -> date:
    return datetime.fromtimestamp(tenancy.context.clock.now(), tenancy.rules.zone).date()


async def in_flat(call: Call) -> HouseholdList:
    tenancy, who, flat = call.service(Tenancy), await acting(call), number(call.path["flat"], "path.flat")
    with refusing():
        async with tenancy.read() as reading:
            found = await tenancy.households.in_flat(reading, who, flat)
    return HouseholdList(households=tuple([await shown(call, household) for household in found]))


# ---------------------------------------------------------------------------------------------------------- households


async def sync_household(call: Call) -> Made:
    body: SyncedHousehold = call.body
    async with doing(call) as do:
        flat = await do.tenancy.places.flat_of(do.tx, do.acting, body.flat)
        made = await do.tenancy.households.move_in(
            do.tx, do.acting, flat.id, body.first_day, body.last_day, call.path["external"]
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
            found = await tenancy.households.of_external_id(reading, who, call.path["external"])
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


# ------------------------------------------------------------------------------------------------- members and their cards


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


async def give_pass(call: Call) -> Made:
    body: NewPass = call.body
    member = _member(call)
    try:
        card = normalise(body.format, body.value)
    except CardFormatError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, error.key, "body.value", **error.values) from None
    return await _give(call, member, card)


async def touch_pass(call: Call) -> Made:
    member = await _existing(call)
    return await _give(call, member, await touched(call))


async def _give(call: Call, member: int, card: CredentialIdentifier) -> Made:
    async with doing(call) as do:
        made = await do.tenancy.passes.give(do.tx, do.acting, member, card, call.body.kind, call.body.label)
    await do.tenancy.audit(do.acting, "pass", member=member, credential=made)
    return Made(id=made)


async def collect(call: Call) -> Made:
    body: Collection = call.body
    member = await _existing(call)
    touch = Touch(await touched(call), call.house.clock.now())
    async with doing(call) as do:
        made = await do.tenancy.passes.collect(
            do.tx, do.acting, member, body.consent, touch, body.kind, body.label
        )  # fmt: skip
    await do.tenancy.audit(do.acting, "collect", member=member, credential=made)
    return Made(id=made)


async def _existing(call: Call) -> int:
    """The member, before anybody is asked to touch anything."""
    tenancy, who, member = call.service(Tenancy), await acting(call), _member(call)
    with refusing():
        async with tenancy.read() as reading:
            await tenancy.households.member(reading, who, member)
    return member


async def touched(call: Call) -> CredentialIdentifier:
    """The card that is touched at `call.body.reader` within `call.body.seconds`. Raises `Problem`."""
    people = call.service(Tenancy).context.people
    return await call.brought(lambda: people.capture(call.body.reader, call.body.seconds))


async def report_lost(call: Call) -> Done:
    return await _turn(call, "report_lost")


async def restore(call: Call) -> Done:
    return await _turn(call, "restore")


async def end_pass(call: Call) -> Done:
    return await _turn(call, "end")


async def _turn(call: Call, action: str) -> Done:
    credential = number(call.path["credential"], "path.credential")
    async with doing(call) as do:
        passes = do.tenancy.passes
        change = {"report_lost": passes.report_lost, "restore": passes.restore, "end": passes.end}[action]
        await change(do.tx, do.acting, credential)
    await do.tenancy.audit(do.acting, action, credential=credential)
    return Done()


# --------------------------------------------------------------------------------------------------------------- lists


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


async def cancelled(call: Call) -> CancelledList:
    facts = call.service(Tenancy).context.facts
    since = call.house.clock.now() - FOUND_DAYS
    found = await facts.read({"menwei_tenancy.CancelledUse"}, since=since, limit=200, newest_first=True)
    return CancelledList(
        tries=tuple(
            CancelledOut(
                at=fact.at, door=fact.door, access_point=fact.access_point, state=CredentialState(fact.data["state"]),
                passage=fact.data["passage"],
            )
            for fact in found
        )
    )  # fmt: skip


async def shown(call: Call, household: Household) -> HouseholdOut:
    """A household as the API shows it; names only to an unlocked session."""
    tenancy = call.service(Tenancy)
    people = await tenancy.context.people.read([member.holder for member in household.members], call.key)
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
            for member in household.members
        ),
        undo_until=household.undo.until if household.undo is not None else None,
    )  # fmt: skip


def _passes(household: Household, member: int) -> tuple[PassOut, ...]:
    return tuple(
        pass_out(given.credential, given.kind) for given in household.passes if given.member == member
    )


def pass_out(credential: Credential, kind: str) -> PassOut:
    """A credential as the API shows it; `kind` is empty for one that no household gave."""
    return PassOut(
        credential=credential.id,
        kind=kind,
        state=credential.state,
        valid_from=credential.valid_from,
        valid_to=credential.valid_to if credential.valid_to < FOREVER else None,
    )


def _household(call: Call) -> int:
    return number(call.path["household"], "path.household")


def _member(call: Call) -> int:
    return number(call.path["member"], "path.member")


def routes() -> list[Route]:
    desk: dict[str, Any] = {"roles": DESK, "tags": ("tenancy",)}
    house: dict[str, Any] = {"roles": HOUSE, "tags": ("tenancy",)}
    base, external = BASE, r"{external:[^/]{1,60}}"
    flat, household = base + r"/flats/{flat:\d{1,18}}", base + r"/households/{household:\d{1,18}}"
    member, credential = base + r"/members/{member:\d{1,18}}", base + r"/passes/{credential:\d{1,18}}"
    synced = f"{base}/synced-households/{external}"
    made: dict[str, Any] = {"response": Made, "statuses": (404, 409)}
    done: dict[str, Any] = {"response": Done, "statuses": (404, 409)}
    return [
        Route("PUT", f"{base}/buildings/{external}", put_building, summary="tenancy.api.building", body=Building, **made, **desk),
        Route("PUT", f"{base}/units/{external}", put_unit, summary="tenancy.api.unit", body=Unit, **made, **desk),
        Route("PUT", f"{base}/flats/{external}", put_flat, summary="tenancy.api.flat", body=NewFlat, **made, **desk),
        Route("PUT", f"{base}/landlords/{external}", put_landlord, summary="tenancy.api.landlord", body=NewLandlord,
              **made, roles=COMMITTEE, tags=("tenancy",)),
        Route("GET", f"{base}/flats", list_flats, summary="tenancy.api.flats", query=FlatListing, response=FlatList, **house),
        Route("GET", f"{base}/buildings", list_buildings, summary="tenancy.api.buildings", response=BuildingList, **house),
        Route("GET", flat, get_flat, summary="tenancy.api.one_flat", response=FlatOut, statuses=(404,), **house),
        Route("GET", f"{flat}/households", in_flat, summary="tenancy.api.in_flat", response=HouseholdList, statuses=(404,),
              **house),
        Route("PUT", synced, sync_household, summary="tenancy.api.sync", body=SyncedHousehold, **made, **desk),
        Route("GET", synced, get_synced, summary="tenancy.api.household", response=HouseholdOut, statuses=(404,), **desk),
        Route("POST", f"{base}/households", give_room, summary="tenancy.api.give_room", body=GivenRoom, response=RoomGiven,
              statuses=(404, 409), **house),
        Route("GET", household, get_household, summary="tenancy.api.household", response=HouseholdOut, statuses=(404,), **house),
        Route("POST", f"{household}/lease", set_lease, summary="tenancy.api.lease", body=LeaseDays, **done, **house),
        Route("POST", f"{household}/extend", extend, summary="tenancy.api.extend", body=Extended, **done, **house),
        Route("POST", f"{household}/check-out", check_out, summary="tenancy.api.check_out", response=CheckedOut,
              statuses=(404, 409), destructive=True, **house),
        Route("POST", f"{household}/undo", undo, summary="tenancy.api.undo", **done, **house),
        Route("POST", f"{household}/members", add_member, summary="tenancy.api.add_member", body=NewMember, **made, **house),
        Route("POST", member, set_member, summary="tenancy.api.set_member", body=MemberFacts, **done, **desk),
        Route("POST", f"{member}/leave", leave, summary="tenancy.api.leave", response=CheckedOut, statuses=(404, 409),
              destructive=True, **house),
        Route("POST", f"{member}/passes", give_pass, summary="tenancy.api.give_pass", body=NewPass, **made, **house),
        Route("POST", f"{member}/touch", touch_pass, summary="tenancy.api.touch", body=TouchedPass, **made, **desk),
        Route("POST", f"{member}/collect", collect, summary="tenancy.api.collect", body=Collection, **made, **desk),
        Route("POST", f"{credential}/lost", report_lost, summary="tenancy.api.lost", destructive=True, **done, **house),
        Route("POST", f"{credential}/restore", restore, summary="tenancy.api.restore", **done, **house),
        Route("POST", f"{credential}/end", end_pass, summary="tenancy.api.end_pass", destructive=True, **done, **house),
        Route("GET", f"{base}/expiring", expiring, summary="tenancy.api.expiring", query=Within, response=ExpiringList, **house),
        Route("GET", f"{base}/cancelled", cancelled, summary="tenancy.api.cancelled", response=CancelledList,
              roles=COMMITTEE, tags=("tenancy",)),
    ]  # fmt: skip
