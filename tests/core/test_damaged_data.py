"""Data that cannot be used at a start: the doors are served wherever that is possible, and a person is told which file."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import typer

from journal_support import door_mode
from menwei.anew import MARK
from menwei.cli import REFUSED, run
from menwei.cli_client import api
from menwei.house import Menwei
from menwei.journal import Entry, Journal, JournalError, TroubleKind, verify_file
from menwei.journal_keys import MachineKeys
from menwei.keys import Keys
from menwei.model import DoorMode
from menwei.serving import serving
from menwei.store import ProcessLock, StoreDamaged
from menwei.web import CannotListen, Listen, Server
from waiting import until

pytestmark = pytest.mark.slow

CONFIG = """
site: {id: yard}
plugins:
  simulator:
devices:
  board: {driver: simulator, host: 127.0.0.1, port: 1}
doors:
  gate: {lock: board/1, access_points: {gate-in: {readers: [board/in]}}}
"""


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a site that was ended with its gate locked down."""
    folder = tmp_path_factory.mktemp("ended")
    (folder / "config.yaml").write_text(CONFIG, "utf-8")

    async def live() -> None:
        house = await Menwei.open(folder / "config.yaml")
        for number in range(30):  # more than fit on one page
            house.journal.post(
                Entry("AccessDenied", house.clock.now(), "gate", "gate-in", {"x": "x" * 500 + str(number)})
            )
        await house.journal.append(door_mode("gate", "LockedDown", house.clock.now()))
        await house.stop()

    asyncio.run(live())
    for name in ("journal.db", "store.db"):
        with closing(sqlite3.connect(folder / "var" / name)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")  # a write-ahead log would mend the file
    return folder


@pytest.fixture
def config(ended: Path, tmp_path: Path) -> Path:
    shutil.copytree(ended, tmp_path / "site")
    return tmp_path / "site" / "config.yaml"


def _garbage(path: Path) -> None:
    path.write_bytes(os.urandom(8192))


def _cut_short(path: Path) -> None:
    os.truncate(path, 100)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _impossible(path: Path) -> None:
    """A row that SQLite reads and that no entry can be."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE entry SET at = 'noon', data = '{'")
        connection.commit()


DAMAGE = [_garbage, _cut_short, _folder, _impossible]


async def test_a_door_is_as_the_journal_says_it_was_left(config: Path) -> None:
    house = await Menwei.open(config)
    try:
        assert house.doors["gate"].mode is DoorMode.LOCKED_DOWN
        assert not [repair for repair in house.repairs() if repair.key.startswith("journal")]
    finally:
        await house.stop()


@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_journal_that_cannot_be_read_does_not_keep_the_site_shut(
    config: Path, damage: Callable[[Path], None]
) -> None:
    journal = config.parent / "var" / "journal.db"
    damage(journal)
    house = await Menwei.open(config)
    try:
        assert house.doors["gate"].mode is DoorMode.LOCKED
        told = {repair.key: repair for repair in house.repairs()}
        assert house.journal.trouble_facts is not None
        assert house.journal.trouble_facts.kind in (TroubleKind.DAMAGED, TroubleKind.IO_ERROR)
        assert told["journal"].severity == told["journal:modes"].severity == "error"
        assert told["journal:modes"].values["file"] == str(journal)

        house.journal.post(Entry("AccessDenied", house.clock.now(), "gate", "gate-in"))
        assert house.journal.waiting
        journal.rename(journal.with_name("damaged"))  # what the repair advises
        await until(lambda: not house.journal.waiting)
        assert len(await house.journal.read(kinds={"AccessDenied"})) == 1
        assert "journal" not in {repair.key for repair in house.repairs()}
    finally:
        await house.stop()
    assert verify_file(journal, MachineKeys(Keys.open(journal.parent))).ok


async def test_a_command_beside_a_damaged_journal_answers_and_ends_at_once(config: Path) -> None:
    """Nothing waits for the disk, so nothing is lost, and nobody waits for it."""
    _garbage(config.parent / "var" / "journal.db")
    async with api(config, "en") as service:
        told = (await service.get("/api/repairs"))["repairs"]
    assert {"journal", "journal:modes"} <= {repair["key"] for repair in told}


async def test_what_ended_a_start_is_told_and_not_what_failed_while_ending(config: Path) -> None:
    _garbage(config.parent / "var" / "journal.db")

    real = Journal.close

    async def lost(journal: Journal) -> None:
        await real(journal)
        raise JournalError("3 entries could not be written before the end")

    async def taken(*_: object) -> None:
        raise CannotListen(Listen(), OSError(errno.EADDRINUSE, "taken"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Journal, "close", lost)
        patch.setattr(Server, "start", taken)
        with pytest.raises(CannotListen):
            async with serving(config):
                pass
        patch.setattr(Menwei, "_welcome", taken)
        with pytest.raises(CannotListen):
            await Menwei.open(config)


def _half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize(("language", "advice"), [("zh-CN", "从备份恢复"), ("en", "from the backup")])
@pytest.mark.parametrize("damage", [_garbage, _cut_short, _half])
def test_a_damaged_store_is_one_sentence_that_names_the_file_and_what_to_do(
    config: Path,
    damage: Callable[[Path], None],
    language: str,
    advice: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("menwei.cli._Settings.language", language)
    store = config.parent / "var" / "store.db"
    damage(store)

    async def ask() -> None:
        async with api(config, language):
            pass

    with pytest.raises(typer.Exit) as ended:
        run(ask())
    assert ended.value.exit_code == REFUSED
    told = capsys.readouterr().err.replace("\n", "")
    assert told.startswith(str(store)), "and nothing before it"
    assert advice in told


async def test_values_that_no_right_can_have_are_damage_too(config: Path) -> None:
    store = config.parent / "var" / "store.db"
    with closing(sqlite3.connect(store)) as connection:
        connection.execute(
            "INSERT INTO holders (id, name_sealed, extended, created, indexed) VALUES (1, '', 0, 0, 0)"
        )
        connection.execute(
            "INSERT INTO credentials (id, holder, state, valid_from) VALUES (1, 1, 'En!bled', 0)"
        )
        connection.commit()
    with pytest.raises(StoreDamaged) as refused:
        await Menwei.open(config)
    assert refused.value.values["file"] == str(store)


@pytest.mark.parametrize(("language", "said"), [("zh-CN", "正被进程"), ("en", "open in process")])
def test_a_site_that_another_process_has_open_is_said_in_the_language_of_the_command(
    config: Path,
    language: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("menwei.cli._Settings.language", language)
    lock = ProcessLock(config.parent / "var" / "store.db.lock")

    async def ask() -> None:
        async with api(config, language):
            pass

    try:
        with pytest.raises(typer.Exit):
            run(ask())
    finally:
        lock.release()
    told = capsys.readouterr().err.replace("\n", "")
    assert said in told and str(os.getpid()) in told


def _torn(path: Path) -> None:
    """The page of the oldest entries, the first below the root of their tree, is not whole; all else is."""
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'entry'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        page = file.read(size)
        assert page[0] == 5, (
            "an inner page of a table's tree: https://www.sqlite.org/fileformat.html section 1.6"
        )
        cell = int.from_bytes(page[12:14], "big")
        child = int.from_bytes(page[cell : cell + 4], "big")
        file.seek((child - 1) * size)
        file.write(b"\xff" * size)


async def test_damage_that_is_met_while_reading_is_told_by_verify_and_stays_to_be_mended(
    config: Path,
) -> None:
    journal = config.parent / "var" / "journal.db"
    _torn(journal)
    async with api(config, "en") as service:
        before = (await service.get("/api/repairs"))["repairs"]
        found = await service.post("/api/journal/verify")
        after = (await service.get("/api/repairs"))["repairs"]
    assert not any(repair["key"].startswith("journal") for repair in before)
    assert (found["ok"], found["broken"]) == (False, None)
    assert found["message"] == "The file of the journal is damaged and cannot be read"
    assert str(journal) in found["detail"]
    (told,) = [repair for repair in after if repair["key"] == "journal:damage"]
    assert told["severity"] == "error" and str(journal) in told["text"]


async def _told_anew(config: Path) -> list[str]:
    house = await Menwei.open(config)
    try:
        told = [repair for repair in house.repairs() if repair.message == "repair.made_anew"]
        assert all(repair.severity == "error" for repair in told)
        return [str(repair.values["file"]) for repair in told]
    finally:
        await house.stop()


@pytest.mark.parametrize("empty", [False, True])
@pytest.mark.parametrize("name", ["store.db", "journal.db"])
async def test_a_file_that_is_gone_is_made_anew_and_told_until_a_person_has_seen_to_it(
    config: Path, name: str, empty: bool
) -> None:
    lost = config.parent / "var" / name
    if empty:
        os.truncate(lost, 0)
    else:
        lost.unlink()
    assert await _told_anew(config) == [str(lost)]
    assert await _told_anew(config) == [str(lost)], "also at the starts after it"
    (config.parent / "var" / MARK).unlink()
    assert await _told_anew(config) == []


async def test_a_first_start_has_lost_nothing(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("site: {id: yard}\n", "utf-8")
    assert await _told_anew(tmp_path / "config.yaml") == []
    assert await _told_anew(tmp_path / "config.yaml") == []
