"""The page a tablet shows at the door, and the console's page where tablets are paired."""

from __future__ import annotations

import json

from jinja2 import Environment, PackageLoader, StrictUndefined

from menwei.routes import Answer, Call, Html, Role, Route
from menwei_console.assets import Assets
from menwei_console.render import Renderer
from menwei_screen.api import BASE, INSTALLERS
from menwei_screen.words import page_words

TABLET = "/screen"
HERE = "/screens"


class Pages:
    """All pages, with what they are drawn with."""

    def __init__(self) -> None:
        self.own = Assets.load("menwei_screen", TABLET)
        self.render = Renderer("menwei_screen", self.own)
        templates = Environment(
            loader=PackageLoader("menwei_screen"),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
        )
        self.tablet_page = templates.get_template("screen.html")

    async def tablet(self, call: Call) -> Answer:
        """The whole page, the same for everybody: what it shows comes by the stream. A browser that is signed in to the
        console as well must show the session's CSRF token with what it sends."""
        text = self.tablet_page.render(
            language=call.language,
            own=self.own.address,
            words=json.dumps(page_words(call.house.messages), ensure_ascii=False),
            csrf=call.session.csrf if call.session is not None else "",
            api=BASE,
        )
        return Html(text)

    async def screens(self, call: Call) -> Answer:
        found = (await call.ask("GET", BASE)).screens
        return await self.render.page(call, "screens.html", HERE, screens=found, tablet=TABLET)


def routes() -> list[Route]:
    """Every page. Made once for each application."""
    pages = Pages()
    return [
        Route("GET", TABLET, pages.tablet, public=True, page=True),
        Route(
            "GET", HERE, pages.screens, INSTALLERS - {Role.OPERATOR}, page=True, problem=pages.render.problem,
            menu=("screen.title", "device"),
        ),
        pages.own.route(),
    ]  # fmt: skip
