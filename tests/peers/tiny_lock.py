"""The smallest lock with a network, its driver and its peer: the suite of `menwei.testing.conformance` is tried on them.

Made up for that, in this process, and no stand-in for any device. A line is a JSON object. The device begins with
`{"t": "who", "id", "open", "fire", "tamper"}` when the secret is right, then says `alive` ten times a second, `card` and
`door` events with a running number `n` and how long `ago` they happened in seconds, and `done` for a command; a command carries `by`, the
end of its life on the monotonic clock that both sides share.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from menwei.context import AuthFailed, Config, NotReady
from menwei.model import OPEN_MODES, DeviceInfo, DoorMode, DoorState
from menwei.plugin import Driver
from menwei.testing.peer import Input, Peer, Release
from menwei.testing.proxies import Faults, TcpProxy, lines

PATIENCE = 2.0


class TinyConfig(Config):
    port: int
    secret: str = "tiny"


class TinyDriver(Driver):
    """A faithful driver. The mutants of the tests differ from it in one thing each."""

    name: ClassVar[str] = "tiny"
    Config: ClassVar[type[Config]] = TinyConfig

    writer: asyncio.StreamWriter | None = None

    @classmethod
    async def probe(cls, config: TinyConfig) -> DeviceInfo:
        _reader, writer, who = await connect(config)
        writer.close()
        return info(who)

    async def run(self) -> None:
        reader, self.writer, who = await connect(self.config)
        self.done: dict[int, asyncio.Future[bool]] = {}
        self.seen: deque[int] = deque(maxlen=64)
        try:
            self.reports.ready(info(who))
            self.reports.door_state("1", DoorState.OPEN if who["open"] else DoorState.CLOSED)
            self.reports.fire("1", bool(who["fire"]))
            self.reports.tamper("", bool(who["tamper"]))
            while True:
                self.heard(await said(reader))
        finally:
            self.writer.close()
            self.writer = None

    def heard(self, message: dict[str, Any]) -> None:
        match message:
            case {"t": "done", "id": int(number), "ok": bool(ok)}:
                if (answer := self.done.get(number)) and not answer.done():
                    answer.set_result(ok)
            case {"n": int(number)} if number in self.seen:
                pass
            case {"t": "card", "n": int(number), "value": str(value), "ago": float(ago)}:
                self.seen.append(number)
                self.reports.card("in", "decimal", value, received=self.context.clock.monotonic() - ago)
            case {"t": "door", "n": int(number), "open": bool(open_)}:
                self.seen.append(number)
                self.reports.door_state("1", DoorState.OPEN if open_ else DoorState.CLOSED)
            case {"t": "input", "n": int(number), "which": str(which), "on": bool(on)}:
                self.seen.append(number)
                self.reports.fire("1", on) if which == "fire" else self.reports.tamper("", on)

    async def access(self, lock: str, seconds: float, deadline: float, *, passage: str = "") -> None:
        await self.command({"do": "release", "lock": lock, "seconds": seconds}, deadline)

    async def set_mode(self, lock: str, mode: DoorMode, deadline: float) -> None:
        await self.command({"do": "hold", "lock": lock, "open": mode in OPEN_MODES}, deadline)

    async def command(self, order: dict[str, Any], deadline: float) -> None:
        left = deadline - self.context.clock.monotonic()
        if left <= 0:
            raise TimeoutError("too late")
        if self.writer is None:
            raise NotReady("not connected")
        number = time.monotonic_ns()
        self.done[number] = asyncio.get_running_loop().create_future()
        self.writer.write(line({"id": number, "by": deadline, **order}))
        async with asyncio.timeout(left):
            if not await self.done[number]:
                raise NotReady("refused")


async def connect(config: TinyConfig) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, dict[str, Any]]:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", config.port)
    except OSError as error:
        raise NotReady(str(error)) from error
    writer.write(line({"secret": config.secret}))
    try:
        who = await said(reader)
    except NotReady:
        writer.close()
        raise
    if who.get("t") == "no":
        writer.close()
        raise AuthFailed("wrong secret")
    if not {"id", "open", "fire", "tamper"} <= who.keys():
        writer.close()
        raise NotReady("not the tiny lock")
    return reader, writer, who


async def said(reader: asyncio.StreamReader) -> dict[str, Any]:
    """The next message; what is none is passed over, and no sign of life."""
    try:
        async with asyncio.timeout(PATIENCE):
            while raw := await reader.readline():
                with contextlib.suppress(ValueError):
                    message = json.loads(raw)
                    if isinstance(message, dict):
                        return message
    except (TimeoutError, OSError, ValueError) as error:
        raise NotReady(f"lost: {error!r}") from error
    raise NotReady("closed")


def line(message: Mapping[str, Any]) -> bytes:
    return json.dumps(message).encode() + b"\n"


def info(who: Mapping[str, Any]) -> DeviceInfo:
    return DeviceInfo(id=str(who["id"]), model="tiny", locks=("1",), readers=("in",))


class TinyPeer(Peer):
    """The device, behind a wire that can be made bad."""

    notices = 3.0
    connects = 3.0

    def __init__(self, folder: Path) -> None:
        self._released: list[Release] = []
        self._held = False
        self._open = False
        self._on = {"fire": False, "tamper": False}
        self._events = 0
        self._late = 0.0
        self._server: asyncio.Server | None = None
        self._hosts: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._port = 0
        self._wire: TcpProxy | None = None

    @property
    def wire(self) -> TcpProxy:
        assert self._wire is not None
        return self._wire

    @property
    def config(self) -> TinyConfig:
        return TinyConfig(port=self.wire.address[1])

    def wrong_secret(self) -> TinyConfig:
        return TinyConfig(port=self.wire.address[1], secret="small")

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        if self._wire is None:
            self._wire = TcpProxy(("127.0.0.1", self._port), units=lines)
            await self._wire.open()

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._hosts.values():
            writer.transport.abort()
        if self._hosts:
            await asyncio.wait(set(self._hosts))

    async def close(self) -> None:
        await self.wire.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        me = asyncio.current_task()
        assert me is not None
        beat: asyncio.Task[None] | None = None
        try:
            hello = json.loads(await reader.readline() or b"{}")
            if hello.get("secret") != "tiny":
                writer.write(line({"t": "no"}))
                return
            writer.write(line({"t": "who", "id": "tiny-1", "open": self._open, **self._on}))
            self._hosts[me] = writer
            beat = asyncio.create_task(self._beat(writer))
            while raw := await reader.readline():
                writer.write(line({"t": "done", **self._obey(json.loads(raw))}))
        except ConnectionError:
            pass
        finally:
            self._hosts.pop(me, None)
            if beat:
                beat.cancel()
            writer.close()

    async def _beat(self, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            writer.write(line({"t": "alive"}))
            await asyncio.sleep(0.1)

    def _obey(self, order: dict[str, Any]) -> dict[str, Any]:
        now = time.monotonic()
        ok = order.get("lock") == "1" and order["by"] > now
        if ok and order["do"] == "release":
            self._released.append(Release("1", order["seconds"], now))
        elif ok:
            self._held = order["open"]
        return {"id": order["id"], "ok": ok}

    async def _tell(self, event: Mapping[str, Any]) -> None:
        self._events += 1
        happened = time.monotonic()
        if self._late:
            await asyncio.sleep(self._late)
        for writer in self._hosts.values():
            writer.write(line({"n": self._events, "ago": time.monotonic() - happened, **event}))

    # ------------------------------------------------------------------------------------------------ the doorstep

    def card(self, number: int) -> tuple[str, str]:
        return "decimal", f"{4_000_000_000 + number:010d}"

    async def present(self, number: int) -> None:
        await self._tell({"t": "card", "value": self.card(number)[1]})

    async def present_with(self, number: int, attributes: Mapping[str, Any]) -> None:
        await self._tell({"t": "card", "value": self.card(number)[1], **attributes})

    async def releases(self) -> list[Release]:
        return list(self._released)

    async def unlocked(self) -> bool:
        return self._held

    async def contact(self, state: DoorState) -> None:
        self._open = state is DoorState.OPEN
        await self._tell({"t": "door", "open": self._open})

    async def turn(self, which: Input, active: bool) -> None:
        self._on[which] = active
        await self._tell({"t": "input", "which": which, "on": active})

    # ---------------------------------------------------------------------------------------------------- bad luck

    async def silent(self, active: bool) -> None:
        self.wire.cut() if active else self.wire.mend()

    async def slow(self, seconds: float) -> None:
        self.wire.to_host.faults = Faults(delay=seconds)

    async def garbage(self, data: bytes) -> None:
        self.wire.inject(data + b"\n")

    async def babble(self, active: bool) -> None:
        self.wire.to_host.faults = Faults(garble=1.0 if active else 0.0)

    async def duplicate(self, active: bool) -> None:
        self.wire.to_host.faults = Faults(duplicate=1.0 if active else 0.0)

    async def reorder(self, active: bool) -> None:
        self.wire.to_host.faults = Faults(reorder=0.5 if active else 0.0)

    async def hold_commands(self, seconds: float) -> None:
        self.wire.to_device.faults = Faults(delay=seconds)

    async def late_reads(self, seconds: float) -> None:
        self._late = seconds

    async def wrong_clock(self, seconds: float) -> None:
        """It tells how long ago, not when: any clock that runs will do."""
