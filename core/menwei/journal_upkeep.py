"""What retention does to the journal: destroy personal parts with a proof, and cut an old prefix at a checkpoint.

Both run on the writer's connection in small transactions, so that a grant never waits long behind them. Each
transaction is true by itself: what it deletes and the entry or signature that says so are one.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from menwei import journal_file
from menwei.chain import FORGOTTEN, JOURNAL_CUT, JournalKeys, Link, Position, Verifier
from menwei.journal_file import JournalError, Query
from menwei.journal_pen import Draft, Pen

log = logging.getLogger(__name__)

FORGET_CHUNK = 1000
CUT_CHUNK = 500
"""Rows in one transaction: some 10 ms of the writer."""


def own_entry(kind: str, at: float, data: Mapping[str, Any]) -> Draft:
    """An entry of the journal about itself."""
    return Draft(kind, at, time.time(), time.monotonic(), "", "", orjson.dumps(data).decode())


@dataclass(frozen=True, slots=True)
class Forget:
    """Destroys the side rows at `positions` (packed) and writes how many of which kind; the answer is their number."""

    positions: list[int]
    facts: Mapping[str, Any]
    at: float

    def __call__(self, connection: sqlite3.Connection, pen: Pen) -> int:
        chosen = orjson.dumps(self.positions).decode()
        counts = dict(
            connection.execute(
                "SELECT e.kind, count(*) FROM json_each(?) j JOIN personal p ON p.position = j.value "
                "JOIN entry e ON e.position = j.value GROUP BY e.kind",
                (chosen,),
            ).fetchall()
        )
        if counts:
            connection.execute(
                "DELETE FROM personal WHERE position IN (SELECT value FROM json_each(?))", (chosen,)
            )
            pen.write([own_entry(FORGOTTEN, self.at, {"counts": counts, **self.facts})])
        return sum(counts.values())


@dataclass(slots=True)
class Cut:
    """Drops the oldest entries before a position, one chunk a call; the answer is whether there may be more.

    What is dropped is verified first: a checkpoint signed over a broken prefix would hide the break for ever.
    Raises `JournalError` then, and nothing is dropped.
    """

    before: Position
    keys: JournalKeys
    site: str
    carry: frozenset[str]
    at: float
    entries: int = 0
    personal: int = 0

    def __call__(self, connection: sqlite3.Connection, pen: Pen) -> bool:
        old = journal_file.load_seal(connection, "checkpoint")
        links = journal_file.select(connection, Query(before=self.before, limit=CUT_CHUNK, personal=True))
        if links:
            verifier = Verifier(self.keys, self.site, old, None)
            for link in links:
                verifier.take(link)
            if verifier.result is not None:
                broken = verifier.result
                raise JournalError(
                    f"not cut: the journal is broken at {broken.broken} ({broken.why}: {broken.detail})"
                )
            facts = {} if old is None else old.read(self.keys, "checkpoint", self.site)
            carried = {(entry["kind"], entry["door"]): entry for entry in facts.get("carried", [])}
            carried.update({(link.kind, link.door): plain(link) for link in links if link.kind in self.carry})
            last = links[-1]
            connection.execute("DELETE FROM personal WHERE position <= ?", (last.position.packed,))
            connection.execute("DELETE FROM entry WHERE position <= ?", (last.position.packed,))
            pen.checkpoint(
                last.position, last.chain, balance=verifier.balance, carried=list(carried.values()),
                entries=facts.get("entries", 0) + len(links),
            )  # fmt: skip
            self.entries += len(links)
            self.personal += sum(link.sealed is not None for link in links)
        more = len(links) == CUT_CHUNK
        if not more and self.entries:
            pen.write(
                [
                    own_entry(
                        JOURNAL_CUT,
                        self.at,
                        {"before": str(self.before), "entries": self.entries, "personal": self.personal},
                    )
                ]
            )
        if self.entries:
            pen.sign()  # the head may have been signed at an entry that is gone now
        return more


def plain(link: Link) -> dict[str, Any]:
    """An entry as JSON-able values, without its personal part."""
    return {
        "position": str(link.position),
        "kind": link.kind,
        "at": link.at,
        "recorded_at": link.recorded_at,
        "monotonic": link.monotonic,
        "door": link.door,
        "access_point": link.access_point,
        "data": orjson.loads(link.data),
    }


def carried(connection: sqlite3.Connection, keys: JournalKeys, site: str, kind: str) -> list[dict[str, Any]]:
    """The last entries of a kind that a cut took away, as `plain`. A checkpoint that is not ours carries nothing: a
    door mode from it could be anybody's."""
    checkpoint = journal_file.load_seal(connection, "checkpoint")
    if checkpoint is None:
        return []
    try:
        facts = checkpoint.read(keys, "checkpoint", site)
    except ValueError as error:
        log.error("journal: what was carried over the last cut is not used: %s", error)
        return []
    return [entry for entry in facts["carried"] if entry["kind"] == kind]


def truncate_log(connection: sqlite3.Connection, pen: Pen) -> bool:
    """Empties the write-ahead log, which still holds what was just deleted. False when a reader is in the way."""
    (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not busy
