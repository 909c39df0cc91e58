"""Wiring tests of a simulated unit door: the program, the simulator in a process of its own, an installer at the door.

A well wired door passes; each thing an installer gets wrong fails its own step, with the sentence that says what to mend.
"""

from __future__ import annotations

import pytest

from menwei.serving import serving
from menwei_simulator.board import Miswired
from menwei_simulator.controller import ControllerSpec
from menwei_wiring import steps
from menwei_wiring.models import Result, RunOut
from menwei_wiring.script import By, Outcome
from menwei_wiring.service import Wiring
from menwei_wiring.words import WiringError
from peers.street import Street
from waiting import until
from wiring_door import BOARD, INSTALLER, Hands, play, unit_door, whole, write

pytestmark = pytest.mark.e2e


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """This installer does at once what he is asked; what a dead button takes is waited for less long."""
    monkeypatch.setattr(steps, "HAND", 15.0)


SEEN = {"contact", "exit_button", "reader.unit-in", "reader.unit-out", "fire"}


def outcomes_of(run: RunOut) -> dict[str, Outcome]:
    return {step.key: step.outcome for step in run.report.steps}


async def test_a_well_wired_unit_door_passes_and_its_report_says_whose_word_each_step_is(tmp_path):
    async with unit_door(tmp_path) as (site, stage):
        wiring = site.house.service(Wiring)
        run = await whole(site.house, Hands(stage))
        assert not [step for step in run.report.steps if step.outcome is not Outcome.PASSED]
        assert run.report.result is Result.PASSED
        by = {step.key: step.by for step in run.report.steps}
        assert {key for key, whose in by.items() if whose == (By.SEEN,)} == SEEN
        assert by["lock"] == by["call_button"] == (By.SEEN, By.ANSWERED)
        assert by["power"] == by["battery"] == (By.ANSWERED,)
        assert (await wiring.report(run.id)) == run
        (told,) = await site.house.journal.read(kinds={"menwei_wiring.Tested"})
        assert told.data == {"run": run.id, "result": "passed", "digest": run.digest}
        commands = await site.house.journal.read(kinds={"DoorCommand"}, personal=True)
        assert {(c.data["by"], c.personal["actor"]) for c in commands if c.data["by"] == "plugin"} == {
            ("plugin", "wiring")
        }
        assert not site.house.doors["unit"].mode.startswith("LockedOpen"), (
            "after the fire test the door locks again"
        )
        assert [row.id for row in await wiring.of_door("unit")] == [run.id]
        assert [repair.key for repair in wiring.repairs()] == []


@pytest.mark.parametrize(
    ("wrong", "key", "says", "hint"),
    [
        (Miswired.CONTACT, "contact", "wiring.fail.contact.inverted", "NO"),
        (Miswired.EXIT_BUTTON, "exit_button", "wiring.fail.exit.dead", "exit button"),
        (Miswired.CALL_BUTTON, "call_button", "wiring.fail.call.dead", "call button"),
        (Miswired.LOCK, "lock", "wiring.fail.lock.no_relock", "does not hold"),
    ],
)
async def test_a_miswired_part_fails_its_step_with_what_to_mend(tmp_path, wrong, key, says, hint):
    async with unit_door(tmp_path) as (site, stage):
        await stage.wire(wrong)
        wiring = site.house.service(Wiring)
        await wiring.begin(INSTALLER, "unit", BOARD)
        step = await play(wiring, Hands(stage), key)
        assert (step.outcome, step.says) == (Outcome.FAILED, says)
        assert hint in site.house.messages.t("en", step.says, **step.values)
        assert (await wiring.finish(INSTALLER, "unit")).report.result is Result.FAILED
        assert [repair.message for repair in wiring.repairs()] == ["wiring.repair.failed"]


async def test_swapped_readers_fail_with_the_side_at_which_the_read_arrived(tmp_path):
    readers = {"unit-in": "sim-unit/out", "unit-out": "sim-unit/in"}
    async with unit_door(tmp_path, readers=readers) as (site, stage):
        wiring = site.house.service(Wiring)
        await wiring.begin(INSTALLER, "unit", BOARD)
        step = await play(wiring, Hands(stage), "reader.unit-in")
        assert (step.says, step.values) == (
            "wiring.fail.reader.swapped",
            {"point": "进门侧", "other": "出门侧"},
        )


async def test_a_flat_that_no_longer_rings_fails_the_intercom(tmp_path):
    async with unit_door(tmp_path) as (site, stage):
        wiring = site.house.service(Wiring)
        await wiring.begin(INSTALLER, "unit", BOARD)
        step = await play(wiring, Hands(stage, {"wiring.ask.call": "no_open"}), "call_button")
        assert (step.outcome, step.says) == (Outcome.FAILED, "wiring.fail.call.no_open")
        assert [note.by for note in step.notes] == [By.SEEN, By.ANSWERED]


async def test_what_was_mended_is_tested_again_and_the_earlier_try_stays_in_the_report(tmp_path):
    async with unit_door(tmp_path) as (site, stage):
        wiring = site.house.service(Wiring)
        await wiring.begin(INSTALLER, "unit", BOARD)
        await stage.wire(Miswired.CONTACT)
        await play(wiring, Hands(stage), "contact")
        await stage.close()
        await stage.wire()
        step = await play(wiring, Hands(stage), "contact")
        assert step.outcome is Outcome.PASSED
        assert [tried.says for tried in step.tries] == ["wiring.fail.contact.inverted"]


async def test_a_step_that_cannot_be_tested_leaves_the_report_incomplete_with_the_reason(tmp_path):
    async with unit_door(tmp_path) as (site, _):
        wiring = site.house.service(Wiring)
        await wiring.begin(INSTALLER, "unit", BOARD)
        await wiring.skip("unit", "fire", "消防主机未通电")
        run = await wiring.finish(INSTALLER, "unit")
        assert run.report.result is Result.INCOMPLETE
        assert next(step for step in run.report.steps if step.key == "fire").why == "消防主机未通电"


async def test_two_tests_and_two_steps_are_never_under_way_at_one_door(tmp_path):
    async with unit_door(tmp_path) as (site, _):
        wiring = site.house.service(Wiring)
        await wiring.begin(INSTALLER, "unit", BOARD)
        with pytest.raises(WiringError, match="under_way"):
            await wiring.begin(INSTALLER, "unit", BOARD)
        await wiring.step("unit", "reader.unit-in")
        with pytest.raises(WiringError, match="one_at_a_time"):
            await wiring.step("unit", "contact")
        with pytest.raises(WiringError, match="one_at_a_time"):
            await wiring.finish(INSTALLER, "unit")


async def test_a_controller_that_is_cut_off_fails_the_step_at_once(tmp_path):
    async with unit_door(tmp_path) as (site, stage):
        wiring = site.house.service(Wiring)
        now = await wiring.begin(INSTALLER, "unit", BOARD)
        now = await wiring.step("unit", "reader.unit-in")
        await stage.drop()
        while now.live is not None:
            now = await wiring.now("unit", after=now.version)
        assert now.run is not None
        assert [s.says for s in now.run.report.steps if s.key == "reader.unit-in"] == [
            "wiring.fail.device_lost"
        ]


async def test_after_a_restart_the_test_goes_on_where_it_was(tmp_path):
    async with Street(tmp_path, [ControllerSpec("sim-unit", heartbeat=3.0)]) as street:
        config = write(tmp_path, street)
        async with serving(config, port=0) as site:
            await until(lambda: site.house.doors["unit"].online)
            wiring = site.house.service(Wiring)
            await wiring.begin(INSTALLER, "unit", BOARD)
            await play(wiring, Hands(street.at()), "contact")
            await wiring.step("unit", "reader.unit-in")
        async with serving(config, port=0) as site:
            await until(lambda: site.house.doors["unit"].online)
            wiring = site.house.service(Wiring)
            now = await wiring.now("unit")
            assert now.run is not None
            assert now.live is None
            outcomes = outcomes_of(now.run)
            assert (outcomes["contact"], outcomes["reader.unit-in"]) == (Outcome.PASSED, Outcome.WAITING)
            assert (await play(wiring, Hands(street.at()), "reader.unit-in")).outcome is Outcome.PASSED
