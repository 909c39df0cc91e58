"""The program's own log: lines on standard error, for whoever keeps the machine.

It is the last thing that may stand in the way of a door. So a line that cannot be written (a full disk, a pipe whose
reader has gone) is dropped: there is nowhere left to tell it, and what must not be lost stands in the journal. And it is
kept where the journal's rules do not reach, so that no value of a variable gets into it: among these are who passes, and
where.
"""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from typing import Any

import structlog


class Stderr:
    """Whatever `sys.stderr` is when a line is written: a test, or a program that embeds us, may change it. Never raises."""

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):  # ValueError: it was closed
            return sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()


def log_to_stderr(level: int = logging.WARNING) -> None:
    """Log lines on stderr, from `level` on; a traceback is files and lines, without what stood in the variables."""
    stream: Any = Stderr()
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s", stream=stream)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.StackInfoRenderer(),
            structlog.dev.set_exc_info,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
            structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=stream),
    )


__all__ = ["Stderr", "log_to_stderr"]
