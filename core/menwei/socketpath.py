"""A path of a Unix socket that fits into the 108 bytes its address has, however deep its folder lies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LONGEST = 100
"""Bytes: below the 108 of Linux (unix(7)) and the 104 of others."""


@contextmanager
def short(socket: Path) -> Iterator[str]:
    """The path itself where it fits, else one through an open descriptor of its folder, valid inside the block. Raises
    `OSError` when the folder is not there."""
    if len(os.fsencode(socket)) <= LONGEST:
        yield str(socket)
        return
    folder = os.open(socket.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{socket.name}"
    finally:
        os.close(folder)
