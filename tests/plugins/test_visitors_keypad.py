"""From an invitation to an open door: the whole program, a real simulated controller, a code typed at its keypad."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
import yaml

from menwei.model import Actor
from menwei_simulator.controller import ControllerSpec
from menwei_visitors.service import Visitors
from peers.street import Street
from street_site import door, recorded, running, write_config
from waiting import until

pytestmark = pytest.mark.e2e

MORNING = datetime(2027, 3, 2, 9, 0, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp()
MIDNIGHT = datetime(2027, 3, 3, 0, 0, tzinfo=ZoneInfo("Asia/Shanghai")).timestamp()
GUARD = Actor("zhang", "guard")


class Clock:
    """The machine's clock, which the test sets."""

    def __init__(self) -> None:
        self.time = MORNING

    def __call__(self) -> float:
        return self.time


@pytest.fixture
async def street(tmp_path):
    async with Street(tmp_path, [ControllerSpec("sim-gate")]) as street:
        yield street


@pytest.fixture
def config(tmp_path, street):
    gate = door("sim-gate/1", {"gate-in": "sim-gate/in"})
    gate["access_points"]["gate-in"]["security_level"] = "Card or PIN"
    path = write_config(tmp_path, street, {"gate": gate})
    facts = yaml.safe_load(path.read_text("utf-8"))
    facts["plugins"]["visitors"] = {"profiles": ["residents"], "allow": ["rights"]}
    path.write_text(yaml.safe_dump(facts, sort_keys=False), encoding="utf-8")
    return path


async def test_a_code_typed_at_a_keypad_opens_twenty_times_today_and_not_after_midnight(config, street):
    clock, gate = Clock(), street.at("sim-gate")
    async with running(config, clock) as house:
        visitors = house.service(Visitors)
        async with visitors.transaction() as tx:
            guest = await visitors.invite(tx, GUARD, "B1-1-302")
        digits = visitors.digits_of(guest)
        for entry in range(1, 21):
            clock.time += 60
            await gate.type(digits, "in")
            await recorded(house, "AccessGranted", count=entry)
        await until(lambda: len(street.pulses("sim-gate")) == 20)

        clock.time = MIDNIGHT + 1  # a read is dated back by the moment it travelled
        await gate.type(digits, "in")
        (denied,) = await recorded(house, "AccessDenied")
        assert denied.data["checks"][0]["reason"] == "CredentialExpired"

        await visitors.upkeep()
        (proof,) = await recorded(house, "menwei_visitors.Deleted")
        assert proof.data == {"day": "2027-03-02", "passes": 1}
        await gate.type(digits, "in")
        *_, gone = await recorded(house, "AccessDenied", count=2)
        assert gone.data["checks"][0]["reason"] == "CredentialNotFound"
        assert len(street.pulses("sim-gate")) == 20


async def test_who_guesses_at_a_keypad_is_stopped_and_the_guard_sees_it(config, street):
    clock, gate = Clock(), street.at("sim-gate")
    async with running(config, clock) as house:
        visitors = house.service(Visitors)
        async with visitors.transaction() as tx:
            guest = await visitors.invite(tx, GUARD, "B1-1-302")
        clock.time += 60
        for guess in range(5):
            await gate.type(f"{guess:08d}", "in")
        (suspended,) = await recorded(house, "CodesSuspended")
        assert suspended.access_point == "gate-in"
        await gate.type(visitors.digits_of(guest), "in")
        denied = await recorded(house, "AccessDenied", count=6)
        assert denied[-1].data["says"] == "door.codes_suspended"
        clock.time += 301
        await gate.type(visitors.digits_of(guest), "in")
        await recorded(house, "AccessGranted")
        await until(lambda: len(street.pulses("sim-gate")) == 1)
