"""The looker in the camera worker: whom it looks for, and what it forgets."""

# ruff: noqa: E402 (what can be skipped is asked for before it is imported)
from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

np = pytest.importorskip("numpy", reason="NO FACE CODE TESTED: the extra 'face' (numpy) is not installed")

from face_stage import ANNA, BEN, STRANGER, Face, Stage, picture
from menwei_face.events import Guidance, Left, NotLive, Prompt, Recognized, Unknown
from menwei_face.flaw import Flaw
from menwei_face.liveness import Failure, Method, Side
from menwei_face.look import lookers, told
from menwei_face.match import template
from menwei_face.models import DLIB, ModelsNotReady
from menwei_face.options import Liveness
from menwei_face.orders import Admit, Expect, Gone, Known, Orders, Settings
from menwei_face.template import Templates

EVERYBODY = Known(Templates({"anna": [template(ANNA)], "ben": [template(BEN)]}))
ALWAYS = Settings(0.5, 0.04, Liveness.NONE, always=True)
AFTER_CARD = Settings(0.5, 0.04, Liveness.NONE, always=False)


class Door:
    """Cameras with scripted faces before them."""

    def __init__(self, **settings):
        self.stage = Stage()
        make = lookers(Orders(Path("nowhere"), DLIB.name, settings), self.stage, self.stage)
        self.lookers = {camera: make(camera) for camera in settings}
        self.at = 0.0

    def tell(self, camera, *messages):
        for message in messages:
            assert list(self.lookers[camera].told(pickle.loads(pickle.dumps(message)))) == []

    def see(self, camera, *faces, frames=8):
        said = []
        for _ in range(frames):
            self.stage.faces = list(faces)
            said += self.lookers[camera].frame(picture(self.at), self.at)
            self.at = round(self.at + 0.1, 3)
        json.dumps(said)
        return said

    def leave(self, camera):
        self.see(camera, frames=70)


def subjects(said):
    return [one["subject"] for one in said if one["kind"] == "recognized"]


def test_nothing_is_looked_at_before_it_is_known_who_belongs_to_the_door():
    door = Door(gate=ALWAYS)
    assert door.see("gate", Face(ANNA)) == []
    door.tell("gate", EVERYBODY)
    assert door.see("gate", Face(ANNA)) == []
    assert door.stage.embedded == 0


def test_only_the_people_of_the_door_are_known_there():
    door = Door(gate=ALWAYS, unit=ALWAYS)
    door.tell("gate", EVERYBODY, Admit(frozenset({"anna"}), True))
    door.tell("unit", Admit(frozenset({"ben"}), True))
    assert subjects(door.see("gate", Face(ANNA))) == ["anna"]
    assert [one["kind"] for one in door.see("unit", Face(ANNA))] == ["unknown"]


def test_what_is_told_of_a_stranger_is_that_there_was_one():
    door = Door(gate=ALWAYS)
    door.tell("gate", EVERYBODY, Admit(frozenset({"anna"}), True))
    (said,) = door.see("gate", Face(STRANGER))
    assert said.keys() == {"kind", "at"}


def test_before_a_card_nobody_is_looked_at_where_a_card_is_needed():
    door = Door(gate=AFTER_CARD)
    door.tell("gate", EVERYBODY, Admit(frozenset({"anna", "ben"}), False))
    assert door.see("gate", Face(ANNA)) == []
    assert door.stage.embedded == 0
    door.tell("gate", Expect(frozenset({"anna"})))
    assert subjects(door.see("gate", Face(ANNA))) == ["anna"]
    door.tell("gate", Expect(None))
    assert door.see("gate", Face(BEN)) == []


def test_only_whom_the_card_named_is_looked_for():
    door = Door(gate=AFTER_CARD)
    door.tell("gate", EVERYBODY, Admit(frozenset({"anna", "ben"}), False), Expect(frozenset({"anna"})))
    assert [one["kind"] for one in door.see("gate", Face(BEN))] == ["unknown"]


def test_a_card_whose_owner_is_not_enrolled_here_lets_nobody_be_recognised():
    door = Door(gate=ALWAYS)
    door.tell("gate", EVERYBODY, Admit(frozenset({"anna", "ben"}), True), Expect(frozenset()))
    assert subjects(door.see("gate", Face(ANNA))) == []


def test_somebody_who_stands_still_before_the_card_is_seen_after_it():
    door = Door(gate=AFTER_CARD)
    door.tell("gate", EVERYBODY, Admit(frozenset({"anna"}), False), Expect(frozenset({"anna"})))
    still = picture(0.0)
    for number in range(60):  # nobody there: the gate learns the picture and closes
        list(door.lookers["gate"].frame(still, number / 10))
    door.tell("gate", Expect(frozenset({"anna"})))
    door.stage.faces = [Face(ANNA)]
    said = [one for number in range(60, 70) for one in door.lookers["gate"].frame(still, number / 10)]
    assert subjects(said) == ["anna"]


def test_whoever_is_withdrawn_is_unknown_in_the_next_frame_at_every_camera():
    door = Door(gate=ALWAYS, unit=ALWAYS)
    door.tell("gate", EVERYBODY, Admit(frozenset({"anna", "ben"}), True))
    door.tell("unit", Admit(frozenset({"anna"}), True))
    assert subjects(door.see("unit", Face(ANNA))) == ["anna"]
    door.leave("unit")
    door.tell("gate", Gone(frozenset({"anna"})))
    assert subjects(door.see("unit", Face(ANNA))) == []
    assert subjects(door.see("gate", Face(BEN))) == ["ben"]


def test_new_templates_take_the_place_of_the_old_ones():
    door = Door(gate=ALWAYS)
    door.tell(
        "gate", EVERYBODY, Admit(frozenset({"anna"}), True), Known(Templates({"anna": [template(STRANGER)]}))
    )
    assert subjects(door.see("gate", Face(ANNA))) == []
    assert subjects(door.see("gate", Face(STRANGER, x=20))) == ["anna"]


def test_a_door_with_more_people_than_were_acknowledged_looks_only_for_whom_a_card_named():
    door = Door(gate=ALWAYS)
    door.tell("gate", EVERYBODY, Admit(frozenset({"anna", "ben"}), False))
    assert door.see("gate", Face(ANNA)) == []
    door.tell("gate", Expect(frozenset({"anna"})))
    assert subjects(door.see("gate", Face(ANNA))) == ["anna"]


def test_where_a_head_turn_is_asked_for_the_person_is_prompted_first():
    door = Door(gate=Settings(0.5, 0.04, Liveness.HEAD_TURN, always=True))
    door.tell("gate", EVERYBODY, Admit(frozenset({"anna"}), True))
    (prompt,) = door.see("gate", Face(ANNA), frames=3)
    assert (
        prompt["kind"] == "prompt" and prompt["side"] in {"left", "right"} and 7.9 < prompt["seconds"] <= 8.0
    )


def test_every_event_of_the_pipeline_is_told_as_json():
    events = [
        Recognized(1, "anna", 0.7, 0.3, Method.HEAD_TURN, 2.0),
        Unknown(1, 2.0, ambiguous=True),
        Prompt(1, Side.LEFT, 10.0),
        NotLive(1, Failure.FLAT, False, 2.0),
        Guidance(1, (Flaw.BLURRED, Flaw.TURNED)),
    ]
    said = [json.loads(json.dumps(told(event, 2.0))) for event in events]
    assert said == [
        {"kind": "recognized", "subject": "anna", "score": 0.7, "liveness": "head_turn", "at": 2.0},
        {"kind": "unknown", "at": 2.0},
        {"kind": "prompt", "side": "left", "seconds": 8.0},
        {"kind": "not_live", "failure": "flat", "again": False},
        {"kind": "guidance", "flaws": ["blurred", "turned"]},
    ]
    assert told(Left(1), 2.0) is None


def test_what_is_said_to_the_worker_shows_no_template():
    assert repr(EVERYBODY) == "Known()"
    assert repr(EVERYBODY.templates) == "Templates()"


def test_without_the_files_of_the_networks_no_looker_is_made(tmp_path):
    from menwei_face.look import make

    with pytest.raises(ModelsNotReady):
        make(Orders(tmp_path, DLIB.name, {"gate": ALWAYS}))
