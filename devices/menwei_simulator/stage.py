"""The stage channel's client: play people, hardware and bad luck at simulated doors.

    async with open_stage(port) as channel:
        gate = channel.at("sim-gate")
        await gate.present("04A2B3C4")
        assert await gate.walk_through()

A lock or reader that is not named is the controller's first. What cannot be played (a locked door is pulled, an
unplugged reader is used) raises `StageError`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from menwei_simulator.board import Miswired
from menwei_simulator.protocol import Contact, LockMode

LINE_LIMIT = 1 << 20
"""Bytes of one answer; a state of the largest controller is a tenth of it."""
ANSWER_SECONDS = 10.0
"""Added to what a request takes by itself before the channel is given up."""


class StageError(Exception):
    """The scene cannot be played; the text says why."""


@dataclass(frozen=True, slots=True)
class LockState:
    """A lock and its door as they are."""

    lock: str
    mode: LockMode
    released: bool
    contact: Contact
    fire: bool


@dataclass(frozen=True, slots=True)
class ReaderState:
    """A reader as it is; `light` is the kind of feedback shown, `text` its display."""

    reader: str
    online: bool
    tamper: bool
    light: str
    text: str


@dataclass(frozen=True, slots=True)
class State:
    """A controller as it is. `served`: a host is connected and accepted."""

    id: str
    port: int
    served: bool
    tamper: bool
    locks: tuple[LockState, ...]
    readers: tuple[ReaderState, ...]


class Channel:
    """One connection; requests may run side by side. Made by `open_stage`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._last_id = 0
        self._open: dict[int, asyncio.Future[dict[str, Any]]] = {}

    def at(self, controller: str = "") -> Stage:
        """The stage before one controller (the first one for "")."""
        return Stage(self, controller)

    async def ask(self, do: str, *, takes: float = 0.0, **fields: object) -> dict[str, Any]:
        """One request; its result. Raises `StageError`, also when the channel is lost, and `TimeoutError`
        when nothing came `ANSWER_SECONDS` after what the request takes."""
        self._last_id += 1
        number = self._last_id
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._open[number] = answer
        try:
            self._writer.write(
                orjson.dumps({"id": number, "do": do, **fields}, option=orjson.OPT_APPEND_NEWLINE)
            )
            async with asyncio.timeout(takes + ANSWER_SECONDS):
                found = await answer
        finally:
            del self._open[number]
        if not found["ok"]:
            raise StageError(found["error"])
        result: dict[str, Any] = found["result"] or {}
        return result

    async def listen(self) -> None:
        """Hand out the answers until the channel ends; run by `open_stage`."""
        error = "the stage channel was closed"
        try:
            while line := await self._reader.readline():
                found = orjson.loads(line)
                answer = self._open.get(found["id"])
                if answer is not None and not answer.done():
                    answer.set_result(found)
        except ConnectionError as lost:
            error = f"the stage channel was lost: {lost}"
        finally:
            for answer in self._open.values():
                if not answer.done():
                    answer.set_result({"ok": False, "error": error})
            self._writer.close()


@asynccontextmanager
async def open_stage(port: int) -> AsyncIterator[Channel]:
    """The channel of the simulation whose stage port on 127.0.0.1 this is. Raises `OSError`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=LINE_LIMIT)
    channel = Channel(reader, writer)
    listener = asyncio.create_task(channel.listen())
    try:
        yield channel
    finally:
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)


class Stage:
    """What can be done at one controller, or before one of its doors: then `lock` and `reader` are those meant."""

    def __init__(self, channel: Channel, controller: str, lock: str = "", reader: str = "") -> None:
        self._channel = channel
        self._controller = controller
        self._own = {"lock": lock, "reader": reader}

    def before(self, lock: str, reader: str) -> Stage:
        """The stage before one of the controller's doors."""
        return Stage(self._channel, self._controller, lock, reader)

    async def display(self) -> str:
        """What the reader shows now, "" for nothing."""
        readers = (await self.state()).readers
        mine = self._own["reader"]
        return next((reader.text for reader in readers if mine in ("", reader.reader)), "")

    async def _do(self, do: str, takes: float = 0.0, **fields: object) -> dict[str, Any]:
        fields |= {name: own for name, own in self._own.items() if fields.get(name) == ""}
        return await self._channel.ask(do, takes=takes, controller=self._controller, **fields)

    async def state(self) -> State:
        found = await self._do("state")
        locks = (
            LockState(x["lock"], LockMode(x["mode"]), x["released"], Contact(x["contact"]), x["fire"])
            for x in found["locks"]
        )
        readers = (
            ReaderState(x["reader"], x["online"], x["tamper"], x["light"], x["text"])
            for x in found["readers"]
        )
        return State(
            found["id"], found["port"], found["served"], found["tamper"], tuple(locks), tuple(readers)
        )

    # ------------------------------------------------------------------------------------------------------ people

    async def present(self, value: str, reader: str = "", format: str = "uid") -> None:
        """Touch the reader with a card."""
        await self._do("present", value=value, reader=reader, format=format)

    async def hold(
        self, value: str, seconds: float = 2.0, every: float = 0.25, reader: str = "", format: str = "uid"
    ) -> int:
        """Leave a card on the reader: it is read again and again. Returns when it is taken off, with the reads."""
        found = await self._do(
            "hold", seconds, value=value, reader=reader, format=format, seconds=seconds, every=every
        )
        return int(found["reads"])

    async def type(self, digits: str, reader: str = "") -> None:
        """Type a number at the keypad and finish it."""
        await self._do("digits", digits=digits, reader=reader)

    async def open(self, lock: str = "") -> None:
        """Pull the door. `StageError` when it is locked."""
        await self._do("open", lock=lock)

    async def close(self, lock: str = "") -> None:
        """Let the door fall shut."""
        await self._do("contact", lock=lock, state=Contact.CLOSED)

    async def force(self, lock: str = "") -> None:
        """Open the door whether it is locked or not."""
        await self._do("contact", lock=lock, state=Contact.OPEN)

    async def walk_through(self, lock: str = "", wait: float = 5.0, open_for: float = 0.2) -> bool:
        """Wait up to `wait` seconds for the lock, open, go through, let the door fall shut after `open_for` seconds.
        False when the lock was not released."""
        return bool(
            (await self._do("walk-through", wait + open_for, lock=lock, wait=wait, open_for=open_for))[
                "passed"
            ]
        )

    async def press_exit(self, lock: str = "") -> None:
        """The exit button: releases the lock in hardware."""
        await self._do("exit", lock=lock)

    async def press_call(self, lock: str = "") -> None:
        """The intercom's call button."""
        await self._do("call", lock=lock)

    # ---------------------------------------------------------------------------------------------------- hardware

    async def wire(self, *wrong: Miswired, lock: str = "") -> None:
        """The installer wires a lock's parts, and gets these wrong; none: all are right."""
        await self._do("wire", lock=lock, wrong=",".join(wrong))

    async def fire(self, active: bool, lock: str = "") -> None:
        """The fire release input: the lock is released for as long as it is on."""
        await self._do("fire", lock=lock, active=active)

    async def tamper(self, active: bool, part: str = "") -> None:
        """Open or close the cover of a reader, or of the controller ("")."""
        await self._do("tamper", part=part, active=active)

    async def break_contact(self, lock: str = "") -> None:
        """The door contact's wire is cut."""
        await self._do("contact", lock=lock, state=Contact.FAULT)

    async def unplug(self, reader: str = "") -> None:
        await self._do("cable", reader=reader, plugged=False)

    async def plug(self, reader: str = "") -> None:
        await self._do("cable", reader=reader, plugged=True)

    # ---------------------------------------------------------------------------------------------------- bad luck

    async def silent(self, active: bool = True) -> None:
        """Accept everything, answer nothing; at the end, what came meanwhile is worked through."""
        await self._do("silent", active=active)

    async def drop(self) -> None:
        """End all connections of hosts without a word."""
        await self._do("drop")

    async def delay(self, seconds: float) -> None:
        """Deliver every event so late, until told otherwise; its age is told truly."""
        await self._do("delay", seconds=seconds)

    async def garbage(self, size: int = 64, line: str = "") -> None:
        """Send random bytes (or `line`) and a newline to the host."""
        await self._do("garbage", size=size, line=line)

    async def restart(self, seconds: float = 0.0) -> None:
        """A power cycle that takes so long. Locks held unlocked are locked after it."""
        await self._do("restart", seconds, seconds=seconds)

    # ----------------------------------------------------------------------------------------------------- waiting

    async def released(self, lock: str = "", within: float = 5.0) -> bool:
        """Whether the lock is released now or within so many seconds."""
        return await self._wait("released", within, lock=lock)

    async def locked(self, lock: str = "", within: float = 5.0) -> bool:
        return await self._wait("locked", within, lock=lock)

    async def shown(self, light: str, reader: str = "", within: float = 5.0) -> bool:
        """Whether a reader shows this kind of feedback now or within so many seconds."""
        return await self._wait("shown", within, light=light, reader=reader)

    async def served(self, within: float = 5.0) -> bool:
        """Whether a host is connected now or within so many seconds."""
        return await self._wait("served", within)

    async def alone(self, within: float = 5.0) -> bool:
        """Whether no host is connected now or within so many seconds."""
        return await self._wait("alone", within)

    async def _wait(self, what: str, within: float, **fields: object) -> bool:
        return bool((await self._do("wait", within, **{"for": what, "seconds": within}, **fields))["met"])
