"""A real PostgreSQL server in a folder of its own, on loopback, ended by pid."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

START_SECONDS = 60


def _skip(why: str) -> None:
    reason = f"NO POSTGRESQL TESTED: {why}"
    warnings.warn(reason, stacklevel=3)
    pytest.skip(reason)


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if found:
        return found[-1].parent
    own = shutil.which("initdb")
    return Path(own).parent if own else None


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database. Skips the test, loudly, where there is no PostgreSQL or no driver for it."""
    try:
        import asyncpg  # noqa: F401
    except ImportError:
        _skip("the extra 'postgres' (asyncpg) is not installed")
    binaries = _binaries()
    if binaries is None:
        _skip("there is no initdb on this machine (apt-get install postgresql)")
    assert binaries is not None
    # It refuses to run as root; its socket's folder must have a short path.
    become = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="menwei-pg-"))
    try:
        if become:
            shutil.chown(folder, "postgres")
        made = subprocess.run(
            [*become, binaries / "initdb", "-D", folder / "data", "-A", "trust", "-U", "menwei", "-E", "UTF8", "--no-sync"],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
        )  # fmt: skip
        if made.returncode:
            _skip(f"initdb failed: {made.stderr.strip()[-200:]}")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        with (folder / "log").open("w") as log:
            server = subprocess.Popen(
                [*become, binaries / "postgres", "-D", folder / "data", "-p", str(port), "-h", "127.0.0.1", "-k", folder],
                stderr=log,
                cwd=folder,
            )  # fmt: skip
        try:
            _wait(binaries / "pg_isready", port, folder / "log")
            yield f"postgresql+asyncpg://menwei@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            server.wait(30)
    finally:
        shutil.rmtree(folder)


def _wait(ready: Path, port: int, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    command = [ready, "-h", "127.0.0.1", "-p", str(port)]
    while subprocess.run(command, capture_output=True, check=False).returncode:
        assert time.monotonic() < end, log.read_text()[-2000:]
        time.sleep(0.1)
