"""Which failures a person mends at the disk."""

import errno
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy

from menwei.disk import unwritable


def full_database() -> None:
    """SQLite's own limit in place of the disk's: the error is the same."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE kept (what)")
    database.execute("PRAGMA max_page_count = 3")
    database.execute("INSERT INTO kept VALUES (zeroblob(100000))")


def full_store() -> None:
    with sqlalchemy.create_engine("sqlite://").connect() as store:
        store.exec_driver_sql("CREATE TABLE kept (what)")
        store.exec_driver_sql("PRAGMA max_page_count = 3")
        store.exec_driver_sql("INSERT INTO kept VALUES (zeroblob(100000))")


def full_file() -> None:
    with Path("/dev/full").open("wb", buffering=0) as file:
        file.write(b"a name")


@pytest.mark.parametrize("full", [full_database, full_store, full_file])
def test_a_full_disk_is_one_however_it_is_met(full):
    with pytest.raises((OSError, sqlite3.Error, sqlalchemy.exc.SQLAlchemyError)) as raised:
        full()
    assert unwritable(raised.value)


@pytest.mark.parametrize(
    "error",
    [ConnectionResetError(errno.ECONNRESET, "gone"), FileNotFoundError(errno.ENOENT, "?"), sqlite3.IntegrityError(), KeyError()],
)  # fmt: skip
def test_other_failures_are_not_the_disks(error):
    assert not unwritable(error)
