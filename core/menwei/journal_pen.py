"""What waits to be written into the journal, and the pen that writes it at the end of the chain.

One statement inserts many rows, because each SQLite step gives up the interpreter lock and may wait 5 ms to get it back
from a busy event loop.
"""

# ruff: noqa: S608 — statements are put together from constants and question marks; every value is bound

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from menwei import journal_file
from menwei.chain import MAX_SEQ, JournalKeys, Position, Seal, link_hash, pack
from menwei.journal_file import State


@dataclass(slots=True, eq=False)
class Draft:
    """An entry on its way to the disk: checked, encoded and sealed, so that writing it can fail only by the disk."""

    kind: str
    at: float
    recorded_at: float
    monotonic: float
    door: str
    access_point: str
    data: str
    commitment: bytes = b""
    sealed: bytes | None = None
    holder: bytes | None = None
    future: asyncio.Future[Any] | None = None
    posted: bool = False
    late: bool = False
    """its `record` gave up waiting"""
    position: int = 0
    """packed; set once durable"""


@dataclass(slots=True, eq=False)
class Work:
    """Something else in a transaction of its own, between groups. It is not tried again: an error is the caller's."""

    run: Callable[[sqlite3.Connection, Pen], Any]
    future: asyncio.Future[Any]
    transaction: bool = True


@dataclass(slots=True, eq=False)
class Flush:
    """Write these cursors; `future`, if any, ends when they are durable."""

    moves: dict[str, Position]
    future: asyncio.Future[Any] | None = None


class Stop:
    """The last item of the queue."""


Item = Draft | Work | Flush | Stop


class Pen:
    """Writes drafts at the end of the chain, inside a transaction. A commit makes its `state` the writer's."""

    def __init__(
        self, connection: sqlite3.Connection, keys: JournalKeys, site: str, state: State, epoch: int
    ) -> None:
        self._connection, self._keys, self._site, self._epoch = connection, keys, site, epoch
        self.state = State(state.position, state.chain, state.at, state.kept_from)

    def write(self, drafts: list[Draft]) -> list[int]:
        """Returns the packed position of each."""
        at, chain = self.state.position, self.state.chain
        epoch, seq = (self._epoch, 0) if at.epoch < self._epoch else (at.epoch, at.seq)
        positions: list[int] = []
        rows: list[Any] = []
        sides: list[Any] = []
        for draft in drafts:
            epoch, seq = (epoch, seq + 1) if seq < MAX_SEQ else (epoch + 1, 1)
            chain = link_hash(
                chain, epoch, seq, draft.at, draft.recorded_at, draft.monotonic, draft.kind.encode(), draft.door.encode(),
                draft.access_point.encode(), draft.data.encode(), draft.commitment,
            )  # fmt: skip
            packed = pack(epoch, seq)
            rows += (
                packed, draft.kind, draft.at, draft.recorded_at, draft.monotonic, draft.door, draft.access_point,
                draft.data, draft.commitment, chain,
            )  # fmt: skip
            if draft.sealed is not None:
                sides += (packed, draft.holder, draft.sealed)
            positions.append(packed)
        _insert(self._connection, "entry", 10, rows)
        _insert(self._connection, "personal", 3, sides)
        self.state.position, self.state.chain, self.state.at = Position(epoch, seq), chain, drafts[-1].at
        return positions

    def sign(self) -> None:
        """Vouch for the chain up to here."""
        head = Seal.make(self._keys, "head", self._site, self.state.position, self.state.chain)
        journal_file.save_seal(self._connection, "head", head)

    def checkpoint(self, position: Position, chain: bytes, **facts: Any) -> None:
        """Vouch that the chain begins after `position`."""
        seal = Seal.make(self._keys, "checkpoint", self._site, position, chain, **facts)
        journal_file.save_seal(self._connection, "checkpoint", seal)
        self.state.kept_from = position


def _insert(connection: sqlite3.Connection, table: str, columns: int, values: list[Any]) -> None:
    """Inserts rows given as one flat list, in few statements of sizes that stay in the statement cache."""
    size, done = 64, 0
    while done < len(values):
        while size * columns > len(values) - done:
            size //= 2
        end = done + size * columns
        connection.execute(_insertion(table, columns, size), values[done:end])
        done = end


_INSERTIONS = {
    (table, columns, 1 << power): f"INSERT INTO {table} VALUES "
    + ", ".join([f"({', '.join('?' * columns)})"] * (1 << power))
    for table, columns in (("entry", 10), ("personal", 3))
    for power in range(7)
}


def _insertion(table: str, columns: int, size: int) -> str:
    return _INSERTIONS[table, columns, size]
