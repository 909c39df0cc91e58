"""What drivers remember across restarts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menwei.context import Memory
from menwei.memory import LONGEST_VALUE, MOST_KEYS, FileMemory, Memories, _facts


async def test_what_was_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    memory: Memory = Memories(tmp_path).of("gate")
    await memory.keep("index", "41")
    await memory.keep("index", "42")
    assert Memories(tmp_path).of("gate").get("index") == "42"


def test_nothing_is_known_on_the_first_day(tmp_path: Path) -> None:
    assert FileMemory(tmp_path / "gate.json").get("index") is None


async def test_devices_do_not_share(tmp_path: Path) -> None:
    memories = Memories(tmp_path)
    await memories.of("gate").keep("index", "1")
    assert memories.of("other").get("index") is None
    assert memories.of("gate") is memories.of("gate")


async def test_a_device_id_cannot_leave_the_folder(tmp_path: Path) -> None:
    await Memories(tmp_path / "memory").of("../../gate").keep("index", "1")
    assert [path.parent for path in tmp_path.rglob("*.json")] == [tmp_path / "memory"]


async def test_the_newest_of_overlapping_writes_wins(tmp_path: Path) -> None:
    memory = FileMemory(tmp_path / "gate.json")
    await asyncio.gather(*(memory.keep("index", str(n)) for n in range(50)))
    assert FileMemory(tmp_path / "gate.json").get("index") == "49"


async def test_who_is_cancelled_while_keeping_something_ends_with_it_on_the_disk(tmp_path: Path) -> None:
    memory = FileMemory(tmp_path / "gate.json")
    for n in range(20):
        keeping = asyncio.create_task(memory.keep("index", str(n)))
        await asyncio.sleep(0)
        keeping.cancel()
        await asyncio.wait({keeping})
        assert keeping.cancelled()
        assert FileMemory(tmp_path / "gate.json").get("index") == str(n)


async def test_a_cancelled_write_never_undoes_a_later_one(tmp_path: Path) -> None:
    memory = FileMemory(tmp_path / "gate.json")
    for n in range(20):
        early = asyncio.create_task(memory.keep("index", f"early {n}"))
        await asyncio.sleep(0)
        early.cancel()
        await memory.keep("index", f"late {n}")
        assert FileMemory(tmp_path / "gate.json").get("index") == f"late {n}"


@pytest.mark.parametrize("spoilt", [b"", b"{", b"[]", b'{"index": 3}', b"\x00" * 100])
async def test_a_spoilt_file_is_set_aside_and_memory_begins_anew(tmp_path: Path, spoilt: bytes) -> None:
    (tmp_path / "gate.json").write_bytes(spoilt)
    memory = FileMemory(tmp_path / "gate.json")
    assert memory.get("index") is None
    assert (tmp_path / "gate.json.broken").read_bytes() == spoilt
    await memory.keep("index", "1")
    assert FileMemory(tmp_path / "gate.json").get("index") == "1"


async def test_a_half_written_file_is_not_seen(tmp_path: Path) -> None:
    await FileMemory(tmp_path / "gate.json").keep("index", "1")
    (tmp_path / ".gate.json.new").write_bytes(b'{"ind')
    assert FileMemory(tmp_path / "gate.json").get("index") == "1"


async def test_it_is_no_store(tmp_path: Path) -> None:
    memory = FileMemory(tmp_path / "gate.json")
    with pytest.raises(ValueError, match="1024"):
        await memory.keep("index", "x" * (LONGEST_VALUE + 1))
    for n in range(MOST_KEYS):
        await memory.keep(str(n), "")
    with pytest.raises(ValueError, match="64 facts"):
        await memory.keep("one more", "")


async def test_a_disk_that_fails_is_told_to_the_driver(tmp_path: Path) -> None:
    memory = Memories(tmp_path / "memory").of("gate")
    (tmp_path / "memory").write_bytes(b"a file where the folder should be")
    with pytest.raises(OSError, match="exists"):
        await memory.keep("index", "1")


async def test_the_file_is_for_this_user_alone(tmp_path: Path) -> None:
    await FileMemory(tmp_path / "gate.json").keep("index", "1")
    assert (tmp_path / "gate.json").stat().st_mode & 0o777 == 0o600


@given(st.binary(max_size=200))
def test_any_file_is_facts_or_none(data: bytes) -> None:
    facts = _facts(data)
    assert facts is None or all(isinstance(value, str) for value in facts.values())
