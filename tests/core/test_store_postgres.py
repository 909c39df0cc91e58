"""The same store and the same rights on a real PostgreSQL server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from menwei import schema
from menwei.model import CredentialState
from menwei.rights import PutProfile, Rights, SetState
from menwei.store import Store, StoreLocked
from peers.postgres import postgres
from rights_support import DESK, KEYS, RESIDENTS, Opened, card, person

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture
async def opened(url: str, tmp_path: Path) -> AsyncIterator[Opened]:
    async with await Store.open(url, lock=tmp_path / "lock") as store:
        rights = Rights(store, KEYS, now=lambda: 1000.0)
        await rights.load()
        yield Opened(store, rights)


async def add(opened: Opened, number: int) -> int:
    """A person with a card; the holder."""
    changes = () if opened.snapshot.profile("residents") else (PutProfile(RESIDENTS),)
    await opened.apply(*changes, *person(number, f"04A1{number:04X}", "residents"))
    return number


async def test_what_was_written_is_there_after_a_restart(opened: Opened) -> None:
    holder = await add(opened, 1)
    (credential,) = opened.snapshot.of_holder(holder)
    await opened.apply(SetState(credential.id, CredentialState.DISABLED))
    fresh = await opened.fresh()
    assert fresh.revision == opened.snapshot.revision
    found = fresh.find(KEYS.digest(card("04A10001")))
    assert found == opened.snapshot.credential(credential.id)
    assert found.state is CredentialState.DISABLED


async def test_a_transaction_that_fails_leaves_nothing(opened: Opened) -> None:
    await add(opened, 2)
    count = select(func.count()).select_from(schema.holders)
    before, revision = (await read(opened, count)), opened.snapshot.revision
    with pytest.raises(RuntimeError, match="in the middle"):
        async with opened.store.transaction() as tx:
            await opened.rights.apply(
                tx, [SetState(next(iter(opened.snapshot)).id, CredentialState.DISABLED)], actor=DESK
            )
            raise RuntimeError("in the middle")
    assert await read(opened, count) == before
    assert (await opened.fresh()).revision == opened.snapshot.revision == revision


async def test_writers_take_turns_and_every_revision_is_counted(opened: Opened) -> None:
    before = opened.snapshot.revision
    await asyncio.gather(*(add(opened, number) for number in range(10, 20)))
    assert opened.snapshot.revision >= before + 10
    assert (await opened.fresh()).revision == opened.snapshot.revision


async def test_two_programs_of_one_machine_do_not_share_the_data(
    opened: Opened, url: str, tmp_path: Path
) -> None:
    with pytest.raises(StoreLocked):
        await Store.open(url, lock=tmp_path / "lock")


async def read(opened: Opened, statement) -> int:
    async with opened.store.read() as reading:
        return int((await reading.execute(statement)).scalar_one())
