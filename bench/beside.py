"""The same work done by `DeepFace.find` and `DeepFace.verify` with `model_name="Dlib"`, interleaved with ours."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

import cv2
import numpy as np
from faceset import Photos, altered
from rates import Curve, told

from menwei_face.detect import HogDetector
from menwei_face.embed import Embedder
from menwei_face.match import Gallery, Rate
from menwei_face.photo import examine


def timed(work: Callable[..., Any], *given: Any, **named: Any) -> tuple[float, Any]:
    """CPU seconds of this process that the call takes, and its answer."""
    begin = process_time()
    answer = work(*given, **named)
    return process_time() - begin, answer


def make_folder(
    photos: Photos, size: int, folder: Path, random: np.random.Generator
) -> list[tuple[int, int]]:
    """Writes `size` pictures: every photo, then altered copies in turn. Returns (person, number of the source photo)."""
    sources: list[tuple[int, int]] = []
    for number in range(size):
        source = number % len(photos.found)
        photo = photos.found[source]
        picture = photo.image if number < len(photos.found) else altered(photo.image, random)
        cv2.imwrite(str(folder / f"{number:05d}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 95])
        sources.append((photo.person, source))
    return sources


def compare(photos: Photos, embedder: Embedder, *, size: int, rounds: int) -> dict[str, Any]:
    """One photo → who it is, among `size` pictures; and two photos → the same person? CPU time and errors of both."""
    from deepface import DeepFace

    random = np.random.default_rng(11)
    detector = HogDetector()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = make_folder(photos, size, folder, random)
        ours_index, gallery = timed(_gallery, folder, sources, detector, embedder)

        def find(picture: Any, **more: Any) -> Any:
            return DeepFace.find(
                picture,
                db_path=name,
                model_name="Dlib",
                enforce_detection=False,
                silent=True,
                threshold=1e9,
                **more,
            )

        theirs_index, _ = timed(find, photos.found[0].image)
        best: dict[str, Any] = {"return_type": "dict", "refresh_database": False}
        times: dict[str, list[float]] = {
            "ours": [],
            "find": [],
            "find_at_its_best": [],
            "verify": [],
            "ours_pair": [],
        }
        ours_near: list[tuple[float, float]] = []
        find_near: list[tuple[float, float]] = []
        chosen = random.permutation(len(photos.found))[: max(rounds, 1)]
        for number in (int(one) for one in chosen):
            photo, other = photos.found[number], photos.found[(number + 1) % len(photos.found)]
            spent, seen = timed(_identify, photo.image, detector, embedder, gallery)
            times["ours"].append(spent)
            spent, _ = timed(find, photo.image)
            times["find"].append(spent)
            spent, answer = timed(find, photo.image, **best)
            times["find_at_its_best"].append(spent)
            pair = (photo.image, other.image)
            spent, _ = timed(DeepFace.verify, *pair, model_name="Dlib", enforce_detection=False)
            times["verify"].append(spent)
            spent, _ = timed(_both, pair, detector, embedder)
            times["ours_pair"].append(spent)
            find_near.append(_nearest(_from_find(answer, size), sources, photo.person, number))
            ours_near.append(_nearest(_from_gallery(seen, gallery, size), sources, photo.person, number))
    ratios = {
        key: round(statistics.median(b / a for a, b in zip(times[mine], times[key], strict=True)), 2)
        for mine, key in (("ours", "find"), ("ours", "find_at_its_best"), ("ours_pair", "verify"))
    }
    return {
        "pictures": size,
        "rounds": rounds,
        "index_cpu_s": {"ours": round(ours_index, 1), "find": round(theirs_index, 1)},
        "cpu_ms": {key: round(statistics.median(values) * 1e3, 1) for key, values in times.items()},
        "times_our_throughput": ratios,
        "ours": _errors(ours_near, 0.50),
        "find": _errors(find_near, 0.07),
    }


def _gallery(
    folder: Path, sources: list[tuple[int, int]], detector: HogDetector, embedder: Embedder
) -> Gallery:
    rows: dict[str, Any] = {}
    for number in range(len(sources)):
        picture = np.asarray(cv2.imread(str(folder / f"{number:05d}.jpg")), dtype=np.uint8)
        face = examine(picture, detector, embedder, central=True).face
        if face is not None:
            rows[str(number)] = [face.vector]
    return Gallery(rows, unit=embedder.model.unit)


def _both(pair: tuple[Any, Any], detector: HogDetector, embedder: Embedder) -> list[Any]:
    return [examine(one, detector, embedder, central=True) for one in pair]


def _identify(picture: Any, detector: HogDetector, embedder: Embedder, gallery: Gallery) -> Any:
    face = examine(picture, detector, embedder, central=True).face
    if face is None:
        return None
    gallery.search(face.vector, 0.50)
    return face.vector


def _from_gallery(vector: Any, gallery: Gallery, size: int) -> Any:
    distances = np.full(size, np.inf)
    if vector is not None:
        distances[[int(subject) for subject in gallery.subjects]] = gallery.distances(vector)
    return distances


def _from_find(answer: Any, size: int) -> Any:
    distances = np.full(size, np.inf)
    for row in answer[0] if answer else ():
        number = int(Path(row["identity"]).stem)
        distances[number] = min(distances[number], float(row["distance"]))
    return distances


def _nearest(distances: Any, sources: list[tuple[int, int]], person: int, photo: int) -> tuple[float, float]:
    """Nearest picture of the same person that is not the probe or its copy, and nearest of anybody else."""
    persons = np.array([one for one, _ in sources])
    copies = np.array([source == photo for _, source in sources])
    return (
        float(np.min(distances[(persons == person) & ~copies], initial=np.inf)),
        float(np.min(distances[persons != person], initial=np.inf)),
    )


def _errors(near: list[tuple[float, float]], threshold: float) -> dict[str, Any]:
    """Errors at the system's own threshold, and misses when its threshold lets 1 % and 5 % of strangers in."""
    same, other = (np.array(column) for column in zip(*near, strict=True))
    curve = Curve.of(same, other)

    def missed(at: float) -> Rate:
        return Rate(int(((same > at) | (same >= other)).sum()), len(same))

    return {
        "threshold": threshold,
        "missed": told(missed(threshold)),
        "strangers_accepted": told(curve.fmr(threshold)),
        "wrong_nearest": told(Rate(int((same >= other).sum()), len(same))),
        "missed_at_fpir_1": told(missed(curve.threshold_at(0.01))),
        "missed_at_fpir_5": told(missed(curve.threshold_at(0.05))),
    }
