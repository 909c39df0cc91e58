"""Files of rows: what is read, and what is wrong, by row and column. No file makes more of it than a sentence."""

from __future__ import annotations

import io
import zipfile
from datetime import date, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from openpyxl import Workbook

from menwei_registration import sheet
from menwei_registration.checking import Checked, Entry, check, valid_number
from menwei_registration.likeness import likely, similar
from menwei_registration.sheet import SheetError, read
from menwei_registration.standing import Place
from menwei_tenancy.bulk import Resident, Room
from menwei_tenancy.terms import Role
from registration_house import as_csv, number, person


def book(*rows) -> bytes:
    made, out = Workbook(), io.BytesIO()
    for row in rows:
        made.active.append(row)
    made.save(out)
    return out.getvalue()


def checked(*rows: dict[str, str]) -> Checked:
    return check(read(as_csv(list(rows))))


def faults(*rows: dict[str, str]) -> list[tuple[int, str, str]]:
    return [
        (fault.row, fault.column, fault.key.removeprefix("registration.")) for fault in checked(*rows).faults
    ]


def refused(data: bytes) -> str:
    with pytest.raises(SheetError) as told:
        read(data)
    return told.value.fault.key.removeprefix("registration.")


class TestFiles:
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
    def test_csv_in_the_encodings_of_spreadsheet_programs(self, encoding):
        (entry,) = check(read(as_csv([person(1, 姓名="林晓䶮")], encoding))).entries
        assert entry.resident.name == "林晓䶮"

    @pytest.mark.parametrize("delimiter", [";", "\t"])
    def test_csv_with_other_delimiters(self, delimiter):
        data = as_csv([person(1)]).decode("utf-8").replace(",", delimiter).encode()
        assert len(check(read(data)).entries) == 1

    def test_a_workbook_with_real_dates_and_numbers(self):
        sheet = read(
            book(
                ["楼栋", "房号", "姓名", "起租日", "到期日", "卡号"],
                [
                    "1栋",
                    302,
                    "林晓",
                    datetime(2026, 1, 1),  # noqa: DTZ001  as workbooks have them
                    "2026年6月30日",
                    12345678,
                ],
            )
        )
        found = check(sheet)
        (entry,) = found.entries
        assert found.faults == []
        assert (entry.resident.flat, entry.row) == ("1栋-302", 2)
        assert (entry.resident.first_day, entry.resident.last_day) == (date(2026, 1, 1), date(2026, 6, 30))
        assert entry.resident.card is not None
        assert entry.resident.card.value == "12345678"

    def test_headings_in_english_with_other_case_and_spaces(self):
        sheet = read(b"Building,ROOM,Name,ID_Number\nB1,302,Lin,\n")
        assert set(sheet.headings) == {"building", "flat", "name", "id_number"}

    def test_empty_rows_count_as_rows_and_nothing_else(self):
        data = "楼栋,房号,姓名\n\n1栋,302,林晓\n,,\n1栋,303,\n".encode()
        assert [row.number for row in read(data).rows] == [3, 5]

    def test_an_unknown_column_is_refused_by_its_name(self):
        with pytest.raises(SheetError) as told:
            read("楼栋,房号,姓明\n".encode())
        assert (told.value.fault.key, told.value.fault.values) == (
            "registration.column.unknown",
            {"column": "姓明"},
        )

    @pytest.mark.parametrize(("data", "key"), [
        (b"", "file.empty"),
        ("楼栋,房号\n".encode(), "file.empty"),
        ("楼栋,姓名\n1,林\n".encode(), "column.missing"),
        ("楼栋,房号,房间\n1,2,3\n".encode(), "column.twice"),
        ('楼栋,房号\n1,"2\n'.encode(), "file.csv"),
        (b"\x00\xff\xfe\x00", "file.encoding"),
        (b"PK\x03\x04 no workbook", "file.xlsx"),
    ])  # fmt: skip
    def test_what_is_no_list_is_one_sentence(self, data, key):
        assert refused(data) == key

    def test_a_workbook_that_unpacks_to_far_more_is_not_unpacked(self, monkeypatch):
        monkeypatch.setattr(sheet, "LARGEST_UNPACKED", 4_000_000)
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("xl/worksheets/sheet1.xml", b"0" * 4_000_001)
        assert len(out.getvalue()) < 100_000
        assert refused(out.getvalue()) == "file.too_large"

    @given(st.binary(max_size=400))
    @example(b"PK\x03\x04")
    @example('楼栋,房号\n"'.encode())
    def test_any_bytes_are_read_or_refused(self, data):
        try:
            check(read(data))
        except SheetError as error:
            assert error.fault.key.startswith("registration.")

    @given(st.lists(st.lists(st.text(max_size=12), min_size=11, max_size=11), min_size=1, max_size=5))
    def test_any_cells_become_people_or_faults(self, rows):
        keys = list(person(1))
        table = [dict(zip(keys, ["1栋", *cells[1:]], strict=True)) for cells in rows]
        try:
            found = check(read(as_csv(table)))
        except SheetError as error:
            assert error.fault.key.startswith("registration.file.")
            return
        assert all(fault.key for fault in found.faults)
        assert len(found.entries) <= len(rows)


class TestRows:
    def test_a_good_row_is_a_room_and_a_person(self):
        found = checked(person(1, 单元="2", 房号="302"))
        (room,), (entry,) = found.rooms.values(), found.entries
        assert (room.building, room.unit, room.flat) == ("1栋", "1栋-2", "1栋-2-302")
        assert entry.resident.role is Role.LESSEE
        assert entry.number == number(1)
        assert found.faults == []

    def test_a_row_without_a_person_is_a_room(self):
        found = checked({"楼栋": "1栋", "房号": "302", "姓名": ""})
        assert (len(found.rooms), found.entries, found.faults) == (1, [], [])

    @pytest.mark.parametrize(("column", "cell", "key"), [
        ("楼栋", "", "cell_missing"),
        ("姓名", "", "name_missing"),
        ("姓名", "林" * 101, "cell_too_long"),
        ("姓名", "林\u202e晓", "cell_too_long"),
        ("身份", "朋友", "role_unknown"),
        ("身份", "", "role_unknown"),
        ("身份证号", "11010519491231002", "number_invalid"),
        ("身份证号", "110105194912310021", "number_invalid"),
        ("身份证号", "110105194913310028", "number_invalid"),
        ("到期日", "31.12.2026", "day_invalid"),
        ("到期日", "2026-02-30", "day_invalid"),
        ("到期日", "2025-12-31", "days_reversed"),
        ("卡号", "12 34 ZZ", "card.format_uid"),
        ("卡号", "08A1B2C3", "card.random"),
    ])  # fmt: skip
    def test_a_wrong_cell_is_named_by_row_and_column(self, column, cell, key):
        assert faults(person(1), person(4, **{column: cell})) == [(3, column, key)]

    def test_every_fault_of_the_file_is_found_not_only_the_first(self):
        assert faults(person(1, 身份="?", 到期日="?"), person(4, 卡号="?")) == [
            (2, "身份", "role_unknown"), (2, "到期日", "day_invalid"), (3, "卡号", "card.format_uid"),
        ]  # fmt: skip

    def test_a_number_that_the_spreadsheet_has_rounded_is_told_as_that(self):
        sheet = read(book(["楼栋", "房号", "姓名", "身份证号"], ["1栋", "302", "林", 110105194912310030]))
        assert [fault.key for fault in check(sheet).faults] == ["registration.number_rounded"]

    def test_a_cohabitants_card_cannot_be_imported(self):
        assert faults(person(1, 身份="同住人")) == [(2, "卡号", "cohabitant_card")]
        assert faults(person(1, 身份="同住人", 卡号="")) == []

    def test_no_fault_repeats_what_stands_in_a_cell(self):
        found = checked(
            person(1, 姓名="林\t晓", 身份证号="110105194912310021", 卡号="SECRET99", 到期日="秘密")
        )
        assert not any(word in repr(found.faults) for word in ("林", "11010", "SECRET", "秘密"))

    @pytest.mark.parametrize("typed", ["张　三", "张 三", " 张\u200b三 ", "\ufeff张三"])
    def test_a_name_padded_for_looks_is_the_name(self, typed):
        (entry,) = checked(person(1, 姓名=typed)).entries
        assert entry.resident.name == "张三"

    def test_names_of_several_words_keep_their_spaces(self):
        (entry,) = checked(person(1, 姓名="Anna  Lee")).entries
        assert entry.resident.name == "Anna Lee"

    def test_numbers_in_full_width_are_the_numbers(self):
        wide = {
            "身份证号": "１１０１０５１９４９１２３１００２Ｘ", "单元": "１单元", "房号": "２０１室", "编号": "Ｐ－１",
            "到期日": "２０２６／１２／３１",
        }  # fmt: skip
        found = checked(person(1, **wide))
        (entry,) = found.entries
        assert found.faults == []
        assert (entry.number, entry.resident.key) == ("11010519491231002X", "P-1")
        assert entry.resident.flat == "1栋-1单元-201室"
        assert entry.resident.last_day == date(2026, 12, 31)


class TestPlacesOfTheHouse:
    """What stands: building B1 called 1号楼 with units 1单元 and 2单元, building V17 with one unit."""

    there = (
        [Place("B1", "1号楼"), Place("V17", "17栋")],
        [Place("B1-1", "1单元", "B1"), Place("B1-2", "2单元", "B1"), Place("V17-0", "全栋", "V17")],
        [Place("B1-1-102", "102室", "B1-1"), Place("V17-0-501", "501房", "V17-0")],
    )

    def look(self, *rows: tuple[str, str, str]) -> Checked:
        lines = [{"楼栋": building, "单元": unit, "房号": flat} for building, unit, flat in rows]
        return check(read(as_csv(lines)), self.there)

    @pytest.mark.parametrize("row", [
        ("1号楼", "1单元", "102室"), ("B1", "B1-1", "B1-1-102"), ("B1", "1", "102"), ("１号楼", "１单元", "１０２室"),
        ("1 号楼", "1 单元", "102 室"),
    ])  # fmt: skip
    def test_a_place_that_stands_is_meant_by_its_name_or_its_number(self, row):
        found = self.look(row)
        assert found.faults == []
        assert list(found.rooms.values()) == [Room("B1", "1号楼", "B1-1", "1单元", "B1-1-102", "102室")]

    def test_what_is_new_in_a_building_that_stands_is_made_in_it(self):
        (flat, unit) = self.look(("1号楼", "1单元", "103室"), ("1号楼", "3单元", "101室")).rooms.values()
        assert (flat.unit, flat.flat) == ("B1-1", "B1-1-103室")
        assert (unit.building, unit.unit, unit.flat) == ("B1", "B1-3单元", "B1-3单元-101室")

    def test_the_buildings_and_units_a_list_adds_are_told(self):
        rows = [
            ("1号楼", "1单元", "103室"),
            ("1号楼", "3单元", "101室"),
            ("2号楼", "", "1"),
            ("2号楼", "", "2"),
        ]
        assert self.look(*rows).new == ["1号楼 3单元", "2号楼"]

    def test_the_only_unit_of_a_building_need_not_be_named(self):
        (room,) = self.look(("17栋", "", "501房")).rooms.values()
        assert (room.unit, room.unit_name, room.flat) == ("V17-0", "全栋", "V17-0-501")

    def test_of_several_units_the_row_says_which(self):
        (fault,) = self.look(("1号楼", "", "102室")).faults
        assert (fault.row, fault.column, fault.key) == (2, "单元", "registration.unit_missing")
        assert fault.values == {"names": "1单元、2单元"}

    def test_a_name_of_two_places_is_refused_with_their_numbers(self):
        twice = ([*self.there[0], Place("1号楼", "1号楼")], *self.there[1:])
        lines = as_csv([{"楼栋": "1号楼", "单元": "1单元", "房号": "102室"}])
        (fault,) = check(read(lines), twice).faults
        assert (fault.row, fault.column, fault.key) == (2, "楼栋", "registration.place_unclear")
        assert fault.values == {"numbers": "1号楼、B1"}

    def test_a_new_place_never_takes_the_number_of_another(self):
        elsewhere = (self.there[0], self.there[1], [*self.there[2], Place("B1-1-103", "301室", "B1-2")])
        (fault,) = check(read(as_csv([{"楼栋": "B1", "单元": "1", "房号": "103"}])), elsewhere).faults
        assert (fault.column, fault.key) == ("房号", "registration.place_elsewhere")

    def test_one_new_place_spelled_in_two_ways_is_one(self):
        found = self.look(("2号楼", "A座", "101"), ("２ 号楼", "a座", "101"))
        assert (len(found.rooms), found.faults) == (1, [])


class TestRowsTogether:
    def test_one_person_in_two_rows(self):
        assert faults(person(1), person(1, 卡号="")) == [(3, "编号", "person_twice")]

    def test_two_people_of_one_name_need_numbers(self):
        plain = {"编号": "", "身份证号": "", "卡号": ""}
        assert faults(person(1, **plain), person(1, **plain)) == [(3, "编号", "person_twice")]

    def test_one_card_in_two_rows(self):
        assert faults(person(1), person(4, 卡号=person(1)["卡号"])) == [(3, "卡号", "card_twice")]

    def test_two_leases_of_one_household(self):
        assert faults(person(0), person(1, 到期日="2026-06-30")) == [(3, "到期日", "lease_differs")]

    def test_a_room_that_says_two_things(self):
        rows = [person(0) | {"房东": "A"}, person(1) | {"房东": "B"}]
        assert faults(*rows) == [(3, "房号", "room_differs")]


def entry(row: int, name: str, id_number: str = "", flat: str = "302") -> Entry:
    return Entry(row, Resident(f"k{row}", flat, flat, Role.LESSEE, name), id_number)


class TestLikeness:
    @pytest.mark.parametrize(("one", "other"), [
        ("张伟", "张玮"), ("欧阳 修", "欧阳修"), ("Anna Lee", "Lee Anna"), ("Ahmed Hassan", "Ahmad Hassan"),
    ])  # fmt: skip
    def test_names_that_may_be_one_person(self, one, other):
        (found,) = likely([entry(2, one), entry(3, other)], {}, {})
        assert (found.key, found.row, found.other) == ("registration.likely.name", 3, 2)

    @pytest.mark.parametrize(
        ("one", "other"), [("张三", "张四"), ("林晓", "林晓东"), ("Anna Lee", "Peter Lee")]
    )
    def test_members_of_one_family_are_not_alike(self, one, other):
        assert likely([entry(2, one), entry(3, other)], {}, {}) == []

    def test_the_same_name_in_two_rooms_or_with_two_numbers_is_two_people(self):
        assert likely([entry(2, "张伟"), entry(3, "张伟", flat="303")], {}, {}) == []
        assert likely([entry(2, "张伟", number(1)), entry(3, "张伟", number(2))], {}, {}) == []

    def test_the_same_number_in_two_rows_and_of_somebody_who_is_here(self):
        rows = [entry(2, "张伟", number(1)), entry(3, "李娜", number(1), flat="303")]
        (in_file,) = likely(rows, {}, {})
        assert (in_file.key, in_file.row, in_file.other) == ("registration.likely.number_row", 3, 2)
        here = likely(rows[:1], {number(1): frozenset({77})}, {})
        assert [one.key for one in here] == ["registration.likely.number_here"]
        assert likely(rows[:1], {number(1): frozenset({77})}, {"k2": 77}) == [], "they themselves"

    @given(st.text(max_size=8), st.text(max_size=8))
    def test_being_alike_goes_both_ways(self, one, other):
        assert similar(one, other, str) == similar(other, one, str)


def test_a_number_as_gb_11643_prints_it():
    assert valid_number("11010519491231002X")  # the standard's own example
    assert not valid_number("11010519491231002x")
    assert not valid_number("１1010519491231002X")
