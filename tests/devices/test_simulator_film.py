"""The film of somebody who walks up to a camera."""

from __future__ import annotations

from pathlib import Path

import pytest

cv2 = pytest.importorskip("cv2", reason="NO FILM TESTED: the extra 'camera' (cv2) is not installed")
np = pytest.importorskip("numpy")

from menwei_simulator import film  # noqa: E402


def photo(tmp_path: Path) -> Path:
    """No face: a red disc, in the upper middle where a face would be."""
    picture = np.full((400, 300, 3), 60, np.uint8)
    cv2.circle(picture, (150, 140), 40, (0, 0, 255), -1)
    file = tmp_path / "disc.png"
    assert cv2.imwrite(str(file), picture)
    return file


def red(jpeg: bytes) -> tuple[int, float]:
    """Pixels of the disc, and how far across its middle is."""
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).astype(int)
    there = (image[:, :, 2] > 150) & (image[:, :, 1] < 90)
    return int(there.sum()), float(np.nonzero(there)[1].mean()) if there.any() else -1.0


def test_whoever_comes_grows_until_they_stand_in_the_middle_and_stays_there(tmp_path: Path) -> None:
    frames = list(film.approach(photo(tmp_path), walk=1.0, stay=0.5))
    assert len(frames) == 15
    sizes = [red(frame)[0] for frame in frames]
    assert sizes[0] < sizes[5] < sizes[9]
    assert min(sizes[10:]) > 0.9 * max(sizes[10:])
    assert abs(red(frames[-1])[1] - film.WIDTH / 2) < 15


def test_the_picture_shakes_as_a_gait_does(tmp_path: Path) -> None:
    frames = list(film.approach(photo(tmp_path), walk=0.5, stay=1.0))
    across = [red(frame)[1] for frame in frames[5:]]
    assert 0.5 < max(across) - min(across) < 10


def test_the_wall_is_empty() -> None:
    assert red(film.jpeg(film.wall()))[0] == 0


def test_a_file_that_is_no_picture_is_said_to_be_none(tmp_path: Path) -> None:
    file = tmp_path / "text.jpg"
    file.write_text("hello")
    with pytest.raises(film.Unreadable, match=r"text\.jpg"):
        list(film.approach(file))
