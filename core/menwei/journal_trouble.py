"""Why the journal cannot be written now, in kinds that a person can act on."""

from __future__ import annotations

import errno
import sqlite3
from dataclasses import dataclass
from enum import StrEnum


class TroubleKind(StrEnum):
    """Why nothing can be written now."""

    DISK_FULL = "disk full"
    IO_ERROR = "disk error"
    BUSY = "locked by another program"
    READ_ONLY = "read-only"
    DAMAGED = "file damaged"
    DIVERGED = "file replaced"
    """Not the file that was written to: it was put back from a copy, exchanged or deleted."""
    OTHER = "error"


_TROUBLE_OF_CODE = {
    sqlite3.SQLITE_FULL: TroubleKind.DISK_FULL,
    sqlite3.SQLITE_IOERR: TroubleKind.IO_ERROR,
    sqlite3.SQLITE_CANTOPEN: TroubleKind.IO_ERROR,
    sqlite3.SQLITE_BUSY: TroubleKind.BUSY,
    sqlite3.SQLITE_LOCKED: TroubleKind.BUSY,
    sqlite3.SQLITE_READONLY: TroubleKind.READ_ONLY,
    sqlite3.SQLITE_PERM: TroubleKind.READ_ONLY,
    sqlite3.SQLITE_CORRUPT: TroubleKind.DAMAGED,
    sqlite3.SQLITE_NOTADB: TroubleKind.DAMAGED,
    sqlite3.SQLITE_CONSTRAINT: TroubleKind.DIVERGED,
}


class Troubled(Exception):
    """Nothing can be written now, and we know why better than SQLite does."""

    def __init__(self, kind: TroubleKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Trouble:
    """Nothing can be written, since `since` (the machine's wall time)."""

    kind: TroubleKind
    since: float
    detail: str

    @classmethod
    def of(cls, error: Exception, since: float) -> Trouble:
        if isinstance(error, Troubled):
            return cls(error.kind, since, str(error))
        if isinstance(error, OSError):
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            return cls(TroubleKind.DISK_FULL if full else TroubleKind.IO_ERROR, since, str(error))
        code = getattr(error, "sqlite_errorcode", None)
        kind = TroubleKind.OTHER if code is None else _TROUBLE_OF_CODE.get(code & 0xFF, TroubleKind.OTHER)
        return cls(kind, since, str(error))
