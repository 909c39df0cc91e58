"""What an installer types at the terminal, as it comes through a pipe, a file and a terminal."""

from __future__ import annotations

import asyncio
import os
import pty
import tty
from contextlib import suppress

import pytest

from menwei_wiring.typed import Typed


@pytest.fixture
def pipe():
    reads, writes = os.pipe()
    yield reads, writes
    for file in (reads, writes):
        with suppress(OSError):  # the test has closed it
            os.close(file)


async def test_lines_that_come_together_are_given_one_by_one(pipe):
    typed = Typed(pipe[0])
    os.write(pipe[1], "门锁未装\n  q \n\n".encode())
    assert [await typed.line() for _ in range(3)] == ["门锁未装", "q", ""]


async def test_a_line_that_comes_in_pieces_is_one(pipe):
    asked = asyncio.ensure_future(Typed(pipe[0]).line())
    for piece in (b"\xe9\x97", b"\xa8", b"!\n"):
        await asyncio.sleep(0)
        os.write(pipe[1], piece)
    assert await asyncio.wait_for(asked, 60) == "门!"


async def test_after_the_last_line_which_needs_no_end_there_is_none(pipe):
    typed = Typed(pipe[0])
    os.write(pipe[1], b"yes\nno")
    os.close(pipe[1])
    assert [await typed.line(), await typed.line()] == ["yes", "no"]
    with pytest.raises(EOFError):
        await typed.line()


async def test_lines_of_an_ordinary_file_are_read_too(tmp_path):
    (tmp_path / "typed").write_bytes(b"yes\nno\n")
    with (tmp_path / "typed").open("rb", buffering=0) as file:
        typed = Typed(file.fileno())
        assert [await typed.line(), await typed.line()] == ["yes", "no"]
        with pytest.raises(EOFError):
            await typed.line()


async def test_whoever_gives_up_waits_for_nobody_to_press_enter_and_loses_no_line():
    ours, theirs = pty.openpty()
    try:
        tty.setraw(ours)
        typed = Typed(theirs)
        asked = asyncio.ensure_future(typed.line())
        await asyncio.sleep(0)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asked, 60)
        os.write(ours, b"again\n")
        assert await asyncio.wait_for(typed.line(), 60) == "again"
    finally:
        os.close(ours)
        os.close(theirs)
