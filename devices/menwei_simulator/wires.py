"""Wired devices of this project's own making from outside, for tests and for the demonstration: a UHPPOTE board and OSDP
readers, each a process of its own that ends when its standard input is closed.

    board = BoardProcess(folder)
    await board.start()
    async with Readers(path, [reader(1, key)]) as readers:
        await readers.card(1, 26, wiegand26(7, 11))
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

SERIAL = 423187757
"""Of the board: the first digit is the number of its doors."""
ANSWER_SECONDS = 30.0
"""For one line of a process; the machine may be busy."""
ENDING_SECONDS = 10.0
"""For readers to end by themselves."""
PULL = 0.02
"""Seconds between two looks at what a process says of itself."""


class WireError(Exception):
    """A wired device did not do what it was asked to; the text says what."""


async def started(program: str, *arguments: str) -> Talk:
    """A program of this package as a process of its own, started as a file: it needs nothing of the package, and is there
    at once. Ctrl-C is for whoever started it."""
    file = Path(__file__).with_name(program)
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(file), *arguments, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        limit=1 << 24, start_new_session=True,
    )  # fmt: skip
    return Talk(process)


class Talk:
    """Questions and answers with one of them, a line each, one after the other. Whoever stops waiting for an answer takes
    none from the next one."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self._turn = asyncio.Lock()
        self._asked: set[asyncio.Task[Any]] = set()

    async def first(self) -> Any:
        """What it says when it is ready."""
        return await self._line()

    async def ask(self, question: dict[str, Any]) -> Any:
        asked = asyncio.create_task(self._ask(question))
        self._asked.add(asked)
        asked.add_done_callback(self._asked.discard)
        return await asyncio.shield(asked)

    async def _ask(self, question: dict[str, Any]) -> Any:
        async with self._turn:
            assert self.process.stdin is not None
            self.process.stdin.write(json.dumps(question).encode() + b"\n")
            return await self._line()

    async def _line(self) -> Any:
        """Its next line. Raises `WireError` when it has ended; `TimeoutError` when it says nothing for `ANSWER_SECONDS`: then
        it is ended, because its answer, when it comes, would be taken for that to the next question."""
        assert self.process.stdout is not None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                line = await self.process.stdout.readline()
        except TimeoutError:
            await self.kill()
            raise TimeoutError(f"no answer within {ANSWER_SECONDS:g} s") from None
        if not line:
            raise WireError("the process has ended")
        return json.loads(line)

    async def kill(self) -> None:
        """It is gone when this returns, whether it had ended before or not."""
        if self.process.returncode is None:
            with suppress(ProcessLookupError):  # it ended just now
                self.process.kill()
        await self.process.wait()


class BoardProcess:
    """One UHPPOTE board. `start` and `stop` in between keep its state, its port and its log."""

    def __init__(self, folder: Path, serial: int = SERIAL) -> None:
        self.serial = serial
        self.port = 0
        self._file = folder / "board.json"
        self._talk: Talk | None = None

    async def start(self) -> None:
        arguments = [str(self._file), str(self.serial), "127.0.0.1", str(self.port)]
        self._talk = await started("uhppote_board.py", *arguments)
        try:
            self.port = (await self._talk.first())["port"]
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """kill -9: a board has no other way to lose its power."""
        talk, self._talk = self._talk, None
        if talk is not None:
            await talk.kill()

    async def do(self, what: str, **values: Any) -> Any:
        assert self._talk is not None, "it is off"
        return (await self._talk.ask({"do": what, **values}))["ok"]

    def state(self) -> dict[str, Any]:
        """What it has on its disk, also while it is off."""
        found: dict[str, Any] = json.loads(self._file.read_text())
        return found


class Readers:
    """`async with Readers(path, [reader(1, key), …]) as readers:` — they answer on the line until the end."""

    def __init__(self, path: str, readers: list[dict[str, Any]]) -> None:
        self.path = path
        self.readers = readers
        self._talk: Talk | None = None

    async def __aenter__(self) -> Readers:
        self._talk = await started("osdp_readers.py", self.path, json.dumps(self.readers))
        try:
            await self._talk.first()
        except BaseException:
            await self._talk.kill()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._talk is not None and self._talk.process.stdin is not None
        self._talk.process.stdin.close()
        try:
            async with asyncio.timeout(ENDING_SECONDS):
                await self._talk.process.wait()
        finally:
            await self._talk.kill()

    async def card(self, address: int, bits: int, number: int, *, format: int = 1) -> None:
        """A card is presented: `number` as `bits` bits."""
        await self._do("card", address, bits=bits, number=f"{number:X}", format=format)

    async def keys(self, address: int, keys: bytes) -> None:
        await self._do("keys", address, keys=keys.hex())

    async def tamper(self, address: int, active: bool) -> None:
        await self._do("tamper", address, active=active)

    async def silent(self, address: int, active: bool) -> None:
        """It hears nothing: unplugged, as seen from the panel."""
        await self._do("silent", address, active=active)

    async def restart(self, address: int, **changes: Any) -> None:
        """Power off and on, with another `key` perhaps (None: install mode)."""
        await self._do("restart", address, changes=changes)

    async def commands(self, address: int) -> list[dict[str, Any]]:
        """What the panel told this reader, in order: `{"kind": "led", "at": …, …}`."""
        return list((await self._do("commands", address))["commands"])

    async def told(
        self, address: int, kind: str, seconds: float = 10.0, count: int = 1
    ) -> list[dict[str, Any]]:
        """The commands of this kind, as soon as there are `count`. Raises `AssertionError` when they do not come."""
        end = time.monotonic() + seconds
        while True:
            found = [command for command in await self.commands(address) if command["kind"] == kind]
            if len(found) >= count:
                return found
            assert time.monotonic() < end, f"{len(found)} of {count} {kind} commands within {seconds} s"
            await asyncio.sleep(PULL)

    async def key(self, address: int) -> str | None:
        """The key it has now."""
        found: str | None = (await self._do("key", address))["key"]
        return found

    async def _do(self, name: str, address: int, **values: Any) -> dict[str, Any]:
        assert self._talk is not None, "they are not running"
        answer: dict[str, Any] = await self._talk.ask({"do": name, "address": address, **values})
        return answer


def reader(address: int, key: str | None, **more: Any) -> dict[str, Any]:
    return {"address": address, "key": key, **more}


def wiegand26(facility: int, number: int) -> int:
    card = facility << 16 | number
    first, second = card >> 12, card & 0xFFF
    return (first.bit_count() & 1) << 25 | card << 1 | (1 - (second.bit_count() & 1))


def wiegand34(card: int) -> int:
    first, second = card >> 16, card & 0xFFFF
    return (first.bit_count() & 1) << 33 | card << 1 | (1 - (second.bit_count() & 1))
