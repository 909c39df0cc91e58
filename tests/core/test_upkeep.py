"""Retention: where somebody was is forgotten when the site says, who answers for a deed stays named for half a year."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from journal_support import opened, passage
from menwei.clock import TrustedClock
from menwei.journal import Journal
from menwei.journal_place import Standing
from menwei.model import Actor
from menwei.upkeep import LOOK, Upkeep, local_date, local_time

DAY = 86_400.0
NOW = 1_800_000_000.0
PASSAGES = 30 * DAY
PASSAGES_OF_THE_CORE = ("AccessGranted", "AccessDenied", "Duress")


class House:
    """As much of a house as the rounds of upkeep touch; the journal is a real one."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.wall, self.mono = NOW, 0.0
        self.clock = TrustedClock(journal.last_at, wall=lambda: self.wall, monotonic=lambda: self.mono)
        self.site = SimpleNamespace(zone=ZoneInfo("Asia/Shanghai"))
        self.loaded = SimpleNamespace(config=SimpleNamespace(journal=SimpleNamespace(passages=PASSAGES)))
        self.accounts = SimpleNamespace(forget_ended=self._nothing)
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.compiled: list[str] = []
        self.socket: Standing | None = None
        self.data = Path("var")

    def pass_time(self, seconds: float) -> None:
        self.wall += seconds
        self.mono += seconds

    def recompile_schedules(self) -> None:
        self.compiled.append(local_date(self.clock.now(), self.site.zone).isoformat())

    async def _nothing(self) -> None: ...

    def audit_later(self, _actor: Actor, action: str, data: dict[str, Any]) -> None:
        self.told.append((action, data))


async def still_named(path: Path, kind: str, age: float) -> bool:
    """Whether, after a round, an entry so old still says whom it is about."""
    async with opened(path) as journal:
        await journal.append(passage(at=NOW - age, kind=kind))
        await journal.append(passage(at=NOW - 2 * DAY, kind="Plain", holder=None))  # it ran all the while
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


class Wrong:
    """A house that ran until `NOW` and boots `ahead` seconds later by its clock; one passage of that last day stands in
    its journal."""

    def __init__(self, journal: Journal, ahead: float) -> None:
        self.house = House(journal)
        self.house.pass_time(ahead)
        self.house.clock = TrustedClock(NOW, wall=lambda: self.house.wall, monotonic=lambda: self.house.mono)
        self.upkeep = Upkeep(cast(Any, self.house))

    async def names(self) -> int:
        """How many people the journal still knows after a round."""
        await self.upkeep.once()
        return len(await self.house.journal.by_holder(7))

    @property
    def says(self) -> list[str]:
        return [repair.message for repair in self.upkeep.repairs()]


async def ran_until_now(journal: Journal) -> None:
    await journal.append(passage(at=NOW - 2 * DAY, kind="Plain", holder=None))
    await journal.append(passage(at=NOW - 60))


async def test_a_clock_that_is_a_year_ahead_at_start_destroys_nothing_for_a_day(tmp_path: Path) -> None:
    async with opened(tmp_path / "journal.db") as journal:
        await ran_until_now(journal)
        wrong = Wrong(journal, 400 * DAY)
        assert (await wrong.names(), wrong.says) == (1, ["repair.retention.leapt"])
        wrong.house.pass_time(DAY - 1)
        assert await wrong.names() == 1
        wrong.house.pass_time(2)
        assert (await wrong.names(), wrong.says) == (0, [])


async def test_a_restart_is_no_reason_to_believe_a_clock_that_leapt(tmp_path: Path) -> None:
    async with opened(tmp_path / "journal.db") as journal:
        await ran_until_now(journal)
        ahead = NOW + 400 * DAY
        await journal.append(passage(at=ahead, kind="Plain", holder=None))
        again = Wrong(journal, 400 * DAY + 600)
        assert (await again.names(), again.says) == (1, ["repair.retention.leapt"])
        (repair,) = again.upkeep.repairs()
        zone = again.house.site.zone
        assert repair.values["after"] == local_time(ahead, zone)
        assert repair.values["until"] == local_time(ahead + DAY, zone)


async def test_a_clock_that_leaps_while_the_program_runs_destroys_nothing_for_a_day(tmp_path: Path) -> None:
    async with opened(tmp_path / "journal.db") as journal:
        await ran_until_now(journal)
        running = Wrong(journal, 120)
        assert (await running.names(), running.says) == (1, [])
        running.house.pass_time(2 * DAY)
        running.house.wall += 400 * DAY
        assert (await running.names(), running.says) == (1, ["repair.retention.leapt"])


async def test_while_the_two_clocks_are_days_apart_nothing_is_destroyed_until_somebody_decides(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path / "journal.db") as journal:
        await ran_until_now(journal)
        house = Wrong(journal, 400 * DAY)
        house.house.wall = NOW + 120  # set right again; the trusted time does not go back by itself
        house.house.mono += 2 * DAY
        assert (await house.names(), house.says) == (1, ["repair.retention.apart"])
        house.house.clock.accept()
        assert (await house.names(), house.says) == (1, [])


async def test_a_machine_that_was_off_over_a_weekend_is_believed(tmp_path: Path) -> None:
    async with opened(tmp_path / "journal.db") as journal:
        await journal.append(passage(at=NOW - PASSAGES))
        await journal.append(passage(at=NOW, kind="Plain", holder=None))
        back = Wrong(journal, 2.5 * DAY)
        assert (await back.names(), back.says) == (0, [])


async def test_schedules_are_compiled_anew_within_a_minute_of_a_clock_that_was_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine boots in 1970, outside of every year that would be compiled later, and the network sets it."""
    async with opened(tmp_path / "journal.db") as journal:
        house = House(journal)
        house.wall = 0.0
        house.clock = TrustedClock(wall=lambda: house.wall, monotonic=lambda: house.mono)
        upkeep = Upkeep(cast(Any, house))

        async def a_minute(seconds: float) -> None:
            if house.wall == NOW:
                raise Enough
            assert seconds <= LOOK
            house.pass_time(seconds)
            house.wall = NOW

        monkeypatch.setattr("menwei.upkeep.asyncio.sleep", a_minute)
        with pytest.raises(Enough):
            await upkeep.run()
        assert house.compiled == [local_date(NOW, house.site.zone).isoformat()]


async def test_a_data_folder_that_was_taken_away_is_a_repair(tmp_path: Path) -> None:
    async with opened(tmp_path / "journal.db") as journal:
        house = House(journal)
        house.data = tmp_path / "var"
        house.data.mkdir()
        (house.data / "menwei.sock").touch()
        house.socket = Standing(house.data / "menwei.sock")
        upkeep = Upkeep(cast(Any, house))
        assert upkeep.repairs() == []
        house.data.rename(tmp_path / "moved")
        assert [repair.message for repair in upkeep.repairs()] == ["repair.data"]
        house.data.mkdir()
        (house.data / "menwei.sock").touch()
        assert [repair.message for repair in upkeep.repairs()] == ["repair.data"], "another's"


class Enough(Exception):
    """The test has seen what it wanted to see of a loop without an end."""
