"""The journal: what happened, in order, for ever the same; also the outbox every notifier, bridge and page reads.

A grant is recorded durably before its door opens (`record`); refusals and door states go the same way without anybody
waiting (`post`). Entries are written by a thread of their own (`journal_writer.py`) into a file of their own, linked
into a chain that shows tampering (`chain.py`). What is personal stands apart, sealed, and `forget` destroys it while
the chain holds. `append`, `record` and `post` are called on the event loop only.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from menwei import journal_file, journal_upkeep
from menwei.chain import JOURNAL_GAP, START, Break, JournalKeys, Position, Verification, blind_holder
from menwei.deadlines import Deadlines
from menwei.journal_entry import (
    Entry,
    JournalClosed,
    JournalFull,
    PersonalState,
    Recorded,
    RecordedPersonal,
    draft,
)
from menwei.journal_file import (
    JournalError,
    JournalForeign,
    JournalLocked,
    JournalLost,
    Lock,
    State,
    verify_file,
)
from menwei.journal_pen import Draft, Flush, Pen, Stop, Work
from menwei.journal_reader import JournalReader
from menwei.journal_trouble import Trouble, TroubleKind
from menwei.journal_upkeep import FORGET_CHUNK
from menwei.journal_writer import Listener, Settled, Writer

__all__ = [
    "START", "Break", "Entry", "Journal", "JournalClosed", "JournalError", "JournalForeign", "JournalFull", "JournalKeys",
    "JournalLocked", "PersonalState", "Position", "Recorded", "RecordedPersonal", "Trouble", "TroubleKind", "Verification",
    "verify_file",
]  # fmt: skip

log = logging.getLogger(__name__)

BOUND = 50_000
"""Entries that may wait for the disk, some 50 MB; a busy village fills that in a day. What comes on top is dropped and
counted."""

POST_BOUND = 10_000
"""Posted entries among them: a reader gone mad must not take the place of grants."""

CURSOR_LAG = 1.0
"""Seconds a follower's cursor may lag on disk: after a crash it hears at most these entries again."""

CLOSE_PATIENCE = 10.0

CARRIED = frozenset({"DoorMode"})
"""Kinds whose last entry for each door outlives a cut: the doors are restored from them at start."""

T = TypeVar("T")


@dataclass(slots=True)
class _Gap:
    """What the next JournalGap entry will say."""

    since: float
    passages: int = 0
    dropped: int = 0
    late: int = 0
    """entries whose `record` gave up and that still wait for the disk"""


class Journal(JournalReader):
    """One site's journal, open for writing by this process. Made by `open`, ended by `close`.

    `last_at` is the `at` of the last entry: at boot the trusted clock starts no earlier. `head` is the position of the
    last durable entry.
    """

    def __init__(
        self,
        path: Path,
        site: str,
        keys: JournalKeys,
        lock: Lock,
        now: Callable[[], float],
        bound: int,
        post_bound: int,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        super().__init__(path, site, keys)
        self._lock = lock
        self._now, self._bound, self._post_bound = now, bound, post_bound
        self.last_at = 0.0
        self.head = START
        self._cursors: dict[str, Position] = {}
        self._moves: dict[str, Position] = {}
        self._moving: asyncio.TimerHandle | None = None
        self._waiting = self._posted = self._lost = 0
        self._lost_to: Exception | None = None
        self._gap: _Gap | None = None
        self._trouble: Trouble | None = None
        self._waiters: set[asyncio.Future[None]] = set()
        self._deadlines: dict[float, Deadlines[Draft]] = {}
        """by patience: a handful of constants in the program"""
        self._opened: asyncio.Future[None] = self._loop.create_future()
        listener = Listener(self._on_opened, self._on_trouble, self._on_settled)
        self._writer = Writer(path, site, keys, self._loop, listener, now)

    @classmethod
    async def open(
        cls,
        path: Path,
        site: str,
        keys: JournalKeys,
        *,
        now: Callable[[], float] = time.time,
        bound: int = BOUND,
        post_bound: int = POST_BOUND,
    ) -> Journal:
        """Opens, creates or migrates the file. Raises `JournalLocked` when another process has it, `JournalForeign`
        when it is no journal, another site's or a newer version's, `OSError` when the folder can not be used.

        A disk that fails now does not keep a site shut: the journal opens with `trouble` set, entries wait, reading
        raises `sqlite3.Error`, `last_at` is 0, and all that mends itself when the disk returns.
        """
        journal = cls(path, site, keys, Lock(path), now, bound, post_bound)
        journal._writer.start()
        try:
            await journal._opened
        except BaseException:
            await journal.close()
            raise
        return journal

    async def close(self, patience: float = CLOSE_PATIENCE) -> None:
        """Writes everything that waits, signs the head and lets go of the file. A failing disk is given `patience`
        seconds when entries wait; `JournalLost` when they were lost after all."""
        if self._closed:
            return
        gap = self._gap
        if gap is not None and (gap.passages or gap.dropped or self._trouble is None):
            self._tell_gap()  # of one in which nothing was lost nobody needs to know, were it lost itself
        self._flush_moves()
        self._writer.put(Stop())
        idle = self._trouble is not None and not self._waiting
        self._writer.give_up_at(time.monotonic() + (0.0 if idle else patience))
        await (
            self._end_reading()
        )  # first: the last connection to close tidies the write-ahead log away, and must be able to write
        await asyncio.to_thread(self._writer.join)
        self._wake(JournalClosed("the journal was closed"))
        for deadlines in self._deadlines.values():
            deadlines.close()
        self._lock.release()
        if self._lost:
            raise JournalLost("journal.lost", file=self._path, count=self._lost, why=self._lost_to)

    # ------------------------------------------------------------------------------------------------------ writing

    def append(self, entry: Entry) -> asyncio.Future[Position]:
        """Hands an entry over; entries become durable in this order. The future ends when it is durable, or with
        `JournalFull`. Raises `ValueError` or `TypeError` when the entry cannot be JSON."""
        future: asyncio.Future[Position] = self._loop.create_future()
        if not self._enqueue(self._draft(entry, future)):
            future.set_exception(JournalFull(f"{self._bound} entries wait for the disk"))
        return future

    async def record(self, entry: Entry, patience: float = 0.5) -> Position | None:
        """The position once the entry is durable; None when it was not within `patience` seconds. Then it stays in the
        queue, is written when the disk returns, and is counted in a JournalGap entry. Raises like `append`."""
        future: asyncio.Future[Position | None] = self._loop.create_future()
        item = self._draft(entry, future)
        if not self._enqueue(item):
            self._open_gap().passages += 1
            return None
        deadlines = self._deadlines.get(patience)
        if deadlines is None:
            deadlines = self._deadlines[patience] = Deadlines(patience, self._on_late)
        deadlines.add(future, item)
        try:
            return await future
        except JournalError:  # lost while closing: counted with `_lost`, and told by `close`
            return None

    def post(self, entry: Entry) -> None:
        """Hands an entry over without waiting. When too many wait it is dropped, counted, and told in a JournalGap
        entry. Raises `ValueError` or `TypeError` when the entry cannot be JSON."""
        item = self._draft(entry, None)
        if self._posted >= self._post_bound:
            self._open_gap().dropped += 1
            return
        item.posted = True
        if self._enqueue(item):
            self._posted += 1

    @property
    def trouble(self) -> str | None:
        """Why nothing can be written now, in English for logs and the doctor; None when all is well."""
        facts = self._trouble
        if facts is None:
            return None
        since = datetime.fromtimestamp(facts.since, UTC).isoformat(timespec="seconds")
        return f"{facts.kind} since {since}"

    @property
    def trouble_facts(self) -> Trouble | None:
        """The same as facts, for a page in the person's language."""
        return self._trouble

    @property
    def waiting(self) -> int:
        """Entries that are not durable yet."""
        return self._waiting

    def _draft(self, entry: Entry, future: asyncio.Future[Any] | None) -> Draft:
        if self._closed:
            raise JournalClosed("the journal was closed")
        return draft(entry, self._keys, future)

    def _enqueue(self, item: Draft, always: bool = False) -> bool:
        if self._waiting >= self._bound and not always:
            self._open_gap().dropped += 1
            return False
        self._waiting += 1
        self.last_at = item.at
        if self._moves:
            self._flush_moves()  # they ride along
        self._writer.put(item)
        return True

    def _open_gap(self) -> _Gap:
        if self._gap is None:
            self._gap = _Gap(self._now())
        return self._gap

    def _tell_gap(self) -> None:
        gap, self._gap = self._gap, None
        assert gap is not None
        until = self._now()
        data = {
            "passages_without_record": gap.passages,
            "dropped": gap.dropped,
            "since": gap.since,
            "until": until,
        }
        log.warning("journal: gap: %s", data)
        self._enqueue(journal_upkeep.own_entry(JOURNAL_GAP, max(until, self.last_at), data), always=True)

    # -------------------------------------------------------------------------------- what the writer tells, in the loop

    def _on_opened(self, result: State | Exception) -> None:
        if isinstance(result, State):
            self.head = result.position
            self.last_at = self.last_at or result.at
            self._cursors = {**result.cursors, **self._cursors}
            self._wake()
        if self._opened.done():
            return
        if isinstance(result, JournalError):
            self._opened.set_exception(result)
        else:
            self._opened.set_result(None)

    def _on_trouble(self, trouble: Trouble) -> None:
        self._trouble = trouble
        self._life += trouble.kind is TroubleKind.DIVERGED
        if self._gap is None:
            self._gap = _Gap(trouble.since)

    def _on_late(self, item: Draft) -> None:
        future = item.future
        assert future is not None
        if item.position:  # durable in time; it was this loop that was late
            future.set_result(Position.unpack(item.position))
            return
        gap = self._open_gap()
        gap.passages += 1
        gap.late += 1
        item.late = True
        future.set_result(None)

    def _on_settled(self, settled: Settled) -> None:
        error = settled.error
        self._waiting -= len(settled.drafts)
        for item in settled.drafts:
            if item.posted:
                self._posted -= 1
            if item.late and self._gap is not None:
                self._gap.late -= 1
            future = item.future
            if future is None or future.done():
                continue
            if error is None:
                future.set_result(Position.unpack(item.position))
            else:
                future.set_exception(JournalError(f"not written: {error}"))
        for waiting, answer in settled.answers:
            if waiting.done():
                continue
            if isinstance(answer, Exception):
                waiting.set_exception(answer)
            else:
                waiting.set_result(answer)
        if error is None:
            self._trouble = None
        else:
            self._lost += len(settled.drafts)
            self._lost_to = error
            if settled.drafts and not self._closed:
                self._open_gap().dropped += len(settled.drafts)
        if settled.state.position > self.head:
            self.head = settled.state.position
            self._wake()
        gap = self._gap
        if (
            gap is not None
            and not gap.late
            and self._trouble is None
            and not self._closed
            and self._posted <= self._post_bound // 2
        ):
            self._tell_gap()

    def _wake(self, error: JournalError | None = None) -> None:
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            if waiter.done():
                continue
            if error is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(error)

    # ---------------------------------------------------------------------------------------------------- following

    async def wait(self, after: Position) -> None:
        """Returns when a durable entry stands after `after`. Raises `JournalClosed`."""
        while self.head <= after:
            if self._closed:
                raise JournalClosed("the journal was closed")
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)

    async def follow(
        self,
        cursor: str | None = None,
        after: Position | None = None,
        kinds: Collection[str] | None = None,
        doors: Collection[str] | None = None,
        limit: int = 500,
    ) -> AsyncIterator[list[Recorded]]:
        """Batches of entries, for ever, until the journal is closed.

        With a `cursor` it begins where that cursor stands (a new one at `after`, or at the oldest entry), and the
        cursor moves past a batch when the next one is asked for: what was being worked on in a crash comes again.
        """
        position = after or START
        if cursor is not None:
            if cursor in self._cursors:
                position = self._cursors[cursor]
            else:
                self._move(cursor, position)
        while True:
            try:
                await self.wait(position)
                head = self.head
                batch = await self.read(position, Position.unpack(head.packed + 1), kinds, doors, limit)
            except JournalClosed:
                return
            position = batch[-1].position if len(batch) == limit else head
            if not batch:
                continue
            yield batch
            if cursor is not None:
                self._move(cursor, position)

    def cursor(self, name: str) -> Position | None:
        """Where a durable cursor stands: everything up to there was handled. None: there is no such cursor."""
        return self._cursors.get(name)

    @property
    def cursors(self) -> Mapping[str, Position]:
        """All durable cursors, for pages that show who lags."""
        return dict(self._cursors)

    async def advance(self, name: str, position: Position) -> None:
        """Moves a cursor; returns when that is durable. Moving it back makes its follower hear entries again."""
        future: asyncio.Future[None] = self._loop.create_future()
        self._move(name, position)
        self._flush_moves(future)
        await future

    async def drop_cursor(self, name: str) -> None:
        """Forgets a cursor whose follower is gone for good, so that it no longer holds back `cut`."""
        self._cursors.pop(name, None)
        self._moves.pop(name, None)

        def drop(connection: sqlite3.Connection, pen: Pen) -> None:
            connection.execute("DELETE FROM cursor WHERE name = ?", (name,))

        await self._work(drop)

    def _move(self, name: str, position: Position) -> None:
        if self._closed:
            return  # not moved on disk: these entries come again, as after a crash
        self._cursors[name] = self._moves[name] = position
        if self._moving is None:
            self._moving = self._loop.call_later(CURSOR_LAG, self._flush_moves)

    def _flush_moves(self, future: asyncio.Future[None] | None = None) -> None:
        if self._moving is not None:
            self._moving.cancel()
            self._moving = None
        if self._moves or future is not None:
            moves, self._moves = self._moves, {}
            self._writer.put(Flush(moves, future))

    # ------------------------------------------------------------------------------------------------------- upkeep

    async def forget(self, older_than: Mapping[str, float], now: float, *, holder: int | None = None) -> int:
        """Destroys personal parts: those of a kind whose `at` is more than so many seconds before `now` ("*": kinds not
        named; kinds in neither are kept), of one holder if given. Returns how many. Forgotten entries tell the counts
        by kind, each in the transaction that deleted them. Raises `sqlite3.Error` when the disk fails half-way; what
        was done until then is done and told."""
        cutoffs = {kind: now - seconds for kind, seconds in older_than.items()}
        blind = None if holder is None else blind_holder(self._keys, holder)
        facts = {
            "before": {kind: cutoff for kind, cutoff in cutoffs.items() if math.isfinite(cutoff)},
            "one_holder": holder is not None,
        }
        total = after = 0
        while True:
            chunk = await self._ask(
                partial(journal_file.due, cutoffs=cutoffs, holder=blind, after=after, limit=FORGET_CHUNK)
            )
            if not chunk:
                break
            total += await self._work(journal_upkeep.Forget(chunk, facts, max(now, self.last_at)))
            after = chunk[-1]
        if total:
            await self._empty_log()
        return total

    async def cut(
        self, before: Position, *, carry: frozenset[str] = CARRIED, past_cursors: bool = False
    ) -> Position:
        """Drops the entries before a position, at a signed checkpoint; returns the position it came to.

        The last entry always stays, and so does what a durable cursor has not handled, unless `past_cursors`. What is
        dropped is verified first: `JournalError` when it is broken, and the break stays to be seen. The last entry for
        each door of the kinds in `carry` stays answerable by `latest`.
        """
        bounds = [before, self.head]
        if not past_cursors:
            bounds += [Position.unpack(position.packed + 1) for position in self._cursors.values()]
        before = min(bounds)
        work = journal_upkeep.Cut(before, self._keys, self._site, carry, max(self._now(), self.last_at))
        while await self._work(work):
            pass
        if work.entries:
            await self._empty_log()
        return before

    async def _empty_log(self) -> None:
        for _ in range(20):
            if await self._work(journal_upkeep.truncate_log, transaction=False):
                return
            await asyncio.sleep(0.05)
        log.warning("journal: what was deleted stays in the write-ahead log until its readers end")

    async def _work(self, run: Callable[[sqlite3.Connection, Pen], T], transaction: bool = True) -> T:
        if self._closed:
            raise JournalClosed("the journal was closed")
        future: asyncio.Future[T] = self._loop.create_future()
        self._writer.put(Work(run, future, transaction))
        return await future
