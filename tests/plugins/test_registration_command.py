"""`menwei import` and `menwei visitors`, the real program on an empty folder."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from pathlib import Path

import pytest
from openpyxl import Workbook

from registration_house import as_csv, person, village

pytestmark = pytest.mark.e2e

CONFIG = """\
site: {id: yard, name: 示范小区, language: en}
plugins:
  tenancy: {allow: [rights], profiles: [residents]}
  registration: {allow: [rights]}
  visitors: {allow: [rights], profiles: [residents], ways: {B1-1: [residents]}}
  simulator:
devices:
  sim: {driver: simulator, host: 127.0.0.1, port: 9}
doors:
  gate: {lock: sim/1, access_points: {gate-in: {readers: [sim/in], security_level: Card or PIN}}}
profiles:
  residents: [{access_points: [gate-in]}]
"""


class Program:
    """`menwei` with this folder's config; every call is a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "config.yaml").write_text(CONFIG, "utf-8")

    async def __call__(self, *words: str, code: int = 0) -> str:
        environment = os.environ | {"MENWEI_LANG": "en", "COLUMNS": "200"}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "menwei", *words, cwd=self.folder, env=environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(120):
            out, err = await process.communicate()
        assert process.returncode == code, f"{words}: {process.returncode}\n{out.decode()}\n{err.decode()}"
        return out.decode()

    def write(self, name: str, data: bytes) -> str:
        (self.folder / name).write_bytes(data)
        return name


@pytest.fixture
def program(tmp_path):
    return Program(tmp_path)


def workbook(rows: list[dict[str, str]]) -> bytes:
    made, out = Workbook(), io.BytesIO()
    made.active.append(list(rows[0]))
    for row in rows:
        made.active.append(list(row.values()))
    made.save(out)
    return out.getvalue()


async def test_a_village_is_checked_entered_and_entered_again(program):
    file = program.write("village.xlsx", workbook(village(300)))
    dry = json.loads(await program("import", file, "--dry-run", "--json"))
    assert (dry["people"], dry["faults"], "entered" in dry) == (300, [], False)
    first = json.loads(await program("import", file, "--json"))
    assert first["entered"]["people"] == 300
    again = await program("import", file)
    assert "300 were here already" in again


async def test_a_wrong_list_is_shown_by_row_and_column_and_enters_nothing(program):
    rows = [*village(6), person(9, 身份证号="123", 到期日="soon")]
    file = program.write("wrong.csv", as_csv(rows, "gb18030"))
    text = await program("import", file, code=1)
    assert "身份证号" in text
    assert "到期日" in text
    assert "Nothing was entered" in text
    assert (
        json.loads(await program("import", program.write("good.csv", as_csv(village(6))), "--json"))[
            "entered"
        ]["people"]
        == 6
    )


async def test_what_is_no_file_or_no_list_is_a_sentence(program):
    await program("import", "nowhere.xlsx", code=1)
    await program("import", program.write("x.xlsx", b"PK\x03\x04broken"), code=1)


async def test_a_guest_is_invited_shown_checked_and_ended_from_the_terminal(program):
    made = json.loads(await program("visitors", "invite", "B1-1-302", "--purpose", "repair", "--json"))
    assert len(made["code"]) == 8
    shown = await program("visitors", "show", str(made["id"]))
    assert made["code"] in shown
    assert "▀" in shown or "█" in shown, "the QR code"
    assert str(made["id"]) in await program("visitors", "list")
    assert json.loads(await program("visitors", "check", made["qr"], "--json"))["id"] == made["id"]
    await program("visitors", "end", str(made["id"]))
    await program("visitors", "check", made["qr"], code=1)
    await program("visitors", "courier", code=1)
