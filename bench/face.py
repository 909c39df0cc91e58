"""How well and how fast faces are told apart: `python bench/face.py DIR [--json]`, DIR with one folder a person.

Needs the extra `face`. Runs on one thread; each figure with an interval says how many errors stand behind it. Photos
are only read. The pictures of DIR are no sample of the people at your door: no figure here is a promise for them.
"""

# ruff: noqa: E402 (the number of threads is set before numpy is imported)
from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from time import process_time
from typing import Any

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
if __name__ == "__main__" and os.environ.get("OMP_NUM_THREADS") != "1":
    os.execve(
        sys.executable, [sys.executable, *sys.argv], {**os.environ, **ONE_THREAD}
    )  # before numpy is loaded

import beside
import cv2
import numpy as np
from faceset import Photos, altered, approach, load
from rates import Curve, percent, told

from menwei_face import models
from menwei_face.detect import HogDetector
from menwei_face.embed import DeepFaceEmbedder, open_embedder
from menwei_face.events import Recognized
from menwei_face.match import MARGIN, Gallery, Rate
from menwei_face.photo import examine
from menwei_face.pipeline import Pipeline, Settings

GALLERY_DRAWS = 10
DRAWS = 50
"""Random choices of enrolled photos, for the figures with one and three templates."""


def pairs(photos: Photos) -> Curve:
    """All pairs of photos."""
    vectors, persons = photos.vectors, photos.persons
    distances = np.linalg.norm(vectors[:, None] - vectors[None], axis=2)
    upper = np.triu_indices(len(vectors), 1)
    same = (persons[:, None] == persons[None])[upper]
    return Curve.of(distances[upper][same], distances[upper][~same])


def halves(photos: Photos) -> dict[str, Any]:
    """The threshold chosen at FMR 0.1 % on half of the people, its errors on the other half; over every way to halve
    them (at most 252), means and the worst."""
    people = range(photos.people)
    ways = list(itertools.combinations(people, photos.people // 2))
    picked = (
        ways
        if len(ways) <= 252
        else [ways[at] for at in np.random.default_rng(5).permutation(len(ways))[:252]]
    )
    fnmr, fmr, thresholds = [], [], []
    for half in picked:
        inside = np.isin(photos.persons, half)
        threshold = pairs(_only(photos, inside)).threshold_at(0.001)
        other = pairs(_only(photos, ~inside))
        fnmr.append(other.fnmr(threshold).value)
        fmr.append(other.fmr(threshold).value)
        thresholds.append(threshold)
    return {
        "ways": len(picked),
        "threshold": [
            round(min(thresholds), 4),
            round(statistics.mean(thresholds), 4),
            round(max(thresholds), 4),
        ],
        "fnmr_mean": round(statistics.mean(fnmr), 5),
        "fnmr_worst": round(max(fnmr), 5),
        "fmr_mean": round(statistics.mean(fmr), 5),
        "fmr_worst": round(max(fmr), 5),
    }


def _only(photos: Photos, kept: Any) -> Photos:
    return Photos(tuple(photo for photo, keep in zip(photos.found, kept, strict=True) if keep), photos.people)


def templates(photos: Photos, count: int) -> dict[str, Any]:
    """`count` enrolled photos a person, drawn anew `DRAWS` times; every other photo is a probe. The trials of several
    draws are not independent, so intervals are for one draw's number of trials."""
    random = np.random.default_rng(count)
    genuine, impostor = [], []
    for _ in range(DRAWS):
        enrolled = _draw(photos, count, random)
        gallery = Gallery({str(person): photos.vectors[rows] for person, rows in enrolled.items()})
        used = {row for rows in enrolled.values() for row in rows}
        for row in set(range(len(photos.found))) - used:
            distances = gallery.distances(photos.vectors[row])
            own = gallery.subjects.index(str(photos.persons[row]))
            genuine.append(float(distances[own]))
            impostor += [float(one) for at, one in enumerate(distances) if at != own]
    curve = Curve.of(np.array(genuine), np.array(impostor))
    rates = {
        "fnmr_at_fmr_1": curve.fnmr_at(0.01),
        "fnmr_at_fmr_01": curve.fnmr_at(0.001),
        "at_050_fnmr": curve.fnmr(0.50),
        "at_050_fmr": curve.fmr(0.50),
    }
    return curve.report() | {"draws": DRAWS} | {key: _of_one_draw(rate, DRAWS) for key, rate in rates.items()}


def _draw(photos: Photos, count: int, random: np.random.Generator) -> dict[int, list[int]]:
    rows = {person: np.flatnonzero(photos.persons == person) for person in range(photos.people)}
    return {
        person: [int(one) for one in random.permutation(own)[:count]]
        for person, own in rows.items()
        if len(own) > count
    }


def gallery_size(photos: Photos, embedder: DeepFaceEmbedder, size: int) -> dict[str, Any]:
    """Misses and false alarms among `size` people, the missing ones filled up with altered copies of other people's
    photos, each copy a "person". Copies of one person are alike, so the margin refuses more than it would among real
    people: false alarms are counted without it too."""
    random, detector = np.random.default_rng(3), HogDetector()
    copies: list[tuple[int, Any]] = [(photo.person, photo.vector) for photo in photos.found]
    turn = itertools.cycle(photos.found)
    while len(copies) < size * photos.people / (photos.people - 1) + 10:
        photo = next(turn)
        face = examine(altered(photo.image, random), detector, embedder, central=True).face
        if face is not None:
            copies.append((photo.person, face.vector))
    counts = {"missed": 0, "wrong": 0, "false_alarm": 0, "false_alarm_without_margin": 0}
    trials = 0
    for person, rows in itertools.chain.from_iterable(
        _draw(photos, 3, random).items() for _ in range(GALLERY_DRAWS)
    ):
        others = [(f"copy {at}", [vector]) for at, (owner, vector) in enumerate(copies) if owner != person]
        strangers = Gallery(dict(others[: size - 1]))
        everybody = strangers.with_person("own", photos.vectors[rows])
        for row in set(np.flatnonzero(photos.persons == person)) - set(rows):
            trials += 1
            probe = photos.vectors[row]
            match = everybody.search(probe, 0.50)
            counts["missed"] += match.subject != "own"
            counts["wrong"] += match.subject not in ("own", None)
            counts["false_alarm"] += strangers.search(probe, 0.50).subject is not None
            counts["false_alarm_without_margin"] += (
                strangers.search(probe, 0.50, margin=0).subject is not None
            )
    names = {"missed": "fnir", "wrong": "named_somebody_else", "false_alarm": "fpir"}
    rates = {
        names.get(key, "fpir_without_margin"): _of_one_draw(Rate(count, trials))
        for key, count in counts.items()
    }
    return {"people": size, "threshold": 0.50, "margin": MARGIN, "draws": GALLERY_DRAWS, **rates}


def _of_one_draw(rate: Rate, draws: int | None = None) -> dict[str, Any]:
    """A rate over several draws with the interval of one draw's trials: draws of the same photos are not new photos."""
    draws = draws or GALLERY_DRAWS
    one = Rate(round(rate.errors / draws), round(rate.trials / draws))
    return told(rate) | {"interval_95": [round(value, 5) for value in one.interval], "soft": one.soft}


def stages(photos: Photos, embedder: DeepFaceEmbedder) -> dict[str, float]:
    """CPU milliseconds of each stage on 640×480 frames with one face, medians."""
    from deepface import DeepFace

    random = np.random.default_rng(7)
    spent: dict[str, list[float]] = {}
    detector, limits = HogDetector(), 12
    for photo in photos.found[:limits]:
        assert photo.box is not None
        frame = approach(photo.image, photo.box, random, frames=3)[-1][1]
        whole, found = beside.timed(detector.find, frame)
        if not found:
            continue
        near, _ = beside.timed(detector.find_near, frame, found[0].box)
        cut, (_, chip) = beside.timed(embedder.cut, frame, found[0].box)
        one, _ = beside.timed(embedder.embed, [chip])
        exact, _ = beside.timed(DeepFace.represent, chip, model_name="Dlib", detector_backend="skip")
        for key, value in (("detect whole", whole), ("detect near", near), ("cut", cut), ("embed", one)):
            spent.setdefault(key, []).append(value)
        spent.setdefault("embed by deepface's own Dlib", []).append(exact)
    return {key: round(statistics.median(values) * 1e3, 2) for key, values in spent.items()}


def searching(dimensions: int) -> dict[str, float]:
    """Milliseconds of one search among random templates, one a person; median of 51."""
    random = np.random.default_rng(1)
    report: dict[str, float] = {}
    for size in (1_000, 10_000, 100_000):
        rows = random.normal(0, 0.12, (size, dimensions)).astype(np.float32)
        gallery = Gallery({str(number): row[None] for number, row in enumerate(rows)})
        probe = rows[size // 2] + np.float32(0.001)
        report[str(size)] = round(
            statistics.median(beside.timed(gallery.search, probe, 0.5)[0] for _ in range(51)) * 1e3, 3
        )
    return report


def camera(photos: Photos, embedder: DeepFaceEmbedder) -> dict[str, Any]:
    """Approaches of every person to a camera at 15 frames/s: frames a core can do, and the CPU from the first usable
    frame to the decision against one search of a whole frame and two embeddings, measured in the same run."""
    random, detector = np.random.default_rng(9), HogDetector()
    enrolled = _draw(photos, 3, random)
    gallery = Gallery({str(person): photos.vectors[rows] for person, rows in enrolled.items()})
    spent, frames, decisions, bases, right, wrong, missed = 0.0, 0, [], [], 0, 0, 0
    for person, rows in enrolled.items():
        photo = next(
            one for at, one in enumerate(photos.found) if one.person == person and at not in rows and one.door
        )
        assert photo.box is not None
        pipeline = Pipeline(detector, embedder, Settings(), gallery=gallery)
        costs: list[float] = []
        first, decided = None, None
        film = approach(photo.image, photo.box, random)
        for at, frame in film:
            cost, events = beside.timed(pipeline.frame, frame, at)
            costs.append(cost)
            if first is None and pipeline.counters.runs.get("embed"):
                first = len(costs) - pipeline.settings.tracking.stable
            named = [event.subject for event in events if isinstance(event, Recognized)]
            if named and decided is None:
                decided = len(costs)
                right += named == [str(person)]
                wrong += named != [str(person)]
        missed += decided is None
        spent += sum(costs)
        frames += len(film)
        if first is not None and decided is not None:
            last = film[-1][1]
            detection, found = beside.timed(detector.find, last)
            chip = embedder.cut(last, found[0].box)[1]
            embedding = statistics.median(beside.timed(embedder.embed, [chip])[0] for _ in range(3))
            decisions.append(sum(costs[max(first, 0) : decided]))
            bases.append(detection + 2 * embedding)
    return {
        "approaches": len(enrolled),
        "recognised": right,
        "as_somebody_else": wrong,
        "not_recognised": missed,
        "frames_per_second_and_core": round(frames / spent, 1),
        "decision_cpu_ms": round(statistics.median(decisions) * 1e3, 1),
        "base_cpu_ms": round(statistics.median(bases) * 1e3, 1),
        "decision_to_base": round(statistics.median(a / b for a, b in zip(decisions, bases, strict=True)), 2),
    }


def measure(folder: Path, home: Path, *, people: int, find: int, rounds: int) -> dict[str, Any]:
    models.install(home)
    embedder = open_embedder(home)
    cv2.setNumThreads(1)
    begin = process_time()
    photos = load(folder, embedder, unit=embedder.model.unit)
    total = len(photos.photos)
    curve = pairs(photos)
    report: dict[str, Any] = {
        "photos": total,
        "people": photos.people,
        "model": embedder.name,
        "threshold_default": embedder.model.threshold,
        "embedding_cpu_s": round(process_time() - begin, 2),
        "failure_to_enrol": {
            "no_face": told(Rate(total - len(photos.found), total)),
            "below_door_quality": told(Rate(total - sum(photo.door for photo in photos.photos), total)),
            "below_enrolment_quality": told(
                Rate(total - sum(photo.enrolment for photo in photos.photos), total)
            ),
        },
        "all_pairs": curve.report(),
        "eer": curve.report()["eer"],
        "at_thresholds": {
            str(at): {"fmr": told(curve.fmr(at)), "fnmr": told(curve.fnmr(at))}
            for at in (0.40, 0.45, 0.50, 0.55, 0.60)
        },
        "threshold_from_other_half": halves(photos),
        "one_template": templates(photos, 1),
        "three_templates": templates(photos, 3),
        "gallery": gallery_size(photos, embedder, people),
        "stages_cpu_ms": stages(photos, embedder),
        "search_cpu_ms": searching(embedder.model.dimensions),
        "camera": camera(photos, embedder),
    }
    if find:
        report["beside_deepface"] = beside.compare(photos, embedder, size=find, rounds=rounds)
    return report


def table(report: dict[str, Any]) -> str:
    """The figures a reader asks for first."""
    every, three, one = report["all_pairs"], report["three_templates"], report["one_template"]
    rows = [
        ("photos, people", f"{report['photos']}, {report['people']}"),
        ("no face found", percent(report["failure_to_enrol"]["no_face"])),
        ("EER, all pairs", f"{every['eer'] * 100:.2f} % at {every['eer_threshold']}"),
        ("FNMR at FMR 1 %", percent(every["fnmr_at_fmr_1"])),
        ("FNMR at FMR 0.1 %", percent(every["fnmr_at_fmr_01"])),
        ("one template, FNMR at FMR 0.1 %", percent(one["fnmr_at_fmr_01"])),
        ("three templates, FNMR at FMR 0.1 %", percent(three["fnmr_at_fmr_01"])),
        ("three templates, EER", f"{three['eer'] * 100:.2f} %"),
        ("three templates at 0.50: FNMR", percent(three["at_050_fnmr"])),
        ("three templates at 0.50: FMR", percent(three["at_050_fmr"])),
        (
            "threshold from the other half: FNMR, FMR",
            f"{report['threshold_from_other_half']['fnmr_mean'] * 100:.2f} %, {report['threshold_from_other_half']['fmr_mean'] * 100:.3f} %",
        ),
        (f"FNIR among {report['gallery']['people']}", percent(report["gallery"]["fnir"])),
        (f"FPIR among {report['gallery']['people']}", percent(report["gallery"]["fpir"])),
        ("  without the margin", percent(report["gallery"]["fpir_without_margin"])),
        *((f"CPU ms: {key}", str(value)) for key, value in report["stages_cpu_ms"].items()),
        *((f"CPU ms: search {key}", str(value)) for key, value in report["search_cpu_ms"].items()),
        *((f"camera: {key}", str(value)) for key, value in report["camera"].items()),
    ]
    if "beside_deepface" in report:
        other = report["beside_deepface"]
        rows += [(f"CPU ms: {key}", str(value)) for key, value in other["cpu_ms"].items()]
        rows += [
            (f"our throughput against {key}", f"{value} ×")
            for key, value in other["times_our_throughput"].items()
        ]
        for name in ("ours", "find"):
            rows += [
                (f"{name}: {key}", percent(value))
                for key, value in other[name].items()
                if isinstance(value, dict)
            ]
    wide = max(len(key) for key, _ in rows)
    return "\n".join(f"{key:<{wide}}  {value}" for key, value in rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dir", type=Path, help="photos, one folder for each person")
    parser.add_argument("--json", action="store_true", help="the whole report as JSON")
    parser.add_argument("--people", type=int, default=1000, help="gallery size for FNIR and FPIR")
    parser.add_argument(
        "--find", type=int, default=1000, help="pictures in DeepFace.find's folder; 0 leaves it out"
    )
    parser.add_argument("--rounds", type=int, default=30, help="interleaved rounds beside DeepFace")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        report = measure(chosen.dir, Path(home), people=chosen.people, find=chosen.find, rounds=chosen.rounds)
    print(json.dumps(report, indent=1) if chosen.json else table(report))


if __name__ == "__main__":
    main()
