"""The visitors' HTTP API: residents invite for their own flat, the desk for any.

Who may not see a pass is told that there is none. Only a desk waits for cards: whoever may do that takes the next card
at a reader, whosever it is.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from aiohttp import web

from menwei import RightsError
from menwei.routes import Call, Done, Problem, Role, Route, number
from menwei_visitors.codes import CodeRefused
from menwei_visitors.models import (
    CourierPass,
    Host,
    HostList,
    HostOut,
    Invitation,
    PassList,
    PassOut,
    PassShown,
    Shown,
    TouchedCard,
)
from menwei_visitors.service import Visitors
from menwei_visitors.words import Pass, VisitorError

BASE = "/api/visitors"
DESK = frozenset({Role.COMMITTEE, Role.GUARD, Role.REGISTRAR, Role.OPERATOR})
INVITING = DESK | {Role.TENANT}
COMMITTEE = frozenset({Role.COMMITTEE, Role.OPERATOR})


@contextmanager
def refusing() -> Iterator[None]:
    """What the service and the rights refuse, as a refusal of the API."""
    try:
        yield
    except VisitorError as error:
        raise Problem(error.status, error.says, **error.values) from None
    except CodeRefused as error:
        raise Problem(HTTPStatus.CONFLICT, error.says, "body.code") from None
    except RightsError as error:
        raise Problem(HTTPStatus.CONFLICT, error.says, **error.values) from None


async def own_flat(call: Call) -> str | None:
    """The flat a tenant is narrowed to; None for a desk. Raises `Problem` for a tenant who has none."""
    if call.who.role != Role.TENANT:
        return None
    visitors = call.service(Visitors)
    if call.session is not None:  # a token has no account, and so no flat
        async with visitors.read() as reading:
            flat = await visitors.flat_of(reading, call.session.account.id)
        if flat is not None:
            return flat
    raise Problem(HTTPStatus.FORBIDDEN, "visitors.no_own_flat")


def _host(call: Call, own: str | None) -> int | None:
    """The account that invites for its own flat; None: the desk does."""
    return call.session.account.id if own is not None and call.session is not None else None


# ------------------------------------------------------------------------------------------------------------- inviting


async def invite(call: Call) -> PassShown:
    body: Invitation = call.body
    visitors, own = call.service(Visitors), await own_flat(call)
    if own is not None and body.flat not in ("", own):
        raise Problem(HTTPStatus.FORBIDDEN, "visitors.not_your_flat", "body.flat")
    with refusing():
        flat = own or (await visitors.meant(body.flat) if body.flat else "")
        async with visitors.transaction() as tx:
            made = await visitors.invite(
                tx,
                call.who,
                flat,
                body.purpose,
                external_id=body.external_id,
                host=_host(call, own),
            )
    return await _told(call, "invite", made)


async def courier(call: Call) -> PassShown:
    body: CourierPass = call.body
    visitors = call.service(Visitors)
    with refusing():
        async with visitors.transaction() as tx:
            made = await visitors.courier(tx, call.who, external_id=body.external_id)
    return await _told(call, "courier", made)


async def card(call: Call) -> PassShown:
    body: TouchedCard = call.body
    visitors = call.service(Visitors)
    people = visitors.context.people
    with refusing():  # before anybody is asked to touch a card
        flat = await visitors.meant(body.flat) if body.flat else ""
    touched = await call.brought(lambda: people.capture(call.body.reader, call.body.seconds))
    with refusing():
        async with visitors.transaction() as tx:
            if flat:
                made = await visitors.invite(tx, call.who, flat, body.purpose, card=touched)
            else:
                made = await visitors.courier(tx, call.who, card=touched)
    return await _told(call, "card", made)


async def _told(call: Call, action: str, made: Pass) -> PassShown:
    facts = call.service(Visitors).context.facts
    await facts.audit(call.who, action, {"kind": made.kind}, {"flat": made.flat, "pass": made.id})
    return shown(call, made)


# -------------------------------------------------------------------------------------------------- looking and ending


async def list_passes(call: Call) -> PassList:
    visitors, own = call.service(Visitors), await own_flat(call)
    async with visitors.read() as reading:
        found = await visitors.passes_today(reading, own)
    return PassList(passes=tuple(PassOut(**_facts(one)) for one in found))


async def get_pass(call: Call) -> PassShown:
    return shown(call, await _pass(call))


async def qr_image(call: Call) -> web.StreamResponse:
    """The QR code as a picture; 404 for a card."""
    visitors, found = call.service(Visitors), await _pass(call)
    text = visitors.qr_of(found)
    if not text:
        raise Problem(HTTPStatus.NOT_FOUND, "visitors.no_qr")
    return web.Response(body=picture(text), content_type="image/svg+xml")


def picture(text: str) -> bytes:
    """A QR code as SVG, black on white in any colour scheme, with the quiet zone ISO/IEC 18004 asks for. Raises
    `Problem` 503 where segno is not installed (extra `visitors`)."""
    try:
        import segno
    except ModuleNotFoundError:
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "visitors.no_segno") from None
    drawn = io.BytesIO()
    segno.make_qr(text, error="m").save(
        drawn, kind="svg", scale=8, border=4, dark="#000", light="#fff", xmldecl=False
    )
    return drawn.getvalue()


async def end(call: Call) -> Done:
    visitors, own = call.service(Visitors), await own_flat(call)
    which = number(call.path["pass"], "path.pass")
    with refusing():
        async with visitors.transaction() as tx:
            await visitors.end(tx, call.who, which, own)
    await visitors.context.facts.audit(call.who, "end", personal={"pass": which})
    return Done()


async def check(call: Call) -> PassOut:
    visitors = call.service(Visitors)
    with refusing():
        async with visitors.read() as reading:
            return PassOut(**_facts(await visitors.check(reading, call.body.code)))


async def _pass(call: Call) -> Pass:
    visitors, own = call.service(Visitors), await own_flat(call)
    with refusing():
        async with visitors.read() as reading:
            return await visitors.one(reading, number(call.path["pass"], "path.pass"), own)


def _facts(one: Pass) -> dict[str, Any]:
    return {name: getattr(one, name) for name in PassOut.model_fields}


def shown(call: Call, one: Pass) -> PassShown:
    """A pass with its codes."""
    visitors = call.service(Visitors)
    return PassShown(**_facts(one), code=visitors.digits_of(one), qr=visitors.qr_of(one))


# ---------------------------------------------------------------------------------------------------------------- hosts


async def list_hosts(call: Call) -> HostList:
    visitors = call.service(Visitors)
    async with visitors.read() as reading:
        flats = await visitors.hosts(reading)
    inviting = await visitors.at_home(flats)
    tenants = [one for one in await call.house.accounts.list() if str(one.role) == Role.TENANT]
    return HostList(
        hosts=tuple(
            HostOut(account=one.id, name=one.name, flat=flats.get(one.id, ""), invites=one.id in inviting)
            for one in tenants
        )
    )


async def set_host(call: Call) -> Done:
    body: Host = call.body
    visitors = call.service(Visitors)
    tenants = {one.id for one in await call.house.accounts.list() if str(one.role) == Role.TENANT}
    if body.account not in tenants:
        raise Problem(HTTPStatus.NOT_FOUND, "visitors.no_tenant_account", "body.account")
    if body.flat and not await visitors.at_home({body.account: body.flat}):
        raise Problem(HTTPStatus.CONFLICT, "visitors.not_at_home", "body.flat")
    async with visitors.transaction() as tx:
        await visitors.set_host(tx, body.account, body.flat)
    personal = {"account": body.account, "flat": body.flat}
    await visitors.context.facts.audit(call.who, "host", personal=personal)
    return Done()


# --------------------------------------------------------------------------------------------------------------- routes


def routes() -> list[Route]:
    """Every route of the visitors' API."""

    def route(
        method: str, path: str, handler: Any, roles: frozenset[Role], summary: str, **more: Any
    ) -> Route:
        return Route(
            method, BASE + path, handler, roles, summary=f"visitors.api.{summary}", tags=("visitors",), **more
        )

    conflict, one = (409,), (404,)
    return [
        route("GET", "/passes", list_passes, INVITING, "list", response=PassList),
        route(
            "POST", "/passes", invite, INVITING, "invite", body=Invitation, response=PassShown,
            statuses=(404, 409, 429),
        ),
        route(
            "POST", "/couriers", courier, DESK, "courier", body=CourierPass, response=PassShown,
            statuses=(409, 429),
        ),
        route(
            "POST", "/cards", card, DESK, "card", body=TouchedCard, response=PassShown,
            statuses=(404, 409, 429),
        ),
        route("GET", "/passes/{pass}", get_pass, INVITING, "show", response=PassShown, statuses=one),
        route(
            "GET", "/passes/{pass}/qr.svg", qr_image, INVITING, "qr", media="image/svg+xml", statuses=one
        ),
        route(
            "POST", "/passes/{pass}/end", end, INVITING, "end", response=Done, statuses=one, destructive=True
        ),
        route(
            "POST", "/check", check, DESK, "check", body=Shown, response=PassOut, statuses=(404, *conflict)
        ),
        route("GET", "/hosts", list_hosts, COMMITTEE, "hosts", response=HostList),
        route("POST", "/hosts", set_host, COMMITTEE, "host", body=Host, response=Done, statuses=(404, 409)),
    ]  # fmt: skip
