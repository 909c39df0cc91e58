"""The real program, for tests: `menwei …` on a folder with a config, every call a process of its own that is ended by its
own id, and `menwei run` from its first line to its end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WITHIN = 300.0
"""Seconds one command may take; the machine may be busy."""


async def kill(process: Process) -> None:
    """Ends it now, if it has not ended."""
    if process.returncode is None:
        process.kill()
    await process.wait()


@dataclass(frozen=True, slots=True)
class Running:
    """`menwei run`, which has said that it runs."""

    process: Process
    line: str
    """What it said."""
    password: str = ""
    """The admin's first password, which it says before at the very first start on a folder."""

    @property
    def url(self) -> str:
        """The address it says its console is reached at."""
        return next(word for word in self.line.split() if word.startswith("http")).rstrip(".,")


class Program:
    """`await program("people", "list")`: `menwei` in English with the config.yaml of this folder, and this checkout's code.

    `config` is written there first, if it is given; `environment` is set beside this process's own.
    """

    def __init__(self, folder: Path, config: str | None = None, **environment: str) -> None:
        self.folder = folder
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self.environment = {
            **os.environ,
            "MENWEI_LANG": "en",
            "MENWEI_CONFIG": str(folder / "config.yaml"),
            "COLUMNS": "300",
            "PYTHONPATH": path,
            **environment,
        }
        if config is not None:
            (folder / "config.yaml").write_text(config, "utf-8")

    def write(self, name: str, data: bytes) -> str:
        """A file in the folder, by the name under which the program finds it."""
        (self.folder / name).write_bytes(data)
        return name

    async def start(
        self, *words: str, stdin: int | None = DEVNULL, stdout: int | None = PIPE, stderr: int | None = PIPE
    ) -> Process:
        """For who talks to it while it runs; who starts it ends it."""
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "menwei", *words, cwd=self.folder, env=self.environment,
            stdin=stdin, stdout=stdout, stderr=stderr, preexec_fn=_hears_ctrl_c,
        )  # fmt: skip

    async def ended(self, *words: str, code: int | None = 0) -> tuple[str, str]:
        """Both outputs of one command, which must end with this code; `None` is any."""
        process = await self.start(*words)
        try:
            async with asyncio.timeout(WITHIN):
                out, err = (data.decode() for data in await process.communicate())
        finally:
            await kill(process)
        assert code in {None, process.returncode}, (
            f"menwei {' '.join(words)}: {process.returncode}\n{out}\n{err}"
        )
        return out, err

    async def __call__(self, *words: str, code: int | None = 0) -> str:
        """What one command answers."""
        return (await self.ended(*words, code=code))[0]

    async def said(self, *words: str, code: int | None = 0) -> str:
        """What one command answers, and what it says of trouble."""
        return "".join(await self.ended(*words, code=code))

    async def json(self, *words: str, code: int | None = 0) -> Any:
        """What one command answers with `--json`."""
        return json.loads(await self(*words, "--json", code=code))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Running]:
        """`menwei run`, from when it says that it runs; ended as Ctrl-C does, which it must take for no failure."""
        process = await self.start("run")
        assert process.stderr is not None
        errors = asyncio.create_task(process.stderr.read())
        try:
            line, password = await read_line(process), ""
            if "password " in line:
                password = line.split("password ", 1)[1].split()[0]
                line = await read_line(process)
            assert "is running" in line, line + (await errors).decode()
            yield Running(process, line, password)
            process.send_signal(signal.SIGINT)
            async with asyncio.timeout(WITHIN):
                assert await process.wait() == 0, (await errors).decode()
        finally:
            await kill(process)
            await errors

    @asynccontextmanager
    async def killed(self) -> AsyncIterator[Process]:
        """`menwei run`, from when it is started; ended by kill -9."""
        process = await self.start("run", stdout=DEVNULL, stderr=DEVNULL)
        try:
            yield process
        finally:
            await kill(process)


def _hears_ctrl_c() -> None:
    """As at a terminal: where the tests run in the background of a shell, they ignore it, and so would what they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


async def read_line(process: Process) -> str:
    """The next line of its output; "" when it has ended."""
    assert process.stdout is not None
    async with asyncio.timeout(WITHIN):
        return (await process.stdout.readline()).decode()


__all__ = ["WITHIN", "Program", "Running", "kill", "read_line"]
