"""The pages, by address. Each asks the API for what it shows, as its caller: a page can not show more than the API."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime
from typing import Any, Literal, cast

from aiohttp import web

from menwei.api_credentials import midnight
from menwei.routes import Answer, Call, Handler, Html, Model, Problem, Role, Route, See
from menwei_console import render
from menwei_console.assets import Assets
from menwei_console.boards import BoardPages
from menwei_console.desk import SEEN_AT_ONCE, SHORTEST_REASON, DeskPages
from menwei_console.machinery import MachineryPages
from menwei_console.render import Place, Renderer, Text, menu, paged

ROLES = [Role.COMMITTEE, Role.GUARD, Role.REGISTRAR, Role.INSTALLER, Role.AUDITOR]
"""Roles of those who work with the doors."""
LIVING = (Role.LANDLORD, Role.TENANT)
"""Roles that mean something only where a plugin has pages for them."""
PASSWORD_LENGTH = 10


class History(Model):
    before: Text | None = None


class Export(Model):
    """Days at the site, both inclusive; what is left out is not bounded. `who`: with the personal parts."""

    reason: Text = ""
    first_day: date | None = None
    last_day: date | None = None
    who: bool = False


class TokenForm(Model):
    """A token that a browser without our module asks for; the API behind it says what each may be."""

    name: Text = ""
    role: Text = ""
    last_day: Text | None = None


class Next(Model):
    next: Text = "/"


class Language(Model):
    to: Literal["zh-CN", "en"]
    next: Text = "/"


class Pages:
    """All pages, with what they are drawn with."""

    def __init__(self) -> None:
        self.assets = Assets.load()
        self.render = Renderer()

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
        places = (*render.PLACES, *render.menu(call))
        return next((place.path for place in places if call.who.role in place.roles), "/account")

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
        return await self._door(call, call.query.before)

    async def _door(
        self, call: Call, before: str | None, asked: Export | None = None, notice: str = ""
    ) -> Answer:
        """The door's page. `asked`: what was typed into its form for an export, which then stands open."""
        id = call.path["door"]
        door = await call.ask("GET", "/api/doors/{door}", path={"door": id})
        points = (await call.ask("GET", "/api/access-points")).access_points
        page = None
        if call.who.role == Role.COMMITTEE:
            query = {"before": before, "limit": SEEN_AT_ONCE}
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
            live=before is None,
            more=page.next if page else None,
            shortest=SHORTEST_REASON,
            notice=notice,
            exporting=asked is not None,
            asked=asked or Export(),
        )

    async def exporting(self, call: Call) -> Answer:
        """The form alone: where the language is changed to after a refusal."""
        return await self._door(call, None, Export())

    async def export(self, call: Call) -> Answer:
        """A door's journal as a file; a refusal keeps what was typed."""
        try:
            return await self._export(call, call.body)
        except Problem as problem:
            return await self._door(call, None, call.body, call.t(problem.error, **problem.values))

    async def _export(self, call: Call, asked: Export) -> Answer:
        zone = call.house.site.zone
        if asked.first_day is not None and asked.last_day is not None and asked.last_day < asked.first_day:
            raise Problem(409, "console.export.order")
        body = {"doors": [call.path["door"]], "reason": asked.reason, "who": asked.who}
        if asked.first_day is not None:
            body["since"] = datetime.fromtimestamp(midnight(asked.first_day, zone), zone)
        if asked.last_day is not None:
            body["until"] = datetime.fromtimestamp(midnight(asked.last_day, zone, after=1), zone)
        return cast("Answer", await call.ask("POST", "/api/journal/export", body=body))

    async def open(self, call: Call) -> Answer:
        door = await call.ask("GET", "/api/doors/{door}", path={"door": call.path["door"]})
        if "Accessed" not in door.commands:
            raise Problem(403, "web.not_your_role")
        return await self.render.page(call, "open.html", "/", door=door)

    # -------------------------------------------------------------------------------------------- accounts and auditing

    async def accounts(self, call: Call) -> Answer:
        return await self._accounts(call)

    async def token(self, call: Call) -> Answer:
        """Shows the secret of a new token to whoever has no script, this once."""
        given = call.body.model_dump(exclude_none=True)
        try:
            made = await call.ask("POST", "/api/tokens", body=given)
        except Problem as problem:
            return await self._accounts(call, notice=call.t(problem.error, **problem.values))
        return await self._accounts(call, secret=made.secret)

    async def _accounts(self, call: Call, secret: str = "", notice: str = "") -> Answer:
        accounts = (await call.ask("GET", "/api/accounts")).accounts
        tokens = (await call.ask("GET", "/api/tokens")).tokens
        return await self.render.page(
            call,
            "accounts.html",
            "/accounts",
            accounts=accounts,
            tokens=tokens,
            secret=secret,
            notice=notice,
            makers={account.id: account.name for account in accounts},
            made=Counter(token.made_by for token in tokens),
            roles=ROLES,
            living=[role for role in LIVING if any(role in place.roles for place in menu(call))],
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
        return paged(pages.render, method, path, handler, place, **more)

    def public(path: str, handler: Handler, method: str = "GET", **more: Any) -> Route:
        return Route(method, path, handler, public=True, page=True, problem=pages.render.problem, **more)

    anyone = render.ACCOUNT
    return [
        public("/login", pages.login, query=Next),
        public("/language", pages.language, "POST", body=Language),
        public("/manifest.webmanifest", pages.manifest),
        public("/favicon.ico", pages.favicon),
        pages.assets.route(pages.render.problem),
        page("/", pages.doors, anyone),
        page("/account", pages.account, anyone),
        page("/door-cards", pages.cards, render.DOORS),
        page("/doors/{door}", pages.door, render.DOORS, query=History),
        page("/doors/{door}/open", pages.open, render.DOORS),
        page("/doors/{door}/export", pages.exporting, render.HISTORY),
        page("/doors/{door}/export", pages.export, render.HISTORY, "POST", body=Export),
        *DeskPages(pages.render).routes(),
        *MachineryPages(pages.render).routes(),
        *BoardPages(pages.render).routes(),
        page("/accounts", pages.accounts, render.ACCOUNTS),
        page("/accounts/tokens", pages.accounts, render.ACCOUNTS),
        page("/accounts/tokens", pages.token, render.ACCOUNTS, "POST", body=TokenForm),
        page("/audit", pages.audit, render.AUDIT),
        page("/audit", pages.audit, render.AUDIT, "POST"),
        public("/{path:(?!api/).*}", pages.nowhere),
    ]
