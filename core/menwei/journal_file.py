"""The journal's SQLite file: who may write it, its schema, and the questions readers ask of it. All synchronous.

Three facts shape the schema. The position is one integer and the primary key, so appending touches the last page
only. What is personal stands in a side table that retention empties. Only kinds are indexed: another index costs a grant
one more page to write before the door opens, and one on the blinded holders, who come in no order, three times the bytes
under load. So a person's entries are found by a walk through the side table, which retention keeps short (20 ms for
100,000 entries); that question is rare by law.
"""

# ruff: noqa: S608 — statements are put together from constants and question marks; every value is bound

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Collection, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from menwei.chain import START, JournalKeys, Link, Position, Seal, Verification, Verifier, genesis
from menwei.problems import Unusable

APPLICATION_ID = 0x4D454E57
"""`PRAGMA application_id`, "MENW": another program's file is not written into by mistake."""

MIGRATIONS = (
    """
    CREATE TABLE journal (site TEXT NOT NULL);
    CREATE TABLE entry (
        position INTEGER PRIMARY KEY,
        kind TEXT NOT NULL,
        at REAL NOT NULL,
        recorded_at REAL NOT NULL,
        monotonic REAL NOT NULL,
        door TEXT NOT NULL,
        access_point TEXT NOT NULL,
        data TEXT NOT NULL,
        commitment BLOB NOT NULL,
        chain BLOB NOT NULL
    );
    CREATE INDEX entry_kind ON entry (kind);
    CREATE TABLE personal (position INTEGER PRIMARY KEY, holder BLOB, sealed BLOB NOT NULL);
    CREATE TABLE cursor (name TEXT PRIMARY KEY, position INTEGER NOT NULL);
    CREATE TABLE seal (purpose TEXT PRIMARY KEY, body BLOB NOT NULL, signature BLOB NOT NULL);
    """,
)
"""One script for each `user_version`, in order; a released one is never edited."""

WRITER_BUSY_MS = 100
READER_BUSY_MS = 2000
"""How long a connection waits for a lock of another program (a backup, a shell) before it says so."""


class JournalError(Exception):
    """The journal can not be used as asked. The text tells the installer why."""


class JournalLocked(Unusable, JournalError):
    """Another process writes this journal."""


class JournalForeign(Unusable, JournalError):
    """The file is no journal, another site's journal, or written by a newer version."""


class JournalLost(Unusable, JournalError):
    """Entries could not be written before the end."""


class Lock:
    """The right to write a journal: an advisory lock on `<path>.lock`, which ends with the process however it ends."""

    def __init__(self, path: Path) -> None:
        file = path.with_name(path.name + ".lock")
        self._descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.read(self._descriptor, 32).decode(errors="replace").strip() or "?"
            os.close(self._descriptor)
            raise JournalLocked("journal.locked", file=path, pid=owner) from error
        with suppress(
            OSError
        ):  # on a full disk the number of the process is missing, the lock holds all the same
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        os.close(self._descriptor)


@dataclass(slots=True)
class State:
    """Where the file ends: what the next entry is linked to."""

    position: Position = START
    chain: bytes = b""
    at: float = 0.0
    """`at` of the last entry"""
    kept_from: Position = START
    """everything up to here was cut"""
    cursors: dict[str, Position] = field(default_factory=dict)


def connect_writer(path: Path) -> sqlite3.Connection:
    """The one connection that writes. Raises `sqlite3.Error`; the file must exist (`create`)."""
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None)
    try:
        connection.execute(f"PRAGMA busy_timeout = {WRITER_BUSY_MS}")
        if connection.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
            raise JournalForeign("journal.no_wal", file=path)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(
            "PRAGMA secure_delete = ON"
        )  # what retention removes is overwritten, not only unlinked
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that can not write; it may be closed from another thread. Raises `sqlite3.Error`."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )
    connection.execute(f"PRAGMA busy_timeout = {READER_BUSY_MS}")
    return connection


def create(path: Path) -> None:
    """Makes an empty file that only its owner reads, where there is none."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def migrate(connection: sqlite3.Connection, path: Path, site: str) -> None:
    """Brings the schema up to date, each step in a transaction. Raises `JournalForeign` or `sqlite3.Error`."""
    version = _version(connection, path)
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in script.split(";"):
                connection.execute(statement)
            if number == 1:
                connection.execute("INSERT INTO journal (site) VALUES (?)", (site,))
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    kept = site_of(connection)
    if kept != site:
        raise JournalForeign("journal.other_site", file=path, kept=kept, site=site)


def _version(connection: sqlite3.Connection, path: Path) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables and application != APPLICATION_ID:
        raise JournalForeign("journal.foreign", file=path)
    if version > len(MIGRATIONS):
        raise JournalForeign("journal.too_new", file=path, version=version, known=len(MIGRATIONS))
    return int(version)


def site_of(connection: sqlite3.Connection) -> str:
    row = connection.execute("SELECT site FROM journal").fetchone()
    return "" if row is None else str(row[0])


def load_state(connection: sqlite3.Connection, keys: JournalKeys, site: str) -> State:
    """Where the file ends. A checkpoint that is not ours is `verify`'s to report: it must not keep a site shut, so it
    is taken here as it stands only to go on numbering."""
    state = State(chain=genesis(site))
    checkpoint = load_seal(connection, "checkpoint")
    if checkpoint is not None:
        with suppress(ValueError, KeyError):
            facts = checkpoint.read(keys, "checkpoint", site)
            state.kept_from = state.position = Position.parse(facts["position"])
            state.chain = bytes.fromhex(facts["chain"])
    last = connection.execute(
        "SELECT position, chain, at FROM entry ORDER BY position DESC LIMIT 1"
    ).fetchone()
    if last is not None:
        try:
            state.position, state.chain, state.at = Position.unpack(last[0]), bytes(last[1]), float(last[2])
        except (TypeError, ValueError) as error:
            raise damaged(f"the last entry holds what no entry can: {error}") from error
    rows = connection.execute("SELECT name, position FROM cursor")
    state.cursors = {name: Position.unpack(position) for name, position in rows}
    return state


def damaged(text: str) -> sqlite3.DatabaseError:
    """What SQLite raises for a damaged file, for damage that only we can see."""
    error = sqlite3.DatabaseError(text)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the file is to blame, and not the disk or another program's lock."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def load_seal(connection: sqlite3.Connection, purpose: str) -> Seal | None:
    row = connection.execute("SELECT body, signature FROM seal WHERE purpose = ?", (purpose,)).fetchone()
    return None if row is None else Seal(bytes(row[0]), bytes(row[1]))


def save_seal(connection: sqlite3.Connection, purpose: str, seal: Seal) -> None:
    connection.execute("INSERT OR REPLACE INTO seal VALUES (?, ?, ?)", (purpose, seal.body, seal.signature))


# ------------------------------------------------------------------------------------------------------- questions

_COLUMNS = "e.position, e.kind, e.at, e.recorded_at, e.monotonic, e.door, e.access_point, e.data, e.commitment, e.chain"


@dataclass(frozen=True, slots=True)
class Query:
    """Which entries. `after` and `before` are exclusive positions, `since` ≤ `at` < `until` seconds; None: any.
    `actions`: of Audit entries, those of these deeds."""

    after: Position | None = None
    before: Position | None = None
    kinds: Collection[str] | None = None
    doors: Collection[str] | None = None
    since: float | None = None
    until: float | None = None
    holder: bytes | None = None
    limit: int = 500
    newest_first: bool = False
    personal: bool = False
    actions: Collection[str] | None = None


def select(connection: sqlite3.Connection, query: Query) -> list[Link]:
    """The entries asked for, oldest first unless `newest_first`; side rows only for `personal`."""
    tests: list[str] = []
    values: list[Any] = []

    def test(text: str, *given: Any) -> None:
        tests.append(text)
        values.extend(given)

    if query.after is not None:
        test("e.position > ?", query.after.packed)
    if query.before is not None:
        test("e.position < ?", query.before.packed)
    if query.since is not None:
        test("e.at >= ?", query.since)
    if query.until is not None:
        test("e.at < ?", query.until)
    if query.doors is not None:
        test(f"e.door IN ({', '.join('?' * len(query.doors))})", *query.doors)
    if query.holder is not None:
        test("p.holder = ?", query.holder)
    if query.actions is not None:
        test(f"json_extract(e.data, '$.action') IN ({', '.join('?' * len(query.actions))})", *query.actions)
    order = "DESC" if query.newest_first else "ASC"
    tail = f"ORDER BY e.position {order} LIMIT {int(query.limit)}"
    if query.holder is not None:
        source = (
            f"SELECT {_COLUMNS}, p.sealed, p.holder FROM personal p JOIN entry e ON e.position = p.position"
        )
    elif query.personal:
        source = f"SELECT {_COLUMNS}, p.sealed, p.holder FROM entry e LEFT JOIN personal p ON p.position = e.position"
    else:
        source = f"SELECT {_COLUMNS} FROM entry e"
    if query.kinds is None or query.holder is not None:
        if query.kinds is not None:
            test(f"e.kind IN ({', '.join('?' * len(query.kinds))})", *query.kinds)
        return [_link(row) for row in connection.execute(f"{source}{_where(tests)} {tail}", values)]
    # One ordered walk down the index for each kind and the best of them: `IN` would sort every entry of these kinds.
    branch = f"{source}{_where(['e.kind = ?', *tests])} {tail}"
    links = [
        _link(row) for kind in sorted(query.kinds) for row in connection.execute(branch, [kind, *values])
    ]
    links.sort(key=_by_position, reverse=query.newest_first)
    return links[: query.limit]


def _by_position(link: Link) -> Position:
    return link.position


def _where(tests: list[str]) -> str:
    return " WHERE " + " AND ".join(tests) if tests else ""


def _link(row: tuple[Any, ...]) -> Link:
    return Link(Position.unpack(row[0]), *row[1:])


def latest(connection: sqlite3.Connection, kind: str) -> list[Link]:
    """The newest entry of a kind for each door."""
    sql = f"SELECT {_COLUMNS} FROM entry e WHERE e.position IN (SELECT max(position) FROM entry WHERE kind = ? GROUP BY door)"
    return [_link(row) for row in connection.execute(sql, (kind,))]


def last_position(connection: sqlite3.Connection) -> Position:
    (packed,) = connection.execute("SELECT max(position) FROM entry").fetchone()
    return START if packed is None else Position.unpack(packed)


def due(
    connection: sqlite3.Connection, cutoffs: Mapping[str, float], holder: bytes | None, after: int, limit: int
) -> list[int]:
    """Packed positions of the next side rows after `after` that retention ends. `cutoffs`: `at` before which a kind's
    personal part ends, "*" for kinds not named. One short read for each chunk: the write-ahead log is not held."""
    named = {kind: cutoff for kind, cutoff in cutoffs.items() if kind != "*"}
    rest = cutoffs.get("*", float("-inf"))
    cases = "".join(" WHEN ? THEN ?" for _ in named)
    bound = f"CASE e.kind{cases} ELSE ? END" if named else "?"
    sql = (
        "SELECT p.position FROM personal p JOIN entry e ON e.position = p.position "
        f"WHERE p.position > ? AND e.at < {bound} {'' if holder is None else 'AND p.holder = ?'} "
        "ORDER BY p.position LIMIT ?"
    )
    whose = () if holder is None else (holder,)
    values = (after, *(value for pair in named.items() for value in pair), rest, *whose, limit)
    return [row[0] for row in connection.execute(sql, values)]


def verify_connection(
    connection: sqlite3.Connection,
    keys: JournalKeys,
    site: str | None,
    pause: Callable[[], None] | None = None,
) -> Verification:
    """Verifies the file as it is at this moment (one snapshot). `pause` is called now and then, so that a thread
    beside a running site can give way. Raises `sqlite3.Error` when the file can not be read at all."""
    connection.execute("BEGIN")
    try:
        verifier = Verifier(
            keys,
            site_of(connection) if site is None else site,
            load_seal(connection, "checkpoint"),
            load_seal(connection, "head"),
        )
        rows = connection.execute(
            f"SELECT {_COLUMNS}, p.sealed, p.holder FROM entry e LEFT JOIN personal p ON p.position = e.position ORDER BY e.position"
        )
        while page := rows.fetchmany(256):
            for row in page:
                verifier.take(_link(row))
            if verifier.result is not None:
                break
            if pause is not None:
                pause()
        strays = connection.execute(
            "SELECT p.position FROM personal p LEFT JOIN entry e ON e.position = p.position WHERE e.position IS NULL LIMIT 1"
        ).fetchone()
        verifier.stray(None if strays is None else Position.unpack(strays[0]))
        return verifier.finish()
    finally:
        connection.execute("ROLLBACK")


def verify_file(path: Path, keys: JournalKeys, site: str | None = None) -> Verification:
    """Verifies a journal that no daemon needs to be running for; it writes nothing and takes no lock. `site` None: the
    site the file says it belongs to. Raises `JournalForeign` or `sqlite3.Error`."""
    with closing(connect_reader(path)) as connection:
        if not _version(connection, path):
            raise JournalForeign("journal.foreign", file=path)
        return verify_connection(connection, keys, site)
