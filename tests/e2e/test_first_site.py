"""The first site as README.md and docs/installer.md tell of it: their own commands, in their order, on the example config."""

from __future__ import annotations

import asyncio
import re
import shlex
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from program import Program, kill, read_line

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]


def commands(page: str, program: str) -> list[list[str]]:
    """The words of every line of the page's consoles that runs this program, without its comment and `&`."""
    lines = re.findall(r"^\$ (.*)$|`(python -m [^`]*)`", (ROOT / page).read_text("utf-8"), re.MULTILINE)
    found = [shlex.split(shell or inline, comments=True) for shell, inline in lines]
    words = [[word for word in line if word != "&"] for line in found]
    return [line[1:] for line in words if line and Path(line[0]).name == program]


def one(page: str, program: str, *first: str) -> list[str]:
    (words,) = [words for words in commands(page, program) if tuple(words[: len(first)]) == first]
    return words


@pytest.mark.parametrize("page", ["README.md", "docs/installer.md"])
async def test_the_commands_of_the_page_make_a_site_with_a_door(
    page: str, tmp_path: Path, unused_tcp_port: int
) -> None:
    example = (ROOT / "config.example.yaml").read_text("utf-8")
    program = Program(tmp_path, example.replace("port: 8460", f"port: {unused_tcp_port}"))
    id = f"sim-side-{unused_tcp_port}"  # others on this machine may be trying the same page

    def written(words: list[str]) -> list[str]:
        return [id if word == "sim-side" else word for word in words]

    assert "fine" in await program("check")
    device = await asyncio.create_subprocess_exec(
        sys.executable,
        *written(one(page, "python", "-m", "menwei_simulator.device")),
        cwd=tmp_path,
        env=program.environment,
        stdout=PIPE,
    )
    try:
        assert await read_line(device)
        async with program.running():
            assert id in {found["id"] for found in await program.json("discover")}
            adopted = await program.json(*written(one(page, "menwei", "adopt")))
            assert (adopted["id"], adopted["doors"]) == (id, ["side"])
        assert "fine" in await program("check")
    finally:
        await kill(device)
