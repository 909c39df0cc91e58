"""A site with its HTTP server: what `menwei run` runs, what the demo and tests start in their own process."""

from __future__ import annotations

import asyncio
import gc
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from menwei import certificate
from menwei.accounts import keep
from menwei.house import Menwei
from menwei.journal_place import Standing
from menwei.routecheck import checked
from menwei.routes import Route
from menwei.settings import Web
from menwei.shortage import Shortage
from menwei.web import SOCKET_NAME, Listen, Server, application, core_paths

log = structlog.get_logger(__name__)

GARBAGE = (10_000, 20, 50)
"""For `gc.set_threshold`. Python's own (700, 10, 10) is for programs of any kind; with 64 people at their doors at once it
took a tenth of the processor time."""


@dataclass(frozen=True, slots=True)
class Serving:
    """A running site and where it is reached."""

    house: Menwei
    server: Server


@asynccontextmanager
async def serving(
    config: Path,
    *,
    port: int | None = None,
    offline: Path | None = None,
    wall: Callable[[], float] = time.time,
    tell: Callable[[str], None] = keep,
) -> AsyncIterator[Serving]:
    """Open the site, start it and its server; on leaving, end both. Raises what `Menwei.open` and `Server.start` raise.

    `port` takes the place of the configured one (0: any). `offline` is for one command while no service runs: the data
    is held and the API answers on that Unix socket, but no device is connected and no door served. `wall` is the clock
    the house goes by. `tell` shows somebody the first password; without it the house keeps it as `first_password`.
    """
    house = await Menwei.open(config, wall=wall, tell=tell)
    async with _ended(house):
        settings = house.loaded.config
        assert settings is not None
        house.plugins = checked(house.plugins, core_paths())
        routes: list[Route] = [route for plugin in house.plugins.values() for route in plugin.routes]
        if offline is not None:
            listen = Listen(port=0, socket=offline)
        else:
            listen = _listen(house, settings.web, settings.web.port if port is None else port)
        server = Server(application(house, routes, loopback=listen.on_loopback), listen)
        try:
            await server.start()
            if offline is None:
                house.socket = Standing(house.data / SOCKET_NAME)
                await house.start()
            yield Serving(house, server)
        finally:
            await server.stop()


@asynccontextmanager
async def _ended(house: Menwei) -> AsyncIterator[None]:
    """End the house afterwards. What fails then is logged when something failed before: that is what a person must see."""
    try:
        yield
    except BaseException:
        try:
            await house.stop()
        except Exception as second:
            log.error("ending the site failed too", error=f"{type(second).__name__}: {second}")
        raise
    await house.stop()


def _listen(house: Menwei, settings: Web, port: int) -> Listen:
    """Where to listen. With a certificate that cannot be used the doors are served all the same, and the console to
    this machine alone: a renewal that went wrong must not lock a house out after the next power cut."""
    socket = house.data / SOCKET_NAME
    if settings.tls is None:
        return Listen(settings.host, port, socket=socket)
    files = settings.tls.files(house.path.parent)
    try:
        certificate.context(*files)
    except certificate.CertificateTrouble as trouble:
        house.web_trouble = trouble
        log.error("the console is served to this machine only", why=str(trouble))
        return Listen(port=port, socket=socket)
    return Listen(settings.host, port, *files, socket)


def settle() -> None:
    """Called once by a program that serves, when all is up: what was made until now, the rights above all, stays as long
    as the program, so it is not walked through in search of garbage while somebody stands at a door (with 100,000
    credentials one full search held every door for 130 to 200 ms). Younger garbage is looked for less often."""
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    gc.enable()


async def serve(config: Path, started: Callable[[Serving], None], tell: Callable[[str], None]) -> None:
    """Run the site until SIGINT, SIGTERM or SIGHUP; `started` is called once it serves, `tell` with the first password before
    anything that could fail."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(Shortage())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the last: a terminal was closed
        loop.add_signal_handler(number, stop.set)
    # A start leaves no hundred objects to collect, and looking for them among 100,000 credentials, again and again as they
    # come, took half of the time to load them.
    gc.disable()
    try:
        async with serving(config, tell=tell) as site:
            started(site)
            settle()
            await stop.wait()
    finally:
        gc.enable()
