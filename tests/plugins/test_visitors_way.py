"""The way of a guest where the plugin `tenancy` knows the flats: up to the flat's door and not through it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import CookieJar
from aiohttp.test_utils import TestClient, TestServer

from menwei import CredentialIdentifier
from menwei.web import application
from menwei_tenancy.words import TenancyError
from menwei_visitors.words import VisitorError
from small_house import HOUSE, sign_in
from tenancy_house import COMMITTEE
from visitors_house import FLAT, VisitorsHouse, card


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


@pytest.mark.parametrize(
    "said", [FLAT, "1号楼1单元302室", "1号楼 302", "１号楼 １单元 ３０２室", "302", " 302室 "]
)
async def test_the_desk_calls_a_flat_as_the_pages_do(tmp_path, said):
    async with house_of(tmp_path) as house:
        assert await house.visitors.meant(said) == FLAT


async def test_a_flat_that_one_of_several_may_be_is_not_guessed(tmp_path):
    async with house_of(tmp_path) as house:
        async with house.tenancy.transaction() as tx:
            await house.tenancy.places.put_building(tx, COMMITTEE, "B2", "2号楼")
            await house.tenancy.places.put_unit(tx, COMMITTEE, "B2-1", "B2", "1单元")
            await house.tenancy.places.put_flat(tx, COMMITTEE, "B2-1-302", "B2-1", "302室")
        with pytest.raises(VisitorError) as refused:
            await house.visitors.meant("302")
        assert refused.value.says == "visitors.several_flats"
        assert refused.value.values == {"count": "2", "flats": "B1-1-302, B2-1-302"}
        assert await house.visitors.meant("2号楼302") == "B2-1-302"


@pytest.mark.parametrize("said", ["30", "1号楼", "1单元", "3号楼302", "%"])
async def test_a_part_of_a_flats_name_is_not_the_flat(tmp_path, said):
    async with house_of(tmp_path) as house:
        with pytest.raises(VisitorError) as refused:
            await house.visitors.meant(said)
        assert refused.value.says == "visitors.unknown_flat"


async def test_a_flat_nobody_finds_is_refused_before_a_card_is_touched(tmp_path, monkeypatch):
    async with house_of(tmp_path) as house:
        app = application(house, [route for plugin in house.plugins.values() for route in plugin.routes])
        app[HOUSE] = house
        asked = []

        async def capture(_people: Any, reader: str, seconds: int) -> CredentialIdentifier:
            asked.append(reader)
            return card("A1A1A1A1")

        monkeypatch.setattr(type(house.visitors.context.people), "capture", capture)
        async with TestClient(TestServer(app, host="127.0.0.1"), cookie_jar=CookieJar(unsafe=True)) as client:
            await sign_in(client, "guard")
            wrong = {"flat": "1号楼 999", "reader": "board/in"}
            answer = await client.post("/api/visitors/cards", json=wrong)
            assert ((await answer.json())["error"], asked) == ("visitors.unknown_flat", [])
            answer = await client.post("/api/visitors/cards", json=wrong | {"flat": "１号楼 ３０２"})
            assert ((await answer.json())["flat"], asked) == (FLAT, ["board/in"])


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
