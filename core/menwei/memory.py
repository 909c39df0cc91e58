"""What drivers remember across restarts and power cuts: one small JSON file a device (`menwei.context.Memory`).

It is not the store: no person, no card number, no secret belongs here, only places such as "the last event read".
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import orjson
import structlog

log = structlog.get_logger(__name__)

LONGEST_KEY: Final = 64
LONGEST_VALUE: Final = 1024
MOST_KEYS: Final = 64


class Memories:
    """All devices' memories, in one folder. One object for the life of the program: a driver that is made anew after
    its device was lost must not read while its predecessor's last write is on its way."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._of: dict[str, FileMemory] = {}

    def of(self, device: str) -> FileMemory:
        """The memory of the device with this id. Raises `OSError` when its file is there and cannot be read."""
        if device not in self._of:
            self._of[device] = FileMemory(self._folder / f"{quote(device, safe='')}.json")
        return self._of[device]


class FileMemory:
    """One device's memory in the file `path`; the folder is made at the first `keep`.

    A write goes to a second file that takes the first one's place, so that a power cut leaves the old facts or the new
    ones. A file that is not ours (edited, spoilt by the disk) is set aside as `….broken` and told in the log; the driver
    then begins as on its first day.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._facts = self._read()
        self._wanted = 0
        self._written = 0
        self._turn = asyncio.Lock()
        self._disk = threading.Lock()

    def get(self, key: str) -> str | None:
        return self._facts.get(key)

    async def keep(self, key: str, value: str) -> None:
        if len(key) > LONGEST_KEY or len(value) > LONGEST_VALUE:
            raise ValueError(f"a key has up to {LONGEST_KEY} characters and a value up to {LONGEST_VALUE}")
        if key not in self._facts and len(self._facts) >= MOST_KEYS:
            raise ValueError(f"a device keeps up to {MOST_KEYS} facts")
        self._facts[key] = value
        self._wanted += 1
        mine = self._wanted
        async with self._turn:
            if self._written < mine:
                await _to_its_end(asyncio.to_thread(self._write, self._wanted, dict(self._facts)))

    def _write(self, version: int, facts: dict[str, str]) -> None:
        """In a thread, which goes on when whoever waits is cancelled: hence a lock of its own, and no step back."""
        with self._disk:
            if version <= self._written:
                return
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            new = self._path.with_name(f".{self._path.name}.new")
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(orjson.dumps(facts))
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
            self._written = version

    def _read(self) -> dict[str, str]:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return {}
        facts = _facts(data)
        if facts is None:
            aside = self._path.with_name(f"{self._path.name}.broken")
            self._path.replace(aside)
            log.error("a device's memory is unreadable and was set aside", file=str(aside))
            return {}
        return facts


async def _to_its_end(writing: Coroutine[Any, Any, None]) -> None:
    """Also for who is cancelled meanwhile: a driver that has ended has its memory on the disk, where its successor looks
    for it. Else what was reported a moment before would be reported again."""
    task = asyncio.ensure_future(writing)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


def _facts(data: bytes) -> dict[str, str] | None:
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        return None
    return found
