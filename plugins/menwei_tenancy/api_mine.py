"""What a tenant sees and does themselves: their own cards, until when, their own passages at their own doors, and who
looked at these. Nothing here names a household's other members.

The committee says which person an account is; without that an account of the role tenant sees nothing.
"""

from __future__ import annotations

from datetime import date
from http import HTTPStatus
from typing import Any

from menwei import CredentialState, Reading
from menwei.entryview import SHOWN, place, view
from menwei.routes import PEOPLE_ONLY, Call, Done, Model, Problem, Role, Route, number
from menwei_tenancy.actors import BASE, BY_COMMITTEE, refusing
from menwei_tenancy.api_passes import pass_out
from menwei_tenancy.looks import Look, What, looks
from menwei_tenancy.models import Number, PassOut
from menwei_tenancy.service import Tenancy
from menwei_tenancy.tables import LeaseState
from menwei_tenancy.tenants import Home
from menwei_tenancy.terms import Role as MemberRole
from menwei_tenancy.terms import Why, why_of
from menwei_tenancy.words import Acting

TENANT = frozenset({Role.TENANT})
OWN = SHOWN & {"AccessGranted", "AccessDenied", "AccessNotTaken"}
"""Of the journal, what is about a person's own coming and going."""
SEEN = 30


class Linked(Model):
    """`account`: the number of an account of the role tenant; None: the member signs in no more."""

    account: Number | None = None


class TenantAccount(Model):
    id: int
    name: str
    holder: int | None


class TenantAccounts(Model):
    """Accounts of the role tenant, with the person each is."""

    accounts: tuple[TenantAccount, ...]


class HomeOut(Model):
    """Where they live, as what, and until when (`ends` in seconds since the epoch, None without end; by what: `why`)."""

    member: int
    building: str
    unit: str
    flat: str
    role: MemberRole
    last_day: date | None
    collected: float | None
    ends: float | None
    why: Why
    ended: bool
    passes: tuple[PassOut, ...]


class Mine(Model):
    """`others`: cards they hold beside those of a household."""

    homes: tuple[HomeOut, ...]
    others: tuple[PassOut, ...]


class PassageOut(Model):
    at: float
    place: str
    text: str
    detail: str
    tone: str


class LookOut(Model):
    """Somebody looked at that time: read this person's passages, with the reason they gave, asked whether they may pass,
    or read or exported the records of `places`, where this person passes, with names."""

    at: float
    role: str
    name: str
    reason: str
    what: What
    places: tuple[str, ...]


class OwnPassages(Model):
    passages: tuple[PassageOut, ...]
    looks: tuple[LookOut, ...]


class Withdrawn(Model):
    """The receipt of a withdrawal: what ended (`cards`), and when."""

    at: float
    cards: int


async def own_holder(call: Call) -> int:
    """The person whose account this is. Raises `Problem` 403 when nobody has been named."""
    tenancy = call.service(Tenancy)
    assert call.session is not None  # the routes are for accounts only
    with refusing():
        async with tenancy.read() as reading:
            return await tenancy.tenants.holder(reading, call.session.account.id)


# ------------------------------------------------------------------------------------------------------- the committee


async def list_accounts(call: Call) -> TenantAccounts:
    tenancy = call.service(Tenancy)
    async with tenancy.read() as reading:
        linked = {account: holder for holder, account in (await tenancy.tenants.accounts(reading)).items()}
    return TenantAccounts(
        accounts=tuple(
            TenantAccount(id=one.id, name=one.name, holder=linked.get(one.id))
            for one in await call.house.accounts.list()
            if str(one.role) == Role.TENANT and not one.disabled
        )
    )


async def link(call: Call) -> Done:
    tenancy, body = call.service(Tenancy), call.body
    tenants = {one.id for one in await call.house.accounts.list() if str(one.role) == Role.TENANT}
    if body.account is not None and body.account not in tenants:
        raise Problem(HTTPStatus.CONFLICT, "tenancy.not_a_tenant_account", "body.account")
    member = number(call.path["member"], "path.member")
    with refusing():
        async with tenancy.transaction() as tx:
            await tenancy.tenants.link(tx, Acting(call.who), member, body.account)
    await tenancy.audit(Acting(call.who), "account", member=member, account=body.account)
    return Done()


# --------------------------------------------------------------------------------------------------------- the tenant


async def mine(call: Call) -> Mine:
    tenancy, holder = call.service(Tenancy), await own_holder(call)
    async with tenancy.read() as reading:
        homes = await tenancy.tenants.homes(reading, call.who, holder)
        shown = [await _home(tenancy, reading, Acting(call.who), home) for home in homes]
    in_homes = {given.credential for home in shown for given in home.passes}
    others = [
        held
        for held in tenancy.context.rights.of_holder(holder)
        if held.id not in in_homes and held.state is not CredentialState.ENDED
    ]
    others.sort(key=lambda held: (held.valid_from, held.valid_to, held.id))
    return Mine(homes=tuple(shown), others=tuple(pass_out(held, "") for held in others))


async def _home(tenancy: Tenancy, reading: Reading, acting: Acting, home: Home) -> HomeOut:
    lease, member = home.household.lease, home.member
    flat = await tenancy.places.flat(reading, acting, lease.flat)
    given = [one for one in home.household.passes if one.member == member.id]
    return HomeOut(
        member=member.id, building=flat.building, unit=flat.unit, flat=flat.name, role=member.role,
        last_day=lease.last_day, collected=member.collected, ends=member.ends,
        why=why_of(member.role, lease.last_day, member.until, member.collected, False, tenancy.rules),
        ended=lease.state is LeaseState.ENDED,
        passes=tuple(
            pass_out(one.credential, one.kind) for one in given if one.credential.state is not CredentialState.ENDED
        ),
    )  # fmt: skip


async def passages(call: Call) -> OwnPassages:
    """Their own, at the doors their own cards open; and who read them."""
    tenancy, holder, journal = call.service(Tenancy), await own_holder(call), call.house.journal
    doors = own_doors(tenancy, holder)
    since = min((held.valid_from for held in tenancy.context.rights.of_holder(holder)), default=0.0)
    entries = await journal.by_holder(holder, SEEN, kinds=OWN, doors=doors)
    shown = [view(call, entry) for entry in entries]
    return OwnPassages(
        passages=tuple(
            PassageOut(at=one.at, place=one.place, text=one.text, detail=one.detail, tone=str(one.tone))
            for one in shown
        ),
        looks=tuple(_look_out(call, look) for look in await looks(journal, holder, doors, since)),
    )  # fmt: skip


def _look_out(call: Call, look: Look) -> LookOut:
    point = call.house.site.access_points.get(look.access_point)
    asked = [place(call, point.door, point.id)] if point else []
    places = (*asked, *(place(call, door) for door in look.doors))
    return LookOut(
        at=look.at, role=look.role, name=look.name, reason=look.reason, what=look.what, places=places
    )


def own_doors(tenancy: Tenancy, holder: int) -> frozenset[str]:
    """The doors that this person's cards, those reported lost included, open by their access rules."""
    rights, site = tenancy.context.rights, tenancy.context.site
    found = set()
    for held in rights.of_holder(holder):
        if held.state is CredentialState.ENDED:
            continue
        for name in held.profiles:
            profile = rights.profile(name)
            points = {point for rule in profile.rules for point in rule.access_points} if profile else set()
            found |= {site.access_points[point].door for point in points if point in site.access_points}
    return frozenset(found)


async def report_lost(call: Call) -> Done:
    tenancy, holder = call.service(Tenancy), await own_holder(call)
    credential = number(call.path["credential"], "path.credential")
    with refusing():
        async with tenancy.transaction() as tx:
            await tenancy.tenants.report_lost(tx, call.who, holder, credential)
    await tenancy.audit(Acting(call.who), "report_lost", credential=credential)
    return Done()


async def withdraw(call: Call) -> Withdrawn:
    tenancy, holder = call.service(Tenancy), await own_holder(call)
    member = number(call.path["member"], "path.member")
    with refusing():
        async with tenancy.transaction() as tx:
            cards = await tenancy.tenants.withdraw(tx, call.who, holder, member)
    await tenancy.audit(Acting(call.who), "withdraw", member=member)
    return Withdrawn(at=tenancy.context.clock.now(), cards=cards)


def routes() -> list[Route]:
    """The routes of tenants, and those with which the committee names them."""
    tenant: dict[str, Any] = {"roles": TENANT, "kinds": PEOPLE_ONLY, "tags": ("tenancy",)}
    own, member = f"{BASE}/mine", r"{member:\d{1,18}}"
    return [
        Route("GET", f"{BASE}/tenants", list_accounts, summary="tenancy.api.tenants", response=TenantAccounts, **BY_COMMITTEE),
        Route("POST", f"{BASE}/members/{member}/account", link, summary="tenancy.api.account", body=Linked, response=Done,
              statuses=(404, 409), **BY_COMMITTEE),
        Route("GET", own, mine, summary="tenancy.api.mine", response=Mine, **tenant),
        Route("GET", f"{own}/passages", passages, summary="tenancy.api.own_passages", response=OwnPassages, **tenant),
        Route("POST", own + r"/passes/{credential:\d{1,18}}/lost", report_lost, summary="tenancy.api.lost", response=Done,
              statuses=(404, 409), destructive=True, **tenant),
        Route("POST", f"{own}/members/{member}/withdraw", withdraw, summary="tenancy.api.withdraw", response=Withdrawn,
              statuses=(404, 409), destructive=True, **tenant),
    ]  # fmt: skip
