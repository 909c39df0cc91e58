"""The tenancy's pages: households for the desk, rooms for landlords, and what a tenant holds.

They stand in the console's shell and ask the API as their caller: a landlord's page of somebody else's room is the page
of a room that does not exist.
"""

from __future__ import annotations

from typing import Any

from menwei.routes import PEOPLE_ONLY, Answer, Call, Handler, Model, Role, Route
from menwei_console.naming import card_readers
from menwei_console.render import Renderer, Text
from menwei_tenancy.actors import BASE, DESK
from menwei_tenancy.api_mine import TENANT
from menwei_tenancy.service import Tenancy
from menwei_tenancy.tables import CardKind
from menwei_tenancy.terms import Role as MemberRole

HOUSEHOLDS, ROOMS, MINE = "/households", "/rooms", "/mine"
DESK_PEOPLE = DESK - {Role.OPERATOR}
LANDLORD = frozenset({Role.LANDLORD})
SOON = 30
"""Days ahead that the overview looks for rights that end."""
SHOWN = 50
"""Rights that end soon which are listed; the rest is counted."""
FLAT = r"/{flat:\d{1,18}}"


class Looking(Model):
    search: Text = ""
    building: Text = ""
    vacant: bool = False
    after: Text = ""


class Pages:
    """All pages, with what they are drawn with."""

    def __init__(self) -> None:
        self.render = Renderer("menwei_tenancy")

    # --------------------------------------------------------------------------------------------------------- desk

    async def households(self, call: Call) -> Answer:
        """Buildings and what ends soon; with a search, a building or "vacant", the flats of it."""
        asked: Looking = call.query
        looking = bool(asked.search.strip() or asked.building or asked.vacant)
        buildings = (await call.ask("GET", f"{BASE}/buildings")).buildings
        flats = await call.ask("GET", f"{BASE}/flats", query=asked.model_dump()) if looking else None
        return await self.render.page(
            call,
            "households.html",
            HOUSEHOLDS,
            asked=asked,
            buildings=buildings,
            building=next((one for one in buildings if one.external_id == asked.building), None),
            flats=flats.flats if flats is not None else None,
            more=flats.next if flats is not None else None,
            cut=flats is not None and flats.more and flats.next is None,
            **(await self._ending(call) if not looking else {}),
        )

    async def _ending(self, call: Call) -> dict[str, Any]:
        """Whose right ends within `SOON` days: the nearest, with flat and name, and how many there are in all."""
        found = (await call.ask("GET", f"{BASE}/expiring", query={"days": SOON})).members
        homes: dict[int, Any] = {}
        lines = []
        for one in found[:SHOWN]:
            if one.household not in homes:
                home = await call.ask(
                    "GET", f"{BASE}/households/{{household}}", path={"household": str(one.household)}
                )
                flat = await call.ask("GET", f"{BASE}/flats/{{flat}}", path={"flat": str(home.flat)})
                homes[one.household] = (home, flat)
            home, flat = homes[one.household]
            member = next(member for member in home.members if member.id == one.member)
            lines.append({"member": member, "flat": flat, "ends": one.ends})
        return {"ending": lines, "ending_more": len(found) - len(lines), "soon": SOON}

    async def household(self, call: Call) -> Answer:
        """One flat with who lives there, for the desk."""
        committee = call.who.role == Role.COMMITTEE
        accounts = (await call.ask("GET", f"{BASE}/tenants")).accounts if committee else None
        return await self.render.page(
            call,
            "flat.html",
            HOUSEHOLDS,
            readers=await card_readers(call),
            accounts=accounts,
            consent=call.service(Tenancy).config.consent,
            kinds=list(CardKind),
            roles=list(MemberRole),
            **await self._flat(call),
        )

    # ----------------------------------------------------------------------------------------------------- landlords

    async def rooms(self, call: Call) -> Answer:
        found = await call.ask("GET", f"{BASE}/flats", query={"after": call.query.after})
        return await self.render.page(call, "rooms.html", ROOMS, flats=found.flats, more=found.next)

    async def room(self, call: Call) -> Answer:
        return await self.render.page(call, "room.html", ROOMS, **await self._flat(call))

    async def _flat(self, call: Call) -> dict[str, Any]:
        path = {"flat": call.path["flat"]}
        flat = await call.ask("GET", f"{BASE}/flats/{{flat}}", path=path)
        homes = (await call.ask("GET", f"{BASE}/flats/{{flat}}/households", path=path)).households
        return {"flat": flat, "homes": homes, "now": call.house.clock.now()}

    # ------------------------------------------------------------------------------------------------------- tenants

    async def mine(self, call: Call) -> Answer:
        visitors = any(
            path == "/visitors" and route.admits(call.actor) for (_, path), route in call.routes.items()
        )
        return await self.render.page(
            call,
            "mine.html",
            MINE,
            mine=await call.ask("GET", f"{BASE}/mine"),
            history=await call.ask("GET", f"{BASE}/mine/passages"),
            visitors=visitors,
            now=call.house.clock.now(),
        )


def routes() -> list[Route]:
    """Every page. Made once for each application."""
    pages = Pages()

    def page(path: str, handler: Handler, roles: frozenset[Role], **more: Any) -> Route:
        return Route(
            "GET", path, handler, roles, kinds=PEOPLE_ONLY, page=True, problem=pages.render.problem, **more
        )

    return [
        page(
            HOUSEHOLDS,
            pages.households,
            DESK_PEOPLE,
            query=Looking,
            menu=("tenancy.page.households", "home"),
        ),
        page(HOUSEHOLDS + FLAT, pages.household, DESK_PEOPLE),
        page(ROOMS, pages.rooms, LANDLORD, query=Looking, menu=("tenancy.page.rooms", "home")),
        page(ROOMS + FLAT, pages.room, LANDLORD),
        page(MINE, pages.mine, TENANT, menu=("tenancy.page.mine", "card")),
    ]
