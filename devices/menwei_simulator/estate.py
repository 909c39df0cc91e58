"""A public-rental estate as in Beijing: a compound gate with staff, unit doors beside the intercom that was there, flats
with a fingerprint lock; a household of an applicant, their child and a cohabitant, over a year and a day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from menwei_simulator.cast import DemoDoor, Member
from menwei_simulator.housing import DESK, TENANCY, collect, courier, give, join, move_in, today
from menwei_simulator.moment import Moment
from menwei_simulator.scene import (
    REFUSED,
    TAKEN,
    Expected,
    Playing,
    Result,
    Scene,
    Story,
    asking,
    by_card,
    guard_opens,
    leaves,
    refused,
    strange_card,
)

GATE = DemoDoor("gate", "sim-gate", "simulator.demo.door.gate")
UNIT_1 = DemoDoor("unit-1", "sim-unit-1", "simulator.demo.door.unit-1")
UNIT_2 = DemoDoor("unit-2", "sim-unit-2", "simulator.demo.door.unit-2")
FLAT = DemoDoor("flat-502", "sim-flat-502", "simulator.demo.door.flat-502")

APPLICANT = Member("estate-applicant", "林长生", "idcard:3C0A11D2E5F60718")
CHILD = Member("estate-child", "林小满", "04A1B2C3")
COHABITANT = Member("estate-cohabitant", "周明", "04B2C3D4")
NEIGHBOUR = Member("estate-neighbour", "何秀英", "idcard:3C0B22E3F6071829")
APPLICANTS_FINGER, CHILDS_FINGER = "wiegand26:007,00001", "wiegand26:007,00002"
"""The flat's lock knows the fingers itself, as such locks do, and says which of its users it was: a number, on Wiegand 26.
No fingerprint leaves it."""

CONTRACT, ALL_OF_IT = "HT-2026-017", "household"
TOLD = "menwei_tenancy.CancelledUse"
CANCELLED = refused("CredentialNotEnabled", events=("CancelledUse",))


async def enter(playing: Playing) -> None:
    """Places by the numbers of the housing system, then the households, as a sync or a desk enters them."""
    put = playing.desk.put
    await put(f"{TENANCY}/buildings/B3", {"name": "3号楼"})
    for unit in ("1", "2"):
        body = {"name": f"{unit}单元", "building": "B3", "profiles": [f"unit-{unit}"]}
        await put(f"{TENANCY}/units/B3-{unit}", body)
    await put(f"{TENANCY}/flats/B3-1-502", {"name": "502", "unit": "B3-1", "profiles": ["flat-502"]})
    await put(f"{TENANCY}/flats/B3-2-101", {"name": "101", "unit": "B3-2"})
    playing.notes[ALL_OF_IT] = home = await move_in(playing, CONTRACT, "B3-1-502", today(playing, years=3))
    applicant = await join(playing, home, APPLICANT, "lessee", "resident-id")
    child = await join(playing, home, CHILD, "co-applicant", "citizen-card")
    playing.notes[COHABITANT.key] = await join(playing, home, COHABITANT, "cohabitant")
    for member, finger in ((applicant, APPLICANTS_FINGER), (child, CHILDS_FINGER)):
        await give(playing.desk, member, finger, label="finger")
    next_door = await move_in(playing, "HT-2026-018", "B3-2-101")
    await join(playing, next_door, NEIGHBOUR, "lessee", "resident-id")
    playing.tell("simulator.demo.entered", "dim")


async def collected(playing: Playing) -> Result:
    """The cohabitant consents and touches their card at the desk; then they come in by it."""
    await collect(playing, playing.notes[ALL_OF_IT], playing.notes[COHABITANT.key], COHABITANT)
    return await playing.touch(UNIT_1, COHABITANT.card)


async def longer(playing: Playing) -> None:
    """Somebody at the desk moves the date of the cohabitant's card alone, a year further."""
    to = datetime.fromtimestamp(playing.clock(), UTC) + timedelta(days=365)
    credential = playing.people[COHABITANT.key].credential
    body = {"valid_to": to.isoformat(timespec="seconds")}
    await playing.desk.post(f"/api/credentials/{credential}/validity", body)


async def delivers(playing: Playing) -> Result:
    """The desk gives a courier a pass for today, and they type its code at the gate."""
    playing.notes["code"] = await courier(playing)
    return await playing.type_code(GATE, playing.notes["code"])


async def delivers_elsewhere(playing: Playing) -> Result:
    return await playing.type_code(UNIT_2, playing.notes["code"])


async def delivers_next_day(playing: Playing) -> Result:
    """In the morning the desk gives another courier a pass; the one of yesterday tries the old code."""
    await courier(playing)
    return await playing.type_code(GATE, playing.notes["code"])


async def checks_out(playing: Playing) -> Result:
    """The desk ends the lease: one action for everybody and every door. Then the applicant tries the gate."""
    await playing.desk.post(f"{TENANCY}/households/{playing.notes[ALL_OF_IT]}/check-out")
    return await playing.touch(GATE, APPLICANT.card, told=TOLD)


async def undo(playing: Playing) -> None:
    await playing.desk.post(f"{TENANCY}/households/{playing.notes[ALL_OF_IT]}/undo")


async def undone(playing: Playing) -> Result:
    """It was the wrong flat: taken back within ten minutes, and the applicant comes in."""
    await undo(playing)
    return await playing.touch(GATE, APPLICANT.card)


A_YEAR_ON = 1

SCENES: tuple[Scene, ...] = (
    Scene("applicant", GATE, "card", by_card(GATE, APPLICANT), TAKEN, APPLICANT),
    Scene("applicant-unit", UNIT_1, "card", by_card(UNIT_1, APPLICANT), TAKEN, APPLICANT),
    Scene("applicant-flat", FLAT, "finger", by_card(FLAT, APPLICANT, card=APPLICANTS_FINGER), TAKEN, APPLICANT),
    Scene("child", UNIT_1, "card", by_card(UNIT_1, CHILD), TAKEN, CHILD),
    Scene("child-flat", FLAT, "finger", by_card(FLAT, CHILD, card=CHILDS_FINGER), TAKEN, CHILD),
    Scene("other-unit", UNIT_2, "card", by_card(UNIT_2, CHILD), refused("Unauthorized"), CHILD),
    Scene("stranger", GATE, "card", strange_card(GATE), refused("CredentialNotFound")),
    Scene("cohabitant", UNIT_1, "card", collected, TAKEN, COHABITANT),
    Scene("intercom", UNIT_1, "exit", leaves(UNIT_1), Expected("ExitButton")),
    Scene("guard", GATE, "guard", guard_opens(GATE), Expected("DoorCommand", events=("AccessTaken",))),
    Scene("courier", GATE, "code", delivers, TAKEN),
    Scene("courier-unit", UNIT_2, "code", delivers_elsewhere, TAKEN),
    Scene("courier-tomorrow", GATE, "code", delivers_next_day, refused("CredentialNotFound"), at=Moment("09:00", 1)),
    Scene("check-out", GATE, "card", checks_out, CANCELLED, APPLICANT),
    Scene("child-out", UNIT_1, "card", by_card(UNIT_1, CHILD, told=TOLD), CANCELLED, CHILD),
    Scene("finger-out", FLAT, "finger", by_card(FLAT, CHILD, card=CHILDS_FINGER, told=TOLD), CANCELLED, CHILD),
    Scene("cohabitant-out", UNIT_1, "card", by_card(UNIT_1, COHABITANT, told=TOLD), CANCELLED, COHABITANT),
    Scene("undo", GATE, "card", undone, TAKEN, APPLICANT),
    Scene("child-back", UNIT_1, "card", by_card(UNIT_1, CHILD), TAKEN, CHILD),
    Scene(
        "last-day", UNIT_1, "card", by_card(UNIT_1, COHABITANT), TAKEN, COHABITANT,
        at=Moment("09:30", days=-1, years=A_YEAR_ON),
    ),
    Scene("longer", DESK, "desk", asking(longer), Expected(REFUSED, ("tenancy.collect_again",)), COHABITANT),
    Scene(
        "year-over", UNIT_1, "card", by_card(UNIT_1, COHABITANT), refused("CredentialExpired"), COHABITANT,
        at=Moment("10:30", years=A_YEAR_ON),
    ),
    Scene("collected-again", UNIT_1, "card", collected, TAKEN, COHABITANT),
    Scene("moved-out", GATE, "card", checks_out, CANCELLED, APPLICANT, at=Moment("11:00", years=A_YEAR_ON)),
    Scene(
        "too-late", DESK, "desk", asking(undo), Expected(REFUSED, ("tenancy.too_late_to_undo",)),
        at=Moment("11:15", years=A_YEAR_ON),
    ),
)  # fmt: skip

PASSERS_BY: tuple[Scene, ...] = (
    Scene("passer-by", GATE, "card", by_card(GATE, NEIGHBOUR), TAKEN, NEIGHBOUR),
    Scene("passer-by", UNIT_2, "card", by_card(UNIT_2, NEIGHBOUR), TAKEN, NEIGHBOUR),
    Scene("passer-by", GATE, "card", strange_card(GATE), refused("CredentialNotFound")),
    Scene("intercom", UNIT_1, "exit", leaves(UNIT_1), Expected("ExitButton")),
)
CARD_OR_CODE = {"security_level": "Card or PIN"}

STORY = Story(
    id="estate",
    doors=(GATE, UNIT_1, UNIT_2, FLAT),
    desks=(DESK.controller,),
    plugins={
        "simulator": None,
        "console": None,
        "tenancy": {"allow": ["rights"], "profiles": ["estate"]},
        "visitors": {"allow": ["rights"], "courier_profiles": ["couriers"]},
    },
    profiles={
        "estate": [{"access_points": [GATE.inside]}],
        "unit-1": [{"access_points": [UNIT_1.inside]}],
        "unit-2": [{"access_points": [UNIT_2.inside]}],
        "flat-502": [{"access_points": [FLAT.inside]}],
        "couriers": [{"access_points": [door.inside for door in (GATE, UNIT_1, UNIT_2)]}],
    },
    points={door.inside: CARD_OR_CODE for door in (GATE, UNIT_1, UNIT_2)},
    enter=enter,
    scenes=SCENES,
    passers_by=PASSERS_BY,
    opens="10:00",
)
