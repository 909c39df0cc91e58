"""The screens' HTTP API: tablets begin, look and type with a token of their own; the installer pairs and revokes.

A tablet's token lies in a cookie that scripts cannot read. It opens the three routes here and nothing else: it is no
token of the API, and an account's session is no tablet.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp_sse import EventSourceResponse

from menwei import AccessPoint
from menwei.routes import Call, Done, Problem, Role, Route
from menwei_screen.models import Begun, Pair, Paired, Revoke, ScreenList, ScreenOut, Typed
from menwei_screen.service import ScreenError, Screens, View, digest_of
from menwei_screen.words import state

BASE = "/api/screens"
INSTALLERS = frozenset({Role.COMMITTEE, Role.INSTALLER, Role.OPERATOR})
SECURE_COOKIE = "__Host-menwei-screen"
PLAIN_COOKIE = "menwei-screen"
"""As for sessions: browsers take a `__Host-` cookie over TLS only; on loopback without TLS the plain name serves."""
COOKIE_LIFE = 400 * 86_400
"""Seconds: the longest that browsers keep a cookie (RFC 6265bis, 5.5). Every start of the page begins it anew."""
SEND = 8.0
"""Seconds a tablet may take no byte until it is given up."""
SLOW = 30
"""Seconds after which a screen on which was typed too often may try again (Retry-After)."""
RETRY = 1000
"""Milliseconds after which the tablet's browser connects again."""


async def screens_of(call: Call) -> Screens:
    screens = call.service(Screens)
    await screens.load()
    return screens


def token_of(call: Call) -> str:
    return call.request.cookies.get(SECURE_COOKIE if call.request.secure else PLAIN_COOKIE, "")


def refused(error: ScreenError) -> Problem:
    if error.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Problem(error.status, error.says, seconds=SLOW)
    return Problem(error.status, error.says, **error.values)


# ---------------------------------------------------------------------------------------------------------- the tablets


async def begin(call: Call) -> web.StreamResponse:
    """The page started: the tablet goes on as what it is, or is given a token and shows a code."""
    screens, token = await screens_of(call), token_of(call)
    if not (token and screens.knows(digest_of(token))):
        try:
            token = screens.begin(call.address)
        except ScreenError as error:
            raise refused(error) from None
    begun = Begun(paired=screens.screen_of(digest_of(token)) is not None)
    response = web.Response(body=begun.model_dump_json().encode(), content_type="application/json")
    secure = call.request.secure
    response.set_cookie(
        SECURE_COOKIE if secure else PLAIN_COOKIE, token, max_age=COOKIE_LIFE, path="/", httponly=True,
        samesite="Strict", secure=secure,
    )  # fmt: skip
    return response


async def events(call: Call) -> web.StreamResponse:
    """What the screen shows: `state` with everything, at the start and at every change; `beat` in between; `gone` when
    the tablet is a screen no more, `elsewhere` when a tablet that waits to be paired has opened a newer stream.

    A `state` is whole and says how many seconds its result still has, so that a tablet which comes back sees what is
    true now, never what it missed; by the event's id it knows what it has already said aloud.
    """
    screens, digest = await screens_of(call), digest_of(token_of(call))
    if not screens.knows(digest):
        raise Problem(HTTPStatus.UNAUTHORIZED, "screen.unknown_tablet")
    device = screens.screen_of(digest)
    with call.streams.open(f"screen {device or digest.hex()}"):  # no stranger uses up what others wait with
        response = EventSourceResponse(send_timeout=SEND)
        await response.prepare(call.request)
        async with response:
            try:
                await response.send("", event="beat", retry=RETRY)
                async for view in screens.follow(digest):
                    if view is None:
                        await response.send("", event="beat")
                    else:
                        text = json.dumps(state(view, call.house.messages, _door(call, view)))
                        await response.send(text, event="state", id=view.id)
                await response.send("", event="elsewhere" if screens.knows(digest) else "gone")
            except (ConnectionResetError, TimeoutError):
                pass  # the tablet went away; it comes back by itself
        return response


async def digits(call: Call) -> Done:
    screens, digest = await screens_of(call), digest_of(token_of(call))
    if not screens.knows(digest):
        raise Problem(HTTPStatus.UNAUTHORIZED, "screen.unknown_tablet")
    try:
        screens.type(digest, call.body.digits)
    except ScreenError as error:
        raise refused(error) from None
    return Done()


def _door(call: Call, view: View) -> str:
    return call.house.doors.view(view.point.door).name if view.point is not None else ""


# -------------------------------------------------------------------------------------------------------- the installer


async def list_screens(call: Call) -> ScreenList:
    screens = await screens_of(call)
    return ScreenList(screens=tuple(_out(call, screens, device) for device in screens.devices))


def _out(call: Call, screens: Screens, device: str) -> ScreenOut:
    point, settings, paired = (
        screens.access_point(device),
        screens.settings(device),
        screens.paired_at(device),
    )
    return ScreenOut(
        id=device,
        access_point=point.id if point is not None else None,
        place=_place(call, point) if point is not None else "",
        served=settings is not None,
        keypad=settings is not None and settings.keypad,
        paired=datetime.fromtimestamp(paired, UTC) if paired is not None else None,
        connected=screens.is_connected(device),
    )


def _place(call: Call, point: AccessPoint) -> str:
    name = call.house.doors.view(point.door).name
    return name if point.name in ("", name) else call.t("entry.place", door=name, point=point.name)


async def pair(call: Call) -> Paired:
    screens = await screens_of(call)
    try:
        device = await screens.pair(call.body.screen, call.body.code)
    except ScreenError as error:
        where = "body.code" if error.says == "screen.no_such_code" else "body.screen"
        raise Problem(error.status, error.says, where, **error.values) from None
    return await _told(call, screens, "pair", device)


async def revoke(call: Call) -> Paired:
    screens = await screens_of(call)
    try:
        device = await screens.revoke(call.body.screen)
    except ScreenError as error:
        raise Problem(error.status, error.says, "body.screen", **error.values) from None
    return await _told(call, screens, "revoke", device)


async def _told(call: Call, screens: Screens, action: str, device: str) -> Paired:
    point = screens.access_point(device)
    where = point.id if point is not None else None
    await screens.context.facts.audit(call.who, action, {"screen": device, "access_point": where or ""})
    return Paired(screen=device, access_point=where)


# --------------------------------------------------------------------------------------------------------------- routes


def routes() -> list[Route]:
    """Every route of the screens' API."""

    def route(method: str, path: str, handler: Any, summary: str, **more: Any) -> Route:
        return Route(method, BASE + path, handler, summary=f"screen.api.{summary}", tags=("screens",), **more)

    return [
        route("POST", "/begin", begin, "begin", public=True, response=Begun, statuses=(429,)),
        route(
            "GET", "/events", events, "events", public=True, media="text/event-stream", statuses=(401, 429)
        ),
        route(
            "POST", "/digits", digits, "digits", public=True, body=Typed, response=Done, statuses=(401, 403, 429)
        ),
        route("GET", "", list_screens, "list", roles=INSTALLERS, response=ScreenList),
        route(
            "POST", "/pair", pair, "pair", roles=INSTALLERS, body=Pair, response=Paired, statuses=(404, 409)
        ),
        route(
            "POST", "/revoke", revoke, "revoke", roles=INSTALLERS, body=Revoke, response=Paired,
            statuses=(404, 409), destructive=True,
        ),
    ]  # fmt: skip
