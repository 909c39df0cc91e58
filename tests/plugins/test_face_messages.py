"""Every message that the face code can ask for is there in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("numpy", reason="NO FACE CODE TESTED: the extra 'face' (numpy) is not installed")
pytest.importorskip("babel", reason="NO MESSAGES TESTED: babel is not installed")

from menwei.messages import LANGUAGES, Catalogue
from menwei_face import commands
from menwei_face.liveness import Failure, Method, Side
from menwei_face.match import false_acceptance
from menwei_face.models import Purpose, Trouble
from menwei_face.quality import Flaw

KEYS = sorted(
    [f"face.flaw.{flaw}" for flaw in Flaw]
    + [f"face.liveness.{failure}" for failure in Failure]
    + [f"face.method.{method}" for method in Method]
    + [f"face.turn.{side}" for side in Side]
    + [f"face.model.{trouble}" for trouble in Trouble]
    + [f"face.purpose.{purpose}" for purpose in Purpose]
    + [f"face.cli.{state}" for state in ("chosen", "usable", "not_usable")]
    + sorted(set(re.findall(r'say\(\s*"(face\.cli\.\w+)"', Path(commands.__file__).read_text("utf-8"))))
    + [false_acceptance(far, people).message for far, people in ((0.001, 5), (0.001, 0), (None, 5))]
)


@pytest.mark.parametrize("key", KEYS)
def test_the_message_is_there_in_both_languages_with_the_same_places(key):
    texts = Catalogue.of_package("menwei_face").texts
    places = [set(re.findall(r"{(\w+)}", texts[language][key])) for language in LANGUAGES]
    assert places[0] == places[1]
    assert texts["zh-CN"][key] != texts["en"][key]


def test_no_message_stands_there_for_nothing():
    assert Catalogue.of_package("menwei_face").keys() == set(KEYS)


def test_the_false_acceptance_sentence_gets_every_value_it_names():
    said = false_acceptance(0.001, 40, 3)
    text = Catalogue.of_package("menwei_face").texts["en"][said.message]
    assert set(re.findall(r"{(\w+)}", text)) <= set(said.values)
