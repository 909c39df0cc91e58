"""A site with its HTTP server: what `menwei run` runs, what the demo and tests start in their own process."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from menwei.house import Menwei
from menwei.routes import Route
from menwei.web import SOCKET_NAME, Listen, Server, application


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
) -> AsyncIterator[Serving]:
    """Open the site, start it and its server; on leaving, end both. Raises what `Menwei.open` and `Server.start` raise.

    `port` takes the place of the configured one (0: any). `offline` is for one command while no service runs: the data
    is held and the API answers on that Unix socket, but no device is connected and no door served. `wall` is the clock
    the house goes by.
    """
    house = await Menwei.open(config, wall=wall)
    try:
        settings = house.loaded.config
        assert settings is not None
        routes: list[Route] = [route for plugin in house.plugins.values() for route in plugin.routes]
        if offline is not None:
            listen = Listen(port=0, socket=offline)
        else:
            tls = settings.web.tls
            listen = Listen(
                settings.web.host,
                settings.web.port if port is None else port,
                config.parent / tls.certificate if tls else None,
                config.parent / tls.key if tls else None,
                house.data / SOCKET_NAME,
            )
        loopback = offline is not None or settings.web.on_loopback()
        server = Server(application(house, routes, loopback=loopback), listen)
        try:
            await server.start()
            if offline is None:
                await house.start()
            yield Serving(house, server)
        finally:
            await server.stop()
    finally:
        await house.stop()


async def serve(config: Path, started: Callable[[Serving], None]) -> None:
    """Run the site until SIGINT or SIGTERM; `started` is called once it serves."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with serving(config) as site:
        started(site)
        await stop.wait()
