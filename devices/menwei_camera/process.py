"""The worker process as the core sees it: started, heard, spoken to, and its end told."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from menwei_camera import wire

SILENCE = 60.0
"""Seconds without a beat after which a worker counts as hung: loading networks takes ten on slow machines."""
ENDING = 3.0

Heard = Callable[[dict[str, Any]], None]


class WorkerProcess:
    """One life of the worker. `run` returns why it ended."""

    def __init__(self, heard: Heard, silence: float = SILENCE) -> None:
        self._heard = heard
        self._silence = silence
        self._writer: asyncio.StreamWriter | None = None
        self.pid: int | None = None

    def say(self, *message: Any) -> None:
        """Quick; what is said to a worker that is gone is lost, as it should be."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(wire.to_worker(message))

    async def run(self) -> str:
        """Start it and hear it until it ends, or until cancelled; it does not outlive this call."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "menwei_camera.worker", str(theirs.fileno()),
                pass_fds=(theirs.fileno(),), env=_environment(),
                stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self.pid = process.pid
        try:
            reader, self._writer = await asyncio.open_connection(sock=ours)
            why = await self._listen(reader)
        finally:
            await self._end(process)
        code = process.returncode
        return why or (
            f"ended by {signal.Signals(-code).name}" if code and code < 0 else f"ended with {code}"
        )

    async def _listen(self, reader: asyncio.StreamReader) -> str:
        while True:
            try:
                async with asyncio.timeout(self._silence):
                    count = wire.length(await reader.readexactly(wire.LENGTH.size))
                    payload = await reader.readexactly(count)
                message = wire.in_core(payload)
            except TimeoutError:
                return f"said nothing for {self._silence:g} s"
            except wire.WireError as error:
                return f"spoke nonsense: {error}"
            except (asyncio.IncompleteReadError, ConnectionError):
                return ""
            self._heard(message)

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        if self._writer is not None:
            self._writer.close()
        self._writer = None
        try:
            async with asyncio.timeout(ENDING):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        except BaseException:
            process.kill()
            raise


def _environment() -> dict[str, str]:
    """The worker finds the same packages as we do."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
