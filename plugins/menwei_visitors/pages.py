"""The visitors' pages: today's passes and the forms that make them, and one pass to be shown or printed.

They stand in the console's shell and ask the API as their caller.
"""

from __future__ import annotations

from menwei.routes import Answer, Call, Role, Route
from menwei_console.assets import Assets
from menwei_console.naming import card_readers
from menwei_console.render import Renderer
from menwei_visitors.api import BASE, DESK, INVITING
from menwei_visitors.words import Purpose

HERE = "/visitors"
ROLES = INVITING - {Role.OPERATOR}


class Pages:
    """All pages, with what they are drawn with."""

    def __init__(self) -> None:
        self.own = Assets.load("menwei_visitors", HERE)
        self.render = Renderer("menwei_visitors", self.own)

    async def today(self, call: Call) -> Answer:
        role = call.who.role
        desk, committee = role in DESK, role == Role.COMMITTEE
        return await self.render.page(
            call,
            "visitors.html",
            HERE,
            passes=(await call.ask("GET", f"{BASE}/passes")).passes,
            hosts=(await call.ask("GET", f"{BASE}/hosts")).hosts if committee else None,
            desk=desk,
            readers=await card_readers(call) if desk else [],
            purposes=list(Purpose),
        )

    async def one(self, call: Call) -> Answer:
        path = {"pass": call.path["pass"]}
        found = await call.ask("GET", f"{BASE}/passes/{{pass}}", path=path)
        return await self.render.page(call, "visitor.html", HERE, found=found)


def routes() -> list[Route]:
    """Every page. Made once for each application."""
    pages = Pages()
    shown = {"page": True, "problem": pages.render.problem}
    return [
        Route("GET", HERE, pages.today, ROLES, menu=("visitors.title", "card"), **shown),  # type: ignore[arg-type]
        Route("GET", HERE + r"/{pass:\d{1,18}}", pages.one, ROLES, **shown),  # type: ignore[arg-type]
        pages.own.route(),
    ]
