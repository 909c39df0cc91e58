"""What one HTTP route is: the single source of its check, its answer and its line in the OpenAPI description.

The core's own API (`api_*.py`) and every plugin's pages are lists of `Route`. `web.py` mounts them: it finds out who
calls, refuses whom the route does not name, validates what came in against the route's models, calls the handler and
serialises what it returns. A handler therefore sees only a `Call` that is already allowed and already well-formed.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from menwei import mistakes
from menwei.context import NotReady
from menwei.model import Actor
from menwei.waiting import ReaderBusy

if TYPE_CHECKING:
    from menwei.accounts import Session
    from menwei.plugin import Service
    from menwei.services import House
    from menwei.streams import Streams

S = TypeVar("S", bound="Service")
T = TypeVar("T")

LOOK_EVERY = 0.3
"""Seconds between two looks whether whoever asked still waits."""
ASK_AGAIN = 5.0
"""Seconds between two looks whether whoever follows a stream may still: what a stream in which nothing happens lives on
after a sign-out."""


class Role(StrEnum):
    """What somebody may do. "operator" is whoever runs the machine (the Unix socket): no account has it."""

    COMMITTEE = "committee"
    GUARD = "guard"
    REGISTRAR = "registrar"
    LANDLORD = "landlord"
    TENANT = "tenant"
    INSTALLER = "installer"
    AUDITOR = "auditor"
    OPERATOR = "operator"


class Kind(StrEnum):
    """How somebody is known: by a session after signing in, by a token of a program, or as the machine's operator."""

    ACCOUNT = "account"
    TOKEN = "token"  # noqa: S105
    OPERATOR = "operator"


EVERYBODY = frozenset(Role)
"""Every role, signed in. Not the same as `Route.public`, which asks for no sign-in at all."""

ANY_KIND = frozenset(Kind)
PEOPLE_ONLY = frozenset({Kind.ACCOUNT})
NO_TOKENS = frozenset({Kind.ACCOUNT, Kind.OPERATOR})
"""For what a program must not do with a token: make accounts, make further tokens."""


STREAMS: web.AppKey[Streams] = web.AppKey("menwei-streams")
NOTICE_COOKIE = "menwei-notice"
"""A form that was refused without JavaScript: why, for the next page. Message key and values, nothing personal."""


class Model(BaseModel):
    """Base of what comes in and goes out. An unknown field is an error, not a typo that is silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
"""On a whole number, behind its limits: JSON's 1.0 is one too (JSON schema, "integer")."""

NOT_BLANK = mistakes.NOT_BLANK
"""Pattern of a text that must say something."""


class Done(Model):
    """The answer of an action that has nothing to tell but that it was done."""

    done: bool = True


class Problem(Exception):
    """A handler refuses: `status`, and `error`, which is both the code for programs and the message key for people.

    `where` names the field ("body.valid_to") where one is to blame; `values` fill the message's placeholders.
    """

    def __init__(self, status: int, error: str, where: str = "", **values: object) -> None:
        super().__init__(f"{status} {error} {where}".strip())
        self.status = status
        self.error = error
        self.where = where
        self.values = values


class ProblemBody(Model):
    """The one shape of every error: `error` is stable, `message` is for people in the caller's language."""

    error: str
    message: str
    where: str = ""


async def _nobody_to_ask() -> bool:
    """Of a call that nobody was identified for: there is nothing that could end."""
    return True


@dataclass(frozen=True, slots=True)
class Call:
    """One request that passed every check.

    `actor` is None only on public routes. `key` opens the personal fields: the manager's private key of an unlocked
    session, None for guards, tokens and the operator. `address` is the peer's, for limits on tries.
    """

    house: House
    actor: Actor | None
    session: Session | None
    language: str
    path: Mapping[str, str]
    query: Any
    body: Any
    address: str
    request: web.Request
    routes: Mapping[tuple[str, str], Route] = field(default_factory=dict)
    """Every route of the house by method and path template."""
    identity: str = ""
    """Whom limits on what somebody may ask count (`callers.Caller.identity`); names are no such thing, two may be alike."""
    still: Callable[[], Awaitable[bool]] = _nobody_to_ask
    """Asks again who calls (`callers.is_still`): False once they signed out, or account or token were taken from them.
    For work that outlasts the request; a route that waits has `unless_gone` and `brought`, one that streams `following`."""

    @property
    def key(self) -> Any:
        return self.session.unlocked if self.session is not None else None

    @property
    def who(self) -> Actor:
        """The caller, on a route that is not public."""
        if self.actor is None:
            raise Problem(HTTPStatus.UNAUTHORIZED, "web.sign_in")
        return self.actor

    def service(self, cls: type[S]) -> S:
        """The plugin's running service of this class. Raises `Problem` 503 when it could not be made."""
        try:
            return self.house.service(cls)
        except LookupError:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "web.service_away", service=cls.name) from None

    def t(self, key: str, **values: object) -> str:
        """`key` in the caller's language."""
        return self.house.messages.t(self.language, key, **values)

    def invalid(self, error: ValidationError, part: str) -> Problem:
        """The first mistake of what came in as `part` ("body", "query"), about a field by its name for people."""
        mistake = mistakes.first_mistake(error, part)
        label = f"field.{mistake.field.partition('.')[0]}"
        name = self.house.messages.find(self.language, label) or mistake.field
        return Problem(HTTPStatus.BAD_REQUEST, mistake.key, mistake.where, field=name)

    @property
    def streams(self) -> Streams:
        """The house's live streams: a route that keeps one open does so within `with call.streams.open(name):`."""
        return self.request.app[STREAMS]

    @property
    def notice(self) -> str:
        """Why the form before this page was refused, for browsers without JavaScript; empty when none was."""
        try:
            notice = json.loads(bytes.fromhex(self.request.cookies.get(NOTICE_COOKIE, "")) or b"{}")
            key, values = (
                str(notice["error"]),
                {str(name): str(value) for name, value in notice["values"].items()},
            )
            if self.house.messages.find(self.language, key) is None:
                return ""
            return self.t(key, **values)
        except (ValueError, LookupError, TypeError, AttributeError):
            return ""  # there is none, or the cookie is not ours

    async def unless_gone(self, work: Awaitable[T]) -> T:
        """What `work` waits for (a card to be touched), unless whoever asked goes away or is signed out meanwhile: then it
        is cancelled, and the next touch is a passage again. Raises `TimeoutError` and `Problem` 401 in these cases."""
        waiting = asyncio.ensure_future(work)
        try:
            while not waiting.done():
                await asyncio.wait({waiting}, timeout=LOOK_EVERY)
                if self.request.transport is None or self.request.transport.is_closing():
                    raise TimeoutError
                if not await self.still():
                    raise Problem(HTTPStatus.UNAUTHORIZED, "web.sign_in")
            return waiting.result()
        finally:
            waiting.cancel()

    async def following(self, items: AsyncIterator[T]) -> AsyncGenerator[T]:
        """`items`, for as long as whoever asked is let in: nothing that comes after a sign-out is handed on."""
        while True:
            coming = asyncio.ensure_future(anext(items))
            try:
                while not coming.done():
                    await asyncio.wait({coming}, timeout=ASK_AGAIN)
                    if not await self.still():
                        return
                item = coming.result()
            except StopAsyncIteration:
                return
            finally:
                coming.cancel()
            yield item

    async def brought(self, capture: Callable[[], Awaitable[T]], nothing: str = "web.no_card") -> T:
        """The card or document that is brought to `body.reader` for whoever asked (`unless_gone`). Every way in which none
        comes is a `Problem`; `nothing` is the one of nobody having brought any in time."""
        try:
            return await self.unless_gone(capture())
        except KeyError:
            raise Problem(HTTPStatus.NOT_FOUND, "web.no_reader", "body.reader") from None
        except TimeoutError:
            raise Problem(HTTPStatus.CONFLICT, nothing) from None
        except NotReady:
            raise Problem(HTTPStatus.CONFLICT, "web.reader_away", "body.reader") from None
        except ReaderBusy:
            raise Problem(HTTPStatus.CONFLICT, "web.reader_busy", "body.reader") from None

    async def ask(
        self,
        method: str,
        template: str,
        *,
        path: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """What another route would answer this caller: how pages get their data, under the same checks as anybody.

        Raises `Problem` as that route does, 403 when the caller may not use it; `KeyError` for a route nobody has.
        """
        route = self.routes[method, template]
        if not route.admits(self.actor):
            raise Problem(HTTPStatus.FORBIDDEN, "web.not_your_role")
        try:
            asked = route.query.model_validate(query or {}) if route.query is not None else None
        except ValidationError as error:
            raise self.invalid(error, "query") from None
        try:
            sent = route.body.model_validate(body or {}) if route.body is not None else None
        except ValidationError as error:
            raise self.invalid(error, "body") from None
        return await route.handler(replace(self, path=path or {}, query=asked, body=sent))


@dataclass(frozen=True, slots=True)
class Html:
    """A page. `text` comes out of an autoescaping template, never out of joined strings."""

    text: str
    status: int = 200


@dataclass(frozen=True, slots=True)
class See:
    """Go and look at another page of this house (303). `language` is kept for the pages that follow."""

    location: str
    language: str | None = None


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The answer of signing in: the session whose token becomes the cookie, and what the caller is told."""

    session: Session
    answer: BaseModel


@dataclass(frozen=True, slots=True)
class SignedOut:
    """The answer of signing out: the cookie is taken back."""

    answer: BaseModel


Answer = BaseModel | Html | See | SignedIn | SignedOut | web.StreamResponse
Handler = Callable[[Call], Awaitable[Answer]]
ShowProblem = Callable[[Call, Problem], Awaitable[Html | See]]

_PARAMETER = re.compile(r"{(\w+)(?::[^{}]*(?:{[^{}]*}[^{}]*)*)?}")


@dataclass(frozen=True, slots=True)
class Route:
    """One method on one path.

    `roles` and `kinds` say who may call; `public` asks for no sign-in. `summary` is a message key. `body` and `query`
    are the models of what comes in, `response` of what goes out as JSON; a page (`page=True`) answers HTML, stands in
    no OpenAPI description, and shows a refusal through `problem` instead of as JSON. `statuses` are refusals beyond
    the usual ones. `media` describes an answer that is not JSON (a stream, a file).
    """

    method: str
    path: str
    handler: Handler
    roles: frozenset[Role] = frozenset()
    kinds: frozenset[Kind] = ANY_KIND
    public: bool = False
    summary: str = ""
    tags: tuple[str, ...] = ()
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    response: type[BaseModel] | None = None
    media: str = "application/json"
    statuses: tuple[int, ...] = ()
    destructive: bool = False
    page: bool = False
    problem: ShowProblem | None = None
    menu: tuple[str, str] | None = None
    """A page that belongs into the navigation: message key and the name of an icon."""

    def __post_init__(self) -> None:
        if self.public == bool(self.roles):
            raise ValueError(f"{self.method} {self.path}: a route is either public or names its roles")
        if not self.path.startswith("/"):
            raise ValueError(f"{self.method} {self.path}: a path starts with /")

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the path's parameters, in order."""
        return tuple(_PARAMETER.findall(self.path))

    @property
    def template(self) -> str:
        """The path as OpenAPI writes it: `{door}` without aiohttp's pattern."""
        return _PARAMETER.sub(r"{\1}", self.path)

    @property
    def changes(self) -> bool:
        return self.method not in {"GET", "HEAD", "OPTIONS"}

    def admits(self, actor: Actor | None) -> bool:
        """Whether this caller may use the route. Names that are no role or kind are nobody."""
        if self.public:
            return True
        return actor is not None and actor.role in self.roles and actor.kind in self.kinds


def number(text: str, where: str) -> int:
    """A path parameter that is a row's number. Raises `Problem` 404: what is no number names nothing."""
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise Problem(HTTPStatus.NOT_FOUND, "web.not_found", where)
    return int(text)
