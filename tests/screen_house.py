"""A house with the screen plugin as the program would load it, and its screens' drivers under the program's own
supervisor; real store, journal and line. Only the device behind the doors is a stand-in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse, ClientSession, CookieJar

from menwei import Feedback
from menwei.clock import TrustedClock
from menwei.devices import Devices
from menwei.model import LevelInForce, Request
from menwei.site import security_level
from menwei.supervisor import DeviceState, Supervised, Supervisor
from menwei_screen.driver import Screen, ScreenConfig
from menwei_screen.service import Screens
from tenancy_house import TenancyHouse
from waiting import until

BASE = "/api/screens"


class ScreenHouse(TenancyHouse):
    """The gate's inner side has the screen `tablet-1`, the unit door `tablet-2`, which has a keypad and begins in
    English."""

    now = 1000.0
    """The monotonic clock, moved by tests: results end by it."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = TrustedClock(wall=lambda: self.time, monotonic=lambda: self.now)

    async def load_screens(self, level: str = "Card or PIN") -> None:
        await self.load(("console", "screen"))
        points = dict(self.site.access_points)
        for name, device in (("gate-in", "tablet-1"), ("unit-in", "tablet-2")):
            point = points[name]
            levels = (LevelInForce(security_level(level)),)
            points[name] = replace(point, readers=(*point.readers, (device, "screen")), levels=levels)
        readers = {reader: point.id for point in points.values() for reader in point.readers}
        self.site = replace(self.site, access_points=points, readers=readers)
        self.line.points = points
        self.screens_supervisor = Supervisor({})
        self.hub = Devices(
            self.site,
            self.screens_supervisor,
            self.journal,
            self.clock,
            lambda key: self.messages.says("zh-CN", key),
        )
        self.line.show = lambda point, feedback: self.hub.show(self.site.access_points[point], feedback)
        self.stack.callback(self.hub.close)
        settings = {"tablet-1": ScreenConfig(), "tablet-2": ScreenConfig(keypad=True, language="en")}
        await self.screens_supervisor.replace(
            {device: Supervised(self._maker(device, config), config) for device, config in settings.items()}
        )
        await self.screens_supervisor.start()
        self.stack.push_async_callback(self.screens_supervisor.stop)
        await until(
            lambda: {state for state, _ in self.screens_supervisor.states().values()} == {DeviceState.READY}
        )

    def _maker(self, device: str, config: ScreenConfig) -> Any:
        context = replace(self.context(self.plugins["screen"]), device=device)
        return lambda ready: Screen(context, config, self.hub.reports(device, Screen.identifiers, ready))

    @property
    def screens(self) -> Screens:
        found: Screens = self.services.find(Screens)
        return found

    def submit(self, request: Request) -> None:
        """What is read or typed is decided by the real line, as the queues of the program do."""
        self.line.repeats._last.clear()
        self.work = asyncio.create_task(self.line.request(request))

    def repairs_of(self, device: str) -> list[str]:
        driver = self.screens_supervisor.driver(device)
        return [repair.message for repair in driver.repairs()] if driver is not None else []

    work: asyncio.Task[Any]

    def show(self, point: str, feedback: Feedback) -> None:
        """The line shows this at an access point."""
        self.hub.show(self.site.access_points[point], feedback)


@asynccontextmanager
async def screen_house(folder: Path) -> AsyncIterator[ScreenHouse]:
    async with await ScreenHouse.open(folder) as house:
        await house.load_screens()
        yield house


class Tablet:
    """A tablet at a door, as the server sees one: a cookie, one stream, and now and then a number."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = ClientSession(cookie_jar=CookieJar(unsafe=True))
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        """(name, id, data) of everything that came."""
        self.beats = 0
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Tablet:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.look_away()
        await self.session.close()

    async def begin(self) -> bool:
        """Whether it is paired already."""
        async with self.session.post(f"{self.url}{BASE}/begin", json={}) as answer:
            assert answer.status == 200, await answer.text()
            return bool((await answer.json())["paired"])

    async def look(self, last: str = "") -> int:
        """Open the stream; the status."""
        await self.look_away()
        headers = {"Last-Event-ID": last} if last else {}
        answer = await self.session.get(f"{self.url}{BASE}/events", headers=headers)
        if answer.status == 200:
            self._reading = asyncio.create_task(self._read(answer))
        return answer.status

    async def _read(self, answer: ClientResponse) -> None:
        name = id = data = ""
        async with answer:
            async for raw in answer.content:
                field, _, value = raw.decode().rstrip("\r\n").partition(": ")
                match field:
                    case "event":
                        name = value
                    case "id":
                        id = value
                    case "data" | "data:":
                        data = value
                    case "":
                        if name == "beat":
                            self.beats += 1
                        elif name:
                            self.events.append((name, id, json.loads(data or "{}")))
                        name = data = ""

    async def look_away(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
            self._reading = None

    @property
    def gone(self) -> bool:
        return any(name == "gone" for name, _, _ in self.events)

    @property
    def state(self) -> dict[str, Any]:
        """What it would show now; empty before the first word."""
        states = [data for name, _, data in self.events if name == "state"]
        return states[-1] if states else {}

    @property
    def title(self) -> str:
        """The large words, in Chinese; "" when no result is shown."""
        result = self.state.get("result")
        return result["title"]["zh-CN"] if result else ""

    async def type(self, digits: str) -> int:
        async with self.session.post(f"{self.url}{BASE}/digits", json={"digits": digits}) as answer:
            return answer.status

    async def paired(self, screens: Screens, where: str) -> Tablet:
        """Shows its code, somebody enters it, and it looks."""
        assert not await self.begin()
        assert await self.look() == 200
        await until(lambda: "code" in self.state)
        await screens.pair(where, self.state["code"])
        await until(lambda: self.state.get("screen"))
        return self


__all__ = ["BASE", "ScreenHouse", "Tablet", "screen_house", "until"]
