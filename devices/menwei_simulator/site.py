"""The site of `menwei demo`: its config files as an installer would write them, and its people as a desk would."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from menwei.cli_client import Api
from menwei_simulator.cast import CAST, DOORS, FLAT, GATE, UNIT_1, UNIT_2, DemoDoor, Member

ZONE = "Asia/Shanghai"
NIGHT, QUIET = "night", "quiet"
Say = Callable[..., str]
"""A sentence of the demonstration in the chosen language: key, values."""


def around_now(now: float) -> tuple[str, str]:
    """Half a day that holds `now`, as `21:30`, `09:30` on the site's wall clock: from an hour ago on."""
    local = datetime.fromtimestamp(now, UTC).astimezone(ZoneInfo(ZONE))
    return (
        (local - timedelta(hours=1)).strftime("%H:%M"),
        (local + timedelta(hours=11)).strftime("%H:%M"),
    )


def config_text(language: str, say: Say, now: float) -> str:
    """The config before anything is adopted: no device, no door."""
    begin, end = around_now(now)
    site = {"id": "demo", "name": say("simulator.demo.site"), "time_zone": ZONE, "language": language}
    quiet = {
        "policy": "simulator.quiet_hours",
        "from": begin,
        "to": end,
        "time_zone": ZONE,
        "profiles": ["renovation"],
    }
    return "\n".join(
        [
            "# The demonstration's site, written by `menwei demo`.",
            _dump({"site": site}),
            "web: {host: 127.0.0.1, port: 8460}",
            "data: ./var",
            "discovery: {interfaces: [127.0.0.1]}",
            "plugins: {simulator: , console: }",
            "# Both hold now, whenever now is: the demonstration does not turn the clock to show the night.",
            _dump({"schedules": {NIGHT: {"weekly": [f"Mon-Sun {begin}-{end}"]}}}),
            _dump({"policies": {QUIET: quiet}}),
        ]
    )


def profiles_text() -> str:
    """What is added to the config once the doors are there: who may pass where."""
    residents = [door.inside for door in (GATE, UNIT_1, UNIT_2)]
    return _dump(
        {
            "profiles": {
                "residents": [{"access_points": residents}],
                "flat-501": [{"access_points": [FLAT.inside]}],
                "renovation": [{"access_points": [GATE.inside, UNIT_1.inside]}],
            }
        }
    )


TIMES: Mapping[str, Any] = {"release_time": 1, "open_time": 3, "pre_alarm_time": 1.5}
"""Seconds. Far too short for people; short enough to watch a door being held open."""


def adopt_words(door: DemoDoor, device: str, name: str, config: Path) -> list[str]:
    """The words behind `menwei adopt` for a controller of the street and its door."""
    return [
        device,
        "--id",
        door.controller,
        "--door",
        f"{door.id}={name}",
        "--access-point",
        f"{door.inside}=in",
        "--config",
        str(config),
    ]


def finish(config: Path) -> None:
    """What an installer writes after adopting: the doors' times, the night's level, the policy, the profiles."""
    adopted = config.with_name("adopted.yaml")
    text = adopted.read_text(encoding="utf-8")
    found = yaml.safe_load(text)
    for door in DOORS:
        entry = found["doors"][door.id]
        entry |= TIMES
        point = entry["access_points"][door.inside]
        if door is UNIT_2:
            point["security_level"] = [{"level": "Card and PIN", "schedule": NIGHT}, {"level": "Card"}]
        if door is UNIT_1:
            point["policies"] = [QUIET]
    header = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    adopted.write_text(header + _dump(found), encoding="utf-8")
    with config.open("a", encoding="utf-8") as file:
        file.write(profiles_text())


@dataclass(frozen=True, slots=True)
class Entered:
    """A member as the store knows them."""

    member: Member
    holder: int
    credential: int


async def enter_people(api: Api, now: float) -> dict[str, Entered]:
    """Enter the cast over the API, as the desk does; by member key."""
    entered = {}
    for member in CAST:
        person = await api.post("/api/people", {"name": member.name, "external_id": member.key})
        card = await api.post(f"/api/people/{person['id']}/credentials", member.card_body(now))
        if member.lost:
            await api.post(f"/api/credentials/{card['id']}/state", {"state": "Lost"})
        entered[member.key] = Entered(member, person["id"], card["id"])
    return entered


def _dump(data: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(data), allow_unicode=True, sort_keys=False, width=1_000)
