"""The pages of enrolment: find somebody, their consent and face, and the receipt of a withdrawal to be printed.

They stand in the console's shell and ask the API as their caller.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import StringConstraints

from menwei.routes import PEOPLE_ONLY, Answer, Call, Model, Problem, Role, Route
from menwei_console.assets import Assets
from menwei_console.render import Renderer
from menwei_face.api import BASE, DESK
from menwei_face.api_mine import TENANT

HERE = "/face"
MINE = "/face/mine"
ROLES = DESK - {Role.OPERATOR}
SEEN_AT_ONCE = 50


class Search(Model):
    """Posted, so that no name stays in the history of the desk's browser."""

    search: Annotated[str, StringConstraints(max_length=100)] = ""


class Pages:
    """All pages, with what they are drawn with."""

    def __init__(self) -> None:
        self.own = Assets.load("menwei_face", HERE)
        self.render = Renderer("menwei_face", self.own)

    async def everybody(self, call: Call) -> Answer:
        return await self._everybody(call, "")

    async def found(self, call: Call) -> Answer:
        return await self._everybody(call, call.body.search)

    async def _everybody(self, call: Call, search: str) -> Answer:
        people, totals, trouble, away = [], None, "", ""
        try:
            totals = await call.ask("GET", BASE)
        except Problem as problem:
            away = call.t(problem.error, **problem.values)
        try:
            query = {"search": search, "limit": SEEN_AT_ONCE}
            people = (await call.ask("GET", "/api/people", query=query)).people
        except Problem as problem:  # names are sealed for who is not unlocked
            trouble = call.t(problem.error, **problem.values)
        return await self.render.page(
            call, "faces.html", HERE, search=search, people=people, totals=totals, trouble=trouble, away=away
        )

    async def one(self, call: Call) -> Answer:
        path = {"holder": call.path["holder"]}
        cameras = await call.ask("GET", f"{BASE}/cameras")
        return await self.render.page(
            call,
            "face.html",
            HERE,
            person=await call.ask("GET", "/api/people/{holder}", path=path),
            found=await call.ask("GET", f"{BASE}/people/{{holder}}", path=path),
            totals=await call.ask("GET", BASE),
            cameras=cameras.cameras,
        )

    async def receipt(self, call: Call) -> Answer:
        path = {"receipt": call.path["receipt"]}
        found = await call.ask("GET", f"{BASE}/receipts/{{receipt}}", path=path)
        name = ""
        try:
            person = await call.ask("GET", "/api/people/{holder}", path={"holder": str(found.holder)})
            name = person.name or ""
        except Problem as problem:
            if problem.status != 404:  # who was removed still has a receipt
                raise
        back = f"{HERE}/people/{found.holder}"
        return await self.render.page(call, "receipt.html", HERE, found=found, name=name, back=back)

    async def mine(self, call: Call) -> Answer:
        return await self.render.page(call, "mine.html", MINE, found=await call.ask("GET", f"{BASE}/mine"))

    async def my_receipt(self, call: Call) -> Answer:
        path = {"receipt": call.path["receipt"]}
        found = await call.ask("GET", f"{BASE}/mine/receipts/{{receipt}}", path=path)
        return await self.render.page(call, "receipt.html", MINE, found=found, name="", back=MINE)


def routes() -> list[Route]:
    """Every page. Made once for each application."""
    pages = Pages()
    shown: dict[str, Any] = {"page": True, "problem": pages.render.problem}
    return [
        Route("GET", HERE, pages.everybody, ROLES, menu=("face.page.title", "person"), **shown),
        Route("POST", HERE, pages.found, ROLES, body=Search, **shown),
        Route("GET", HERE + r"/people/{holder:\d{1,18}}", pages.one, ROLES, **shown),
        Route("GET", MINE, pages.mine, TENANT, kinds=PEOPLE_ONLY, menu=("face.mine.title", "person"), **shown),
        Route("GET", MINE + r"/receipts/{receipt:\d{1,18}}", pages.my_receipt, TENANT, kinds=PEOPLE_ONLY, **shown),
        Route("GET", HERE + r"/receipts/{receipt:\d{1,18}}", pages.receipt, ROLES, **shown),
        pages.own.route(),
    ]  # fmt: skip
