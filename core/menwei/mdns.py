"""mDNS: the one zeroconf instance of the process, and the finder that reads the manifests of installed plugins.

Every instance of zeroconf has its own sockets, cache and traffic, so there is one, and nobody but its owner can close
it. Questions are always QM (multicast answers wanted): of several responders on one host only one gets a unicast
answer's port, and QU questions found 0 to 2 of 4 devices where QM found all.

Source: RFC 6762 (Multicast DNS) 5.4, RFC 6763 (DNS-Based Service Discovery).
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import ifaddr
import structlog
from zeroconf import (
    DNSQuestionType,
    InterfaceChoice,
    RecordUpdate,
    RecordUpdateListener,
    ServiceStateChange,
    Zeroconf,
)
from zeroconf import Error as ZeroconfError
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from menwei.announcement import Service, describe
from menwei.context import Repair
from menwei.manifest import ZeroconfRule
from menwei.plugin import Finder
from menwei.reports import Propose

log = structlog.get_logger(__name__)

RESOLVE_TIME = 3000
"""Milliseconds to ask for a service's address: three questions, as the standard spaces them."""
RESOLVERS = 8
"""Services resolved at a time; a street that comes back after a power cut announces itself all at once."""
PTR = 12
"""The record that says "there is one of these" (RFC 1035, 3.2.2)."""
MOST_WAITING = 1000
"""Services waiting to be resolved; more is a flood, and what is dropped announces itself again."""


class SharedZeroconf(AsyncZeroconf):
    """The instance everybody shares. It can be handed to libraries that close what they are given: closing, and
    everything else that would end what others do with it, only leaves a line in the log."""

    def __init__(self, interfaces: Sequence[str]) -> None:
        """`interfaces` are addresses, empty for all. Raises `OSError` or `RuntimeError` when there is none to use."""
        super().__init__(zc=_Unclosable(interfaces=list(interfaces) or InterfaceChoice.All))
        self._ours = False

    async def close_for_all(self) -> None:
        """The owner's close."""
        self._ours = True
        await super().async_close()

    async def async_close(self) -> None:
        _refuse("async_close")

    async def async_remove_all_service_listeners(self) -> None:
        if not self._ours:
            return _refuse("async_remove_all_service_listeners")
        return await super().async_remove_all_service_listeners()

    async def async_unregister_all_services(self) -> None:
        if not self._ours:
            return _refuse("async_unregister_all_services")
        return await super().async_unregister_all_services()


class _Unclosable(Zeroconf):
    def close(self) -> None:
        _refuse("close")


def _refuse(what: str) -> None:
    log.warning(
        "zeroconf is shared by the whole program; a plugin's call was ignored", call=what, stack_info=True
    )


# -------------------------------------------------------------------------------------------------------- interfaces


@dataclass(frozen=True, slots=True)
class Interfaces:
    """What of the configured interfaces can be used now, and a sentence for each that cannot."""

    addresses: tuple[str, ...]
    """Empty with `any_usable`: all of them."""
    any_usable: bool
    repairs: tuple[Repair, ...] = ()


def look_at_interfaces(asked: Sequence[str]) -> Interfaces:
    """Check the configured addresses (empty: all) against those this machine has at this moment."""
    present = {
        str(ip.ip if ip.is_IPv4 else ip.ip[0]): adapter.name
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
    }
    up = [address for address, adapter in present.items() if is_up(adapter)]
    if not asked:
        lone = () if up else (Repair("discovery:interfaces", "discovery.no_interface", {}, "error"),)
        return Interfaces((), bool(up), lone)
    repairs = []
    for address in asked:
        if address in up:
            continue
        if address.startswith("127.") and not is_up("lo"):
            repairs.append(
                Repair(f"discovery:{address}", "discovery.loopback_down", {"address": address}, "error")
            )
        else:
            values = {"address": address, "present": ", ".join(up) or "–"}
            repairs.append(Repair(f"discovery:{address}", "discovery.no_address", values, "error"))
    usable = tuple(address for address in asked if address in up)
    return Interfaces(usable, bool(usable), tuple(repairs))


SIOCGIFFLAGS = 0x8913
IFF_UP = 0x1


def is_up(interface: str) -> bool:
    """Whether a network interface is switched on. In a fresh network namespace not even `lo` is."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            answer = fcntl.ioctl(any_socket, SIOCGIFFLAGS, struct.pack("256s", interface.encode()[:15]))
        except OSError:
            return False
    return bool(struct.unpack_from("H", answer, 16)[0] & IFF_UP)


# -------------------------------------------------------------------------------------------------------- the finder


class MdnsFinder(Finder):
    """Proposes what announces itself as the installed manifests describe. It asks and listens; it never connects.

    `gone` is called with a device's id when its announcement was withdrawn or ran out. An unchanged announcement is
    proposed again: it is how a device that lost its power says that it is back.
    """

    name = "mdns"

    def __init__(
        self,
        zeroconf: AsyncZeroconf,
        rules: Iterable[ZeroconfRule],
        loopback: bool = False,
        gone: Callable[[str], None] = lambda _id: None,
    ) -> None:
        self._zeroconf = zeroconf.zeroconf
        self._rules = tuple(rules)
        self._loopback = loopback
        self._gone = gone
        self._queue: asyncio.Queue[tuple[str, str]] = asyncio.Queue(MOST_WAITING)
        self._waiting: set[tuple[str, str]] = set()
        self._owners: dict[str, tuple[str, str]] = {}

    async def find(self, propose: Propose) -> None:
        types = sorted({rule.type for rule in self._rules})
        if not types:
            await asyncio.Event().wait()
        heard = _Announcements({kind.lower(): kind for kind in types}, self._heard)
        self._zeroconf.async_add_listener(heard, None)
        browser = AsyncServiceBrowser(
            self._zeroconf, types, handlers=[self._changed], question_type=DNSQuestionType.QM
        )
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(RESOLVERS):
                    group.create_task(self._resolve_all(propose))
        finally:
            self._zeroconf.async_remove_listener(heard)
            await browser.async_cancel()

    def _changed(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        if state_change is not ServiceStateChange.Removed:
            self._heard(service_type, name)
            return
        for id in [id for id, (owner, _) in self._owners.items() if owner == name]:
            del self._owners[id]
            self._gone(id)

    def _heard(self, service_type: str, name: str) -> None:
        key = (service_type, name)
        if key in self._waiting:
            return
        try:
            self._queue.put_nowait(key)
        except asyncio.QueueFull:
            log.warning("more announcements than can be looked at; some are left out", waiting=MOST_WAITING)
            return
        self._waiting.add(key)

    async def _resolve_all(self, propose: Propose) -> None:
        while True:
            key = await self._queue.get()
            self._waiting.discard(key)
            try:
                service = await self._resolve(*key)
            except (ZeroconfError, OSError, ValueError) as error:
                log.warning(
                    "an announcement that cannot be read",
                    type=key[0],
                    error=f"{type(error).__name__}: {error}",
                )
                continue
            if service is not None:
                self._propose(propose, key, service)

    async def _resolve(self, service_type: str, name: str) -> Service | None:
        info = AsyncServiceInfo(service_type, name)
        if not info.load_from_cache(self._zeroconf) and not await info.async_request(
            self._zeroconf, RESOLVE_TIME, DNSQuestionType.QM
        ):
            log.info("a service that does not say where it is", type=service_type)
            return None
        addresses = info.parsed_scoped_addresses()
        return Service.of(
            service_type, name, info.server, addresses, info.port, info.properties, self._loopback
        )

    def _propose(self, propose: Propose, key: tuple[str, str], service: Service) -> None:
        service_type, name = key
        for rule in self._rules:
            if rule.type != service_type or (device := describe(rule, service, self.name)) is None:
                continue
            owner, address = self._owners.get(device.id, (name, device.address))
            if owner != name and address != device.address:
                # Whoever was first keeps the id: else anyone could put himself in the place of a known device.
                log.warning(
                    "two services say they are the same device",
                    device=device.id,
                    first=address,
                    second=device.address,
                )
                continue
            self._owners[device.id] = (name, device.address)
            propose(device)


class _Announcements(RecordUpdateListener):
    """Hears announcements whose records have not changed; the browser is silent about those."""

    def __init__(self, types: dict[str, str], heard: Callable[[str, str], None]) -> None:
        self._types = types
        self._tell = heard

    def async_update_records(self, zc: Zeroconf, now: float, records: list[RecordUpdate]) -> None:
        for update in records:
            record: Any = update.new
            if record.type == PTR and record.key in self._types and not record.is_expired(now):
                self._tell(self._types[record.key], record.alias)
