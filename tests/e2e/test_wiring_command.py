"""`menwei wiring test` and `report` as an installer types them, beside the running program and a simulated door."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE

import pytest

from menwei_wiring.service import Wiring
from wiring_door import BOUND, CARD, unit_door

pytestmark = pytest.mark.e2e
ENGLISH = {**os.environ, "LANG": "en_US.UTF-8", "LC_ALL": "en_US.UTF-8", "LANGUAGE": "en", "NO_COLOR": "1"}


async def menwei(*words: str, folder: object) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "menwei", "wiring", *words, stdout=PIPE, stderr=asyncio.subprocess.STDOUT,
        cwd=str(folder), env=ENGLISH,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), BOUND)
    assert process.returncode is not None
    return process.returncode, output.decode()


async def test_a_door_is_tested_in_the_terminal_and_its_report_written_as_one_file(tmp_path):
    async with unit_door(tmp_path) as (site, stage):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "menwei", "wiring", "test", "unit", "--by", "王师傅", stdin=PIPE, stdout=PIPE, cwd=str(tmp_path), env=ENGLISH
        )  # fmt: skip
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

        code, shown = await menwei("report", "unit", folder=tmp_path)
        assert code == 0
        assert "Cannot be tested here because: 门锁未装" in shown
        code, _ = await menwei("report", "unit", "--html", "report.html", folder=tmp_path)
        assert code == 0
        written = (tmp_path / "report.html").read_text("utf-8")
        assert re.search(r"<html lang=\"en\">", written)
        assert "Menwei Sim" in written

        code, shown = await menwei("report", "unit", "--number", "77", folder=tmp_path)
        assert (code != 0, "no such report" in shown) == (True, True)
