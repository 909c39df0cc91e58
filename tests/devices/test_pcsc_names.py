"""Reader names: which one a config means, and what stays of a name."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from menwei_pcsc.finder import proposals
from menwei_pcsc.names import ReaderName, matching

ACR = "ACS ACR122U [ACR122U PICC Interface] 00 00"
DUAL = ["ACS ACR1281 1S Dual Reader 01 00", "ACS ACR1281 1S Dual Reader 01 01"]
OMNIKEY = "OMNIKEY CardMan 5x21 (OKCM0071105110844119405133710397) 02 00"
ALL = [ACR, *DUAL, OMNIKEY]


def test_an_exact_name_means_that_reader() -> None:
    assert matching(ACR, ALL) == [ACR]


def test_brackets_in_a_name_are_brackets() -> None:
    assert matching("*[ACR122U PICC Interface]*", ALL) == [ACR]


def test_a_pattern_may_mean_several_readers() -> None:
    assert matching("*dual reader*", ALL) == DUAL


def test_a_pattern_does_not_match_a_part_of_a_name() -> None:
    assert matching("ACS ACR122U", ALL) == []


def test_the_pattern_of_a_reader_finds_it_after_it_was_plugged_in_elsewhere() -> None:
    moved = OMNIKEY.replace(" 02 00", " 07 00")
    assert matching(ReaderName.of(OMNIKEY).pattern, [ACR, *DUAL, moved]) == [moved]


def test_the_slots_of_one_reader_are_told_apart() -> None:
    assert [matching(ReaderName.of(reader).pattern, ALL) for reader in DUAL] == [[DUAL[0]], [DUAL[1]]]


def test_the_id_of_a_reader_does_not_change_with_the_order_of_plugging() -> None:
    assert (
        ReaderName.of("Virtual PCD 00 00").id == ReaderName.of("Virtual PCD 0A 00").id == "pcsc-virtual-pcd"
    )
    assert ReaderName.of("Virtual PCD 00 01").id == "pcsc-virtual-pcd-slot-1"


@given(st.text(max_size=128))
def test_every_name_gives_an_id_that_a_config_takes(name: str) -> None:
    id = ReaderName.of(name).id
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*", id)
    assert len(id) <= 60


@given(st.text(min_size=1, max_size=60), st.lists(st.text(max_size=60), max_size=5))
def test_every_pattern_answers_with_readers_that_are_there(pattern: str, readers: list[str]) -> None:
    assert set(matching(pattern, readers)) <= set(readers)


def test_each_reader_is_proposed_with_a_config_that_means_it_alone() -> None:
    found = proposals(ALL)
    assert len({device.id for device in found}) == len(ALL)
    for device in found:
        assert matching(str(device.config["reader"]), ALL) == [device.address]


def test_readers_that_cannot_be_told_apart_are_proposed_by_their_full_names_and_marked() -> None:
    twins = ["ACS ACR122U 00 00", "ACS ACR122U 01 00"]
    found = proposals(twins)
    assert [device.config["reader"] for device in found] == twins
    assert [device.properties["twins"] for device in found] == ["2", "2"]
    assert len({device.id for device in found}) == 2
