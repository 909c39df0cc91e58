"""A house with tenancy and registration as the program would load them, and lists like those of a village."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from stdnum.cn import ric

from menwei_registration.service import Counts, Findings, Registration
from tenancy_house import TenancyHouse, copy_migrated

HEADINGS = ("楼栋", "单元", "房号", "姓名", "身份", "电话", "身份证号", "卡号", "起租日", "到期日", "编号")
SURNAMES, GIVEN = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨", "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平"


class RegistrationHouse(TenancyHouse):
    @property
    def registration(self) -> Registration:
        found: Registration = self.services.find(Registration)
        return found

    async def load_registration(self) -> None:
        await self.load(("tenancy", "registration"))
        self.tenancy.places._site_profiles = ("residents",)  # `load` gives all plugins the same options

    async def examine(self, data: bytes) -> Findings:
        return await self.registration.examine(data)

    async def enter(self, data: bytes) -> Counts:
        found = await self.registration.examine(data)
        assert not found.faults, found.faults
        return await self.registration.enter(found, self.ACTOR)

    async def counts(self, *tables: Any) -> list[int]:
        async with self.rights.store.read() as connection:
            return [
                int((await connection.execute(select(func.count()).select_from(table))).scalar_one())
                for table in tables
            ]


@asynccontextmanager
async def registration_house(folder: Path) -> AsyncIterator[RegistrationHouse]:
    await copy_migrated(folder, RegistrationHouse, RegistrationHouse.load_registration)
    async with await RegistrationHouse.open(folder) as house:
        await house.load_registration()
        yield house


def number(serial: int) -> str:
    """A valid identity number that is nobody's: the area code 000000 does not exist."""
    stem = f"000000{1950 + serial % 60}{serial // 1000 % 12 + 1:02d}{serial % 28 + 1:02d}{serial % 1000:03d}"
    return stem + ric.calc_check_digit(stem + "0")


def person(serial: int, **changes: str) -> dict[str, str]:
    """One row of a village's list."""
    flat = serial // 3
    row = {
        "楼栋": f"{flat % 52 + 1}栋",
        "单元": "",
        "房号": f"{flat // 52 + 101}",
        "姓名": SURNAMES[serial % 16] + GIVEN[serial * 7 % 20] + GIVEN[serial * 3 % 20],
        "身份": "租户",
        "电话": f"1380000{serial % 10000:04d}",
        "身份证号": number(serial),
        "卡号": f"{0x10000000 + serial:08X}",
        "起租日": "2026-01-01",
        "到期日": "2026-12-31",
        "编号": f"P{serial:05d}",
    }
    return row | changes


def as_csv(rows: Sequence[dict[str, str]], encoding: str = "utf-8-sig") -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else HEADINGS)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


def village(people: int, buildings: int = 52) -> list[dict[str, str]]:
    return [
        person(serial, 楼栋=f"{serial // 3 % buildings + 1}栋", 房号=f"{serial // 3 // buildings + 101}")
        for serial in range(people)
    ]


def village_csv(people: int, buildings: int = 52) -> bytes:
    return as_csv(village(people, buildings))
