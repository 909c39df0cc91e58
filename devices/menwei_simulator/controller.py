"""One simulated controller on the network: the board, the hosts connected to it, and what goes wrong with it.

One host at a time serves it; a second one is told `busy`. Any host may probe beside that. `docs/simulator-protocol.md`
is the reference.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any, Final

from menwei_simulator.board import MAX_SECONDS, Board, Lock
from menwei_simulator.link import Link
from menwei_simulator.protocol import (
    VERSION,
    AccessCommand,
    Ack,
    Alive,
    DeviceEvent,
    DeviceHello,
    FeedbackCommand,
    HostHello,
    ModeCommand,
    Refusal,
    Role,
    Side,
    Welcome,
    command_id,
    decode_host,
    prove,
    proven,
)
from menwei_simulator.pulselog import Cause, PulseLog

log = logging.getLogger(__name__)

HELLO_SECONDS: Final = 5.0
"""A connection that has not said hello by then is closed."""
MISSED_HEARTBEATS: Final = 3
"""After so many a host is taken for dead, so that its successor is not told `busy` for ever."""
MAX_CONNECTIONS: Final = 16
MAX_PENDING: Final = 64
"""Commands of one host that wait for the disk; more are left in the socket."""
MAX_EXPIRES_IN: Final = 60_000
"""Milliseconds. A command that wants to live longer is refused: it could only be a stored one."""
CLOCK_SLACK: Final = 100
"""Milliseconds that a host's estimate of this clock may be ahead."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


@dataclass(frozen=True, slots=True)
class ControllerSpec:
    """What a controller is made of. `secret` "" lets any host in; `port` 0 takes a free one; `heartbeat` in seconds.
    Raises `ValueError` for an id or a part's name that is not letters, digits, - and _ (up to 40)."""

    id: str
    locks: tuple[str, ...] = ("1",)
    readers: tuple[str, ...] = ("in", "out")
    secret: str = ""
    port: int = 0
    heartbeat: float = 1.0
    model: str = "Menwei Sim"
    version: str = "1.0"

    def __post_init__(self) -> None:
        for name in (self.id, *self.locks, *self.readers):
            if not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name: letters, digits, - and _, up to 40")


class Controller:
    """A running controller: `start` it, `stop` it. The faults are plain attributes and methods (`delay`, `drop` …)."""

    def __init__(
        self, spec: ControllerSpec, log: PulseLog, interfaces: tuple[str, ...] = ("127.0.0.1",)
    ) -> None:
        self.spec = spec
        self.port = spec.port
        self.delay = 0.0
        """Seconds by which events are delivered late."""
        self.board = Board(spec.locks, spec.readers, self._emit, self._log_own)
        self._log = log
        self._interfaces = interfaces
        self._awake = asyncio.Event()
        self._awake.set()
        self._servers: list[asyncio.Server] = []
        self._links: set[Link] = set()
        self._serving: Link | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._started = 0.0

    async def start(self) -> None:
        """Listen on every interface, all on one port. Raises `OSError`."""
        self._started = asyncio.get_running_loop().time()
        await self._listen()
        self._spawn(self._beat())

    async def stop(self) -> None:
        self._close()
        self.board.close()
        self._awake.set()
        await asyncio.sleep(0)  # each connection that was dropped is told so
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def clock(self) -> int:
        """Milliseconds since the controller started."""
        return int((asyncio.get_running_loop().time() - self._started) * 1000)

    @property
    def served(self) -> bool:
        """Whether a host is connected and accepted."""
        return self._serving is not None

    # ---------------------------------------------------------------------------------------------------- faults

    @property
    def silent(self) -> bool:
        return not self._awake.is_set()

    @silent.setter
    def silent(self, silent: bool) -> None:
        """Accept connections and bytes, answer nothing. What came meanwhile is worked through at its end."""
        if silent == self.silent:
            return
        if silent:
            self._awake.clear()
            for link in self._links:
                link.transport.pause_reading()
            return
        self._awake.set()
        for link in list(self._links):
            self._begin(link) if not link.greeted else self._heard_of(link)
            self.heard(link)

    def drop(self) -> None:
        """End every connection without a word."""
        for link in list(self._links):
            link.drop()

    def garbage(self, data: bytes) -> None:
        """Send bytes that are no message to whoever is connected."""
        for link in self._links:
            link.send_raw(data)

    async def restart(self, seconds: float) -> None:
        """A power cycle: nothing answers for `seconds`, the locks fall locked, the clock starts at 0."""
        self._close()
        self.board.relock()
        await asyncio.sleep(seconds)
        self._started = asyncio.get_running_loop().time()
        await self._listen()

    # ---------------------------------------------------------------------------------------------------- network

    async def _listen(self) -> None:
        for interface in self._interfaces:
            loop = asyncio.get_running_loop()
            server = await loop.create_server(lambda: Link(self), interface, self.port)
            self.port = server.sockets[0].getsockname()[1]
            self._servers.append(server)

    def _close(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()
        self.drop()

    def met(self, link: Link) -> None:
        """A host connected. A silent controller says hello when it is not silent any more."""
        self._links.add(link)
        if self.silent:
            link.transport.pause_reading()
        else:
            self._begin(link)

    def lost(self, link: Link, error: Exception | None) -> None:
        """The connection ended, whoever ended it."""
        if error is not None:
            log.info("%s: connection lost: %s", self.spec.id, error)
        self._links.discard(link)
        if link.watch is not None:
            link.watch.cancel()
        if self._serving is link:
            self._serving = None
            self.board.notify()

    def heard(self, link: Link) -> None:
        """Lines came in, or a command was carried out: work off what may be. With `MAX_PENDING` commands that wait for
        the disk, further ones stay in the socket."""
        if self.silent:
            return
        if link is self._serving:
            self._heard_of(link)
        while link.unread and link.pending < MAX_PENDING and not link.transport.is_closing():
            self._read(link, link.unread.popleft())
        if link.unread:
            link.transport.pause_reading()
        else:
            link.transport.resume_reading()

    def _begin(self, link: Link) -> None:
        if len(self._links) > MAX_CONNECTIONS:
            link.end(Refusal.BUSY)
            return
        link.greeted = True
        link.send(DeviceHello(VERSION, self.spec.id, link.nonce, bool(self.spec.secret)))
        self._heard_of(link)
        self._watch(link)

    def _heard_of(self, link: Link) -> None:
        seconds = MISSED_HEARTBEATS * self.spec.heartbeat if link is self._serving else HELLO_SECONDS
        link.due = asyncio.get_running_loop().time() + seconds

    def _watch(self, link: Link) -> None:
        """Ends the connection of a host that is not heard any more."""
        if link.watch is not None:
            link.watch.cancel()
        loop = asyncio.get_running_loop()
        if self.silent:
            link.watch = loop.call_later(self.spec.heartbeat, self._watch, link)
        elif loop.time() < link.due:
            link.watch = loop.call_at(link.due, self._watch, link)
        else:
            link.end(Refusal.STALLED)

    def _read(self, link: Link, line: bytes) -> None:
        if link is self._serving:
            self._obey(link, line)
            return
        hello = decode_host(line)
        refusal = self._greet(link, hello) if isinstance(hello, HostHello) else Refusal.PROTOCOL
        if refusal is not None:
            link.end(refusal)

    def _greet(self, link: Link, hello: HostHello) -> Refusal | None:
        if hello.protocol != VERSION or hello.role is None:
            return Refusal.PROTOCOL
        if not proven(hello.proof, self.spec.secret, Side.HOST, link.nonce, hello.nonce):
            return Refusal.AUTH
        if hello.role is Role.SERVE:
            if self._serving is not None:
                return Refusal.BUSY
            self._serving = link
            self._heard_of(link)
            self._watch(link)
        link.send(
            Welcome(
                clock=self.clock(),
                heartbeat=round(self.spec.heartbeat * 1000),
                proof=prove(self.spec.secret, Side.DEVICE, link.nonce, hello.nonce),
                model=self.spec.model,
                version=self.spec.version,
                tamper=self.board.tampered,
                locks=self.board.lock_status(),
                readers=self.board.reader_status(),
            )
        )
        self.board.notify()
        return None

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.spec.heartbeat)
            await self._awake.wait()
            if self._serving is not None:
                self._serving.send(Alive(self.clock()))

    # --------------------------------------------------------------------------------------------------- commands

    def _obey(self, link: Link, line: bytes) -> None:
        """Start what the line asks for. The order of commands is the order of their lines in the pulse log."""
        message = decode_host(line)
        match message:
            case Alive() | HostHello():
                return
            case None:
                link.send(Ack(command_id(line), ok=False, error=Refusal.MALFORMED))
                return
            case _ if message.id <= link.last_id:
                link.send(Ack(message.id, ok=False, error=Refusal.REPLAYED))
                return
        link.last_id = message.id
        match message:
            case FeedbackCommand():
                link.send(self._feedback(message))
            case AccessCommand() | ModeCommand():
                link.pending += 1
                self._spawn(self._carry_out(link, message))

    def _feedback(self, command: FeedbackCommand) -> Ack:
        reader = self.board.readers.get(command.reader)
        if reader is None:
            return Ack(command.id, ok=False, error=Refusal.UNKNOWN_READER)
        self.board.show(reader, command.kind, command.text, command.seconds)
        return Ack(command.id, ok=True)

    async def _carry_out(self, link: Link, command: AccessCommand | ModeCommand) -> None:
        try:
            link.send(
                await (self._access(command) if isinstance(command, AccessCommand) else self._mode(command))
            )
        finally:
            link.pending -= 1
            if link.unread:
                self.heard(link)

    async def _access(self, command: AccessCommand) -> Ack:
        lock = self.board.locks.get(command.lock)
        if lock is None:
            return Ack(command.id, ok=False, error=Refusal.UNKNOWN_LOCK)
        if not 0 < command.seconds <= MAX_SECONDS:
            return Ack(command.id, ok=False, error=Refusal.MALFORMED)
        refusal = self._untimely(command)
        if refusal is not None:
            return Ack(command.id, ok=False, error=refusal)
        try:
            index = await self._log.append(self._pulse(lock, command.seconds, Cause.COMMAND, command))
            if self._untimely(command):  # the disk took so long that the person may be gone
                await self._log.append({"kind": "withdrawn", "controller": self.spec.id, "of": index})
                return Ack(command.id, ok=False, error=Refusal.EXPIRED)
        except OSError as error:
            log.error("%s: pulse log: %s", self.spec.id, error)
            return Ack(command.id, ok=False, error=Refusal.LOG)
        self.board.release(lock, command.seconds)
        return Ack(command.id, ok=True, pulse=index)

    async def _mode(self, command: ModeCommand) -> Ack:
        lock = self.board.locks.get(command.lock)
        if lock is None:
            return Ack(command.id, ok=False, error=Refusal.UNKNOWN_LOCK)
        if command.mode is None:
            return Ack(command.id, ok=False, error=Refusal.MALFORMED)
        refusal = self._untimely(command)
        if refusal is not None:
            return Ack(command.id, ok=False, error=refusal)
        line = {
            "kind": "mode",
            "controller": self.spec.id,
            "lock": lock.name,
            "mode": command.mode,
            "command": command.id,
        }
        try:
            index = await self._log.append(line)
        except OSError as error:
            log.error("%s: pulse log: %s", self.spec.id, error)
            return Ack(command.id, ok=False, error=Refusal.LOG)
        self.board.hold(lock, command.mode)
        return Ack(command.id, ok=True, pulse=index)

    def _untimely(self, command: AccessCommand | ModeCommand) -> Refusal | None:
        clock = self.clock()
        if command.expires_in > MAX_EXPIRES_IN:
            return Refusal.MALFORMED
        if command.sent > clock + CLOCK_SLACK:
            return Refusal.FUTURE
        if clock > command.sent + command.expires_in:
            return Refusal.EXPIRED
        return None

    # ----------------------------------------------------------------------------------------------- from the board

    def _emit(self, event: DeviceEvent) -> None:
        """Nothing is kept for a host that is not there: a read that nobody heard opens nothing later."""
        loop = asyncio.get_running_loop()
        happened = loop.time()
        if self.delay:
            loop.call_later(self.delay, self._send, event, happened)
        else:
            self._send(event, happened)

    def _send(self, event: DeviceEvent, happened: float) -> None:
        if self._serving is None or self.silent:
            return
        age = int((asyncio.get_running_loop().time() - happened) * 1000)
        self._serving.send(replace(event, clock=self.clock(), age_ms=age))

    def _log_own(self, lock: Lock, seconds: float, cause: Cause) -> None:
        """A release by the board itself does not wait for the disk: leaving is free."""
        self._spawn(self._append_own(self._pulse(lock, seconds, cause)))

    async def _append_own(self, line: dict[str, Any]) -> None:
        try:
            await self._log.append(line)
        except OSError as error:
            log.error("%s: the lock is released, but the pulse log failed: %s", self.spec.id, error)

    def _pulse(
        self, lock: Lock, seconds: float, cause: Cause, command: AccessCommand | None = None
    ) -> dict[str, Any]:
        return {
            "kind": "pulse",
            "controller": self.spec.id,
            "lock": lock.name,
            "seconds": seconds,
            "cause": cause,
            "command": command.id if command else 0,
            "passage": command.passage if command else "",
        }

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
