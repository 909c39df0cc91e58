"""A process of ours beside the core, for what numpy or a network is needed for: asked, answered, ended.

What comes back is believed no more than any other peer: JSON, of bounded length. The other end is `exactly` and
`frame`; it is given the number of its file descriptor as its last argument, says {"ready": true} first, or {"trouble":
why}, and ends when the pipe does.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

LENGTH = struct.Struct(">I")
LARGEST_ANSWER = 64 * 1024
STARTING = 180.0
ANSWERING = 60.0
"""Seconds for loading what it needs, and for one answer, before the process counts as hung."""
ENDING = 3.0


class AsideTrouble(Exception):
    """The process could not be asked; the text says why and holds nothing personal."""


class Nonsense(ValueError):
    """The process said what it never says."""


class Aside:
    """One process, begun at the first question and anew after a trouble. Blocking; one thread asks at a time, and any
    may `end`."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: socket.socket | None = None
        self._guard = threading.Lock()

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def ask(self, payload: bytes) -> dict[str, Any]:
        """Raises `AsideTrouble`; then the process is gone, and the next question begins a new one."""
        try:
            pipe = self._started()
            pipe.settimeout(ANSWERING)
            pipe.sendall(frame(payload))
            return self._answer(pipe)
        except (OSError, Nonsense) as error:
            self.end()
            raise AsideTrouble(f"{type(error).__name__}: {error}") from error
        except AsideTrouble:
            self.end()
            raise

    def end(self) -> None:
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

    def _started(self) -> socket.socket:
        with self._guard:
            if self._pipe is not None:
                return self._pipe
            ours, theirs = socket.socketpair()
            with theirs:
                environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
                quiet = subprocess.DEVNULL
                self._process = subprocess.Popen(  # noqa: S603  our own program
                    [*self._command, str(theirs.fileno())],
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
            raise AsideTrouble(str(first.get("trouble") or "the process did not start")[:500])
        return ours

    def _answer(self, pipe: socket.socket) -> dict[str, Any]:
        head = exactly(pipe, LENGTH.size)
        if not head:
            raise AsideTrouble(f"the process ended{self._how()}")
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


def frame(payload: bytes) -> bytes:
    return LENGTH.pack(len(payload)) + payload


def exactly(pipe: socket.socket, count: int) -> bytes:
    """`count` bytes; empty when the other end is gone."""
    held = bytearray()
    while len(held) < count:
        piece = pipe.recv(min(count - len(held), 1 << 20))
        if not piece:
            return b""
        held += piece
    return bytes(held)


def asked(pipe: socket.socket) -> bytes | None:
    """In the process: the next question, None when there will be no other."""
    head = exactly(pipe, LENGTH.size)
    if not head:
        return None
    (count,) = LENGTH.unpack(head)
    payload = exactly(pipe, count)
    return payload if len(payload) == count else None


def answer(pipe: socket.socket, facts: dict[str, Any]) -> None:
    """In the process."""
    pipe.sendall(frame(json.dumps(facts, separators=(",", ":")).encode()))
