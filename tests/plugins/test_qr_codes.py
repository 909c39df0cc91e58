"""Codes before a camera: ours once each time they are shown, others as nothing but "somebody"."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menwei_qr.codes import GONE, Shown

CODE = "MW1.yard.20260302.AAADWZ4X7K2QE.5Q2MABCD"


def test_a_code_held_before_the_camera_is_shown_once():
    shown = Shown()
    assert [list(shown.add([CODE], at / 10)) for at in range(50)] == [[CODE]] + [[]] * 49


def test_a_code_that_shakes_out_of_sight_for_a_moment_is_not_shown_anew():
    shown = Shown()
    assert list(shown.add([CODE], 0.0)) == [CODE]
    assert list(shown.add([], 1.0)) == []
    assert list(shown.add([CODE], GONE - 0.1)) == []


def test_a_code_that_comes_back_is_shown_again():
    shown = Shown()
    assert list(shown.add([CODE], 0.0)) == [CODE]
    assert list(shown.add([CODE], GONE)) == [CODE]


@pytest.mark.parametrize(
    "text",
    [
        "https://pay.example/9f3",
        "MW0.x",
        "MW1.",
        "MW1.a b",
        "MW1.门",
        "MW1." + "x" * 200,
        "xMW1.a",
        "MW1.a\nb",
    ],
)
def test_of_a_code_that_is_not_ours_nothing_is_passed_on(text):
    assert list(Shown().add([text], 0.0)) == [None]


def test_codes_that_are_not_ours_are_one_stranger():
    assert list(Shown().add(["https://a.example", "tel:1", ""], 0.0)) == [None]


@given(st.lists(st.text(max_size=300), max_size=5), st.floats(allow_nan=True, allow_infinity=True))
def test_whatever_a_code_says_only_ours_comes_out(texts, at):
    for text in Shown().add(texts, at):
        assert text is None or (len(text) <= 200 and text.isascii() and text.startswith("MW"))
