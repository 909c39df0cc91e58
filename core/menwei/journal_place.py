"""Whether the journal's files are still those that were opened.

Whoever deletes, exchanges or restores them under a running program is not noticed by SQLite: it goes on writing into
files that no path leads to, every commit succeeds, and at the next start all of it is gone.
"""

from __future__ import annotations

import os
from pathlib import Path


class Place:
    """Made when the file was opened and has been read once: from then on its write-ahead log is there as well, and stays
    until the last connection is closed. Raises `OSError`."""

    def __init__(self, path: Path) -> None:
        self._path, self._log = path, path.with_name(f"{path.name}-wal")
        self._log_was = _identity(self._log.stat())
        facts = self._path.stat()
        self._file_was, self._content = _identity(facts), _content(facts)

    def log_stands(self) -> bool:
        """Whether the path of the write-ahead log still leads to the one that is written. One stat."""
        try:
            return _identity(self._log.stat()) == self._log_was
        except FileNotFoundError:
            return False

    def file_stands(self) -> bool:
        """Whether the path still leads to the file; then its content is taken for ours. Called after every change of our
        own, for `untouched`. One stat."""
        try:
            facts = self._path.stat()
        except FileNotFoundError:
            return False
        self._content = _content(facts)
        return _identity(facts) == self._file_was

    def untouched(self) -> bool:
        """Whether nobody else has exchanged the file or written into it since `file_stands`."""
        try:
            facts = self._path.stat()
        except FileNotFoundError:
            return False
        return (_identity(facts), _content(facts)) == (self._file_was, self._content)


class Standing:
    """A file as it was when this was made: whether its path still leads to it. Raises `OSError` when there is none."""

    def __init__(self, path: Path) -> None:
        self._path, self._was = path, _identity(path.stat())

    def stands(self) -> bool:
        """One stat; a path that cannot be followed leads nowhere."""
        try:
            return _identity(self._path.stat()) == self._was
        except OSError:
            return False


def _identity(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_dev, facts.st_ino


def _content(facts: os.stat_result) -> tuple[int, int]:
    return facts.st_mtime_ns, facts.st_size
