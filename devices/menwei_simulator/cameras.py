"""Cameras of the simulated street: a process that serves MJPEG and plays the films it is given.

    python -m menwei_simulator.cameras --folder FILMS --camera cam-gate --camera cam-1

prints one line of JSON with its port, serves http://127.0.0.1:PORT/CAMERA/mjpeg, and obeys lines of JSON on its input:
`{"camera": "cam-gate", "film": "stranger", "hold": 20}` plays FILMS/stranger/*.jpg before that camera; whoever came then
stands there for 20 seconds (its last pictures, to and fro), after which there is the wall again (FILMS/wall.jpg). A film
"" is the wall at once. It ends with its input. Nothing here needs OpenCV: the films are made before (`film.py`).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

FPS = 10.0
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
BOUNDARY = "menwei"
STANDING = 20
"""Pictures, the last of a film, that are shown to and fro while somebody stands there."""
LONGEST_HOLD = 120.0


@dataclass(slots=True)
class SimulatedCamera:
    """What stands before one camera now."""

    film: list[bytes] = field(default_factory=list)
    held: int = 0
    at: int = 0

    def play(self, film: list[bytes], hold: float = 0.0) -> None:
        self.film, self.held, self.at = film, round(hold * FPS), 0

    def next(self, wall: bytes) -> bytes:
        """The picture of now; called once a picture, by the clock of the process and not once a viewer."""
        now, self.at = self.at, self.at + 1
        if now < len(self.film):
            return self.film[now]
        stood = now - len(self.film)
        if not self.film or stood >= self.held:
            return wall
        last = self.film[-STANDING:]
        step = stood % max(1, 2 * len(last) - 2)
        return last[len(last) - 1 - step] if step < len(last) else last[step - len(last) + 1]


class Cameras:
    """All cameras of the process, and whoever looks through them."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        self._folder = folder
        self._wall = (folder / "wall.jpg").read_bytes()
        self._cameras = {name: SimulatedCamera() for name in names}
        self._now = dict.fromkeys(names, self._wall)
        self._turned = asyncio.Condition()

    def play(self, camera: str, film: str, hold: float = 0.0) -> int:
        """Begin a film; returns its pictures. Raises `KeyError` for an unknown camera, `FileNotFoundError` for a film
        that was not made, `ValueError` for a time that is none."""
        if not 0.0 <= hold <= LONGEST_HOLD:
            raise ValueError(f"nobody stands there for {hold} s")
        if not film:
            self._cameras[camera].play([])
            return 0
        if not NAME.fullmatch(film):
            raise FileNotFoundError(film)
        pictures = [file.read_bytes() for file in sorted((self._folder / film).glob("*.jpg"))]
        if not pictures:
            raise FileNotFoundError(film)
        self._cameras[camera].play(pictures, hold)
        return len(pictures)

    async def run(self) -> None:
        """One picture of every camera after the other, until cancelled."""
        while True:
            await asyncio.sleep(1 / FPS)
            async with self._turned:
                self._now = {name: camera.next(self._wall) for name, camera in self._cameras.items()}
                self._turned.notify_all()

    async def mjpeg(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["camera"]
        if name not in self._cameras:
            raise web.HTTPNotFound
        answer = web.StreamResponse(
            headers={"Content-Type": f"multipart/x-mixed-replace; boundary={BOUNDARY}"}
        )
        await answer.prepare(request)
        try:
            while True:
                picture = self._now[name]
                head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                await answer.write(head.encode() + picture + b"\r\n")
                async with self._turned:
                    await self._turned.wait()
        except ConnectionError:  # whoever looked went away, as they do
            return answer


def obey(cameras: Cameras, line: bytes) -> dict[str, object]:
    """Do what one line of the input says. Never raises: a mistake is the answer."""
    try:
        order = json.loads(line)
        return {"ok": True, "pictures": cameras.play(order["camera"], order["film"], order.get("hold", 0.0))}
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        return {"ok": False, "error": f"{type(error).__name__}: {error}"}


async def serve(folder: Path, names: list[str], port: int = 0) -> None:
    """Serve until the input ends."""
    cameras = Cameras(folder, names)
    application = web.Application()
    application.router.add_get("/{camera}/mjpeg", cameras.mjpeg)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    running = asyncio.create_task(cameras.run())
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
            print(json.dumps(obey(cameras, line)), flush=True)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await runner.cleanup()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m menwei_simulator.cameras", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--camera", action="append", default=[])
    parser.add_argument("--port", type=int, default=0)
    asked = parser.parse_args()
    if wrong := [name for name in asked.camera if not NAME.fullmatch(name)]:
        parser.error(f"not the name of a camera: {wrong[0]!r}")
    asyncio.run(serve(asked.folder, asked.camera, asked.port))


if __name__ == "__main__":
    main()
