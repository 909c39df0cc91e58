"""Which photos the demonstration plays."""

from __future__ import annotations

from pathlib import Path

import pytest

from menwei_simulator import photos
from menwei_simulator.photos import NoPhotos, own


def folder_of(tmp_path: Path, **people: int) -> Path:
    for person, count in people.items():
        (tmp_path / person).mkdir()
        for number in range(count):
            (tmp_path / person / f"{number}.jpg").write_bytes(b"a picture")
        (tmp_path / person / "notes.txt").write_text("no picture")
    return tmp_path


def test_of_ones_own_folder_the_first_with_two_photos_is_the_resident_and_another_the_stranger(
    tmp_path: Path,
) -> None:
    found = own(folder_of(tmp_path, anna=1, bert=3, carl=2))
    assert {file.parent.name for file in found.enrolled} == {"bert"}
    assert found.resident.parent.name == "bert"
    assert found.resident not in found.enrolled
    assert found.stranger.parent.name == "anna"


def test_no_more_photos_are_enrolled_than_a_person_may_have(tmp_path: Path) -> None:
    assert len(own(folder_of(tmp_path, anna=9, bert=1)).enrolled) == photos.MOST_ENROLLED


@pytest.mark.parametrize("people", [{}, {"anna": 3}, {"anna": 1, "bert": 1}])
def test_a_folder_with_too_few_photos_is_refused_in_a_sentence(
    tmp_path: Path, people: dict[str, int]
) -> None:
    with pytest.raises(NoPhotos) as refused:
        own(folder_of(tmp_path, **people))
    assert refused.value.key == "simulator.faces.too_few"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NoPhotos) as refused:
        own(tmp_path / "nowhere")
    assert (refused.value.key, refused.value.values["folder"]) == (
        "simulator.faces.no_folder",
        str(tmp_path / "nowhere"),
    )


def test_an_archive_that_was_exchanged_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / photos.ARCHIVE).write_bytes(b"something else")
    with pytest.raises(NoPhotos) as refused:
        photos.fetched(tmp_path)
    assert refused.value.key == "simulator.faces.other_archive"


def test_where_pip_reaches_nothing_the_reason_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(NoPhotos) as refused:
        photos.fetched(tmp_path / "cache")
    assert refused.value.key == "simulator.faces.offline"
    assert refused.value.values["detail"]
