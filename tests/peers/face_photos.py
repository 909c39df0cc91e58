"""Real photos of faces for tests and the demo, from registry packages at run time; the repository ships none.

The source archive of `face_recognition` 1.3.0 (MIT) holds three photos of one man and one of another; the wheel of
scikit-image (BSD) holds `astronaut.png`, a woman. They are fetched once by pip into a cache folder and checked.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ARCHIVE = "face_recognition-1.3.0.tar.gz"
ARCHIVE_SHA256 = "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec"
SCIKIT = "scikit-image==0.25.2"
ASTRONAUT_SHA256 = "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5"
FETCH_SECONDS = 120


def cache() -> Path:
    folder = Path(os.environ.get("MENWEI_CACHE", Path.home() / ".cache" / "menwei"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def photos() -> dict[str, Path]:
    """`obama`, `obama2`, `obama3` (one man) and `biden` (another). Skips the test, loudly, where they can not be had."""
    archive = cache() / ARCHIVE
    if not archive.is_file():
        _pip("--no-binary", ":all:", "face_recognition==1.3.0")
    if hashlib.sha256(archive.read_bytes()).hexdigest() != ARCHIVE_SHA256:
        pytest.fail(f"{archive} is not the archive that these tests know; delete it and try again")
    files: dict[str, Path] = {}
    with tarfile.open(archive) as inside:
        for name in ("obama", "obama2", "obama3", "biden"):
            files[name] = cache() / f"{name}.jpg"
            member = inside.extractfile(f"face_recognition-1.3.0/tests/test_images/{name}.jpg")
            assert member is not None
            files[name].write_bytes(member.read())
    return files


def astronaut() -> Path:
    """`astronaut.png` out of scikit-image's wheel: a face that nobody of `photos` has."""
    file = cache() / "astronaut.png"
    if not file.is_file():
        _pip("--only-binary", ":all:", SCIKIT)
        wheel = next(cache().glob("scikit_image-*.whl"))
        with zipfile.ZipFile(wheel) as inside:
            name = next(one for one in inside.namelist() if one.endswith("astronaut.png"))
            file.write_bytes(inside.read(name))
        wheel.unlink()
    if hashlib.sha256(file.read_bytes()).hexdigest() != ASTRONAUT_SHA256:
        pytest.fail(f"{file} is not the picture that these tests know; delete it and try again")
    return file


def _pip(*what: str) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(cache()), *what]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"NO REAL FACES TESTED: {what[-1]} did not arrive within {FETCH_SECONDS} s")
    if done.returncode:
        pytest.skip(
            f"NO REAL FACES TESTED: {what[-1]} is not to be had (offline?): {done.stderr.strip()[-300:]}"
        )
