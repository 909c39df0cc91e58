"""The simulated street's cameras: a process that serves MJPEG and plays films."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from menwei_simulator.cameras import Cameras, SimulatedCamera, obey

pytestmark = pytest.mark.e2e


@pytest.fixture
def films(tmp_path: Path) -> Path:
    (tmp_path / "wall.jpg").write_bytes(b"\xff\xd8wall\xff\xd9")
    (tmp_path / "stranger").mkdir()
    for number in range(3):
        (tmp_path / "stranger" / f"{number:03}.jpg").write_bytes(b"\xff\xd8%d\xff\xd9" % number)
    return tmp_path


@asynccontextmanager
async def process(films: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    pipe = asyncio.subprocess.PIPE
    command = [
        sys.executable,
        "-m",
        "menwei_simulator.cameras",
        "--folder",
        str(films),
        "--camera",
        "cam-gate",
    ]
    running = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    assert running.stdin is not None
    assert running.stdout is not None
    try:
        async with asyncio.timeout(60):
            yield running, json.loads(await running.stdout.readline())["port"]
    finally:
        running.stdin.close()
        async with asyncio.timeout(60):
            assert await running.wait() == 0


async def ordered(running: asyncio.subprocess.Process, **order: str) -> dict[str, object]:
    assert running.stdin is not None
    assert running.stdout is not None
    running.stdin.write(json.dumps(order).encode() + b"\n")
    await running.stdin.drain()
    answer: dict[str, object] = json.loads(await running.stdout.readline())
    return answer


async def pictures(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """The parts of an MJPEG answer."""
    while True:
        length = 0
        while (line := await answer.content.readline()).strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        if length:
            yield await answer.content.readexactly(length)


async def test_a_film_is_played_once_in_order_before_its_camera_and_then_there_is_the_wall_again(
    films: Path,
) -> None:
    async with process(films) as (running, port), aiohttp.ClientSession() as viewer:
        async with viewer.get(f"http://127.0.0.1:{port}/cam-gate/mjpeg") as answer:
            seen = pictures(answer)
            assert b"wall" in await anext(seen)
            assert await ordered(running, camera="cam-gate", film="stranger") == {"ok": True, "pictures": 3}
            shown = [await anext(seen) for _ in range(12)]
        film = [picture[2:3] for picture in shown if b"wall" not in picture]
        assert film == [b"0", b"1", b"2"]
        assert b"wall" in shown[-1]
        async with viewer.get(f"http://127.0.0.1:{port}/cam-9/mjpeg") as answer:
            assert answer.status == 404


async def test_whoever_came_stands_there_for_as_long_as_asked_and_goes_at_once_when_told(films: Path) -> None:
    camera = SimulatedCamera()
    film = [b"0", b"1", b"2"]
    camera.play(film, hold=0.8)
    assert [camera.next(b"wall") for _ in range(12)] == [
        *film, b"2", b"1", b"0", b"1", b"2", b"1", b"0", b"1", b"wall",
    ]  # fmt: skip
    camera.play(film, hold=60)
    camera.next(b"wall")
    camera.play([])
    assert camera.next(b"wall") == b"wall"


async def test_orders_that_make_no_sense_are_answered_and_stop_nothing(films: Path) -> None:
    async with process(films) as (running, _port):
        for order in (
            {"camera": "cam-9", "film": "stranger"},
            {"camera": "cam-gate", "film": "nobody"},
            {"camera": "cam-gate", "film": "../stranger"},
            {},
        ):
            assert (await ordered(running, **order))["ok"] is False
        assert (await ordered(running, camera="cam-gate", film="stranger"))["ok"] is True


@given(st.binary(max_size=200))
def test_any_bytes_on_the_input_get_an_answer(line: bytes) -> None:
    class Nothing(Cameras):
        def __init__(self) -> None:
            self._folder, self._cameras = Path("/nonexistent"), {}

    assert obey(Nothing(), line)["ok"] is False
