"""The places over HTTP: buildings, units, flats and landlords, synced by external ids, and what is listed of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from http import HTTPStatus

from menwei.routes import Call, Problem, Role, Route, number
from menwei_tenancy import finding
from menwei_tenancy.actors import (
    BASE,
    BY_COMMITTEE,
    BY_DESK,
    BY_HOUSE,
    EXTERNAL,
    MADE,
    acting,
    doing,
    external_of,
    refusing,
)
from menwei_tenancy.models import (
    Building,
    BuildingList,
    BuildingOut,
    FlatList,
    FlatListing,
    FlatOut,
    Made,
    NewFlat,
    NewLandlord,
    Unit,
)
from menwei_tenancy.service import Tenancy
from menwei_tenancy.words import Flat


async def put_building(call: Call) -> Made:
    body: Building = call.body
    async with doing(call) as do:
        made = await do.tenancy.places.put_building(
            do.tx, do.acting, external_of(call), body.name, body.profiles
        )
    await do.tenancy.audit(do.acting, "building", building=made)
    return Made(id=made)


async def put_unit(call: Call) -> Made:
    body: Unit = call.body
    async with doing(call) as do:
        made = await do.tenancy.places.put_unit(
            do.tx, do.acting, external_of(call), body.building, body.name, body.profiles
        )
    await do.tenancy.audit(do.acting, "unit", unit=made)
    return Made(id=made)


async def put_flat(call: Call) -> Made:
    body: NewFlat = call.body
    async with doing(call) as do:
        places = do.tenancy.places
        landlord = await places.landlord_of(do.tx, body.landlord) if body.landlord is not None else None
        made = await places.put_flat(
            do.tx, do.acting, external_of(call), body.unit, body.name, body.profiles, landlord
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
        made = await do.tenancy.places.put_landlord(do.tx, do.acting, external_of(call), body.account)
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
            vacant=page.vacant, after=page.after, limit=page.limit + 1,
        )  # fmt: skip
        found, more = found[: page.limit], len(found) > page.limit
        living = await finding.living(reading, _today(tenancy), [flat.id for flat in found])
    return FlatList(
        flats=tuple(_flat_out(flat, living) for flat in found),
        next=found[-1].external_id if more and not page.search.strip() else None,
        more=more,
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


def routes() -> list[Route]:
    return [
        Route("PUT", f"{BASE}/buildings/{EXTERNAL}", put_building, summary="tenancy.api.building", body=Building,
              **MADE, **BY_DESK),
        Route("PUT", f"{BASE}/units/{EXTERNAL}", put_unit, summary="tenancy.api.unit", body=Unit, **MADE, **BY_DESK),
        Route("PUT", f"{BASE}/flats/{EXTERNAL}", put_flat, summary="tenancy.api.flat", body=NewFlat, **MADE, **BY_DESK),
        Route("PUT", f"{BASE}/landlords/{EXTERNAL}", put_landlord, summary="tenancy.api.landlord", body=NewLandlord,
              **MADE, **BY_COMMITTEE),
        Route("GET", f"{BASE}/flats", list_flats, summary="tenancy.api.flats", query=FlatListing, response=FlatList,
              **BY_HOUSE),
        Route("GET", f"{BASE}/buildings", list_buildings, summary="tenancy.api.buildings", response=BuildingList,
              **BY_HOUSE),
        Route("GET", BASE + r"/flats/{flat:\d{1,18}}", get_flat, summary="tenancy.api.one_flat", response=FlatOut,
              statuses=(404,), **BY_HOUSE),
    ]  # fmt: skip
