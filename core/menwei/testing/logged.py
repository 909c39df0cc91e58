"""Everything that was logged, as text, to look for what must not be there."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from structlog.testing import capture_logs


@contextmanager
def logged() -> Iterator[list[str]]:
    """The lines that structlog and `logging` are given meanwhile, of every level; complete at the end of the block."""
    lines: list[str] = []
    root, handler = logging.getLogger(), _Keep(lines)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        with capture_logs() as entries:
            yield lines
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
        lines += [repr(entry) for entry in entries]


class _Keep(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.DEBUG)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))
