"""`menwei import` and `menwei visitors`, the real program on an empty folder."""

from __future__ import annotations

import io

import pytest
from openpyxl import Workbook

from program import Program
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


@pytest.fixture
def program(tmp_path):
    return Program(tmp_path, CONFIG)


def workbook(rows: list[dict[str, str]]) -> bytes:
    made, out = Workbook(), io.BytesIO()
    made.active.append(list(rows[0]))
    for row in rows:
        made.active.append(list(row.values()))
    made.save(out)
    return out.getvalue()


async def test_a_village_is_checked_entered_and_entered_again(program):
    file = program.write("village.xlsx", workbook(village(300)))
    dry = await program.json("import", file, "--dry-run")
    assert (dry["people"], dry["faults"], "entered" in dry) == (300, [], False)
    first = await program.json("import", file)
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
    good = await program.json("import", program.write("good.csv", as_csv(village(6))))
    assert good["entered"]["people"] == 6


async def test_what_is_no_file_or_no_list_is_a_sentence(program):
    await program("import", "nowhere.xlsx", code=1)
    await program("import", program.write("x.xlsx", b"PK\x03\x04broken"), code=1)


async def test_a_guest_is_invited_shown_checked_and_ended_from_the_terminal(program):
    made = await program.json("visitors", "invite", "B1-1-302", "--purpose", "repair")
    assert len(made["code"]) == 8
    shown = await program("visitors", "show", str(made["id"]))
    assert made["code"] in shown
    assert "▀" in shown or "█" in shown, "the QR code"
    assert str(made["id"]) in await program("visitors", "list")
    assert (await program.json("visitors", "check", made["qr"]))["id"] == made["id"]
    await program("visitors", "end", str(made["id"]))
    await program("visitors", "check", made["qr"], code=1)
    await program("visitors", "courier", code=1)
