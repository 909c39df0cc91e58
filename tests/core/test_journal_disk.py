"""A disk that is really full: a small file system of its own, filled by somebody else's file while passages go on."""

from __future__ import annotations

import os
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from journal_support import KEYS, SITE, opened, passage, until_gap
from menwei.house import Menwei
from menwei.journal import Journal, TroubleKind, verify_file

pytestmark = pytest.mark.e2e

SIZE = 2 * 1024 * 1024


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs of 2 MB. Only root may mount one; without it the disk can not be filled, and that is said aloud."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        reason = f"NOT TESTED: a full disk needs the right to mount a tmpfs ({mounted.stderr.strip()})"
        warnings.warn(reason, stacklevel=1)
        pytest.skip(reason)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Takes every free byte."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (65536, 4096, 1):
            while True:
                try:
                    file.write(bytes(size))
                except OSError:
                    break
    assert os.statvfs(disk).f_bavail == 0
    return filler


async def test_passages_go_on_while_the_disk_is_full_and_nothing_is_missing_when_it_returns(
    disk: Path,
) -> None:
    path = disk / "journal.db"
    async with opened(path) as journal:
        number = 0
        for number in range(20):
            assert await journal.record(passage(number=number), 10) is not None
        head = journal.head
        filler = fill(disk)
        late = 0
        while late < 5:  # what the write-ahead log had in reserve is used up first
            number += 1
            position = await journal.record(passage(number=number), 0.2)
            late += position is None
            head = journal.head if position is not None else head
        journal.post(passage(kind="AccessDenied", number=(number := number + 1)))
        assert journal.trouble is not None
        assert journal.trouble.startswith("disk full since ")
        assert journal.trouble_facts is not None
        assert journal.trouble_facts.kind is TroubleKind.DISK_FULL
        waiting = journal.waiting
        filler.unlink()
        (gap,) = [found.data for found in await until_gap(journal, head)]
        assert journal.trouble is None
        assert journal.waiting == 0
        numbers = [
            entry.data["number"] for entry in await journal.read(limit=100_000) if "number" in entry.data
        ]
        assert (await journal.verify()).ok
    assert numbers == list(range(number + 1))
    assert waiting == late + 1
    assert (gap["passages_without_record"], gap["dropped"]) == (late, 0)
    assert gap["since"] <= gap["until"]
    assert verify_file(path, KEYS).ok


async def test_a_full_disk_at_start_does_not_keep_the_site_shut(disk: Path) -> None:
    path = disk / "journal.db"
    async with opened(path) as journal:
        before = await journal.append(passage(at=5000.0, number=0))
    filler = fill(disk)
    async with opened(path) as journal:
        assert await journal.record(passage(at=6000.0, number=1), 0.2) is None
        assert journal.trouble is not None
        filler.unlink()
        (gap,) = [found.data for found in await until_gap(journal, before)]
        found = await journal.read()
        assert journal.last_at >= 6000.0
    assert [entry.data["number"] for entry in found if "number" in entry.data] == [0, 1]
    assert found[1].position.epoch > before.epoch
    assert gap["passages_without_record"] == 1
    assert verify_file(path, KEYS).ok


async def test_a_disk_that_stays_full_to_the_end_loses_only_what_was_never_durable(disk: Path) -> None:
    path = disk / "journal.db"
    journal = await Journal.open(path, SITE, KEYS)
    filler = fill(disk)
    durable = 0
    while await journal.record(passage(), 0.2) is not None:
        durable += 1
    with pytest.raises(Exception, match="could not be written before the end"):
        await journal.close(patience=0.3)
    filler.unlink()
    async with opened(path) as journal:
        assert len(await journal.read(kinds={"AccessGranted"}, limit=10_000)) == durable
        assert await journal.record(passage(), 10) is not None
    assert verify_file(path, KEYS).ok


async def test_a_house_that_ended_in_order_starts_again_on_a_full_disk(disk: Path, tmp_path: Path) -> None:
    """An orderly end takes away what SQLite needs beside its files to read them, and a full disk has no room for it."""
    config = tmp_path / "config.yaml"
    config.write_text(f"site: {{id: yard}}\ndata: {disk / 'var'}\n", "utf-8")
    await (await Menwei.open(config)).stop()
    fill(disk)
    for _ in range(2):  # what the first of them keeps for the second has no more room than it had itself
        house = await Menwei.open(config)
        assert "disk" in [repair.key for repair in house.repairs()]
        assert [account.name for account in await house.accounts.list()] == ["admin"]
        await house.stop()
