"""Tampering is found, retention is not tampering, and a cut leaves a journal that still verifies."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journal_support import KEYS, OTHER_KEYS, SITE, door_mode, opened, passage
from menwei.chain import Break, Link, Position, Seal, commit, genesis, link_hash, verify
from menwei.journal import Entry, JournalError, Verification, verify_file
from menwei.journal_file import load_seal
from menwei.journal_upkeep import CUT_CHUNK, FORGET_CHUNK


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


@pytest.fixture
async def ten(path: Path) -> Path:
    """A closed journal of two epochs with ten entries, all with personal parts."""
    for _ in range(2):
        async with opened(path) as journal:
            for number in range(5):
                await journal.append(passage(number=number, holder=number))
    return path


def change(path: Path, *statements: str) -> Verification:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            before = connection.total_changes
            connection.execute(statement)
            assert connection.total_changes > before, f"the tampering must hit something: {statement}"
        connection.commit()
    return verify_file(path, KEYS)


def nth(number: int) -> str:
    return f"(SELECT position FROM entry ORDER BY position LIMIT 1 OFFSET {number - 1})"


def position_of(path: Path, number: int) -> Position:
    with closing(sqlite3.connect(path)) as connection:
        return Position.unpack(connection.execute(f"SELECT {nth(number)}").fetchone()[0])


async def test_an_honest_journal_verifies_open_and_closed(path: Path) -> None:
    async with opened(path) as journal:
        for number in range(5):
            await journal.append(passage(number=number))
        checked = await journal.verify()
    assert (checked.ok, checked.entries, checked.personal, checked.forgotten) == (True, 5, 5, 0)
    closed = verify_file(path, KEYS)
    assert (closed.ok, closed.last, closed.signed) == (True, journal.head, journal.head)


def test_two_epochs_are_one_chain(ten: Path) -> None:
    checked = verify_file(ten, KEYS)
    assert (checked.ok, checked.entries) == (True, 10)
    assert checked.first is not None
    assert checked.last is not None
    assert checked.first.epoch < checked.last.epoch


@pytest.mark.parametrize(
    "edit",
    [
        "at = at + 1", "recorded_at = 0.0", "monotonic = 0.0", "kind = 'AccessDenied'", "door = 'mill'",
        "access_point = 'mill-in'", "data = '{}'", "data = data || ' '", "commitment = x''",
        "commitment = zeroblob(32)", "chain = zeroblob(32)",
    ],
)  # fmt: skip
def test_an_edited_entry_is_found_where_it_stands(ten: Path, edit: str) -> None:
    where = position_of(ten, 4)
    checked = change(ten, f"UPDATE entry SET {edit} WHERE position = {nth(4)}")
    assert (checked.broken, checked.why) == (where, Break.CHANGED)


@pytest.mark.parametrize("edit", ["at = 'noon'", "data = x'ff'", "kind = 5", "door = x''", "commitment = 7"])
def test_values_that_no_entry_can_have_are_found(ten: Path, edit: str) -> None:
    where = position_of(ten, 4)
    checked = change(ten, f"UPDATE entry SET {edit} WHERE position = {nth(4)}")
    assert checked.broken == where
    assert checked.why in (Break.UNREADABLE, Break.CHANGED)


@pytest.mark.parametrize(
    ("number", "why"), [(1, Break.MISSING), (4, Break.MISSING), (6, Break.MISSING), (10, Break.HEAD)]
)
def test_a_removed_entry_is_found(ten: Path, number: int, why: Break) -> None:
    where = position_of(ten, number)
    checked = change(
        ten,
        f"DELETE FROM personal WHERE position = {where.packed}",
        f"DELETE FROM entry WHERE position = {where.packed}",
    )
    assert (checked.broken, checked.why) == (where, why)


def test_the_end_of_an_older_epoch_can_not_be_removed(ten: Path) -> None:
    where = position_of(ten, 5)
    checked = change(
        ten,
        f"DELETE FROM personal WHERE position = {where.packed}",
        f"DELETE FROM entry WHERE position = {where.packed}",
    )
    assert not checked.ok
    assert checked.broken == Position(position_of(ten, 5).epoch, 1)


def test_a_whole_epoch_can_not_be_removed(ten: Path) -> None:
    last = position_of(ten, 5)
    checked = change(
        ten,
        f"DELETE FROM personal WHERE position <= {last.packed}",
        f"DELETE FROM entry WHERE position <= {last.packed}",
    )
    assert checked.why is Break.CHANGED


def test_everything_removed_is_found(ten: Path) -> None:
    last = position_of(ten, 10)
    checked = change(ten, "DELETE FROM personal", "DELETE FROM entry")
    assert (checked.broken, checked.why) == (last, Break.HEAD)


def test_two_entries_that_changed_places_are_found(ten: Path) -> None:
    where = position_of(ten, 3)
    checked = change(
        ten,
        f"UPDATE entry SET position = -1 WHERE position = {nth(3)}",
        f"UPDATE entry SET position = {where.packed} WHERE position = {where.packed + 1}",
        f"UPDATE entry SET position = {where.packed + 1} WHERE position = -1",
    )
    assert (checked.broken, checked.why) == (where, Break.CHANGED)


def test_an_entry_put_in_is_found(ten: Path) -> None:
    last = position_of(ten, 10)
    checked = change(
        ten,
        f"INSERT INTO entry SELECT {last.packed + 1}, kind, at, recorded_at, monotonic, door, access_point, data, commitment, chain "
        f"FROM entry WHERE position = {last.packed}",
    )
    assert (checked.broken, checked.why) == (Position(last.epoch, last.seq + 1), Break.CHANGED)


def rewrite(path: Path) -> None:
    """What a thief without the key can do: change an entry and compute every link anew."""
    with closing(sqlite3.connect(path)) as connection:
        chain = genesis(SITE)
        connection.execute(f"UPDATE entry SET door = 'mill' WHERE position = {nth(4)}")
        for row in connection.execute("SELECT * FROM entry ORDER BY position").fetchall():
            packed, kind, at, recorded_at, monotonic, door, access_point, data, commitment, _ = row
            where = Position.unpack(packed)
            chain = link_hash(
                chain, where.epoch, where.seq, at, recorded_at, monotonic, kind.encode(), door.encode(), access_point.encode(),
                data.encode(), commitment,
            )  # fmt: skip
            connection.execute("UPDATE entry SET chain = ? WHERE position = ?", (chain, packed))
        connection.commit()


def test_a_chain_rewritten_as_a_whole_is_found_by_the_signed_head(ten: Path) -> None:
    rewrite(ten)
    checked = verify_file(ten, KEYS)
    assert (checked.broken, checked.why) == (position_of(ten, 10), Break.HEAD)


def test_a_head_that_is_gone_or_signed_by_another_machine_is_found(ten: Path) -> None:
    assert verify_file(ten, OTHER_KEYS).why is Break.HEAD
    assert change(ten, "DELETE FROM seal WHERE purpose = 'head'").why is Break.HEAD


def test_the_journal_of_another_site_does_not_verify_as_ours(ten: Path) -> None:
    assert verify_file(ten, KEYS, "mill").why is Break.HEAD


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE personal SET sealed = zeroblob(60) WHERE position = {fourth}",
        "UPDATE personal SET sealed = (SELECT sealed FROM personal WHERE position = {third}) WHERE position = {fourth}",
        "UPDATE personal SET holder = (SELECT holder FROM personal WHERE position = {third}) WHERE position = {fourth}",
        "UPDATE personal SET holder = NULL WHERE position = {fourth}",
    ],
    ids=["overwritten", "another's", "another's holder", "hidden from the holder"],
)
def test_a_changed_personal_part_is_found(ten: Path, edit: str) -> None:
    where = position_of(ten, 4)
    checked = change(ten, edit.format(third=nth(3), fourth=nth(4)))
    assert (checked.broken, checked.why) == (where, Break.PERSONAL)


def test_a_personal_part_removed_without_proof_is_found(ten: Path) -> None:
    checked = change(ten, f"DELETE FROM personal WHERE position = {nth(4)}")
    assert checked.why is Break.REMOVED
    assert "AccessGranted: +1" in checked.detail


def test_a_personal_part_put_in_is_found(ten: Path) -> None:
    stray = position_of(ten, 10).packed + 7
    checked = change(ten, f"INSERT INTO personal VALUES ({stray}, NULL, x'00')")
    assert (checked.broken, checked.why) == (Position.unpack(stray), Break.PERSONAL)


def test_the_same_personal_part_is_never_committed_to_alike(ten: Path) -> None:
    with closing(sqlite3.connect(ten)) as connection:
        commitments = connection.execute("SELECT count(DISTINCT commitment) FROM entry").fetchone()[0]
    assert commitments == 10


# --------------------------------------------------------------------------------------------------------- retention


async def test_retention_ends_personal_parts_by_kind_and_age_and_leaves_a_proof(path: Path) -> None:
    async with opened(path) as journal:
        for at in (0.0, 100.0, 200.0):
            for kind in ("AccessGranted", "AccessDenied", "Audit"):
                journal.post(passage(at=at, kind=kind))
        await journal.append(door_mode("gate", "Locked", at=0.0))
        assert await journal.forget({"AccessGranted": 150.0, "*": 250.0}, now=300.0) == 4
        left = [(entry.kind, entry.at) for entry in await journal.read(personal=True) if entry.personal]
        (proof,) = await journal.read(kinds={"Forgotten"})
        checked = await journal.verify()
        assert len(await journal.by_holder(7)) == 5
        assert await journal.forget({"AccessGranted": 150.0, "*": 250.0}, now=300.0) == 0
        assert len(await journal.read(kinds={"Forgotten"})) == 1, "nothing was forgotten, nothing is told"
    assert left == [
        ("AccessDenied", 100.0), ("Audit", 100.0), ("AccessGranted", 200.0), ("AccessDenied", 200.0), ("Audit", 200.0),
    ]  # fmt: skip
    assert proof.data["counts"] == {"AccessGranted": 2, "AccessDenied": 1, "Audit": 1}
    assert proof.data["before"] == {"AccessGranted": 150.0, "*": 50.0}
    assert (checked.ok, checked.personal, checked.forgotten) == (True, 5, 4)
    assert verify_file(path, KEYS).ok


async def test_kinds_without_a_retention_keep_their_personal_part(path: Path) -> None:
    async with opened(path) as journal:
        await journal.append(passage(kind="Audit", at=0.0))
        assert await journal.forget({"AccessGranted": 0.0}, now=1e9) == 0


async def test_one_holder_can_be_forgotten_alone(path: Path) -> None:
    async with opened(path) as journal:
        for holder in (1, 2, 1):
            await journal.append(passage(holder=holder))
        assert await journal.forget({"*": 0.0}, now=5000.0, holder=1) == 2
        assert await journal.by_holder(1) == []
        assert len(await journal.by_holder(2)) == 1
        assert (await journal.verify()).ok


async def test_what_is_forgotten_is_gone_from_the_disk(path: Path) -> None:
    async with opened(path) as journal:
        await journal.append(passage())
        with closing(sqlite3.connect(path)) as other:
            (sealed,) = other.execute("SELECT sealed FROM personal").fetchone()
        files = [path, path.with_name("journal.db-wal")]
        assert any(sealed in file.read_bytes() for file in files)
        await journal.forget({"*": 0.0}, now=5000.0)
        assert not any(sealed in file.read_bytes() for file in files)


async def test_a_large_retention_is_told_in_as_many_proofs_as_it_took(path: Path) -> None:
    async with opened(path) as journal:
        for _ in range(FORGET_CHUNK + 500):
            journal.post(passage())
        await journal.append(passage())
        assert await journal.forget({"*": 0.0}, now=5000.0) == FORGET_CHUNK + 501
        proofs = await journal.read(kinds={"Forgotten"})
        assert [proof.data["counts"]["AccessGranted"] for proof in proofs] == [FORGET_CHUNK, 501]
        assert (await journal.verify()).ok


# --------------------------------------------------------------------------------------------------------------- cut


async def test_a_cut_journal_verifies_from_its_checkpoint(path: Path) -> None:
    async with opened(path) as journal:
        positions = [await journal.append(passage(number=number)) for number in range(20)]
        assert await journal.cut(positions[12]) == positions[12]
        kept = await journal.read()
        checked = await journal.verify()
    assert [entry.data.get("number") for entry in kept] == [*range(12, 20), None]
    assert kept[-1].kind == "JournalCut"
    assert kept[-1].data == {"before": str(positions[12]), "entries": 12, "personal": 12}
    assert (checked.ok, checked.first) == (True, positions[12])
    assert verify_file(path, KEYS).ok


async def test_writing_goes_on_after_a_cut_and_after_the_next_start(path: Path) -> None:
    async with opened(path) as journal:
        for _ in range(5):
            await journal.append(passage())
        await journal.cut(Position(2**32 - 1, 1))
        assert len(await journal.read()) == 2, "the last entry always stays"
        await journal.append(passage())
    async with opened(path) as journal:
        await journal.append(passage())
        await journal.cut(journal.head)
        assert (await journal.verify()).ok
    assert verify_file(path, KEYS).ok


async def test_a_long_cut_goes_in_steps_and_is_told_once(path: Path) -> None:
    async with opened(path) as journal:
        for number in range(CUT_CHUNK * 2 + 1):
            journal.post(passage(number=number))
        await journal.append(passage())
        await journal.cut(journal.head)
        (told,) = await journal.read(kinds={"JournalCut"})
        assert told.data["entries"] == CUT_CHUNK * 2 + 1
        assert (await journal.verify()).ok


async def test_door_modes_outlive_every_cut(path: Path) -> None:
    async with opened(path) as journal:
        await journal.append(door_mode("gate", "Unlocked"))
        await journal.append(door_mode("gate", "LockedOpen"))
        await journal.append(door_mode("unit", "Blocked"))
        for door in ("one", "two"):
            await journal.append(passage(door=door))
            await journal.cut(journal.head)
        await journal.append(door_mode("unit", "Locked"))
        latest = await journal.latest("DoorMode")
        assert await journal.latest("AccessDenied") == {}
    assert {door: entry.data["mode"] for door, entry in latest.items()} == {
        "gate": "LockedOpen",
        "unit": "Locked",
    }


async def test_a_cut_does_not_take_what_a_follower_has_not_handled(path: Path) -> None:
    async with opened(path) as journal:
        positions = [await journal.append(passage()) for _ in range(6)]
        await journal.advance("sms", positions[1])
        assert await journal.cut(positions[4]) == Position(positions[1].epoch, positions[1].seq + 1)
        assert (await journal.read(limit=1))[0].position == positions[2]
        await journal.cut(positions[4], past_cursors=True)
        assert (await journal.read(limit=1))[0].position == positions[4]


async def test_retention_before_and_after_a_cut_still_balances(path: Path) -> None:
    async with opened(path) as journal:
        for number in range(10):
            await journal.append(passage(at=float(number)))
        middle = journal.head
        await journal.forget({"*": 0.0}, now=5.0)
        await journal.cut(
            Position(middle.epoch, 4)
        )  # two of the forgotten stay, and the proof speaks of five
        assert (await journal.verify()).ok
        await journal.cut(journal.head)
        await journal.append(passage())
        assert (await journal.verify()).ok
    assert change(path, "DELETE FROM personal").why is Break.REMOVED


async def test_a_broken_prefix_is_not_cut_away(path: Path) -> None:
    async with opened(path) as journal:
        for number in range(6):
            await journal.append(passage(number=number))
        broken = position_of(path, 2)
        change(path, f"UPDATE entry SET door = 'mill' WHERE position = {nth(2)}")
        with pytest.raises(JournalError, match=f"broken at {broken}"):
            await journal.cut(journal.head)
        assert (await journal.verify()).broken == broken
        assert await journal.record(passage(), 10) is not None


async def test_a_forged_checkpoint_is_found(path: Path) -> None:
    async with opened(path) as journal:
        for number in range(6):
            await journal.append(passage(number=number))
        await journal.cut(journal.head)
    with closing(sqlite3.connect(path)) as connection:
        mine = load_seal(connection, "checkpoint")
        assert mine is not None
        forged = Seal(mine.body, OTHER_KEYS.sign(mine.body))
        connection.execute("UPDATE seal SET signature = ? WHERE purpose = 'checkpoint'", (forged.signature,))
        connection.commit()
    assert verify_file(path, KEYS).why is Break.CHECKPOINT
    async with opened(path) as journal:
        assert await journal.latest("DoorMode") == {}, "a mode from a forged checkpoint could be anybody's"


def test_a_removed_checkpoint_is_found(ten: Path) -> None:
    first = position_of(ten, 1)
    checked = change(
        ten,
        f"DELETE FROM personal WHERE position = {first.packed}",
        f"DELETE FROM entry WHERE position = {first.packed}",
    )
    assert (checked.broken, checked.why) == (first, Break.MISSING)


def test_a_head_is_not_accepted_as_a_checkpoint(ten: Path) -> None:
    assert (
        change(ten, "INSERT INTO seal SELECT 'checkpoint', body, signature FROM seal").why is Break.CHECKPOINT
    )


# ------------------------------------------------------------------------------------------------------- pure hashing

texts = st.binary(max_size=12)


@given(one=st.tuples(texts, texts, texts, texts, texts), other=st.tuples(texts, texts, texts, texts, texts))
def test_different_entries_have_different_links(one: tuple[bytes, ...], other: tuple[bytes, ...]) -> None:
    def hashed(parts: tuple[bytes, ...]) -> bytes:
        return link_hash(b"", 1, 1, 0.0, 0.0, 0.0, *parts)

    assert (hashed(one) == hashed(other)) == (one == other)


def build(drafts: list[tuple[str, float, str]]) -> list[Link]:
    chain, links = genesis(SITE), []
    for seq, (kind, at, data) in enumerate(drafts, 1):
        chain = link_hash(chain, 9, seq, at, at, at, kind.encode(), b"", b"", data.encode(), b"")
        links.append(Link(Position(9, seq), kind, at, at, at, "", "", data, b"", chain))
    return links


@given(
    drafts=st.lists(
        st.tuples(st.sampled_from(["A", "B"]), st.floats(0, 9), st.text(max_size=3)),
        min_size=2,
        max_size=8,
        unique=True,
    ),
    data=st.data(),
)
def test_any_reordering_or_removal_of_links_is_found(
    drafts: list[tuple[str, float, str]], data: st.DataObject
) -> None:
    links = build(drafts)
    head = Seal.make(KEYS, "head", SITE, links[-1].position, links[-1].chain)
    assert verify(links, KEYS, SITE, None, head).ok
    others = data.draw(
        st.lists(st.sampled_from(links), max_size=len(links)).filter(lambda some: some != links)
    )
    assert not verify(others, KEYS, SITE, None, head).ok


@given(salt=st.binary(min_size=16, max_size=16), one=st.binary(max_size=40), other=st.binary(max_size=40))
def test_a_commitment_binds_to_one_text(salt: bytes, one: bytes, other: bytes) -> None:
    assert (commit(salt, one) == commit(salt, other)) == (one == other)


def test_an_entry_is_a_fact() -> None:
    with pytest.raises(AttributeError):
        Entry("Note", 1.0).kind = "Other"  # type: ignore[misc]
