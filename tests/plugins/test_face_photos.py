"""Which photos of a person become templates, and why the others do not."""

# ruff: noqa: E402 (what can be skipped is asked for before it is imported)
from __future__ import annotations

import pytest

np = pytest.importorskip("numpy", reason="NO FACE CODE TESTED: the extra 'face' (numpy) is not installed")

from hypothesis import given
from hypothesis import strategies as st

from face_house import face
from menwei_face.match import template
from menwei_face.photos import LEAST, Looked, Reject, choose, rank
from menwei_face.quality import Flaw, Quality
from menwei_face.vault_files import MOST

GOOD = Quality(80.0, 100.0, 0.02, 1.0, 130.0, 0.0, 2.0)
THRESHOLD = 0.5


def photo(name, who="lin", number=None, why=(), quality=GOOD):
    index = int(name) if number is None else number
    return Looked(name, tuple(why), template(face(who, index)), quality)


def reasons(choice):
    return {one.name: one.why for one in choice.photos}


def test_three_good_photos_of_one_person_are_three_templates():
    choice = choose([photo("1"), photo("2"), photo("3")], THRESHOLD)
    assert choice.why is None
    assert choice.templates == tuple(template(face("lin", number)) for number in (1, 2, 3))
    assert all(one.used and not one.why for one in choice.photos)


def test_fewer_than_three_usable_ones_are_too_few_and_none_is_kept():
    choice = choose([photo("1"), photo("2"), photo("3", why=[Flaw.BLURRED])], THRESHOLD)
    assert choice.why is Reject.TOO_FEW
    assert len(choice.templates) == 0
    assert reasons(choice)["3"] == (Flaw.BLURRED,)
    assert not any(one.used for one in choice.photos)


def test_of_more_than_five_the_best_are_kept_and_the_others_are_not_called_bad():
    blurred = Quality(80.0, 20.0, 0.15, 10.0, 130.0, 0.0, 0.8)
    photos = [photo(str(n), quality=blurred if n in (0, 4) else GOOD) for n in range(7)]
    choice = choose(photos, THRESHOLD)
    assert [one.name for one in choice.photos if not one.used] == ["0", "4"]
    assert not any(one.why for one in choice.photos)
    assert len(choice.templates) == MOST


def test_somebody_else_among_the_photos_is_told_apart():
    choice = choose([photo("1"), photo("2", "wang"), photo("3"), photo("4")], THRESHOLD)
    assert reasons(choice)["2"] == (Reject.SOMEBODY_ELSE,)
    assert len(choice.templates) == 3


def test_one_photo_three_times_is_one_photo():
    copies = [photo(str(n), number=0) for n in range(3)]
    choice = choose(copies, THRESHOLD)
    assert choice.why is Reject.TOO_FEW
    assert list(reasons(choice).values()) == [(), (Reject.SAME_PHOTO,), (Reject.SAME_PHOTO,)]


def test_of_a_network_compared_by_angle_the_length_does_not_matter():
    long = [Looked(str(n), (), template(face("lin", n) * (1 + 3 * n)), GOOD) for n in range(3)]
    assert choose(long, THRESHOLD, unit=True).why is None
    assert choose(long, THRESHOLD).why is Reject.TOO_FEW


def test_a_larger_sharper_more_frontal_face_ranks_higher():
    for worse in ({"eyes": 35.0}, {"sharpness": 20.0}, {"yaw": 0.15}, {"roll": 12.0}, {"brightness": 70.0}):
        values = {name: getattr(GOOD, name) for name in Quality.__slots__} | worse
        assert rank(Quality(**values)) < rank(GOOD), worse


looked = st.builds(
    Looked,
    name=st.text(max_size=3),
    why=st.lists(st.sampled_from([*Flaw, Reject.UNREADABLE]), max_size=2).map(tuple),
    template=st.none() | st.builds(face, st.sampled_from(["lin", "wang"]), st.integers(0, 5)).map(template),
    quality=st.just(GOOD),
)


@given(st.lists(looked, max_size=8))
def test_whatever_comes_in_templates_are_three_to_five_used_photos_or_none(photos):
    choice = choose(photos, THRESHOLD)
    used = [one for one in choice.photos if one.used]
    assert len(choice.photos) == len(photos)
    assert len(choice.templates) == len(used)
    assert (len(used) == 0) == (choice.why is not None)
    assert len(used) == 0 or LEAST <= len(used) <= MOST
    assert not any(one.why for one in used)
