"""The stage channel's server side: whoever plays people, hardware and bad luck at the simulated doors speaks here.

One JSON object a line each way, on loopback, without a secret: it opens simulated doors only. Requests are worked on
side by side and answered by `id`. `menwei_simulator.stage` is the client; `docs/simulator-protocol.md` the reference.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import orjson

from menwei_simulator.announcement import Announcer
from menwei_simulator.board import Impossible, Miswired
from menwei_simulator.controller import Controller
from menwei_simulator.fields import Fields, Malformed
from menwei_simulator.protocol import Contact, Lines, LineTooLong

log = logging.getLogger(__name__)

MAX_WAIT: Final = 600.0
"""Seconds one request may take."""
MAX_GARBAGE: Final = 16 * 1024 * 1024
READ_SIZE: Final = 64 * 1024

Result = Mapping[str, Any]
Action = Callable[[Controller, Fields], Awaitable[Result | None]]


class Backstage:
    """Serves the stage channel for the controllers of one process."""

    def __init__(self, controllers: list[Controller], announcer: Announcer | None) -> None:
        self.port = 0
        self._controllers = {controller.spec.id: controller for controller in controllers}
        self._announcer = announcer
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, port: int) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer, connection in list(self._connections.items()):
            writer.transport.abort()  # ends it by itself: asyncio reports a cancelled connection as an error
            await asyncio.wait({connection})
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.current_task()
        assert connection is not None
        self._connections[writer] = connection
        lines = Lines()
        try:
            while data := await reader.read(READ_SIZE):
                for line in lines.feed(data):
                    request = Fields.of(
                        line
                    )  # a line that is no JSON ends it: a web page may not play with us
                    self._keep(asyncio.create_task(self._answer(request.whole("id"), request, writer)))
        except (Malformed, LineTooLong, ConnectionError) as error:
            log.info("stage connection ended: %s", error)
        finally:
            del self._connections[writer]
            writer.close()

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, number: int, request: Fields, writer: asyncio.StreamWriter) -> None:
        answer: dict[str, Any] = {"id": number, "ok": True}
        try:
            answer["result"] = await self._play(request)
        except (Impossible, Malformed, OSError) as error:
            answer = {"id": number, "ok": False, "error": str(error)}
        except Exception as error:  # a fault of this program: whoever asked is told, not left waiting
            log.exception("stage action failed")
            answer = {"id": number, "ok": False, "error": f"{type(error).__name__}: {error}"}
        if not writer.is_closing():
            writer.write(orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE))

    async def _play(self, request: Fields) -> Result | None:
        name = request.text("controller", "")
        controller = self._controllers.get(name) if name else next(iter(self._controllers.values()))
        if controller is None:
            raise Impossible(f"no controller {name!r}; there are: {', '.join(self._controllers)}")
        action = ACTIONS.get(request.text("do"))
        if action is not None:
            return await action(controller, request)
        if request.text("do") == "restart":
            await self._restart(controller, request)
            return None
        raise Malformed(f"unknown action; there are: restart, {', '.join(ACTIONS)}")

    async def _restart(self, controller: Controller, f: Fields) -> None:
        if self._announcer is not None:
            await self._announcer.withdraw(controller)
        await controller.restart(_seconds(f, "seconds", 0.0))
        if self._announcer is not None:
            await self._announcer.announce([controller])


def _seconds(f: Fields, name: str, default: float) -> float:
    return min(f.number(name, default), MAX_WAIT)


async def _state(c: Controller, f: Fields) -> Result:
    return {
        "id": c.spec.id,
        "port": c.port,
        "served": c.served,
        "tamper": c.board.tampered,
        "locks": c.board.lock_status(),
        "readers": [
            {"reader": r.name, "online": r.online, "tamper": r.tamper, "light": r.light, "text": r.text}
            for r in c.board.readers.values()
        ],
    }


async def _present(c: Controller, f: Fields) -> None:
    c.board.present(c.board.reader(f.text("reader", "")), f.text("format", "uid"), f.text("value"))


async def _hold(c: Controller, f: Fields) -> Result:
    """A card that lies on the reader: read again and again."""
    reader, every = c.board.reader(f.text("reader", "")), max(f.number("every", 0.25), 0.01)
    end = asyncio.get_running_loop().time() + _seconds(f, "seconds", 2.0)
    reads = 0
    while True:
        c.board.present(reader, f.text("format", "uid"), f.text("value"))
        reads += 1
        if asyncio.get_running_loop().time() + every > end:
            return {"reads": reads}
        await asyncio.sleep(every)


async def _digits(c: Controller, f: Fields) -> None:
    c.board.type_digits(c.board.reader(f.text("reader", "")), f.text("digits"))


async def _open(c: Controller, f: Fields) -> None:
    c.board.open(c.board.lock(f.text("lock", "")))


async def _contact(c: Controller, f: Fields) -> None:
    """Close the door, force it open, or break its contact: none of these asks the lock."""
    state = f.word("state", Contact)
    if state is None:
        raise Malformed(f"state is none of {', '.join(Contact)}")
    c.board.set_contact(c.board.lock(f.text("lock", "")), state)


async def _walk_through(c: Controller, f: Fields) -> Result:
    """Someone waits for the lock, opens, goes through and lets the door fall shut."""
    lock = c.board.lock(f.text("lock", ""))
    if not await c.board.until(lambda: c.board.released(lock), _seconds(f, "wait", 5.0)):
        return {"passed": False}
    c.board.open(lock)
    await asyncio.sleep(_seconds(f, "open_for", 0.2))
    c.board.set_contact(lock, Contact.CLOSED)
    return {"passed": True}


async def _exit(c: Controller, f: Fields) -> None:
    c.board.press_exit(c.board.lock(f.text("lock", "")))


async def _call(c: Controller, f: Fields) -> None:
    c.board.press_call(c.board.lock(f.text("lock", "")))


async def _wire(c: Controller, f: Fields) -> None:
    """What is wrong with a lock's wires from now on: words with commas, "" when nothing is."""
    words = [word for word in f.text("wrong", "").split(",") if word]
    if strangers := set(words) - set(Miswired):
        raise Malformed(f"{', '.join(sorted(strangers))}: wrong is some of {', '.join(Miswired)}")
    c.board.wire(c.board.lock(f.text("lock", "")), frozenset(map(Miswired, words)))


async def _tamper(c: Controller, f: Fields) -> None:
    c.board.set_tamper(f.text("part", ""), f.flag("active"))


async def _fire(c: Controller, f: Fields) -> None:
    c.board.set_fire(c.board.lock(f.text("lock", "")), f.flag("active"))


async def _cable(c: Controller, f: Fields) -> None:
    c.board.set_online(c.board.reader(f.text("reader", "")), f.flag("plugged"))


async def _silent(c: Controller, f: Fields) -> None:
    c.silent = f.flag("active")


async def _drop(c: Controller, f: Fields) -> None:
    c.drop()


async def _delay(c: Controller, f: Fields) -> None:
    c.delay = _seconds(f, "seconds", 0.0)


async def _garbage(c: Controller, f: Fields) -> None:
    """Random bytes with a newline at their end, or `line` as it is."""
    size = f.whole("size", 64)
    if size > MAX_GARBAGE:
        raise Malformed(f"size is more than {MAX_GARBAGE}")
    line = f.text("line", "").encode()
    c.garbage((line or os.urandom(size)) + b"\n")


async def _wait(c: Controller, f: Fields) -> Result:
    """Until something is so: the answer says whether it was within `seconds`."""
    what = f.text("for")
    if what not in CONDITIONS:
        raise Malformed(f"for is none of {', '.join(CONDITIONS)}")
    condition = CONDITIONS[what]
    return {"met": await c.board.until(lambda: condition(c, f), _seconds(f, "seconds", 5.0))}


CONDITIONS: Final[Mapping[str, Callable[[Controller, Fields], bool]]] = {
    "released": lambda c, f: c.board.released(c.board.lock(f.text("lock", ""))),
    "locked": lambda c, f: not c.board.released(c.board.lock(f.text("lock", ""))),
    "shown": lambda c, f: c.board.reader(f.text("reader", "")).light == f.text("light"),
    "served": lambda c, f: c.served,
    "alone": lambda c, f: not c.served,
}

ACTIONS: Final[Mapping[str, Action]] = {
    "state": _state,
    "present": _present,
    "hold": _hold,
    "digits": _digits,
    "open": _open,
    "contact": _contact,
    "walk-through": _walk_through,
    "exit": _exit,
    "call": _call,
    "wire": _wire,
    "tamper": _tamper,
    "fire": _fire,
    "cable": _cable,
    "silent": _silent,
    "drop": _drop,
    "delay": _delay,
    "garbage": _garbage,
    "wait": _wait,
}
