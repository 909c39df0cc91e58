"""`menwei wiring test` and `report` as an installer types them, beside the running program and a simulated door."""

from __future__ import annotations

import asyncio
import re
import signal
from asyncio.subprocess import PIPE
from contextlib import AsyncExitStack

import pytest

from menwei_wiring.service import Wiring
from program import Program, kill
from wiring_door import BOUND, CARD, unit_door

pytestmark = pytest.mark.e2e


async def test_a_door_is_tested_in_the_terminal_and_its_report_written_as_one_file(tmp_path):
    async with unit_door(tmp_path) as (site, stage), AsyncExitStack() as stack:
        program = Program(tmp_path)
        process = await program.start("wiring", "test", "unit", "--by", "王师傅", stdin=PIPE, stderr=None)
        stack.push_async_callback(kill, process)
        assert process.stdin is not None
        # contact, exit button and lock cannot be tested; the reader inside is; then the installer ends it
        process.stdin.write("门锁未装\n门锁未装\n门锁未装\n\n".encode())
        wiring = site.house.service(Wiring)
        async with asyncio.timeout(BOUND):
            while (await wiring.now("unit")).live is None:
                await asyncio.sleep(0.1)
        await stage.present(CARD, reader="in")
        process.stdin.write(b"q\n")
        process.stdin.close()
        assert process.stdout is not None
        said = (await asyncio.wait_for(process.stdout.read(), BOUND)).decode()
        assert await process.wait() == 0, said
        assert "Touch a card" in said
        assert "Passed" in said
        (row,) = await wiring.of_door("unit")
        assert (row.result, row.tester) == ("incomplete", "王师傅")

        shown = await program("wiring", "report", "unit")
        assert "Cannot be tested here because: 门锁未装" in shown
        await program("wiring", "report", "unit", "--html", "report.html")
        written = (tmp_path / "report.html").read_text("utf-8")
        assert re.search(r"<html lang=\"en\">", written)
        assert "Menwei Sim" in written

        assert "no such report" in await program.said("wiring", "report", "unit", "--number", "77", code=1)


async def test_a_test_that_is_given_up_with_control_c_ends_at_once_and_can_be_gone_on_with(tmp_path):
    async with unit_door(tmp_path) as (site, _stage), AsyncExitStack() as stack:
        process = await Program(tmp_path).start("wiring", "test", "unit", stdin=PIPE, stderr=None)
        stack.push_async_callback(kill, process)
        assert process.stdout is not None
        async with asyncio.timeout(BOUND):
            said = b""
            while b"q ends >" not in said:  # what is asked before each step
                said += await process.stdout.read(4096) or pytest.fail(said.decode())
            process.send_signal(signal.SIGINT)
            assert await process.wait() == 130
        assert site.house.service(Wiring).under_way("unit") is not None
