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
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from zoneinfo import ZoneInfo

from menwei.adoption import AdoptionError
from menwei.cli_client import ApiError, api
from menwei.cli_devices import take_in
from menwei.house import Menwei
from menwei.reports import Discovered
from menwei.serving import Serving, serving
from menwei_simulator import facing, site
from menwei_simulator.cast import Entered
from menwei_simulator.controller import ControllerSpec
from menwei_simulator.diary import Diary, settled
from menwei_simulator.moment import HouseClock, Moment
from menwei_simulator.scene import Playing, Result, Scene, Signed, Story, StoryFailed
from menwei_simulator.showing import Showing, agrees
from menwei_simulator.street import Street

USUAL_PORT = 8460
"""The console's port, unless somebody has it."""
FOUND_WITHIN = 30.0
"""Seconds for the announcements of a street on loopback; they take one or two, the machine may be busy."""
COMMAND_WITHIN = 120.0
"""Seconds that a command of `menwei`, or the one of `--before`, may take."""
UNHURRIED = 1.5
"""Seconds between scenes, so that a person can follow."""
GRANTS = frozenset({"AccessGranted", "DoorCommand"})


@dataclass(frozen=True, slots=True)
class Wishes:
    """The options. `before`: a scene and the command to run before it; `ahead`: a scene from which on the house's clock
    is so many seconds further ahead; `folder`: None for one that is removed at the end; `port`: None for the usual or
    any."""

    language: str
    story: Story
    once: bool = False
    as_json: bool = False
    folder: Path | None = None
    port: int | None = None
    before: tuple[str, tuple[str, ...]] | None = None
    ahead: tuple[str, float] | None = None
    passers_by: bool = False
    """Without the story: whoever comes by, at once."""
    with_faces: bool = False
    """Scenes with cameras too, where packages and photos are to be had; `faces` is a folder with photos of one's own."""
    faces: Path | None = None


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
    except StoryFailed as error:
        showing.line(error.key, "bold red", **error.values_)
        return 1
    except AdoptionError as error:
        showing.console.print(error.text(wishes.language), style="bold red", markup=False)
        return 1
    except ApiError as error:
        showing.console.print(str(error), style="bold red", markup=False)
        return 1
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


async def _demo(wishes: Wishes, showing: Showing) -> int:
    story = wishes.story
    if lacking := sorted({extra for module, extra in story.needs.items() if find_spec(module) is None}):
        raise StoryFailed("simulator.demo.needs", story=story.id, extras=",".join(lacking))
    with _folder(wishes.folder) as folder:
        clock = HouseClock()
        if story.opens:
            clock.to(_next(Moment(story.opens)))
        async with AsyncExitStack() as stack:
            if wishes.with_faces:
                story = await facing.joined(stack, story, folder, wishes.faces, showing.line)
            if story.joins is not None:
                story = await story.joins(stack, story, folder, showing.say)
            suffix = secrets.token_hex(2)
            devices = {controller: f"{controller}-{suffix}" for controller in story.controllers}
            config = folder / "config.yaml"
            config.write_text(
                site.config_text(story, wishes.language, showing.say, clock()), encoding="utf-8"
            )
            for words in story.before:
                if await _command(words, config, showing):
                    raise StoryFailed("simulator.demo.command_failed", command=" ".join(words))
            showing.line("simulator.demo.street", "bold")
            street = await stack.enter_async_context(Street(folder, _specs(story, devices), announce=True))
            running = await stack.enter_async_context(_serving(config, wishes, clock))
            await _adopt(running.house, story, devices, config, showing)
            desk = await stack.enter_async_context(api(config, wishes.language))
            diary = await stack.enter_async_context(Diary(running.house.journal))
            password = running.house.first_password or ""
            admin = Signed(await stack.enter_async_context(api(config, wishes.language)), "admin", password)
            playing = Playing(
                running.house,
                diary,
                desk,
                {controller: street.at(device) for controller, device in devices.items()},
                clock,
                config,
                wishes.language,
                clock(),
                showing.line,
                lambda *words: _command(words, config, showing),
                stack,
                admin,
            )
            await playing.sign_up("guard", "guard")
            await story.enter(playing)
            showing.open_door(running.server.url, password, playing.accounts, str(config))
            return await _Play(replace(wishes, story=story), showing, playing, street).run()


class _Play:
    """The story and what comes after it."""

    def __init__(self, wishes: Wishes, showing: Showing, playing: Playing, street: Street) -> None:
        self._wishes = wishes
        self._showing = showing
        self._playing = playing
        self._street = street
        self._wrong: list[str] = []
        self._latencies: list[float] = []

    async def run(self) -> int:
        story = self._wishes.story
        for scene in () if self._wishes.passers_by else story.scenes:
            await self._prepare(scene)
            await self._scene(scene)
            if not self._wishes.once:
                await asyncio.sleep(UNHURRIED)
        if self._wishes.once:
            return await self._end()
        self._showing.line("simulator.demo.passers_by", "bold")
        try:
            while True:
                await self._scene(random.choice(story.passers_by))  # noqa: S311  # who comes by is no secret
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
        except ApiError as error:  # the service refused what the scene has asked for
            result = Result(f"ApiError: {error.error or error}")
        if result.latency is not None and result.decision in GRANTS:
            self._latencies.append(result.latency)
        names = {entered.holder: entered.member.name for entered in self._playing.people.values()}
        self._showing.ended(scene, result, names.get(result.holder) if result.holder is not None else None)
        if not agrees(scene, result):
            self._wrong.append(scene.id)

    async def _prepare(self, scene: Scene) -> None:
        """What the story and the options want to have changed before a scene."""
        ahead, before, playing = self._wishes.ahead, self._wishes.before, self._playing
        if scene.at is not None:
            playing.clock.to(scene.at.instant(playing.began, playing.house.site.zone))
            self._showing.clock(playing.clock(), playing.house.site.zone)
        if ahead is not None and ahead[0] == scene.id:
            playing.clock.forward(ahead[1])
            self._showing.line("simulator.demo.ahead", "magenta", seconds=f"{ahead[1]:g}", scene=scene.id)
        if before is not None and before[0] == scene.id:
            await self._run_before(scene, before[1])

    async def _run_before(self, scene: Scene, command: tuple[str, ...]) -> None:
        known: Entered | None = self._playing.people.get(scene.who.key) if scene.who else None
        environment = {"MENWEI_CONFIG": str(self._playing.config), "MENWEI_DEMO_SCENE": scene.id}
        if known is not None:
            environment["MENWEI_DEMO_HOLDER"] = str(known.holder)
            environment["MENWEI_DEMO_CREDENTIAL"] = str(known.credential)
        if code := await _process(command, environment):
            raise StoryFailed("simulator.demo.before_failed", scene=scene.id, code=code)

    async def _end(self) -> int:
        """The last word: how quick, and whether the doors did what the journal says and nothing else."""
        self._showing.console.rule(style="dim")
        self._showing.latencies(self._latencies)
        compared = await settled(self._playing.house.journal, self._street.pulse_log, self._playing.counts)
        self._showing.compared(compared)
        if self._wrong:
            self._showing.line("simulator.demo.failed", "bold red", scenes=", ".join(self._wrong))
            return 1
        return 0 if compared.equal else 1


async def _command(words: tuple[str, ...], config: Path, showing: Showing) -> int:
    """A command of `menwei` as somebody would type it, in a process of its own; its exit code."""
    showing.command(words)
    command = (sys.executable, "-m", "menwei", "--lang", showing.language, *words)
    return await _process(command, {"MENWEI_CONFIG": str(config)}, quiet=showing.as_json)


async def _process(command: tuple[str, ...], environment: Mapping[str, str], quiet: bool = True) -> int:
    """Run a command to its end; what it prints goes to standard error where standard output is for programs."""
    out = sys.stderr if quiet else None
    process = await asyncio.create_subprocess_exec(*command, env={**os.environ, **environment}, stdout=out)
    try:
        async with asyncio.timeout(COMMAND_WITHIN):
            return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _next(moment: Moment) -> float:
    """When the site's clocks show this next."""
    zone, now = ZoneInfo(site.ZONE), time.time()
    today = moment.instant(now, zone)
    return today if today >= now else Moment(moment.clock, days=1).instant(now, zone)


def _specs(story: Story, devices: Mapping[str, str]) -> list[ControllerSpec]:
    """The controllers of the street, each with the locks and readers of its doors; a desk has a reader alone."""
    specs = []
    for controller, device in devices.items():
        doors = story.doors_of(controller)
        locks = tuple(door.lock for door in doors)
        readers = tuple(reader for door in doors for reader in door.readers) or ("in",)
        specs.append(ControllerSpec(device, locks=locks, readers=readers))
    return specs


async def _adopt(
    house: Menwei, story: Story, devices: Mapping[str, str], config: Path, showing: Showing
) -> None:
    """Find the street and take it in with the code behind `menwei adopt`, then write the rules and read them in."""
    found = await _found(house, set(devices.values()))
    showing.found(found)
    with contextlib.redirect_stdout(sys.stderr if showing.as_json else sys.stdout):
        for controller, device in devices.items():
            doors, points = site.adopt_words(story, controller, showing.say)
            options = [word for door in doors for word in ("--door", door)]
            options += [word for point in points for word in ("--access-point", point)]
            showing.command(["adopt", device, "--id", controller, *options, "--config", str(config)])
            await take_in(config, device, controller, doors, points, [], [], "", False)
    await _connected(house)
    site.finish(story, config)
    await house.reload()
    showing.line("simulator.demo.rules", "dim")


async def _connected(house: Menwei) -> None:
    """Every adopted door answers. Raises `StoryFailed`."""
    end = time.monotonic() + FOUND_WITHIN
    while away := [door.id for door in house.doors.views() if not door.online]:
        if time.monotonic() > end:
            raise StoryFailed("simulator.demo.not_connected", doors=", ".join(away))
        await asyncio.sleep(0.05)


async def _found(house: Menwei, wanted: set[str]) -> list[Discovered]:
    """The street's announcements. Raises `StoryFailed` when they do not come."""
    end = time.monotonic() + FOUND_WITHIN
    while missing := wanted - house.discovery.devices.keys():
        if time.monotonic() > end:
            raise StoryFailed("simulator.demo.not_found", devices=", ".join(sorted(missing)))
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
        raise StoryFailed("simulator.demo.not_empty", folder=wanted)
    yield wanted.resolve()
