"""Keeps every device's driver running: one task a device, one visible state, and patience that fits the trouble.

    PENDING → LOADING → READY → (lost) RETRYING → LOADING → …
                     ↘ FAILED: somebody must do something; tried again, slowly

A driver ends its `run` with one of three words (after Home Assistant): `NotReady` (come back later), `AuthFailed` (tell
the installer), anything else (a fault of the driver). Nothing a driver does in its task stops another one.
"""

from __future__ import annotations

import asyncio
import random
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import Any, Protocol

import structlog

from menwei.announcement import clean
from menwei.complaints import complaints
from menwei.context import AuthFailed, NotReady, Repair
from menwei.model import DeviceInfo
from menwei.plugin import Driver

log = structlog.get_logger(__name__)

LONGEST_TEXT = 500
"""Characters of what a device or its driver says in words that are kept."""


class DeviceState(StrEnum):
    """Where a device stands. The words for people are `device.state.<value>` in the catalogues."""

    PENDING = "pending"
    """In the config, not started yet."""
    LOADING = "loading"
    """`run` was called and has not said `ready` yet: connecting, reading what the device holds."""
    READY = "ready"
    """Connected; commands reach it and its reads reach us."""
    RETRYING = "retrying"
    """Unreachable or lost; tried again with back-off, sooner when it announces itself."""
    FAILED = "failed"
    """It refused the secret, or the driver is at fault: a person must look. Tried again, slowly."""


@dataclass(frozen=True, slots=True)
class Times:
    """How long the supervisor waits, in seconds. Tests make it impatient; the program uses what stands here."""

    first_retry: float = 1.0
    """A controller that restarts itself is back within seconds, and people stand at its door."""
    longest_retry: float = 60.0
    """Nobody should wait longer than a minute for a device that has come back without announcing itself."""
    fault_retry: float = 60.0
    """A bug rarely mends itself, but a door must not stay dead until somebody is called; a trace a minute fills no disk."""
    auth_retry: float = 900.0
    """Controllers lock an account after a few wrong passwords; four tries an hour stay below every limit known to us."""
    auth_wake: float = 60.0
    """Announcements are unauthenticated: a flood of them must not become a flood of wrong passwords."""
    wake: float = 1.0
    """The least time between two tries, for the same reason."""
    loading: float = 30.0
    """The slowest controllers read back their state in 20 s; longer is a connection that hangs."""
    ending: float = 5.0
    """A driver that has not ended so long after its cancellation is left behind: the shutdown does not wait for it."""


class Runs(Protocol):
    """What is kept running: a driver, or a recognizer."""

    async def run(self) -> None: ...

    def repairs(self) -> list[Repair]: ...


Ready = Callable[[DeviceInfo], None]
"""What `Reports.ready` of a device must call."""

Changed = Callable[[str, DeviceState, str], None]
"""A listener: device id, its new state, the driver's own words about it ("" when there are none)."""


@dataclass(frozen=True, slots=True)
class Supervised:
    """One device of the config.

    `make` gives a fresh driver for each attempt; what it is given must be called by the driver's `Reports.ready`.
    `settings` are only compared: a device is restarted by `replace` when they differ.
    """

    make: Callable[[Ready], Runs]
    settings: Any = None


@dataclass(slots=True)
class _Device:
    """What the supervisor knows about one device. Changed in the loop only."""

    id: str
    wanted: Supervised
    state: DeviceState = DeviceState.PENDING
    text: str = ""
    driver: Runs | None = None
    last: Runs | None = None
    info: DeviceInfo | None = None
    tries: int = 0
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Supervisor:
    """Runs the drivers of `devices`. All methods are called in the loop's thread."""

    def __init__(self, devices: Mapping[str, Supervised], times: Times | None = None) -> None:
        self._times = times or Times()
        self._devices = {id: _Device(id, wanted) for id, wanted in devices.items()}
        self._listeners: list[Changed] = []
        self._abandoned: set[asyncio.Task[None]] = set()
        self._running = False

    # ------------------------------------------------------------------------------------------------ what it shows

    def state(self, id: str) -> DeviceState:
        """Raises `KeyError` for a device that the config does not have."""
        return self._devices[id].state

    def text(self, id: str) -> str:
        """The driver's own words about the state, or what the supervisor saw; English, for the installer."""
        return self._devices[id].text

    def states(self) -> dict[str, tuple[DeviceState, str]]:
        return {device.id: (device.state, device.text) for device in self._devices.values()}

    def driver(self, id: str) -> Driver | None:
        """The driver to command, or None while the device is not READY (or not in the config)."""
        device = self._devices.get(id)
        if device is None or device.state is not DeviceState.READY:
            return None
        driver: Any = device.driver  # drivers are what runs under this supervisor
        return driver  # type: ignore[no-any-return]

    def running(self, id: str) -> Runs | None:
        """What runs as `id`, of whatever class; None while it is not READY."""
        device = self._devices.get(id)
        return device.driver if device is not None and device.state is DeviceState.READY else None

    def info(self, id: str) -> DeviceInfo | None:
        """What the device said of itself when it was last ready."""
        return self._devices[id].info

    def on_change(self, listener: Changed) -> Callable[[], None]:
        """Tell `listener` of every change of state or text. Returns what ends that."""
        self._listeners.append(listener)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return stop

    def repairs(self, what: str = "device") -> list[Repair]:
        """Devices a person should look at, and whatever their drivers say can be mended. `what` begins the keys."""
        found = []
        for device in self._devices.values():
            if device.state in (DeviceState.RETRYING, DeviceState.FAILED):
                severity = "error" if device.state is DeviceState.FAILED else "warning"
                values = {what: device.id, "detail": device.text}
                found.append(Repair(f"{what}:{device.id}", f"{what}.repair.{device.state}", values, severity))
            driver = device.driver or device.last  # the last one may know why it could not connect
            if driver is None:
                continue
            found += complaints(driver, partial(_unsaid, what, device.id))
        return found

    # -------------------------------------------------------------------------------------------------- what it does

    async def start(self) -> None:
        """Begin with every device at once; returns before any of them is ready."""
        self._running = True
        for device in self._devices.values():
            self._begin(device)

    async def stop(self) -> None:
        """End every driver, together; returns after `Times.ending` at the latest."""
        self._running = False
        await asyncio.gather(*(self._end(device) for device in self._devices.values()))

    def wake(self, id: str) -> None:
        """The device announced itself: do not wait for the back-off. Ignored for devices that are not in the config."""
        device = self._devices.get(id)
        if device is not None:
            device.woken.set()

    async def restart(self, id: str) -> None:
        """End the device's driver and begin anew, at once. Raises `KeyError` for a device the config does not have."""
        device = self._devices[id]
        await self._end(device)
        if self._running and self._devices.get(id) is device:
            self._begin(device)

    async def replace(self, devices: Mapping[str, Supervised]) -> None:
        """Take a new config: end what is gone, begin what is new, restart what differs, leave the rest alone."""
        old = self._devices
        kept = {
            id: old[id]
            for id, wanted in devices.items()
            if id in old and old[id].wanted.settings == wanted.settings
        }
        self._devices = {id: kept.get(id) or _Device(id, wanted) for id, wanted in devices.items()}
        await asyncio.gather(*(self._end(device) for id, device in old.items() if id not in kept))
        if not self._running:
            return
        for id, device in self._devices.items():
            if id not in kept:
                self._begin(device)

    # ------------------------------------------------------------------------------------------------- one device

    def _begin(self, device: _Device) -> None:
        if device.task is not None:  # two restarts at once: the other one was first
            return
        device.tries = 0
        device.woken.clear()
        device.task = asyncio.create_task(self._supervise(device), name=f"device {device.id}")

    async def _end(self, device: _Device) -> None:
        task, device.task = device.task, None
        if task is not None:
            task.cancel()
            await asyncio.wait({task})  # ends by itself: `_dismiss` waits no longer than `Times.ending`
        self._turn(device, DeviceState.PENDING)

    async def _supervise(self, device: _Device) -> None:
        while True:
            device.woken.clear()
            self._turn(device, DeviceState.LOADING)
            error = await self._attempt(device)
            device.last, device.driver = device.driver, None
            least, longest = self._judge(device, error)
            await asyncio.sleep(least)
            try:
                await asyncio.wait_for(device.woken.wait(), max(0.0, longest - least))
            except TimeoutError:
                continue

    async def _attempt(self, device: _Device) -> BaseException:
        """One life of a driver, from `run` to its end. Returns why it ended; every ending is a reason."""
        ready = asyncio.Event()
        alive = True

        def announce(info: DeviceInfo) -> None:
            if not alive:  # a driver that was left behind must not speak for its successor
                return
            device.info, device.tries = _vetted(info), 0
            ready.set()
            self._turn(device, DeviceState.READY)

        try:
            device.driver = device.wanted.make(announce)
        except (Exception, SystemExit) as error:
            return error
        run = asyncio.create_task(_run(device.driver), name=f"driver {device.id}")
        waiter = asyncio.create_task(ready.wait())
        try:
            await asyncio.wait(
                {run, waiter}, timeout=self._times.loading, return_when=asyncio.FIRST_COMPLETED
            )
            if not run.done() and not ready.is_set():
                return NotReady(f"not ready within {self._times.loading:g} s")
            await asyncio.wait({run})
        finally:
            alive = False
            waiter.cancel()
            await self._dismiss(device, run)
        if run.cancelled():
            return DriverStopped("the driver cancelled its own task")
        return run.exception() or NotReady("the driver's run() returned")

    async def _dismiss(self, device: _Device, run: asyncio.Task[None]) -> None:
        """End the driver's task, or leave it behind when it does not let itself be ended."""
        if run.done():
            return
        run.cancel()
        await asyncio.wait({run}, timeout=self._times.ending)
        if run.done():
            if not run.cancelled() and (error := run.exception()) is not None:
                log.warning("the driver failed while it was ended", device=device.id, error=_describe(error))
            return
        self._abandoned.add(run)  # asyncio holds tasks weakly
        run.add_done_callback(self._forget)
        log.error(
            "the driver ignores its cancellation and is left behind",
            device=device.id,
            seconds=self._times.ending,
        )

    def _forget(self, run: asyncio.Task[None]) -> None:
        self._abandoned.discard(run)
        if not run.cancelled():
            run.exception()

    def _judge(self, device: _Device, error: BaseException) -> tuple[float, float]:
        """What an ending means: turns the state and returns how long to wait at least, and without being woken."""
        times = self._times
        if isinstance(error, AuthFailed):
            log.error("device refused the secret", device=device.id, error=str(error))
            self._turn(device, DeviceState.FAILED, str(error) or "the device refused the secret")
            return times.auth_wake, times.auth_retry
        if not isinstance(error, NotReady):
            log.error("driver failed", device=device.id, error=_describe(error), trace=_trace(error))
            self._turn(device, DeviceState.FAILED, _describe(error))
            return times.wake, times.fault_retry
        # Jitter: after a power cut all controllers of a site are lost, and must not be asked again in one moment.
        delay = min(times.longest_retry, times.first_retry * 2**device.tries) * random.uniform(0.5, 1.0)  # noqa: S311
        device.tries = min(device.tries + 1, 16)
        if device.tries == 1:
            log.warning("device is not ready", device=device.id, error=str(error))
        self._turn(device, DeviceState.RETRYING, str(error))
        return min(times.wake, delay), delay

    def _turn(self, device: _Device, state: DeviceState, text: str = "") -> None:
        text = clean(text, LONGEST_TEXT)
        if (device.state, device.text) == (state, text):
            return
        device.state, device.text = state, text
        if state is DeviceState.READY:
            log.info("device is ready", device=device.id)
        for listener in list(self._listeners):
            try:
                listener(device.id, state, text)
            except Exception as error:
                log.error(
                    "a listener to device states failed",
                    device=device.id,
                    error=_describe(error),
                    trace=_trace(error),
                )


def _vetted(info: DeviceInfo) -> DeviceInfo:
    """What a device says of itself, fit to be shown. Raises `TypeError`, in the driver, for what is no `DeviceInfo`."""
    if not isinstance(info, DeviceInfo):
        raise TypeError(f"ready() takes a DeviceInfo, not {type(info).__name__}")
    parts = {name: getattr(info, name) for name in ("locks", "readers", "documents", "cardless")}
    for name, part in parts.items():
        if not isinstance(part, tuple | list) or not all(isinstance(one, str) for one in part):
            raise TypeError(f"DeviceInfo.{name} is a tuple of names")
    return replace(
        info,
        id=clean(info.id),
        model=clean(info.model),
        version=clean(info.version),
        details={clean(key): clean(value, LONGEST_TEXT) for key, value in info.details.items()},
        **{name: tuple(clean(one) for one in part) for name, part in parts.items()},
    )


def _unsaid(what: str, id: str, why: str) -> Repair:
    return Repair(f"repairs:{what}:{id}", f"{what}.repair.repairs", {what: id, "detail": why})


class DriverStopped(Exception):
    """A driver ended its task with `SystemExit` or a stray `CancelledError`: a fault of the driver, not a shutdown."""


async def _run(driver: Runs) -> None:
    """`driver.run()`, but with `SystemExit` made an error: left alone, it would end the whole loop."""
    try:
        await driver.run()
    except SystemExit as error:
        raise DriverStopped(f"the driver called sys.exit({error.code!r})") from error
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or not task.cancelling():
            raise DriverStopped("the driver raised CancelledError by itself") from error
        raise


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _trace(error: BaseException) -> str:
    """Without the values of local variables: among them are card numbers."""
    return "".join(traceback.format_exception(error))
