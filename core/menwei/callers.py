"""Who calls: a person by the session cookie, a program by a token, the machine's operator by the Unix socket.

Also here, because they belong to the same question: whether a request that changes something really comes from our
own pages (Origin, CSRF token), and how often somebody may try (`Limit`).
"""

from __future__ import annotations

import hmac
import os
import socket
import struct
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from aiohttp import web

from menwei.accounts import Accounts, Session
from menwei.loopback import is_loopback
from menwei.model import Actor
from menwei.routes import Kind, Problem, Role

SECURE_COOKIE = "__Host-menwei"
PLAIN_COOKIE = "menwei"
"""Browsers take a `__Host-` cookie over TLS only; on loopback without TLS the plain name serves."""
CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "_csrf"

_UCRED = struct.Struct("3i")
"""Linux `struct ucred`: process, user, group (socket(7), SO_PEERCRED)."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The answer to "who calls": nobody when `actor` is None. `by_cookie`: a browser may have been tricked into it.
    `scope`: a token's narrowing to routes with one of these tags, empty for none."""

    actor: Actor | None = None
    session: Session | None = None
    by_cookie: bool = False
    scope: frozenset[str] = frozenset()
    identity: str = ""
    """Whom limits count: one account with all the tokens it made, or one token of nobody's, whatever others are called."""


NOBODY = Caller()


def cookie_name(request: web.Request) -> str:
    return SECURE_COOKIE if request.secure else PLAIN_COOKIE


async def identify(request: web.Request, accounts: Accounts, *, used: bool = True) -> Caller:
    """Finds out who calls. A credential that was shown and is not valid makes nobody, never somebody lesser. `used`: the
    session is in use by this, and lives on."""
    authorization = request.headers.get("Authorization", "")
    if authorization:
        scheme, _, secret = authorization.partition(" ")
        token = await accounts.tokens.find(secret.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            return NOBODY
        identity = f"token {token.id}" if token.made_by is None else _account(token.made_by)
        return Caller(token.actor, scope=token.scope, identity=identity)
    if secret := request.cookies.get(cookie_name(request), ""):
        session = await accounts.session(secret, used=used)
        if session is None:
            return NOBODY
        account = session.account
        return Caller(account.actor, session, by_cookie=True, identity=_account(account.id))
    if is_operator(request):
        return Caller(Actor("operator", Role.OPERATOR, Kind.OPERATOR), identity="operator")
    return NOBODY


def _account(number: int) -> str:
    return f"account {number}"


async def is_still(request: web.Request, accounts: Accounts, actor: Actor | None) -> bool:
    """Whether `actor`, whose request this is, would still be let in with it. Asking is no use of a session: an open page
    alone would keep it for ever. The machine's operator has nothing that could be taken back, and may have hung up."""
    if actor is not None and actor.kind == Kind.OPERATOR:
        return True
    return (await identify(request, accounts, used=False)).actor == actor


def is_operator(request: web.Request) -> bool:
    """Whether the caller sits at the Unix socket as root or as the user this program runs as."""
    transport = request.transport
    peer = transport.get_extra_info("socket") if transport is not None else None
    if peer is None or peer.family != socket.AF_UNIX:
        return False
    return peer_uid(peer) in {0, os.geteuid()}


def peer_uid(peer: socket.socket) -> int:
    """The user at the other end of a Unix socket, as the kernel knows it (socket(7), SO_PEERCRED)."""
    _pid, uid, _gid = _UCRED.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return int(uid)


def address(request: web.Request) -> str:
    """The peer's address, for limits; no header is believed, since no proxy is known."""
    return request.remote or "local"


def require_own_host(request: web.Request, *, loopback: bool) -> None:
    """Refuses a name that is not ours on loopback: a page of elsewhere whose name was pointed at this machine (DNS
    rebinding) would otherwise be of our own origin."""
    if loopback and not is_unix(request) and not is_loopback(_asked_host(request)):
        raise Problem(HTTPStatus.BAD_REQUEST, "web.host")


def _asked_host(request: web.Request) -> str:
    """The Host header without its port; empty where it is none."""
    try:
        return urlsplit(f"//{request.host}").hostname or ""
    except ValueError:
        return ""


def is_unix(request: web.Request) -> bool:
    peer = request.transport.get_extra_info("socket") if request.transport is not None else None
    return peer is not None and peer.family == socket.AF_UNIX


def require_own_origin(request: web.Request) -> None:
    """A change that a browser sends must come from our own pages (OWASP CSRF: verifying origin with standard headers).

    Raises `Problem` 403. A request without Origin and Sec-Fetch-Site is no browser's: tokens and scripts.
    """
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"{request.scheme}://{request.host}":
        raise Problem(HTTPStatus.FORBIDDEN, "web.origin")
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}:
        raise Problem(HTTPStatus.FORBIDDEN, "web.origin")


def require_csrf(session: Session, shown: str) -> None:
    """The page that sent this must have been given to this session. Raises `Problem` 403."""
    if not hmac.compare_digest(session.csrf.encode(), shown.encode()):
        raise Problem(HTTPStatus.FORBIDDEN, "web.csrf")


class Limit:
    """At most `times` in `seconds` for each caller, as a leaky bucket. `clock` is the monotonic one.

    Remembers a bounded number of callers; the longest unseen is forgotten first.
    """

    REMEMBERED = 4096

    def __init__(self, times: int, seconds: float, clock: Callable[[], float]) -> None:
        self._times = times
        self._rate = times / seconds
        self._clock = clock
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, who: str) -> None:
        """Counts one try. Raises `Problem` 429 with the seconds to wait when it was one too many."""
        now = self._clock()
        level, since = self._levels.pop(who, (0.0, now))
        level = max(0.0, level - (now - since) * self._rate)
        allowed = level + 1 <= self._times
        self._levels[who] = (level + 1 if allowed else level, now)
        if len(self._levels) > self.REMEMBERED:
            self._levels.popitem(last=False)
        if not allowed:
            wait = (level + 1 - self._times) / self._rate
            raise Problem(HTTPStatus.TOO_MANY_REQUESTS, "web.too_many", seconds=int(wait) + 1)
