"""Who it is: distance, margin to the next person, agreement over frames, and what a threshold means."""

# ruff: noqa: E402 (what can be skipped is asked for before it is imported)
from __future__ import annotations

import math

import pytest

np = pytest.importorskip("numpy", reason="NO FACE CODE TESTED: the extra 'face' (numpy) is not installed")

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from menwei_face.far import false_acceptance
from menwei_face.match import (
    Agreement,
    Consensus,
    Gallery,
    Match,
    Outcome,
    Rate,
    wilson,
)

VECTORS = hnp.arrays(np.float32, 8, elements=st.floats(-1, 1, width=32))


def vector(*numbers):
    return np.array([*numbers, *[0.0] * (8 - len(numbers))], np.float32)


ANNA, BEN = vector(1.0), vector(0.0, 1.0)


def matched(subject, distance=0.3):
    return Match(Outcome.MATCHED, subject, distance, 0.9)


def far(distance=0.8):
    return Match(Outcome.TOO_FAR, None, distance, 0.9)


def test_a_face_near_one_person_is_that_person():
    match = Gallery({"anna": [ANNA], "ben": [BEN]}).search(vector(0.9, 0.05), 0.5)
    assert (match.outcome, match.subject) == (Outcome.MATCHED, "anna")
    assert match.score == pytest.approx(1 - match.distance)


def test_a_face_near_nobody_is_nobody():
    match = Gallery({"anna": [ANNA]}).search(BEN, 0.5)
    assert (match.outcome, match.subject) == (Outcome.TOO_FAR, None)
    assert match.distance == pytest.approx(math.sqrt(2), abs=1e-5)


def test_twins_in_the_gallery_are_refused_by_the_margin():
    gallery = Gallery({"anna": [ANNA], "twin": [ANNA.copy()]})
    match = gallery.search(ANNA, 0.5)
    assert (match.outcome, match.subject) == (Outcome.AMBIGUOUS, None)


def test_two_templates_of_one_person_are_not_two_people():
    gallery = Gallery({"anna": [ANNA, ANNA.copy()], "ben": [BEN]})
    assert gallery.search(ANNA, 0.5).subject == "anna"


def test_a_twin_does_not_pass_on_the_others_card():
    gallery = Gallery({"anna": [ANNA], "twin": [ANNA.copy()]})
    assert gallery.search(ANNA, 0.5, among=frozenset({"anna"})).outcome is Outcome.AMBIGUOUS


def test_only_the_people_named_by_the_first_factor_can_be_the_answer():
    gallery = Gallery({"anna": [ANNA], "ben": [BEN]})
    assert gallery.search(ANNA, 0.5, among=frozenset({"ben"})).outcome is Outcome.TOO_FAR
    assert gallery.search(ANNA, 0.5, among=frozenset({"anna"})).subject == "anna"
    assert gallery.search(ANNA, 0.5, among=frozenset({"nobody"})).outcome is Outcome.EMPTY


def test_somebody_elses_card_and_ones_own_nearer_face_is_refused():
    """Within the threshold of the named person, but another enrolled person is nearer: a negative margin."""
    gallery = Gallery({"anna": [vector(0.3)], "ben": [vector(0.0)]})
    match = gallery.search(vector(0.0), 0.5, among=frozenset({"anna"}))
    assert match.outcome is Outcome.AMBIGUOUS


def test_an_empty_gallery_knows_nobody():
    assert Gallery({}).search(ANNA, 10.0).outcome is Outcome.EMPTY
    assert Gallery({"anna": []}).search(ANNA, 10.0).outcome is Outcome.EMPTY


@given(st.lists(st.lists(VECTORS, min_size=1, max_size=4), min_size=1, max_size=6), VECTORS)
def test_the_distance_to_a_person_is_that_of_the_nearest_template(people, probe):
    gallery = Gallery({str(number): rows for number, rows in enumerate(people)})
    expected = [min(float(np.linalg.norm(row - probe)) for row in rows) for rows in people]
    assert np.allclose(gallery.distances(probe), expected, atol=2e-3)


@given(st.lists(VECTORS, min_size=2, max_size=5), VECTORS, st.floats(0, 3))
def test_no_name_is_given_beyond_the_threshold_or_within_the_margin(people, probe, threshold):
    match = Gallery({str(number): [row] for number, row in enumerate(people)}).search(
        probe, threshold, margin=0.05
    )
    if match.subject is not None:
        assert match.distance <= threshold
        assert match.second - match.distance >= 0.05


def test_a_person_taken_out_is_not_found_and_the_old_gallery_is_unchanged():
    both = Gallery({"anna": [ANNA], "ben": [BEN, BEN]})
    fewer = both.without("ben")
    assert "ben" in both
    assert "ben" not in fewer
    assert fewer.search(BEN, 0.5).subject is None
    assert fewer.without("nobody").subjects == ("anna",)
    assert fewer.with_person("ben", [BEN]).search(BEN, 0.5).subject == "ben"


def test_models_compared_by_angle_do_not_mind_the_length():
    gallery = Gallery({"anna": [ANNA], "ben": [BEN]}, unit=True)
    assert gallery.search(ANNA * 7, 0.5).distance == pytest.approx(0, abs=1e-3)


def test_vectors_of_two_models_do_not_mix():
    with pytest.raises(ValueError, match="different models"):
        Gallery({"anna": [ANNA], "ben": [np.zeros(4, np.float32)]})
    with pytest.raises(ValueError, match="numbers against"):
        Gallery({"anna": [ANNA]}).search(np.zeros(4, np.float32), 0.5)


def test_a_template_that_is_not_a_number_is_not_taken():
    with pytest.raises(ValueError, match="finite"):
        Gallery({"anna": [vector(float("nan"))]})


def test_a_broken_vector_is_nobody():
    assert Gallery({"anna": [ANNA]}).search(vector(float("nan")), 0.5).subject is None


def test_enrolment_sees_who_is_too_like_another():
    gallery = Gallery({"anna": [ANNA], "ben": [BEN]})
    assert gallery.too_like(vector(0.95), 0.4) == "anna"
    assert gallery.too_like(vector(0.95), 0.4, but="anna") is None
    assert Gallery({}).too_like(ANNA, 0.4) is None


def test_a_name_needs_two_frames_that_agree():
    consensus = Consensus(Agreement(need=2, limit=5))
    assert consensus.add(matched("anna", 0.4)) is None
    decision = consensus.add(matched("anna", 0.3))
    assert decision is not None
    assert (decision.subject, decision.distance) == ("anna", 0.3)


def test_two_frames_that_name_two_people_agree_on_neither():
    consensus = Consensus(Agreement(need=2, limit=4))
    answers = [consensus.add(matched(name)) for name in ("anna", "ben", "anna", "anna")]
    assert answers[:3] == [None, None, None]
    assert answers[3] is not None
    assert (answers[3].outcome, answers[3].subject) == (Outcome.AMBIGUOUS, None)


def test_five_frames_of_a_stranger_are_unknown():
    consensus = Consensus(Agreement(need=2, limit=5))
    answers = [consensus.add(far()) for _ in range(5)]
    assert answers[:4] == [None] * 4
    assert answers[4] is not None
    assert answers[4].subject is None


def test_one_lucky_frame_among_five_names_nobody():
    consensus = Consensus(Agreement(need=2, limit=5))
    answers = [consensus.add(one) for one in (far(), matched("anna"), far(), far(), far())]
    assert answers[4] is not None
    assert (answers[4].outcome, answers[4].subject) == (Outcome.TOO_FAR, None)


def test_far_times_n_is_said_for_the_enrolled_people():
    said = false_acceptance(0.001, 200)
    assert said.search == pytest.approx(1 - 0.999**200)
    assert said.one_in == 6
    assert said.values == {"people": "200", "templates": "1", "one_in": "6", "percent": "18"}


def test_three_templates_are_three_chances():
    assert false_acceptance(0.001, 10, 3).search == pytest.approx(1 - 0.999**30)


def test_an_unmeasured_threshold_counts_as_certain_to_fail():
    said = false_acceptance(None, 10)
    assert (said.search, said.message) == (1.0, "face.far.unmeasured")


def test_nobody_enrolled_accepts_nobody():
    assert false_acceptance(0.01, 0).message == "face.far.none"
    with pytest.raises(ValueError, match="between 0 and 1"):
        false_acceptance(1.5, 3)


def test_no_error_in_a_hundred_is_not_no_errors():
    low, high = wilson(0, 100)
    assert low == 0.0
    assert high == pytest.approx(0.0370, abs=1e-3)
    assert Rate(3, 100).soft
    assert not Rate(10, 100).soft
    assert wilson(0, 0) == (0.0, 1.0)
