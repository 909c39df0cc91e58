"""Which face is which from frame to frame."""

from __future__ import annotations

import pytest

pytest.importorskip("numpy", reason="NO FACE CODE TESTED: the extra 'face' (numpy) is not installed")

from menwei_face.geometry import Box, Detection
from menwei_face.track import Tracker, TrackSettings


def at(x, y=100.0, size=100.0, score=2.0):
    return Detection(Box(x, y, x + size, y + size), score)


def test_a_face_that_moves_a_little_keeps_its_track():
    tracker = Tracker()
    numbers = {tracker.update([at(100 + 10 * step)], step / 10)[0][0].number for step in range(20)}
    assert numbers == {1}


def test_two_people_side_by_side_keep_their_own_tracks():
    tracker = Tracker()
    first, _ = tracker.update([at(100), at(300)], 0.0)
    left, right = sorted(first, key=lambda track: track.box.left)
    for step in range(1, 10):
        seen, _ = tracker.update([at(300 - 2 * step), at(100 + 2 * step)], step / 10)
        places = {track.number: track.box.left for track in seen}
        assert places[left.number] < places[right.number]


def test_a_short_gap_does_not_end_an_approach():
    tracker = Tracker(TrackSettings(forget=1.0))
    tracker.update([at(100)], 0.0)
    assert tracker.update([], 0.5) == ([], [])
    assert tracker.update([at(105)], 0.9)[0][0].number == 1


def test_a_face_that_is_gone_ends_its_track_once():
    tracker = Tracker(TrackSettings(forget=1.0))
    tracker.update([at(100)], 0.0)
    _, ended = tracker.update([], 1.5)
    assert [track.number for track in ended] == [1]
    assert tracker.update([], 2.0) == ([], [])
    assert tracker.update([at(100)], 3.0)[0][0].number == 2


def test_somebody_walking_past_is_never_stable():
    tracker = Tracker(TrackSettings(stable=2, calm=0.30))
    seen = [tracker.update([at(100 + 45 * step)], step / 10)[0][0] for step in range(8)]
    assert not any(tracker.stable(track) for track in seen[1:])


def test_somebody_standing_still_is_stable_after_two_frames():
    tracker = Tracker(TrackSettings(stable=2))
    assert not tracker.stable(tracker.update([at(100)], 0.0)[0][0])
    assert tracker.stable(tracker.update([at(101)], 0.1)[0][0])


def test_no_track_starts_from_a_search_around_known_faces():
    tracker = Tracker()
    tracker.update([at(100)], 0.0)
    seen, _ = tracker.update([at(102), at(400)], 0.1, whole=False)
    assert [track.number for track in seen] == [1]


def test_a_second_box_on_the_same_face_is_no_second_person():
    tracker = Tracker()
    tracker.update([at(100)], 0.0)
    seen, _ = tracker.update([at(101), at(106)], 0.1)
    assert len(seen) == 1


def test_the_largest_face_comes_first():
    tracker = Tracker()
    seen, _ = tracker.update([at(400, size=60), at(100, size=140)], 0.0)
    assert [track.box.width for track in seen] == [140, 60]
