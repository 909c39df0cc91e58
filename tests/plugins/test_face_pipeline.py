"""One camera's pipeline with scripted faces: the detector and the embedder are fakes that read the script.

The real ones are tested in `test_face_real.py`; here it is about what is told, when, and how often.
"""

# ruff: noqa: E402 (what can be skipped is asked for before it is imported)
from __future__ import annotations

import pytest

np = pytest.importorskip("numpy", reason="NO FACE CODE TESTED: the extra 'face' (numpy) is not installed")

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from menwei_face.events import Guidance, Left, NotLive, Prompt, Recognized, Unknown
from menwei_face.geometry import Box, Detection
from menwei_face.liveness import Failure, Method, Side
from menwei_face.match import Gallery
from menwei_face.models import DLIB
from menwei_face.pipeline import Pipeline, Settings, usable
from menwei_face.quality import Flaw

ANNA = np.eye(128, dtype=np.float32)[0]
BEN = np.eye(128, dtype=np.float32)[1]
STRANGER = np.eye(128, dtype=np.float32)[2]
GALLERY = Gallery({"anna": [ANNA], "ben": [BEN]})
SHARP = np.random.default_rng(0).integers(60, 200, (150, 150, 3)).astype(np.uint8)
FPS = 10


@dataclass(frozen=True)
class Face:
    """A face of the script: who, where, how held."""

    vector: np.ndarray
    x: float = 250.0
    size: float = 140.0
    yaw: float = 0.0
    roll: float = 0.0
    score: float = 2.0
    sharp: bool = True

    @property
    def box(self):
        return Box(self.x, 150.0, self.x + self.size, 150.0 + self.size)

    def points(self):
        eyes = self.size * 0.42
        turn = np.deg2rad(self.roll)
        matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        points = np.array([[0.7, 0], [0.3, 0], [-0.7, 0], [-0.3, 0], [self.yaw, 0.6]]) * eyes
        return (points @ matrix.T + [self.x + self.size / 2, 200]).astype(np.float32)


class Stage:
    """Detector and embedder in one: they find and embed what the script says of the current frame."""

    smallest = 40.0
    model = DLIB

    def __init__(self):
        self.faces = []
        self.cut_from = []
        self.embedded = 0

    def find(self, frame):
        return [Detection(face.box, face.score) for face in self.faces]

    def find_near(self, frame, box):
        return [one for one in self.find(frame) if one.box.overlap(box.grown(2)) > 0.05]

    def cut(self, frame, box):
        face = next(one for one in self.faces if one.box == box)
        self.cut_from.append(face)
        return face.points(), SHARP if face.sharp else np.full_like(SHARP, 120)

    def embed(self, chips):
        self.embedded += len(chips)
        return np.stack([self.cut_from[-1].vector for _ in chips])


class Plane:
    """Says of every turned face how flat it is."""

    def __init__(self, flat=0.8):
        self.flat = flat
        self.asked = 0

    def patch(self, frame, points, box):
        return (frame.shape, box)

    def flatness(self, still, frame, points, box):
        assert still[0] == frame.shape
        self.asked += 1
        return self.flat


class Camera:
    """Plays scripts into a pipeline; keeps what was told."""

    def __init__(self, pipeline_settings=None, *, gallery=GALLERY, side=Side.LEFT, passive=None, flat=0.8):
        self.stage = Stage()
        self.plane = Plane(flat)
        self.pipeline = Pipeline(
            self.stage,
            self.stage,
            pipeline_settings,
            gallery=gallery,
            passive=passive,
            choose=lambda sides: side,
            plane=self.plane,
        )
        self.at = 0.0
        self.told = []

    def play(self, *faces, frames=10):
        """The same faces for some frames; returns what was told in them."""
        before = len(self.told)
        for _ in range(frames):
            self.stage.faces = list(faces)
            picture = np.full((480, 640, 3), int(self.at * FPS * 37) % 200, np.uint8)
            picture[: 100 + int(self.at * FPS) % 7 * 20] = 255
            self.told += self.pipeline.frame(picture, self.at)
            self.at = round(self.at + 1 / FPS, 3)
        return self.told[before:]

    def of(self, kind):
        return [event for event in self.told if isinstance(event, kind)]


def test_a_resident_is_recognised_once_per_approach():
    camera = Camera()
    camera.play(Face(ANNA), frames=50)
    assert [event.subject for event in camera.of(Recognized)] == ["anna"]
    assert camera.of(Recognized)[0].liveness is Method.NONE


def test_a_decision_takes_two_stable_frames_and_two_embeddings():
    camera = Camera()
    camera.play(Face(ANNA), frames=30)
    assert camera.of(Recognized)[0].captured == pytest.approx(0.2)
    assert camera.stage.embedded == 2


def test_a_stranger_is_unknown_once_and_nothing_of_them_stays():
    camera = Camera()
    camera.play(Face(STRANGER), frames=80)
    assert len(camera.of(Unknown)) == 1
    assert camera.of(Recognized) == []
    camera.play(frames=20)
    assert camera.pipeline._approaches == {}
    assert camera.pipeline._tracker.tracks == {}


def test_a_stranger_gets_few_tries_per_approach():
    camera = Camera()
    camera.play(Face(STRANGER), frames=600)
    rules = camera.pipeline.settings
    assert camera.stage.embedded == rules.rounds * rules.agreement.limit


def test_coming_back_is_a_new_approach():
    camera = Camera()
    camera.play(Face(ANNA))
    camera.play(frames=80)
    camera.play(Face(ANNA))
    assert len(camera.of(Recognized)) == 2
    assert len(camera.of(Left)) == 1


def test_a_track_lost_for_a_moment_does_not_report_the_same_person_again():
    camera = Camera()
    camera.play(Face(ANNA))
    camera.play(frames=15)
    camera.play(Face(ANNA))
    assert len(camera.of(Recognized)) == 1


def test_twins_are_unknown_and_the_record_says_why():
    camera = Camera(gallery=Gallery({"anna": [ANNA], "twin": [ANNA.copy()]}))
    camera.play(Face(ANNA), frames=20)
    assert camera.of(Recognized) == []
    assert [event.ambiguous for event in camera.of(Unknown)] == [True]


def test_two_people_at_once_are_each_recognised():
    camera = Camera()
    camera.play(Face(ANNA, x=80), Face(BEN, x=400), frames=20)
    assert sorted(event.subject for event in camera.of(Recognized)) == ["anna", "ben"]


def test_a_known_face_passing_by_at_a_distance_is_not_recognised():
    camera = Camera()
    for step in range(20):
        camera.play(Face(ANNA, x=40 + 25 * step, size=50), frames=1)
    assert camera.of(Recognized) == []


def test_a_known_face_far_behind_the_one_at_the_door_is_not_recognised():
    camera = Camera()
    camera.play(Face(STRANGER, size=160), Face(ANNA, x=500, size=75), frames=40)
    assert camera.of(Recognized) == []


def test_somebody_walking_past_the_camera_is_not_recognised():
    camera = Camera()
    for step in range(10):
        camera.play(Face(ANNA, x=10 + 55 * step), frames=1)
    assert camera.of(Recognized) == []


@pytest.mark.parametrize(
    ("face", "flaw"),
    [
        (Face(ANNA, yaw=0.3), Flaw.TURNED),
        (Face(ANNA, sharp=False), Flaw.BLURRED),
        (Face(ANNA, size=50), Flaw.TOO_SMALL),
        (Face(ANNA, score=0.1), Flaw.UNSURE),
    ],
)
def test_a_poor_face_gets_advice_once_and_no_name(face, flaw):
    camera = Camera()
    camera.play(face, frames=20)
    assert camera.of(Recognized) == camera.of(Unknown) == []
    assert [event.flaws for event in camera.of(Guidance)] == [(flaw,)]
    camera.play(Face(ANNA, size=face.size if flaw is not Flaw.TOO_SMALL else 75), frames=10)
    assert camera.of(Guidance)[-1].flaws == ()
    assert [event.subject for event in camera.of(Recognized)] == ["anna"]


def test_only_the_person_of_the_card_is_looked_for():
    camera = Camera()
    camera.pipeline.expect(frozenset({"ben"}))
    camera.play(Face(ANNA), frames=20)
    assert camera.of(Recognized) == []
    assert len(camera.of(Unknown)) == 1


def test_a_card_touched_while_standing_there_looks_again():
    camera = Camera()
    camera.play(Face(ANNA), frames=10)
    camera.pipeline.expect(frozenset({"anna"}))
    camera.play(Face(ANNA), frames=10)
    assert [event.subject for event in camera.of(Recognized)] == ["anna", "anna"]


def test_a_withdrawn_person_is_unknown_from_the_next_frame():
    camera = Camera()
    camera.pipeline.gallery = GALLERY.without("anna")
    camera.play(Face(ANNA), frames=20)
    assert camera.of(Recognized) == []


LIVE = Settings(head_turn=True)
TURN = [0.0, 0.0, 0.0, 0.1, 0.2, 0.3, 0.2, 0.05, 0.0]


def turn(camera, vector=ANNA, sign=1, roll=0.0, score=2.0, who=None):
    for yaw in TURN:
        turned = yaw > 0.15
        face = Face(
            who if who is not None and turned else vector,
            yaw=sign * yaw,
            roll=roll if turned else 0.0,
            score=score if turned else 2.0,
        )
        camera.play(face, frames=1)


def test_a_head_turn_is_asked_for_and_recorded():
    camera = Camera(LIVE)
    camera.play(Face(ANNA), frames=4)
    prompt = camera.of(Prompt)[0]
    assert (prompt.side, prompt.until) == (Side.LEFT, pytest.approx(8.2))
    assert camera.of(Recognized) == []
    turn(camera)
    assert [(event.subject, event.liveness) for event in camera.of(Recognized)] == [
        ("anna", Method.HEAD_TURN)
    ]
    assert camera.of(Recognized)[0].captured > prompt.until - 8.0


def test_a_still_photo_gets_two_tries_and_no_name():
    camera = Camera(LIVE)
    camera.play(Face(ANNA), frames=250)
    assert camera.of(Recognized) == []
    assert [(event.failure, event.again) for event in camera.of(NotLive)] == [
        (Failure.TIMEOUT, True),
        (Failure.TIMEOUT, False),
    ]


def test_a_stranger_is_not_asked_to_turn():
    camera = Camera(LIVE)
    camera.play(Face(STRANGER), frames=60)
    assert camera.of(Prompt) == []


@pytest.mark.parametrize(
    ("how", "failure"),
    [
        ({"sign": -1}, Failure.WRONG_SIDE),
        ({"roll": 8.0}, Failure.ROLLED),
        ({"who": STRANGER}, Failure.SOMEBODY_ELSE),
    ],
)
def test_a_turn_that_breaks_a_rule_is_not_live(how, failure):
    camera = Camera(LIVE)
    camera.play(Face(ANNA), frames=4)
    turn(camera, **how)
    assert camera.of(Recognized) == []
    assert camera.of(NotLive)[0].failure is failure


def test_a_photo_held_up_for_the_name_and_a_person_for_the_turn_is_not_live():
    camera = Camera(LIVE)
    camera.play(Face(ANNA), frames=4)
    turn(camera, vector=BEN)
    assert camera.of(Recognized) == []
    assert [event.failure for event in camera.of(NotLive)] == [Failure.SOMEBODY_ELSE]


def test_a_sibling_who_does_the_turn_for_the_one_who_was_named_is_not_live():
    """Near enough to count as the same face throughout, but nearer to another person of the gallery at the end."""
    sister = (ANNA + 0.28 * BEN).astype(np.float32)
    camera = Camera(LIVE, gallery=Gallery({"anna": [ANNA], "sister": [sister]}))
    camera.play(Face(ANNA), frames=4)
    turn(camera, vector=sister)
    assert camera.of(Recognized) == []
    assert [event.failure for event in camera.of(NotLive)] == [Failure.SOMEBODY_ELSE]


def test_a_turned_print_is_not_live():
    camera = Camera(LIVE, flat=0.99)
    camera.play(Face(ANNA), frames=4)
    turn(camera)
    assert camera.plane.asked == 1
    assert camera.of(Recognized) == []
    assert camera.of(NotLive)[0].failure is Failure.FLAT


def test_a_face_that_leaves_during_the_turn_is_not_live():
    camera = Camera(replace(LIVE, tries=1))
    camera.play(Face(ANNA), frames=6)
    camera.play(frames=12)
    assert [event.failure for event in camera.of(NotLive)] == [Failure.LOST]
    assert camera.of(Recognized) == []


def test_two_people_before_a_door_that_asks_for_a_turn_are_asked_to_come_one_by_one():
    camera = Camera(LIVE)
    camera.play(Face(ANNA, x=80), Face(BEN, x=400), frames=20)
    assert camera.of(Prompt) == camera.of(Recognized) == []
    assert {event.flaws for event in camera.of(Guidance)} == {(Flaw.TWO_FACES,)}


class Says:
    method = Method.FASNET

    def __init__(self, real):
        self.answer = real

    def real(self, frame, box):
        return self.answer, 0.9


def test_a_passive_check_is_recorded_or_refuses():
    real, fake = Camera(passive=Says(True)), Camera(passive=Says(False))
    real.play(Face(ANNA), frames=20)
    fake.play(Face(ANNA), frames=20)
    assert [event.liveness for event in real.of(Recognized)] == [Method.FASNET]
    assert fake.of(Recognized) == []
    assert [event.failure for event in fake.of(NotLive)] == [Failure.UNCLEAR]


def test_an_empty_doorway_is_not_searched():
    camera = Camera()
    searched = []
    camera.stage.find = lambda frame: searched.append(1) or []
    for number in range(200):
        camera.pipeline.frame(np.full((480, 640, 3), 100, np.uint8), number / FPS)
    assert camera.pipeline.counters.still > 150
    assert len(searched) <= 40


BAD = [
    None,
    np.zeros((0, 0, 3), np.uint8),
    np.zeros((480, 640, 5), np.uint8),
    np.zeros((4, 4, 3), np.uint8),
    np.zeros((480, 640, 3), np.float64),
    np.zeros((2, 480, 640, 3), np.uint8),
    "not a picture",
]


@pytest.mark.parametrize("bad", BAD, ids=[str(number) for number in range(len(BAD))])
def test_what_is_no_picture_is_counted_and_ends_nothing(bad):
    camera = Camera()
    camera.play(Face(ANNA), frames=1)
    assert camera.pipeline.frame(bad, camera.at) == []
    assert camera.pipeline.counters.unusable == 1
    camera.play(Face(ANNA), frames=10)
    assert len(camera.of(Recognized)) == 1


def test_a_frame_older_than_the_last_one_is_not_looked_at():
    camera = Camera()
    camera.play(Face(ANNA), frames=2)
    assert camera.pipeline.frame(np.zeros((480, 640, 3), np.uint8), 0.0) == []
    assert camera.pipeline.counters.unusable == 1


@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, max_side=70)), st.integers(-4, 4))
def test_any_array_is_a_picture_or_is_not(array, rotate):
    picture = usable(array, rotate)
    assert picture is None or (picture.ndim == 3 and picture.shape[2] == 3 and picture.dtype == np.uint8)


def test_a_rotated_camera_is_turned_upright():
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[:, :10] = 255
    upright = usable(picture, 1)
    assert upright is not None
    assert upright.shape == (200, 100, 3)
    assert upright[-1].min() == 255
