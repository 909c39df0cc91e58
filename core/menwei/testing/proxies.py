"""Bad wires on loopback: what stands between a driver and its peer when the network or the cable is faulty.

    async with TcpProxy((peer.host, peer.port), seed=7) as wire:
        driver = connect(*wire.address)
        wire.to_host.faults = Faults(delay=0.2, garble=0.01)
        wire.cut()

What happens to the n-th unit of a direction depends on the seed, the direction and n alone, never on time: a test that
failed fails again. A unit is a datagram (UDP), what one read gave (TCP, serial), or what `units` cuts the stream into.
"""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from menwei.testing.lanes import Fate, Faults, Lane, Units, as_read, fate, garble, lines

Address = tuple[str, int]

READ_SIZE: Final = 64 * 1024
MAX_FLOWS: Final = 256
"""Hosts' sockets that one UDP proxy remembers; a client that opens one for each request must not use up ours."""


class Proxy:
    """A wire with two lanes, `to_device` and `to_host`. Use it as an async context manager."""

    def __init__(self, seed: int, *, ordered: bool) -> None:
        self.to_device = Lane(f"{seed}/to-device", ordered=ordered)
        self.to_host = Lane(f"{seed}/to-host", ordered=ordered)

    def cut(self) -> None:
        """Pull the cable: both directions are silent, nobody is told."""
        self.to_device.cut()
        self.to_host.cut()

    def mend(self) -> None:
        """Plug it in again."""
        self.to_device.mend()
        self.to_host.mend()

    async def open(self) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        self.to_device.forget()
        self.to_host.forget()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class TcpProxy(Proxy):
    """Listens on `address` and connects on to `target` for each host that comes."""

    def __init__(self, target: Address, *, seed: int = 0, units: Units = as_read) -> None:
        super().__init__(seed, ordered=True)
        self.target = target
        self.address: Address = ("127.0.0.1", 0)
        self._units = units
        self._server: asyncio.Server | None = None
        self._flows: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._connected, *self.address)
        self.address = self._server.sockets[0].getsockname()[:2]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        self.reset()
        if self._flows:
            await asyncio.wait(set(self._flows), timeout=5)
        await super().close()

    def reset(self) -> None:
        """End every connection without a word; what is on the way is lost."""
        self.to_device.forget()
        self.to_host.forget()
        for writers in self._flows.values():
            for writer in writers:
                writer.transport.abort()

    def inject(self, data: bytes) -> None:
        """Send bytes to every connected host, as if the device had."""
        for host, *_ in self._flows.values():
            _write(host)(data)

    async def _connected(self, from_host: asyncio.StreamReader, to_host: asyncio.StreamWriter) -> None:
        flow = asyncio.current_task()
        assert flow is not None
        self._flows[flow] = [to_host]
        try:
            from_device, to_device = await asyncio.open_connection(*self.target)
        except OSError:  # the device is not there: the host finds its connection closed
            to_host.transport.abort()
            del self._flows[flow]
            return
        self._flows[flow].append(to_device)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(from_host, self.to_device, to_device))
                both.create_task(self._pump(from_device, self.to_host, to_host))
        finally:
            to_host.transport.abort()
            to_device.transport.abort()
            del self._flows[flow]

    async def _pump(self, source: asyncio.StreamReader, lane: Lane, sink: asyncio.StreamWriter) -> None:
        """Until one end closes; then both are closed, as a TCP proxy without half-open connections does."""
        buffer = bytearray()
        deliver = _write(sink)
        try:
            while data := await source.read(READ_SIZE):
                buffer += data
                for unit in self._units(buffer):
                    lane.carry(unit, deliver)
        except ConnectionError:
            sink.transport.abort()
            return
        sink.close()


def _write(writer: asyncio.StreamWriter) -> Callable[[bytes], None]:
    def deliver(data: bytes) -> None:
        if not writer.is_closing():
            writer.write(data)

    return deliver


class UdpProxy(Proxy):
    """Takes datagrams at `address` and sends them on to `target`; answers find their way back to who asked."""

    def __init__(self, target: Address, *, seed: int = 0) -> None:
        super().__init__(seed, ordered=False)
        self.target = target
        self.address: Address = ("127.0.0.1", 0)
        self._door: asyncio.DatagramTransport | None = None
        self._flows: dict[Address, asyncio.DatagramTransport] = {}
        self._opening: dict[Address, list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._door, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self._from_host), local_addr=self.address
        )
        self.address = self._door.get_extra_info("sockname")[:2]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for flow in self._flows.values():
            flow.close()
        self._flows.clear()
        if self._door is not None:
            self._door.close()
        await super().close()

    def inject(self, data: bytes) -> None:
        """Send one datagram to every host that ever asked, as if the device had."""
        for host in self._flows:
            self._deliver(host)(data)

    def _from_host(self, data: bytes, host: Address) -> None:
        if host in self._flows:
            self._carry_on(data, self._flows[host])
        elif host in self._opening:
            self._opening[host].append(data)
        else:
            self._opening[host] = [data]
            task = asyncio.get_running_loop().create_task(self._flow(host))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _flow(self, host: Address) -> None:
        def answer(data: bytes, _device: Address) -> None:
            self.to_host.carry(data, self._deliver(host))

        loop = asyncio.get_running_loop()
        flow, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(answer), local_addr=("127.0.0.1", 0))
        if len(self._flows) >= MAX_FLOWS:
            self._flows.pop(next(iter(self._flows))).close()
        self._flows[host] = flow
        for data in self._opening.pop(host):
            self._carry_on(data, flow)

    def _carry_on(self, data: bytes, flow: asyncio.DatagramTransport) -> None:
        self.to_device.carry(data, partial(_send, flow, self.target))

    def _deliver(self, host: Address) -> Callable[[bytes], None]:
        door = self._door
        assert door is not None
        return partial(_send, door, host)


def _send(socket: asyncio.DatagramTransport, to: Address, data: bytes) -> None:
    if not socket.is_closing():
        socket.sendto(data, to)


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes, Address], None]) -> None:
        self._received = received

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._received(data, addr[:2])


class SerialProxy(Proxy):
    """A serial cable: two pseudo-terminals. The driver opens `host_path`, the peer `device_path`.

    A terminal has no speed of its own: `Faults(rate=11520)` is 115200 baud. What one side does not read in time is
    lost, as at a UART.
    """

    def __init__(self, *, seed: int = 0, units: Units = as_read) -> None:
        super().__init__(seed, ordered=True)
        self.host_path = ""
        self.device_path = ""
        self.overrun = 0
        """Bytes lost because the other side did not read."""
        self._units = units
        self._fds: list[int] = []
        self._masters: list[int] = []

    async def open(self) -> None:
        host = self._terminal()
        device = self._terminal()
        self._masters = [host[0], device[0]]
        self.host_path, self.device_path = os.ttyname(host[1]), os.ttyname(device[1])
        self._join(host[0], device[0], self.to_device)
        self._join(device[0], host[0], self.to_host)

    async def close(self) -> None:
        self.unplug()
        await super().close()

    def unplug(self) -> None:
        """The adapter is pulled out of the machine: whoever has it open gets an error. It does not come back."""
        for master in self._masters:
            asyncio.get_running_loop().remove_reader(master)
        for fd in self._fds:
            os.close(fd)
        self._fds.clear()
        self._masters.clear()

    def inject(self, data: bytes) -> None:
        """Send bytes to the host, as if the device had."""
        self._write(self._masters[0], data)

    def _terminal(self) -> tuple[int, int]:
        """Both ends stay open here, so that neither side's closing is an error of the other's."""
        master, slave = os.openpty()
        self._fds += [master, slave]
        tty.setraw(slave)
        os.set_blocking(master, False)
        return master, slave

    def _join(self, source: int, sink: int, lane: Lane) -> None:
        buffer = bytearray()

        def readable() -> None:
            buffer.extend(os.read(source, READ_SIZE))
            for unit in self._units(buffer):
                lane.carry(unit, lambda data: self._write(sink, data))

        asyncio.get_running_loop().add_reader(source, readable)

    def _write(self, sink: int, data: bytes) -> None:
        if sink not in self._masters:
            return
        try:
            written = os.write(sink, data)
        except BlockingIOError:
            written = 0
        self.overrun += len(data) - written


__all__ = [
    "Fate",
    "Faults",
    "Lane",
    "Proxy",
    "SerialProxy",
    "TcpProxy",
    "UdpProxy",
    "as_read",
    "fate",
    "garble",
    "lines",
]
