"""From a template to a page: the shell, who is signed in, the places their role has, dates in the site's zone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from http import HTTPStatus
from types import CodeType
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from jinja2 import BytecodeCache, ChoiceLoader, Environment, PackageLoader, StrictUndefined
from jinja2.bccache import Bucket
from pydantic import StringConstraints

from menwei.routes import PEOPLE_ONLY, Call, Handler, Html, Kind, Problem, Role, Route, See
from menwei_console.assets import Assets

if TYPE_CHECKING:
    from menwei.services import House

R = Role
Text = Annotated[str, StringConstraints(max_length=500)]
"""A field of a form; the API behind it says how long it may really be."""


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of the navigation, for those who may go there. `there`: whether this house has it at all."""

    path: str
    label: str
    icon: str
    roles: frozenset[Role]
    there: Callable[[House], bool] = lambda _: True


DOORS = Place("/", "console.doors", "door", frozenset({R.COMMITTEE, R.GUARD, R.INSTALLER}))
PEOPLE = Place("/people", "console.people", "people", frozenset({R.COMMITTEE, R.REGISTRAR}))
DEVICES = Place("/devices", "console.devices", "device", frozenset({R.COMMITTEE, R.INSTALLER}))
BOARDS = Place("/boards", "console.boards", "board", DEVICES.roles, lambda house: house.boards.deciding())
SYSTEM = Place("/system", "console.system", "tools", frozenset({R.COMMITTEE, R.INSTALLER}))
ACCOUNTS = Place("/accounts", "console.accounts", "key", frozenset({R.COMMITTEE}))
HISTORY = Place("/people", "console.history", "list", frozenset({R.COMMITTEE}))
"""Who may read whom the entries are about; no entry of the navigation, it is reached from a person or a door."""
AUDIT = Place("/audit", "console.audit", "list", frozenset({R.COMMITTEE, R.AUDITOR}))
ACCOUNT = Place("/account", "console.account", "person", frozenset(Role) - {R.OPERATOR})
PLACES = (DOORS, PEOPLE, DEVICES, BOARDS, SYSTEM, ACCOUNTS, AUDIT)


def menu(call: Call) -> list[Place]:
    """The places of other plugins' pages that say so, in the order of their paths."""
    found = [route for route in call.routes.values() if route.menu is not None]
    return [
        Place(route.path, *route.menu, route.roles)
        for route in sorted(found, key=lambda route: route.path)
        if route.menu is not None
    ]


class _Compiled(BytecodeCache):
    """What templates compile to. The console's own stand beside those of every package with pages; they are compiled
    for the first and found here by the others."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._codes.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        if bucket.code is not None:
            self._codes[bucket.key, bucket.checksum] = bucket.code


@cache
def _compiled() -> _Compiled:
    return _Compiled()


@cache
def _templates(package: str) -> Environment:
    """All templates of a package, which find the console's beside their own, compiled here, at start, and not while somebody waits at a door: that takes a tenth of a second."""
    templates = Environment(
        loader=ChoiceLoader([PackageLoader(name) for name in dict.fromkeys((package, "menwei_console"))]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        bytecode_cache=_compiled(),
    )
    for name in templates.list_templates(["html"]):
        templates.get_template(name)
    return templates


@cache
def _console() -> Assets:
    return Assets.load()


class Renderer:
    """Makes pages of templates. Everything that is data is escaped; a name that a template misspells is an error.

    Another plugin makes one of its own `package`, whose templates extend "base.html": its pages stand in this console.
    `own` are that plugin's files, which its templates name by `own("…")`.
    """

    def __init__(self, package: str = "menwei_console", own: Assets | None = None) -> None:
        self._assets = _console()
        self._own = self._assets if own is None else own
        self._templates = _templates(package)

    async def page(
        self, call: Call, template: str, here: str = "", status: int = 200, notice: str = "", **values: Any
    ) -> Html:
        """The page for this caller. `here` is the path of the place it belongs to, `notice` why what was just asked
        was refused."""
        me, notice = await _me(call), notice or call.notice
        return Html(self._text(call, template, here=here, me=me, notice=notice, **values), status)

    async def part(self, call: Call, template: str, **values: Any) -> Html:
        """A piece of a page, for our own module to put in its place."""
        return Html(self._text(call, template, here="", me=await _me(call), notice="", **values))

    async def problem(self, call: Call, problem: Problem) -> Html | See:
        """What a person sees instead of a page they may not or can not have."""
        if problem.status == HTTPStatus.UNAUTHORIZED:
            return See(f"/login?next={quote(call.request.rel_url.path_qs, safe='')}")
        message = call.t(problem.error, **problem.values)
        return await self.page(call, "problem.html", status=problem.status, message=message)

    def _text(self, call: Call, template: str, **values: Any) -> str:
        site = call.house.site
        me = values["me"]
        path = call.request.rel_url.path_qs

        def moment(at: float) -> datetime:
            return datetime.fromtimestamp(at, site.zone)

        def day(at: float | None) -> str:
            return moment(at).date().isoformat() if at else ""

        def last_day(at: float | None) -> str:
            """The last day that is within a validity, whose end is exclusive."""
            return (moment(at) - timedelta(microseconds=1)).date().isoformat() if at is not None else ""

        today = moment(call.house.clock.now()).date()

        def when(time: datetime) -> str:
            """Today the time of day, earlier the date before it."""
            return time.strftime("%H:%M:%S" if time.date() == today else "%m-%d %H:%M")

        return self._templates.get_template(template).render(
            t=call.t,
            site=site,
            language=call.language,
            path=path,
            places=[
                place
                for place in (*PLACES, *menu(call))
                if me is not None and me.role in place.roles and place.there(call.house)
            ],
            asset=self._assets.address,
            own=self._own.address,
            when=when,
            moment=moment,
            day=day,
            last_day=last_day,
            today=today.isoformat(),
            **values,
        )


def paged(renderer: Renderer, method: str, path: str, handler: Handler, place: Place, **more: Any) -> Route:
    """The route of a page, for those people who may go to `place`: programs ask the API."""
    return Route(method, path, handler, place.roles, PEOPLE_ONLY, page=True, problem=renderer.problem, **more)


async def _me(call: Call) -> Any:
    if call.actor is None or call.actor.kind != Kind.ACCOUNT:
        return None
    return await call.ask("GET", "/api/me")
