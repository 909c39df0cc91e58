"""From a template to a page: the shell, who is signed in, the places their role has, dates in the site's zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from menwei.routes import Call, Html, Kind, Problem, Role, See
from menwei_console.assets import Assets

R = Role


@dataclass(frozen=True, slots=True)
class Place:
    """One entry of the navigation, for those who may go there."""

    path: str
    label: str
    icon: str
    roles: frozenset[Role]


DOORS = Place("/", "console.doors", "door", frozenset({R.COMMITTEE, R.GUARD, R.INSTALLER}))
PEOPLE = Place("/people", "console.people", "people", frozenset({R.COMMITTEE, R.REGISTRAR}))
DEVICES = Place("/devices", "console.devices", "device", frozenset({R.COMMITTEE, R.INSTALLER}))
SYSTEM = Place("/system", "console.system", "tools", frozenset({R.COMMITTEE, R.INSTALLER}))
ACCOUNTS = Place("/accounts", "console.accounts", "key", frozenset({R.COMMITTEE}))
AUDIT = Place("/audit", "console.audit", "list", frozenset({R.COMMITTEE, R.AUDITOR}))
ACCOUNT = Place("/account", "console.account", "person", frozenset(Role) - {R.OPERATOR})
PLACES = (DOORS, PEOPLE, DEVICES, SYSTEM, ACCOUNTS, AUDIT)


@cache
def _templates() -> Environment:
    """All templates, compiled here, at start, and not while somebody waits at a door: that takes a tenth of a second."""
    templates = Environment(
        loader=PackageLoader("menwei_console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    for name in templates.list_templates(["html"]):
        templates.get_template(name)
    return templates


class Renderer:
    """Makes pages of templates. Everything that is data is escaped; a name that a template misspells is an error."""

    def __init__(self, assets: Assets) -> None:
        self._assets = assets
        self._templates = _templates()

    async def page(self, call: Call, template: str, here: str = "", status: int = 200, **values: Any) -> Html:
        """The page for this caller. `here` is the path of the place it belongs to."""
        return Html(
            self._text(call, template, here=here, me=await _me(call), notice=call.notice, **values), status
        )

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

        return self._templates.get_template(template).render(
            t=call.t,
            site=site,
            language=call.language,
            path=path,
            places=[place for place in PLACES if me is not None and me.role in place.roles],
            asset=self._assets.address,
            clock=lambda time: (
                time.strftime("%H:%M:%S") if isinstance(time, datetime) else moment(time).strftime("%H:%M:%S")
            ),
            moment=moment,
            day=day,
            last_day=last_day,
            today=day(call.house.clock.now()),
            **values,
        )


async def _me(call: Call) -> Any:
    if call.actor is None or call.actor.kind != Kind.ACCOUNT:
        return None
    return await call.ask("GET", "/api/me")
