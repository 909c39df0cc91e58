"""One route on the wire: request → who calls → may they → is it well-formed → handler → answer.

The order is the point: nothing of a body is read before the caller is allowed, and nothing is handled before it
validated. What goes wrong on the way is one JSON shape for programs, a page for people.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, get_origin
from urllib.parse import parse_qsl, urlsplit

import structlog
from aiohttp import web
from multidict import MultiDict
from pydantic import BaseModel, ValidationError

from menwei import callers
from menwei.disk import unwritable
from menwei.messages import LANGUAGES, negotiate
from menwei.routes import (
    NOTICE_COOKIE,
    Answer,
    Call,
    Html,
    Problem,
    ProblemBody,
    Route,
    See,
    SignedIn,
    SignedOut,
)

if TYPE_CHECKING:
    from menwei.services import House

log = structlog.get_logger(__name__)

LANGUAGE_COOKIE = "menwei-language"
YEAR = 365 * 86_400
NEXT_FIELD = "_next"
MOST_FIELDS = 1000
"""In one form; the largest of ours has a few dozen."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route as the application serves it. `loopback`: the server is reached on this machine, by loopback names, only."""

    route: Route
    house: House
    loopback: bool
    routes: Mapping[tuple[str, str], Route]

    async def serve(self, request: web.Request) -> web.StreamResponse:
        language = language_of(request, self.house.site.language)
        call = Call(
            self.house,
            None,
            None,
            language,
            request.match_info,
            None,
            None,
            callers.address(request),
            request,
            self.routes,
        )
        try:
            callers.require_own_host(request, loopback=self.loopback)
            call = await self._admitted(call)
            answer = await self.route.handler(call)
        except Problem as problem:
            return await self._refused(call, problem)
        except web.HTTPRequestEntityTooLarge:
            return await self._refused(call, Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "web.too_large"))
        except Exception as error:
            if not unwritable(error):
                raise
            log.error("the disk cannot be written", route=self.route.path, error=type(error).__name__)
            return await self._refused(call, Problem(HTTPStatus.INSUFFICIENT_STORAGE, "web.disk_full"))
        return self._answered(request, answer)

    async def _admitted(self, call: Call) -> Call:
        """The call with its caller and its validated input. Raises `Problem`."""
        request, route = call.request, self.route
        caller = await callers.identify(request, self.house.accounts)
        still = partial(callers.is_still, request, self.house.accounts, caller.actor)
        call = replace(
            call, actor=caller.actor, session=caller.session, identity=caller.identity, still=still
        )
        if not route.admits(caller.actor):
            if caller.actor is None:
                raise Problem(HTTPStatus.UNAUTHORIZED, "web.sign_in")
            raise Problem(HTTPStatus.FORBIDDEN, "web.not_your_role")
        if caller.scope and caller.scope.isdisjoint(route.tags):
            raise Problem(HTTPStatus.FORBIDDEN, "web.not_your_scope")
        fields: MultiDict[str] | None = None
        if route.changes:
            if caller.by_cookie or caller.actor is None:
                callers.require_own_origin(request)
            if request.content_type == "application/x-www-form-urlencoded":
                fields = _form(await request.read())
            if caller.session is not None and caller.by_cookie:
                shown = request.headers.get(callers.CSRF_HEADER, "")
                if not shown and fields is not None:
                    shown = fields.get(callers.CSRF_FIELD, "")
                callers.require_csrf(caller.session, shown)
        query = _fields(route.query, request.query, "query", call) if route.query is not None else None
        body = await self._body(call, fields) if route.body is not None else None
        return replace(call, query=query, body=body)

    async def _body(self, call: Call, fields: MultiDict[str] | None) -> BaseModel:
        model = self.route.body
        assert model is not None
        if fields is not None:
            return _fields(model, fields, "body", call)
        raw = await call.request.read()
        if raw and call.request.content_type != "application/json":
            raise Problem(HTTPStatus.BAD_REQUEST, "web.content_type")
        try:
            return model.model_validate_json(raw or b"{}", strict=True)
        except ValidationError as error:
            raise call.invalid(error, "body") from None  # the cause would carry what was typed, and names

    def _answered(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        if isinstance(answer, web.StreamResponse):
            return answer
        if isinstance(answer, Html):
            page = web.Response(
                text=answer.text, status=answer.status, content_type="text/html", charset="utf-8"
            )
            if NOTICE_COOKIE in request.cookies:  # shown once
                page.del_cookie(NOTICE_COOKIE, path="/")
            return page
        if isinstance(answer, See):
            response = _see(answer.location)
            if answer.language is not None:
                response.set_cookie(
                    LANGUAGE_COOKIE,
                    answer.language,
                    max_age=YEAR,
                    path="/",
                    httponly=True,
                    samesite="Strict",
                    secure=request.secure,
                )
            return response
        body = answer.answer if isinstance(answer, SignedIn | SignedOut) else answer
        if _is_form(request):
            response = _see(next_of(request, body))
        else:
            response = web.Response(body=body.model_dump_json().encode(), content_type="application/json")
        if isinstance(answer, SignedIn):
            response.set_cookie(
                callers.cookie_name(request),
                answer.session.token,
                path="/",
                secure=request.secure,
                httponly=True,
                samesite="Strict",
            )
        elif isinstance(answer, SignedOut):
            response.del_cookie(
                callers.cookie_name(request),
                path="/",
                secure=request.secure,
                httponly=True,
                samesite="Strict",
            )
        return response

    async def _refused(self, call: Call, problem: Problem) -> web.StreamResponse:
        headers = (
            {"Retry-After": str(problem.values["seconds"])}
            if problem.status == HTTPStatus.TOO_MANY_REQUESTS
            else {}
        )
        if self.route.page and self.route.problem is not None:
            return self._answered(call.request, await self.route.problem(call, problem))
        if _is_form(call.request):
            return refused_form(call, problem)
        return problem_response(call, problem, headers)


def problem_response(call: Call, problem: Problem, headers: Mapping[str, str] | None = None) -> web.Response:
    """A refusal as JSON, in the caller's language."""
    body = ProblemBody(
        error=problem.error, message=call.t(problem.error, **problem.values), where=problem.where
    )
    return web.Response(
        body=body.model_dump_json().encode(),
        status=problem.status,
        content_type="application/json",
        headers=dict(headers or {}),
    )


def refused_form(call: Call, problem: Problem) -> web.Response:
    """Back to the page the form came from, which shows the notice. Only for browsers without JavaScript."""
    back = urlsplit(call.request.headers.get("Referer", ""))
    location = (
        back.path + (f"?{back.query}" if back.query else "") if back.netloc == call.request.host else "/"
    )
    response = _see(location)
    notice = {
        "error": problem.error,
        "where": problem.where,
        "values": {name: str(value) for name, value in problem.values.items()},
    }
    response.set_cookie(
        NOTICE_COOKIE,
        json.dumps(notice).encode().hex(),
        max_age=60,
        path="/",
        httponly=True,
        samesite="Strict",
        secure=call.request.secure,
    )
    return response


def language_of(request: web.Request, otherwise: str) -> str:
    """The caller's language: chosen on a page, else what the browser prefers, else the site's."""
    if (chosen := request.cookies.get(LANGUAGE_COOKIE)) in LANGUAGES:
        return str(chosen)
    first = request.headers.get("Accept-Language", "").split(",")[0].split(";")[0].strip()
    return negotiate(first) if first not in {"", "*"} else negotiate(otherwise)


def next_of(request: web.Request, answer: BaseModel) -> str:
    """Where a form wants to go afterwards: a path of this house, or its start page. `{id}` in it is the answer's."""
    wanted = request.query.get(NEXT_FIELD, "/").replace("{id}", str(getattr(answer, "id", "")))
    return wanted if is_local(wanted) else "/"


def is_local(location: str) -> bool:
    """Whether `location` is a path of this house; `//elsewhere` and `/\\elsewhere` are not (browsers leave)."""
    return location.startswith("/") and not location.startswith(("//", "/\\")) and location.isprintable()


def _see(location: str) -> web.Response:
    return web.Response(
        status=HTTPStatus.SEE_OTHER, headers={"Location": location if is_local(location) else "/"}
    )


def _is_form(request: web.Request) -> bool:
    """A page's form sent by the browser itself, not by our module: it is answered with the next page."""
    return request.content_type == "application/x-www-form-urlencoded" and "text/html" in request.headers.get(
        "Accept", ""
    )


def _form(raw: bytes) -> MultiDict[str]:
    """The fields of a form. Raises `Problem` for more than any of ours has."""
    try:
        return MultiDict(
            parse_qsl(raw.decode(errors="replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
        )
    except ValueError:
        raise Problem(HTTPStatus.BAD_REQUEST, "web.refused") from None


def _fields(model: type[BaseModel], fields: Any, part: str, call: Call) -> BaseModel:
    """A form or query string as the model: empty fields are left out, a repeated field is a list."""
    found: dict[str, Any] = {}
    for name in fields:
        if name in found or (part == "body" and name == callers.CSRF_FIELD) or name == NEXT_FIELD:
            continue
        values = [value for value in fields.getall(name) if value != ""]
        field = model.model_fields.get(name)
        many = field is not None and get_origin(field.annotation) in {list, tuple, frozenset}
        if many or len(values) > 1:
            found[name] = values
        elif values:
            found[name] = values[0]
    try:
        return model.model_validate(found)
    except ValidationError as error:
        raise call.invalid(error, part) from None  # as above
