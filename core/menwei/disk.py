"""What a failed write says of the disk: whether a person has to make room there, or look at it."""

from __future__ import annotations

import errno
import sqlite3

_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
_SQLITE = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR})
_PRIMARY = 0xFF
"""SQLite's extended result codes carry the primary one in their lowest byte (sqlite.org/rescode.html)."""


def unwritable(error: BaseException) -> bool:
    """Whether this came of a disk that is full, read-only or failing: of a file, of SQLite, or of SQLAlchemy about it."""
    if isinstance(error, OSError):
        return error.errno in _ERRORS
    cause = getattr(error, "orig", error)  # sqlalchemy.exc.DBAPIError keeps the driver's own there
    return isinstance(cause, sqlite3.Error) and getattr(cause, "sqlite_errorcode", 0) & _PRIMARY in _SQLITE


__all__ = ["unwritable"]
