"""The store: one process, one writer, declared tables, migrations that make exactly the declared schema."""

import asyncio
import os
import stat
import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, Integer, MetaData, Table, insert, select, text

from menwei import schema
from menwei.columns import among
from menwei.keys import KeyMismatch
from menwei.schema import Undeclared
from menwei.store import CORE_MIGRATIONS, RESERVE, ROOM, Store, StoreLocked, StoreTooNew

pytestmark = pytest.mark.usefixtures("own_migrations")

PROFILES = schema.profiles
DECLARED = {"personal": False, "retention": "site"}


@pytest.fixture
async def store(tmp_path):
    async with await Store.open(tmp_path / "store.db") as opened:
        yield opened


async def names(store):
    async with store.read() as connection:
        return sorted((await connection.execute(select(PROFILES.c.id))).scalars())


async def test_the_migrations_make_exactly_the_declared_tables(store):
    def differences(connection):
        options = {"version_table": "menwei_version", "compare_type": True}
        return compare_metadata(MigrationContext.configure(connection, opts=options), schema.metadata)

    async with store.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


def test_the_declared_head_is_the_newest_migration():
    assert ScriptDirectory(str(CORE_MIGRATIONS)).get_current_head() == schema.HEAD


async def test_a_store_that_is_up_to_date_opens_without_alembic(tmp_path):
    await (await Store.open(tmp_path / "store.db")).close()
    program = (
        "import asyncio, sys; from menwei.store import Store\n"
        "async def main(): await (await Store.open(sys.argv[1])).close()\n"
        "asyncio.run(main()); print('alembic' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "store.db")],
        env=os.environ | {"PYTHONPATH": str(CORE_MIGRATIONS.parent.parent)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "False"


async def test_the_room_to_start_on_a_full_disk_is_kept_while_the_store_is_shut_and_only_then(tmp_path):
    for _ in range(2):
        store = await Store.open(tmp_path / "store.db")
        assert not (tmp_path / RESERVE).exists()
        await store.close()
        assert (tmp_path / RESERVE).stat().st_blocks * 512 >= ROOM


async def test_every_personal_column_of_the_core_holds_bytes_not_text():
    clear = [
        str(column)
        for table in schema.metadata.tables.values()
        for column in table.columns
        if column.info["personal"] and column.type.python_type is not bytes
    ]
    assert clear == []


async def test_what_a_transaction_wrote_is_there_after_it(store):
    async with store.transaction() as tx:
        await tx.execute(insert(PROFILES), [{"id": "residents"}])
    assert await names(store) == ["residents"]


async def test_a_transaction_that_raises_leaves_nothing_and_calls_nobody(store):
    called = []
    with pytest.raises(RuntimeError):
        async with store.transaction() as tx:
            await tx.execute(insert(PROFILES), [{"id": "residents"}])
            tx.on_commit(lambda: called.append(1))
            raise RuntimeError
    assert await names(store) == []
    assert called == []


async def test_writers_come_one_after_the_other_in_order(store):
    committed = []

    async def write(number):
        async with store.transaction() as tx:
            await asyncio.sleep(0)
            await tx.execute(insert(PROFILES), [{"id": str(number)}])
            tx.on_commit(lambda: committed.append(number))

    await asyncio.gather(*(write(number) for number in range(20)))
    assert committed == list(range(20))


async def test_a_reader_does_not_wait_for_a_writer_and_sees_nothing_half_done(store):
    async with store.transaction() as tx:
        await tx.execute(insert(PROFILES), [{"id": "residents"}])
        assert await asyncio.wait_for(names(store), 60) == []


async def test_a_cancellation_during_the_commit_keeps_memory_in_step_with_the_disk(store):
    """Cancel at every possible moment: what `on_commit` was told is exactly what the disk says."""
    for turns in range(60):
        told = []

        async def write(name, told=told):
            async with store.transaction() as tx:
                await tx.execute(insert(PROFILES), [{"id": name}])
                tx.on_commit(lambda: told.append(name))

        task = asyncio.create_task(write(f"at-{turns}"))
        for _ in range(turns):
            await asyncio.sleep(0.0005)
            if task.done():
                break
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert (f"at-{turns}" in await names(store)) == bool(told), turns
    async with store.transaction() as tx:  # and the next writer gets its turn
        await tx.execute(insert(PROFILES), [{"id": "after"}])


async def test_a_second_process_is_told_who_has_the_store(tmp_path, store):
    with pytest.raises(StoreLocked, match=str(os.getpid())) as refused:
        await Store.open(tmp_path / "store.db")
    assert refused.value.pid == os.getpid()


async def test_the_lock_ends_with_the_process_that_held_it(tmp_path):
    program = (
        "import asyncio, os, sys; from menwei.store import Store\n"
        "async def main():\n"
        "    await Store.open(sys.argv[1]); print('open', flush=True); os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "store.db")],
        env=os.environ | {"PYTHONPATH": str(CORE_MIGRATIONS.parent.parent)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (killed.stdout.strip(), killed.returncode) == ("open", -9)
    await (await Store.open(tmp_path / "store.db")).close()


async def test_the_files_are_for_their_owner_only(tmp_path, store):
    async with store.transaction() as tx:
        await tx.execute(insert(PROFILES), [{"id": "residents"}])
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name


async def test_a_path_with_any_characters_is_a_path(tmp_path):
    folder = tmp_path / "a %b:c;d ? 小区"
    folder.mkdir()
    async with await Store.open(folder / "store.db") as store:
        assert await names(store) == []
    assert (folder / "store.db").stat().st_size > 0


async def test_a_store_of_a_newer_program_is_refused_and_left_alone(tmp_path):
    async with await Store.open(tmp_path / "store.db") as store, store.transaction() as tx:
        await tx.execute(text("UPDATE menwei_version SET version_num = '9999'"))
    with pytest.raises(StoreTooNew, match="9999"):
        await Store.open(tmp_path / "store.db")
    with pytest.raises(StoreTooNew):  # not StoreLocked: the refused one let go
        await Store.open(tmp_path / "store.db")


async def test_a_store_belongs_to_one_machine_key(store):
    await store.bind(b"1" * 16)
    await store.bind(b"1" * 16)
    with pytest.raises(KeyMismatch, match=r"machine\.key"):
        await store.bind(b"2" * 16)


async def test_what_hangs_on_a_missing_row_is_refused(store):
    with pytest.raises(Exception, match="FOREIGN KEY"):
        async with store.transaction() as tx:
            row = {"profile": "nobody", "place": 0, "access_point": "gate", "schedule": "always"}
            await tx.execute(insert(schema.profile_rules), [row])


# ------------------------------------------------------------------------------------------------- plugins' tables

FIRST = """
import sqlalchemy as sa
from alembic import op
revision = "a1"
down_revision = None
def upgrade():
    op.create_table("passes", sa.Column("id", sa.Integer(), primary_key=True))
"""
SECOND = """
import sqlalchemy as sa
from alembic import op
revision = "a2"
down_revision = "a1"
def upgrade():
    op.add_column("passes", sa.Column("day", sa.Integer()))
"""


def passes(**info):
    metadata = MetaData()
    Table("passes", metadata, Column("id", Integer, primary_key=True, info=DECLARED), **info)
    return metadata


async def test_a_plugins_tables_have_a_version_of_their_own(tmp_path, store):
    versions = tmp_path / "migrations" / "versions"
    versions.mkdir(parents=True)
    (versions / "a1.py").write_text(FIRST)
    metadata = passes(info={"subject": "holder"})
    await store.migrate("visitors", metadata, tmp_path / "migrations")
    (versions / "a2.py").write_text(SECOND)
    await store.migrate("visitors", metadata, tmp_path / "migrations")
    async with store.read() as connection:
        version = await connection.execute(text("SELECT version_num FROM menwei_version_visitors"))
        assert version.scalar() == "a2"
        assert (await connection.execute(text("SELECT day FROM passes"))).all() == []
        assert (
            await connection.execute(text("SELECT version_num FROM menwei_version"))
        ).scalar() == schema.HEAD


async def test_an_undeclared_table_is_refused_by_name(tmp_path, store):
    with pytest.raises(Undeclared, match="table passes"):
        await store.migrate("visitors", passes(), tmp_path)


async def test_an_undeclared_column_is_refused_by_name(tmp_path, store):
    metadata = MetaData()
    columns = (Column("id", Integer, info=DECLARED), Column("phone", Integer, info={"personal": True}))
    Table("passes", metadata, *columns, info={"subject": "holder"})
    with pytest.raises(Undeclared, match=r"passes\.phone.*retention"):
        await store.migrate("visitors", metadata, tmp_path)


async def test_rows_are_found_among_more_values_than_one_statement_takes(store):
    ids = [f"profile-{number:04}" for number in range(1203)]
    async with store.transaction() as tx:
        await tx.upsert(PROFILES, [{"id": id} for id in ids])
        found = await among(tx, select(PROFILES.c.id), PROFILES.c.id, [*ids, *ids, "nobody"])
        assert sorted(row.id for row in found) == ids
        assert await among(tx, select(PROFILES.c.id), PROFILES.c.id, ()) == []
