"""What the command line prints is told whole, however narrow the terminal."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from menwei.cli import fail, table


def test_a_cell_that_is_longer_than_the_line_is_folded_and_not_cut() -> None:
    place = f"/srv/{'a' * 60}/menwei-plugin.yaml:2:1"
    out = Console(file=StringIO(), width=40)
    out.print(table(["cli.column.id", "cli.column.title"], iter([("quiet", place)])))
    assert isinstance(out.file, StringIO)
    lines = out.file.getvalue().splitlines()[1:]
    assert "".join(line.removeprefix("quiet").strip() for line in lines) == place


def test_a_place_in_a_file_is_not_cut_in_two(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    sentence = (
        "/a/long/folder/of/some/village/config.yaml:12:7: devices.gate.port: a whole number [1] is expected"
    )
    fail(sentence)
    assert capsys.readouterr().err == f"{sentence}\n"
