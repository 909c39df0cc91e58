"""A village in the city as in Nanning: 52 houses of many landlords, 2,449 tenants with their ID cards, a committee."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from menwei_simulator import roll
from menwei_simulator.cast import DemoDoor, Member
from menwei_simulator.housing import DESK, TENANCY, VISITORS, courier, give, known, today
from menwei_simulator.moment import Moment
from menwei_simulator.scene import (
    REFUSED,
    TAKEN,
    Expected,
    Playing,
    Result,
    Scene,
    Story,
    StoryFailed,
    asking,
    by_card,
    leaves,
    refused,
    strange_card,
)

WEST = DemoDoor("gate-west", "sim-gate-west", "simulator.demo.door.gate-west")
EAST = DemoDoor("gate-east", "sim-gate-east", "simulator.demo.door.gate-east")
SHED = DemoDoor("shed", "sim-shed", "simulator.demo.door.shed", leaving="out")
BOARDS = 4
"""Doors of one controller, as boards for four doors have them."""
HOUSES = tuple(
    DemoDoor(
        f"house-{number:02d}", f"sim-row-{(number - 1) // BOARDS + 1:02d}", "simulator.demo.door.building", str(number),
        lock=str((number - 1) % BOARDS + 1), reader=f"in{(number - 1) % BOARDS + 1}",
    )
    for number in range(1, roll.HOUSES + 1)
)  # fmt: skip
HOME, NEXT_DOOR = HOUSES[11], HOUSES[12]

TENANT = Member("village-tenant", "覃桂花", "idcard:3C0E8801AA55C301")
"""She rents a room on the roof of house 12, which the roll does not have yet."""
VISITOR = "idcard:3C0E8802AA55C302"
EMPTY_ROOM = "12-701"


def villager(house: int, place: int) -> tuple[roll.Villager, Member]:
    """The so many-th person of a house, as the roll has them and as the story speaks of them."""
    found = [one for one in roll.villagers() if one.house == house][place]
    return found, Member(found.key, found.name, f"idcard:{found.chip}")


RESIDENT_ROW, RESIDENT = villager(12, 0)
TRAVELLER_ROW, TRAVELLER = villager(30, 3)
RIDER_ROW, RIDER = villager(44, 7)
ENTRIES = 20
"""Of a visitor on one day; any number is right."""
TOLD = "menwei_tenancy.CancelledUse"
CANCELLED = refused("CredentialNotEnabled", events=("CancelledUse",))
LANDLORD, OTHER_FLAT = "landlord", "13-101"
CLONES, ONCE = "clones", "shed-once"


async def enter(playing: Playing) -> None:
    """The landlords, one of them with an account; then the roll, as the committee imports it."""
    account = await playing.sign_up(LANDLORD, "landlord")
    own = roll.landlord_of(12)
    for number in range(1, roll.LANDLORDS + 1):
        body = {"account": account if number == own else None}
        await playing.desk.put(f"{TENANCY}/landlords/L{number:02d}", body)
    file = playing.config.with_name("roll.csv")
    await asyncio.to_thread(file.write_bytes, roll.table(today(playing, years=1)))
    began = time.monotonic()
    if await playing.run("import", str(file)):
        raise StoryFailed("simulator.demo.import_failed")
    seconds = time.monotonic() - began
    playing.tell(
        "simulator.demo.imported", "green", people=roll.PEOPLE, houses=roll.HOUSES, seconds=f"{seconds:.1f}"
    )
    await playing.desk.put(
        f"{TENANCY}/flats/{EMPTY_ROOM}", {"name": "701", "unit": "12", "landlord": f"L{own:02d}"}
    )
    for row, member in ((RESIDENT_ROW, RESIDENT), (TRAVELLER_ROW, TRAVELLER), (RIDER_ROW, RIDER)):
        home = await playing.desk.get(f"{TENANCY}/synced-households/{row.flat}")
        first = next(one for one in home["members"] if one["role"] == "lessee")
        await known(playing, home["id"], first["id"], member)


# -------------------------------------------------------------------------------------------------------- the landlord


async def flat_number(playing: Playing, flat: str) -> int:
    """The number of a flat by its external id, as the desk sees it."""
    found = await playing.desk.get(f"{TENANCY}/flats", after=flat[:-1], limit=20)
    return next(int(one["id"]) for one in found["flats"] if one["external_id"] == flat)


async def gives_room(playing: Playing) -> Result:
    """The landlord gives a room until a date and enters the tenant's ID card; the tenant comes to the gate."""
    landlord = await playing.accounts[LANDLORD].sign_in()
    body = {
        "flat": await flat_number(playing, EMPTY_ROOM), "name": TENANT.name,
        "last_day": (today(playing) + timedelta(days=180)).isoformat(),
    }  # fmt: skip
    given = await landlord.post(f"{TENANCY}/households", body)
    playing.notes[TENANT.key] = given["household"]
    await give(landlord, given["member"], TENANT.card, "resident-id")
    await known(playing, given["household"], given["member"], TENANT)
    return await playing.touch(WEST, TENANT.card)


async def gives_anothers_room(playing: Playing) -> None:
    landlord = await playing.accounts[LANDLORD].sign_in()
    number = await flat_number(playing, OTHER_FLAT)
    await landlord.post(f"{TENANCY}/households", {"flat": number, "name": TENANT.name})


def landlord_does(what: str, told: str = "") -> Callable[[Playing], Awaitable[Result]]:
    """The landlord reports their tenant's card lost or restores it; then somebody touches it at the house."""

    async def play(playing: Playing) -> Result:
        landlord = await playing.accounts[LANDLORD].sign_in()
        await landlord.post(f"{TENANCY}/passes/{playing.people[TENANT.key].credential}/{what}")
        return await playing.touch(HOME, TENANT.card, told=told)

    return play


async def ends_room(playing: Playing) -> Result:
    """The landlord ends the lease. The card is tried all the same, and the committee reads of it in its list."""
    landlord = await playing.accounts[LANDLORD].sign_in()
    await landlord.post(f"{TENANCY}/households/{playing.notes[TENANT.key]}/check-out")
    result = await playing.touch(HOME, TENANT.card, told=TOLD)
    committee = await playing.admin.sign_in()
    tries = (await committee.get(f"{TENANCY}/cancelled"))["tries"]
    ended = [one for one in tries if one["door"] == HOME.id and one["state"] == "Ended"]
    return replace(result, events=(*result.events, "InTheCommitteesList") if ended else result.events)


# --------------------------------------------------------------------------------------------------------- the visitor


async def visitor_comes(playing: Playing) -> Result:
    """A visitor touches their ID card at the desk, for the room of somebody who lives here, and then at the gate."""
    await playing.at_desk(DESK.controller, f"{VISITORS}/cards", {"flat": RESIDENT_ROW.flat}, VISITOR)
    return await playing.touch(WEST, VISITOR)


async def visitor_again(playing: Playing) -> Result:
    """In and out all day long, by the gate and the house's door, the last time a minute before midnight."""
    events: tuple[str, ...] = ()
    result = Result("")
    for number in range(2, ENTRIES + 1):
        if number == ENTRIES:
            playing.clock.to(LATE.instant(playing.began, playing.house.site.zone))
        result = await playing.touch(HOME if number % 2 else WEST, VISITOR)
        events += result.events
        if result.decision != TAKEN.decision:
            break
    return replace(result, events=events)


async def after_midnight(playing: Playing) -> Result:
    """The desk gives the first pass of the new day; who came yesterday tries the gate."""
    await courier(playing)
    return await playing.touch(WEST, VISITOR)


async def two_gates(playing: Playing) -> Result:
    """One card at the west gate, and within seconds at the east gate a kilometre away: one of them is a copy."""
    first = await playing.touch(WEST, TRAVELLER.card)
    return await playing.touch(EAST, TRAVELLER.card) if first.decision == TAKEN.decision else first


LATE = Moment("23:59")
SHED_EXIT = SHED.from_inside()

SCENES: tuple[Scene, ...] = (
    Scene("resident", WEST, "card", by_card(WEST, RESIDENT), TAKEN, RESIDENT),
    Scene("resident-house", HOME, "card", by_card(HOME, RESIDENT), TAKEN, RESIDENT),
    Scene("next-house", NEXT_DOOR, "card", by_card(NEXT_DOOR, RESIDENT), refused("Unauthorized"), RESIDENT),
    Scene("stranger", WEST, "card", strange_card(WEST), refused("CredentialNotFound")),
    Scene("landlord-gives", WEST, "card", gives_room, TAKEN, TENANT),
    Scene("tenant-house", HOME, "card", by_card(HOME, TENANT), TAKEN, TENANT),
    Scene("not-theirs", DESK, "landlord", asking(gives_anothers_room), Expected(REFUSED, ("tenancy.no_flat",))),
    Scene("reported-lost", HOME, "card", landlord_does("lost", TOLD), CANCELLED, TENANT),
    Scene("restored", HOME, "card", landlord_does("restore"), TAKEN, TENANT),
    Scene(
        "landlord-ends", HOME, "card", ends_room,
        refused("CredentialNotEnabled", events=("CancelledUse", "InTheCommitteesList")), TENANT,
    ),
    Scene("two-gates", EAST, "card", two_gates, Expected("AccessGranted", events=("CloneSuspected", "AccessTaken")), TRAVELLER),
    Scene("shed", SHED, "card", by_card(SHED, RIDER), TAKEN, RIDER),
    Scene(
        "shed-again", SHED, "card", by_card(SHED, RIDER),
        refused("AntipassbackViolated", ONCE, ("PassbackViolated",)), RIDER,
    ),
    Scene("shed-out", SHED, "card", by_card(SHED_EXIT, RIDER), TAKEN, RIDER),
    Scene("shed-later", SHED, "card", by_card(SHED, RIDER), TAKEN, RIDER),
    Scene("visitor", WEST, "card", visitor_comes, TAKEN),
    Scene("visitor-again", WEST, "card", visitor_again, Expected("AccessGranted", events=("AccessTaken",) * (ENTRIES - 1))),
    Scene("visitor-midnight", WEST, "card", after_midnight, refused("CredentialNotFound"), at=Moment("00:00:30", days=1)),
)  # fmt: skip

PASSERS_BY: tuple[Scene, ...] = (
    *(Scene("passer-by", door, "card", by_card(door, who), TAKEN, who)
      for door, who in ((WEST, RESIDENT), (HOME, RESIDENT), (WEST, TRAVELLER), (HOUSES[29], TRAVELLER), (HOUSES[43], RIDER))),
    Scene("passer-by", HOUSES[12], "card", by_card(HOUSES[12], RIDER), refused("Unauthorized"), RIDER),
    Scene("passer-by", EAST, "card", strange_card(EAST), refused("CredentialNotFound")),
    Scene("passer-by", HOME, "exit", leaves(HOME), Expected("ExitButton")),
)  # fmt: skip

GATES = (WEST, EAST)


def rules(_now: float) -> Mapping[str, Any]:
    return {
        "policies": {
            CLONES: {"policy": "rules.clone", "distances": {WEST.id: {EAST.id: 1000}}},
            ONCE: {"policy": "rules.passback", "areas": ["shed"], "mode": "hard"},
        }
    }


STORY = Story(
    id="village",
    doors=(*GATES, SHED, *HOUSES),
    desks=(DESK.controller,),
    plugins={
        "simulator": None,
        "console": None,
        "tenancy": {"allow": ["rights"], "profiles": ["village"]},
        "registration": {"allow": ["rights"]},
        "visitors": {"allow": ["rights"], "courier_profiles": ["couriers"]},
        "rules": None,
    },
    profiles={
        "village": [{"access_points": [WEST.inside, EAST.inside, SHED.inside, SHED.outside]}],
        "couriers": [{"access_points": [WEST.inside, EAST.inside]}],
        **{house.id: [{"access_points": [house.inside]}] for house in HOUSES},
    },
    points={
        **{gate.inside: {"policies": [CLONES], "security_level": "Card or PIN"} for gate in GATES},
        SHED.inside: {"policies": [ONCE], "to": "shed"},
        SHED.outside: {"policies": [ONCE], "from": "shed"},
    },
    sections=rules,
    enter=enter,
    scenes=SCENES,
    passers_by=PASSERS_BY,
    opens="10:00",
    needs={"stdnum": "registration"},
)
