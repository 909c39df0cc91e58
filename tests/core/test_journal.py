"""The journal as its users see it: order, durability, reading, following, bounds."""

from __future__ import annotations

import asyncio
import math
import sqlite3
import stat
import threading
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from journal_support import KEYS, OTHER_KEYS, SITE, opened, passage, until_gap
from menwei.journal import (
    START,
    Break,
    Entry,
    Journal,
    JournalClosed,
    JournalForeign,
    JournalFull,
    JournalLocked,
    Position,
    verify_file,
)
from menwei.journal_keys import MachineKeys


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def shut_out_the_writer(path: Path) -> sqlite3.Connection:
    """A real lock held by another program: nothing can be written until it is rolled back."""
    shell = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    shell.execute("BEGIN IMMEDIATE")
    return shell


# ---------------------------------------------------------------------------------------------------------- writing


async def test_a_record_is_in_the_file_when_its_position_is_known(path: Path) -> None:
    async with opened(path) as journal:
        position = await journal.record(passage(at=1234.5, factors=["Card"]))
        with sqlite3.connect(path) as other:
            row = other.execute("SELECT position, kind, at, door, data FROM entry").fetchone()
    assert position is not None
    assert row == (position.packed, "AccessGranted", 1234.5, "gate", '{"factors":["Card"]}')


async def test_the_writer_syncs_every_commit(path: Path) -> None:
    async with opened(path) as journal:
        pragmas = await journal._work(
            lambda connection, pen: [
                connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
            ]
        )
    assert pragmas == ["wal", 2]


async def test_entries_stand_in_the_order_they_were_handed_over(path: Path) -> None:
    async with opened(path) as journal:
        futures = []
        for number in range(300):
            if number % 3 == 0:
                journal.post(passage(number=number))
            else:
                futures.append(journal.append(passage(number=number)))
        positions = await asyncio.gather(*futures)
        entries = await journal.read()
    assert [entry.data["number"] for entry in entries] == list(range(300))
    assert positions == sorted(positions)
    assert [entry.position.seq for entry in entries] == list(range(1, 301))


async def test_a_posted_entry_becomes_durable_without_anybody_waiting(path: Path) -> None:
    async with opened(path) as journal:
        journal.post(passage(kind="AccessDenied"))
        await asyncio.wait_for(journal.wait(START), 60)
        assert [entry.kind for entry in await journal.read()] == ["AccessDenied"]


async def test_closing_writes_what_waits(path: Path) -> None:
    journal = await Journal.open(path, SITE, KEYS)
    for number in range(1000):
        journal.post(passage(number=number))
    await journal.close()
    assert verify_file(path, KEYS).entries == 1000


async def test_a_closed_journal_says_so(path: Path) -> None:
    async with opened(path) as journal:
        pass
    with pytest.raises(JournalClosed):
        journal.append(passage())
    with pytest.raises(JournalClosed):
        await journal.read()
    with pytest.raises(JournalClosed):
        await journal.wait(START)


@pytest.mark.parametrize(
    "entry",
    [
        Entry("", 1.0),
        Entry("Forgotten", 1.0),
        Entry("JournalGap", 1.0),
        Entry("Note", math.nan),
        Entry("Note", math.inf),
        Entry("Note", 1.0, data={"set": {1}}),
        Entry("Note", 1.0, data={"big": 2**80}),
        Entry("Note", 1.0, data={"half a character": "\ud800"}),
        Entry("Note", 1.0, door="\udcff"),
        Entry("Note", 1.0, data={"text": "x" * 70_000}),
        Entry("Note", 1.0, personal={"set": {1}}),
    ],
    ids=lambda entry: f"{entry.kind or 'nothing'}-{entry.at}-{str(entry.data)[:8]!r}",
)
async def test_what_can_not_be_an_entry_is_refused_at_once_and_hurts_nobody_else(
    path: Path, entry: Entry
) -> None:
    async with opened(path) as journal:
        with pytest.raises((ValueError, TypeError)):
            journal.append(entry)
        assert await journal.record(passage(), 10) is not None


async def test_what_changes_after_it_was_handed_over_is_recorded_as_it_was(path: Path) -> None:
    data = {"mode": "Locked"}
    async with opened(path) as journal:
        future = journal.append(Entry("DoorMode", 1.0, "gate", data=data))
        data["mode"] = "Unlocked"
        await future
        assert (await journal.read())[0].data == {"mode": "Locked"}


async def test_read_only_mappings_are_data_too(path: Path) -> None:
    async with opened(path) as journal:
        await journal.append(
            Entry("Note", 1.0, data=MappingProxyType({"inner": MappingProxyType({"a": (1, 2)})}))
        )
        assert (await journal.read())[0].data == {"inner": {"a": [1, 2]}}


async def test_only_the_owner_may_read_the_file(path: Path) -> None:
    async with opened(path) as journal:
        await journal.append(passage())
        modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {0o600}


# ---------------------------------------------------------------------------------------------------------- openings


async def test_an_epoch_begins_with_each_opening_and_the_clock_may_go_back(path: Path) -> None:
    positions = []
    for wall in (1_800_000_000.0, 1000.0, 0.0, -5.0, 1_800_000_001.0, 1e300, math.nan):
        async with opened(path, now=lambda wall=wall: wall) as journal:
            positions += [await journal.append(passage(at=5.0)) for _ in range(2)]
    assert positions == sorted(set(positions))
    assert [position.seq for position in positions] == [1, 2] * 7
    assert positions[0].epoch == 1_800_000_000
    assert verify_file(path, KEYS).ok


async def test_a_second_opening_is_refused_while_the_first_lives(path: Path) -> None:
    async with opened(path):
        with pytest.raises(JournalLocked):
            await Journal.open(path, SITE, KEYS)
    async with opened(path) as journal:
        assert await journal.record(passage(), 10) is not None


async def test_the_journal_of_another_site_is_refused(path: Path) -> None:
    async with opened(path):
        pass
    with pytest.raises(JournalForeign, match="'yard', not of 'mill'"):
        await Journal.open(path, "mill", KEYS)


async def test_a_newer_journal_is_refused_and_left_as_it_is(path: Path) -> None:
    async with opened(path):
        pass
    with sqlite3.connect(path) as other:
        other.execute("PRAGMA user_version = 99")
    with pytest.raises(JournalForeign, match="newer version"):
        await Journal.open(path, SITE, KEYS)
    with sqlite3.connect(path) as other:
        assert other.execute("PRAGMA user_version").fetchone() == (99,)


async def test_another_programs_database_is_not_written_into(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE people (name TEXT)")
    with pytest.raises(JournalForeign, match="not a journal"):
        await Journal.open(path, SITE, KEYS)
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT name FROM sqlite_schema").fetchall() == [("people",)]


async def test_the_last_time_is_known_at_the_next_start(path: Path) -> None:
    async with opened(path) as journal:
        assert journal.last_at == 0.0
        await journal.append(passage(at=5000.0))
        await journal.append(passage(at=6000.0))
    async with opened(path) as journal:
        assert journal.last_at == 6000.0


# ------------------------------------------------------------------------------------------------- a disk that fails


async def test_a_grant_that_is_not_durable_in_time_is_written_later_and_counted(path: Path) -> None:
    async with opened(path) as journal:
        await journal.append(passage(number=0))
        shell = shut_out_the_writer(path)
        assert await journal.record(passage(number=1), 0.15) is None
        assert await journal.record(passage(number=2), 0.15) is None
        journal.post(passage(kind="AccessDenied", number=3))
        assert journal.trouble is not None
        assert journal.trouble.startswith("locked by another program since ")
        shell.execute("ROLLBACK")
        head = journal.head
        gaps = await until_gap(journal, head)
        assert journal.trouble is None
        entries = await journal.read()
        shell.close()
    assert [entry.data["number"] for entry in entries if "number" in entry.data] == [0, 1, 2, 3]
    assert [gap.data["passages_without_record"] for gap in gaps] == [2]
    assert gaps[0].data["dropped"] == 0
    assert gaps[0].data["since"] <= gaps[0].data["until"]
    assert verify_file(path, KEYS).ok


async def test_what_is_posted_beyond_the_bound_is_dropped_counted_and_told(path: Path) -> None:
    async with opened(path, post_bound=10) as journal:
        await journal.append(passage())
        shell = shut_out_the_writer(path)
        for number in range(25):
            journal.post(passage(kind="AccessDenied", number=number))
        grant = journal.append(passage(number=99))
        assert not grant.done(), "posted entries must not take the place of grants"
        assert journal.waiting == 11
        shell.execute("ROLLBACK")
        shell.close()
        position = await asyncio.wait_for(grant, 60)
        gaps = await until_gap(journal, position)
        denied = await journal.read(kinds={"AccessDenied"})
    assert [entry.data["number"] for entry in denied] == list(range(10))
    assert sum(gap.data["dropped"] for gap in gaps) == 15
    assert sum(gap.data["passages_without_record"] for gap in gaps) == 0


async def test_a_full_queue_refuses_at_once_and_counts(path: Path) -> None:
    async with opened(path, bound=3) as journal:
        await journal.append(passage())
        shell = shut_out_the_writer(path)
        waiting = [journal.append(passage()) for _ in range(3)]
        with pytest.raises(JournalFull):
            await journal.append(passage())
        assert await journal.record(passage(), 10) is None
        shell.execute("ROLLBACK")
        shell.close()
        last = await asyncio.gather(*waiting)
        gaps = await until_gap(journal, last[-1])
    assert (gaps[0].data["passages_without_record"], gaps[0].data["dropped"]) == (1, 2)


async def test_closing_gives_a_failing_disk_its_patience_and_tells_the_loss(path: Path) -> None:
    journal = await Journal.open(path, SITE, KEYS)
    await journal.append(passage())
    shell = shut_out_the_writer(path)
    lost = journal.append(passage())
    with pytest.raises(Exception, match="could not be written before the end"):
        await journal.close(patience=0.3)
    with pytest.raises(Exception, match="not written"):
        await lost
    shell.execute("ROLLBACK")
    shell.close()
    assert verify_file(path, KEYS).entries == 1


async def test_a_file_put_back_to_an_older_state_under_our_feet_is_told_and_not_written_on(
    path: Path,
) -> None:
    async with opened(path) as journal:
        await journal.append(passage())
    kept = path.read_bytes()
    journal = await Journal.open(path, SITE, KEYS)
    await journal.append(passage())
    # The disk fails once in a way that makes the writer open the file again, and meanwhile somebody exchanges it.
    with pytest.raises(sqlite3.ProgrammingError):
        await journal._work(lambda connection, pen: connection.close())
    for file in path.parent.glob("journal.db*"):
        if not file.name.endswith(".lock"):
            file.unlink()
    path.write_bytes(kept)
    assert await journal.record(passage(), 1.0) is None
    assert journal.trouble is not None
    assert "file replaced" in journal.trouble
    with pytest.raises(Exception, match="could not be written"):
        await journal.close(patience=0.1)
    assert verify_file(path, KEYS).entries == 1


class Unplugged(MachineKeys):
    """Keys in a chip that does not answer: nothing can be signed."""

    def sign(self, data: bytes) -> bytes:
        raise RuntimeError("no chip")


async def test_keys_that_can_not_sign_do_not_keep_passages_from_being_recorded(path: Path) -> None:
    journal = await Journal.open(path, SITE, Unplugged(KEYS._keys))
    assert await journal.record(passage(), 10) is not None
    await journal.close()
    checked = verify_file(path, KEYS)
    assert (checked.entries, checked.why) == (1, Break.HEAD)


# ------------------------------------------------------------------------------------------------------------ values

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
entries = st.builds(
    Entry,
    kind=st.text(min_size=1, max_size=20),
    at=st.floats(allow_nan=False, allow_infinity=False),
    door=st.text(max_size=20),
    access_point=st.text(max_size=20),
    data=st.dictionaries(st.text(), json_values, max_size=5),
    personal=st.none() | st.dictionaries(st.text() | st.just("holder"), json_values, max_size=3),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_entries=st.lists(entries, min_size=1, max_size=12))
def test_any_text_and_any_json_comes_back_as_it_was_and_the_chain_holds(
    tmp_path_factory: pytest.TempPathFactory, given_entries: list[Entry]
) -> None:
    path = tmp_path_factory.mktemp("journal") / "journal.db"

    async def round_trip() -> None:
        async with opened(path) as journal:
            for entry in given_entries:
                journal.append(entry)
            last = await journal.append(Entry("End", 1.0))
            found = await journal.read(before=last, personal=True)
            assert [
                (entry.kind, entry.at, entry.door, entry.access_point, entry.data, entry.personal)
                for entry in found
            ] == [(e.kind, e.at, e.door, e.access_point, e.data, e.personal) for e in given_entries]
            assert (await journal.verify()).ok

    asyncio.run(round_trip())
    assert verify_file(path, KEYS).ok
    assert not verify_file(path, OTHER_KEYS).ok


@given(
    epoch=st.integers(0, 2**32 - 1),
    seq=st.integers(0, 2**31 - 1),
    other=st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**31 - 1)),
)
def test_positions_pack_and_print_in_order(epoch: int, seq: int, other: tuple[int, int]) -> None:
    position = Position(epoch, seq)
    assert Position.unpack(position.packed) == Position.parse(str(position)) == position
    assert (position < Position(*other)) == (position.packed < Position(*other).packed)


@pytest.mark.parametrize(
    "text", ["", "1", "1.", ".1", "1.2.3", "-1.2", "1.-2", "１.2", "a.b", "4294967296.1", "1.2147483648"]
)
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a journal position"):
        Position.parse(text)


async def test_the_thread_ends_with_the_journal(path: Path) -> None:
    async with opened(path) as journal:
        await journal.append(passage())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("menwei-journal")]
