"""CSV as spreadsheet programs write it: UTF-8 with or without BOM, GB 18030; commas, semicolons or tabs. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

ENCODINGS = ("utf-8-sig", "gb18030")
DELIMITERS = (",", ";", "\t", "，")


class UnknownEncoding(ValueError):
    """The bytes are text in none of `ENCODINGS`."""


class BrokenLine(ValueError):
    """From line `row` on this is no CSV: a quotation mark that does not end, say."""

    def __init__(self, row: int) -> None:
        super().__init__(f"line {row}")
        self.row = row


def lines(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """Each row with its number as a spreadsheet program counts it, from 1; the delimiter is the commonest of the first
    line. Raises `UnknownEncoding` and `BrokenLine`, not before the first row is asked for."""
    text = _decoded(data)
    head = text.split("\n", 1)[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=max(DELIMITERS, key=head.count), strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise BrokenLine(reader.line_num) from error
        yield number, cells


def plain(heading: str) -> str:
    """A heading without case, spaces, underscores and the asterisk of a required column: what is compared."""
    return "".join(heading.casefold().replace("_", " ").replace("*", " ").split())


def _decoded(data: bytes) -> str:
    for encoding in ENCODINGS:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise UnknownEncoding("neither UTF-8 nor GB 18030")


__all__ = ["BrokenLine", "UnknownEncoding", "lines", "plain"]
