"""Reading the journal: on connections that can not write, in threads, never on the event loop and never on the line."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

from menwei import journal_file, journal_upkeep
from menwei.chain import Break, JournalKeys, Position, Verification, blind_holder
from menwei.journal_entry import JournalClosed, Recorded, RecordedPersonal, recorded, recorded_personal
from menwei.journal_file import Query

T = TypeVar("T")


class JournalReader:
    """The questions of a `Journal`. Every one raises `sqlite3.Error` while the disk fails, `JournalClosed` at the end."""

    def __init__(self, path: Path, site: str, keys: JournalKeys) -> None:
        self._path, self._site, self._keys = path, site, keys
        self._closed = False
        self.damage = ""
        """What SQLite said when it met damage in the file. It stays: another page may be read all the same."""
        self._readers = ThreadPoolExecutor(2, "menwei-journal-read")
        self._local = threading.local()
        self._connections: set[sqlite3.Connection] = set()
        self._life = 0
        """Grows when the file was opened anew: what was opened before may read files that no path leads to any more."""

    @overload
    async def read(
        self,
        after: Position | None = None,
        before: Position | None = None,
        kinds: Collection[str] | None = None,
        doors: Collection[str] | None = None,
        limit: int = 500,
        newest_first: bool = False,
        personal: Literal[False] = False,
        *,
        since: float | None = None,
        until: float | None = None,
    ) -> list[Recorded]: ...

    @overload
    async def read(
        self,
        after: Position | None = None,
        before: Position | None = None,
        kinds: Collection[str] | None = None,
        doors: Collection[str] | None = None,
        limit: int = 500,
        newest_first: bool = False,
        *,
        personal: Literal[True],
        since: float | None = None,
        until: float | None = None,
    ) -> list[RecordedPersonal]: ...

    async def read(
        self,
        after: Position | None = None,
        before: Position | None = None,
        kinds: Collection[str] | None = None,
        doors: Collection[str] | None = None,
        limit: int = 500,
        newest_first: bool = False,
        personal: bool = False,
        *,
        since: float | None = None,
        until: float | None = None,
    ) -> list[Recorded] | list[RecordedPersonal]:
        """Durable entries strictly between two positions, `since` ≤ `at` < `until`. A read with `personal` shows who
        went where: the caller has checked the right to it and audits. Raises `sqlite3.Error` while the disk fails."""
        query = Query(after, before, kinds, doors, since, until, None, limit, newest_first, personal)
        if personal:
            return await self._personal(query)
        return await self._ask(
            lambda connection: [recorded(link) for link in journal_file.select(connection, query)]
        )

    async def by_holder(
        self,
        holder: int,
        limit: int = 100,
        *,
        after: Position | None = None,
        before: Position | None = None,
        kinds: Collection[str] | None = None,
        doors: Collection[str] | None = None,
        actions: Collection[str] | None = None,
        newest_first: bool = True,
    ) -> list[RecordedPersonal]:
        """One person's entries that are not forgotten; with `actions` the Audit entries of these deeds. Whereabouts are
        sensitive: the caller asks for a reason, limits the rate and audits."""
        blind = blind_holder(self._keys, holder)
        query = Query(after, before, kinds, doors, None, None, blind, limit, newest_first, True, actions)
        return await self._personal(query)

    async def audits(
        self,
        actions: Collection[str],
        limit: int = 100,
        *,
        before: Position | None = None,
        since: float | None = None,
    ) -> list[RecordedPersonal]:
        """The Audit entries of these deeds from `since` on, the newest first, with who did them."""
        query = Query(
            before=before, kinds={"Audit"}, since=since, limit=limit, newest_first=True, personal=True, actions=actions
        )  # fmt: skip
        return await self._personal(query)

    async def _personal(self, query: Query) -> list[RecordedPersonal]:
        return await self._ask(
            lambda connection: [
                recorded_personal(link, self._keys) for link in journal_file.select(connection, query)
            ]
        )

    async def latest(self, kind: str) -> dict[str, Recorded]:
        """The last entry of a kind for each door, by door id; of the kinds that cuts carry over even when it is cut."""

        def ask(connection: sqlite3.Connection) -> dict[str, Recorded]:
            old = journal_upkeep.carried(connection, self._keys, self._site, kind)
            found = {
                entry["door"]: Recorded(**{**entry, "position": Position.parse(entry["position"])})
                for entry in old
            }
            found.update({link.door: recorded(link) for link in journal_file.latest(connection, kind)})
            return found

        return await self._ask(ask)

    async def merged(self, device: str) -> set[tuple[int, int]]:
        """(epoch, index) of every entry of this device's own log that stands here. Reads all passages: once at start."""
        sql = (
            "SELECT json_extract(data, '$.log.epoch'), json_extract(data, '$.log.index') FROM entry "
            "WHERE kind = ? AND instr(data, '\"log\":') AND json_extract(data, '$.log.device') = ?"
        )
        kinds = ("AccessGranted", "AccessDenied")
        return await self._ask(
            lambda connection: {
                (int(epoch), int(index))
                for kind in kinds
                for epoch, index in connection.execute(sql, (kind, device))
            }
        )

    async def when_merged(self, device: str, epoch: int, index: int) -> tuple[float, float] | None:
        """When this entry of a device's own log happened, and when it was read. The newest are looked at first."""
        sql = (
            "SELECT at, json_extract(data, '$.received') FROM entry WHERE kind IN ('AccessGranted', 'AccessDenied') "
            "AND instr(data, '\"log\":') AND json_extract(data, '$.log.device') = ? "
            "AND json_extract(data, '$.log.epoch') = ? AND json_extract(data, '$.log.index') = ? "
            "ORDER BY position DESC LIMIT 1"
        )
        return await self._ask(
            lambda connection: next(
                (
                    (float(at), float(received))
                    for at, received in connection.execute(sql, (device, epoch, index))
                ),
                None,
            )
        )

    async def export(
        self,
        after: Position | None = None,
        before: Position | None = None,
        kinds: Collection[str] | None = None,
        doors: Collection[str] | None = None,
        *,
        since: float | None = None,
        until: float | None = None,
        personal: bool = False,
    ) -> AsyncIterator[dict[str, Any]]:
        """Every entry asked for, oldest first, as JSON-able values; with `commitment` and `chain` in hex a whole export
        can be verified by anybody (`chain.link_hash`)."""
        while True:
            query = Query(after, before, kinds, doors, since, until, personal=personal)
            links = await self._ask(partial(journal_file.select, query=query))
            for link in links:
                facts = {"site": self._site, **journal_upkeep.plain(link)}
                facts |= {"commitment": link.commitment.hex(), "chain": link.chain.hex()}
                if personal:
                    opened = recorded_personal(link, self._keys)
                    facts |= {"personal": opened.personal, "personal_state": str(opened.state)}
                yield facts
            if len(links) < query.limit:
                return
            after = links[-1].position

    async def verify(self) -> Verification:
        """Verifies the whole file as it is now, in a reader's thread that gives way to the event loop. A file that
        SQLite calls damaged is not intact, and that is the answer; on a disk that fails nothing is known: `sqlite3.Error`."""
        try:
            return await self._ask(
                lambda connection: journal_file.verify_connection(
                    connection, self._keys, self._site, lambda: time.sleep(0.002)
                )
            )
        except sqlite3.DatabaseError as error:
            if not journal_file.is_damage(error):
                raise
            self.damage = str(error)
            return Verification(why=Break.UNREADABLE, detail=f"{self._path}: {error}")

    async def _ask(self, question: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed:
            raise JournalClosed("the journal was closed")
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._answer, question)

    def _answer(self, question: Callable[[sqlite3.Connection], T]) -> T:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None and self._local.life != self._life:
            self._local.connection = None
            self._connections.discard(connection)
            connection.close()
            connection = None
        if connection is None:
            self._local.life = self._life
            connection = self._local.connection = journal_file.connect_reader(self._path)
            self._connections.add(connection)
        try:
            return question(connection)
        except sqlite3.Error as error:  # the next question opens the file anew
            if journal_file.is_damage(error):
                self.damage = str(error)
            self._local.connection = None
            self._connections.discard(connection)
            connection.close()
            raise

    async def _end_reading(self) -> None:
        self._closed = True
        await asyncio.to_thread(self._readers.shutdown)
        for connection in self._connections:
            connection.close()
