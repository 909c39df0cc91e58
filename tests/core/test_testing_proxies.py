"""The faulty wires of `menwei.testing.proxies`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menwei.testing.proxies import Faults, SerialProxy, TcpProxy, UdpProxy, fate, lines
from waiting import until

BOUND = 10.0
ALWAYS = 1.0


# ------------------------------------------------------------------------------------------------------------- fates


@given(st.text(max_size=8), st.integers(0, 1000), st.binary(max_size=100))
def test_a_sound_wire_changes_nothing(seed: str, number: int, unit: bytes) -> None:
    what = fate(seed, number, unit, Faults())
    assert (what.copies, what.late, what.overtaken) == ((unit,), 0.0, False)


@given(st.integers(0, 1000), st.binary(min_size=1, max_size=100))
def test_the_same_seed_has_the_same_fate(number: int, unit: bytes) -> None:
    faults = Faults(drop=0.3, duplicate=0.3, garble=0.5, reorder=0.3, jitter=1.0)
    assert fate("7", number, unit, faults) == fate("7", number, unit, faults)


def test_another_seed_has_another_fate() -> None:
    faults = Faults(drop=0.5)
    fates = [[fate(seed, n, b"x", faults).copies for n in range(64)] for seed in ("1", "2")]
    assert fates[0] != fates[1]


def test_what_is_dropped_does_not_depend_on_the_other_faults() -> None:
    alone = [not fate("1", n, b"x", Faults(drop=0.3)).copies for n in range(200)]
    amid = [not fate("1", n, b"x", Faults(drop=0.3, garble=1.0, duplicate=0.5)).copies for n in range(200)]
    assert alone == amid
    assert 30 <= sum(alone) <= 90


@given(st.integers(0, 1000), st.binary(min_size=1, max_size=100))
def test_a_garbled_unit_is_another_one_of_the_same_length(number: int, unit: bytes) -> None:
    (copy,) = fate("1", number, unit, Faults(garble=ALWAYS)).copies
    assert copy != unit
    assert len(copy) == len(unit)


# --------------------------------------------------------------------------------------------------------------- TCP


class Echo:
    """A TCP peer that answers each chunk with itself and keeps what it heard."""

    def __init__(self) -> None:
        self.heard = b""
        self.connections = 0
        self._server: asyncio.Server | None = None
        self.address = ("127.0.0.1", 0)

    async def __aenter__(self) -> Echo:
        self._server = await asyncio.start_server(self._serve, *self.address)
        self.address = self._server.sockets[0].getsockname()[:2]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while data := await reader.read(1000):
                self.heard += data
                writer.write(data)
        except ConnectionError:
            pass
        writer.close()


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    async with Echo() as peer:
        yield peer


async def test_tcp_passes_both_ways(echo: Echo) -> None:
    async with TcpProxy(echo.address) as wire:
        reader, writer = await asyncio.open_connection(*wire.address)
        writer.write(b"open sesame")
        assert await asyncio.wait_for(reader.readexactly(11), BOUND) == b"open sesame"
        writer.close()


async def test_a_cut_tcp_wire_keeps_the_connection_and_delivers_late(echo: Echo) -> None:
    async with TcpProxy(echo.address) as wire:
        reader, writer = await asyncio.open_connection(*wire.address)
        writer.write(b"1")
        await asyncio.wait_for(reader.readexactly(1), BOUND)
        wire.cut()
        writer.write(b"2")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.2)
        assert echo.heard == b"1"
        wire.mend()
        assert await asyncio.wait_for(reader.readexactly(1), BOUND) == b"2"
        writer.close()


async def test_a_reset_ends_both_connections(echo: Echo) -> None:
    async with TcpProxy(echo.address) as wire:
        reader, writer = await asyncio.open_connection(*wire.address)
        writer.write(b"1")
        await asyncio.wait_for(reader.readexactly(1), BOUND)
        wire.reset()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), BOUND)
        writer.close()


async def test_a_host_whose_device_is_away_finds_its_connection_closed() -> None:
    async with Echo() as gone:
        address = gone.address
    async with TcpProxy(address) as wire:
        reader, writer = await asyncio.open_connection(*wire.address)
        with contextlib.suppress(ConnectionResetError):
            assert await asyncio.wait_for(reader.read(1), BOUND) == b""
        writer.close()


async def test_lines_are_doubled_and_overtaken_whole(echo: Echo) -> None:
    async with TcpProxy(echo.address, units=lines) as wire:
        _, writer = await asyncio.open_connection(*wire.address)
        wire.to_device.faults = Faults(duplicate=ALWAYS)
        writer.write(b"a\nb\n")
        await until(lambda: len(echo.heard) == 8)
        assert echo.heard == b"a\na\nb\nb\n"
        wire.to_device.faults = Faults(reorder=ALWAYS)
        writer.write(b"c\nd\n")
        await until(lambda: len(echo.heard) == 12)
        assert echo.heard[8:] == b"d\nc\n"
        writer.close()


async def test_an_overtaken_unit_with_nothing_behind_it_still_arrives(echo: Echo) -> None:
    async with TcpProxy(echo.address) as wire:
        _, writer = await asyncio.open_connection(*wire.address)
        wire.to_device.faults = Faults(reorder=ALWAYS)
        writer.write(b"last")
        await until(lambda: echo.heard == b"last")
        writer.close()


async def test_a_delayed_stream_keeps_its_order(echo: Echo) -> None:
    async with TcpProxy(echo.address, units=lines) as wire:
        _, writer = await asyncio.open_connection(*wire.address)
        wire.to_device.faults = Faults(delay=0.05, jitter=0.1)
        writer.write(b"".join(b"%d\n" % n for n in range(20)))
        await until(lambda: echo.heard.count(b"\n") == 20)
        assert echo.heard == b"".join(b"%d\n" % n for n in range(20))
        writer.close()


async def test_a_throttle_makes_bytes_wait_for_each_other(echo: Echo) -> None:
    async with TcpProxy(echo.address, units=lines) as wire:
        _, writer = await asyncio.open_connection(*wire.address)
        wire.to_device.faults = Faults(rate=100)
        began = time.monotonic()
        writer.write(b"123456789\n" * 3)
        await until(lambda: len(echo.heard) == 30)
        assert time.monotonic() - began >= 0.25
        writer.close()


async def test_injected_bytes_reach_the_host_alone(echo: Echo) -> None:
    async with TcpProxy(echo.address) as wire:
        reader, writer = await asyncio.open_connection(*wire.address)
        writer.write(b"1")
        await asyncio.wait_for(reader.readexactly(1), BOUND)
        wire.inject(b"\xff\x00")
        assert await asyncio.wait_for(reader.readexactly(2), BOUND) == b"\xff\x00"
        assert echo.heard == b"1"
        writer.close()


# --------------------------------------------------------------------------------------------------------------- UDP


class Post(asyncio.DatagramProtocol):
    """One UDP socket that keeps what it got and, as an echo, answers it."""

    def __init__(self, *, echo: bool = False) -> None:
        self.got: list[bytes] = []
        self._echo = echo
        self.transport: asyncio.DatagramTransport

    async def open(self) -> tuple[str, int]:
        loop = asyncio.get_running_loop()
        self.transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        address: tuple[str, int] = self.transport.get_extra_info("sockname")
        return address

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.got.append(data)
        if self._echo:
            self.transport.sendto(data, addr)


@pytest.fixture
async def wire() -> AsyncIterator[tuple[UdpProxy, Post, Post]]:
    device, host = Post(echo=True), Post()
    address = await device.open()
    await host.open()
    async with UdpProxy(address) as proxy:
        yield proxy, host, device
    host.transport.close()
    device.transport.close()


async def test_udp_answers_find_their_way_back(wire: tuple[UdpProxy, Post, Post]) -> None:
    proxy, host, _ = wire
    other = Post()
    await other.open()
    host.transport.sendto(b"mine", proxy.address)
    other.transport.sendto(b"other", proxy.address)
    await until(lambda: bool(host.got and other.got))
    assert (host.got, other.got) == ([b"mine"], [b"other"])
    other.transport.close()


async def test_what_comes_to_a_cut_udp_wire_is_lost(wire: tuple[UdpProxy, Post, Post]) -> None:
    proxy, host, device = wire
    host.transport.sendto(b"1", proxy.address)
    await until(lambda: host.got == [b"1"])
    proxy.cut()
    host.transport.sendto(b"2", proxy.address)
    await asyncio.sleep(0.1)
    proxy.mend()
    host.transport.sendto(b"3", proxy.address)
    await until(lambda: b"3" in host.got)
    assert device.got == [b"1", b"3"]


async def test_a_datagram_is_dropped_doubled_or_garbled_whole(wire: tuple[UdpProxy, Post, Post]) -> None:
    proxy, host, device = wire
    proxy.to_device.faults = Faults(drop=ALWAYS)
    host.transport.sendto(b"gone", proxy.address)
    await until(lambda: proxy.to_device.units == 1)
    proxy.to_device.faults = Faults(duplicate=ALWAYS)
    host.transport.sendto(b"twice", proxy.address)
    await until(lambda: len(device.got) == 2)
    proxy.to_device.faults = Faults(garble=ALWAYS)
    host.transport.sendto(b"spoilt", proxy.address)
    await until(lambda: len(device.got) == 3)
    assert device.got[:2] == [b"twice", b"twice"]
    assert device.got[2] != b"spoilt"
    assert len(device.got[2]) == 6


async def test_a_datagram_is_overtaken_by_the_next_one(wire: tuple[UdpProxy, Post, Post]) -> None:
    proxy, host, device = wire
    proxy.to_device.faults = Faults(reorder=ALWAYS)
    host.transport.sendto(b"1", proxy.address)
    host.transport.sendto(b"2", proxy.address)
    await until(lambda: len(device.got) == 2)
    assert device.got == [b"2", b"1"]


# ------------------------------------------------------------------------------------------------------------ serial


async def read_from(fd: int, count: int) -> bytes:
    found = b""

    def look() -> bool:
        nonlocal found
        with contextlib.suppress(BlockingIOError):
            found += os.read(fd, count - len(found))
        return len(found) >= count

    await until(look)
    return found


async def test_a_serial_cable_carries_every_byte_value_both_ways() -> None:
    everything = bytes(range(256))
    async with SerialProxy() as cable:
        host = os.open(cable.host_path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        device = os.open(cable.device_path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        os.write(host, everything)
        assert await read_from(device, 256) == everything
        os.write(device, everything)
        assert await read_from(host, 256) == everything
        os.close(host)
        os.close(device)


async def test_a_noisy_serial_cable_spoils_bytes() -> None:
    async with SerialProxy(seed=3) as cable:
        host = os.open(cable.host_path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        device = os.open(cable.device_path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        cable.to_host.faults = Faults(garble=ALWAYS)
        os.write(device, b"AAAAAAAAAA")
        assert await read_from(host, 10) != b"AAAAAAAAAA"
        os.close(host)
        os.close(device)


async def test_an_unplugged_adapter_is_an_error_to_who_has_it_open() -> None:
    async with SerialProxy() as cable:
        host = os.open(cable.host_path, os.O_RDWR | os.O_NOCTTY)
        cable.unplug()
        with pytest.raises(OSError, match="Input/output"):
            os.write(host, b"x")
        os.close(host)


async def test_what_nobody_reads_is_lost_and_counted() -> None:
    async with SerialProxy() as cable:
        for _ in range(64):
            cable.inject(b"x" * 4096)
        assert cable.overrun > 0
