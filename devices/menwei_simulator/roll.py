"""The roll of the village: 2,449 people in 52 houses of many landlords, as a committee keeps them in a spreadsheet.

All of them are made up: the same ones each time, with identity numbers whose county code (990000) was never given out
and chip numbers that no card has.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

PEOPLE, HOUSES, LANDLORDS = 2_449, 52, 31
FLOORS, ROOMS = 6, 5
"""Of one house."""
HEADINGS = (
    "楼栋", "房号", "房东", "权限组", "姓名", "身份", "身份证号", "卡号", "卡号格式", "到期日", "编号",
)  # fmt: skip
SURNAMES = (
    "李王张刘陈杨黄赵吴周徐孙马朱胡林郭何高罗郑梁谢宋唐许邓冯韩曹曾彭萧蔡潘田董袁于余叶蒋杜苏魏程吕丁沈任"
)
GIVEN = (
    "建华",
    "秀兰",
    "志强",
    "玉梅",
    "海燕",
    "国庆",
    "小红",
    "文斌",
    "丽萍",
    "永福",
    "春花",
    "家豪",
    "美玲",
    "少杰",
    "彩霞",
    "振宇",
    "凤英",
)
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
"""Of the 17 digits before the check character (GB 11643-1999, ISO 7064 MOD 11-2)."""


@dataclass(frozen=True, slots=True)
class Villager:
    """One row. `chip` is their ID card's, 16 hex digits; `key` the roll's own number of them."""

    key: str
    house: int
    room: str
    name: str
    role: str
    number: str
    chip: str

    @property
    def flat(self) -> str:
        """The room's external id, as the import makes it of house and room."""
        return f"{self.house}-{self.room}"


def landlord_of(house: int) -> int:
    """Some landlords have two houses."""
    return (house - 1) % LANDLORDS + 1


def villagers() -> Iterator[Villager]:
    """Everybody, house by house: one to three in a room until all are placed."""
    rooms = itertools.cycle(
        (house, f"{floor}0{room}")
        for floor in range(1, FLOORS + 1)
        for room in range(1, ROOMS + 1)
        for house in range(1, HOUSES + 1)
    )
    most = HOUSES * FLOORS * ROOMS
    for serial, (house, room) in zip(range(PEOPLE), rooms, strict=False):
        once_more = serial // most  # the second and third of a room
        name = SURNAMES[serial * 7 % len(SURNAMES)] + GIVEN[(serial + 5 * once_more) % len(GIVEN)]
        role = "共同申请人" if once_more else "承租人"
        chip = f"3C0E{serial:04X}5A{serial % 251:02X}7F01"
        yield Villager(f"V{serial + 1:04d}", house, room, name, role, _number(serial), chip)


def table(until: date) -> bytes:
    """The spreadsheet as CSV with a byte order mark, as office programs write it; every lease runs until that day."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(HEADINGS)
    for one in sorted(villagers(), key=lambda one: (one.house, one.room, one.key)):
        landlord, profile = f"L{landlord_of(one.house):02d}", f"house-{one.house:02d}"
        card = (one.chip, "idcard")
        writer.writerow(
            [one.house, one.room, landlord, profile, one.name, one.role, one.number, *card, until, one.key]
        )
    return text.getvalue().encode("utf-8-sig")


def _number(serial: int) -> str:
    stem = f"990000{1950 + serial % 55}{serial % 12 + 1:02d}{serial % 28 + 1:02d}{serial % 1000:03d}"
    rest = sum(int(digit) * weight for digit, weight in zip(stem, WEIGHTS, strict=True)) % 11
    return stem + "10X98765432"[rest]
