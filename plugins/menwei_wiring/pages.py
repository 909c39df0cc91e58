"""The pages of wiring tests: the doors, one test as it goes on, and a report to be printed.

They stand in the console's shell and ask the API as their caller. The test's page is made for a telephone beside a door.
"""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Any

from aiohttp import web

from menwei.routes import Answer, Call, Role, Route
from menwei_console.assets import Assets
from menwei_console.render import Renderer
from menwei_wiring.api import BASE, TESTERS
from menwei_wiring.models import After
from menwei_wiring.report import TONES, css, step_rows

HERE = "/wiring"
TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
ROLES = TESTERS - {Role.OPERATOR}


class Pages:
    """All pages, with what they are drawn with."""

    def __init__(self) -> None:
        self.render = Renderer(Assets.load(), "menwei_wiring")
        folder = resources.files("menwei_wiring") / "static"
        self.files = {"wiring.css": css().encode(), "wiring.js": (folder / "wiring.js").read_bytes()}
        self.hash = hashlib.sha256(b"\0".join(self.files.values())).hexdigest()[:16]

    async def doors(self, call: Call) -> Answer:
        found = (await call.ask("GET", f"{BASE}/doors")).doors
        return await self._page(call, "wiring.html", doors=found, tones=TONES)

    async def door(self, call: Call) -> Answer:
        path = {"door": call.path["door"]}
        found = (await call.ask("GET", f"{BASE}/doors")).doors
        now = await call.ask("GET", BASE + "/doors/{door}", path=path)
        reports = (await call.ask("GET", BASE + "/doors/{door}/reports", path=path)).runs
        door = next(door for door in found if door.id == path["door"])
        return await self._page(call, "wiring_door.html", door=door, now=now, reports=reports, tones=TONES)

    async def part(self, call: Call) -> Answer:
        """The test as it is now, for our own module to put in its place; with `after` as soon as it has changed."""
        path, query = {"door": call.path["door"]}, {"after": call.query.after}
        now = await call.ask("GET", BASE + "/doors/{door}", path=path, query=query)
        return await self.render.part(call, "wiring_now.html", now=now, door_id=path["door"], tones=TONES)

    async def report(self, call: Call) -> Answer:
        run = await call.ask("GET", BASE + "/reports/{run}", path={"run": call.path["run"]})
        site = call.house.site
        rows = step_rows(run.report, call.t, site.zone)
        return await self._page(
            call,
            "wiring_report.html",
            run=run,
            rows=rows,
            tones=TONES,
            site_name=site.name,
            zone=site.zone.key,
        )

    async def file(self, call: Call) -> web.StreamResponse:
        name = call.path["name"]
        kind = TYPES[name.rpartition(".")[2]]
        headers = {"Content-Type": kind, "Cache-Control": "public, max-age=31536000, immutable"}
        return web.Response(body=self.files[name], headers=headers)

    async def _page(self, call: Call, template: str, **values: Any) -> Answer:
        return await self.render.page(
            call, template, HERE, own=lambda name: f"{HERE}/static/{self.hash}/{name}", **values
        )


def routes() -> list[Route]:
    """Every page. Made once for each application."""
    pages = Pages()
    shown: dict[str, Any] = {"page": True, "problem": pages.render.problem}
    return [
        Route("GET", HERE, pages.doors, ROLES, menu=("wiring.title", "tools"), **shown),
        Route("GET", HERE + "/doors/{door}", pages.door, ROLES, **shown),
        Route("GET", HERE + "/doors/{door}/now", pages.part, ROLES, query=After, **shown),
        Route("GET", HERE + r"/reports/{run:\d{1,18}}", pages.report, ROLES, **shown),
        Route(
            "GET",
            f"{HERE}/static/{pages.hash}/{{name:wiring\\.(?:css|js)}}",
            pages.file,
            public=True,
            page=True,
        ),
    ]
