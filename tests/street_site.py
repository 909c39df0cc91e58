"""A real site on a simulated street: config, people and cards, for tests that start the whole program."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from menwei.cardformats import normalise
from menwei.chain import START
from menwei.house import Menwei
from menwei.journal import Recorded
from menwei.model import FOREVER, Actor
from menwei.serving import serving
from menwei_simulator.pulselog import Pulse
from peers.street import Street
from waiting import WITHIN, until

TEST = Actor("test", "operator", "program")


def door(lock: str, readers: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """A door of the config: its lock, and access point → reader."""
    points = {point: {"readers": [reader]} for point, reader in readers.items()}
    return {"lock": lock, "release_time": 1, "access_points": points, **more}


def write_config(folder: Path, street: Street, doors: Mapping[str, Any], data: str = "./var") -> Path:
    """A config.yaml with every controller of the street, and the profile `residents` for every access point."""
    points = [point for facts in doors.values() for point in facts["access_points"]]
    config = {
        "site": {"id": "yard"},
        "data": data,
        "plugins": {"simulator": {}},
        "devices": {
            id: {"driver": "simulator", "host": address.host, "port": address.port, "connect_timeout": 2}
            for id, address in street.addresses.items()
        },
        "doors": dict(doors),
        "profiles": {"residents": [{"access_points": points}]},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return path


@asynccontextmanager
async def running(config: Path, wall: Callable[[], float] = time.time) -> AsyncIterator[Menwei]:
    """The whole program in this loop, until every door is online."""
    async with serving(config, port=0, wall=wall) as site:
        house = site.house
        await until(lambda: all(door.online for door in house.doors.values()))
        yield house


async def enter(
    house: Menwei, cards: Sequence[str], *, name: str = "林晓", valid_to: float = FOREVER, format: str = "uid"
) -> list[int]:
    """A person for each card; their holders."""
    entered = []
    async with house.store.transaction() as tx:
        for card in cards:
            identifier = normalise(format, card)
            entered.append(
                await house.people.add(
                    name, cards=[identifier], profiles=["residents"], valid_to=valid_to, actor=TEST, tx=tx
                )
            )
    return entered


async def recorded(house: Menwei, *kinds: str, count: int = 1, seconds: float = WITHIN) -> list[Recorded]:
    """The entries of these kinds, as soon as there are `count` of them."""
    async with asyncio.timeout(seconds):
        while True:
            head = house.journal.head
            found = await house.journal.read(kinds=kinds, limit=100_000)
            if len(found) >= count:
                return found
            await house.journal.wait(head)


async def all_recorded(house: Menwei, kind: str) -> list[Recorded]:
    found: list[Recorded] = []
    after = START
    while batch := await house.journal.read(after, kinds=(kind,)):
        found += batch
        after = batch[-1].position
    return found


def check_accounts(grants: Sequence[Recorded], pulses: Sequence[Pulse]) -> list[str]:
    """No pulse without a record, none twice, and in each life of the program only the last record of a door may lack
    its pulse. Returns the records that lack it."""
    records = {str(entry.position): entry for entry in grants}
    commanded = Counter(pulse.passage for pulse in pulses)
    assert commanded.keys() <= records.keys(), "pulses without a record"
    assert max(commanded.values(), default=0) <= 1, "a record that released twice"
    last = {(entry.position.epoch, entry.door): str(entry.position) for entry in grants}
    lacking = [position for position in records if position not in commanded]
    assert set(lacking) <= set(last.values()), "a record before the last one lacks its pulse"
    return lacking
