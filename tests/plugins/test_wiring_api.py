"""Wiring tests over HTTP: who may, what is refused, what the pages show, what is kept. The doors are stand-ins."""

# ruff: noqa: F811  fixtures are imported by their names

from __future__ import annotations

import asyncio
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

import menwei_wiring
from menwei import Actor, DoorForm, DoorMode, DoorState, Wired
from menwei.messages import LANGUAGES, Catalogue
from menwei.web import application
from menwei_wiring.commands import group
from menwei_wiring.models import DeviceFacts, Result, RunOut
from menwei_wiring.report import document
from menwei_wiring.script import By, Heard, Outcome, Saw
from menwei_wiring.service import OVERDUE, Wiring
from menwei_wiring.steps import SCRIPTS, Kind
from menwei_wiring.tables import TABLES, metadata
from menwei_wiring.words import WiringError
from small_house import HOUSE, empty_house, sign_in  # noqa: F401
from tenancy_house import TenancyHouse

pytestmark = pytest.mark.slow

GATE = "/api/wiring/doors/gate"
PACKAGE = Path(menwei_wiring.__file__).parent


@pytest.fixture
async def house(tmp_path, empty_house):
    shutil.copytree(empty_house, tmp_path, dirs_exist_ok=True)
    async with await TenancyHouse.open(tmp_path) as opened:
        await opened.load(("console", "wiring"))
        gate = replace(opened.site.doors["gate"], form=DoorForm.GATE, exit_button=Wired.SEEN)
        opened.site = replace(opened.site, doors={**opened.site.doors, "gate": gate})
        yield opened


@pytest.fixture
async def client(house: TenancyHouse):
    app = application(house, [route for plugin in house.plugins.values() for route in plugin.routes])
    app[HOUSE] = house
    async with TestClient(TestServer(app, host="127.0.0.1"), cookie_jar=CookieJar(unsafe=True)) as opened:
        yield opened


async def ask(client: Any, method: str, path: str, body: Any = None, status: int = 200) -> Any:
    answer = await client.request(method, path, json=body if body is not None or method == "GET" else {})
    assert answer.status == status, await answer.text()
    return await answer.json()


async def page(client: Any, path: str, language: str = "zh-CN", status: int = 200) -> str:
    answer = await client.get(path, headers={"Accept": "text/html", "Accept-Language": language})
    text: str = await answer.text()
    assert answer.status == status, text
    return text


def outcomes(now: Any) -> dict[str, str]:
    return {step["key"]: step["outcome"] for step in now["run"]["report"]["steps"]}


@pytest.mark.parametrize("role", ["committee", "installer"])
async def test_those_who_install_begin_a_test(client, role):
    await sign_in(client, role)
    now = await ask(client, "POST", f"{GATE}/begin")
    assert now["run"]["report"]["device"] == {
        "id": "board",
        "driver": "stand-in",
        "model": "Stand-in 3",
        "version": "1.0",
    }
    assert now["run"]["tester"] == ("admin" if role == "committee" else "the installer")
    assert outcomes(now) == {
        "contact": "waiting", "exit_button": "waiting", "lock": "waiting", "reader.gate-in": "waiting",
        "reader.gate-out": "waiting", "call_button": "absent", "fire": "waiting", "power": "waiting", "battery": "waiting",
    }  # fmt: skip


@pytest.mark.parametrize("role", ["guard", "registrar", "auditor", "landlord", "tenant"])
async def test_nobody_else_may_even_look(house, client, role):
    await sign_in(client, role)
    for route in (route for route in house.plugins["wiring"].routes if route.path.startswith("/api/")):
        path = route.path.replace("{door}", "gate").replace("{step}", "lock").replace("{run}", "1")
        answer = await client.request(route.method, path, json=None if route.method == "GET" else {})
        assert answer.status == 403, (route.path, answer.status)
    await page(client, "/wiring", status=403)


async def test_only_one_test_is_under_way_at_a_door(client):
    await sign_in(client, "installer")
    await ask(client, "POST", f"{GATE}/begin")
    refused = await ask(client, "POST", f"{GATE}/begin", status=409)
    assert refused["error"] == "wiring.under_way"


async def test_a_door_whose_controller_is_away_is_not_tested(house, client):
    house.doors["gate"].online = False
    await sign_in(client, "installer")
    assert (await ask(client, "POST", f"{GATE}/begin", status=409))["error"] == "wiring.offline"


async def test_a_door_that_is_held_open_is_not_tested(house, client):
    house.doors["gate"].restore(DoorMode.UNLOCKED)
    await sign_in(client, "installer")
    assert (await ask(client, "POST", f"{GATE}/begin", status=409))["error"] == "wiring.not_locked"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/wiring/doors/barn/begin"),
        ("GET", "/api/wiring/doors/barn"),
        ("GET", "/api/wiring/doors/barn/reports"),
        ("GET", "/api/wiring/reports/77"),
        ("GET", "/api/wiring/reports/none"),
    ],
)
async def test_what_is_not_there_is_not_found(client, method, path):
    await sign_in(client, "installer")
    await ask(client, method, path, status=404)


async def test_nobody_tests_in_somebody_elses_name(client):
    await sign_in(client, "installer")
    now = await ask(client, "POST", f"{GATE}/begin", {"tester": "somebody else"})
    assert now["run"]["tester"] == "the installer"


async def test_a_plugin_that_may_not_act_on_doors_says_what_to_allow(house, client):
    wiring = house.services.find(Wiring)
    granted = {name: one for name, one in wiring.context.granted.items() if name != "doors"}
    wiring.context = replace(wiring.context, granted=granted)
    await sign_in(client, "installer")
    refused = await ask(client, "POST", f"{GATE}/begin", status=409)
    assert refused["error"] == "wiring.not_allowed"
    assert "allow: [doors]" in refused["message"]


async def test_what_changes_nothing_is_not_written_down(house, client):
    await sign_in(client, "installer")
    await ask(client, "POST", f"{GATE}/begin")
    before = await ask(client, "POST", f"{GATE}/steps/reader.gate-in")
    wiring = house.services.find(Wiring)
    under = wiring.under_way("gate")
    await wiring._feed(under, Saw(Heard.READ, house.clock.now(), "", "unit-in"))
    assert under.version == before["version"]
    await wiring._feed(under, Saw(Heard.READ, house.clock.now(), "", "gate-in"))
    assert under.version == before["version"] + 1


async def test_an_answer_to_no_question_is_refused(client):
    await sign_in(client, "installer")
    await ask(client, "POST", f"{GATE}/begin")
    assert (await ask(client, "POST", f"{GATE}/answer", {"choice": "opened"}, 409))[
        "error"
    ] == "wiring.not_asked"


async def test_a_part_that_the_door_does_not_have_is_not_tested(client):
    await sign_in(client, "installer")
    await ask(client, "POST", f"{GATE}/begin")
    refused = await ask(client, "POST", f"{GATE}/steps/call_button", status=409)
    assert refused["error"] == "wiring.absent"


async def test_what_nobody_can_see_is_answered_and_marked_so(client):
    await sign_in(client, "installer")
    await ask(client, "POST", f"{GATE}/begin")
    asked = await ask(client, "POST", f"{GATE}/steps/power")
    assert asked["live"]["choices"] == ["unlocked", "locked"]
    answered = await ask(client, "POST", f"{GATE}/answer", {"choice": "unlocked"})
    step = next(step for step in answered["run"]["report"]["steps"] if step["key"] == "power")
    assert (step["outcome"], [note["by"] for note in step["notes"]]) == ("passed", ["answered"])


async def test_the_doors_command_stands_in_the_journal_under_the_plugins_name(house, client):
    await sign_in(client, "installer")
    await ask(client, "POST", f"{GATE}/begin")
    await ask(client, "POST", f"{GATE}/steps/contact")
    wiring = house.services.find(Wiring)
    while wiring._tasks:
        await next(iter(wiring._tasks))
    (command,) = await house.journal.read(kinds={"DoorCommand"}, personal=True)
    assert (command.data["by"], command.personal["actor"]) == ("plugin", "wiring")
    assert "contact" in command.personal["reason"]


async def test_a_command_that_is_not_obeyed_fails_the_step(house, client):
    house.devices.silent = True
    await sign_in(client, "installer")
    await ask(client, "POST", f"{GATE}/begin")
    await ask(client, "POST", f"{GATE}/steps/contact")
    wiring = house.services.find(Wiring)
    while wiring._tasks:
        await next(iter(wiring._tasks))
    now = await ask(client, "GET", GATE)
    assert now["run"]["report"]["steps"][0]["says"] == "wiring.fail.no_obedience"


async def ended(client: Any, *skipped: str) -> Any:
    await ask(client, "POST", f"{GATE}/begin")
    for key in skipped:
        await ask(client, "POST", f"{GATE}/steps/{key}/skip", {"reason": "没有电源 <b>"})
    return await ask(client, "POST", f"{GATE}/finish")


async def test_a_report_is_kept_told_to_the_journal_and_audited(house, client):
    await sign_in(client, "installer")
    run = await ended(client, "fire")
    assert run["report"]["result"] == "incomplete"
    assert await ask(client, "GET", f"/api/wiring/reports/{run['id']}") == run
    (told,) = await house.journal.read(kinds={"menwei_wiring.Tested"})
    assert (told.door, told.data["digest"]) == ("gate", run["digest"])
    assert [audit["action"] for audit in await house.audits() if audit["action"].startswith("wiring")] == [
        "wiring.begin",
        "wiring.finish",
    ]


async def test_the_kept_report_names_nobody(house, client):
    await sign_in(client, "installer")
    await ended(client)
    async with house.rights.store.read() as connection:
        (row,) = (await connection.execute(metadata.tables["wiring_runs"].select())).all()
    assert row.tester == "the installer"
    assert "the installer" not in row.report


async def test_waiting_for_a_change_ends_with_the_next_one(house, client):
    await sign_in(client, "installer")
    now = await ask(client, "POST", f"{GATE}/begin")
    waiting = asyncio.ensure_future(ask(client, "GET", f"{GATE}?after={now['version']}"))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await ask(client, "POST", f"{GATE}/steps/fire/skip", {"reason": "later"})
    assert outcomes(await asyncio.wait_for(waiting, 60))["fire"] == "skipped"


async def test_a_test_that_two_people_end_at_once_is_ended_once(house, client):
    await sign_in(client, "installer")
    await ask(client, "POST", f"{GATE}/begin")
    wiring, by = house.services.find(Wiring), Actor("somebody", "installer")
    first, second = await asyncio.gather(
        wiring.finish(by, "gate"), wiring.finish(by, "gate"), return_exceptions=True
    )
    assert isinstance(second, WiringError)
    assert second.says == "wiring.none_under_way"
    assert (await wiring.report(first.id)).digest == first.digest
    await ask(client, "POST", f"{GATE}/begin")


async def test_a_step_that_comes_while_the_test_is_ended_moves_no_door_and_leaves_the_report(house, client):
    await sign_in(client, "installer")
    await ask(client, "POST", f"{GATE}/begin")
    wiring = house.services.find(Wiring)
    ended, step, skipped, answered = await asyncio.gather(
        wiring.finish(Actor("somebody", "installer"), "gate"), wiring.step("gate", "lock"),
        wiring.skip("gate", "fire", "no panel"), wiring.answer("gate", "opened"), return_exceptions=True,
    )  # fmt: skip
    assert {str(refused) for refused in (step, skipped, answered)} == {"wiring.none_under_way"}
    assert not wiring._tasks
    assert (await wiring.report(ended.id)).digest == ended.digest


async def test_a_test_is_one_test_for_all_who_ask_while_it_is_read_from_the_store(house, client):
    await sign_in(client, "installer")
    await ask(client, "POST", f"{GATE}/begin")
    wiring = restarted(house)

    async def loaded():
        await wiring.load()
        return wiring.under_way("gate")

    first, second = await asyncio.gather(loaded(), loaded())
    assert first is second is wiring.under_way("gate")


async def test_what_a_page_is_told_after_a_restart_or_of_the_next_test_is_newer(house, client):
    await sign_in(client, "installer")
    await ask(client, "POST", f"{GATE}/begin")
    told = (await ask(client, "POST", f"{GATE}/steps/fire/skip", {"reason": "no panel"}))["version"]
    house.time += 1
    again = restarted(house)
    resumed = (await again.now("gate")).version
    assert resumed > told
    await again.skip("gate", "battery", "none")
    by = Actor("somebody", "installer")
    await again.finish(by, "gate")
    assert (await again.begin(by, "gate", DeviceFacts(id="board"))).version > resumed + 2


async def test_a_command_whose_end_cannot_be_written_down_is_told(house, client, monkeypatch):
    await sign_in(client, "installer")
    await ask(client, "POST", f"{GATE}/begin")
    wiring, told = house.services.find(Wiring), []
    wiring.context = replace(
        wiring.context, log=SimpleNamespace(error=lambda text, **facts: told.append(facts))
    )
    await ask(client, "POST", f"{GATE}/steps/contact")

    async def full(_under):
        raise OSError("no space left on device")

    monkeypatch.setattr(wiring, "_write", full)
    (task,) = wiring._tasks
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert [str(facts["exc_info"]) for facts in told] == ["no space left on device"]


def restarted(house):
    """The service as the next start of the program makes it, on the same tables."""
    wiring = house.services.find(Wiring)
    return Wiring(wiring.context, wiring.config)


async def test_doors_of_a_form_that_were_never_tested_or_too_long_ago_are_repairs(house, client):
    wiring = house.services.find(Wiring)
    await wiring.load()
    assert [repair.message for repair in wiring.repairs()] == ["wiring.repair.untested"]
    await sign_in(client, "installer")
    await ended(client)
    assert wiring.repairs() == []
    house.time += OVERDUE + 60
    assert [repair.message for repair in wiring.repairs()] == ["wiring.repair.overdue"]


# ---------------------------------------------------------------------------------------------------------- pages


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_pages_show_a_test_and_its_report_in_both_languages(house, client, language):
    await sign_in(client, "installer")
    say = house.messages.t
    await ask(client, "POST", f"{GATE}/begin")
    assert say(language, "wiring.result.open") in await page(client, "/wiring", language)
    shown = await page(client, "/wiring/doors/gate", language)
    assert say(language, "wiring.before.contact") in shown
    await ask(client, "POST", f"{GATE}/steps/power")
    assert say(language, "wiring.choice.locked") in await page(client, "/wiring/doors/gate/now", language)
    await ask(client, "POST", f"{GATE}/answer", {"choice": "locked"})
    run = await ask(client, "POST", f"{GATE}/finish")
    report = await page(client, f"/wiring/reports/{run['id']}", language)
    assert say(language, "wiring.fail.power.locked") in report
    assert say(language, "wiring.by.answered") in report
    assert "the installer" in report
    assert run["digest"] in report


async def test_an_installers_reason_is_only_text(client):
    await sign_in(client, "installer")
    run = await ended(client, "fire")
    shown = await page(client, f"/wiring/reports/{run['id']}")
    assert "没有电源 &lt;b&gt;" in shown
    assert "<b>" not in shown


async def test_the_report_as_a_file_needs_nothing_else(house, client):
    await sign_in(client, "installer")
    run = RunOut.model_validate(await ended(client, "fire"))
    text = document(
        run, lambda key, **values: house.messages.t("en", key, **values), "en", "示范小区", ZoneInfo("UTC")
    )
    assert not re.search(r"<(link|script|img)|src=|href=", text)
    assert "Cannot be tested here because: 没有电源 &lt;b&gt;" in text


# ------------------------------------------------------------------------------------------------- words and tables

WRITTEN = {
    key
    for file in (*PACKAGE.glob("*.py"), *PACKAGE.glob("templates/*.html"))
    for key in re.findall(r"""["'](wiring(?:\.[a-z_]+)+)["']""", file.read_text("utf-8"))
    if key not in {"wiring.css", "wiring.js", "wiring.html"}
}
WORDS = Catalogue.of_package("menwei_wiring")


def test_every_message_the_code_asks_for_is_there_in_both_languages():
    put_together = {
        *(f"wiring.step.{kind}" for kind in Kind),
        *(f"wiring.before.{kind}" for kind in Kind),
        *(f"wiring.outcome.{outcome}" for outcome in Outcome),
        *(f"wiring.result.{result}" for result in (*Result, "never")),
        *(f"wiring.report.result.{result}" for result in Result),
        *(f"wiring.form.{form}" for form in (*DoorForm, "none")),
        *(f"wiring.by.{by}" for by in (*By, "seen_answered")),
        *(f"wiring.saw.shut_{state.lower()}" for state in (DoorState.OPEN, DoorState.CLOSED)),
    }
    for language in LANGUAGES:
        assert (WRITTEN | put_together) - {
            key for key, text in WORDS.texts[language].items() if text
        } == set()


def test_both_languages_have_the_same_messages():
    assert len({frozenset(texts) for texts in WORDS.texts.values()}) == 1


def test_every_choice_has_its_word_on_the_button_and_in_the_report():
    source = (PACKAGE / "steps.py").read_text("utf-8")
    choices = {
        word
        for found in re.findall(r'\(("[a-z_]+"(?:, "[a-z_]+")+)\)', source)
        for word in re.findall(r"\w+", found)
    }
    choices |= {"opened", "stayed_shut"}
    assert choices >= {"held", "unlocked", "works", "rang_opened"}
    for language in LANGUAGES:
        assert {f"wiring.{part}.{choice}" for part in ("choice", "said") for choice in choices} <= set(
            WORDS.texts[language]
        )


def test_every_kind_of_step_has_its_script():
    assert set(SCRIPTS) == set(Kind)


def test_the_commands_are_test_and_report():
    assert sorted(
        str(command.callback.__name__) for command in group.registered_commands if command.callback
    ) == [
        "report",
        "test",
    ]


async def test_the_migration_makes_exactly_the_table_that_is_declared(house):
    def differences(connection):
        context = MigrationContext.configure(
            connection, opts={"include_object": lambda o, name, kind, *_: kind != "table" or name in TABLES}
        )
        return compare_metadata(context, metadata)

    async with house.rights.store.read() as connection:
        assert await connection.run_sync(differences) == []
