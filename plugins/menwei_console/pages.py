"""The pages, by address. Each asks the API for what it shows, as its caller: a page can not show more than the API."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import StringConstraints

from menwei.routes import Answer, Call, Handler, Html, Model, Problem, Role, Route, See
from menwei_console import render
from menwei_console.assets import Assets
from menwei_console.render import Place, Renderer

ROLES = ("committee", "guard", "registrar", "installer", "auditor")
"""Roles that an account can be given here; landlords and tenants get theirs with their flats."""
PASSWORD_LENGTH = 10
SEEN_AT_ONCE = 30

Text = Annotated[str, StringConstraints(max_length=200)]


class Search(Model):
    search: Text = ""
    after: Text | None = None


class History(Model):
    before: Text | None = None


class Chosen(Model):
    id: Text


class Next(Model):
    next: Text = "/"


class Language(Model):
    to: Literal["zh-CN", "en"]
    next: Text = "/"


class Pages:
    """All pages, with what they are drawn with."""

    def __init__(self) -> None:
        self.assets = Assets.load()
        self.render = Renderer(self.assets)

    # ------------------------------------------------------------------------------------------- coming and going

    async def login(self, call: Call) -> Answer:
        if call.actor is not None and call.session is not None:
            return See(self._start(call))
        return await self.render.page(call, "login.html", next=call.query.next)

    async def language(self, call: Call) -> Answer:
        return See(call.body.next, language=call.body.to)

    async def account(self, call: Call) -> Answer:
        return await self.render.page(call, "account.html", "/account", password_length=PASSWORD_LENGTH)

    def _start(self, call: Call) -> str:
        """The first place that this role may go to."""
        return next((place.path for place in render.PLACES if call.who.role in place.roles), "/account")

    # ------------------------------------------------------------------------------------------------------- doors

    async def doors(self, call: Call) -> Answer:
        if call.who.role not in render.DOORS.roles:
            return See(self._start(call))
        watching = call.who.role != Role.INSTALLER
        recent = await call.ask("GET", "/api/recent", query={"limit": SEEN_AT_ONCE}) if watching else None
        return await self.render.page(
            call,
            "doors.html",
            "/",
            doors=await self._cards(call),
            passages=recent.entries if recent else None,
            position=recent.position if recent else "",
        )

    async def cards(self, call: Call) -> Answer:
        return await self.render.part(call, "doorcards.html", doors=await self._cards(call))

    async def _cards(self, call: Call) -> list[dict[str, Any]]:
        found = (await call.ask("GET", "/api/doors")).doors
        return [{**door.model_dump(mode="json"), "tone": _tone(door)} for door in found]

    async def door(self, call: Call) -> Answer:
        id = call.path["door"]
        door = await call.ask("GET", "/api/doors/{door}", path={"door": id})
        points = (await call.ask("GET", "/api/access-points")).access_points
        page = None
        if call.who.role == Role.COMMITTEE:
            query = {"before": call.query.before, "limit": SEEN_AT_ONCE}
            page = await call.ask("GET", "/api/doors/{door}/journal", path={"door": id}, query=query)
        recent = await call.ask("GET", "/api/recent", query={"limit": 1}) if page else None
        return await self.render.page(
            call,
            "door.html",
            "/",
            door=door.model_dump(mode="json"),
            points=[point for point in points if point.door == id],
            passages=[entry for entry in page.entries if entry.shown] if page else None,
            position=recent.position if recent else "",
            live=call.query.before is None,
            more=page.next if page else None,
        )

    async def open(self, call: Call) -> Answer:
        door = await call.ask("GET", "/api/doors/{door}", path={"door": call.path["door"]})
        if "Accessed" not in door.commands:
            raise Problem(403, "web.not_your_role")
        return await self.render.page(call, "open.html", "/", door=door)

    # ------------------------------------------------------------------------------------------------------ people

    async def people(self, call: Call) -> Answer:
        found = await call.ask(
            "GET", "/api/people", query={"search": call.query.search, "after": call.query.after or 0}
        )
        return await self.render.page(
            call,
            "people.html",
            "/people",
            people=found.people,
            unlocked=found.unlocked,
            more=found.next,
            search=call.query.search,
        )

    async def new_person(self, call: Call) -> Answer:
        return await self.render.page(call, "person_new.html", "/people")

    async def person(self, call: Call) -> Answer:
        person = await call.ask("GET", "/api/people/{holder}", path={"holder": call.path["holder"]})
        points = (await call.ask("GET", "/api/access-points")).access_points
        readers = [
            {"id": reader, "name": point.place if len(point.readers) == 1 else f"{point.place} ({reader})"}
            for point in points
            for reader in point.readers
        ]
        profiles = (await call.ask("GET", "/api/profiles")).profiles
        return await self.render.page(
            call, "person.html", "/people", person=person, readers=readers, profiles=profiles
        )

    # ----------------------------------------------------------------------------------------------- the machinery

    async def devices(self, call: Call) -> Answer:
        tones = {"ready": "good", "failed": "bad", "retrying": "bad"}
        devices = (await call.ask("GET", "/api/devices")).devices
        return await self.render.page(
            call,
            "devices.html",
            "/devices",
            devices=[
                {**device.model_dump(mode="json"), "tone": tones.get(device.state, "dark")}
                for device in devices
            ],
            discovered=(await call.ask("GET", "/api/discovery")).devices,
        )

    async def adopt(self, call: Call) -> Answer:
        found = (await call.ask("GET", "/api/discovery")).devices
        device = next((device for device in found if device.id == call.query.id), None)
        if device is None:
            raise Problem(404, "web.not_discovered")
        return await self.render.page(call, "adopt.html", "/devices", device=device)

    async def system(self, call: Call) -> Answer:
        return await self.render.page(
            call,
            "system.html",
            "/system",
            repairs=(await call.ask("GET", "/api/repairs")).repairs,
            plugins=(await call.ask("GET", "/api/plugins")).plugins,
        )

    async def accounts(self, call: Call) -> Answer:
        return await self.render.page(
            call,
            "accounts.html",
            "/accounts",
            accounts=(await call.ask("GET", "/api/accounts")).accounts,
            tokens=(await call.ask("GET", "/api/tokens")).tokens,
            roles=ROLES,
            password_length=PASSWORD_LENGTH,
        )

    async def audit(self, call: Call) -> Answer:
        result = await call.ask("POST", "/api/journal/verify") if call.request.method == "POST" else None
        return await self.render.page(call, "audit.html", "/audit", result=result)

    # ------------------------------------------------------------------------------------------------------- files

    async def manifest(self, call: Call) -> web.StreamResponse:
        """For "add to home screen": the console as an application of its own."""
        icon = {
            "src": self.assets.address("favicon.svg"),
            "sizes": "any",
            "type": "image/svg+xml",
            "purpose": "any",
        }
        facts = {
            "name": call.house.site.name,
            "short_name": call.t("console.short_name"),
            "lang": call.language,
            "start_url": "/",
            "scope": "/",
            "display": "standalone",
            "background_color": "#f4f6f5",
            "theme_color": "#0b6b5d",
            "icons": [icon],
        }
        return web.json_response(facts, content_type="application/manifest+json")

    async def favicon(self, call: Call) -> web.StreamResponse:
        return web.Response(body=self.assets.files["favicon.svg"], content_type="image/svg+xml")

    async def nowhere(self, call: Call) -> Html:
        raise Problem(404, "web.not_found")


def _tone(door: Any) -> str:
    """The colour of a door's card; its words say the same."""
    if door.alarm not in {"Normal", "DoorOpenPreAlarm"}:
        return "bad"
    if not door.online:
        return "dark"
    if door.alarm != "Normal" or door.mode not in {"Locked", "Accessed"}:
        return "warn"
    return "good"


def routes() -> list[Route]:
    """Every page. Made once for each application."""
    pages = Pages()

    def page(path: str, handler: Handler, place: Place, method: str = "GET", **more: Any) -> Route:
        return Route(method, path, handler, place.roles, page=True, problem=pages.render.problem, **more)

    def public(path: str, handler: Handler, method: str = "GET", **more: Any) -> Route:
        return Route(method, path, handler, public=True, page=True, problem=pages.render.problem, **more)

    anyone = render.ACCOUNT
    return [
        public("/login", pages.login, query=Next),
        public("/language", pages.language, "POST", body=Language),
        public("/manifest.webmanifest", pages.manifest),
        public("/favicon.ico", pages.favicon),
        public("/static/{hash}/{name}", pages.assets.serve),
        page("/", pages.doors, anyone),
        page("/account", pages.account, anyone),
        page("/door-cards", pages.cards, render.DOORS),
        page("/doors/{door}", pages.door, render.DOORS, query=History),
        page("/doors/{door}/open", pages.open, render.DOORS),
        page("/people", pages.people, render.PEOPLE, query=Search),
        page("/people/new", pages.new_person, render.PEOPLE),
        page(r"/people/{holder:\d{1,18}}", pages.person, render.PEOPLE),
        page("/devices", pages.devices, render.DEVICES),
        page("/devices/adopt", pages.adopt, render.DEVICES, query=Chosen),
        page("/system", pages.system, render.SYSTEM),
        page("/accounts", pages.accounts, render.ACCOUNTS),
        page("/audit", pages.audit, render.AUDIT),
        page("/audit", pages.audit, render.AUDIT, "POST"),
        public("/{path:(?!api/).*}", pages.nowhere),
    ]
