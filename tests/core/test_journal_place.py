"""The journal's files are taken away or exchanged under the running program: SQLite itself would not notice."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from journal_support import KEYS, SITE, opened, passage, until_gap
from menwei.journal import Journal, JournalError, TroubleKind, verify_file


def deleted(path: Path) -> None:
    for file in path.parent.glob("journal.db*"):
        file.unlink()


def folder_deleted(path: Path) -> None:
    shutil.rmtree(path.parent)


def older_copy_in_its_place(path: Path) -> None:
    shutil.copyfile(path.parent / "copy", path.parent / "new")
    for file in path.parent.glob("journal.db-*"):
        file.unlink()
    (path.parent / "new").replace(path)


def other_folder_in_its_place(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))
    path.parent.mkdir()
    shutil.copyfile(path.parent.with_name("moved") / "copy", path)


@pytest.mark.parametrize(
    "away",
    [
        deleted,
        folder_deleted,
        older_copy_in_its_place,
        other_folder_in_its_place,
    ],
)
async def test_nothing_counts_as_recorded_once_the_file_is_another(
    tmp_path: Path, away: Callable[[Path], None]
) -> None:
    path = tmp_path / "var" / "journal.db"
    path.parent.mkdir()
    async with opened(path) as journal:
        await journal.append(passage(number=0))
    shutil.copyfile(path, path.parent / "copy")
    journal = await Journal.open(path, SITE, KEYS)
    for number in range(1, 4):
        assert await journal.record(passage(number=number), 10) is not None
    away(path)
    assert await journal.record(passage(number=4), 0.5) is None
    assert journal.trouble_facts is not None
    assert journal.waiting == 1, "it is kept, for the case that the file comes back"
    with pytest.raises(JournalError):
        await journal.close(patience=0.1)


async def test_a_write_ahead_log_that_is_taken_away_loses_nothing(tmp_path: Path) -> None:
    """A cleaning job, say. What had been recorded stands in that log alone until SQLite moves it into the file."""
    path = tmp_path / "journal.db"
    async with opened(path) as journal:
        for number in range(5):
            position = await journal.record(passage(number=number), 10)
        assert position is not None
        assert len(await journal.read()) == 5
        path.with_name("journal.db-wal").unlink()
        assert await journal.record(passage(number=5), 10) is not None
        await until_gap(journal, position)
        assert journal.trouble is None
    async with opened(path) as journal:
        numbers = [entry.data["number"] for entry in await journal.read(kinds={"AccessGranted"})]
    assert numbers == [0, 1, 2, 3, 4, 5]
    assert verify_file(path, KEYS).ok


async def test_a_file_that_comes_back_is_written_again(tmp_path: Path) -> None:
    path, aside = tmp_path / "var" / "journal.db", tmp_path / "aside"
    path.parent.mkdir()
    async with opened(path) as journal:
        before = await journal.append(passage(number=0))
        path.parent.rename(aside)
        assert await journal.record(passage(number=1), 0.5) is None
        assert journal.trouble_facts is not None
        assert journal.trouble_facts.kind in {TroubleKind.DIVERGED, TroubleKind.IO_ERROR}
        aside.rename(path.parent)
        await until_gap(journal, before)
        numbers = [entry.data["number"] for entry in await journal.read(kinds={"AccessGranted"})]
    assert numbers == [0, 1]
    assert verify_file(path, KEYS).ok


async def test_an_ordinary_checkpoint_is_no_trouble(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with opened(path) as journal:
        for number in range(100):
            position = await journal.record(passage(number=number, text="x" * 60_000), 10)
            assert position is not None
        assert path.stat().st_size > 2_000_000, "SQLite has moved its log into the file meanwhile"
        await journal.forget({"*": 0.0}, 10_000.0)
        assert await journal.record(passage(number=100), 10) is not None
        assert journal.trouble is None
        assert await journal.read(kinds={"JournalGap"}) == []
