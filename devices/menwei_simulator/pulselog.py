"""The controller's own record of what its locks did, so that anyone can compare the doors with the journal.

One JSON object a line, on disk (fsync) before the command is acknowledged. `index` counts the lines of the file from
1 without a gap. Kinds: `pulse` (a lock was released for a time), `withdrawn` (the line `of` was written too late and
nothing was released), `mode` (a lock is held otherwise from now on).
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson


class Cause(StrEnum):
    """Why a lock was released. Only COMMAND must have a grant in the host's journal."""

    COMMAND = "command"
    EXIT = "exit"
    FIRE = "fire"


@dataclass(frozen=True, slots=True)
class Pulse:
    """One release of a lock. `at` is wall time; `command` and `passage` are what the host sent with it, else 0 and ""."""

    index: int
    controller: str
    lock: str
    seconds: float
    at: float
    cause: Cause
    command: int
    passage: str


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Every whole line of the log; the torn last line of a killed device is left out. A file that is not there is
    empty. Raises `ValueError` when a line is not JSON or the index has a gap."""
    if not path.exists():
        return []
    whole, _, _torn = path.read_bytes().rpartition(b"\n")
    lines: list[dict[str, Any]] = [orjson.loads(line) for line in whole.splitlines()]
    for place, line in enumerate(lines, start=1):
        if line["index"] != place:
            raise ValueError(f"{path}: line {place} has index {line['index']}")
    return lines


def read_pulses(path: Path, controller: str = "", cause: Cause | None = None) -> list[Pulse]:
    """The releases of one controller (or all), for one cause (or any), without those that were withdrawn."""
    lines = read_lines(path)
    withdrawn = {line["of"] for line in lines if line["kind"] == "withdrawn"}
    pulses = [
        Pulse(
            line["index"],
            line["controller"],
            line["lock"],
            line["seconds"],
            line["at"],
            Cause(line["cause"]),
            line["command"],
            line["passage"],
        )
        for line in lines
        if line["kind"] == "pulse" and line["index"] not in withdrawn
    ]
    return [p for p in pulses if controller in ("", p.controller) and cause in (None, p.cause)]


class PulseLog:
    """Appends with group commit: whatever waits is written and synced together, in a thread, in order."""

    def __init__(self, path: Path, sync: Callable[[int], None] = os.fsync) -> None:
        """Opens or makes the file, cutting a torn last line. Raises `OSError`, also when another process writes it."""
        self._sync = sync
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # two writers would count the same lines
        except OSError:
            os.close(self._file)
            raise
        self._index, self._size = self._recover(path)
        self._waiting: list[tuple[Mapping[str, Any], asyncio.Future[int]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="pulse-log")

    def _recover(self, path: Path) -> tuple[int, int]:
        whole, newline, _torn = path.read_bytes().rpartition(b"\n")
        size = len(whole) + len(newline)
        os.ftruncate(self._file, size)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(self._file)
            os.fsync(folder)  # a new file is durable only with its name
        finally:
            os.close(folder)
        return whole.count(b"\n") + (1 if whole else 0), size

    async def append(self, line: Mapping[str, Any]) -> int:
        """Durable when it returns; the answer is the line's index. Raises `OSError` when the disk refused."""
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(({"at": time.time(), **line}, done))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_waiting())
        return await asyncio.shield(done)

    async def close(self) -> None:
        """Write what waits and close the file."""
        if self._writer is not None:
            await self._writer
        self._thread.shutdown()
        os.close(self._file)

    async def _write_waiting(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting, []
            indices = range(self._index + 1, self._index + 1 + len(batch))
            data = b"".join(
                orjson.dumps({"index": index, **line}, option=orjson.OPT_APPEND_NEWLINE)
                for index, (line, _) in zip(indices, batch, strict=True)
            )
            try:
                await loop.run_in_executor(self._thread, self._write, data)
            except OSError as error:
                for _, done in batch:
                    done.set_exception(error)
                continue
            self._index += len(batch)
            for index, (_, done) in zip(indices, batch, strict=True):
                done.set_result(index)
        self._writer = None

    def _write(self, data: bytes) -> None:
        os.ftruncate(self._file, self._size)  # drops what a failed write may have left
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        self._sync(self._file)
        self._size += len(data)
