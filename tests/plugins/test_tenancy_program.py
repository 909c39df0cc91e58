"""The two plugins in the program itself: a config that names them, the commands, and what `menwei check` says."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from menwei.checking import check_all
from menwei.cli import app
from menwei.house import Menwei
from menwei.keys import WrapCost
from menwei.loader import PluginState
from menwei.manifest import installed
from menwei_rules.book import RuleBook
from menwei_tenancy.service import Tenancy

pytestmark = pytest.mark.slow

CONFIG = """\
site: {id: yard, name: 示范小区}
data: var
plugins:
  simulator:
  tenancy: {allow: [rights], profiles: [residents], grace_days: 7}
  rules:
policies:
  once: {policy: rules.passback, areas: [yard], mode: timed, period: 5m}
  lobby: {policy: rules.interlock, doors: [gate, unit]}
  pair: {policy: rules.two-persons}
  duty: {policy: rules.first-card, profiles: [residents]}
  far: {policy: rules.clone, distances: {gate: {unit: 300}}}
devices:
  board: {driver: simulator, host: 127.0.0.1, port: 40001}
doors:
  gate: {lock: board/1, access_points: {gate-in: {readers: [board/in], to: yard, policies: [once, lobby, pair, duty, far]}}}
  unit: {lock: board/2, access_points: {unit-in: {readers: [board/unit]}}}
profiles:
  residents: [{access_points: [gate-in, unit-in]}]
"""


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch):
    monkeypatch.setattr("menwei.accounts.WrapCost", lambda: WrapCost(1, 8, 1))


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(CONFIG, "utf-8")
    return path


def test_both_are_found_with_what_they_ask_for():
    tenancy, rules = installed()["tenancy"].manifest, installed()["rules"].manifest
    assert tenancy.permissions.rights and not tenancy.permissions.doors
    assert not rules.permissions.rights and rules.permissions.tables == ()


def test_a_config_that_names_them_is_in_order(config):
    assert [problem.text("en") for problem in check_all(config)] == []


@pytest.mark.parametrize(
    ("right", "wrong", "path"),
    [
        ("grace_days: 7", "grace_days: -1", "plugins.tenancy.grace_days"),
        ("mode: timed", "mode: sometimes", "policies.once.mode"),
        ("{gate: {unit: 300}}", "{gate: {gate: 300}}", "policies.far"),
    ],
)
def test_a_mistake_in_their_options_is_told_at_its_place(config, right, wrong, path):
    config.write_text(CONFIG.replace(right, wrong), "utf-8")
    assert [problem.path for problem in check_all(config)] == [path]


async def test_the_program_runs_with_both_and_every_policy_is_made(config):
    house = await Menwei.open(config)
    try:
        assert {plugin.state for plugin in house.plugins.values()} == {PluginState.OK}
        assert house.service(Tenancy).rules.grace == 7
        assert house.line.panel.troubles() == {}
        assert [
            repair.key for repair in house.repairs() if "tenancy" in repair.key or "rules" in repair.key
        ] == []
        book = house.service(RuleBook)
        await house.start()
        await book.loaded.wait()
    finally:
        await house.stop()


async def test_without_the_permission_the_plugin_says_so_and_gives_nothing(config):
    config.write_text(CONFIG.replace("allow: [rights], ", ""), "utf-8")
    house = await Menwei.open(config)
    try:
        tenancy = house.service(Tenancy)
        with pytest.raises(PermissionError, match="rights"):
            _ = tenancy.context.rights
        assert "service-repairs:tenancy.tenancy" in [repair.key for repair in house.repairs()]
    finally:
        await house.stop()


def menwei(config, *words):
    result = CliRunner().invoke(app, ["--lang", "en", "tenancy", *words, "--config", str(config), "--json"])
    assert result.exit_code == 0, result.output
    return json.loads(result.output.splitlines()[-1])


def test_a_household_from_the_terminal(config):
    menwei(config, "building", "B1", "1号楼")
    menwei(config, "unit", "B1-1", "B1", "1单元")
    flat = menwei(config, "flat", "B1-1-302", "B1-1", "302室")["id"]
    assert [one["id"] for one in menwei(config, "flats")] == [flat]
    household = str(menwei(config, "move-in", "contract-17", "B1-1-302", "--to", "2099-06-30")["id"])
    member = str(menwei(config, "add", household, "lessee", "林")["id"])
    credential = str(menwei(config, "card", member, "uid:A1A1A1A1", "--kind", "citizen-card")["id"])
    menwei(config, "lost", credential)
    menwei(config, "restore", credential)
    menwei(config, "extend", household, "--to", "2099-12-31")
    shown = menwei(config, "show", household)
    assert (shown["last_day"], shown["members"][0]["passes"][0]["state"]) == ("2099-12-31", "Enabled")
    assert menwei(config, "check-out", household)["undo_until"] > 0
    menwei(config, "undo", household)
    assert menwei(config, "expiring")["members"] == []


def test_a_person_at_the_terminal_reads_sentences(config):
    def says(*words):
        return CliRunner().invoke(app, ["--lang", "zh-CN", "tenancy", *words, "--config", str(config)])

    made = says("building", "B1", "1号楼")
    assert (made.exit_code, "已登记" in made.output) == (0, True)
    refused = says("check-out", "12345")
    assert (refused.exit_code, "没有这户" in refused.output) == (1, True)
