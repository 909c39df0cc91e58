"""Health for a watchdog, metrics for Prometheus. Doors and devices by state, requests by route: nothing about people."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Literal

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from menwei.routes import Call, Model, Role, Route
from menwei.services import House
from menwei.version import __version__

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
READERS = frozenset({Role.COMMITTEE, Role.INSTALLER, Role.OPERATOR})


class Health(Model):
    """`ok` says that the program serves; which doors are dark is in `/api/doors` and `/api/repairs`, behind a role."""

    ok: Literal[True] = True
    version: str


class Metrics:
    """The registry of one house. Other parts of the core may add their own collectors to `registry`."""

    def __init__(self, house: House, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._requests = Counter(
            "menwei_http_requests_total",
            "HTTP requests",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "menwei_http_seconds", "Time to answer, streams left out", ("route",), registry=self.registry
        )
        self._started = Gauge("menwei_start_time_seconds", "When the program started", registry=self.registry)
        self._started.set(time.time())
        self.registry.register(_House(house))

    def routes(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/api/health",
                self._health,
                public=True,
                summary="api.health",
                tags=("machine",),
                response=Health,
            ),
            Route(
                "GET",
                "/metrics",
                self._metrics,
                roles=READERS,
                summary="api.metrics",
                tags=("machine",),
                media="text/plain",
            ),
        ]

    async def _health(self, call: Call) -> Health:
        return Health(version=__version__)

    async def _metrics(self, call: Call) -> web.StreamResponse:
        return web.Response(
            body=generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    @property
    def count(self) -> Middleware:
        """The middleware that counts. Outermost, so that it sees every status."""

        @web.middleware
        async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
            start = time.monotonic()
            response = await handler(request)
            resource = request.match_info.route.resource
            route = resource.canonical if resource is not None else "unknown"
            method = (
                request.method if request.method in METHODS else "other"
            )  # a label for each invention would fill memory
            self._requests.labels(method, route, str(response.status)).inc()
            if response.content_type != "text/event-stream":
                self._seconds.labels(route).observe(time.monotonic() - start)
            return response

        return middleware


class _House(Collector):
    """Doors and devices by state, counted at the moment of asking."""

    def __init__(self, house: House) -> None:
        self._house = house

    def collect(self) -> Iterator[Metric]:
        doors = GaugeMetricFamily("menwei_doors", "Doors", labels=("mode", "state", "alarm", "online"))
        counts: dict[tuple[str, str, str, str], int] = {}
        for view in self._house.doors.views():
            labels = (str(view.mode), str(view.state), str(view.alarm), str(view.online).lower())
            counts[labels] = counts.get(labels, 0) + 1
        for labels, count in counts.items():
            doors.add_metric(labels, count)
        yield doors
        devices = GaugeMetricFamily("menwei_devices", "Devices", labels=("state",))
        states = [str(state) for state, _text in self._house.supervisor.states().values()]
        for state in sorted(set(states)):
            devices.add_metric((state,), states.count(state))
        yield devices
        yield GaugeMetricFamily(
            "menwei_repairs", "What a person should mend", value=len(self._house.repairs())
        )
