"""The HTTP server of the house: one aiohttp application for the API and every plugin's pages, on TCP and a Unix socket.

Without TLS it listens on loopback only; that is checked here once more, whatever the config said. The Unix socket in
the data folder is how `menwei …` on the same machine speaks to the running program: mode 0600, the operator's role.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import stat
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import orjson
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from menwei import callers, certificate
from menwei.api import core_routes
from menwei.clock import TrustedClock
from menwei.endpoint import Endpoint, language_of, problem_response
from menwei.loopback import is_loopback
from menwei.metrics import Metrics
from menwei.openapi import describe
from menwei.problems import Unusable
from menwei.routes import STREAMS, Call, Problem, Route
from menwei.services import House
from menwei.socketpath import short
from menwei.streams import Streams

log = structlog.get_logger(__name__)

BODY_LIMIT = 1024 * 1024
"""Bytes. Nothing a person or a program sends here is longer; imports have their own, streamed way."""
SHUTDOWN_PATIENCE = 2.0
"""Seconds for running requests at the end; live streams are ended at once, browsers come back by themselves."""
IDLE = 10.0
"""Seconds a connection may say nothing, before its first request or after an answer: each takes a file descriptor, and
the controllers at the doors need some too. Browsers come back by themselves."""
SOCKET_NAME = "menwei.sock"

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
        "manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # not no-referrer: that makes browsers send "Origin: null" with our own forms
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Server": "menwei",
}
HSTS = "max-age=31536000"


class NotLoopback(Unusable, ValueError):
    """The config asks to serve others than this machine without TLS. The text says what to do."""


class CannotListen(Exception):
    """The address that the config names cannot be had; `taken`: somebody else has it, else `why`."""

    def __init__(self, listen: Listen, error: OSError) -> None:
        self.host, self.port, self.taken = listen.host, listen.port, error.errno == errno.EADDRINUSE
        self.why = os.strerror(error.errno) if error.errno else str(error)
        super().__init__(f"{listen.host} port {listen.port}: {self.why}")


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen. `port` 0 takes a free one. `socket` is the Unix socket's path, None for none."""

    host: str = "127.0.0.1"
    port: int = 8460
    certificate: Path | None = None
    key: Path | None = None
    socket: Path | None = None

    @property
    def tls(self) -> bool:
        return self.certificate is not None

    @property
    def on_loopback(self) -> bool:
        """Whether this machine alone is served, by loopback names only: what `application` is told."""
        return is_loopback(self.host)


def require_loopback(listen: Listen) -> None:
    """Raises `NotLoopback` when passwords would cross a network in clear."""
    if listen.tls or listen.on_loopback:
        return
    raise NotLoopback("web.in_clear", host=listen.host)


def core_paths() -> frozenset[tuple[str, str]]:
    """Method and template of every route of the core's own: what no plugin can have."""
    made = core_routes(TrustedClock(), Streams())
    others = ("/api/health", "/metrics", "/api/openapi.json")
    return frozenset((route.method, route.template) for route in made) | {("GET", path) for path in others}


def application(
    house: House, routes: Iterable[Route] = (), *, loopback: bool = True, metrics: Metrics | None = None
) -> web.Application:
    """The application with the core's API and `routes`, the plugins' own. Also what tests are run against.

    `loopback`: where it is served is loopback (`Listen.on_loopback`), so a request for any other name is refused.
    A plugin's route on a path and method that is already taken is a `ValueError`: nobody replaces another's route.
    """
    metrics = metrics or Metrics(house)
    streams = Streams()
    every = [*core_routes(house.clock, streams), *metrics.routes()]
    every.extend(routes)
    every.append(_description_route(every))
    app = web.Application(client_max_size=BODY_LIMIT, middlewares=[metrics.count, _plain_errors(house)])
    app.on_response_prepare.append(_add_headers)
    app[STREAMS] = streams

    async def end_streams(_app: web.Application) -> None:
        await streams.end(SHUTDOWN_PATIENCE)

    app.on_shutdown.append(end_streams)
    known: dict[tuple[str, str], Route] = {}
    for route in sorted(
        every, key=lambda route: (".*" in route.path, "{" in route.path)
    ):  # fixed paths first, catch-alls last
        if (name := (route.method, route.template)) in known:
            raise ValueError(f"{route.method} {route.path} is registered twice")
        known[name] = route
        app.router.add_route(route.method, route.path, Endpoint(route, house, loopback, known).serve)
    return app


def _description_route(routes: list[Route]) -> Route:
    made: dict[str, bytes] = {}

    async def answer(call: Call) -> web.StreamResponse:
        if call.language not in made:  # in a thread: pydantic takes a tenth of a second for it
            title = f"Menwei 门卫 · {call.house.site.name}"
            made[call.language] = orjson.dumps(await asyncio.to_thread(describe, routes, title, call.t))
        return web.Response(body=made[call.language], content_type="application/json")

    return Route("GET", "/api/openapi.json", answer, public=True, page=True)


def _plain_errors(house: House) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        language = language_of(request, house.site.language)
        call = Call(house, None, None, language, {}, None, None, callers.address(request), request)
        try:
            return await handler(request)
        except web.HTTPMethodNotAllowed as error:
            return problem_response(
                call, Problem(error.status, "web.method"), {"Allow": error.headers["Allow"]}
            )
        except web.HTTPNotFound as error:
            return problem_response(call, Problem(error.status, "web.not_found"))
        except web.HTTPException as error:
            return problem_response(call, Problem(error.status, "web.refused"))
        except Exception as error:
            # Where, but not what: a query, a body, a local variable or an error's own text may hold a name.
            frames = "".join(traceback.format_tb(error.__traceback__))
            facts = {"method": request.method, "route": _template(request), "error": type(error).__name__}
            log.error("a request failed", trace=frames, **facts)
            return problem_response(call, Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "web.failed"))

    return middleware


def _template(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = HEADERS["Server"]
    response.headers.setdefault("Cache-Control", "no-store")
    if request.secure:
        response.headers.setdefault("Strict-Transport-Security", HSTS)


class Server:
    """Serves one application. `start` raises `OSError` for a taken port, the constructor `NotLoopback` or
    `CertificateTrouble`; `stop` always ends it."""

    def __init__(self, app: web.Application, listen: Listen) -> None:
        require_loopback(listen)
        self._tls = _tls(listen)
        self._listen = listen
        self._runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=SHUTDOWN_PATIENCE,
            handle_signals=False,
            keepalive_timeout=IDLE,
        )
        self.port = 0

    @property
    def url(self) -> str:
        host = f"[{self._listen.host}]" if ":" in self._listen.host else self._listen.host
        return f"{'https' if self._listen.tls else 'http'}://{host}:{self.port}"

    async def start(self) -> None:
        """Raises `CannotListen`; `OSError` for the Unix socket."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._listen.host, self._listen.port, ssl_context=self._tls)
        try:
            await site.start()
        except OSError as error:
            raise CannotListen(self._listen, error) from error
        self.port = self._runner.addresses[0][1]
        if self._listen.socket is not None:
            await web.SockSite(self._runner, _unix_socket(self._listen.socket)).start()

    async def stop(self) -> None:
        await self._runner.cleanup()
        if self._listen.socket is not None:
            self._listen.socket.unlink(missing_ok=True)


def _tls(listen: Listen) -> ssl.SSLContext | None:
    if listen.certificate is None:
        return None
    return certificate.context(listen.certificate, listen.key or listen.certificate)


def _unix_socket(path: Path) -> socket.socket:
    """A bound socket that nobody else could open at any moment. One left behind by a kill is replaced: the data
    folder's lock makes sure that no other program of ours serves it."""
    if path.is_symlink() or path.exists():
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(f"{path} is in the way: it is no socket")
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        with short(path) as address:
            listener.bind(address)
    finally:
        os.umask(before)
    return listener
