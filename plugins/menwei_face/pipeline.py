"""Frames in, events out: motion, detection, tracking, quality, embedding, matching, liveness for one camera.

Pure: no camera, no network, no clock. Frames come with their time; which frame is the newest is the caller's matter,
and a frame that took too long is skipped by the caller, not here. Not thread-safe: one pipeline, one thread.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import thread_time
from typing import Protocol

import numpy as np

from menwei_face import planar
from menwei_face.detect import Detector
from menwei_face.embed import Embedder
from menwei_face.events import Event, Guidance, Left, NotLive, Prompt, Recognized, Unknown
from menwei_face.geometry import Box, Detection, Image, Points, Pose, Vector, pose
from menwei_face.liveness import Failure, HeadTurn, Method, Side, Sight, Step, TurnRules
from menwei_face.match import MARGIN, Agreement, Consensus, Gallery, Match, Outcome
from menwei_face.motion import MotionGate, MotionSettings
from menwei_face.quality import DOOR, Flaw, Limits, flaws, measure
from menwei_face.track import Track, Tracker, TrackSettings

SMALLEST_FRAME = 32


class Passive(Protocol):
    """A liveness check that needs no prompt, see `liveness.Fasnet`."""

    method: Method

    def real(self, frame: Image, box: Box) -> tuple[bool, float]: ...


class Plane(Protocol):
    """`planar`, or what a test puts in its place."""

    def patch(self, frame: Image, points: Points, box: Box) -> planar.Patch: ...

    def flatness(self, still: planar.Patch, frame: Image, points: Points, box: Box) -> float: ...


@dataclass(frozen=True, slots=True)
class Settings:
    """One camera's settings.

    `threshold`: distance within which a face is a person's; see `models.Model.threshold`. `head_turn`: ask for it.
    `whole_every`: seconds between searches of the whole frame while known tracks are followed in their places.
    `rounds`: how often a track that stayed unknown is looked at again, `pause` seconds apart; each is another chance
    for a false acceptance, so they are few. `tries`: head turns. `again_after`: seconds in which the same person in a
    new track is not reported again. `rotate`: quarter turns of the camera, counter-clockwise.
    """

    threshold: float = 0.50
    margin: float = MARGIN
    agreement: Agreement = field(default_factory=Agreement)
    limits: Limits = DOOR
    motion: MotionSettings = field(default_factory=MotionSettings)
    tracking: TrackSettings = field(default_factory=TrackSettings)
    head_turn: bool = False
    turn_rules: TurnRules = field(default_factory=TurnRules)
    whole_every: float = 0.5
    rounds: int = 3
    pause: float = 0.7
    tries: int = 2
    again_after: float = 5.0
    rotate: int = 0


@dataclass(slots=True)
class Counters:
    """How often each stage ran and the CPU seconds it took, in this thread; for metrics and the bench."""

    frames: int = 0
    unusable: int = 0
    still: int = 0
    runs: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, stage: str, seconds: float) -> None:
        self.runs[stage] = self.runs.get(stage, 0) + 1
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds


@dataclass(slots=True)
class _Approach:
    """What is known of one track beyond its box. Forgotten with the track; vectors live no longer than a challenge."""

    consensus: Consensus
    done: bool = False
    told_unknown: bool = False
    rounds: int = 0
    not_before: float = 0.0
    advice: tuple[Flaw, ...] = ()
    match: Match | None = None
    reference: Vector | None = None
    turn: HeadTurn | None = None
    still: planar.Patch | None = None
    tries: int = 0


class Pipeline:
    """One camera's recognition. `gallery` may be replaced between frames, `expect` narrows it to who is awaited."""

    def __init__(
        self,
        detector: Detector,
        embedder: Embedder,
        settings: Settings | None = None,
        *,
        gallery: Gallery | None = None,
        passive: Passive | None = None,
        choose: Callable[[Sequence[Side]], Side] = secrets.choice,
        plane: Plane = planar,
    ) -> None:
        self.detector, self.embedder = detector, embedder
        self.settings = settings or Settings()
        self.gallery = gallery or Gallery({})
        self.passive = passive
        self.counters = Counters()
        self._choose = choose
        self._plane = plane
        self._gate = MotionGate(self.settings.motion)
        self._tracker = Tracker(self.settings.tracking)
        self._approaches: dict[int, _Approach] = {}
        self._expected: frozenset[str] | None = None
        self._reported: dict[str, float] = {}
        self._whole_at = -np.inf
        self._latest = -np.inf

    def expect(self, subjects: frozenset[str] | None) -> None:
        """Only these people are looked for from now on; None: everybody. Whoever already stands there is looked at
        again, since the first factor was presented meanwhile, also when nobody moves."""
        self._expected = subjects
        self._gate = MotionGate(self.settings.motion)
        self._reported.clear()
        for number in self._approaches:
            self._approaches[number] = _Approach(Consensus(self.settings.agreement))

    def frame(self, image: Image | None, at: float) -> list[Event]:
        """One frame (BGR; grey and BGRA are understood) taken at `at`, monotonic seconds. What is no picture, or is
        older than the last one, is counted and gives no event: a garbled stream ends nothing."""
        self.counters.frames += 1
        picture = usable(image, self.settings.rotate)
        if picture is None or at <= self._latest:
            self.counters.unusable += 1
            return []
        self._latest = at
        begin = thread_time()
        moving = self._gate.open(picture, at)
        self.counters.add("motion", thread_time() - begin)
        if not moving and not self._tracker.tracks:
            self.counters.still += 1
            return []
        seen, ended = self._follow(picture, at)
        events: list[Event] = []
        for track in ended:
            self._approaches.pop(track.number, None)
            events.append(Left(track.number))
        for number, approach in self._approaches.items():
            if approach.turn is not None and approach.turn.expired(at):
                events += self._failed(number, approach, at)
        near = [track for track in seen if track.box.width >= 0.5 * seen[0].box.width]
        for track in near:
            events += self._look(picture, track, at, crowded=len(near) > 1)
        return events

    def _follow(self, picture: Image, at: float) -> tuple[list[Track], list[Track]]:
        tracks = list(self._tracker.tracks.values())
        whole = not tracks or at - self._whole_at >= self.settings.whole_every
        begin = thread_time()
        if whole:
            self._whole_at = at
            found = self.detector.find(picture)
        else:
            near = [self.detector.find_near(picture, track.expected(at)) for track in tracks]
            found = _once([one for group in near for one in group])
        self.counters.add("detect whole" if whole else "detect near", thread_time() - begin)
        return self._tracker.update(found, at, whole=whole)

    def _look(self, picture: Image, track: Track, at: float, *, crowded: bool) -> list[Event]:
        approach = self._approaches.setdefault(track.number, _Approach(Consensus(self.settings.agreement)))
        if approach.done or at < approach.not_before or not self._tracker.stable(track):
            return []
        begin = thread_time()
        points, chip = self.embedder.cut(picture, track.box)
        held = pose(points)
        wrong = list(flaws(measure(chip, held, track.score), self.settings.limits))
        self.counters.add("cut", thread_time() - begin)
        if approach.turn is not None:
            return self._turning(picture, points, chip, held, track, approach, at)
        if crowded and self.settings.head_turn:
            wrong.insert(0, Flaw.TWO_FACES)
        events: list[Event] = []
        if tuple(wrong) != approach.advice:
            approach.advice = tuple(wrong)
            events.append(Guidance(track.number, approach.advice))
        if wrong:
            return events
        vector = self._embed(chip)
        match = self._search(vector)
        decision = approach.consensus.add(match)
        if match.subject is not None:
            approach.reference = vector
        if decision is not None:
            events += self._decided(picture, track, approach, decision, at)
        return events

    def _embed(self, chip: Image) -> Vector:
        begin = thread_time()
        vector = self.embedder.embed([chip])[0]
        self.counters.add("embed", thread_time() - begin)
        return np.asarray(vector, dtype=np.float32)

    def _search(self, vector: Vector) -> Match:
        begin = thread_time()
        rules = self.settings
        match = self.gallery.search(vector, rules.threshold, margin=rules.margin, among=self._expected)
        self.counters.add("search", thread_time() - begin)
        return match

    def _decided(
        self, picture: Image, track: Track, approach: _Approach, match: Match, at: float
    ) -> list[Event]:
        approach.consensus = Consensus(self.settings.agreement)
        if match.subject is None:
            approach.reference = None
            approach.rounds += 1
            approach.not_before = at + self.settings.pause
            approach.done = approach.rounds >= self.settings.rounds
            if approach.told_unknown:
                return []
            approach.told_unknown = True
            return [Unknown(track.number, at, match.outcome is Outcome.AMBIGUOUS)]
        if at - self._reported.get(match.subject, -np.inf) < self.settings.again_after:
            approach.done = True
            return []
        approach.match = match
        method = Method.NONE
        if self.passive is not None:
            begin = thread_time()
            real, _ = self.passive.real(picture, track.box)
            self.counters.add("passive", thread_time() - begin)
            if not real:
                approach.done = True
                return [NotLive(track.number, Failure.UNCLEAR, False, at)]
            method = self.passive.method
        if self.settings.head_turn:
            return [self._prompt(track.number, approach, at)]
        return [self._recognized(track.number, approach, match, method, at)]

    def _recognized(self, number: int, approach: _Approach, match: Match, method: Method, at: float) -> Event:
        assert match.subject is not None
        approach.done, approach.turn, approach.reference, approach.still = True, None, None, None
        self._reported = {
            who: when for who, when in self._reported.items() if at - when < self.settings.again_after
        }
        self._reported[match.subject] = at
        return Recognized(number, match.subject, match.score, match.distance, method, at)

    def _prompt(self, number: int, approach: _Approach, at: float) -> Event:
        side = self._choose((Side.LEFT, Side.RIGHT))
        approach.tries += 1
        approach.turn = HeadTurn(side, at, self.settings.turn_rules)
        return Prompt(number, side, at + self.settings.turn_rules.seconds)

    def _turning(
        self,
        picture: Image,
        points: Points,
        chip: Image,
        held: Pose,
        track: Track,
        approach: _Approach,
        at: float,
    ) -> list[Event]:
        """A frame of a head turn. The frontal frame that ends it must be the same person by the same rules again."""
        turn, before = approach.turn, approach.match
        assert turn is not None and before is not None and approach.reference is not None
        vector = self._embed(chip)
        distance = float(np.linalg.norm(self._scale(vector) - self._scale(approach.reference)))
        flat = -1.0
        if turn.step is Step.STILL:
            approach.still = self._plane.patch(picture, points, track.box)
        elif approach.still is not None and turn.turned(held):
            begin = thread_time()
            flat = self._plane.flatness(approach.still, picture, points, track.box)
            self.counters.add("plane", thread_time() - begin)
        step = turn.see(Sight(at, held, track.score, distance, flat))
        if step is Step.PASSED:
            after = self._search(vector)
            if after.subject == before.subject:
                best = min(before, after, key=lambda one: one.distance)
                return [self._recognized(track.number, approach, best, Method.HEAD_TURN, at)]
            turn.step, turn.failure = Step.FAILED, Failure.SOMEBODY_ELSE
        return self._failed(track.number, approach, at) if turn.step is Step.FAILED else []

    def _scale(self, vector: Vector) -> Vector:
        return (
            vector / np.float32(max(float(np.linalg.norm(vector)), 1e-12))
            if self.embedder.model.unit
            else vector
        )

    def _failed(self, number: int, approach: _Approach, at: float) -> list[Event]:
        assert approach.turn is not None
        failure = approach.turn.failure or Failure.TIMEOUT
        again = approach.tries < self.settings.tries and failure is not Failure.SOMEBODY_ELSE
        approach.turn, approach.still = None, None
        told: list[Event] = [NotLive(number, failure, again, at)]
        if again:
            told.append(self._prompt(number, approach, at))
        else:
            approach.done, approach.reference = True, None
        return told


def usable(image: object, rotate: int = 0) -> Image | None:
    """`image` as BGR of bytes, turned by quarters; None when it is no picture."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim not in (2, 3):
        return None
    if image.ndim == 2:
        image = np.repeat(image[:, :, None], 3, axis=2)
    if image.shape[2] not in (3, 4) or min(image.shape[:2]) < SMALLEST_FRAME:
        return None
    return np.ascontiguousarray(np.rot90(image[:, :, :3], rotate))


def _once(found: list[Detection]) -> list[Detection]:
    """Faces that the cut-outs of two neighbouring tracks both showed, once; the better score stays."""
    kept: list[Detection] = []
    for one in sorted(found, key=lambda one: one.score, reverse=True):
        if not any(one.box.overlap(other.box) > 0.4 for other in kept):
            kept.append(one)
    return kept
