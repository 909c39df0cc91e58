"""A list of people with their photos' file names and consents, row by row: pure, no picture is opened here.

CSV in UTF-8 (with or without BOM) or GB 18030. Faults name the row as a spreadsheet counts it (the heading is row 1)
and never repeat what stands in a cell: it may be a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from menwei import csvlines
from menwei_face.consent import TEXT_VERSION

LONGEST_FILE = 8 * 1024 * 1024
MOST_ROWS = 50_000
MOST_COLUMNS = 60
MOST_PHOTOS = 12
ENDINGS = frozenset({".jpg", ".jpeg", ".png"})

HEADINGS: Mapping[str, tuple[str, ...]] = {
    "external_id": ("编号", "人员编号", "external id", "id"),
    "name": ("姓名", "name"),
    "photos": ("照片", "照片文件", "photos", "photo", "files"),
    "agreed": ("同意", "本人同意", "consent", "agreed"),
    "given": ("同意日期", "consent date", "date"),
    "under_14": ("未满14周岁", "未满十四周岁", "under 14"),
    "birth_year": ("出生年份", "birth year"),
    "guardian": ("监护人", "监护人姓名", "guardian"),
    "guardian_agreed": ("监护人同意", "guardian consent"),
    "version": ("同意书版本", "text version"),
}
"""Our columns, and what their headings may say; case, spaces and underscores do not matter."""
REQUIRED = ("agreed", "given")
YES = frozenset({"是", "同意", "已同意", "yes", "y", "true", "1", "√", "✓"})
NO = frozenset({"", "否", "不同意", "no", "n", "false", "0", "×"})
_DATE = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")
_BETWEEN = re.compile(r"[;；|,，\n]")


class ListError(Exception):
    """The file as a whole cannot be read: message key with values."""

    def __init__(self, says: str, **values: str) -> None:
        super().__init__(says)
        self.says = says
        self.values = values


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a row cannot be taken: message key with values."""

    says: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One person. `photos` are file names below the folder; empty: those in the folder of the person's number.
    `consent` is what the API takes (`forms.ConsentIn`)."""

    number: int
    external_id: str
    name: str
    photos: tuple[str, ...]
    consent: Mapping[str, Any]
    fault: Fault | None = None


def read(data: bytes) -> tuple[Row, ...]:
    """The rows of a list. A row that cannot be taken has its `fault`. Raises `ListError`."""
    if len(data) > LONGEST_FILE:
        raise ListError("face.list.too_large")
    lines = _lines(data)
    heading = next(lines, None)
    if heading is None:
        raise ListError("face.list.empty")
    places = _columns(heading[1])
    rows: list[Row] = []
    for number, cells in lines:
        row = {name: cells[place].strip() if place < len(cells) else "" for name, place in places.items()}
        if any(row.values()):
            rows.append(_row(number, row))
        if len(rows) > MOST_ROWS:
            raise ListError("face.list.too_many", most=str(MOST_ROWS))
    if not rows:
        raise ListError("face.list.empty")
    return _once(rows)


def _lines(data: bytes) -> Iterator[tuple[int, list[str]]]:
    try:
        for number, cells in csvlines.lines(data):
            if any(cell.strip() for cell in cells):
                yield number, cells
    except csvlines.UnknownEncoding:
        raise ListError("face.list.encoding") from None
    except csvlines.BrokenLine as error:
        raise ListError("face.list.csv", row=str(error.row)) from error


def _columns(cells: list[str]) -> dict[str, int]:
    known = {csvlines.plain(word): name for name, words in HEADINGS.items() for word in (*words, name)}
    places: dict[str, int] = {}
    for place, cell in enumerate(cells[:MOST_COLUMNS]):
        if not cell.strip():
            continue
        name = known.get(csvlines.plain(cell))
        if name is None:
            raise ListError("face.list.unknown_column", column=cell.strip()[:40])
        if name in places:
            raise ListError("face.list.column_twice", column=cell.strip()[:40])
        places[name] = place
    if "external_id" not in places and "name" not in places:
        raise ListError("face.list.missing_column", column=HEADINGS["external_id"][0])
    for name in REQUIRED:
        if name not in places:
            raise ListError("face.list.missing_column", column=HEADINGS[name][0])
    return places


def _row(number: int, cells: Mapping[str, str]) -> Row:
    external_id, name = cells.get("external_id", ""), cells.get("name", "")
    photos = tuple(
        dict.fromkeys(part.strip() for part in _BETWEEN.split(cells.get("photos", "")) if part.strip())
    )
    consent, fault = _consent(cells)
    if not external_id and not name:
        fault = Fault("face.list.nobody")
    elif len(external_id) > 60 or len(name) > 100:
        fault = Fault("face.list.too_long")
    elif not photos and not external_id:
        fault = fault or Fault("face.list.no_photos")
    elif len(photos) > MOST_PHOTOS:
        fault = fault or Fault("face.enrol.too_many", {"most": str(MOST_PHOTOS)})
    return Row(number, external_id, name, photos, consent, fault)


def _consent(cells: Mapping[str, str]) -> tuple[dict[str, Any], Fault | None]:
    """What the row says was agreed to, or why it cannot be understood. Whether it counts is for the rules to say."""
    answers = {name: _yes(cells.get(name, "")) for name in ("agreed", "guardian_agreed", "under_14")}
    for name, answer in answers.items():
        if answer is None:
            return {}, Fault("face.list.yes_no", {"column": HEADINGS[name][0]})
    if not answers["agreed"]:
        return {}, Fault("face.consent.not_agreed")
    given = _day(cells.get("given", ""))
    if given is None:
        return {}, Fault("face.list.day", {"column": HEADINGS["given"][0]})
    said: dict[str, Any] = {"agreed": True, "version": TEXT_VERSION, "given": given.isoformat()}
    for name in ("version", "birth_year"):
        text = cells.get(name, "")
        if text and not (text.isascii() and text.isdigit() and 0 < int(text[:9]) < 10_000):
            return {}, Fault("face.list.number", {"column": HEADINGS[name][0]})
        if text:
            said[name] = int(text)
    if cells.get("under_14", ""):
        said["age"] = "under_14" if answers["under_14"] else "older"
    if cells.get("guardian"):
        said["guardian_name"] = cells["guardian"][:100]
    if answers["guardian_agreed"]:
        said["guardian_agreed"] = True
    return said, None


def _yes(text: str) -> bool | None:
    word = text.casefold()
    return True if word in YES else False if word in NO else None


def _day(text: str) -> date | None:
    match = _DATE.fullmatch(text)
    if match is None:
        return None
    try:
        return date(*(int(part) for part in match.groups()))
    except ValueError:
        return None


def _once(rows: list[Row]) -> tuple[Row, ...]:
    """Somebody who stands in the list twice is taken neither time: which photos are theirs is not for us to guess. One
    file in two rows is refused in both too."""
    people: dict[str, int] = {}
    files: dict[str, int] = {}
    for row in rows:
        who = row.external_id or f"name {row.name}"
        people[who] = people.get(who, 0) + 1
        for photo in row.photos:
            files[photo] = files.get(photo, 0) + 1
    found = []
    for row in rows:
        fault = row.fault
        if people[row.external_id or f"name {row.name}"] > 1:
            fault = fault or Fault("face.list.twice")
        elif any(files[photo] > 1 for photo in row.photos):
            fault = fault or Fault("face.list.photo_twice")
        found.append(Row(row.number, row.external_id, row.name, row.photos, row.consent, fault))
    return tuple(found)


def files_of(folder: Path, row: Row) -> tuple[Path, ...] | Fault:
    """The row's photos, all of which are there, in the folder and nowhere else: a name with ../ or a link that leads
    out of it is none."""
    home = folder.resolve()
    if row.photos:
        files = [folder / name for name in row.photos]
    else:
        own = folder / row.external_id
        if not own.resolve().is_relative_to(home) or not own.is_dir():
            return Fault("face.list.no_photos")
        files = sorted(file for file in own.iterdir() if file.suffix.casefold() in ENDINGS)[: MOST_PHOTOS + 1]
        if len(files) > MOST_PHOTOS:
            return Fault("face.enrol.too_many", {"most": str(MOST_PHOTOS)})
    for file in files:
        if not file.resolve().is_relative_to(home) or not file.is_file():
            return Fault("face.list.no_file", {"file": file.name[:60]})
    return tuple(files) if files else Fault("face.list.no_photos")
