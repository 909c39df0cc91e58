"""`store.db`: people, credentials, rights and the plugins' tables, behind one writer.

SQLite by default; PostgreSQL by its URL (extra `postgres`), for programs that embed the core. One process owns the data: it holds a lock file as long as the store is
open. All writing goes through `Store.transaction()`, one at a time; what has to happen in memory once a transaction is
durable is left with `Transaction.on_commit`.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlalchemy import (
    Connection,
    Table,
    event,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.engine import URL, CursorResult, ExceptionContext, make_url
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.schema import MetaData
from sqlalchemy.sql import Executable

from menwei import schema
from menwei.keys import KeyMismatch
from menwei.problems import Unusable

VERSION_TABLE = "menwei_version"
CORE_MIGRATIONS = Path(__file__).with_name("migrations")
RESERVE = "reserve"
ROOM = 256 * 1024
"""Bytes kept in the file `reserve` while the store is shut. SQLite cannot even read on a full disk: it must make 32 kB of
shared memory beside each of the two databases, and an orderly end removes those. The rest is for the first entries."""
BUSY_TIMEOUT = 5.0
"""Seconds. Only a backup or an sqlite shell ever holds the file beside us."""
_BLOCK = 4096
_WRITES = "menwei_writes"


class StoreLocked(Unusable):
    """Another process has the store open; `pid` is its number, 0 when it could not be told."""

    def __init__(self, path: Path, pid: int) -> None:
        super().__init__("store.locked", file=path, pid=pid or "?")
        self.pid = pid


class StoreTooNew(Unusable):
    """The store was written by a newer version of this program or plugin."""


class StoreDamaged(Unusable):
    """The store's file is damaged, or the disk does not let it be opened."""


class Transaction:
    """One write transaction. Everything executed on it becomes durable together, or not at all."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.connection = connection
        self._on_commit: list[Callable[[], None]] = []

    async def execute(self, statement: Executable, rows: Any = None) -> CursorResult[Any]:
        """Run a SQLAlchemy Core statement, once, or once for each of `rows`."""
        result = await self.connection.execute(statement, rows)
        assert isinstance(result, CursorResult)
        return result

    async def upsert(self, table: Table, rows: Sequence[dict[str, Any]], once: Sequence[str] = ()) -> None:
        """Insert the rows, or set the columns they name where the primary key is there already, `once` aside: these
        are only written when the row is new. All rows name the same columns."""
        if rows:
            statement = _upsert(self.connection.dialect.name, table, tuple(rows[0]), tuple(once))
            await self.execute(statement, list(rows))

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Call this once the transaction is durable, before the next writer starts; never after a rollback. It must
        not fail or wait: it brings memory in step with the disk."""
        self._on_commit.append(callback)

    async def commit(self) -> None:
        await self.connection.commit()
        for callback in self._on_commit:
            callback()


class Store:
    """The open store. Made by `Store.open`, ended by `close` (or `async with`)."""

    def __init__(self, engine: AsyncEngine, lock: ProcessLock, file: Path | None = None) -> None:
        self.engine = engine
        self._lock = lock
        self._file = file
        self._writer = asyncio.Lock()

    @classmethod
    async def open(cls, target: str | Path, *, lock: Path | None = None) -> Store:
        """Open and, where needed, create or migrate the store.

        `target` is a path (SQLite) or a database URL; a URL of a server needs `lock`, the file that says that this
        machine has it open (a SQLite file has its own beside it). Raises `StoreLocked`, `StoreTooNew`, `StoreDamaged`,
        `schema.Undeclared`; `StoreDamaged` also whenever damage is met later.
        """
        schema.check_declared(schema.metadata)
        url = make_url(target) if isinstance(target, str) and "://" in target else _sqlite_url(Path(target))
        file = Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None
        if lock is None:
            if file is None:
                raise ValueError("a store on a database server needs the path of a lock file")
            lock = file.with_name(file.name + ".lock")
        held = ProcessLock(lock)
        try:
            if file is not None:
                file.with_name(RESERVE).unlink(missing_ok=True)
                os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            store = cls(_engine(url), held, file)
            await store._migrate(VERSION_TABLE, schema.metadata, CORE_MIGRATIONS)
        except BaseException as error:
            held.release()
            if file is not None and isinstance(error, OperationalError):
                raise StoreDamaged("store.unusable", file=file, detail=error.orig) from error
            raise
        return store

    @property
    def name(self) -> str:
        """What a person calls it: the path of the file, or the database's URL without its password."""
        return str(self._file) if self._file is not None else str(self.engine.url)

    async def migrate(self, plugin: str, metadata: MetaData, script_folder: Path) -> None:
        """Bring a plugin's own tables to the newest version in `script_folder`/versions (alembic). Called at start for
        each plugin with tables. Raises `schema.Undeclared` or `StoreTooNew`; nothing is changed then."""
        schema.check_declared(metadata)
        await self._migrate(f"{VERSION_TABLE}_{plugin}", metadata, script_folder)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """The one way to write. Waits for the writer before; commits at the end of the block, rolls back when it
        raises. A cancellation that comes during the commit is held until memory is in step with the disk."""
        async with self._writer, self.engine.connect() as connection:
            await connection.execution_options(**{_WRITES: True})
            await connection.begin()
            transaction = Transaction(connection)
            try:
                yield transaction
            except BaseException:
                await connection.rollback()
                raise
            await _uninterrupted(transaction.commit())

    async def bind(self, fingerprint: bytes) -> None:
        """Make sure that this store was written under the machine key with this `fingerprint`; an empty one is from
        now on. Raises `KeyMismatch`."""
        one = select(schema.manager.c.machine)
        async with self.read() as connection:
            found = (await connection.execute(one)).scalar()
        if found is None:
            async with self.transaction() as tx:
                await tx.execute(insert(schema.manager), [{"id": 1, "machine": fingerprint}])
        elif found != fingerprint:
            raise KeyMismatch("key.mismatch", file=self.name)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection that sees one state of the store; it does not wait for writers. Not for the decision line."""
        async with self.engine.connect() as connection:
            yield connection

    async def close(self) -> None:
        """Wait for the writer, close the connections, give the lock back."""
        async with self._writer:
            await self.engine.dispose()
            if self._file is not None:
                _reserve(self._file.with_name(RESERVE))
            self._lock.release()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _migrate(self, version_table: str, metadata: MetaData, folder: Path) -> None:
        try:
            async with self.transaction() as tx:
                await tx.connection.run_sync(_upgrade, version_table, metadata, folder)
        except BaseException:
            if version_table == VERSION_TABLE:  # the store never got open: nobody will close it
                await self.engine.dispose()
            raise


class ProcessLock:
    """A lock on the data that ends with the process, however it ends (flock); the file holds the owner's pid."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.read(self._descriptor, 20).strip()
            os.close(self._descriptor)
            raise StoreLocked(path, int(owner) if owner.isdigit() else 0) from error
        with suppress(OSError):  # on a full disk the owner's number is missing, the lock holds all the same
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        """Give it back; the file stays, because removing it would let two processes lock two files of that name."""
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


def _reserve(path: Path) -> None:
    """Keep the room that the next opening needs, or what there is of it."""
    with suppress(OSError), path.open("wb", buffering=0) as file:  # full: what was written until then is kept
        for _ in range(ROOM // _BLOCK):
            file.write(bytes(_BLOCK))


@lru_cache(maxsize=256)
def _upsert(dialect: str, table: Table, columns: tuple[str, ...], once: tuple[str, ...]) -> Executable:
    """Made once: `excluded`, the row that could not be inserted, is a copy of the table, as dear as writing a hundred."""
    if dialect == "postgresql":
        from sqlalchemy.dialects.postgresql import insert as dialect_insert
    else:
        from sqlalchemy.dialects.sqlite import insert as dialect_insert  # type: ignore[assignment]
    statement = dialect_insert(table)
    key = [column.name for column in table.primary_key]
    values = {name: statement.excluded[name] for name in columns if name not in key and name not in once}
    if values:
        return statement.on_conflict_do_update(index_elements=key, set_=values)
    return statement.on_conflict_do_nothing(index_elements=key)


async def _uninterrupted(work: Coroutine[Any, Any, None]) -> None:
    """Finish `work` even when cancelled meanwhile, then let the cancellation through."""
    task = asyncio.ensure_future(work)
    interruption: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as cancelled:
            interruption = cancelled
    task.result()
    if interruption is not None:
        raise interruption


def _sqlite_url(path: Path) -> URL:
    return URL.create("sqlite+aiosqlite", database=str(path))


def _engine(url: URL) -> AsyncEngine:
    engine = create_async_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        event.listen(engine.sync_engine, "handle_error", _damage)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver's own transactions start too late and break savepoints
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA secure_delete = ON")  # what retention deletes is overwritten, not only unlinked
    cursor.execute("PRAGMA temp_store = MEMORY")  # what a savepoint keeps of pages stays out of files in /tmp
    cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT * 1000)}")
    cursor.close()


def _damage(context: ExceptionContext) -> StoreDamaged | None:
    """In place of SQLAlchemy's error when SQLite says that the file is damaged."""
    code = getattr(context.original_exception, "sqlite_errorcode", 0) & 0xFF
    if code not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or context.engine is None:
        return None
    return StoreDamaged("store.damaged", file=context.engine.url.database, detail=context.original_exception)


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _upgrade(connection: Connection, version_table: str, metadata: MetaData, folder: Path) -> None:
    head = metadata.info.get("head")
    if head is not None and head == _version(connection, version_table):
        return  # alembic takes half a second to import
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(CORE_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(folder / "versions").replace("%", "%%"))
    config.attributes.update(connection=connection, metadata=metadata, version_table=version_table)
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        found = _version(connection, version_table)
        raise StoreTooNew("store.too_new", table=version_table, version=found, detail=error) from error


def _version(connection: Connection, version_table: str) -> str | None:
    if not inspect(connection).has_table(version_table):
        return None
    name = connection.dialect.identifier_preparer.quote(version_table)
    return connection.execute(text(f"SELECT version_num FROM {name}")).scalar()  # noqa: S608  quoted, and ours
