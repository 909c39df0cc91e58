"""Tables of the command line: what stands in them is told whole, however narrow the terminal."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from menwei.cli import table


def test_a_cell_that_is_longer_than_the_line_is_folded_and_not_cut() -> None:
    place = f"/srv/{'a' * 60}/menwei-plugin.yaml:2:1"
    out = Console(file=StringIO(), width=40)
    out.print(table(["cli.column.id", "cli.column.title"], iter([("quiet", place)])))
    assert isinstance(out.file, StringIO)
    lines = out.file.getvalue().splitlines()[1:]
    assert "".join(line.removeprefix("quiet").strip() for line in lines) == place
