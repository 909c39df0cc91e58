"""Retention: where somebody was is forgotten when the site says, who answers for a deed stays named for half a year."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from journal_support import opened, passage
from menwei.journal import Journal
from menwei.model import Actor
from menwei.upkeep import Upkeep

DAY = 86_400.0
NOW = 1_800_000_000.0
PASSAGES = 30 * DAY
PASSAGES_OF_THE_CORE = ("AccessGranted", "AccessDenied", "Duress")


class House:
    """As much of a house as the rounds of upkeep touch; the journal is a real one."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.clock = SimpleNamespace(now=lambda: NOW)
        self.site = SimpleNamespace(zone=ZoneInfo("Asia/Shanghai"))
        self.loaded = SimpleNamespace(config=SimpleNamespace(journal=SimpleNamespace(passages=PASSAGES)))
        self.accounts = SimpleNamespace(forget_ended=self._nothing)
        self.told: list[tuple[str, dict[str, Any]]] = []

    async def _nothing(self) -> None: ...

    def audit_later(self, _actor: Actor, action: str, data: dict[str, Any]) -> None:
        self.told.append((action, data))


async def still_named(path: Path, kind: str, age: float) -> bool:
    """Whether, after a round, an entry so old still says whom it is about."""
    async with opened(path) as journal:
        await journal.append(passage(at=NOW - age, kind=kind))
        house: Any = House(journal)
        await Upkeep(house).once()
        named = len(await journal.by_holder(7)) == 1
        assert house.told == ([] if named else [("retention", {"emptied": 1})])
        return named


@pytest.mark.parametrize(
    "kind", [*PASSAGES_OF_THE_CORE, "menwei_rules.CloneSuspected", "a_plugin.NobodyKnows"]
)
async def test_who_was_at_a_door_is_forgotten_with_the_passages_whoever_told_of_it(
    tmp_path: Path, kind: str
) -> None:
    assert await still_named(tmp_path / "young.db", kind, PASSAGES - 1)
    assert not await still_named(tmp_path / "old.db", kind, PASSAGES + 1)


@pytest.mark.parametrize("kind", ["Audit", "DoorCommand"])
async def test_who_looked_and_who_opened_stays_answerable_for_half_a_year(tmp_path: Path, kind: str) -> None:
    assert await still_named(tmp_path / "young.db", kind, 180 * DAY - 1)
    assert not await still_named(tmp_path / "old.db", kind, 180 * DAY + 1)
