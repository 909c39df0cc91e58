"""The thread that writes the journal: it takes everything that waits, writes it in one transaction, and says so once.

While the disk fails, the group in hand stays in hand and is tried again with back-off; nothing is skipped and nothing
is reordered.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from menwei import journal_file
from menwei.chain import MAX_EPOCH, JournalKeys, Position
from menwei.journal_file import JournalError, State
from menwei.journal_pen import Draft, Flush, Item, Pen, Work
from menwei.journal_place import Place
from menwei.journal_trouble import Trouble, Troubled, TroubleKind

log = logging.getLogger(__name__)

GROUP_LIMIT = 1024
"""Entries in one transaction: about 20 ms of work, so that nobody waits longer than that for somebody else's entry."""

SIGN_EVERY = 30.0
"""Seconds between signed heads: what could be cut off the end unseen. Signing is an Ed25519 signature and one page."""

FIRST_RETRY = 0.05
LAST_RETRY = 2.0
"""Seconds. The first try is soon because most trouble is another program's short lock; a full disk is asked gently."""


@dataclass(slots=True)
class Settled:
    """What one group became, told to the event loop in one call."""

    drafts: list[Draft]
    answers: list[tuple[asyncio.Future[Any], Any]]
    state: State
    error: Exception | None = None
    """the drafts are lost: the journal was closed while the disk failed"""


@dataclass(slots=True)
class Listener:
    """What the event loop wants to hear; each is called there, by `call_soon_threadsafe`."""

    opened: Callable[[State | Exception], None]
    troubled: Callable[[Trouble], None]
    settled: Callable[[Settled], None]


class Writer:
    """The thread, its queue and its connection. `start`, then `put` items from the event loop, last a `Stop`."""

    def __init__(
        self,
        path: Path,
        site: str,
        keys: JournalKeys,
        loop: asyncio.AbstractEventLoop,
        listener: Listener,
        wall: Callable[[], float],
    ) -> None:
        self._path, self._site, self._keys = path, site, keys
        self._loop, self._listener, self._wall = loop, listener, wall
        self._queue: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._hurry = threading.Event()
        self._deadline = float("inf")
        self._connection: sqlite3.Connection | None = None
        self._place: Place | None = None
        """Of the connection's file."""
        self._state = State()
        self._epoch = 0
        self._attempt: tuple[list[Draft], list[int], State] | None = None
        self._signed = float("-inf")
        self._unsigned = False
        self._trouble: Trouble | None = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="menwei-journal", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, item: Item) -> None:
        self._queue.put(item)

    def give_up_at(self, deadline: float) -> None:
        """Closing: try at once, and no longer than until `deadline` (monotonic)."""
        self._deadline = deadline
        self._hurry.set()

    def join(self) -> None:
        self._thread.join()

    # -------------------------------------------------------------------------------------------------- the thread

    def _run(self) -> None:
        try:
            usable = self._first_opening()
            while not self._stopping:
                drafts, flushes, works = self._take()
                if not usable:
                    self._lose(drafts, flushes, works, JournalError("the journal was never open"))
                    continue
                try:
                    self._group(drafts, flushes, works)
                except (
                    Exception
                ) as error:  # our own mistake: these are lost and counted, the next must not be
                    log.exception("journal: %d entries could not be written", len(drafts))
                    self._disconnect()
                    self._lose(drafts, flushes, works, error)
        finally:
            self._disconnect()

    def _first_opening(self) -> bool:
        """False when the file can not be used: it is no journal of ours, or the disk failed until we were closed."""
        retry = FIRST_RETRY
        told = False
        while True:
            try:
                self._open()
            except (sqlite3.Error, OSError, JournalError) as error:
                fatal = isinstance(error, JournalError) and not told
                if not fatal:
                    self._fail(error)
                if not told:
                    self._tell(self._listener.opened, error)
                    told = True
                if fatal or time.monotonic() >= self._deadline:
                    return False
                self._pause(retry)
                retry = min(retry * 2, LAST_RETRY)
            else:
                self._tell(self._listener.opened, self._state)
                return True

    def _open(self) -> None:
        journal_file.create(self._path)
        connection = journal_file.connect_writer(self._path)
        try:
            journal_file.migrate(connection, self._path, self._site)
            state = journal_file.load_state(connection, self._keys, self._site)
            self._place = Place(self._path)
        except BaseException:
            connection.close()
            raise
        now = self._wall()
        self._epoch = max(state.position.epoch + 1, int(now) if 0 < now < MAX_EPOCH else 1)
        self._connection, self._state = connection, state

    def _take(self) -> tuple[list[Draft], list[Flush], list[Work]]:
        """Waits for something to do, then takes everything that waits."""
        drafts: list[Draft] = []
        flushes: list[Flush] = []
        works: list[Work] = []
        item: Item
        try:
            item = self._queue.get(timeout=self._until_signing())
            while True:
                if isinstance(item, Draft):
                    drafts.append(item)
                elif isinstance(item, Flush):
                    flushes.append(item)
                elif isinstance(item, Work):
                    works.append(item)
                else:
                    self._stopping = True
                if len(drafts) >= GROUP_LIMIT:
                    break
                item = self._queue.get_nowait()
        except queue.Empty:
            pass  # nothing more waits, or it is time to sign
        return drafts, flushes, works

    def _until_signing(self) -> float | None:
        return max(0.0, self._signed + SIGN_EVERY - time.monotonic()) if self._unsigned else None

    def _group(self, drafts: list[Draft], flushes: list[Flush], works: list[Work]) -> None:
        moves: dict[str, Position] = {}
        for flush in flushes:
            moves.update(flush.moves)
        retry = FIRST_RETRY
        while True:
            try:
                self._commit(drafts, moves)
            except (sqlite3.Error, OSError, JournalError, Troubled) as error:
                self._fail(error)
                if time.monotonic() >= self._deadline:
                    self._lose(drafts, flushes, works, error)
                    return
                self._pause(retry)
                retry = min(retry * 2, LAST_RETRY)
            else:
                break
        if self._trouble is not None:
            log.warning(
                "journal: writing again after %.1f s (%s)",
                self._wall() - self._trouble.since,
                self._trouble.kind,
            )
            self._trouble = None
        answers: list[tuple[asyncio.Future[Any], Any]] = [
            (f.future, None) for f in flushes if f.future is not None
        ]
        answers += [(work.future, self._work(work)) for work in works]
        self._tell(self._listener.settled, Settled(drafts, answers, self._state))

    def _commit(self, drafts: list[Draft], moves: dict[str, Position]) -> None:
        """One transaction with the entries, the cursors and, when it is time, the signed head."""
        if self._connection is None and self._reconnect() is drafts:
            return
        connection = self._connection
        assert connection is not None
        due = time.monotonic() >= self._signed + SIGN_EVERY
        signing = (self._unsigned or bool(drafts)) and (due or self._stopping)
        if not (drafts or moves or signing):
            return
        self._require_log(connection)
        connection.execute("BEGIN IMMEDIATE")
        pen = Pen(connection, self._keys, self._site, self._state, self._epoch)
        positions = pen.write(drafts) if drafts else []
        for name, position in moves.items():
            connection.execute(
                "INSERT INTO cursor VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET position = excluded.position",
                (name, position.packed),
            )
        if signing:
            self._sign(pen)
        self._attempt = drafts, positions, pen.state
        connection.execute("COMMIT")
        self._require_file()
        self._written(drafts, positions, pen.state)
        self._unsigned = not signing and (self._unsigned or bool(drafts))
        if signing:
            self._signed = time.monotonic()

    def _require_log(self, connection: sqlite3.Connection) -> None:
        """Raises `Troubled` when the write-ahead log's path leads to another file or to none. If it alone was taken away,
        what stands in it is brought into the file first: then opening anew finds everything."""
        assert self._place is not None
        if self._place.log_stands():
            return
        if not self._place.untouched():
            raise self._replaced()
        (reading, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        self._require_file()
        if reading:
            raise Troubled(
                TroubleKind.BUSY, f"{self._path}-wal was taken away; waiting for readers to save it"
            )
        raise Troubled(
            TroubleKind.DIVERGED,
            f"{self._path}-wal was taken away while it was being written; what it held is saved",
        )

    def _require_file(self) -> None:
        """Raises `Troubled` when what was just written went into a file that the path does not lead to."""
        assert self._place is not None
        if not self._place.file_stands():
            raise self._replaced()

    def _replaced(self) -> Troubled:
        return Troubled(
            TroubleKind.DIVERGED, f"{self._path} was deleted or replaced while it was being written"
        )

    def _sign(self, pen: Pen) -> None:
        try:
            pen.sign()
        except sqlite3.Error:
            raise
        except (
            Exception
        ):  # keys in a chip that does not answer: `verify` will say that the head is old or absent
            log.exception("journal: the head could not be signed; entries are written all the same")

    def _written(self, drafts: list[Draft], positions: list[int], state: State) -> None:
        self._attempt = None
        self._state = state
        for draft, position in zip(drafts, positions, strict=True):
            draft.position = position

    def _work(self, work: Work) -> Any:
        """The work's result, or the exception that ended it."""
        try:
            if self._connection is None:
                self._reconnect()
            connection = self._connection
            assert connection is not None
            pen = Pen(connection, self._keys, self._site, self._state, self._epoch)
            self._require_log(connection)
            if not work.transaction:
                result = work.run(connection, pen)
                self._require_file()
                return result
            connection.execute("BEGIN IMMEDIATE")
            result = work.run(connection, pen)
            self._attempt = [], [], pen.state
            connection.execute("COMMIT")
            self._written([], [], pen.state)
            self._require_file()
            self._unsigned = True
        except Exception as error:
            self._rollback()
            return error
        return result

    def _reconnect(self) -> list[Draft] | None:
        """Opens the file again after a disk error and makes sure that it is the one we left.

        A commit that failed may still stand in the write-ahead log and count: then what it held is durable, and the
        drafts it held are returned.
        """
        connection = journal_file.connect_writer(self._path)
        try:
            found = journal_file.load_state(connection, self._keys, self._site)
            self._place = Place(self._path)
        except BaseException:
            connection.close()
            raise
        for drafts, positions, state in [] if self._attempt is None else [self._attempt]:
            if (found.position, found.chain) == (state.position, state.chain):
                self._connection = connection
                self._written(drafts, positions, state)
                return drafts
        if (found.position, found.chain) != (self._state.position, self._state.chain):
            connection.close()
            raise Troubled(
                TroubleKind.DIVERGED,
                f"{self._path} ends at {found.position}, and this program wrote up to {self._state.position}",
            )
        self._connection = connection
        return None

    def _fail(self, error: Exception) -> None:
        """Rolls back, tells once, and lets go of a file that may be gone."""
        self._rollback()
        trouble = Trouble.of(error, self._trouble.since if self._trouble else self._wall())
        if trouble.kind not in (TroubleKind.DISK_FULL, TroubleKind.BUSY):
            self._disconnect()
        if self._trouble is None or trouble.kind is not self._trouble.kind:
            log.error("journal: nothing can be written: %s (%s)", trouble.kind, trouble.detail)
            self._trouble = trouble
            self._tell(self._listener.troubled, trouble)

    def _rollback(self) -> None:
        if self._connection is None:
            return
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            log.error("journal: rolling back failed: %s", error)
            self._disconnect()

    def _pause(self, seconds: float) -> None:
        if self._hurry.is_set():
            time.sleep(min(seconds, max(0.0, self._deadline - time.monotonic())))
        else:
            self._hurry.wait(seconds)

    def _lose(self, drafts: list[Draft], flushes: list[Flush], works: list[Work], error: Exception) -> None:
        answers: list[tuple[asyncio.Future[Any], Any]] = [
            (f.future, error) for f in flushes if f.future is not None
        ]
        answers += [(work.future, error) for work in works]
        self._tell(self._listener.settled, Settled(drafts, answers, self._state, error))

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error as error:
                log.error("journal: closing the file failed: %s", error)

    def _tell(self, listener: Callable[[Any], None], what: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(listener, what)
        except RuntimeError:  # the loop is closed: nobody is left to hear, what was written is written
            if not self._loop.is_closed():
                raise
