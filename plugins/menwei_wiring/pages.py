"""The pages of wiring tests: the doors, one test as it goes on, and a report to be printed.

They stand in the console's shell and ask the API as their caller. The test's page is made for a telephone beside a door.
"""

from __future__ import annotations

from typing import Any

from menwei.routes import Answer, Call, Role, Route
from menwei_console.assets import Assets
from menwei_console.render import Renderer
from menwei_wiring.api import BASE, TESTERS
from menwei_wiring.models import After
from menwei_wiring.report import TONES, step_rows

HERE = "/wiring"
ROLES = TESTERS - {Role.OPERATOR}


class Pages:
    """All pages, with what they are drawn with."""

    def __init__(self) -> None:
        self.own = Assets.load("menwei_wiring", HERE)
        self.render = Renderer("menwei_wiring", self.own)

    async def doors(self, call: Call) -> Answer:
        found = (await call.ask("GET", f"{BASE}/doors")).doors
        return await self.render.page(call, "wiring.html", HERE, doors=found, tones=TONES)

    async def door(self, call: Call) -> Answer:
        path = {"door": call.path["door"]}
        found = (await call.ask("GET", f"{BASE}/doors")).doors
        now = await call.ask("GET", BASE + "/doors/{door}", path=path)
        reports = (await call.ask("GET", BASE + "/doors/{door}/reports", path=path)).runs
        door = next(door for door in found if door.id == path["door"])
        return await self.render.page(
            call, "wiring_door.html", HERE, door=door, now=now, reports=reports, tones=TONES
        )

    async def part(self, call: Call) -> Answer:
        """The test as it is now, for our own module to put in its place; with `after` as soon as it has changed."""
        path, query = {"door": call.path["door"]}, {"after": call.query.after}
        now = await call.ask("GET", BASE + "/doors/{door}", path=path, query=query)
        return await self.render.part(call, "wiring_now.html", now=now, door_id=path["door"], tones=TONES)

    async def report(self, call: Call) -> Answer:
        run = await call.ask("GET", BASE + "/reports/{run}", path={"run": call.path["run"]})
        site = call.house.site
        rows = step_rows(run.report, call.t, site.zone)
        return await self.render.page(
            call,
            "wiring_report.html",
            HERE,
            run=run,
            rows=rows,
            tones=TONES,
            site_name=site.name,
            zone=site.zone.key,
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
        pages.own.route(),
    ]
