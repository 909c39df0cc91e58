"""A file of rows, xlsx or CSV, as columns we know: pure, and called in a thread. What a cell means is `checking.py`'s.

Faults name the row as the spreadsheet program counts it (the heading is row 1) and the heading as it is written there.
They never repeat what stands in a cell: it may be a name or a number.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from menwei import csvlines

LONGEST_FILE = 32 * 1024 * 1024
LARGEST_UNPACKED = 256 * 1024 * 1024
"""Bytes that a workbook may unpack to: a few kilobytes of zip can be a thousand times as large."""
MOST_ROWS = 50_000
MOST_COLUMNS = 60
LONGEST_CELL = 200

HEADINGS: Mapping[str, tuple[str, ...]] = {
    "building": ("楼栋", "楼号", "楼", "building"),
    "unit": ("单元", "unit"),
    "flat": ("房号", "房间", "房屋", "flat", "room"),
    "landlord": ("房东", "房东编号", "landlord"),
    "profiles": ("权限组", "单元权限组", "profiles", "unit profiles"),
    "name": ("姓名", "name"),
    "role": ("身份", "角色", "role"),
    "phone": ("电话", "手机", "手机号", "phone"),
    "id_number": ("身份证号", "身份证号码", "证件号码", "id number"),
    "card": ("卡号", "card"),
    "card_format": ("卡号格式", "卡格式", "card format"),
    "first_day": ("起租日", "起始日期", "租期自", "first day", "from"),
    "last_day": ("到期日", "截止日期", "租期至", "last day", "to"),
    "until": ("本人截止日", "until"),
    "external_id": ("编号", "人员编号", "external id", "id"),
    "household": ("合同号", "户号", "contract", "household"),
}
"""Our columns, and what their headings may say; case, spaces and underscores do not matter."""
REQUIRED = ("building", "flat")
Cell = str | int | float | date | datetime


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that must be mended before anything is imported: message key with values, row (0: the whole file) and
    the heading of the column."""

    key: str
    row: int = 0
    column: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


class SheetError(Exception):
    """The file as a whole cannot be read."""

    def __init__(self, key: str, **values: str) -> None:
        super().__init__(key)
        self.fault = Fault(key, values=values)


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number, and what stands in the columns we know, empty cells left out."""

    number: int
    cells: Mapping[str, Cell]


@dataclass(frozen=True, slots=True)
class Sheet:
    """`headings` are the file's own words for our columns."""

    headings: Mapping[str, str]
    rows: tuple[Row, ...]


def read(data: bytes) -> Sheet:
    """The rows of an xlsx workbook's first sheet or of a CSV file in UTF-8 (with or without BOM) or GB 18030. Raises
    `SheetError`."""
    if len(data) > LONGEST_FILE:
        raise SheetError("registration.file.too_large")
    table = _workbook(data) if data.startswith(b"PK\x03\x04") else _csv(data)
    return _sheet(table)


def _sheet(table: Iterable[tuple[int, Sequence[Any]]]) -> Sheet:
    lines = iter(table)
    heading = next(((number, cells) for number, cells in lines if any(map(_filled, cells))), None)
    if heading is None:
        raise SheetError("registration.file.empty")
    places, headings = _columns(heading[1])
    rows = []
    for number, cells in lines:
        found = {
            name: cell
            for name, place in places.items()
            if place < len(cells) and (cell := _cell(cells[place])) is not None
        }
        if found:
            rows.append(Row(number, found))
        if len(rows) > MOST_ROWS:
            raise SheetError("registration.file.too_many_rows", most=str(MOST_ROWS))
    if not rows:
        raise SheetError("registration.file.empty")
    return Sheet(headings, tuple(rows))


def _columns(cells: Sequence[Any]) -> tuple[dict[str, int], dict[str, str]]:
    known = {csvlines.plain(word): name for name, words in HEADINGS.items() for word in (*words, name)}
    places: dict[str, int] = {}
    headings: dict[str, str] = {}
    for place, cell in enumerate(cells[:MOST_COLUMNS]):
        text = str(cell or "").strip()
        name = known.get(csvlines.plain(text))
        if not text:
            continue
        if name is None:
            raise SheetError("registration.column.unknown", column=text[:40])
        if name in places:
            raise SheetError("registration.column.twice", column=text[:40])
        places[name], headings[name] = place, text
    for name in REQUIRED:
        if name not in places:
            raise SheetError("registration.column.missing", column=" / ".join(HEADINGS[name]))
    return places, headings


def _filled(cell: Any) -> bool:
    return cell is not None and str(cell).strip() != ""


def _cell(cell: Any) -> Cell | None:
    if isinstance(cell, int | float | date | datetime) and not isinstance(cell, bool):
        return cell
    text = str(cell).strip() if cell is not None else ""
    return text or None


def _csv(data: bytes) -> Iterator[tuple[int, list[str]]]:
    try:
        yield from csvlines.lines(data)
    except csvlines.UnknownEncoding:
        raise SheetError("registration.file.encoding") from None
    except csvlines.BrokenLine as error:
        raise SheetError("registration.file.csv", row=str(error.row)) from error


def _workbook(data: bytes) -> Iterator[tuple[int, Sequence[Any]]]:
    try:
        from openpyxl import load_workbook
    except ModuleNotFoundError:
        raise SheetError("registration.file.no_openpyxl") from None
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            if sum(part.file_size for part in packed.infolist()) > LARGEST_UNPACKED:
                raise SheetError("registration.file.too_large")
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
        rows = [
            tuple(row)
            for row in book.worksheets[0].iter_rows(
                max_col=MOST_COLUMNS, max_row=MOST_ROWS + 2, values_only=True
            )
        ]
    except SheetError:
        raise
    except Exception as error:  # whatever a damaged or hostile workbook makes of openpyxl is one sentence
        raise SheetError("registration.file.xlsx", error=type(error).__name__) from error
    return iter(list(enumerate(rows, 1)))
