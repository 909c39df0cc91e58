"""What a visitor's code says, and which texts are none."""

from __future__ import annotations

import hashlib
import hmac
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from menwei_visitors.codes import DIGITS, CodeRefused, Codes, obvious
from menwei_visitors.days import day_of, end_of

TODAY = date(2026, 3, 2)
NUMBER = 4_503_599_627_370_497


def keyed(key: bytes):
    return lambda text: hmac.digest(key, text.encode(), hashlib.sha256)[:16]


CODES = Codes("yard", keyed(b"this machine"))


def refused(codes: Codes, text: str, day: date = TODAY) -> str:
    with pytest.raises(CodeRefused) as told:
        codes.read(text, day)
    return told.value.says


def test_the_text_of_a_qr_code_names_version_site_day_and_pass():
    text = CODES.qr(TODAY, NUMBER)
    assert text.startswith("MW1.yard.20260302.")
    assert len(text) < 64
    assert CODES.read(text, TODAY) == NUMBER


def test_it_is_for_its_day_only():
    assert refused(CODES, CODES.qr(TODAY, NUMBER), TODAY + timedelta(days=1)) == "visitors.code.other_day"


def test_it_is_for_its_site_only():
    elsewhere = Codes("harbour", keyed(b"this machine"))
    assert refused(elsewhere, CODES.qr(TODAY, NUMBER)) == "visitors.code.other_site"


def test_another_machine_cannot_sign_it():
    other = Codes("yard", keyed(b"another machine"))
    assert refused(CODES, other.qr(TODAY, NUMBER)) == "visitors.code.forged"


@given(position=st.integers(0, 200), letter=st.characters())
def test_no_letter_of_it_can_be_changed(position, letter):
    text = CODES.qr(TODAY, NUMBER)
    position %= len(text)
    changed = text[:position] + letter + text[position + 1 :]
    if changed.strip() != text:
        assert refused(CODES, changed).startswith("visitors.code.")


@given(st.text(max_size=300))
@example("MW1.yard.20260302..")
@example("MW1.yard.20260302.\ud800.\ud800")
def test_whatever_a_camera_reads_is_refused_and_nothing_worse(text):
    assert refused(CODES, text).startswith("visitors.code.")


@given(
    number=st.integers(1, (1 << 53) - 1),
    day=st.dates(date(2020, 1, 1), date(2100, 1, 1)),
    site=st.from_regex(r"[a-z][a-z0-9_-]{0,30}", fullmatch=True),
)
def test_every_code_reads_as_what_it_was_made_for(number, day, site):
    codes = Codes(site, keyed(b"k"))
    assert codes.read(codes.qr(day, number), day) == number


@given(st.integers(1, (1 << 53) - 1), st.integers(0, 5))
def test_a_numeric_code_has_eight_digits_and_another_attempt_gives_others(number, attempt):
    digits = CODES.digits(number, attempt)
    assert len(digits) == DIGITS
    assert digits.isdigit()
    assert digits != CODES.digits(number, attempt + 1)


@pytest.mark.parametrize("digits", ["11111111", "12121212", "12312312", "12345678", "87654321", "13579135"])
def test_digits_that_are_guessed_first_are_given_to_nobody(digits):
    assert obvious(digits)


@pytest.mark.parametrize(("zone", "day", "ends"), [
    ("Asia/Shanghai", date(2026, 3, 2), "2026-03-03T00:00+08:00"),
    ("America/Havana", date(2026, 3, 7), "2026-03-08T01:00-04:00"),  # the clocks skip midnight
    ("America/Havana", date(2026, 10, 31), "2026-11-01T00:00-04:00"),  # and show it twice
    ("Pacific/Apia", date(2011, 12, 29), "2011-12-31T00:00+14:00"),  # a day that never was
    ("America/Toronto", date(1919, 3, 30), "1919-03-31T00:30-04:00"),  # from 23:30 to 00:30
])  # fmt: skip
def test_a_day_ends_when_the_clocks_of_the_site_say_so(zone, day, ends):
    from datetime import datetime

    there = ZoneInfo(zone)
    moment = end_of(day, there)
    assert moment == datetime.fromisoformat(ends).timestamp()
    assert day_of(moment - 1, there) == day < day_of(moment, there)
