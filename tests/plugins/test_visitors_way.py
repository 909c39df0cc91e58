"""The way of a guest where the plugin `tenancy` knows the flats: up to the flat's door and not through it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from menwei_tenancy.words import TenancyError
from menwei_visitors.words import VisitorError
from visitors_house import FLAT, VisitorsHouse


@asynccontextmanager
async def house_of(folder: Path, **options: Any) -> AsyncIterator[VisitorsHouse]:
    """Building 1, unit 1, flat 302 (own profile `flat-302`); everybody passes `gate`. The visitors' options are
    these alone."""
    async with await VisitorsHouse.open(folder) as house:
        await house.load_visitors(
            ("tenancy", "console", "visitors"), **{"profiles": (), "ways": {}} | options
        )
        house.tenancy.places._site_profiles = ("gate",)  # `load` gives all plugins the same options
        await house.places()
        yield house


async def way(house: VisitorsHouse, flat: str = FLAT) -> tuple[str, ...]:
    guest = await house.invite(flat)
    held = house.rights.snapshot.credential(guest.credential)
    assert held is not None
    return held.profiles


async def test_the_way_to_a_flat_is_that_of_its_site_building_and_unit_without_its_own_lock(tmp_path):
    async with house_of(tmp_path) as house:
        flat = await house.ask("places", "flat_of", FLAT)
        assert flat.profiles == ("gate", "unit-1", "flat-302")
        async with house.tenancy.read() as reading:
            assert await house.tenancy.places.way(reading, FLAT) == ("gate", "unit-1")


async def test_there_is_no_way_to_a_flat_that_does_not_exist(tmp_path):
    async with house_of(tmp_path) as house, house.tenancy.read() as reading:
        with pytest.raises(TenancyError) as refused:
            await house.tenancy.places.way(reading, "B9-1-101")
    assert refused.value.says == "tenancy.no_flat"


async def test_a_guest_is_let_in_up_to_the_flats_door(tmp_path):
    async with house_of(tmp_path) as house:
        code = house.digits(await house.invite(FLAT))
        assert await house.passes(code, "gate-in")
        assert await house.passes(code, "unit-in")
        assert (await house.type(code, "gate-out")).says == "door.no_right", (
            "the lock of flat 302 in this house"
        )


async def test_everybodys_own_profiles_come_on_top_and_none_stands_twice(tmp_path):
    async with house_of(tmp_path, profiles=("residents", "unit-1")) as house:
        assert await way(house) == ("residents", "unit-1", "gate")


async def test_what_the_installer_wrote_of_a_flat_counts_before_what_the_tenancy_knows(tmp_path):
    async with house_of(tmp_path, ways={"B1-1-": ("residents",)}) as house:
        assert await way(house) == ("residents",)


async def test_a_flat_the_tenancy_does_not_know_is_refused_also_without_ways(tmp_path):
    async with house_of(tmp_path) as house:
        with pytest.raises(VisitorError) as refused:
            await house.invite("B1-1-999")
        assert refused.value.says == "visitors.unknown_flat"


async def test_a_house_without_any_way_is_a_repair_unless_the_tenancy_knows_them(tmp_path):
    alone, known = tmp_path / "alone", tmp_path / "known"
    alone.mkdir()
    known.mkdir()
    nothing = {"profiles": (), "ways": {}, "courier_profiles": ()}
    async with await VisitorsHouse.open(alone) as house:
        await house.load_visitors(**nothing)
        assert [repair.message for repair in house.visitors.repairs()] == ["visitors.repair.no_doors"]
    async with house_of(known, **nothing) as house:
        assert house.visitors.repairs() == []
