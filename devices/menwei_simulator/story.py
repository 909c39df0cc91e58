"""The street: four doors of an estate, and everything that can happen at them in an evening."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from menwei_simulator.cast import (
    CAST,
    DOORS,
    FLAT,
    FORMER,
    GATE,
    LOSER,
    NIGHT_OWL,
    OWNER,
    TENANT,
    UNIT_1,
    UNIT_2,
    WORKER,
    WRONG_PIN,
    Entered,
)
from menwei_simulator.scene import (
    NOTHING,
    PATIENCE,
    TAKEN,
    Expected,
    Playing,
    Result,
    Scene,
    Story,
    by_card,
    closed,
    decides,
    guard_opens,
    leaves,
    reasons,
    refused,
    refused_by,
    strange_card,
)
from menwei_simulator.site import ZONE

NIGHT, QUIET = "night", "quiet"


def around(now: float) -> tuple[str, str]:
    """Half a day that holds `now`, as `21:30`, `09:30` on the site's wall clock: from an hour ago on."""
    local = datetime.fromtimestamp(now, UTC).astimezone(ZoneInfo(ZONE))
    return (
        (local - timedelta(hours=1)).strftime("%H:%M"),
        (local + timedelta(hours=11)).strftime("%H:%M"),
    )


def hours(now: float) -> Mapping[str, Any]:
    """The night and the quiet hours, which hold whenever the story is played: the clock is not turned for them."""
    begin, end = around(now)
    quiet = {
        "policy": "simulator.quiet_hours", "from": begin, "to": end, "time_zone": ZONE, "profiles": ["renovation"],
    }  # fmt: skip
    return {"schedules": {NIGHT: {"weekly": [f"Mon-Sun {begin}-{end}"]}}, "policies": {QUIET: quiet}}


async def enter(playing: Playing) -> None:
    """Enter the cast over the API, as the desk does."""
    now = playing.house.clock.now()
    for member in CAST:
        person = await playing.desk.post("/api/people", {"name": member.name, "external_id": member.key})
        card = await playing.desk.post(f"/api/people/{person['id']}/credentials", member.card_body(now))
        if member.lost:
            await playing.desk.post(f"/api/credentials/{card['id']}/state", {"state": "Lost"})
        playing.people[member.key] = Entered(member, person["id"], card["id"])


async def held_open(playing: Playing) -> Result:
    """Let in, and then the door is held open: the reader asks to close it, then comes the alarm."""
    door, stage = FLAT, await playing.ready(FLAT)
    began = time.monotonic()
    released = asyncio.create_task(playing.released(stage))
    playing.touches[door.id, door.reader, OWNER.card] = began
    try:
        await stage.present(OWNER.card)
        seen = await playing.diary.until(door.id, decides, PATIENCE)
        if seen is None or seen.entry.kind != "AccessGranted":
            entry = seen.entry if seen else None
            return (
                Result(entry.kind, reasons(entry), refused_by=refused_by(entry)) if entry else Result(NOTHING)
            )
        latency = await released - began
    finally:
        released.cancel()
    await stage.open()
    await playing.diary.until(door.id, lambda entry: entry.data.get("alarm") == "DoorOpenTooLong", PATIENCE)
    shown = await stage.display()
    await stage.close()
    await playing.diary.until(door.id, closed, PATIENCE)
    holder = await playing.diary.holder(seen.entry.position)
    return Result(seen.entry.kind, (), playing.events(door), holder, latency, shown)


async def forced(playing: Playing) -> Result:
    """Somebody breaks a locked door open. Nothing was decided; the alarm is the outcome."""
    door, stage = UNIT_1, await playing.ready(UNIT_1)
    began = time.monotonic()
    await stage.force()
    seen = await playing.diary.until(door.id, lambda entry: entry.kind == "DoorAlarm", PATIENCE)
    await stage.close()
    if seen is None:
        return Result(NOTHING)
    await playing.diary.until(door.id, closed, PATIENCE)
    return Result(str(seen.entry.data["alarm"]), latency=seen.at - began)


NIGHT_PIN, DURESS_PIN = NIGHT_OWL.pin or "", NIGHT_OWL.duress or ""

SCENES: tuple[Scene, ...] = (
    Scene("card", GATE, "card", by_card(GATE, TENANT), TAKEN, TENANT),
    Scene("night", UNIT_2, "card-pin", by_card(UNIT_2, NIGHT_OWL, NIGHT_PIN), TAKEN, NIGHT_OWL),
    Scene("unknown", GATE, "card", strange_card(GATE), refused("CredentialNotFound")),
    Scene("expired", UNIT_1, "card", by_card(UNIT_1, FORMER), refused("CredentialExpired"), FORMER),
    Scene("lost", GATE, "card", by_card(GATE, LOSER), refused("CredentialNotEnabled"), LOSER),
    Scene("wrong-pin", UNIT_2, "card-pin", by_card(UNIT_2, NIGHT_OWL, WRONG_PIN), refused("InvalidPIN"), NIGHT_OWL),
    Scene("policy", UNIT_1, "card", by_card(UNIT_1, WORKER), refused("Other", QUIET), WORKER),
    Scene("no-right", FLAT, "card", by_card(FLAT, TENANT), refused("Unauthorized"), TENANT),
    Scene(
        "duress", UNIT_2, "card-pin", by_card(UNIT_2, NIGHT_OWL, DURESS_PIN),
        Expected("AccessGranted", events=("Duress", "AccessTaken")), NIGHT_OWL,
    ),
    Scene("guard", GATE, "guard", guard_opens(GATE), Expected("DoorCommand", events=("AccessTaken",))),
    Scene(
        "held-open", FLAT, "card", held_open,
        Expected("AccessGranted", events=("AccessTaken", "DoorOpenPreAlarm", "DoorOpenTooLong")), OWNER,
    ),
    Scene("forced", UNIT_1, "force", forced, Expected("DoorForcedOpen")),
    Scene("exit", UNIT_2, "exit", leaves(UNIT_2), Expected("ExitButton")),
)  # fmt: skip

PASSERS_BY: tuple[Scene, ...] = (
    Scene("passer-by", GATE, "card", by_card(GATE, TENANT), TAKEN, TENANT),
    Scene("passer-by", GATE, "card", by_card(GATE, OWNER), TAKEN, OWNER),
    Scene("passer-by", GATE, "card", by_card(GATE, NIGHT_OWL), TAKEN, NIGHT_OWL),
    Scene("passer-by", UNIT_1, "card", by_card(UNIT_1, OWNER), TAKEN, OWNER),
    Scene("passer-by", UNIT_1, "card", by_card(UNIT_1, TENANT), TAKEN, TENANT),
    Scene("passer-by", UNIT_2, "card-pin", by_card(UNIT_2, NIGHT_OWL, NIGHT_PIN), TAKEN, NIGHT_OWL),
    Scene("passer-by", FLAT, "card", by_card(FLAT, OWNER), TAKEN, OWNER),
    Scene("passer-by", GATE, "card", strange_card(GATE), refused("CredentialNotFound")),
    Scene("passer-by", UNIT_1, "card", by_card(UNIT_1, WORKER), refused("Other", QUIET), WORKER),
    Scene("passer-by", UNIT_2, "exit", leaves(UNIT_2), Expected("ExitButton")),
)
"""Whom the street sees after the story, for ever and in no order."""

STORY = Story(
    id="street",
    doors=DOORS,
    plugins={"simulator": None, "console": None},
    profiles={
        "residents": [{"access_points": [door.inside for door in (GATE, UNIT_1, UNIT_2)]}],
        "flat-501": [{"access_points": [FLAT.inside]}],
        "renovation": [{"access_points": [GATE.inside, UNIT_1.inside]}],
    },
    enter=enter,
    scenes=SCENES,
    passers_by=PASSERS_BY,
    points={
        UNIT_1.inside: {"policies": [QUIET]},
        UNIT_2.inside: {"security_level": [{"level": "Card and PIN", "schedule": NIGHT}, {"level": "Card"}]},
    },
    sections=hours,
)
