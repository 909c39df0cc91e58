"""The templates, encrypted, apart from everything else, each person's under a key of their own.

`templates.db` holds sealed vectors, `keys.db` one random key a person, itself wrapped under a subkey of the machine
key that is handed in. To withdraw is to destroy the person's key row: it is overwritten, then deleted with
`secure_delete`, SQLite's rollback journal is overwritten, and so is the one copy of `keys.db` that is kept. Any backup
of `templates.db`, however old, is then noise. What a flash drive keeps in cells it no longer shows is out of reach of
any program; the machine key still stands between that and a template.

There is no call that gives a template to anybody outside. `load` opens them for the processes of ours that compare (the
camera worker, `comparing.py`); that is the only way they go. Blocking; one thread. Templates are bytes here.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from menwei_face.template import Template, Templates, numbers
from menwei_face.trouble import VaultBusy, VaultLocked, VaultTrouble
from menwei_face.vault_files import KEYS, MOST, TEMPLATES

_NONCE = 12
_KEY = 32


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof of a withdrawal, for the person: how many templates went, when, and that no key is left."""

    subject: str
    templates: int
    at: float
    key_destroyed: bool


@dataclass(frozen=True, slots=True)
class Loaded:
    """Templates and the people whose rows did not open (altered, or their key is gone): they must enrol again."""

    templates: Templates
    damaged: tuple[str, ...]


class Vault:
    """The template store of one site. `subkey` are 32 bytes derived from the machine key for this purpose alone.

    `copy` is the one other file that holds `keys.db`'s rows, rewritten at every change; None keeps no copy. Raises
    `VaultLocked` when the keys inside are wrapped under another subkey.
    """

    def __init__(self, folder: Path, subkey: bytes, *, copy: Path | None = None) -> None:
        if len(subkey) != _KEY:
            raise VaultTrouble(f"a subkey has {_KEY} bytes, this one {len(subkey)}")
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if copy is not None:
            copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._wrap = AESGCM(subkey)
        self._keys_file = folder / KEYS
        self._copy = copy
        self._keys = _open(self._keys_file)
        self._templates = _open(folder / TEMPLATES)
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        with _change(self._keys) as db:
            db.execute(
                "CREATE TABLE IF NOT EXISTS keys (subject TEXT PRIMARY KEY, wrapped BLOB NOT NULL, made REAL NOT NULL)"
            )
            db.execute(
                "CREATE TABLE IF NOT EXISTS probe (id INTEGER PRIMARY KEY CHECK (id = 1), sealed BLOB NOT NULL)"
            )
            row = db.execute("SELECT sealed FROM probe").fetchone()
            if row is None:
                db.execute("INSERT INTO probe VALUES (1, ?)", (_seal(self._wrap, b"menwei", b"probe"),))
            elif _open_sealed(self._wrap, row[0], b"probe") is None:
                raise VaultLocked("the template keys were made under another machine key")
        with _change(self._templates) as db:
            db.execute(
                "CREATE TABLE IF NOT EXISTS templates (subject TEXT NOT NULL, model TEXT NOT NULL, number INTEGER NOT NULL,"
                " sealed BLOB NOT NULL, made REAL NOT NULL, PRIMARY KEY (subject, model, number))"
            )

    def close(self) -> None:
        self._keys.close()
        self._templates.close()

    def __enter__(self) -> Vault:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def enrol(self, subject: str, model: str, templates: Sequence[Template], at: float) -> None:
        """Keeps 1 to 5 templates of a person for a model, in place of earlier ones for it. `at`: epoch seconds.

        Consent and the other working credential are checked by the caller, before a photo is even looked at.
        Raises `ValueError` for what are no templates of one network.
        """
        if not 1 <= len(templates) <= MOST or len({len(numbers(one)) for one in templates}) > 1:
            raise ValueError(f"1 to {MOST} templates of one network are kept of a person")
        key = AESGCM(self._key(subject) or self._new_key(subject, at))
        sealed = [
            (
                subject,
                model,
                number,
                _seal(key, template, _context(subject, model, number)),
                at,
            )
            for number, template in enumerate(templates)
        ]
        with _change(self._templates) as db:
            db.execute("DELETE FROM templates WHERE subject = ? AND model = ?", (subject, model))
            db.executemany("INSERT INTO templates VALUES (?, ?, ?, ?, ?)", sealed)

    def withdraw(self, subject: str, at: float) -> Receipt:
        """Destroys the person's key and deletes the rows; the second time, or for nobody, a receipt over 0.

        The key goes first: a crash in between leaves rows that nothing can open.
        """
        had = self._keys.execute("SELECT length(wrapped) FROM keys WHERE subject = ?", (subject,)).fetchone()
        if had is not None:
            with _change(self._keys) as db:
                db.execute(
                    "UPDATE keys SET wrapped = ? WHERE subject = ?", (secrets.token_bytes(had[0]), subject)
                )
            with _change(self._keys) as db:
                db.execute("DELETE FROM keys WHERE subject = ?", (subject,))
            self._after_key_change()
        with _change(self._templates) as db:
            gone = db.execute("DELETE FROM templates WHERE subject = ?", (subject,)).rowcount
        left = self._keys.execute("SELECT count(*) FROM keys WHERE subject = ?", (subject,)).fetchone()[0]
        return Receipt(subject, gone, at, left == 0)

    def load(self, model: str, subjects: Iterable[str]) -> Loaded:
        """The templates of these people for this model, for a process that compares; nothing else calls it."""
        rows: dict[str, tuple[Template, ...]] = {}
        damaged: list[str] = []
        for subject in dict.fromkeys(subjects):
            sealed = self._templates.execute(
                "SELECT number, sealed FROM templates WHERE subject = ? AND model = ? ORDER BY number",
                (subject, model),
            ).fetchall()
            if not sealed:
                continue
            opened = self._opened(subject, model, sealed)
            if opened is None:
                damaged.append(subject)
            else:
                rows[subject] = opened
        return Loaded(Templates(rows), tuple(damaged))

    def _opened(
        self, subject: str, model: str, sealed: list[tuple[int, bytes]]
    ) -> tuple[Template, ...] | None:
        key = self._key(subject)
        if key is None:
            return None
        opener, found = AESGCM(key), []
        for number, blob in sealed:
            plain = _open_sealed(opener, blob, _context(subject, model, number))
            if plain is None:
                return None
            found.append(plain)
        return tuple(found)

    def enrolled(self, model: str | None = None) -> frozenset[str]:
        """Who has templates, for this model or for any."""
        rows = self._templates.execute(
            "SELECT DISTINCT subject FROM templates WHERE ? IS NULL OR model = ?", (model, model)
        )
        return frozenset(row[0] for row in rows)

    def to_enrol_again(self, model: str) -> frozenset[str]:
        """Who has templates, but none for this model: the plan for a change of model."""
        return self.enrolled() - self.enrolled(model)

    def _key(self, subject: str) -> bytes | None:
        row = self._keys.execute("SELECT wrapped FROM keys WHERE subject = ?", (subject,)).fetchone()
        return None if row is None else _open_sealed(self._wrap, row[0], b"key|" + subject.encode())

    def _new_key(self, subject: str, at: float) -> bytes:
        """A key for somebody without a usable one; rows under an unreadable key are lost either way and go."""
        key = secrets.token_bytes(_KEY)
        with _change(self._templates) as db:
            db.execute("DELETE FROM templates WHERE subject = ?", (subject,))
        with _change(self._keys) as db:
            wrapped = _seal(self._wrap, key, b"key|" + subject.encode())
            db.execute("INSERT OR REPLACE INTO keys VALUES (?, ?, ?)", (subject, wrapped, at))
        self._after_key_change()
        return key

    def _after_key_change(self) -> None:
        """The rollback journal holds the pages as they were: it is overwritten, and so is the copy."""
        _overwrite(self._keys_file.with_name(KEYS + "-journal"))
        if self._copy is None:
            return
        beside = self._copy.with_name(self._copy.name + ".part")
        _write(beside, self._keys.serialize())
        _overwrite(self._copy)
        beside.replace(self._copy)


def _open(file: Path) -> sqlite3.Connection:
    """PERSIST keeps the rollback journal's file under its name, so that it can be overwritten; WAL would leave old
    pages in a file that others may hold open."""
    old = os.umask(0o077)
    try:
        db = sqlite3.connect(file, timeout=5.0, isolation_level=None)
    finally:
        os.umask(old)
    db.execute("PRAGMA journal_mode = PERSIST")
    db.execute("PRAGMA secure_delete = ON")
    db.execute("PRAGMA synchronous = FULL")
    return db


@contextmanager
def _change(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    try:
        db.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        raise VaultBusy(f"the template store is in use elsewhere: {error}") from error
    try:
        yield db
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _context(subject: str, model: str, number: int) -> bytes:
    """What a sealed row is bound to, so that it cannot be moved to another person, model or place. Lengths stand
    before the texts: no two rows share a context."""
    parts = (subject.encode(), model.encode())
    return (
        b"template"
        + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        + number.to_bytes(4, "big")
    )


def _seal(key: AESGCM, plain: bytes, context: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE)
    return nonce + key.encrypt(nonce, plain, context)


def _open_sealed(key: AESGCM, blob: bytes, context: bytes) -> bytes | None:
    try:
        return key.decrypt(blob[:_NONCE], blob[_NONCE:], context)
    except (InvalidTag, ValueError):  # ValueError: too short to be one
        return None


def _overwrite(file: Path) -> None:
    """Writes zeros over a file in place; nothing where there is none."""
    try:
        size = file.stat().st_size
    except FileNotFoundError:
        return
    with file.open("r+b") as raw:
        raw.write(bytes(size))
        raw.flush()
        os.fsync(raw.fileno())


def _write(file: Path, data: bytes) -> None:
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as raw:
        raw.write(data)
        raw.flush()
        os.fsync(raw.fileno())


__all__ = ["MOST", "Loaded", "Receipt", "Vault", "VaultBusy", "VaultLocked", "VaultTrouble"]
