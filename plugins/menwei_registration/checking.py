"""What the cells mean, and everything that is wrong with them, found before anything is written. Pure.

Identity numbers are checked as GB 11643 says (17 digits, a real date, the check character of ISO 7064 MOD 11-2) and
nothing is derived from them. The code of the county is not looked up: people keep the number of counties long gone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from stdnum.cn import ric
from stdnum.exceptions import ValidationError

from menwei import CardFormatError, CredentialIdentifier, is_random, normalise
from menwei.names import clean, half_width
from menwei_registration.sheet import HEADINGS, LONGEST_CELL, Fault, Row, Sheet
from menwei_registration.standing import Places, Standing, Unclear
from menwei_tenancy.bulk import Resident, Room
from menwei_tenancy.terms import Role

ROLES: Mapping[Role, tuple[str, ...]] = {
    Role.LESSEE: ("承租人", "申请人", "主申请人", "租户", "lessee", "tenant", "applicant"),
    Role.CO_APPLICANT: ("共同申请人", "co-applicant"),
    Role.COHABITANT: ("同住人", "cohabitant"),
    Role.CARER: ("照护人", "carer"),
    Role.GUARDIAN: ("监护人", "guardian"),
}
_ROLES = {word: role for role, words in ROLES.items() for word in words}
_DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")
_ZERO_WIDTH = re.compile("[\u200b-\u200d\u2060\ufeff]")
"""Comes with what is pasted from web pages and chats, and is seen by nobody."""
_EXCEL_DIGITS = 15
"""Significant digits a spreadsheet keeps of a number: a longer identity number typed as one is rounded."""
_LIMITS = {
    "building": 30,
    "unit": 20,
    "flat": 30,
    "external_id": 60,
    "household": 60,
    "name": 100,
    "phone": 60,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a person. `number` is their identity number, in memory only."""

    row: int
    resident: Resident
    number: str = ""

    def __repr__(self) -> str:
        return f"Entry({self.row}, …)"


@dataclass(slots=True)
class Checked:
    """A whole file as what it says: rooms, people in the order of the file, and every fault."""

    headings: Mapping[str, str]
    rooms: dict[str, Room] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    """Buildings and units that the house does not have, as people read them."""
    rows: dict[str, int] = field(default_factory=dict)
    """Flat → the first row that names it."""

    def fault(self, row: int, column: str, key: str, /, **values: str) -> None:
        self.faults.append(Fault(f"registration.{key}", row, self.headings.get(column, ""), values))


def check(sheet: Sheet, there: Places = ([], [], [])) -> Checked:
    """What the file says of a house where these places stand. Nothing may be entered while there are faults."""
    found, standing = Checked(sheet.headings), Standing(there)
    for row in sheet.rows:
        _Reading(found, row, standing).read()
    found.new = standing.new
    _check_people(found)
    return found


class _Reading:
    """One row on its way into `Checked`."""

    def __init__(self, found: Checked, row: Row, standing: Standing) -> None:
        self.found = found
        self.row = row
        self.standing = standing

    def read(self) -> None:
        room = self.room()
        if "name" not in self.row.cells:
            for column in ("role", "phone", "id_number", "card", "external_id"):
                if column in self.row.cells:
                    self.found.fault(self.row.number, "name", "name_missing")
                    return
            return
        entry = self.entry(room)
        if entry is not None:
            self.found.entries.append(entry)

    def room(self) -> str:
        building, unit, flat = self.text("building"), self.text("unit"), self.text("flat")
        for column, value in (("building", building), ("flat", flat)):
            if not value:
                self.found.fault(self.row.number, column, "cell_missing")
        if not building or not flat:
            return ""
        try:
            house, stairs, home = self.standing.meant(building, unit, flat)
        except Unclear as unclear:
            self.found.fault(self.row.number, unclear.column, unclear.key, **unclear.values)
            return ""
        landlord = self.text("landlord") or None
        named = self.text("profiles")
        profiles = tuple(dict.fromkeys(re.split(r"[\s,;，；、]+", named))) if named else None
        room = Room(
            house.external_id, house.name, stairs.external_id, stairs.name, home.external_id, home.name, landlord,
            profiles,
        )  # fmt: skip
        before = self.found.rooms.setdefault(room.flat, room)
        self.found.rows.setdefault(room.flat, self.row.number)
        if before != room:
            self.found.fault(self.row.number, "flat", "room_differs", row=str(self.found.rows[room.flat]))
        return room.flat

    def entry(self, flat: str) -> Entry | None:
        faults = len(self.found.faults)
        name, number, role = self.text("name"), self.number(), self.role()
        first, last, until = self.day("first_day"), self.day("last_day"), self.day("until")
        if first is not None and last is not None and last < first:
            self.found.fault(self.row.number, "last_day", "days_reversed")
        card = self.card()
        if card is not None and role is Role.COHABITANT:
            self.found.fault(self.row.number, "card", "cohabitant_card")
        if len(self.found.faults) > faults or not flat:
            return None
        key = self.text("external_id") or (f"number:{number}:{flat}" if number else f"name:{name}:{flat}")
        resident = Resident(
            key,
            self.text("household") or flat,
            flat,
            role,
            name,
            self.text("phone"),
            first,
            last,
            until,
            card,
            number,
        )
        return Entry(self.row.number, resident, number)

    # ------------------------------------------------------------------------------------------------------- cells

    def text(self, column: str) -> str:
        """What stands in a cell, with single spaces, in half width (１ is 1). A name keeps the width of its signs, and is
        as the desk would keep it."""
        cell = self.row.cells.get(column, "")
        said = str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
        said = _ZERO_WIDTH.sub("", said)
        text = " ".join((said if column == "name" else half_width(said)).split())
        if column == "name" and text.isprintable():
            text = clean(text)
        if len(text) > _LIMITS.get(column, LONGEST_CELL) or not text.isprintable():
            self.found.fault(self.row.number, column, "cell_too_long")
            return ""
        return text

    def role(self) -> Role:
        if "role" not in self.found.headings:
            return Role.LESSEE
        role = _ROLES.get(self.text("role").casefold())
        if role is None:
            self.found.fault(
                self.row.number, "role", "role_unknown", known="、".join(words[0] for words in ROLES.values())
            )
        return role or Role.LESSEE

    def number(self) -> str:
        cell = self.row.cells.get("id_number")
        if isinstance(cell, int | float) and len(f"{cell:.0f}") > _EXCEL_DIGITS:
            self.found.fault(self.row.number, "id_number", "number_rounded")
            return ""
        text = self.text("id_number").replace(" ", "").upper()
        if text and not valid_number(text):
            self.found.fault(self.row.number, "id_number", "number_invalid")
            return ""
        return text

    def day(self, column: str) -> date | None:
        cell = self.row.cells.get(column)
        if cell is None:
            return None
        if isinstance(cell, datetime):
            return cell.date()
        if isinstance(cell, date):
            return cell
        try:
            if isinstance(
                cell, int | float
            ):  # a workbook's serial number of a day that was formatted as a number
                return date(1899, 12, 30) + timedelta(days=int(cell))
            match = _DAY.fullmatch(half_width(cell))
            if match:
                return date(*(int(part) for part in match.groups()))
        except (ValueError, OverflowError):
            pass  # no such day: the same fault as what is no day at all
        self.found.fault(self.row.number, column, "day_invalid")
        return None

    def card(self) -> CredentialIdentifier | None:
        text = self.text("card")
        if not text:
            return None
        try:
            card = normalise(self.text("card_format") or "uid", text)
        except CardFormatError as error:
            self.found.faults.append(
                Fault(error.key, self.row.number, self.found.headings["card"], error.values)
            )
            return None
        if is_random(card):
            self.found.faults.append(Fault("card.random", self.row.number, self.found.headings["card"]))
            return None
        return card


def _check_people(found: Checked) -> None:
    """What only shows when rows are compared."""
    keys: dict[str, int] = {}
    cards: dict[CredentialIdentifier, int] = {}
    homes: dict[str, Entry] = {}
    for entry in found.entries:
        one = entry.resident
        if one.key in keys:
            column = "external_id" if "external_id" in found.headings else "name"
            found.fault(entry.row, column, "person_twice", row=str(keys[one.key]))
        keys.setdefault(one.key, entry.row)
        if one.card is not None:
            if one.card in cards:
                found.fault(entry.row, "card", "card_twice", row=str(cards[one.card]))
            cards.setdefault(one.card, entry.row)
        first = homes.setdefault(one.household, entry)
        lease, other = (one.flat, one.first_day, one.last_day), first.resident
        if lease != (other.flat, other.first_day, other.last_day):
            column = "household" if "household" in found.headings else "last_day"
            found.fault(entry.row, column, "lease_differs", row=str(first.row))


def valid_number(text: str) -> bool:
    """Whether this is an identity number as GB 11643 makes them, upper case."""
    if not (
        len(text) == 18 and text.isascii() and text[:17].isdigit() and (text[17].isdigit() or text[17] == "X")
    ):
        return False
    try:
        ric.get_birth_date(text)
    except ValidationError:
        return False
    return bool(ric.calc_check_digit(text) == text[-1])


__all__ = ["HEADINGS", "ROLES", "Checked", "Entry", "check", "valid_number"]
