"""The worked examples of docs/tenancy.zh.md are run as they stand there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import time_machine
from typer.testing import CliRunner

from menwei.checking import check_all
from menwei.cli import app
from menwei.keys import WrapCost

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "tenancy.zh.md").read_text("utf-8")
CONFIGS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
ASSIGNED = re.compile(r"(\w+)=\$\((.*) \| jq \.id\)")


@pytest.mark.parametrize("place", [0, 1], ids=["estate", "village"])
@time_machine.travel("2026-03-02 10:00 +0800", tick=True)
def test_the_example_runs_as_it_is_written(place, tmp_path, monkeypatch):
    monkeypatch.setattr("menwei.accounts.WrapCost", lambda: WrapCost(1, 8, 1))
    config = tmp_path / "config.yaml"
    config.write_text(CONFIGS[place] + "data: var\n", "utf-8")
    assert [problem.text("en") for problem in check_all(config)] == []
    names: dict[str, str] = {}
    lines = COMMANDS[place].strip().splitlines()
    assert len(lines) > 8
    for line in lines:
        assigned = ASSIGNED.fullmatch(line)
        words = shlex.split(
            re.sub(r"\$(\w+)", lambda found: names[found[1]], assigned[2] if assigned else line)
        )
        result = CliRunner().invoke(app, ["--lang", "zh-CN", *words[1:], "--config", str(config)])
        assert (words[0], result.exit_code) == ("menwei", 0), f"{line}\n{result.output}"
        if assigned:
            names[assigned[1]] = str(json.loads(result.output.splitlines()[-1])["id"])


def test_every_policy_of_the_rules_stands_on_the_page():
    from menwei_rules import register_policies

    for cls in register_policies():
        assert f"`rules.{cls.name}`" in PAGE
        options = set(cls.Config.model_fields)
        row = next(
            line for line in PAGE.splitlines() if f"`rules.{cls.name}`" in line and line.startswith("|")
        )
        assert options == set(re.findall(r"`(\w+)`", row.rsplit("|", 2)[1]))
