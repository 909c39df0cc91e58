"""The rules of the head turn."""

from __future__ import annotations

import pytest

pytest.importorskip("numpy", reason="NO FACE CODE TESTED: the extra 'face' (numpy) is not installed")

from hypothesis import given
from hypothesis import strategies as st

from menwei_face.geometry import Pose
from menwei_face.liveness import Failure, HeadTurn, Side, Sight, Step, TurnRules


def run(yaws, side=Side.LEFT, *, rolls=None, scores=None, distances=None, start=0.0, gap=0.1):
    """A challenge fed with one frame each tenth of a second."""
    turn = HeadTurn(side, start)
    for number, yaw in enumerate(yaws):
        roll = rolls[number] if rolls else 0.0
        score = scores[number] if scores else 2.0
        distance = distances[number] if distances else 0.2
        turn.see(Sight(start + number * gap, Pose(yaw, 0.6, roll, 60.0), score, distance))
    return turn


TURN_LEFT = [0.0, 0.01, 0.0, 0.1, 0.2, 0.3, 0.3, 0.2, 0.05]


def test_a_turn_to_the_asked_side_and_back_passes():
    assert run(TURN_LEFT).step is Step.PASSED


def test_a_turn_to_the_right_is_a_turn_to_the_right():
    assert run([-yaw for yaw in TURN_LEFT], Side.RIGHT).step is Step.PASSED


def test_the_other_side_fails():
    turn = run([-yaw for yaw in TURN_LEFT], Side.LEFT)
    assert (turn.step, turn.failure) == (Step.FAILED, Failure.WRONG_SIDE)


def test_a_still_photo_runs_out_of_time():
    turn = run([0.0] * 100)
    assert (turn.step, turn.failure) == (Step.FAILED, Failure.TIMEOUT)


def test_a_change_of_less_than_a_quarter_is_no_turn():
    assert run([0.0, 0.0, 0.0, 0.12, *[0.24] * 5, 0.12, 0.0]).step is Step.TURN


def test_a_change_is_counted_from_how_the_person_stood():
    assert run([0.1, 0.1, 0.1, 0.2, 0.3, 0.2, 0.1]).step is Step.TURN
    assert run([0.1, 0.1, 0.1, 0.2, 0.36, 0.2, 0.1]).step is Step.PASSED


def test_turned_and_not_back_is_not_enough():
    assert run(TURN_LEFT[:-2]).step is Step.BACK


def test_a_print_tilted_about_an_oblique_axis_rolls():
    turn = run(TURN_LEFT, rolls=[0, 0, 0, 3, 4, 7, 7, 3, 0])
    assert (turn.step, turn.failure) == (Step.FAILED, Failure.ROLLED)


def test_a_face_that_the_detector_hardly_knows_at_the_turn_does_not_count():
    turn = run([*TURN_LEFT, *[0.0] * 80], scores=[2, 2, 2, 2, 1, 0.6, 0.9, 1, 2, *[2] * 80])
    assert (turn.step, turn.failure) == (Step.FAILED, Failure.UNCLEAR)


def test_two_photos_that_are_swapped_leap():
    turn = run([0.0, 0.0, 0.0, 0.3, 0.3, 0.0, 0.0])
    assert (turn.step, turn.failure) == (Step.FAILED, Failure.UNCLEAR)


def test_a_turned_face_that_is_the_same_flat_picture_fails():
    turn = HeadTurn(Side.LEFT, 0.0)
    for number, yaw in enumerate(TURN_LEFT):
        held = Pose(yaw, 0.6, 0.0, 60.0)
        assert turn.turned(held) == (number == 5)
        if turn.see(Sight(number / 10, held, 2.0, 0.2, 0.99 if turn.turned(held) else -1.0)) is Step.FAILED:
            break
    assert turn.failure is Failure.FLAT


def test_another_face_in_between_fails():
    turn = run(TURN_LEFT, distances=[0.2] * 5 + [0.7] + [0.2] * 3)
    assert (turn.step, turn.failure) == (Step.FAILED, Failure.SOMEBODY_ELSE)


def test_a_face_that_goes_away_and_comes_back_fails():
    turn = HeadTurn(Side.LEFT, 0.0)
    for at, yaw in ((0.0, 0.0), (0.1, 0.0), (0.2, 0.0), (1.5, 0.3), (1.6, 0.0)):
        turn.see(Sight(at, Pose(yaw, 0.6, 0.0, 60.0), 2.0, 0.2))
    assert (turn.step, turn.failure) == (Step.FAILED, Failure.LOST)


def test_time_runs_out_while_no_face_is_seen_too():
    turn = HeadTurn(Side.LEFT, 10.0)
    assert not turn.expired(17.9)
    assert turn.expired(18.1)
    assert turn.failure is Failure.TIMEOUT


def test_somebody_already_turned_away_must_first_look_ahead():
    turn = run([0.3] * 10 + [0.0])
    assert turn.step is Step.STILL


def test_once_passed_it_stays_passed_and_once_failed_failed():
    passed, failed = run(TURN_LEFT), run([-yaw for yaw in TURN_LEFT])
    for turn in (passed, failed):
        before = turn.step
        turn.see(Sight(99.0, Pose(0.3, 0.6, 0.0, 60.0), 2.0, 0.9))
        assert turn.step is before


FRAMES = st.lists(
    st.tuples(st.floats(-0.6, 0.6), st.floats(-12, 12), st.floats(-1, 3), st.floats(0, 1)), max_size=40
)


@given(FRAMES, st.sampled_from(Side))
def test_whatever_passes_kept_every_rule(frames, side):
    rules = TurnRules()
    turn = HeadTurn(side, 0.0, rules)
    used = []
    for number, (yaw, roll, score, distance) in enumerate(frames):
        used.append((yaw, roll, score, distance))
        if turn.see(Sight(number * 0.1, Pose(yaw, 0.6, roll, 60.0), score, distance)) is Step.PASSED:
            break
    if turn.step is Step.PASSED:
        assert all(distance <= rules.same for *_, distance in used)
        assert (
            max(yaw * side.sign for yaw, *_ in used) - min(yaw * side.sign for yaw, *_ in used) >= rules.turn
        )
        assert any(score >= rules.score for _, _, score, _ in used)
        assert turn.change >= rules.turn
