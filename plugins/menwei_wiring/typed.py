"""Lines typed at the terminal, read while the loop goes on.

Not by `input` in a thread: nobody can interrupt that, and a program that is given up with Ctrl-C would wait for Enter.
"""

from __future__ import annotations

import asyncio
import os
import sys

AT_ONCE = 4096
"""Bytes; a terminal gives a line at a time, a pipe whatever there is."""


class Typed:
    """What is typed into one file descriptor, the standard input unless given. One line is asked for at a time."""

    def __init__(self, file: int | None = None) -> None:
        self._file = sys.stdin.fileno() if file is None else file
        self._rest = b""

    async def line(self) -> str:
        """The next line without its end. Raises `EOFError` after the last one."""
        while b"\n" not in self._rest:
            more = await self._more()
            if not more and not self._rest:
                raise EOFError
            self._rest += more or b"\n"
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode(errors="replace").strip()

    async def _more(self) -> bytes:
        """What has been typed since; empty at the end."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        try:
            loop.add_reader(self._file, ready.set)
        except PermissionError:  # epoll takes no ordinary file; one never makes anybody wait
            return os.read(self._file, AT_ONCE)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._file)
        return os.read(self._file, AT_ONCE)
