"""The door screen's driver against the conformance suite: its peer is a tablet on our own HTTP server, so that the suite
asks what is asked of every driver, and the tablet's own cases stand in `tests/plugins/test_screen_api.py`."""

# ruff: noqa: F811  fixtures are imported by their names

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from aiohttp.test_utils import TestServer

from menwei import Context, Feedback, FeedbackKind, Reports
from menwei.testing.conformance import DriverConformance
from menwei.testing.driven import Driven
from menwei.testing.peer import Ability, Peer
from menwei.web import application
from menwei_screen.driver import Screen, ScreenConfig
from screen_house import BASE, ScreenHouse, Tablet
from small_house import empty_house  # noqa: F401
from waiting import until

pytestmark = pytest.mark.e2e
DEVICE = "tablet-2"
CALLS = "the tablet calls us: nothing is connected to; its absence is told as a fault of the part `screen`"


class Bench:
    """The house whose service the driver under test joins."""

    house: ScreenHouse | None = None


class OnBench(Screen):
    """The driver, in the context that the program gives it and the suite does not know of."""

    def __init__(self, context: Context, config: Any, reports: Reports) -> None:
        house = Bench.house
        assert house is not None
        super().__init__(
            replace(context, device=DEVICE, find_service=lambda _cls: house.screens), config, reports
        )


class TabletPeer(Peer):
    """A paired tablet with its stream open."""

    reader: ClassVar[str] = "screen"
    lacks: ClassVar[Mapping[Ability, str]] = {
        Ability.ABSENCE: CALLS,
        Ability.SILENCE: CALLS,
        Ability.SLOWNESS: "what it says is one number in one request: slow is late, and late is typed late",
        Ability.BABBLE: "a request that is none is answered 400 by the server, before the driver",
        Ability.DUPLICATES: "a request is answered once; a browser does not repeat a POST",
        Ability.REORDERING: "one number waits for the answer to the one before",
        Ability.READER: "it reads no cards; its numbers are tested in tests/plugins/test_screen_api.py",
        Ability.LATE_READS: "it keeps nothing that was typed",
        Ability.LOCK: "a screen has no lock",
        Ability.LATE_COMMANDS: "a screen has no lock",
        Ability.MODES: "a screen has no lock",
        Ability.CONTACT: "a screen has no door contact",
        Ability.INPUTS: "a screen has no inputs",
        Ability.SECRET: "its token is the tablet's own, no setting of the driver",
        Ability.CLOCK: "no time of the tablet is asked for",
        Ability.ATTRIBUTES: "the request's model refuses whatever is not digits",
    }

    def __init__(self, house: ScreenHouse) -> None:
        self.house = house
        self.server: TestServer | None = None
        self.tablet: Tablet | None = None

    @property
    def config(self) -> ScreenConfig:
        return ScreenConfig(keypad=True)

    async def start(self) -> None:
        routes = [route for plugin in self.house.plugins.values() for route in plugin.routes]
        self.server = TestServer(application(self.house, routes), host="127.0.0.1")  # type: ignore[arg-type]
        await self.server.start_server()
        self.tablet = Tablet(str(self.server.make_url("")).rstrip("/"))
        await self.tablet.begin()
        await self.tablet.look()
        tablet = self.tablet
        await until(lambda: "code" in tablet.state)
        await self.house.screens.pair("unit-in", tablet.state["code"])
        await until(lambda: "screen" in tablet.state)

    async def stop(self) -> None:
        assert self.tablet is not None
        assert self.server is not None
        await self.tablet.__aexit__()
        await self.server.close()

    async def garbage(self, data: bytes) -> None:
        assert self.tablet is not None
        for path in ("digits", "begin", "events", "pair"):
            async with self.tablet.session.post(f"{self.tablet.url}{BASE}/{path}", data=data) as answer:
                assert answer.status in range(200, 500), path

    def card(self, number: int) -> tuple[str, str]:
        return "uid", f"{number:08X}"


class TestScreen(DriverConformance):
    driver = OnBench
    day = 1

    @pytest.fixture(autouse=True)
    async def bench(self, tmp_path: Path, empty_house: Path):
        folder = tmp_path / "house"
        shutil.copytree(empty_house, folder)
        async with await ScreenHouse.open(folder) as house:
            await house.load_screens()
            await house.screens_supervisor.replace({})
            Bench.house = house
            yield
            Bench.house = None

    def make_peer(self, folder: Path) -> Peer:
        assert Bench.house is not None
        return TabletPeer(Bench.house)

    async def test_every_feedback_is_on_the_tablet_at_once(self, peer: TabletPeer, driven: Driven) -> None:
        tablet = peer.tablet
        assert tablet is not None
        async with driven:
            await driven.ready()
            for kind in FeedbackKind:
                await driven.driver.feedback("screen", Feedback(kind, f"{kind} · 请稍候"))
                await until(lambda kind=kind: (tablet.state.get("result") or {}).get("kind") == kind)  # type: ignore[misc]
                assert tablet.title == str(kind)

    async def test_what_is_typed_is_reported_once_and_in_order(
        self, peer: TabletPeer, driven: Driven
    ) -> None:
        tablet = peer.tablet
        assert tablet is not None
        async with driven:
            await driven.ready()
            for digits in ("1", "4711", "40719382"):
                assert await tablet.type(digits) == 200
        assert driven.heard.numbers == [("screen", digits) for digits in ("1", "4711", "40719382")]

    async def test_nothing_is_reported_after_the_drivers_end(self, peer: TabletPeer, driven: Driven) -> None:
        tablet = peer.tablet
        assert tablet is not None
        async with driven:
            await driven.ready()
        assert await tablet.type("1234") == 403
        assert driven.heard.numbers == []
