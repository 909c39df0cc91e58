"""The desk's pages: people, one person, would they pass, and the committee's look at one person's passages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from menwei.model import IdentifierType
from menwei.routes import Answer, Call, Handler, Model, Problem, Route, See
from menwei_console import render
from menwei_console.naming import card_readers, points_named
from menwei_console.render import Renderer, Text, paged

ONE = r"/people/{holder:\d{1,18}}"
SEEN_AT_ONCE = 30
SHORTEST_REASON = 4
"""Characters; what the API asks of a reason that is recorded."""


class Onward(Model):
    """The next page of everybody."""

    after: Text | None = None


class Search(Onward):
    """Posted, so that no name stays in the history of the desk's browser."""

    search: Text = ""


class Facts(Model):
    """The whole form of a person's facts. `opened`: the form showed what is sealed, so that an emptied field is one to
    remove; otherwise an empty field is one that nobody could read."""

    name: Text = ""
    external_id: Text = ""
    phone: Text = ""
    note: Text = ""
    extended: bool = False
    opened: bool = False


class Question(Model):
    """`at` without a zone is the site's local time; empty is now."""

    access_point: Text
    at: datetime | None = None


class Reasoned(Model):
    reason: Text
    before: Text | None = None


class DeskPages:
    def __init__(self, renderer: Renderer) -> None:
        self.render = renderer

    async def people(self, call: Call) -> Answer:
        return await self._people(call, "", call.query.after)

    async def found(self, call: Call) -> Answer:
        return await self._people(call, call.body.search, call.body.after)

    async def _people(self, call: Call, search: str, after: str | None) -> Answer:
        notice = ""
        try:
            found = await call.ask("GET", "/api/people", query={"search": search, "after": after or 0})
        except Problem as problem:
            if problem.error != "web.locked":
                raise
            notice = call.t(problem.error, **problem.values)
            found = await call.ask("GET", "/api/people")
        return await self.render.page(
            call,
            "people.html",
            "/people",
            people=found.people,
            unlocked=found.unlocked,
            more=found.next,
            search=search if not notice else "",
            asked=search,
            notice=notice,
        )

    async def new_person(self, call: Call) -> Answer:
        return await self.render.page(
            call, "person_new.html", "/people", documents=await _document_readers(call)
        )

    async def person(self, call: Call) -> Answer:
        return await self.render.page(
            call,
            "person.html",
            "/people",
            person=await _person(call),
            readers=await card_readers(call),
            profiles=(await call.ask("GET", "/api/profiles")).profiles,
            points=await points_named(call),
            documents=await _document_readers(call),
            history=call.who.role in render.HISTORY.roles,
        )

    # ------------------------------------------------------------------------------------------------------ correcting

    async def edit(self, call: Call) -> Answer:
        person = await _person(call)
        return await self._edit(call, person.id, person.model_dump(), "")

    async def _edit(self, call: Call, holder: int, given: dict[str, Any], notice: str) -> Answer:
        opened = call.key is not None
        return await self.render.page(
            call, "person_edit.html", "/people", notice=notice, holder=holder, given=given, opened=opened
        )

    async def change(self, call: Call) -> Answer:
        facts: Facts = call.body
        path = {"holder": call.path["holder"]}
        given = facts.model_dump(exclude={"opened"})
        body = {name: value for name, value in given.items() if value != "" or facts.opened}
        try:
            await call.ask("POST", "/api/people/{holder}", path=path, body=body)
        except Problem as problem:
            person = await _person(call)
            return await self._edit(call, person.id, given, call.t(problem.error, **problem.values))
        return See(f"/people/{call.path['holder']}")

    # -------------------------------------------------------------------------------------------------- would they pass

    async def ask(self, call: Call) -> Answer:
        """The form alone: also where the language is changed to after an answer."""
        return await self._check(call, await _person(call), "", None, None, "")

    async def check(self, call: Call) -> Answer:
        person, asked = await _person(call), call.body
        body = {"holder": person.id, "access_point": asked.access_point, "at": asked.at}
        answer, notice = None, ""
        try:
            answer = await call.ask("POST", "/api/explain", body=body)
        except Problem as problem:
            notice = call.t(problem.error, **problem.values)
        return await self._check(call, person, asked.access_point, asked.at, answer, notice)

    async def _check(
        self, call: Call, person: Any, point: str, at: datetime | None, answer: Any, notice: str
    ) -> Answer:
        points = await points_named(call)
        return await self.render.page(
            call,
            "check.html",
            "/people",
            notice=notice,
            person=person,
            labels={credential.id: credential.label for credential in person.credentials},
            points=points,
            chosen=next((known for known in points if known["id"] == point), None),
            at=at,
            answer=answer,
            level=_level(call, answer.level) if answer else "",
        )

    # --------------------------------------------------------------------------------------------------- one's passages

    async def history(self, call: Call) -> Answer:
        """Asks for the reason; nothing is read and nothing recorded yet."""
        return await self._history(call, "", None, "")

    async def passages(self, call: Call) -> Answer:
        body = {
            "holder": call.path["holder"],
            "reason": call.body.reason,
            "before": call.body.before,
            "limit": SEEN_AT_ONCE,
        }
        found, notice = None, ""
        try:
            found = await call.ask("POST", "/api/journal/holder", body=body)
        except Problem as problem:
            notice = call.t(problem.error, **problem.values)
        return await self._history(call, call.body.reason, found, notice)

    async def _history(self, call: Call, reason: str, found: Any, notice: str) -> Answer:
        return await self.render.page(
            call,
            "history.html",
            "/people",
            notice=notice,
            person=await _person(call),
            reason=reason,
            shortest=SHORTEST_REASON,
            passages=found.entries if found else None,
            more=found.next if found else None,
        )

    def routes(self) -> list[Route]:
        def page(path: str, handler: Handler, method: str = "GET", **more: Any) -> Route:
            return paged(self.render, method, path, handler, render.PEOPLE, **more)

        def history(handler: Handler, method: str = "GET", **more: Any) -> Route:
            return paged(self.render, method, f"{ONE}/passages", handler, render.HISTORY, **more)

        return [
            page("/people", self.people, query=Onward),
            page("/people", self.found, "POST", body=Search),
            page("/people/new", self.new_person),
            page(ONE, self.person),
            page(f"{ONE}/edit", self.edit),
            page(f"{ONE}/edit", self.change, "POST", body=Facts),
            page(f"{ONE}/check", self.ask),
            page(f"{ONE}/check", self.check, "POST", body=Question),
            history(self.history),
            history(self.passages, "POST", body=Reasoned),
        ]


async def _person(call: Call) -> Any:
    return await call.ask("GET", "/api/people/{holder}", path={"holder": call.path["holder"]})


async def _document_readers(call: Call) -> Any:
    return (await call.ask("GET", "/api/document-readers")).readers


def _level(call: Call, name: str) -> str:
    """ "Card and PIN or Face" in the caller's words; a name of the site's own stays as it is."""
    groups = [group.split(" and ") for group in name.split(" or ")]
    if not name or any(factor not in set(IdentifierType) for group in groups for factor in group):
        return name
    return " / ".join(" + ".join(call.t(f"identifier.{factor}") for factor in group) for group in groups)
