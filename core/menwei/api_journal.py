"""The journal for people: by door, by person only with a reason, an export, and whether it is intact.

Who reads whom is itself recorded: every read that shows people is an Audit entry of the same chain, written before the
answer goes out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated

import orjson
from aiohttp import web
from pydantic import AwareDatetime, Field, StringConstraints

from menwei.api_doors import one_door
from menwei.callers import Limit
from menwei.entryview import EntryView, shown, view
from menwei.journal import Position, Recorded
from menwei.routes import NOT_BLANK, WHOLE, Call, Model, Problem, Role, Route

READERS = frozenset({Role.COMMITTEE, Role.OPERATOR})
VERIFIERS = READERS | {Role.AUDITOR}

QUERIES = 20
QUERIES_IN = 3600.0
"""Reads by person: twenty an hour answer every honest question and make no file of anybody's days."""

PositionText = Annotated[str, StringConstraints(pattern=r"^\d{1,10}\.\d{1,10}$")]
ReasonText = Annotated[str, StringConstraints(min_length=4, max_length=200, pattern=NOT_BLANK)]


class Page(Model):
    """`before`: the position where the page before ended. `who`: also whom the entries are about; audited."""

    before: PositionText | None = None
    limit: Annotated[int, Field(ge=1, le=200), WHOLE] = 50
    who: bool = False


class Entries(Model):
    """Newest first. `next` is the `before` of the next page, None at the end."""

    entries: tuple[EntryView, ...]
    next: str | None


class ByHolder(Model):
    """Somebody's passages. The reason is recorded with the question, and the person can see that it was asked."""

    holder: Annotated[int, Field(ge=1, lt=1 << 53), WHOLE]
    reason: ReasonText
    before: PositionText | None = None
    limit: Annotated[int, Field(ge=1, le=200), WHOLE] = 50


class Export(Model):
    """Entries of some doors, `since` ≤ time < `until`, oldest first. `who`: with the personal parts."""

    doors: tuple[Annotated[str, StringConstraints(min_length=1, max_length=64)], ...] | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    who: bool = False
    reason: ReasonText


class Verified(Model):
    """Whether the journal is what was written. `signed`: up to here the machine's signature vouches."""

    ok: bool
    message: str
    entries: int
    personal: int
    forgotten: int
    first: str | None
    last: str | None
    signed: str | None
    broken: str | None
    detail: str


def position_in(text: str | None, where: str) -> Position | None:
    if text is None:
        return None
    try:
        return Position.parse(text)
    except ValueError:
        raise Problem(
            HTTPStatus.BAD_REQUEST, "web.field.invalid", where, field=where.rpartition(".")[2]
        ) from None


async def by_door(call: Call) -> Entries:
    door, page = one_door(call), call.query
    before, kinds = position_in(page.before, "query.before"), shown(call.house)
    entries: Sequence[Recorded]
    if page.who:
        await call.house.audit(call.who, "journal.by_door", {"door": door.id})
        entries = await call.house.journal.read(
            before=before, kinds=kinds, doors=[door.id], limit=page.limit, newest_first=True, personal=True
        )
    else:
        entries = await call.house.journal.read(
            before=before, kinds=kinds, doors=[door.id], limit=page.limit, newest_first=True
        )
    return Entries(
        entries=tuple(view(call, entry) for entry in entries),
        next=str(entries[-1].position) if len(entries) == page.limit else None,
    )


class Histories:
    """Reads by person: rate-limited for each caller."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._limit = Limit(QUERIES, QUERIES_IN, monotonic)

    async def __call__(self, call: Call) -> Entries:
        self._limit.take(call.identity)
        asked = call.body
        before = position_in(asked.before, "body.before")
        await call.house.audit(
            call.who, "journal.by_holder", {}, {"holder": asked.holder, "reason": asked.reason}
        )
        entries = await call.house.journal.by_holder(
            asked.holder, asked.limit, before=before, kinds=shown(call.house)
        )
        return Entries(
            entries=tuple(view(call, entry) for entry in entries),
            next=str(entries[-1].position) if len(entries) == asked.limit else None,
        )


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


async def export(call: Call) -> web.StreamResponse:
    """JSON lines, streamed: an export of years does not stand in memory."""
    asked = call.body
    unknown = sorted(set(asked.doors or ()) - set(call.house.site.doors))
    if unknown:
        raise Problem(HTTPStatus.NOT_FOUND, "web.no_door", "body.doors")
    facts = {"doors": list(asked.doors) if asked.doors else None, "who": asked.who}
    await call.house.audit(call.who, "journal.export", facts, {"reason": asked.reason})
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    response.headers["Content-Disposition"] = 'attachment; filename="journal.ndjson"'
    await response.prepare(call.request)
    entries = call.house.journal.export(
        doors=asked.doors, since=_seconds(asked.since), until=_seconds(asked.until), personal=asked.who
    )
    async for entry in entries:
        await response.write(orjson.dumps(entry) + b"\n")
    await response.write_eof()
    return response


async def verify(call: Call) -> Verified:
    found = await call.house.journal.verify()
    await call.house.audit(call.who, "journal.verify", {"ok": found.ok, "entries": found.entries})
    if found.ok:
        message = call.t("api.verify.ok", count=found.entries)
    elif found.broken:
        message = call.t("api.verify.broken", position=found.broken)
    else:
        message = call.t("api.verify.unreadable")
    return Verified(
        ok=found.ok,
        message=message,
        entries=found.entries,
        personal=found.personal,
        forgotten=found.forgotten,
        first=str(found.first) if found.first else None,
        last=str(found.last) if found.last else None,
        signed=str(found.signed) if found.signed else None,
        broken=str(found.broken) if found.broken else None,
        detail=found.detail,
    )


def routes(monotonic: Callable[[], float]) -> list[Route]:
    tags = ("journal",)
    return [
        Route(
            "GET", "/api/doors/{door}/journal", by_door, READERS, summary="api.journal.by_door", tags=tags, query=Page,
            response=Entries,
        ),
        Route(
            "POST", "/api/journal/holder", Histories(monotonic), READERS, summary="api.journal.by_holder", tags=tags,
            body=ByHolder, response=Entries, statuses=(429,),
        ),
        Route(
            "POST", "/api/journal/export", export, READERS, summary="api.journal.export", tags=tags, body=Export,
            media="application/x-ndjson", statuses=(404,),
        ),
        Route(
            "POST", "/api/journal/verify", verify, VERIFIERS, summary="api.journal.verify", tags=tags, response=Verified,
        ),
    ]  # fmt: skip
