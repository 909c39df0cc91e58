"""The processes that play wired devices: no answer is taken for another's, and none of them stays behind."""

from __future__ import annotations

import asyncio
import sys

import pytest

from menwei_simulator import wires
from menwei_simulator.wires import BoardProcess, Readers, Talk, WireError

pytestmark = pytest.mark.e2e

LATE = """
import sys
first, second = sys.stdin.readline(), sys.stdin.readline()
print('"to the first"', flush=True)
print('"to the second"', flush=True)
sys.stdin.read()
"""
SILENT = "import sys; sys.stdin.read()"


async def program(text: str) -> Talk:
    return Talk(
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", text, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
    )


async def test_a_late_answer_is_not_taken_for_that_to_the_next_question(monkeypatch):
    talk = await program(LATE)
    monkeypatch.setattr(wires, "ANSWER_SECONDS", 0.01)
    with pytest.raises(TimeoutError, match="no answer"):
        await talk.ask({"do": "this"})
    monkeypatch.undo()
    with pytest.raises(WireError, match="ended"):
        await talk.ask({"do": "that"})
    assert talk.process.returncode is not None


async def test_readers_that_never_become_ready_are_not_left_behind(monkeypatch):
    talk = await program(SILENT)

    async def started(_program: str, *_arguments: str) -> Talk:
        return talk

    monkeypatch.setattr(wires, "started", started)
    monkeypatch.setattr(wires, "ANSWER_SECONDS", 0.01)
    with pytest.raises(TimeoutError, match="no answer"):
        async with Readers("nowhere", []):
            pytest.fail("they never said that they are there")
    assert talk.process.returncode is not None


async def test_a_board_that_died_by_itself_can_be_switched_off_and_on(tmp_path):
    board = BoardProcess(tmp_path)
    await board.start()
    port, talk = board.port, board._talk
    assert talk is not None
    talk.process.kill()
    await talk.process.wait()
    await board.stop()
    await board.start()
    assert board.port == port
    await board.stop()
