"""Who may be enrolled: consent, a guardian under fourteen, another way in; and how a face follows the other ways."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from menwei import FOREVER, Credential, CredentialState, IdentifierType
from menwei.messages import Catalogue
from menwei_face import consent
from menwei_face.consent import TEXT_VERSION, Guardian, Said
from menwei_face.words import Answer, Consent, FaceError

NOW, YEAR = 1_770_000_000.0, 2026
YES = Said(True, TEXT_VERSION, "zh-CN", under_14=False)
ALWAYS = CredentialState.ENABLED
CARD, PIN, FACE = IdentifierType.CARD, IdentifierType.PIN, IdentifierType.FACE


def credential(
    id=1, state=ALWAYS, valid_from=0.0, valid_to=FOREVER, profiles=("residents",), factors=(CARD,)
):
    return Credential(id, 9, state, valid_from, valid_to, profiles, frozenset(factors))


def refusal(call, *words, **more):
    with pytest.raises(FaceError) as caught:
        call(*words, **more)
    return caught.value.says


# ----------------------------------------------------------------------------------------------------------------- age


def test_the_year_in_which_somebody_turns_fourteen_leaves_it_open_so_they_count_as_under_it():
    assert consent.is_minor(None, 2012, YEAR)
    assert not consent.is_minor(False, 2012, YEAR)
    assert not consent.is_minor(None, 2011, YEAR)


def test_an_age_must_be_answered_one_way_or_the_other():
    assert refusal(consent.is_minor, None, None, YEAR) == "face.consent.age_missing"
    assert refusal(consent.is_minor, False, 2013, YEAR) == "face.consent.age_contradicts"
    assert refusal(consent.is_minor, True, 2011, YEAR) == "face.consent.age_contradicts"
    assert refusal(consent.is_minor, None, 2027, YEAR) == "face.consent.year"


@given(under=st.sampled_from([None, True, False]), age=st.none() | st.integers(-2, 140))
def test_nobody_who_is_surely_under_fourteen_is_ever_taken_for_older(under, age):
    year = None if age is None else YEAR - age
    try:
        minor = consent.is_minor(under, year, YEAR)
    except FaceError:
        return
    if (age is not None and age < 14) or under is True:
        assert minor
    if age is not None and age > 14:
        assert not minor


# ------------------------------------------------------------------------------------------------------------- consent


@pytest.mark.parametrize(("changes", "says"), [
    ({"agreed": False}, "face.consent.not_agreed"),
    ({"version": TEXT_VERSION + 1}, "face.consent.old_text"),
    ({"version": 0}, "face.consent.old_text"),
    ({"given": NOW + 1}, "face.consent.future"),
    ({"under_14": None}, "face.consent.age_missing"),
    ({"under_14": True}, "face.consent.guardian_missing"),
    ({"under_14": True, "guardian": Guardian(name="  ")}, "face.consent.guardian_missing"),
    ({"under_14": True, "guardian": Guardian(name="林父")}, "face.consent.guardian_not_agreed"),
    ({"under_14": True, "guardian_agreed": True}, "face.consent.guardian_missing"),
])  # fmt: skip
def test_what_is_missing_of_a_consent_is_said(changes, says):
    assert refusal(consent.check, replace(YES, **changes), YEAR, NOW) == says


def test_a_childs_consent_counts_with_the_guardians():
    child = replace(YES, under_14=True, guardian=Guardian(holder=3), guardian_agreed=True)
    assert consent.check(child, YEAR, NOW) is True
    assert consent.check(YES, YEAR, NOW) is False


@pytest.mark.parametrize("changes", [None, {"answer": Answer.REFUSED}, {"withdrawn": NOW}, {"version": 0}])
def test_enrolment_rests_on_a_consent_that_holds(changes):
    given = Consent(1, 9, Answer.GIVEN, NOW, TEXT_VERSION, "zh-CN", False, None, None)
    assert consent.require(given) is given
    broken = None if changes is None else replace(given, **changes)
    assert refusal(consent.require, broken).startswith("face.consent.")


def test_a_text_that_people_agreed_to_is_never_changed_under_its_number():
    """A new text gets the next number in `consent.TEXT_VERSION` and a line here; the old one stays in the catalogue."""
    texts = Catalogue.of_package("menwei_face").texts
    known = {(1, "zh-CN"): "724f9b3e4a8716a2", (1, "en"): "27a6597413e20582"}
    assert {version for version, _ in known} == set(range(1, TEXT_VERSION + 1))
    for (version, language), digest in known.items():
        text = texts[language][f"face.consent.text.{version}"]
        assert hashlib.sha256(text.encode()).hexdigest()[:16] == digest, (version, language)


# --------------------------------------------------------------------------------------------------------- another way


@pytest.mark.parametrize("changes", [
    {"state": CredentialState.LOST}, {"state": CredentialState.DISABLED}, {"state": CredentialState.ENDED},
    {"valid_to": NOW}, {"valid_from": NOW + 1}, {"profiles": ()}, {"factors": (FACE,)}, {"factors": ()},
])  # fmt: skip
def test_what_opens_nothing_now_is_no_other_way(changes):
    assert refusal(consent.other_way, [credential(**changes)], NOW) == "face.enrol.no_other_way"


@pytest.mark.parametrize("factor", [CARD, PIN, IdentifierType.QRCODE])
def test_a_card_a_pin_or_a_qr_code_is_another_way(factor):
    one = credential(factors=(factor,))
    assert consent.other_way([credential(2, valid_to=NOW), one], NOW) is one


def test_the_face_stands_beside_the_one_that_lasts_longest():
    long, short = credential(1, valid_to=NOW + 900), credential(2, valid_to=NOW + 5)
    assert consent.other_way([short, long], NOW) is long


def test_a_lost_card_does_not_take_the_face_with_it_but_a_disabled_one_does():
    assert consent.follow([credential(state=CredentialState.LOST)]).state is ALWAYS
    assert consent.follow([credential(state=CredentialState.DISABLED)]).state is CredentialState.DISABLED
    both = [credential(1, CredentialState.DISABLED), credential(2, CredentialState.LOST)]
    assert consent.follow(both).state is ALWAYS


@pytest.mark.parametrize("numbers", [(3, 4), (4, 3)])
def test_of_two_cards_as_long_the_face_stands_beside_the_one_that_opens_more(numbers):
    few, many = (
        credential(number, profiles=profiles)
        for number, profiles in zip(numbers, [("gate",), ("gate", "unit-1")], strict=True)
    )
    assert consent.other_way([many, few], NOW) is many
    assert consent.follow([few, many]).profiles == many.profiles


def test_with_everything_else_ended_there_is_nothing_to_follow():
    assert consent.follow([credential(state=CredentialState.ENDED)]) is None
    assert consent.follow([credential(factors=(FACE,))]) is None
    assert consent.follow([]) is None


states = st.sampled_from(list(CredentialState))
times = st.integers(0, 50).map(float)
credentials = st.builds(
    credential, id=st.integers(1, 99), state=states, valid_from=times, valid_to=times,
    profiles=st.sampled_from([(), ("gate",), ("gate", "unit")]),
    factors=st.sets(st.sampled_from([CARD, PIN, FACE])).map(tuple),
)  # fmt: skip


@given(st.lists(credentials, max_size=5))
def test_a_face_never_opens_what_no_other_credential_of_the_person_opens(others):
    wanted = consent.follow(others)
    if wanted is None:
        return
    assert any(
        (one.valid_from, one.valid_to, one.profiles) == (wanted.valid_from, wanted.valid_to, wanted.profiles)
        and one.state is not CredentialState.ENDED
        and one.factors - {FACE}
        for one in others
    )
