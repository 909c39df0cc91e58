"""Which devices somebody could adopt, from every finder: mDNS by the manifests of installed plugins, and the finders of
configured plugins. Finders propose; nothing connects by itself.

Discovery is a help and never a condition: whatever goes wrong here is a repair for the installer, and the doors that
are configured work on.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import Any

import structlog

from menwei.announcement import clean, config_id, vetted
from menwei.context import Repair
from menwei.manifest import Manifest, available
from menwei.mdns import Interfaces, MdnsFinder, SharedZeroconf, look_at_interfaces
from menwei.plugin import Finder
from menwei.reports import Discovered

log = structlog.get_logger(__name__)

MOST_DEVICES = 1000
"""A village of a thousand devices is larger than any we know; more is somebody filling the list."""
RETRY = 30.0
"""Seconds until interfaces that were missing, or a finder that failed, are tried again."""
ENDING = 5.0
"""Seconds a finder may take to end; one that takes longer is left behind."""


class Change(StrEnum):
    """What happened to a device in the list."""

    FOUND = "found"
    CHANGED = "changed"
    GONE = "gone"


Listener = Callable[[Change, Discovered], None]


class Discovery:
    """The list of devices that announce themselves or were found.

    `interfaces` are the configured addresses, empty for all. `finders` are the classes of *configured* plugins,
    `manifests` (`manifest.available()` unless given) those of all *installed* ones. `wake` is called with the
    config id of a device each time it is seen: the supervisor's `wake`. `now` is the clock for `last_seen`, seconds
    since the epoch.
    """

    def __init__(
        self,
        interfaces: Sequence[str],
        finders: Iterable[type[Finder]] = (),
        manifests: Mapping[str, Manifest] | None = None,
        wake: Callable[[str], None] = lambda _id: None,
        now: Callable[[], float] = time.time,
        retry: float = RETRY,
    ) -> None:
        self._asked = tuple(interfaces)
        known = available() if manifests is None else manifests
        self._rules = [rule for manifest in known.values() for rule in manifest.discovers.zeroconf]
        self._finders = tuple(finders)
        self._wake = wake
        self._now = now
        self._retry = retry
        self._claims: dict[str, dict[str, Discovered]] = {}
        self._merged: dict[str, Discovered] = {}
        self._listeners: list[Listener] = []
        self._troubles: dict[str, tuple[Repair, ...]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._full = False
        self.zeroconf: SharedZeroconf | None = None
        """The shared instance, for drivers that want one; None while no interface can be used."""
        self.last_seen: dict[str, float] = {}

    @property
    def devices(self) -> dict[str, Discovered]:
        """What is known now, by device id; what two finders saw is one."""
        return dict(self._merged)

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` of what comes, changes and goes. Returns what ends that."""
        self._listeners.append(listener)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return stop

    def repairs(self) -> list[Repair]:
        """Interfaces that cannot be used and finders that fail, for the installer."""
        return [repair for repairs in self._troubles.values() for repair in repairs]

    async def start(self) -> None:
        """Begin to look. Returns at once; interfaces that cannot be used are in `repairs()` then, and tried again."""
        interfaces = self._open()
        self._begin(self._run_mdns(interfaces), "finder mdns")
        for cls in self._finders:
            self._begin(self._run(cls.name, partial(cls, self._asked)), f"finder {cls.name}")

    async def stop(self) -> None:
        """End every finder and close the shared zeroconf."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            _, slow = await asyncio.wait(self._tasks, timeout=ENDING)
            for task in slow:
                log.error("the finder ignores its cancellation and is left behind", finder=task.get_name())
        if self.zeroconf is not None:
            shared, self.zeroconf = self.zeroconf, None
            await shared.close_for_all()

    # --------------------------------------------------------------------------------------------------- the finders

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _open(self) -> Interfaces:
        """Open the shared zeroconf if any interface can be used, and say of the others why not."""
        interfaces = look_at_interfaces(self._asked)
        repairs = interfaces.repairs
        if interfaces.any_usable:
            try:
                self.zeroconf = SharedZeroconf(interfaces.addresses)
            except (OSError, RuntimeError) as error:
                values = {"detail": clean(str(error))}
                repairs = (*repairs, Repair("discovery:mdns", "discovery.cannot_listen", values, "error"))
        if repairs and repairs != self._troubles.get("mdns"):
            log.warning(
                "mDNS cannot use every interface",
                repairs=[f"{repair.message} {dict(repair.values)}" for repair in repairs],
            )
        self._troubles["mdns"] = repairs
        return interfaces

    async def _run_mdns(self, interfaces: Interfaces) -> None:
        while self.zeroconf is None:
            await asyncio.sleep(self._retry)
            interfaces = self._open()
        # Addresses of this machine count only where the site says that its devices are here.
        loopback = any(ipaddress.ip_address(address).is_loopback for address in interfaces.addresses)
        shared = self.zeroconf
        await self._run(
            MdnsFinder.name, lambda: MdnsFinder(shared, self._rules, loopback, self._withdrawn), keep=True
        )

    async def _run(self, name: str, make: Callable[[], Finder], keep: bool = False) -> None:
        """Run one finder for good. `keep` leaves what is known about its interfaces in the repairs."""
        while True:
            try:
                await make().find(lambda device: self._proposed(name, device))
                text = "it ended by itself"
            except (Exception, SystemExit) as error:
                text = f"{type(error).__name__}: {error}"
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                text = "it raised CancelledError by itself"
            log.error("finder failed", finder=name, error=text, again_in=self._retry)
            known = self._troubles.get(name, ()) if keep else ()
            trouble = Repair(
                f"finder:{name}", "discovery.finder_failed", {"finder": name, "detail": clean(text)}
            )
            self._troubles[name] = (*(repair for repair in known if repair.key != trouble.key), trouble)
            await asyncio.sleep(self._retry)
            self._troubles[name] = tuple(
                repair for repair in self._troubles[name] if repair.key != trouble.key
            )

    # ---------------------------------------------------------------------------------------------------- the devices

    def _proposed(self, finder: str, device: Discovered) -> None:
        """A finder saw a device. Raises `TypeError` in the finder for what is no `Discovered`."""
        if not isinstance(device, Discovered):
            raise TypeError(f"propose() wants a Discovered, not {type(device).__name__}")
        seen = vetted(replace(device, finder=finder))
        if seen is None:
            log.warning(
                "a device whose id or driver cannot stand in a config",
                finder=finder,
                device=clean(str(device.id), 80),
            )
            return
        if seen.id not in self._claims and len(self._claims) >= MOST_DEVICES:
            if not self._full:
                self._full = True
                log.error("more devices than the list holds; new ones are left out", most=MOST_DEVICES)
            return
        self._claims.setdefault(seen.id, {})[finder] = seen
        self.last_seen[seen.id] = self._now()
        self._settle(seen.id)
        self._tell(lambda: self._wake(config_id(seen.id)))

    def _withdrawn(self, id: str) -> None:
        self._claims.get(id, {}).pop(MdnsFinder.name, None)
        self._settle(id)

    def _settle(self, id: str) -> None:
        """Make one device of what the finders say about `id`, and tell when it is new, different or gone."""
        before = self._merged.get(id)
        claims = self._claims.get(id)
        if not claims:
            self._claims.pop(id, None)
            self._full = False
            if before is not None:
                del self._merged[id]
                self._say(Change.GONE, before)
            return
        after = merge(list(claims.values()))
        if after == before:
            return
        self._merged[id] = after
        self._say(Change.FOUND if before is None else Change.CHANGED, after)

    def _say(self, change: Change, device: Discovered) -> None:
        for listener in list(self._listeners):
            self._tell(lambda listener=listener: listener(change, device))  # type: ignore[misc]

    def _tell(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception as error:
            log.error("a listener to discovery failed", error=f"{type(error).__name__}: {error}")


def merge(claims: Sequence[Discovered]) -> Discovered:
    """One device from what several finders say of it: the first one's word counts, the others fill what it leaves out.

    A finder that takes it for another driver's device adds its name, and nothing of its settings.
    """
    first = claims[0]
    alike = [claim for claim in claims if claim.driver == first.driver]
    config = {key: value for claim in reversed(alike) for key, value in claim.config.items()}
    properties = {key: value for claim in reversed(alike) for key, value in claim.properties.items()}
    finder = "+".join(claim.finder for claim in claims)
    return replace(first, config=config, properties=properties, finder=finder)
