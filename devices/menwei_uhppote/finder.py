"""Finds boards by broadcast, on the interfaces that the config chose."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from typing import ClassVar, Final

import ifaddr
from uhppoted import encode
from uhppoted.codec import GET_CONTROLLER

from menwei import Discovered, Finder, NotReady, Propose
from menwei_uhppote.board import Identity, identity
from menwei_uhppote.settings import PORT, doors_of
from menwei_uhppote.wire import meant

EVERY: Final = 10.0
"""Seconds between two calls: somebody who connects a board should see it soon, and boards answer all at once."""


class UhppoteFinder(Finder):
    """Calls get-controller to everybody and proposes who answers. Nothing is set on a board."""

    name: ClassVar[str] = "uhppote"
    port: ClassVar[int] = PORT

    async def find(self, propose: Propose) -> None:
        calls = broadcasts(self.interfaces)
        if not calls:
            raise NotReady("no IPv4 interface to call boards on")
        callers: list[asyncio.DatagramTransport] = []
        try:
            for address, _ in calls:
                callers.append(
                    await _caller(address, lambda packet, host: self._answered(packet, host, propose))
                )
            while True:
                for caller, (_, everybody) in zip(callers, calls, strict=True):
                    caller.sendto(bytes(encode.get_controller_request(0)), (everybody, self.port))
                await asyncio.sleep(EVERY)
        except OSError as error:
            raise NotReady(f"cannot call boards: {error.strerror or error}") from error
        finally:
            for caller in callers:
                caller.close()

    def _answered(self, packet: bytes, host: str, propose: Propose) -> None:
        if not meant(packet, 0, GET_CONTROLLER):
            return
        try:
            found = identity(packet)
        except ValueError:
            return
        if found.serial:
            propose(proposal(found, host, self.port))


def proposal(board: Identity, host: str, port: int = PORT) -> Discovered:
    """`host` is where its answer came from; what the board believes to be its address may be of another network."""
    doors = doors_of(board.serial)
    config: dict[str, object] = {"serial": board.serial, "host": host}
    return Discovered(
        id=f"uhppote-{board.serial}",
        driver="uhppote",
        title=f"UHPPOTE UT0311-L0{doors} {board.serial}",
        address=host,
        finder="uhppote",
        config=config if port == PORT else config | {"port": port},
        properties={
            "serial": str(board.serial),
            "mac": board.mac,
            "version": board.version,
            "doors": str(doors),
        },
    )


def broadcasts(interfaces: tuple[str, ...]) -> list[tuple[str, str]]:
    """(own address, everybody's address) of each interface; of all but loopback when none is chosen."""
    found = []
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            if not ip.is_IPv4 or (interfaces and ip.ip not in interfaces):
                continue
            network = ipaddress.IPv4Interface(f"{ip.ip}/{ip.network_prefix}")
            if network.network.prefixlen < 31 and (interfaces or not network.is_loopback):
                found.append((str(ip.ip), str(network.network.broadcast_address)))
    return found


async def _caller(address: str, answered: Callable[[bytes, str], None]) -> asyncio.DatagramTransport:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Answers(answered), local_addr=(address, 0), allow_broadcast=True
    )
    return transport


class _Answers(asyncio.DatagramProtocol):
    def __init__(self, answered: Callable[[bytes, str], None]) -> None:
        self._answered = answered

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._answered(data, addr[0])

    def error_received(self, exc: Exception) -> None:
        """A network that is not there now; the next call may find it."""
