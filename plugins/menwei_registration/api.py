"""One route: a file comes in as it is, and the answer is told line by line while it is worked on.

POST /api/registration/import?dry_run=true        body: the bytes of the file, application/octet-stream
{"rooms": 52, "people": 2449, "new": [...], "faults": [...], "likely": [...]}
                                                                    what was found; with faults nothing follows
{"done": 250, "of": 2449} …                                         not in a dry run
{"entered": {"rooms": 52, "people": 2449, "known": 0}}  or  {"refused": {"error": …, "message": …}}
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from menwei import RightsError
from menwei.routes import Call, Model, Problem, Role, Route
from menwei_registration.service import Counts, Findings, Registration, SheetError
from menwei_registration.sheet import LONGEST_FILE, Fault
from menwei_tenancy.words import TenancyError

ROLES = frozenset({Role.COMMITTEE, Role.REGISTRAR, Role.OPERATOR})


class Wanted(Model):
    """`dry_run`: check only. `accept_likely`: people who may be in the list twice were looked at and are to be entered
    as they stand."""

    dry_run: bool = False
    accept_likely: bool = False


async def import_file(call: Call) -> web.StreamResponse:
    registration = call.service(Registration)
    try:
        registration.tenancy  # noqa: B018  asked for before anything is read
    except LookupError:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "registration.no_tenancy") from None
    data = await _file(call)
    try:
        found = await registration.examine(data)
    except SheetError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, error.fault.key, **error.fault.values) from None
    answer = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await answer.prepare(call.request)
    await _line(answer, told(call, found))
    if not (found.faults or call.query.dry_run or (found.likely and not call.query.accept_likely)):
        await _line(answer, await _entered(call, registration, found, answer))
        about = {"people": found.people, "rooms": found.rooms}
        await registration.context.facts.audit(call.who, "import", about)
    await answer.write_eof()
    return answer


async def _entered(
    call: Call, registration: Registration, found: Findings, answer: web.StreamResponse
) -> dict[str, Any]:
    async def progress(done: int, most: int) -> None:
        await _line(answer, {"done": done, "of": most})

    try:
        counts: Counts = await registration.enter(found, call.who, progress)
    except (TenancyError, RightsError) as error:
        return {"refused": {"error": error.says, "message": call.t(error.says, **error.values)}}
    return {"entered": {"rooms": counts.rooms, "people": counts.people, "known": counts.known}}


async def _file(call: Call) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in call.request.content.iter_any():
        size += len(part)
        if size > LONGEST_FILE:
            raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "registration.file.too_large")
        parts.append(part)
    return b"".join(parts)


def told(call: Call, found: Findings) -> dict[str, Any]:
    """What was found, with a sentence for each fault in the caller's language."""
    return {
        "rooms": found.rooms,
        "people": found.people,
        "new": found.checked.new,
        "faults": [_fault(call, fault) for fault in found.faults],
        "likely": [
            {
                "row": one.row,
                "other": one.other or None,
                "message": call.t(one.key, row=one.other),
            }
            for one in found.likely
        ],
    }


def _fault(call: Call, fault: Fault) -> dict[str, Any]:
    message = call.t(fault.key, **fault.values)
    return {"row": fault.row, "column": fault.column, "error": fault.key, "message": message}


async def _line(answer: web.StreamResponse, facts: dict[str, Any]) -> None:
    await answer.write(orjson.dumps(facts) + b"\n")


def routes() -> list[Route]:
    return [
        Route(
            "POST", "/api/registration/import", import_file, ROLES, summary="registration.api.import",
            tags=("registration",), query=Wanted, media="application/x-ndjson", statuses=(409,), destructive=True,
        )
    ]  # fmt: skip
