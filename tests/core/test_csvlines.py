"""CSV files as spreadsheet programs write them."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menwei.csvlines import BrokenLine, UnknownEncoding, lines, plain

TEXT = "姓名,房号\n林晓,302\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_file_is_read_in_the_encodings_of_spreadsheet_programs(encoding: str) -> None:
    assert list(lines(TEXT.encode(encoding))) == [(1, ["姓名", "房号"]), (2, ["林晓", "302"])]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "，"])
def test_the_commonest_delimiter_of_the_first_line_is_the_files(delimiter: str) -> None:
    assert [cells for _, cells in lines(f"a{delimiter}b\n1{delimiter}2\n".encode())] == [
        ["a", "b"],
        ["1", "2"],
    ]


def test_a_row_of_several_lines_is_counted_as_the_program_counts_its_first() -> None:
    assert [number for number, _ in lines(b'a,b\n"1\n2",3\n4,5\n')] == [1, 2, 4]


def test_what_is_text_in_no_encoding_and_what_is_no_csv_is_told_apart() -> None:
    with pytest.raises(UnknownEncoding):
        list(lines(b"\xff\x00\x01"))
    with pytest.raises(BrokenLine) as error:
        list(lines(b'a,b\n"open'))
    assert error.value.row == 2


def test_headings_are_compared_without_case_space_underscore_and_asterisk() -> None:
    assert plain("External_ID *") == plain("external id") == "externalid"


@given(st.binary(max_size=400))
def test_any_bytes_are_rows_or_one_of_the_two_errors(data: bytes) -> None:
    with suppress(UnknownEncoding, BrokenLine):
        assert all(isinstance(cells, list) for _, cells in lines(data))
