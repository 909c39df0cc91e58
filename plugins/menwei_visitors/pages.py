"""The visitors' pages: today's passes and the forms that make them, and one pass to be shown or printed.

They stand in the console's shell and ask the API as their caller.
"""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import Any

from aiohttp import web

from menwei.routes import Answer, Call, Role, Route
from menwei_console.assets import Assets
from menwei_console.render import Renderer
from menwei_visitors.api import BASE, DESK, INVITING
from menwei_visitors.words import Purpose

HERE = "/visitors"
TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
ROLES = INVITING - {Role.OPERATOR}


class Pages:
    """All pages, with what they are drawn with."""

    def __init__(self) -> None:
        self.render = Renderer(Assets.load(), "menwei_visitors")
        folder = resources.files("menwei_visitors") / "static"
        self.files = {name: (folder / name).read_bytes() for name in ("visitors.css", "visitors.js")}
        self.hash = hashlib.sha256(b"\0".join(self.files.values())).hexdigest()[:16]

    async def today(self, call: Call) -> Answer:
        role = call.who.role
        desk, committee = role in DESK, role == Role.COMMITTEE
        readers: list[dict[str, str]] = []
        if desk:
            points = (await call.ask("GET", "/api/access-points")).access_points
            readers = [{"id": reader, "name": point.place} for point in points for reader in point.readers]
        return await self._page(
            call,
            "visitors.html",
            passes=(await call.ask("GET", f"{BASE}/passes")).passes,
            hosts=(await call.ask("GET", f"{BASE}/hosts")).hosts if committee else None,
            desk=desk,
            readers=readers,
            purposes=list(Purpose),
        )

    async def one(self, call: Call) -> Answer:
        path = {"pass": call.path["pass"]}
        found = await call.ask("GET", f"{BASE}/passes/{{pass}}", path=path)
        return await self._page(call, "visitor.html", found=found)

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
    shown = {"page": True, "problem": pages.render.problem}
    return [
        Route("GET", HERE, pages.today, ROLES, menu=("visitors.title", "card"), **shown),  # type: ignore[arg-type]
        Route("GET", HERE + r"/{pass:\d{1,18}}", pages.one, ROLES, **shown),  # type: ignore[arg-type]
        Route(
            "GET",
            f"{HERE}/static/{pages.hash}/{{name:visitors\\.(?:css|js)}}",
            pages.file,
            public=True,
            page=True,
        ),
    ]
