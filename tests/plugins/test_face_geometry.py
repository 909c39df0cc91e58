"""Boxes, poses, quality and the motion gate, from numbers alone."""

# ruff: noqa: E402 (what can be skipped is asked for before it is imported)
from __future__ import annotations

import pytest

np = pytest.importorskip("numpy", reason="NO FACE CODE TESTED: the extra 'face' (numpy) is not installed")

from hypothesis import given
from hypothesis import strategies as st

from menwei_face.align import similarity
from menwei_face.geometry import Box, pose, square
from menwei_face.motion import MotionGate, MotionSettings
from menwei_face.quality import DOOR, ENROLMENT, Flaw, Quality, flaws, measure, sharpness

GOOD = Quality(eyes=60, sharpness=80, yaw=0.0, roll=0.0, brightness=128, clipped=0.0, score=2.0)


def face(yaw=0.0, roll=0.0, eyes=40.0, at=(100.0, 100.0)):
    """Five points of a head turned by `yaw` (the proxy) and rolled by degrees."""
    points = np.array([[0.7, 0], [0.3, 0], [-0.7, 0], [-0.3, 0], [yaw, 0.6]]) * eyes
    turn = np.deg2rad(roll)
    matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    return (points @ matrix.T + at).astype(np.float32)


def test_a_frontal_face_has_no_yaw_and_no_roll():
    held = pose(face())
    assert held.yaw == pytest.approx(0, abs=1e-6)
    assert held.roll == pytest.approx(0, abs=1e-4)
    assert held.eyes == pytest.approx(40)


@given(yaw=st.floats(-0.6, 0.6), roll=st.floats(-40, 40), eyes=st.floats(10, 200))
def test_yaw_is_read_whatever_the_roll_and_the_size(yaw, roll, eyes):
    held = pose(face(yaw, roll, eyes))
    assert held.yaw == pytest.approx(yaw, abs=1e-3)
    assert held.roll == pytest.approx(roll, abs=0.05)


@given(yaw=st.floats(-0.6, 0.6))
def test_a_mirrored_face_has_the_opposite_yaw(yaw):
    points = face(yaw)
    mirrored = points.copy()
    mirrored[:, 0] = 200 - mirrored[:, 0]
    assert pose(mirrored[[2, 3, 0, 1, 4]]).yaw == pytest.approx(-yaw, abs=1e-4)


def test_points_in_one_spot_are_a_pose_that_no_limit_accepts():
    held = pose(np.zeros((5, 2), np.float32))
    quality = measure(np.full((150, 150, 3), 128, np.uint8), held, 2.0)
    assert Flaw.TURNED in flaws(quality)


@given(st.tuples(*[st.floats(-500, 500)] * 4), st.tuples(*[st.floats(-500, 500)] * 4))
def test_overlap_is_symmetric_and_between_none_and_all(first, second):
    a, b = (Box(x, y, x + abs(w) + 1, y + abs(h) + 1) for x, y, w, h in (first, second))
    assert a.overlap(b) == pytest.approx(b.overlap(a))
    assert 0.0 <= a.overlap(b) <= 1.0
    assert a.overlap(a) == pytest.approx(1.0)


def test_a_box_beyond_the_edge_is_cut_to_whole_pixels_of_the_picture():
    assert Box(-10.5, -3, 700, 20.2).within(640, 480) == (0, 0, 640, 21)
    left, top, right, bottom = Box(900, 900, 950, 950).within(640, 480)
    assert (right - left) * (bottom - top) == 0 or right >= left


def test_a_yunet_box_becomes_square_and_a_little_lower():
    box = square(Box(100, 100, 180, 200))
    assert box.width == box.height == 100
    assert box.center == (140, 155)


@given(st.floats(-3, 3), st.floats(0.2, 4), st.floats(-50, 50), st.floats(-50, 50))
def test_the_cut_out_finds_back_any_turn_scale_and_shift(turn, scale, x, y):
    source = np.array([[0, 0], [30, 0], [15, 25]], np.float32)
    matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    target = (source @ matrix.T + [x, y]).astype(np.float32)
    found = similarity(source, target)
    assert np.allclose(found[:, :2] @ source.T + found[:, 2:], target.T, atol=1e-2)


def test_points_in_one_spot_have_no_cut_out():
    with pytest.raises(ValueError, match="one spot"):
        similarity(np.ones((3, 2), np.float32), np.ones((3, 2), np.float32))


@pytest.mark.parametrize(
    ("change", "flaw"),
    [
        ({"eyes": 12.0}, Flaw.TOO_SMALL),
        ({"sharpness": 3.0}, Flaw.BLURRED),
        ({"yaw": 0.3}, Flaw.TURNED),
        ({"yaw": -0.3}, Flaw.TURNED),
        ({"roll": 40.0}, Flaw.TILTED),
        ({"brightness": 20.0}, Flaw.TOO_DARK),
        ({"brightness": 240.0}, Flaw.TOO_BRIGHT),
        ({"clipped": 0.6}, Flaw.TOO_BRIGHT),
        ({"score": -0.5}, Flaw.UNSURE),
    ],
)
def test_each_fault_of_a_face_is_named(change, flaw):
    from dataclasses import replace

    assert flaws(GOOD, DOOR) == ()
    assert flaws(replace(GOOD, **change), DOOR) == (flaw,)


def test_what_is_good_enough_to_enrol_is_good_enough_for_the_door():
    edge = Quality(
        ENROLMENT.eyes, ENROLMENT.sharpness, ENROLMENT.yaw, ENROLMENT.roll, 128, 0.0, ENROLMENT.score
    )
    assert flaws(edge, ENROLMENT) == ()
    assert flaws(edge, DOOR) == ()


def test_a_blurred_picture_is_less_sharp_than_itself():
    random = np.random.default_rng(1)
    sharp = random.integers(0, 255, (60, 60)).astype(np.uint8)
    soft = ((sharp[:-1, :-1].astype(int) + sharp[1:, :-1] + sharp[:-1, 1:] + sharp[1:, 1:]) // 4).astype(
        np.uint8
    )
    assert sharpness(soft) < sharpness(sharp) / 2
    assert sharpness(np.zeros((2, 2), np.uint8)) == 0.0


def scene(level=100, box=None, shape=(480, 640)):
    picture = np.full((*shape, 3), level, np.uint8)
    if box:
        top, left, size = box
        picture[top : top + size, left : left + size] = 200
    return picture


def test_an_empty_doorway_closes_the_gate_and_somebody_opens_it():
    gate = MotionGate(MotionSettings(hold=1.0))
    assert gate.open(scene(), 0.0)
    assert not gate.open(scene(), 2.0)
    assert gate.open(scene(box=(100, 100, 120)), 2.1)
    assert gate.open(scene(box=(100, 100, 120)), 2.5)


def test_a_lamp_switched_on_is_no_motion():
    gate = MotionGate(MotionSettings(hold=1.0))
    gate.open(scene(60), 0.0)
    assert not gate.open(scene(120), 5.0)


def test_a_thing_put_down_becomes_background():
    gate = MotionGate(MotionSettings(hold=1.0))
    gate.open(scene(), 0.0)
    opened = [gate.open(scene(box=(100, 100, 120)), 1.0 + second / 2) for second in range(120)]
    assert opened[0]
    assert not opened[-1]


@pytest.mark.parametrize("shape", [(48, 64), (480, 640), (2160, 3840), (37, 41), (640, 360)])
def test_the_gate_takes_any_size_and_a_change_of_size(shape):
    gate = MotionGate()
    gate.open(scene(), 0.0)
    assert gate.open(scene(shape=shape), 10.0) or shape == (480, 640)
