"""The HTTP API of wiring tests, for installers, the committee and the machine's operator. Nothing here is about residents."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from menwei.routes import Call, Problem, Role, Route, number
from menwei_wiring.models import (
    After,
    Answer,
    Begin,
    DeviceFacts,
    DoorRow,
    DoorRows,
    NowOut,
    RunOut,
    RunRows,
    Skip,
)
from menwei_wiring.service import Wiring
from menwei_wiring.words import WiringError

BASE = "/api/wiring"
TESTERS = frozenset({Role.COMMITTEE, Role.INSTALLER, Role.OPERATOR})


@contextmanager
def refusing() -> Iterator[None]:
    """What the service refuses, as a refusal of the API."""
    try:
        yield
    except WiringError as error:
        raise Problem(error.status, error.says, **error.values) from None


async def doors(call: Call) -> DoorRows:
    wiring = call.service(Wiring)
    await wiring.load()
    rows = []
    for facts in wiring.context.site.doors.values():
        under = wiring.under_way(facts.id) is not None
        online = wiring.context.site.door(facts.id).online
        rows.append(
            DoorRow(
                id=facts.id,
                name=facts.name,
                form=facts.form,
                online=online,
                open=under,
                last=wiring.last(facts.id),
            )
        )
    return DoorRows(doors=tuple(rows))


async def now(call: Call) -> NowOut:
    with refusing():
        try:
            return await call.unless_gone(call.service(Wiring).now(call.path["door"], call.query.after))
        except TimeoutError:  # whoever asked has gone
            raise Problem(HTTPStatus.REQUEST_TIMEOUT, "web.refused") from None


async def begin(call: Call) -> NowOut:
    wiring, door = call.service(Wiring), call.path["door"]
    with refusing():
        # Whoever signed in is the tester; the machine's operator has no name of his own.
        tester = call.body.tester if call.who.role == Role.OPERATOR else ""
        return await wiring.begin(call.who, door, await _device(call, door), tester)


async def _device(call: Call, door: str) -> DeviceFacts:
    facts = call.service(Wiring).context.site.doors.get(door)
    id = facts.device if facts is not None else ""
    found = next((one for one in (await call.ask("GET", "/api/devices")).devices if one.id == id), None)
    if found is None:
        return DeviceFacts(id=id)
    return DeviceFacts(id=id, driver=found.driver, model=found.model, version=found.version)


async def step(call: Call) -> NowOut:
    with refusing():
        return await call.service(Wiring).step(call.path["door"], call.path["step"])


async def answer(call: Call) -> NowOut:
    with refusing():
        return await call.service(Wiring).answer(call.path["door"], call.body.choice)


async def skip(call: Call) -> NowOut:
    with refusing():
        return await call.service(Wiring).skip(call.path["door"], call.path["step"], call.body.reason)


async def finish(call: Call) -> RunOut:
    with refusing():
        return await call.service(Wiring).finish(call.who, call.path["door"])


async def reports(call: Call) -> RunRows:
    with refusing():
        return RunRows(runs=tuple(await call.service(Wiring).of_door(call.path["door"])))


async def report(call: Call) -> RunOut:
    with refusing():
        return await call.service(Wiring).report(number(call.path["run"], "path.run"))


def routes() -> list[Route]:
    shared: dict[str, Any] = {"roles": TESTERS, "tags": ("wiring",)}
    refused: dict[str, Any] = {**shared, "statuses": (404, 409)}
    here = BASE + "/doors/{door}"
    return [
        Route("GET", f"{BASE}/doors", doors, summary="wiring.api.doors", response=DoorRows, **shared),
        Route("GET", here, now, summary="wiring.api.now", query=After, response=NowOut, **refused),
        Route("POST", f"{here}/begin", begin, summary="wiring.api.begin", body=Begin, response=NowOut, **refused),
        Route("POST", here + "/steps/{step}", step, summary="wiring.api.step", response=NowOut, **refused),
        Route("POST", f"{here}/answer", answer, summary="wiring.api.answer", body=Answer, response=NowOut, **refused),
        Route("POST", here + "/steps/{step}/skip", skip, summary="wiring.api.skip", body=Skip, response=NowOut, **refused),
        Route("POST", f"{here}/finish", finish, summary="wiring.api.finish", response=RunOut, **refused),
        Route("GET", f"{here}/reports", reports, summary="wiring.api.reports", response=RunRows, **refused),
        Route("GET", BASE + "/reports/{run}", report, summary="wiring.api.report", response=RunOut, **refused),
    ]  # fmt: skip
