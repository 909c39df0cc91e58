"""A QR code before a door camera opens a simulated door: camera, worker, recognizer, line and lock, all real."""

# ruff: noqa: E402 (what can be skipped is asked for before it is imported)
from __future__ import annotations

import os
import signal
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.util import find_spec

import pytest

pytestmark = pytest.mark.e2e
for package in ("cv2", "numpy", "segno"):
    if find_spec(package) is None:
        pytest.skip(f"NO QR CODE TESTED: {package} is not installed", allow_module_level=True)

import io

import cv2
import numpy as np
import segno
import yaml

from menwei.model import CredentialIdentifier, IdentifierType
from menwei.supervisor import DeviceState
from menwei_camera.service import Cameras
from menwei_simulator.controller import ControllerSpec
from peers.http_camera import HttpCamera
from peers.street import Street
from street_site import TEST, recorded, running, write_config
from waiting import WITHIN, until

CODE = "MW1.yard.20260302.AAADWZ4X7K2QE.5Q2MABCDEFGHIJKL"
PASSWORD = "s3cret-camera"


def frame(text: str = "") -> bytes:
    """A door camera's picture: grey, and somebody holds up a code in it, a little turned."""
    picture = np.full((480, 640, 3), 120, np.uint8)
    if text:
        png = io.BytesIO()
        segno.make(text, error="m", micro=False).save(png, kind="png", scale=6, border=4)
        code = cv2.imdecode(np.frombuffer(png.getvalue(), np.uint8), cv2.IMREAD_COLOR)
        code = cv2.resize(code, (280, 280), interpolation=cv2.INTER_AREA)
        turn = cv2.getRotationMatrix2D((140, 140), 7, 1.0)
        picture[100:380, 180:460] = cv2.warpAffine(code, turn, (280, 280), borderValue=(120, 120, 120))
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


def configure(folder, street, camera, level="QRCode"):
    point = {"readers": ["sim-a/in"], "cameras": ["gate-cam"], "security_level": level}
    doors = {"gate": {"lock": "sim-a/1", "release_time": 1, "access_points": {"gate-in": point}}}
    path = write_config(folder, street, doors)
    config = yaml.safe_load(path.read_text("utf-8"))
    config["plugins"] |= {"camera": None, "qr": None}
    config["devices"]["gate-cam"] = {
        "driver": "camera", "url": camera.url("mjpeg"), "user": "door", "password": PASSWORD, "stall": 2.0
    }  # fmt: skip
    path.write_text(yaml.safe_dump(config), "utf-8")
    return path


async def visitor(house):
    identifier = CredentialIdentifier(IdentifierType.QRCODE, "menwei", CODE)
    async with house.store.transaction() as tx:
        await house.people.add("访客", cards=[identifier], profiles=["residents"], actor=TEST, tx=tx)


def looking(house):
    return (
        house.recognizers.states().get("qr.codes", ("",))[0] is DeviceState.READY
        and house.supervisor.state("gate-cam") is DeviceState.READY
    )


@asynccontextmanager
async def watched_gate(folder):
    async with AsyncExitStack() as stack:
        camera = stack.enter_context(HttpCamera([frame()], user="door", password=PASSWORD))
        street = await stack.enter_async_context(Street(folder, [ControllerSpec("sim-a")]))
        house = await stack.enter_async_context(running(configure(folder, street, camera)))
        yield camera, street, house


async def test_a_code_shown_to_the_camera_opens_the_door_and_is_in_no_file(tmp_path):
    async with watched_gate(tmp_path) as (camera, street, house):
        await visitor(house)
        await until(lambda: looking(house))
        camera.jpegs[:] = [frame(CODE)]
        assert await street.at("sim-a").walk_through(wait=WITHIN)
        (granted,) = await recorded(house, "AccessGranted")
        assert granted.data["factors"] == ["QRCode"]
        assert granted.data["recognition"]["recognizer"] == "qr.codes"
    files = [file for file in (tmp_path / "var").rglob("*") if file.is_file()]
    assert files
    for secret in (CODE.encode(), PASSWORD.encode()):
        assert [file.name for file in files if secret in file.read_bytes()] == []


async def test_a_foreign_code_is_told_and_leaves_no_entry(tmp_path):
    async with watched_gate(tmp_path) as (camera, street, house):
        await until(lambda: looking(house))
        camera.jpegs[:] = [frame("https://pay.example/9f3")]
        assert await street.at("sim-a").shown("denied", reader="in", within=WITHIN)
        assert await house.journal.read(kinds={"AccessDenied", "AccessGranted"}) == []


async def test_after_a_crash_of_the_worker_the_door_opens_by_code_again(tmp_path):
    async with watched_gate(tmp_path) as (camera, street, house):
        await visitor(house)
        await until(lambda: looking(house))
        cameras = house.service(Cameras)
        os.kill(cameras.worker_pid, signal.SIGSEGV)
        await until(lambda: cameras.crashes == 1)
        await until(lambda: looking(house), 2 * WITHIN)
        camera.jpegs[:] = [frame(CODE)]
        assert await street.at("sim-a").walk_through(wait=WITHIN)
        assert "s3cret" not in str([e.data for e in await house.journal.read(kinds={"DeviceState"})])
