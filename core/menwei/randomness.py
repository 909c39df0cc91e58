"""Random bytes, read ahead.

`os.urandom` gives up the interpreter lock at every call. On the event loop, while the journal's thread is busy, getting
it back takes longer than everything else that sealing a record does.
"""

from __future__ import annotations

import os
import threading
import weakref

AHEAD = 4096
"""Bytes asked of the system at a time."""


class Randomness:
    """Bytes of `os.urandom`, each given out once: in whatever thread, and not again by a forked process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bytes = b""
        self._at = 0
        forget = weakref.WeakMethod(self._forget)
        os.register_at_fork(after_in_child=lambda: (forget() or _nothing)())

    def take(self, count: int) -> bytes:
        """`count` fresh bytes. Raises `ValueError` for more than `AHEAD`."""
        if count > AHEAD:
            raise ValueError(f"{count} bytes at once: {AHEAD} are read ahead")
        with self._lock:
            if self._at + count > len(self._bytes):
                self._bytes, self._at = os.urandom(AHEAD), 0
            taken = self._bytes[self._at : self._at + count]
            self._at += count
        return taken

    def _forget(self) -> None:
        """In a forked process: what the parent read ahead is the parent's."""
        self._lock = threading.Lock()  # another thread of the parent may have held it
        self._bytes = b""


def _nothing() -> None: ...
