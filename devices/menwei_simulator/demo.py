"""`menwei demo` from beginning to end: the street, the site, the adoption, the story, and nothing left behind.

Everything goes the way a person would go: devices are found by mDNS and taken in by `menwei adopt`, people are entered
over the API, doors are opened by touching a card at a reader of another process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import secrets
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from menwei.adoption import AdoptionError
from menwei.cli_client import api
from menwei.cli_devices import take_in
from menwei.house import Menwei
from menwei.plugin import Discovered
from menwei.serving import Serving, serving
from menwei_simulator import site
from menwei_simulator.cast import DOORS
from menwei_simulator.controller import ControllerSpec
from menwei_simulator.diary import Diary, settled
from menwei_simulator.showing import Showing, agrees
from menwei_simulator.site import Entered
from menwei_simulator.story import PASSERS_BY, STORY, Playing, Result, Scene
from menwei_simulator.street import Street

USUAL_PORT = 8460
"""The console's port, unless somebody has it."""
FOUND_WITHIN = 20.0
"""Seconds for four announcements on loopback; they take one, the machine may be busy."""
BEFORE_WITHIN = 120.0
"""Seconds that the command of `--before` may take."""
UNHURRIED = 1.5
"""Seconds between scenes, so that a person can follow."""
GRANTS = frozenset({"AccessGranted", "DoorCommand"})


class DemoFailed(Exception):
    """The demonstration cannot go on; `key` and `values` say why."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(f"{key}: {values}")
        self.key = key
        self.values_ = values


@dataclass(frozen=True, slots=True)
class Wishes:
    """The options. `before`: a scene and the command to run before it; `ahead`: a scene from which on the house's clock
    is so many seconds ahead; `folder`: None for one that is removed at the end; `port`: None for the usual or any."""

    language: str
    once: bool = False
    as_json: bool = False
    folder: Path | None = None
    port: int | None = None
    before: tuple[str, tuple[str, ...]] | None = None
    ahead: tuple[str, float] | None = None
    passers_by: bool = False
    """Without the story: whoever comes by, at once."""


class HouseClock:
    """The machine's clock and what it is put ahead."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


async def demo(wishes: Wishes) -> int:
    """Play; the exit code. 0: every scene ended as it must, and the doors' account equals the journal's; 1: not so;
    130: interrupted before the story was over. SIGINT, SIGTERM and SIGHUP end it cleanly."""
    showing = Showing(wishes.language, wishes.as_json)
    playing = asyncio.create_task(_demo(wishes, showing))
    interrupted = False

    def stop() -> None:
        nonlocal interrupted
        if not interrupted:  # once: a second Ctrl-C does not keep the rest from being tidied up
            playing.cancel()
        interrupted = True

    loop = asyncio.get_running_loop()
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in signals:
        loop.add_signal_handler(number, stop)
    try:
        return await playing
    except asyncio.CancelledError:
        if not interrupted:
            raise
        return 130
    except DemoFailed as error:
        showing.line(error.key, "bold red", **error.values_)
        return 1
    except AdoptionError as error:
        showing.console.print(error.text(wishes.language), style="bold red", markup=False)
        return 1
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


async def _demo(wishes: Wishes, showing: Showing) -> int:
    with _folder(wishes.folder) as folder:
        clock = HouseClock()
        suffix = secrets.token_hex(2)
        devices = {door.id: f"{door.controller}-{suffix}" for door in DOORS}
        config = folder / "config.yaml"
        config.write_text(site.config_text(wishes.language, showing.say, time.time()), encoding="utf-8")
        async with AsyncExitStack() as stack:
            showing.line("simulator.demo.street", "bold")
            specs = [ControllerSpec(id, locks=("1",), readers=("in",)) for id in devices.values()]
            street = await stack.enter_async_context(Street(folder, specs, announce=True))
            running = await stack.enter_async_context(_serving(config, wishes, clock))
            await _adopt(running.house, devices, config, showing)
            desk = await stack.enter_async_context(api(config, wishes.language))
            people = await site.enter_people(desk, running.house.clock.now())
            guard_password = secrets.token_urlsafe(9)
            await desk.post("/api/accounts", {"name": "guard", "role": "guard", "password": guard_password})
            guard = await stack.enter_async_context(api(config, wishes.language))
            admin = running.house.first_password or ""
            showing.open_door(running.server.url, admin, guard_password, str(config))
            diary = await stack.enter_async_context(Diary(running.house.journal))
            stages = {door: street.at(device) for door, device in devices.items()}
            playing = Playing(running.house, diary, guard, guard_password, stages, people)
            return await _Play(wishes, showing, playing, street, config, clock).run()


class _Play:
    """The story and what comes after it."""

    def __init__(
        self,
        wishes: Wishes,
        showing: Showing,
        playing: Playing,
        street: Street,
        config: Path,
        clock: HouseClock,
    ) -> None:
        self._wishes = wishes
        self._showing = showing
        self._playing = playing
        self._street = street
        self._config = config
        self._clock = clock
        self._wrong: list[str] = []
        self._latencies: list[float] = []

    async def run(self) -> int:
        for scene in () if self._wishes.passers_by else STORY:
            await self._prepare(scene)
            await self._scene(scene)
            if not self._wishes.once:
                await asyncio.sleep(UNHURRIED)
        if self._wishes.once:
            return await self._end()
        self._showing.line("simulator.demo.passers_by", "bold")
        try:
            while True:
                await self._scene(random.choice(PASSERS_BY))  # noqa: S311  # who comes by is no secret
                await asyncio.sleep(random.uniform(0.3, 3.0))  # noqa: S311
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()  # Ctrl-C is how this part ends; what was asked of the doors is still accounted for
            return await self._end()

    async def _scene(self, scene: Scene) -> None:
        self._showing.begins(scene)
        try:
            result = await scene.play(self._playing)
        except (
            TimeoutError
        ) as error:  # the door did not come to rest, or did not move: that is how the scene ended
            result = Result(f"TimeoutError: {error}")
        if result.latency is not None and result.decision in GRANTS:
            self._latencies.append(result.latency)
        names = {entered.holder: entered.member.name for entered in self._playing.people.values()}
        self._showing.ended(scene, result, names.get(result.holder) if result.holder is not None else None)
        if not agrees(scene, result):
            self._wrong.append(scene.id)

    async def _prepare(self, scene: Scene) -> None:
        """What the options want to have changed before a scene."""
        ahead, before = self._wishes.ahead, self._wishes.before
        if ahead is not None and ahead[0] == scene.id:
            self._clock.ahead = ahead[1]
            self._showing.line("simulator.demo.ahead", "magenta", seconds=f"{ahead[1]:g}", scene=scene.id)
        if before is not None and before[0] == scene.id:
            await self._run_before(scene, before[1])

    async def _run_before(self, scene: Scene, command: tuple[str, ...]) -> None:
        known: Entered | None = self._playing.people.get(scene.who.key) if scene.who else None
        environment = os.environ | {"MENWEI_CONFIG": str(self._config), "MENWEI_DEMO_SCENE": scene.id}
        if known is not None:
            environment["MENWEI_DEMO_HOLDER"] = str(known.holder)
            environment["MENWEI_DEMO_CREDENTIAL"] = str(known.credential)
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=sys.stderr)
        try:
            async with asyncio.timeout(BEFORE_WITHIN):
                code = await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if code:
            raise DemoFailed("simulator.demo.before_failed", scene=scene.id, code=code)

    async def _end(self) -> int:
        """The last word: how quick, and whether the doors did what the journal says and nothing else."""
        self._showing.console.rule(style="dim")
        self._showing.latencies(self._latencies)
        compared = await settled(self._playing.house.journal, self._street.pulse_log)
        self._showing.compared(compared)
        if self._wrong:
            self._showing.line("simulator.demo.failed", "bold red", scenes=", ".join(self._wrong))
            return 1
        return 0 if compared.equal else 1


async def _adopt(house: Menwei, devices: dict[str, str], config: Path, showing: Showing) -> None:
    """Find the street and take it in with the code behind `menwei adopt`, then write the rules and read them in."""
    found = await _found(house, set(devices.values()))
    showing.found(found)
    with contextlib.redirect_stdout(sys.stderr if showing.as_json else sys.stdout):
        for door in DOORS:
            name = showing.say(door.name)
            showing.command(["adopt", *site.adopt_words(door, devices[door.id], name, config)])
            doors, points = [f"{door.id}={name}"], [f"{door.inside}=in"]
            await take_in(config, devices[door.id], door.controller, doors, points, [], "", False)
    await _connected(house)
    site.finish(config)
    await house.reload()
    showing.line("simulator.demo.rules", "dim")


async def _connected(house: Menwei) -> None:
    """Every adopted door answers. Raises `DemoFailed`."""
    end = time.monotonic() + FOUND_WITHIN
    while away := [door.id for door in house.doors.views() if not door.online]:
        if time.monotonic() > end:
            raise DemoFailed("simulator.demo.not_connected", doors=", ".join(away))
        await asyncio.sleep(0.05)


async def _found(house: Menwei, wanted: set[str]) -> list[Discovered]:
    """The street's announcements. Raises `DemoFailed` when they do not come."""
    end = time.monotonic() + FOUND_WITHIN
    while missing := wanted - house.discovery.devices.keys():
        if time.monotonic() > end:
            raise DemoFailed("simulator.demo.not_found", devices=", ".join(sorted(missing)))
        await asyncio.sleep(0.05)
    return [house.discovery.devices[id] for id in sorted(wanted)]


@asynccontextmanager
async def _serving(config: Path, wishes: Wishes, clock: HouseClock) -> AsyncIterator[Serving]:
    port = wishes.port
    if port is None:
        port = USUAL_PORT if not wishes.once and _free(USUAL_PORT) else 0
    async with serving(config, port=port, wall=clock) as running:
        yield running


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@contextlib.contextmanager
def _folder(wanted: Path | None) -> Iterator[Path]:
    """The site's folder: a fresh one that is removed at the end, or the wanted one, which must be empty."""
    if wanted is None:
        with tempfile.TemporaryDirectory(prefix="menwei-demo-") as made:
            yield Path(made)
        return
    wanted.mkdir(parents=True, exist_ok=True)
    if any(wanted.iterdir()):
        raise DemoFailed("simulator.demo.not_empty", folder=wanted)
    yield wanted.resolve()
