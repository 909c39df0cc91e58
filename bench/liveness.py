"""Does the head turn tell a photo from a person? `python bench/liveness.py DIR [--clip FILM …] [--json]`.

DIR: photos, one folder a person. Each photo is "printed" and moved before a rendered camera as an attacker would move
it: turned, tilted, both, bent. An attack passes when the challenge passes for the side it was asked for; the asked
side is the one the attacker moves to (the attacker guesses right; who guesses wrong fails more often). Genuine turns:
films of real people given by `--clip` (the range of yaw in them), and a rendered head, which is no real person.

What is measured is the rule against *these* pictures. A video of a person turning passes; so may a mask.
"""

# ruff: noqa: E402 (the number of threads is set before numpy is imported)
from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
if __name__ == "__main__" and os.environ.get("OMP_NUM_THREADS") != "1":
    os.execve(
        sys.executable, [sys.executable, *sys.argv], {**os.environ, **ONE_THREAD}
    )  # before numpy is loaded

import cv2
import numpy as np
from prints import FPS, Angles, Surface, bent, crop, film, flat, head, swing
from rates import percent, told

from menwei_face import models, planar
from menwei_face.detect import HogDetector
from menwei_face.embed import DeepFaceEmbedder, open_embedder
from menwei_face.geometry import Image, pose
from menwei_face.liveness import HeadTurn, Side, Sight, Step, TurnRules
from menwei_face.match import Rate
from menwei_face.photo import examine
from menwei_face.quality import ENROLMENT

ATTACKS: dict[str, tuple[Surface, Angles]] = {
    **{f"turned {angle}°": (flat, swing(angle)) for angle in (30, 45, 60)},
    **{f"tilted {angle}°": (flat, swing(0, angle)) for angle in (30, 45)},
    **{
        f"oblique {a}°/{b}°": (flat, swing(a, b))
        for a, b in (
            (30, 30),
            (30, -45),
            (40, -30),
            (45, 20),
            (45, 45),
            (45, -45),
            (50, -35),
            (55, -55),
            (60, 30),
        )
    },
    **{
        f"oblique {a}°/{b}°, rolled back": (flat, swing(a, b, r))
        for a, b, r in ((45, 45, 8), (45, -45, 8), (45, -45, 4), (40, -40, 12))
    },
    **{f"bent {r}, turned {a}°": (bent(r), swing(a)) for r in (0.8, 1.5) for a in (30, 45)},
    **{f"bent {r} slanted 30°, turned 45°": (bent(r, 30), swing(45)) for r in (0.8, 1.5)},
    "bent 1.0, turned 45°, tilted 20°": (bent(1.0), swing(45, 20)),
    **{f"bent {r}, turned 40°, tilted -25°": (bent(r), swing(40, -25)) for r in (0.6, 3.0)},
}
LEAST_TURN = 0.13
"""Change of yaw from which flatness is computed: below that of any rule tried here."""
UNFINISHED = {
    Step.STILL: "never still",
    Step.TURN: "never turned enough and clear",
    Step.BACK: "not back in time",
}
HEADS: dict[str, tuple[Surface, Angles]] = {
    f"rendered head, {angle}°": (head, swing(angle)) for angle in (25, 30, 35, 40)
}
RELAXED = {
    "all rules": TurnRules(),
    "without the roll rule": replace(TurnRules(), roll=90.0),
    "without the flatness rule": replace(TurnRules(), flat=2.0),
    "without the leap rule": replace(TurnRules(), leap=9.0),
    "without the score rule": replace(TurnRules(), score=-10.0),
    "without flatness and score": replace(TurnRules(), flat=2.0, score=-10.0),
    "a change of 0.20": replace(TurnRules(), turn=0.20),
    "a change of 0.15": replace(TurnRules(), turn=0.15),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """The frames of one film as the challenge sees them."""

    sights: tuple[Sight, ...]

    def change(self) -> float:
        yaws = [sight.pose.yaw for sight in self.sights]
        return max(abs(yaw - yaws[0]) for yaw in yaws) if yaws else 0.0

    def outcome(self, side: Side, rules: TurnRules) -> str:
        turn = HeadTurn(side, 0.0, rules)
        for sight in self.sights:
            if turn.see(sight) in (Step.PASSED, Step.FAILED):
                break
        if turn.step is Step.PASSED:
            return "passed"
        return str(turn.failure) if turn.failure else UNFINISHED[turn.step]


def watch(frames: Any, detector: HogDetector, embedder: DeepFaceEmbedder) -> Seen:
    """Follows the face through a film as the pipeline does, and compares every frame with the first."""
    sights: list[Sight] = []
    box, first, still, ahead = None, None, None, 0.0
    for at, frame in frames:
        found = detector.find(frame) if box is None else detector.find_near(frame, box)
        if not found:
            continue
        box = found[0].box
        points, chip = embedder.cut(frame, box)
        vector = embedder.embed([chip])[0]
        held = pose(points)
        if first is None or still is None:
            first, still, ahead = vector, planar.patch(frame, points, box), held.yaw
        flat = planar.flatness(still, frame, points, box) if abs(held.yaw - ahead) > LEAST_TURN else -1.0
        sights.append(Sight(at, held, found[0].score, float(np.linalg.norm(vector - first)), flat))
    return Seen(tuple(sights))


def printed(folder: Path, embedder: DeepFaceEmbedder, each: int) -> list[Image]:
    """`each` good frontal photos a person, cut as a print."""
    detector, prints = HogDetector(), []
    for person in sorted(path for path in folder.iterdir() if path.is_dir()):
        kept = 0
        for file in sorted(person.iterdir()):
            image = cv2.imread(str(file))
            if image is None or kept == each:
                continue
            picture = np.asarray(image, dtype=np.uint8)
            seen = examine(picture, detector, embedder, ENROLMENT, central=True)
            if seen.face is not None and seen.usable and abs(seen.face.pose.yaw) < 0.12:
                prints.append(crop(picture, seen.face.box))
                kept += 1
    return prints


def swapped(folder: Path, detector: HogDetector, embedder: DeepFaceEmbedder) -> list[Seen]:
    """The strongest thing to do with paper: a frontal photo, then a turned one of the same person, then the first
    again. Only people with two such photos in DIR can be played."""
    films: list[Seen] = []
    for person in sorted(path for path in folder.iterdir() if path.is_dir()):
        poses: list[tuple[float, Image]] = []
        for file in sorted(person.iterdir()):
            image = cv2.imread(str(file))
            if image is None:
                continue
            picture = np.asarray(image, dtype=np.uint8)
            face = examine(picture, detector, embedder, central=True).face
            if face is not None:
                poses.append((face.pose.yaw, crop(picture, face.box)))
        if not poses:
            continue
        front, turned = min(poses, key=lambda one: abs(one[0])), max(poses, key=lambda one: abs(one[0]))
        if abs(turned[0] - front[0]) >= TurnRules().turn:
            order = [front[1]] * 8 + [turned[1]] * 6 + [front[1]] * 8
            still = [next(film(photo, flat, swing(0), seconds=0.2))[1] for photo in (front[1], turned[1])]
            frames = [(at / FPS, still[photo is turned[1]]) for at, photo in enumerate(order)]
            films.append(watch(frames, detector, embedder))
    return films


def judged(films: dict[str, list[Seen]], rules: TurnRules) -> dict[str, Any]:
    """For each kind: how many films passed for at least one of the two sides, and why the others did not."""
    report: dict[str, Any] = {}
    for kind, seen in films.items():
        outcomes = [_best(one, rules) for one in seen]
        report[kind] = {
            "passed": told(Rate(outcomes.count("passed"), len(outcomes))),
            "stopped_by": dict(Counter(one for one in outcomes if one != "passed")),
            "change_median_max": [round(float(np.median(c)), 3) for c in [[one.change() for one in seen]]]
            + [round(max(one.change() for one in seen), 3)],
        }
    return report


def _best(seen: Seen, rules: TurnRules) -> str:
    """The outcome for the side that suits the film better: the attacker guessed right."""
    outcomes = [seen.outcome(side, rules) for side in Side]
    if "passed" in outcomes:
        return "passed"
    return next((one for one in outcomes if one != "wrong_side"), outcomes[0])


def clip(file: Path, detector: HogDetector, embedder: DeepFaceEmbedder) -> dict[str, Any]:
    """What a film of a real person shows: faces, range of yaw, and whether any stretch of 8 s would pass."""
    video = cv2.VideoCapture(str(file))
    fps = video.get(cv2.CAP_PROP_FPS) or 25.0
    frames, number = [], 0
    while True:
        read, frame = video.read()
        if not read:
            break
        if number % max(1, round(fps / FPS)) == 0:
            scale = max(1.0, 480 / frame.shape[0])
            frames.append(
                (number / fps, np.asarray(cv2.resize(frame, None, fx=scale, fy=scale), dtype=np.uint8))
            )
        number += 1
    video.release()
    seen = watch(frames, detector, embedder)
    yaws = [sight.pose.yaw for sight in seen.sights]
    starts = range(0, len(seen.sights), 5)
    passed = [
        side.value for side in Side for start in starts if HeadTurnFilm(seen.sights[start:], side).passes()
    ]
    return {
        "frames": len(frames),
        "with_a_face": len(yaws),
        "yaw": [round(min(yaws), 3), round(max(yaws), 3)] if yaws else [],
        "passes_from_some_start": sorted(set(passed)),
    }


@dataclass(frozen=True, slots=True)
class HeadTurnFilm:
    """A stretch of a film tried as one challenge."""

    sights: tuple[Sight, ...]
    side: Side

    def passes(self) -> bool:
        if not self.sights:
            return False
        turn = HeadTurn(self.side, self.sights[0].at)
        return any(turn.see(sight) is Step.PASSED for sight in self.sights)


def measure(folder: Path, home: Path, clips: list[Path], each: int) -> dict[str, Any]:
    models.install(home)
    cv2.setNumThreads(1)
    embedder, detector = open_embedder(home), HogDetector()
    photos = printed(folder, embedder, each)
    films = {
        kind: [watch(film(photo, surface, angles), detector, embedder) for photo in photos]
        for kind, (surface, angles) in (ATTACKS | HEADS).items()
    }
    films["two photos swapped"] = swapped(folder, detector, embedder)
    attacks = {kind: films[kind] for kind in (*ATTACKS, "two photos swapped") if films[kind]}
    everything = [seen for kind in attacks.values() for seen in kind]
    return {
        "photos": len(photos),
        "rules": {
            name: told(Rate(sum(_best(seen, rules) == "passed" for seen in everything), len(everything)))
            for name, rules in RELAXED.items()
        },
        "attacks": judged(attacks, TurnRules()),
        "rendered_heads": judged({kind: films[kind] for kind in HEADS}, TurnRules()),
        "films": {file.name: clip(file, detector, embedder) for file in clips},
    }


def table(report: dict[str, Any]) -> str:
    rows = [("prints", str(report["photos"]))]
    rows += [(f"all attacks that pass, {name}", percent(value)) for name, value in report["rules"].items()]
    for group in ("attacks", "rendered_heads"):
        rows += [
            (kind, f"{percent(value['passed'])}  change {value['change_median_max']}  {value['stopped_by']}")
            for kind, value in report[group].items()
        ]
    rows += [(name, str(value)) for name, value in report["films"].items()]
    wide = max(len(key) for key, _ in rows)
    return "\n".join(f"{key:<{wide}}  {value}" for key, value in rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dir", type=Path, help="photos, one folder for each person")
    parser.add_argument(
        "--clip", type=Path, nargs="*", default=[], help="films of real people turning their heads"
    )
    parser.add_argument("--each", type=int, default=1, help="photos of each person to print")
    parser.add_argument("--json", action="store_true", help="the whole report as JSON")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        report = measure(chosen.dir, Path(home), chosen.clip, chosen.each)
    print(json.dumps(report, indent=1) if chosen.json else table(report))


if __name__ == "__main__":
    main()
