"""Every message that the face code can ask for is there in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("numpy", reason="NO FACE CODE TESTED: the extra 'face' (numpy) is not installed")
pytest.importorskip("babel", reason="NO MESSAGES TESTED: babel is not installed")

import menwei_face
from menwei.manifest import FILE, read
from menwei.messages import LANGUAGES, Catalogue
from menwei_face import api, api_camera, api_mine
from menwei_face.consent import TEXT_VERSION
from menwei_face.enrol_commands import Result
from menwei_face.far import false_acceptance
from menwei_face.flaw import Hint
from menwei_face.liveness import Failure, Method, Side
from menwei_face.models import Purpose, Trouble
from menwei_face.photos import Reject
from menwei_face.quality import Flaw
from menwei_face.words import Ended

PACKAGE = Path(menwei_face.__file__).parent
CATALOGUE = Catalogue.of_package("menwei_face")
WRITTEN = {
    key
    for file in (*PACKAGE.glob("*.py"), *PACKAGE.glob("templates/*.html"))
    for key in re.findall(r"""["'](face(?:\.\w+){2,})["']""", file.read_text("utf-8"))
}
"""Keys that stand in the code as they are; the others are put together from the members of an enum."""
KEYS = sorted(
    WRITTEN.union(
        (f"face.flaw.{flaw}" for flaw in Flaw),
        (f"face.liveness.{failure}" for failure in Failure),
        (f"face.method.{method}" for method in Method),
        (f"face.turn.{side}" for side in Side),
        (f"face.model.{trouble}" for trouble in Trouble),
        (f"face.purpose.{purpose}" for purpose in Purpose),
        (f"face.photo.{flaw}" for flaw in Flaw),
        (f"face.reject.{reject}" for reject in Reject),
        (f"face.ended.{why}" for why in Ended),
        (f"face.camera.{hint}" for hint in Hint),
        (f"face.consent.text.{version}" for version in range(1, TEXT_VERSION + 1)),
        (f"entry.menwei_face.{kind}" for kind in read(PACKAGE / FILE).permissions.publishes),
        (route.summary for route in (*api.routes(), *api_camera.routes(), *api_mine.routes())),
        (f"face.list.result.{result}" for result in Result),
        (f"face.list.column.{column}" for column in ("row", "why", "photos")),
        (f"face.cli.{state}" for state in ("chosen", "usable", "not_usable")),
        (false_acceptance(far, people).message for far, people in ((0.001, 5), (0.001, 0), (None, 5))),
    )
)


@pytest.mark.parametrize("key", KEYS)
def test_the_message_is_there_in_both_languages_with_the_same_places(key):
    texts = CATALOGUE.texts
    places = [set(re.findall(r"{(\w+)}", texts[language][key])) for language in LANGUAGES]
    assert places[0] == places[1]
    assert texts["zh-CN"][key] != texts["en"][key]


def test_no_message_stands_there_for_nothing():
    assert CATALOGUE.keys() == set(KEYS)


def test_the_false_acceptance_sentence_gets_every_value_it_names():
    said = false_acceptance(0.001, 40, 3)
    text = CATALOGUE.texts["en"][said.message]
    assert set(re.findall(r"{(\w+)}", text)) <= set(said.values)
