"""The core's side of the process that looks at photos: started when somebody enrols, ended a while after.

What comes back is believed no more than any other peer: JSON, of bounded length, every part checked.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import json
import math
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from menwei_face.examining import LARGEST_ANSWER, LENGTH, exactly, frame
from menwei_face.flaw import Flaw
from menwei_face.models import DLIB
from menwei_face.photos import Looked, Reject, Why, known
from menwei_face.quality import Quality

STARTING = 180.0
LOOKING = 60.0
"""Seconds for loading the networks, and for one photo, before the process counts as hung."""
IDLE = 120.0
"""Seconds without a photo after which the process and its memory are given back."""
ENDING = 3.0


class ExaminerTrouble(Exception):
    """Photos cannot be looked at now; the text says why and holds nothing personal."""


class Nonsense(ValueError):
    """The process said what no examiner says."""


class Examiner:
    """Looks at photos in a process of its own, one after the other. Made with the folder of the networks and the name of
    the one that the vault keeps templates of: another may be chosen for the next start meanwhile."""

    def __init__(self, models: Path, command: Sequence[str] = (), *, embedder: str = DLIB.name) -> None:
        self._models = models
        self._embedder = embedder
        self._command = tuple(command) or (sys.executable, "-m", "menwei_face.examining")
        self._turn = asyncio.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: socket.socket | None = None
        self._ending: asyncio.TimerHandle | None = None
        self._guard = threading.Lock()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def look(self, name: str, photo: bytes) -> Looked:
        """What is to be said about one photo. Raises `ExaminerTrouble`: the networks are missing, or the process ended
        over this photo; the next one gets a new process."""
        async with self._turn:
            if self._ending is not None:
                self._ending.cancel()
            work = asyncio.ensure_future(asyncio.to_thread(self._look, name, photo))
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                self._end_beside()  # the thread waits for an answer that nobody wants any more
                await asyncio.gather(work, return_exceptions=True)
                raise
            finally:
                self._ending = asyncio.get_running_loop().call_later(IDLE, self._end_beside)

    async def close(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
        await asyncio.to_thread(self._end)
        async with self._turn:
            if self._ending is not None:
                self._ending.cancel()
            await asyncio.to_thread(self._end)

    def _end_beside(self) -> None:
        """In the event loop, which does not wait until a process of several hundred megabytes is gone."""
        asyncio.get_running_loop().run_in_executor(None, self._end)

    def _look(self, name: str, photo: bytes) -> Looked:
        try:
            pipe = self._started()
            pipe.settimeout(LOOKING)
            pipe.sendall(frame(photo))
            facts = self._answer(pipe)
            found = understood(name, facts)
        except (OSError, Nonsense) as error:
            self._end()
            raise ExaminerTrouble(f"{type(error).__name__}: {error}") from error
        except ExaminerTrouble:
            self._end()
            raise
        return found

    def _started(self) -> socket.socket:
        with self._guard:
            if self._pipe is not None:
                return self._pipe
            ours, theirs = socket.socketpair()
            with theirs:
                command = [*self._command, str(self._models), self._embedder, str(theirs.fileno())]
                environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
                quiet = subprocess.DEVNULL
                self._process = subprocess.Popen(  # noqa: S603  our own program
                    command,
                    pass_fds=(theirs.fileno(),),
                    env=environment,
                    stdin=quiet,
                    stdout=quiet,
                    stderr=quiet,
                )
            self._pipe = ours
        ours.settimeout(STARTING)
        first = self._answer(ours)
        if first.get("ready") is not True:
            raise ExaminerTrouble(str(first.get("trouble") or "the process did not start")[:500])
        return ours

    def _answer(self, pipe: socket.socket) -> dict[str, Any]:
        head = exactly(pipe, LENGTH.size)
        if not head:
            raise ExaminerTrouble(f"the process ended{self._how()}")
        (count,) = LENGTH.unpack(head)
        if count > LARGEST_ANSWER:
            raise Nonsense(f"an answer of {count} bytes")
        try:
            facts = json.loads(exactly(pipe, count))
        except (ValueError, RecursionError) as error:
            raise Nonsense(f"no JSON: {type(error).__name__}") from error
        if not isinstance(facts, dict):
            raise Nonsense("no object")
        return facts

    def _how(self) -> str:
        process = self._process
        try:
            code = process.wait(ENDING) if process is not None else None
        except subprocess.TimeoutExpired:
            return ""
        return "" if code is None else f" ({code})"

    def _end(self) -> None:
        with self._guard:
            pipe, self._pipe = self._pipe, None
            process, self._process = self._process, None
        if pipe is not None:
            with contextlib.suppress(OSError):  # the other end may be gone already
                pipe.shutdown(socket.SHUT_RDWR)  # wakes a thread that reads it
            pipe.close()
        if process is not None:
            process.kill()  # it writes nothing that could be left half done
            process.wait()


def understood(name: str, facts: dict[str, Any]) -> Looked:
    """The answer about one photo, every part of which may be wrong. Raises `Nonsense`."""
    import numpy as np

    given = facts.get("why")
    if not isinstance(given, list):
        raise Nonsense("no list of reasons")
    why = tuple(_reason(word) for word in given)
    if "vector" not in facts:
        if not why:
            raise Nonsense("neither a face nor a reason")
        return Looked(name, why)
    try:
        raw = base64.b64decode(facts["vector"], validate=True)
        vector = np.frombuffer(raw, dtype="<f4").astype(np.float32)
        numbers = [float(number) for number in facts["quality"]]
    except (binascii.Error, TypeError, ValueError, KeyError, OverflowError) as error:
        raise Nonsense(f"no face: {type(error).__name__}") from error
    if len(numbers) != 7 or not 1 <= len(vector) <= 4096 or not np.isfinite(vector).all():
        raise Nonsense("no face")
    if not all(math.isfinite(number) for number in numbers):
        why = why or (Flaw.TURNED,)  # points in one spot: no pose that anybody could hold
        return Looked(name, why)
    return Looked(name, why, vector, Quality(*numbers))


def _reason(word: object) -> Why:
    reason = known(word) if isinstance(word, str) else None
    if reason is None or (isinstance(reason, Reject) and reason is not Reject.UNREADABLE):
        raise Nonsense("an unknown reason")
    return reason
