"""Do cards answer as fast while four cameras look for faces? And does the core's process weigh as much as without?

    python bench/cameras.py [--rounds 10] [--each 60] [--json]

Four doors, each with a reader and a camera; before every camera somebody walks up and stands there, all the time, whom
nobody enrolled: each picture is searched for faces, and each face is compared. Passages by card are timed in slices, in
turn with the camera worker stopped (SIGSTOP) and running; each round gives its own ratio. Then the site is started anew
and its process weighed, in turn with one that has neither cameras nor faces (`weight.py`). Needs the extras and the
photos of `menwei_simulator.photos`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import benchsite
import line
import psutil
import weight
import yaml

from menwei.serving import serving
from menwei.supervisor import DeviceState

DOORS = 4
PEOPLE = 1_000
ENROLLED = 50
READY = 180.0
PAUSE = 0.02
"""Seconds between two passages: people do not come in one heap."""
SETTLED = 0.5
"""Seconds after the worker was stopped or let go on."""
PLAYED = 30.0


def configure(folder: Path, ports: dict[str, int], cameras: int | None) -> Path:
    """The site of the other benches with console and households, and, with the port of the `cameras`, a camera, faces
    and codes at each door."""
    path = benchsite.write_config(folder, ports)
    config = yaml.safe_load(path.read_text("utf-8"))
    config["plugins"] |= {"console": None, "tenancy": {"allow": ["people", "rights"]}}
    if cameras is not None:
        _watched(config, cameras)
    path.write_text(yaml.safe_dump(config, allow_unicode=True), "utf-8")
    return path


def _watched(config: dict[str, Any], cameras: int) -> None:
    doors = {  # one each: a config has no aliases
        benchsite.door_id(number): {"liveness": "none", "alone": {"people": 100, "one_stranger_in": 2}}
        for number in range(DOORS)
    }
    config["plugins"] |= {
        "camera": None,
        "qr": None,
        "face": {"allow": ["rights"], "demonstration": True, "doors": doors},
    }
    for number in range(DOORS):
        url = f"http://127.0.0.1:{cameras}/cam-{number}/mjpeg"
        config["devices"][f"cam-{number}"] = {"driver": "camera", "url": url}
        (point,) = config["doors"][benchsite.door_id(number)]["access_points"].values()
        point |= {"cameras": [f"cam-{number}"], "security_level": "Card or Face"}


class Films:
    """The process of the cameras. Somebody stands before each of them as long as it runs."""

    def __init__(self, folder: Path) -> None:
        from menwei_simulator import film, photos

        self.port = 0
        self._folder = folder
        place = folder / "somebody"
        place.mkdir(parents=True)
        (folder / "wall.jpg").write_bytes(film.jpeg(film.wall()))
        for number, picture in enumerate(film.approach(photos.fetched().stranger)):
            (place / f"{number:04}.jpg").write_bytes(picture)

    async def __aenter__(self) -> Films:
        names = [word for number in range(DOORS) for word in ("--camera", f"cam-{number}")]
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "menwei_simulator.cameras", "--folder", str(self._folder), *names, stdin=pipe, stdout=pipe
        )  # fmt: skip
        assert self._process.stdout is not None
        self.port = json.loads(await self._process.stdout.readline())["port"]
        self._playing = asyncio.create_task(self._play())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._playing.cancel()
        with suppress(asyncio.CancelledError):
            await self._playing
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()

    async def _play(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        while True:
            for number in range(DOORS):
                order = {"camera": f"cam-{number}", "film": "somebody", "hold": 2 * PLAYED}
                self._process.stdin.write(json.dumps(order).encode() + b"\n")
                await self._process.stdout.readline()
            await asyncio.sleep(PLAYED)


async def move_in(house: Any) -> None:
    """People with a face that is nobody's: somebody to compare with."""
    import numpy as np

    from menwei.model import Actor
    from menwei_face.match import template
    from menwei_face.service import Faces
    from menwei_face.subject import identifier, new_subject

    chance, actor = np.random.default_rng(1), Actor("bench", "operator")
    faces = house.service(Faces)
    for number in range(ENROLLED):
        vectors = chance.normal(size=(3, 128)).astype(np.float32)
        subject = new_subject()
        holder = await house.people.add(f"person {number}", profiles=["everybody"], actor=actor)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        await faces.enrol(subject, [template(one) for one in vectors], 1.0)
        await house.people.add_credential(holder, [identifier(subject)], profiles=["everybody"], actor=actor)


async def slice_of(passages: line.Passages, each: int) -> list[float]:
    """Milliseconds of passages, one after the other."""
    found = []
    for number in range(each):
        await asyncio.sleep(PAUSE)
        marks = await passages.pass_once(number % DOORS)
        found.append((marks.opened.result() - marks.read) * 1e3)
    return found


async def measure(folder: Path, rounds: int, each: int, starts: int) -> dict[str, Any]:
    from menwei_face import models
    from menwei_face.places import models_folder

    places = {name: folder / name for name in ("without", "with")}
    for site in places.values():
        site.mkdir()
        await benchsite.enter_people(site / "var", PEOPLE, DOORS)
    networks = models_folder(places["with"] / "var")
    networks.mkdir(parents=True)
    models.install(networks)
    async with AsyncExitStack() as stack:
        films = await stack.enter_async_context(Films(folder / "films"))
        ports = await stack.enter_async_context(benchsite.controllers(1))
        configs = {
            "without": configure(places["without"], ports, None),
            "with": configure(places["with"], ports, films.port),
        }
        found = await passages(configs["with"], rounds, each)
        weights = await weight.measure(configs, starts)
    for field, many in weights["with"].items():
        few = weights["without"][field]
        found |= {f"core_{field}_mib": [few, many], f"core_{field}_ratio": many / few}
    return found


async def passages(config: Path, rounds: int, each: int) -> dict[str, Any]:
    """Cards at the doors, with the worker stopped and looking."""
    from menwei_camera.service import Cameras

    async with serving(config, port=0) as running:
        house = running.house
        await line.ready(house)
        await move_in(house)
        async with asyncio.timeout(READY):
            while any(state is not DeviceState.READY for state, _ in house.recognizers.states().values()):
                await asyncio.sleep(0.1)
        worker = house.service(Cameras).worker_pid
        assert worker is not None
        passing = line.Passages(house, PEOPLE)
        await slice_of(passing, each)
        times: dict[str, list[list[float]]] = {"stopped": [], "looking": []}
        before = psutil.Process(worker).cpu_times().user
        for _ in range(rounds):
            os.kill(worker, signal.SIGSTOP)
            await asyncio.sleep(SETTLED)
            times["stopped"].append(await slice_of(passing, each))
            os.kill(worker, signal.SIGCONT)
            await asyncio.sleep(SETTLED)
            times["looking"].append(await slice_of(passing, each))
        busy = psutil.Process(worker).cpu_times().user - before
    middle = {key: [statistics.median(one) for one in found] for key, found in times.items()}
    ratios = [
        looking / stopped for looking, stopped in zip(middle["looking"], middle["stopped"], strict=True)
    ]
    return {
        "passage_stopped_p50_ms": statistics.median(middle["stopped"]),
        "passage_looking_p50_ms": statistics.median(middle["looking"]),
        "ratio_p50": statistics.median(ratios),
        "ratio_range": [min(ratios), max(ratios)],
        "worker_cpu_s": busy,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--each", type=int, default=60)
    parser.add_argument("--starts", type=int, default=3, help="for the weight of the core's process")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    benchsite.quiet()
    with tempfile.TemporaryDirectory() as name:
        found = asyncio.run(measure(Path(name), options.rounds, options.each, options.starts))
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for key, value in found.items():
        print(f"{key:28} {[round(one, 3) for one in value] if isinstance(value, list) else round(value, 3)}")


if __name__ == "__main__":
    main()
