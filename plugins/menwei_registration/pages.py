"""The registration pages: the desk, worked by keyboard and card touch alone, and the upload of lists."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from menwei.routes import PEOPLE_ONLY, Answer, Call, Role, Route
from menwei_console.assets import Assets
from menwei_console.naming import card_readers
from menwei_console.render import Renderer
from menwei_registration.desk import ROLES
from menwei_registration.service import Registration
from menwei_registration.sheet import HEADINGS, LONGEST_FILE, REQUIRED
from menwei_tenancy.service import Tenancy
from menwei_tenancy.terms import Role as MemberRole

HERE = "/register"
DESK_PEOPLE = ROLES - {Role.OPERATOR}


class Pages:
    """All pages, with what they are drawn with."""

    def __init__(self) -> None:
        self.own = Assets.load("menwei_registration", HERE)
        self.render = Renderer("menwei_registration", self.own)

    async def desk(self, call: Call) -> Answer:
        tenancy = call.service(Tenancy)
        months = call.service(Registration).config.months
        today = datetime.fromtimestamp(call.house.clock.now(), tenancy.rules.zone).date()
        return await self.render.page(
            call,
            "register.html",
            HERE,
            readers=await card_readers(call),
            documents=(await call.ask("GET", "/api/document-readers")).readers,
            roles=list(MemberRole),
            consent=tenancy.config.consent,
            proposed=last_day(today, months).isoformat() if months else "",
        )

    async def upload(self, call: Call) -> Answer:
        return await self.render.page(
            call,
            "upload.html",
            HERE,
            headings={name: words[0] for name, words in HEADINGS.items()},
            required=REQUIRED,
            largest=LONGEST_FILE,
        )


def last_day(first: date, months: int) -> date:
    """The last day, included, of a lease of so many months that begins on `first`."""
    year, month = divmod(first.year * 12 + first.month - 1 + months, 12)
    try:
        return date(year, month + 1, first.day) - timedelta(days=1)
    except ValueError:  # there is no 31st: the lease ends with the month before
        return date(year + (month + 1) // 12, (month + 1) % 12 + 1, 1) - timedelta(days=1)


def routes() -> list[Route]:
    """Every page. Made once for each application."""
    pages = Pages()
    shown: dict[str, Any] = {"page": True, "problem": pages.render.problem, "kinds": PEOPLE_ONLY}
    return [
        Route("GET", HERE, pages.desk, DESK_PEOPLE, menu=("registration.page.desk", "plus"), **shown),
        Route("GET", f"{HERE}/import", pages.upload, DESK_PEOPLE, **shown),
        pages.own.route(),
    ]
