"""A list of people with photos and consents: what its rows say, and why one is not taken."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from menwei.messages import LANGUAGES, Catalogue
from menwei_face import bulk
from menwei_face.bulk import Fault, ListError, Row, files_of, read
from menwei_face.consent import TEXT_VERSION

PERSON = {
    "编号": "P01",
    "姓名": "林晓",
    "照片": "a.jpg;b.jpg；c.jpg",
    "同意": "是",
    "同意日期": "2026-03-01",
    "未满14周岁": "否",
}


def table(*rows, encoding="utf-8-sig", delimiter=","):
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode(encoding)


def only(**changes):
    (row,) = read(table(PERSON | changes))
    return row


def fault(**changes):
    found = only(**changes).fault
    return found.says if found is not None else None


@pytest.mark.parametrize(("encoding", "delimiter"), [("utf-8-sig", ","), ("utf-8", ";"), ("gb18030", "\t")])
def test_a_list_is_read_as_spreadsheet_programs_write_it(encoding, delimiter):
    (row,) = read(table(PERSON, encoding=encoding, delimiter=delimiter))
    assert (row.number, row.external_id, row.photos) == (2, "P01", ("a.jpg", "b.jpg", "c.jpg"))
    said = {"agreed": True, "version": TEXT_VERSION, "given": "2026-03-01", "age": "older"}
    assert (row.consent, row.fault) == (said, None)


def test_a_childs_row_names_the_guardian():
    row = only(未满14周岁="是", 监护人="林父", 监护人同意="是", 出生年份="2015")
    assert (row.consent["age"], row.consent["guardian_name"], row.consent["guardian_agreed"]) == (
        "under_14",
        "林父",
        True,
    )
    assert row.consent["birth_year"] == 2015


@pytest.mark.parametrize(("changes", "says"), [
    ({"同意": "否"}, "face.consent.not_agreed"), ({"同意": ""}, "face.consent.not_agreed"),
    ({"同意": "maybe"}, "face.list.yes_no"), ({"未满14周岁": "13"}, "face.list.yes_no"),
    ({"同意日期": ""}, "face.list.day"), ({"同意日期": "2026-02-30"}, "face.list.day"), ({"同意日期": "soon"}, "face.list.day"),
    ({"编号": "", "姓名": ""}, "face.list.nobody"), ({"编号": "x" * 61}, "face.list.too_long"),
    ({"编号": "", "照片": ""}, "face.list.no_photos"), ({"照片": ";".join(map(str, range(13)))}, "face.enrol.too_many"),
    ({"出生年份": "MCMXC"}, "face.list.number"), ({"出生年份": "0"}, "face.list.number"),
])  # fmt: skip
def test_a_row_that_lacks_something_says_what(changes, says):
    assert fault(**changes) == says


@pytest.mark.parametrize("day", ["2026-3-1", "2026/03/01", "2026.3.1", "2026年3月1日"])
def test_a_day_may_be_written_in_several_ways(day):
    assert only(同意日期=day).consent["given"] == "2026-03-01"


def test_who_stands_there_twice_and_a_file_of_two_rows_are_taken_neither_time():
    rows = read(table(PERSON, PERSON | {"照片": "d.jpg"}, PERSON | {"编号": "P02", "照片": "a.jpg"}))
    assert [row.fault.says for row in rows] == ["face.list.twice", "face.list.twice", "face.list.photo_twice"]


@pytest.mark.parametrize(("data", "says"), [
    (b"", "face.list.empty"), ("编号,同意,同意日期\n".encode(), "face.list.empty"),
    ("编号,照片\nP01,a.jpg\n".encode(), "face.list.missing_column"),
    ("照片,同意,同意日期\na.jpg,是,2026-03-01\n".encode(), "face.list.missing_column"),
    ("编号,身高,同意,同意日期\n".encode(), "face.list.unknown_column"),
    ("编号,人员编号,同意,同意日期\n".encode(), "face.list.column_twice"),
    (b"\xff\xfe\x00\x01", "face.list.encoding"), (b"x" * (bulk.LONGEST_FILE + 1), "face.list.too_large"),
    ('编号,同意,同意日期\n"P01,是'.encode(), "face.list.csv"),
])  # fmt: skip
def test_a_file_that_is_no_list_is_refused_as_a_whole(data, says):
    with pytest.raises(ListError) as caught:
        read(data)
    assert caught.value.says == says


# --------------------------------------------------------------------------------------------------------------- files


def row(*photos, external_id="P01"):
    return Row(2, external_id, "", photos, {})


def test_photos_are_those_that_are_named_or_those_in_the_folder_of_the_number(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "P01").mkdir()
    for name in ("2.JPG", "1.png", "notes.txt"):
        (tmp_path / "P01" / name).write_bytes(b"x")
    assert files_of(tmp_path, row("a.jpg")) == (tmp_path / "a.jpg",)
    assert [file.name for file in files_of(tmp_path, row())] == ["1.png", "2.JPG"]
    assert files_of(tmp_path, row("a.jpg", "b.jpg")) == Fault("face.list.no_file", {"file": "b.jpg"})
    assert files_of(tmp_path, row(external_id="P02")) == Fault("face.list.no_photos")


def test_no_name_and_no_link_leads_out_of_the_folder(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"x")
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "P09").symlink_to(tmp_path)
    for name in ("../secret.jpg", str(tmp_path / "secret.jpg"), "link.jpg"):
        assert isinstance(files_of(folder, row(name)), Fault), name
    assert isinstance(files_of(folder, row(external_id="..")), Fault)
    assert isinstance(files_of(folder, row(external_id="P09")), Fault)


# ---------------------------------------------------------------------------------------------------------------- fuzz


cells = st.text(max_size=12) | st.sampled_from(
    ["是", "no", "2026-03-01", "../x", "0", "\x00", '"', "a.jpg;b.jpg"]
)
headings = st.lists(
    st.sampled_from([*PERSON, "监护人", "监护人同意", "出生年份", "同意书版本", "?"]),
    min_size=1,
    max_size=9,
    unique=True,
)


@given(data=st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
@example(data="编号,同意,同意日期\n,,\n".encode())
def test_any_bytes_are_a_list_or_are_refused_with_a_sentence(data):
    check(data)


@given(headings, st.lists(st.lists(cells, min_size=9, max_size=9), max_size=4))
def test_any_table_is_a_list_or_is_refused_with_a_sentence(columns, rows):
    check(table(*(dict(zip(columns, row, strict=False)) for row in (rows or [[""] * 9]))))


def check(data):
    texts = Catalogue.of_package("menwei_face").texts
    try:
        rows = read(data)
    except ListError as error:
        assert all(error.says in texts[language] for language in LANGUAGES)
        return
    for row in rows:
        if row.fault is not None:
            assert all(row.fault.says in texts[language] for language in LANGUAGES)
            continue
        assert row.external_id or row.name
        assert row.consent["agreed"] is True
        assert row.consent["given"]
