"""A tenant's invitation, printed, shown to the door's camera: the door opens, today. Nothing in between is a stand-in:
the plugin's own picture of the code, a camera of another process over HTTP, the camera worker, line, lock."""

# ruff: noqa: E402 (what can be skipped is asked for before it is imported)
from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.e2e
for package in ("cv2", "numpy", "segno"):
    if find_spec(package) is None:
        pytest.skip(f"NO INVITATION SHOWN TO A CAMERA: {package} is not installed", allow_module_level=True)

import cv2
import numpy as np
import yaml

from menwei.cli_client import Api, api
from menwei.house import Menwei
from menwei.supervisor import DeviceState
from menwei_qr.codes import GONE
from menwei_simulator.controller import ControllerSpec
from menwei_visitors.service import Visitors
from peers.http_camera import HttpCamera
from peers.street import Street
from street_site import recorded, running, write_config
from waiting import until

FLAT = "3-1-502"
PIXELS = 8
"""Of one module on the sheet of paper."""
TURNS = (-6, -3, -1, 0, 2, 4, 7)
"""Degrees. Seven pictures, so that the camera does not always show the same one when it is looked at."""
A_DAY = 86_400.0
TODAY = 14 * 3600.0
"""Two in the afternoon at the site: a day's length and not midnight is what the test moves."""


class Clock:
    """The machine's clock, put to the afternoon of the site's next day, and further when told."""

    def __init__(self) -> None:
        self.ahead = A_DAY - (time.time() + 8 * 3600) % A_DAY + TODAY

    def __call__(self) -> float:
        return time.time() + self.ahead


def printed(svg: bytes) -> np.ndarray:
    """The picture as a printer puts it on paper: white, and the strokes of its path one module high in black. The path is
    segno's: absolute `M`, then relative `h` (a stroke) and `m` (a move), in modules, on half lines."""
    size = int(re.search(rb'd="M0 0h(\d+)v', svg)[1])  # type: ignore[index]
    path = re.search(rb'class="qrline"[^>]* d="([^"]+)"', svg)[1].decode()  # type: ignore[index]
    paper = np.full((size, size), 255, np.uint8)
    x, y = 0, 0.0
    for step, text in re.findall(r"([Mmh])([-\d. ]+)", path):
        numbers = [float(number) for number in text.split()]
        if step == "h":
            paper[int(y), x : x + int(numbers[0])] = 0
            x += int(numbers[0])
        else:
            x, y = (int(numbers[0]), numbers[1]) if step == "M" else (x + int(numbers[0]), y + numbers[1])
    return cv2.cvtColor(np.kron(paper, np.ones((PIXELS, PIXELS), np.uint8)), cv2.COLOR_GRAY2BGR)


def seen(paper: np.ndarray | None = None) -> list[bytes]:
    """The door camera's pictures: grey, and somebody holds the sheet up in them with a hand that is never quite still."""
    pictures = []
    for turn in TURNS if paper is not None else (0,):
        picture = np.full((480, 640, 3), 120, np.uint8)
        if paper is not None:
            side = 280 + 4 * turn
            sheet = cv2.resize(paper, (side, side), interpolation=cv2.INTER_AREA)
            turned = cv2.getRotationMatrix2D((side / 2, side / 2), turn, 1.0)
            sheet = cv2.warpAffine(sheet, turned, (side, side), borderValue=(120, 120, 120))
            picture[90 : 90 + side, 170 : 170 + side] = sheet
        code = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
        pictures.append(bytes(code.tobytes()))
    return pictures


def configure(folder: Path, street: Street, camera: HttpCamera) -> Path:
    """The gate has a camera for codes; the flat's own lock is a door without one. Who lives where is the tenancy's."""
    gate = {"readers": ["sim-gate/in"], "cameras": ["gate-cam"], "security_level": "Card or QRCode"}
    doors = {
        "gate": {"lock": "sim-gate/1", "release_time": 1, "access_points": {"gate-in": gate}},
        "flat": {
            "lock": "sim-flat/1",
            "release_time": 1,
            "access_points": {"flat-in": {"readers": ["sim-flat/in"]}},
        },
    }
    path = write_config(folder, street, doors)
    config: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    config["plugins"] |= {
        "console": None, "camera": None, "qr": None, "visitors": {"allow": ["rights"]},
        "tenancy": {"allow": ["rights"], "profiles": ["gate"]},
    }  # fmt: skip
    config["profiles"] = {name: [{"access_points": [f"{name}-in"]}] for name in ("gate", "flat")}
    config["devices"]["gate-cam"] = {"driver": "camera", "url": camera.url("mjpeg"), "stall": 2.0}
    path.write_text(yaml.safe_dump(config), "utf-8")
    return path


@dataclass(slots=True)
class Home:
    """A running site with a flat, and its tenant signed in with an account of their own."""

    house: Menwei
    street: Street
    camera: HttpCamera
    clock: Clock
    tenant: Api

    async def invite(self) -> int:
        made = await self.tenant.post("/api/visitors/passes", {"purpose": "friend"})
        assert made["flat"] == FLAT
        return int(made["id"])

    async def paper(self, number: int) -> np.ndarray:
        """What the tenant's page shows of the pass, printed."""
        path = f"{self.tenant.base}/api/visitors/passes/{number}/qr.svg"
        async with self.tenant.session.get(path, headers=self.tenant.headers) as answer:
            assert (answer.status, answer.content_type) == (200, "image/svg+xml")
            return printed(await answer.read())

    def show(self, paper: np.ndarray | None) -> None:
        """Hold a sheet before the camera, or take it away."""
        self.camera.jpegs[:] = seen(paper)

    async def decided(self, kind: str, count: int = 1) -> list[Any]:
        return await recorded(self.house, kind, count=count)

    def looking(self) -> bool:
        ready = DeviceState.READY
        recognizer = self.house.recognizers.states().get("qr.codes", ("",))[0]
        return recognizer is ready and self.house.supervisor.state("gate-cam") is ready


async def enter(desk: Api) -> int:
    """Building 3, unit 1, flat 502, who lives there and signs in; the account's number."""
    await desk.put("/api/tenancy/buildings/3", {"name": "3号楼"})
    await desk.put("/api/tenancy/units/3-1", {"name": "1单元", "building": "3"})
    await desk.put(f"/api/tenancy/flats/{FLAT}", {"name": "502", "unit": "3-1", "profiles": ["flat"]})
    account = {"name": "lin", "role": "tenant", "password": "a long pass phrase"}
    made = await desk.post("/api/accounts", account)
    home = await desk.put("/api/tenancy/synced-households/HT-1", {"flat": FLAT})
    lin = {"role": "lessee", "name": "林"}
    member = await desk.post(f"/api/tenancy/households/{home['id']}/members", lin)
    await desk.post(f"/api/tenancy/members/{member['id']}/account", {"account": made["id"]})
    await desk.post("/api/visitors/hosts", {"account": made["id"], "flat": FLAT})
    return int(made["id"])


@asynccontextmanager
async def at_home(folder: Path) -> AsyncIterator[Home]:
    clock = Clock()
    async with AsyncExitStack() as stack:
        camera = stack.enter_context(HttpCamera(seen()))
        specs = [ControllerSpec("sim-gate"), ControllerSpec("sim-flat")]
        street = await stack.enter_async_context(Street(folder, specs))
        config = configure(folder, street, camera)
        house = await stack.enter_async_context(running(config, clock))
        await enter(await stack.enter_async_context(api(config, "en")))
        tenant = await stack.enter_async_context(api(config, "en"))
        await tenant.sign_in("lin", "a long pass phrase")
        home = Home(house, street, camera, clock, tenant)
        await until(home.looking, 60)
        yield home


async def test_a_printed_invitation_shown_to_the_camera_opens_the_gate(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        home.show(await home.paper(await home.invite()))
        assert await home.street.at("sim-gate").walk_through(wait=60)
        granted, *_ = await home.decided("AccessGranted")
        assert (granted.door, granted.data["factors"]) == ("gate", ["QRCode"])
        assert granted.data["recognition"]["recognizer"] == "qr.codes"
        passage, *_ = home.street.pulses("sim-gate")
        assert passage.passage == str(granted.position)


async def test_the_guest_of_a_flat_has_no_right_at_its_own_lock(tmp_path: Path) -> None:
    """The way is the tenancy's: the gate, and not the flat that the tenants' own cards open."""
    async with at_home(tmp_path) as home:
        number, visitors = await home.invite(), home.house.service(Visitors)
        async with visitors.read() as reading:
            guest = home.house.rights.snapshot.credential((await visitors.one(reading, number)).credential)
        assert guest is not None
        assert guest.profiles == ("gate",)


async def test_the_same_sheet_of_paper_opens_nothing_the_next_day(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        paper = await home.paper(await home.invite())
        home.show(paper)
        assert await home.street.at("sim-gate").walk_through(wait=60)
        home.show(None)
        await home.decided("AccessTaken")
        home.clock.ahead += A_DAY
        opened = len(home.street.pulses("sim-gate"))
        reader, refused = home.street.at("sim-gate"), False
        async with asyncio.timeout(120):
            while not refused:
                home.show(None)
                await asyncio.sleep(1.5 * GONE)  # a code is shown anew once it was away for a while
                home.show(paper)
                refused = await reader.shown("denied", reader="in", within=5)
        denied, *_ = await home.decided("AccessDenied")  # once, or anew when the camera stalled
        (why,) = {check["reason"] for check in denied.data["checks"]}
        assert why in {"CredentialExpired", "CredentialNotFound"}, (
            "ended at midnight, and deleted a minute later"
        )
        assert len(home.street.pulses("sim-gate")) == opened


async def test_an_invitation_that_was_ended_opens_nothing(tmp_path: Path) -> None:
    async with at_home(tmp_path) as home:
        number = await home.invite()
        paper = await home.paper(number)
        await home.tenant.post(f"/api/visitors/passes/{number}/end")
        home.show(paper)
        denied, *_ = await home.decided("AccessDenied")
        assert [check["reason"] for check in denied.data["checks"]] == ["CredentialNotEnabled"]
        assert home.street.pulses() == []
