"""What the figures are held against: bare loops without a system around them, on the same disk and the same loopback."""

from __future__ import annotations

import asyncio
import json
import os
import queue
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from menwei.journal import Entry
from menwei_simulator.protocol import (
    VERSION,
    AccessCommand,
    Ack,
    DeviceHello,
    HostHello,
    Lines,
    Role,
    Welcome,
    decode_device,
    encode,
)

Answer = TypeVar("Answer", DeviceHello, Welcome, Ack)

HOLDERS = 10_000
DOORS = 50


def entry(number: int) -> Entry:
    """A grant as the line writes it."""
    door = f"unit-{number % DOORS}"
    data = {"factors": ["Card"], "mode": "Locked", "decided_ms": 0.4}
    return Entry(
        "AccessGranted",
        time.time(),
        door,
        f"{door}-in",
        data,
        {"holder": number * 7919 % HOLDERS, "credential": number},
    )


def row(number: int) -> tuple[Any, ...]:
    """The bytes of `entry` as the journal stores them, in one row: facts, commitment, link, sealed part, blind holder."""
    given = entry(number)
    now = time.time()
    data = json.dumps(dict(given.data))
    return (
        given.kind,
        given.at,
        now,
        now,
        given.door,
        given.access_point,
        data,
        bytes(32),
        bytes(32),
        bytes(80),
        bytes(16),
    )


class RawGroupCommit:
    """The least a group commit can be: a queue, a thread, `executemany`, one wake-up a group."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[tuple[tuple[Any, ...], asyncio.Future[None]] | None] = (
            queue.SimpleQueue()
        )
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    async def record(self, values: tuple[Any, ...]) -> None:
        future: asyncio.Future[None] = self._loop.create_future()
        self._queue.put((values, future))
        await future

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        connection = raw_connection(self._path)
        while (first := self._queue.get()) is not None:
            group = [first]
            while not self._queue.empty():
                item = self._queue.get()
                if item is None:
                    self._queue.put(None)
                    break
                group.append(item)
            write_raw(connection, [values for values, _ in group])
            self._loop.call_soon_threadsafe(_finish, [future for _, future in group])
        connection.close()


def _finish(futures: list[asyncio.Future[None]]) -> None:
    for future in futures:
        future.set_result(None)


def raw_connection(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY, a, b, c, d, e, f, g, h, i, j, k)"
    )
    return connection


def write_raw(connection: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        "INSERT INTO entry (a, b, c, d, e, f, g, h, i, j, k) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
    )
    connection.execute("COMMIT")


class FsyncAndEcho:
    """The floor of a durable passage: append a row's bytes to a file, fsync, and have another process echo a command's
    bytes over loopback TCP. Blocking calls in one thread: nothing could be quicker on this machine."""

    COMMAND = b"x" * 120
    """As long as the simulator's access command."""

    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._bytes = b"".join(
            str(value).encode() if not isinstance(value, bytes) else value for value in row(1)
        )
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", _ECHO], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self._socket = socket.create_connection(("127.0.0.1", int(self._process.stdout.readline())))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
        os.close(self._file)

    def once(self) -> tuple[float, float]:
        """Seconds of the append with fsync, and of the echo."""
        started = time.perf_counter()
        os.write(self._file, self._bytes)
        os.fsync(self._file)
        durable = time.perf_counter()
        self._socket.sendall(self.COMMAND)
        left = len(self.COMMAND)
        while left:
            got = len(self._socket.recv(left))
            if not got:
                raise RuntimeError("the echo ended")
            left -= got
        return durable - started, time.perf_counter() - durable


_ECHO = """
import socket
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
peer = server.accept()[0]
peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
while data := peer.recv(4096):
    peer.sendall(data)
"""


class BareCommand:
    """One access command to a simulated controller and its acknowledgement, from a blocking socket: what the controller
    itself takes, so that it can be told from what the system takes."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines = Lines()
        self._last_id = 0
        self._next(DeviceHello)
        self._socket.sendall(encode(HostHello(VERSION, Role.SERVE, "bench", "")))
        welcome = self._next(Welcome)
        self._offset = welcome.clock / 1000 - time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def once(self) -> float:
        """Seconds from the command to its acknowledgement."""
        line = self.line()
        started = time.perf_counter()
        self._socket.sendall(line)
        ack = self._next(Ack)
        taken = time.perf_counter() - started
        _obeyed(ack)
        return taken

    def line(self) -> bytes:
        """The next command, as it goes over the wire."""
        self._last_id += 1
        sent = int((time.monotonic() + self._offset) * 1000)
        return encode(AccessCommand(self._last_id, "1", 5.0, sent, 2000, "1795315591.1"))

    def shared(self) -> socket.socket:
        """The same connection once more, for somebody else to use and to close."""
        return self._socket.dup()

    def _next(self, kind: type[Answer]) -> Answer:
        while True:
            data = self._socket.recv(65536)
            if not data:
                raise RuntimeError("the controller closed the connection")
            for line in self._lines.feed(data):
                message = decode_device(line)
                if isinstance(message, kind):
                    return message


def _obeyed(ack: Ack) -> None:
    if not ack.ok:
        raise RuntimeError(f"the controller refused: {ack.error}")


class LeastAsyncio(asyncio.Protocol):
    """The least that a program on asyncio and SQLite can do for a durable passage: a row handed to a thread that commits
    it, and the same command to the same controller through a transport. No queue, rights, seal, chain or plugin."""

    def __init__(self, raw: RawGroupCommit, command: BareCommand) -> None:
        self._raw, self._command = raw, command
        self._lines = Lines()
        self._answer: asyncio.Future[Ack]
        self._transport: asyncio.Transport

    @classmethod
    async def over(cls, raw: RawGroupCommit, command: BareCommand) -> Self:
        """Takes over the connection of `command`, which is used for nothing else from now on."""
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(lambda: cls(raw, command), sock=command.shared())
        return protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        for line in self._lines.feed(data):
            message = decode_device(line)
            if isinstance(message, Ack):
                self._answer.set_result(message)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._answer.done():
            self._answer.set_exception(RuntimeError("the controller closed the connection"))

    def close(self) -> None:
        self._transport.close()

    async def once(self, values: tuple[Any, ...]) -> float:
        """Seconds from the row to the acknowledgement."""
        started = time.perf_counter()
        await self._raw.record(values)
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(self._command.line())
        ack = await self._answer
        taken = time.perf_counter() - started
        _obeyed(ack)
        return taken
