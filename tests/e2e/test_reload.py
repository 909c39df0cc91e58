"""A config that is changed while the doors are served: what goes on at a door goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from menwei.model import DoorAlarm, DoorMode
from menwei_simulator.controller import ControllerSpec
from peers.street import Street
from street_site import TEST, door, enter, recorded, running, write_config
from waiting import until

pytestmark = pytest.mark.e2e

CARD = "04A1B2C3"
GATE = {"gate": door("sim-a/1", {"gate-in": "sim-a/in"}, release_time=2)}


def edit(config: Path, **changes: object) -> None:
    """Change settings of the door `gate`."""
    facts = yaml.safe_load(config.read_text("utf-8"))
    facts["doors"]["gate"] |= changes
    config.write_text(yaml.safe_dump(facts), "utf-8")


async def test_a_door_whose_times_change_keeps_its_alarm_its_mode_and_who_is_on_the_way_through(
    tmp_path: Path,
) -> None:
    async with Street(tmp_path, [ControllerSpec("sim-a")]) as street:
        config = write_config(tmp_path, street, GATE)
        async with running(config) as house:
            await enter(house, [CARD])
            gate = street.at("sim-a")
            await gate.force()
            await until(lambda: house.doors["gate"].alarm is DoorAlarm.DOOR_FORCED_OPEN)
            edit(config, open_time=60)
            await house.reload()
            await until(lambda: house.doors["gate"].online)
            assert house.doors["gate"].facts.open_time == 60
            assert house.doors["gate"].alarm is DoorAlarm.DOOR_FORCED_OPEN
            await gate.close()
            await until(lambda: house.doors["gate"].alarm is DoorAlarm.NORMAL)

            await house.line.command("gate", DoorMode.LOCKED_DOWN, TEST, "a test")
            edit(config, name="大门")
            await house.reload()
            await until(lambda: house.doors["gate"].online)
            assert house.doors["gate"].view().mode is DoorMode.LOCKED_DOWN
            await house.line.command("gate", DoorMode.LOCKED, TEST, "a test")

            await gate.present(CARD, reader="in")
            (granted,) = await recorded(house, "AccessGranted")
            edit(config, open_time=30)
            await house.reload()
            (ended,) = await recorded(house, "AccessNotTaken")
            assert ended.data["passage"] == str(granted.position)


async def test_whoever_stands_before_the_door_while_the_config_is_read_again_is_let_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Street(tmp_path, [ControllerSpec("sim-a")]) as street:
        config = write_config(tmp_path, street, GATE)
        async with running(config) as house:
            await enter(house, [CARD])
            submit, submitted = house.devices.submit, []
            monkeypatch.setattr(house.devices, "submit", lambda one: (submitted.append(one), submit(one)))
            async with house.doors["gate"].lock:  # somebody else is at the other side just now
                await street.at("sim-a").present(CARD, reader="in")
                await until(lambda: submitted and house._queues.idle)
                edit(config, open_time=30)
                await house.reload()
            await recorded(house, "AccessGranted")


async def test_a_door_that_is_taken_out_ends_its_alarm(tmp_path: Path) -> None:
    async with Street(tmp_path, [ControllerSpec("sim-a")]) as street:
        config = write_config(tmp_path, street, GATE)
        async with running(config) as house:
            await street.at("sim-a").force()
            await recorded(house, "DoorAlarm")
            facts = yaml.safe_load(config.read_text("utf-8"))
            facts["doors"], facts["profiles"] = {}, {}
            config.write_text(yaml.safe_dump(facts), "utf-8")
            await house.reload()
            assert not house.doors
            alarms = await recorded(house, "DoorAlarm", count=2)
            assert [entry.data["alarm"] for entry in alarms] == ["DoorForcedOpen", "Normal"]
