"""A process that is out of file descriptors, told without filling the log: somebody may hold every connection open."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Callable, Mapping
from typing import Any

import structlog

log = structlog.get_logger(__name__)

AGAIN = 60.0
"""Seconds between two lines about it. asyncio tells of every connection it cannot accept, a hundred times a second and
each time with a trace (`_accept_connection` in asyncio/selector_events.py)."""
_SHORT = frozenset({errno.EMFILE, errno.ENFILE})


class Shortage:
    """For `loop.set_exception_handler`: whatever is no shortage of descriptors goes on to the loop's own handler."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._quiet_until = 0.0

    def __call__(self, loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, OSError) or error.errno not in _SHORT:
            loop.default_exception_handler(dict(context))
            return
        if self._now() >= self._quiet_until:
            self._quiet_until = self._now() + AGAIN
            log.error("too many files and connections are open: new ones wait", error=str(error))


__all__ = ["Shortage"]
