"""Which doors are looked at and how, and what `menwei check` says before a face alone may open one."""

from __future__ import annotations

import re
from importlib.util import find_spec

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from menwei import AccessPoint, IdentifierType
from menwei.checking import check_all
from menwei.model import LevelInForce, SecurityLevel
from menwei_face.far import false_acceptance
from menwei_face.models import DLIB, SFACE
from menwei_face.options import FaceOptions, Liveness
from menwei_face.plans import EXAMPLE, make
from menwei_face.vault_files import MOST

CARD, FACE = IdentifierType.CARD, IdentifierType.FACE
BOTH = SecurityLevel("Card and Face", (frozenset({CARD, FACE}),))
ALONE = SecurityLevel("Face", (frozenset({FACE}),))
EITHER = SecurityLevel("Card or Face", (frozenset({CARD}), frozenset({FACE})))
FIGURE = false_acceptance(DLIB.far_at(0.5), 20, MOST).one_in


def point(*levels, door="gate", cameras=("cam",)):
    return AccessPoint(
        f"{door}-in", door, "", tuple(LevelInForce(level) for level in levels), cameras=cameras
    )


def planned(options, *points, model=DLIB):
    return make(FaceOptions.model_validate(options), points, model)


def acknowledged(people=20, one_in=FIGURE, **more):
    return {"doors": {"gate": {"alone": {"people": people, "one_stranger_in": one_in}, **more}}}


def test_a_door_of_card_and_face_needs_no_options():
    made = planned({}, point(BOTH))
    (plan,) = made.plans
    assert made.objections == ()
    assert (plan.threshold, plan.liveness, plan.alone) == (DLIB.threshold, Liveness.NONE, None)


def test_a_door_may_be_stricter_than_the_site_and_the_site_than_the_network():
    options = {"threshold": 0.48, "doors": {"gate": {"threshold": 0.42, "liveness": "head_turn"}}}
    gate, unit = planned(options, point(BOTH), point(BOTH, door="unit")).plans
    assert (gate.threshold, gate.liveness) == (0.42, Liveness.HEAD_TURN)
    assert (unit.threshold, unit.liveness) == (0.48, Liveness.NONE)


def test_an_access_point_without_a_camera_or_without_faces_is_not_looked_at():
    assert (
        planned({}, point(BOTH, cameras=()), point(SecurityLevel("Card", (frozenset({CARD}),)))).plans == ()
    )


@pytest.mark.parametrize("levels", [(ALONE,), (EITHER,), (BOTH, ALONE)])
def test_a_face_alone_opens_nothing_before_the_site_has_said_that_it_knows_what_that_means(levels):
    made = planned({}, point(*levels))
    (objection,) = made.objections
    assert made.plans == ()
    assert objection.path == ("doors", "gate", "alone")
    assert objection.values["people"] == str(EXAMPLE)
    assert objection.values["one_in"] == str(false_acceptance(DLIB.far_at(0.5), EXAMPLE, MOST).one_in)


def test_a_face_alone_opens_where_the_figure_was_acknowledged_and_asks_for_a_head_turn():
    (plan,) = planned(acknowledged(), point(ALONE)).plans
    assert (plan.alone, plan.liveness) == (20, Liveness.HEAD_TURN)


def test_a_figure_that_sounds_better_than_the_measured_one_is_no_acknowledgement():
    made = planned(acknowledged(one_in=FIGURE + 1), point(ALONE))
    (objection,) = made.objections
    assert made.plans == () and objection.path[-1] == "one_stranger_in"
    assert (objection.values["said"], objection.values["one_in"]) == (str(FIGURE + 1), str(FIGURE))


@given(people=st.integers(1, 5000), said=st.integers(1, 5000), threshold=st.floats(0.3, 0.55))
def test_no_door_opens_by_a_face_alone_with_a_figure_better_than_the_measured_one(people, said, threshold):
    options = acknowledged(people, said, threshold=threshold)
    measured = false_acceptance(DLIB.far_at(threshold), people, MOST).one_in
    assert bool(planned(options, point(ALONE)).plans) == (said <= measured)


def test_outside_a_demonstration_no_face_alone_opens_without_a_check_of_liveness():
    made = planned(acknowledged(liveness="none"), point(ALONE))
    assert made.plans == ()
    assert [one.message for one in made.objections] == ["face.check.alone_liveness"]
    (plan,) = planned({**acknowledged(liveness="none"), "demonstration": True}, point(ALONE)).plans
    assert plan.liveness is Liveness.NONE


@pytest.mark.parametrize(("model", "threshold"), [(DLIB, 0.56), (SFACE, 1.0)])
def test_where_nothing_was_measured_a_face_alone_opens_nothing(model, threshold):
    made = planned(acknowledged(1, 1, threshold=threshold), point(ALONE), model=model)
    assert made.plans == ()
    assert [one.message for one in made.objections] == ["face.check.alone_unmeasured"]


def test_a_door_that_asks_for_no_face_is_told_with_those_that_do():
    (objection,) = planned({"doors": {"gaet": {}}}, point(BOTH)).objections
    assert (objection.message, objection.values) == (
        "face.check.no_such_door",
        {"door": "gaet", "known": "gate"},
    )


@pytest.mark.parametrize(
    "options",
    [
        {"threshold": 0},
        {"threshold": "near"},
        {"margin": 1},
        {"liveness": "smile"},
        {"doors": {"gate": {"alone": {"people": 0, "one_stranger_in": 5}}}},
        {"doors": {"gate": {"alone": {"people": 5}}}},
        {"watch_list": []},
    ],
)
def test_wrong_options_are_refused(options):
    with pytest.raises(ValidationError):
        FaceOptions.model_validate(options)


def test_the_margin_is_the_matchers():
    match = pytest.importorskip("menwei_face.match", reason="numpy is not installed")
    assert FaceOptions().margin == match.MARGIN


# --------------------------------------------------------------------------------------------------- the whole check


def checked(folder, level, face=None):
    config = {
        "site": {"id": "yard"},
        "plugins": {"simulator": {}, "camera": {}, "face": {"allow": ["rights"], **(face or {})}},
        "devices": {
            "board": {"driver": "simulator", "host": "127.0.0.1", "port": 4000},
            "cam": {"driver": "camera", "url": "http://127.0.0.1:9/x"},
        },
        "doors": {
            "gate": {
                "lock": "board/1",
                "access_points": {"gate-in": {"cameras": ["cam"], "security_level": level}},
            }
        },
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config), "utf-8")
    return [one for one in check_all(path) if one.path.startswith("plugins.face")]


def test_check_refuses_a_face_alone_and_states_the_figure_in_both_languages(tmp_path):
    (problem,) = checked(tmp_path, "Face")
    figure = str(false_acceptance(DLIB.far_at(0.5), EXAMPLE, MOST).one_in)
    for language in ("zh-CN", "en"):
        assert figure in re.findall(r"\d+", problem.text(language))
        assert f"alone: {{people: {EXAMPLE}, one_stranger_in: {figure}}}" in problem.text(language)
    assert checked(tmp_path, "Face", acknowledged()) == []


def test_check_has_nothing_against_card_and_face(tmp_path):
    assert checked(tmp_path, "Card and Face") == []
    assert checked(tmp_path, "PIN and Face", {"threshold": 0.45}) == []


@pytest.mark.skipif(find_spec("cv2") is not None, reason="here OpenCV is installed")
def test_the_check_needs_nothing_that_faces_need(tmp_path):
    assert checked(tmp_path, "Card and Face") == []
