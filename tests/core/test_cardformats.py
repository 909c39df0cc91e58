from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menwei import messages
from menwei.cardformats import FORMATS, UID_BYTES, CardFormatError, equivalents, is_random, normalise
from menwei.model import CredentialIdentifier, IdentifierType

LOSSLESS = {"uid", "uid-reversed", "decimal", "decimal-le", "wiegand34", "wiegand34-le"}

uids = st.sampled_from(UID_BYTES).flatmap(lambda size: st.binary(min_size=size, max_size=size))
short_uids = st.binary(min_size=4, max_size=4)


def forms_of(identifier: CredentialIdentifier) -> dict[str, str]:
    return {form.format: form.value for form in equivalents(identifier)}


def test_one_card_in_every_form_it_is_known_by() -> None:
    # 04 C9 20 5F: 0x04C9205F = 80289887, reversed 0x5F20C904 = 1595984132; 0xC9 = 201, 0x205F = 8287
    assert forms_of(normalise("uid", "04c9205f")) == {
        "uid": "04C9205F",
        "uid-reversed": "5F20C904",
        "decimal": "0080289887",
        "decimal-le": "1595984132",
        "wiegand34": "01225,08287",
        "wiegand34-le": "24352,51460",
        "wiegand26": "201,08287",
        "wiegand26-le": "032,51460",
    }


@pytest.mark.parametrize("spelling", ["04:c9:20:5f", "04 C9 20 5F", "04-c9-20-5f", "04c9205F"])
def test_a_uid_has_one_spelling(spelling: str) -> None:
    assert normalise("uid", spelling).value == "04C9205F"


def test_leading_zeros_do_not_make_another_number() -> None:
    assert normalise("decimal", "80289887") == normalise("decimal", "0080289887")
    assert normalise("wiegand26", "1,5") == normalise("wiegand26", "001,00005")


def test_a_long_uid_has_no_short_form() -> None:
    assert set(forms_of(normalise("uid", "04A1B2C3D4E5F6"))) == {"uid", "uid-reversed"}


def test_a_resident_id_card_is_nothing_but_itself() -> None:
    serial = normalise("idcard", "0011223344556677")
    assert equivalents(serial) == (serial,)
    assert serial not in equivalents(normalise("uid", "0011223344556677"))


def test_wiegand_26_never_becomes_a_uid() -> None:
    number = normalise("wiegand26", "201,08287")
    assert equivalents(number) == (number,)


def test_a_phone_that_changes_its_number_is_recognised() -> None:
    assert is_random(normalise("uid", "08123456"))
    assert is_random(normalise("uid-reversed", "56341208"))
    assert not is_random(normalise("uid", "04123456"))
    assert not is_random(normalise("uid", "08123456789ABC"))
    assert not is_random(normalise("idcard", "0812345678901234"))


@given(uids)
def test_every_form_of_a_card_is_already_normal(uid: bytes) -> None:
    for form in equivalents(normalise("uid", uid.hex())):
        assert normalise(form.format, form.value) == form


@given(short_uids)
def test_forms_that_keep_the_whole_uid_lead_to_the_same_forms(uid: bytes) -> None:
    forms = equivalents(normalise("uid", uid.hex()))
    for form in forms:
        if form.format in LOSSLESS:
            assert set(equivalents(form)) == set(forms)
        else:
            assert equivalents(form) == (form,)


@given(uids, uids)
def test_different_cards_share_no_form_but_wiegand_26(one: bytes, other: bytes) -> None:
    shared = set(equivalents(normalise("uid", one.hex()))) & set(equivalents(normalise("uid", other.hex())))
    if one != other:
        assert {form.format for form in shared} <= {"wiegand26", "wiegand26-le"}


@given(st.integers(0, 2**32 - 1))
def test_the_printed_number_leads_back_to_the_card(number: int) -> None:
    assert forms_of(normalise("decimal", str(number)))["uid"] == f"{number:08X}"
    little = forms_of(normalise("decimal-le", str(number)))["uid-reversed"]
    assert little == f"{number:08X}"


TRICKS = [
    "", " ", "\0", "04C9205F\0", "04C9205F\n", "\n04C9205F", "' OR '1'='1", "1; DROP TABLE credentials;--", "$(reboot)", "`id`",
    "../../etc/passwd", "%00", "０４Ｃ９２０５Ｆ", "٠٤٢", "²", "-1", "+1", "1e3", "0x10", "4_2", "1,", ",1", "1,2,3", "256,1,", "1;2", "4294967296", "99999999999",
    "04C9205", "04C920", "04C9205F00", "04::C9205F", "04C9205F:", "\ud800", "04" * 11,
]  # fmt: skip


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("value", TRICKS)
def test_tricks_in_card_data_are_refused(format: str, value: str) -> None:
    with pytest.raises(CardFormatError):
        normalise(format, value)


@pytest.mark.parametrize(("format", "value"), [("wiegand26", "256,1"), ("wiegand26", "1,65536"), ("wiegand34", "65536,0"), ("decimal", "4294967296")])  # fmt: skip
def test_a_number_with_too_many_bits_is_refused(format: str, value: str) -> None:
    with pytest.raises(CardFormatError):
        normalise(format, value)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("filler", ["A", "0", ",", "04:", "'", "\0"])
def test_ten_megabytes_of_card_data_are_refused(format: str, filler: str) -> None:
    with pytest.raises(CardFormatError):
        normalise(format, filler * (10_000_000 // len(filler)))


@given(st.sampled_from(FORMATS) | st.text(), st.text() | st.from_regex(r"[0-9A-F,: -]{0,70}"))
def test_anything_becomes_a_normal_form_or_a_refusal(format: str, value: str) -> None:
    try:
        identifier = normalise(format, value)
    except CardFormatError:
        return
    assert identifier.format == format
    assert identifier.value.isascii()
    assert identifier in equivalents(identifier)


@given(st.text(min_size=1, alphabet="0123456789ABCDEFxyz'\"/;"))
def test_a_refusal_never_repeats_the_card_number(value: str) -> None:
    for format in FORMATS:
        try:
            normalise(format, "!" + value * 3)
        except CardFormatError as error:
            assert value * 3 not in f"{error!r} {error} {error.values}"
        else:
            pytest.fail("that is no card number")


@pytest.mark.parametrize("format", [*FORMATS, "wiegand99", "x" * 10_000_000, "uid; rm -rf /", "uid\0"])
def test_a_refusal_can_be_read_in_both_languages(format: str) -> None:
    with pytest.raises(CardFormatError) as caught:
        normalise(format, "not a number")
    for language in messages.LANGUAGES:
        text = messages.t(language, caught.value.key, **caught.value.values)
        assert text != caught.value.key
        assert len(text) < 200


def test_only_cards_as_normalised_have_equivalents() -> None:
    for type, value in ((IdentifierType.PIN, "04C9205F"), (IdentifierType.CARD, "04c9205f")):
        with pytest.raises(CardFormatError):
            equivalents(CredentialIdentifier(type, "uid", value))
