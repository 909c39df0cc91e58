"""Whose face is this? The gallery of the people of a door, and the rules by which a name may be given.

Brute force on one float32 matrix: exact, 0.1 ms for 10,000 templates, and nothing to build or to crash. A name needs
three things: a distance within the threshold, a margin to the nearest *other* person, and agreement over frames.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from menwei_face.geometry import Vector
from menwei_face.template import Template, Templates

MARGIN = 0.04
"""Least difference between the distances to the nearest and the next person. Two enrolled copies of one face have 0."""


class Outcome(StrEnum):
    """What a search came to. Only MATCHED names somebody."""

    MATCHED = "matched"
    TOO_FAR = "too_far"
    AMBIGUOUS = "ambiguous"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Match:
    """The answer of one search.

    `subject` only when MATCHED. `distance` to the nearest person and to the next one (`second`), infinite where
    there is none. `score`: 1 − distance, not below 0; what is recorded with a passage.
    """

    outcome: Outcome
    subject: str | None
    distance: float
    second: float

    @property
    def score(self) -> float:
        return max(0.0, 1.0 - self.distance)


NOBODY = Match(Outcome.EMPTY, None, math.inf, math.inf)


class Gallery:
    """The templates that may open one door, several for a person. Immutable: a change makes a new one.

    `subjects[i]` is enrolled with the rows of `vectors[i]`, (k, dimensions). `unit` is for models compared by angle:
    vectors are brought to length 1 first. Raises `ValueError` for vectors that are not finite or not alike.
    """

    def __init__(self, templates: Mapping[str, Sequence[Vector] | Vector], *, unit: bool = False) -> None:
        self.unit = unit
        self.subjects: tuple[str, ...] = tuple(subject for subject, rows in templates.items() if len(rows))
        rows = [np.atleast_2d(np.asarray(templates[subject], dtype=np.float32)) for subject in self.subjects]
        if len({block.shape[1] for block in rows}) > 1:
            raise ValueError("templates of different models cannot be compared")
        self._matrix = _ready(np.concatenate(rows), unit) if rows else np.zeros((0, 0), dtype=np.float32)
        if not np.isfinite(self._matrix).all():
            raise ValueError("a template holds numbers that are not finite")
        counts = [len(block) for block in rows]
        self._starts = (
            np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.intp) if rows else np.zeros(0, np.intp)
        )
        self._squares = np.einsum("ij,ij->i", self._matrix, self._matrix)
        self._number = {subject: index for index, subject in enumerate(self.subjects)}

    @classmethod
    def of(cls, templates: Templates, *, unit: bool = False) -> Gallery:
        """Out of templates as the vault keeps them."""
        return cls(
            {subject: [vector(one) for one in rows] for subject, rows in templates.rows.items()}, unit=unit
        )

    def __len__(self) -> int:
        """People, not templates."""
        return len(self.subjects)

    def __contains__(self, subject: object) -> bool:
        return subject in self._number

    @property
    def templates(self) -> int:
        return len(self._matrix)

    def distances(self, vector: Vector) -> Vector:
        """Euclidean distance to the nearest template of each person, in the order of `subjects`."""
        return np.asarray(np.sqrt(np.maximum(self._squared(vector), 0.0)), dtype=np.float32)

    def _squared(self, vector: Vector) -> Vector:
        probe = _ready(np.asarray(vector, dtype=np.float32)[None], self.unit)[0]
        if probe.shape[0] != self._matrix.shape[1]:
            raise ValueError(
                f"a vector of {probe.shape[0]} numbers against templates of {self._matrix.shape[1]}"
            )
        squared = self._matrix @ probe
        squared *= np.float32(-2.0)
        squared += self._squares
        squared += probe @ probe
        nearest = squared if len(squared) == len(self._starts) else np.minimum.reduceat(squared, self._starts)
        return np.asarray(nearest, dtype=np.float32)

    def search(
        self, vector: Vector, threshold: float, *, margin: float = MARGIN, among: frozenset[str] | None = None
    ) -> Match:
        """The one person within `threshold`, if no other is within `margin` of being as near.

        `among` are the people whom a first factor named: only they can be the answer, but everybody counts for the
        margin, so that a twin does not pass with the other's card by the narrowness of the list.
        """
        if not self.subjects or (among is not None and not among & self._number.keys()):
            return NOBODY
        squared = self._squared(vector)
        best = int(squared.argmin()) if among is None else self._nearest(squared, among)
        distance = math.sqrt(max(float(squared[best]), 0.0))
        squared[best] = np.inf
        second = math.sqrt(max(float(squared.min()), 0.0))
        if not math.isfinite(distance) or math.isnan(second):
            return NOBODY
        if distance > threshold:
            return Match(Outcome.TOO_FAR, None, distance, second)
        if second - distance < margin:
            return Match(Outcome.AMBIGUOUS, None, distance, second)
        return Match(Outcome.MATCHED, self.subjects[best], distance, second)

    def _nearest(self, distances: Vector, among: frozenset[str]) -> int:
        candidates = [self._number[subject] for subject in among if subject in self._number]
        return min(candidates, key=lambda index: float(distances[index]))

    def too_like(self, vector: Vector, threshold: float, *, but: str | None = None) -> str | None:
        """The enrolled person, other than `but`, whom this face is within `threshold` of; for enrolment."""
        if not self.subjects:
            return None
        distances = self.distances(vector)
        if but in self._number:
            distances[self._number[but]] = np.inf
        nearest = int(distances.argmin())
        return self.subjects[nearest] if distances[nearest] <= threshold else None

    def with_person(self, subject: str, vectors: Sequence[Vector] | Vector) -> Gallery:
        """This gallery and one more person, or the person's new templates."""
        return Gallery({**self._rows(), subject: vectors}, unit=self.unit)

    def without(self, subject: str) -> Gallery:
        """This gallery without the person; the same for one who is not in it. Withdrawal calls this."""
        rows = self._rows()
        rows.pop(subject, None)
        return Gallery(rows, unit=self.unit)

    def only(self, subjects: Iterable[str]) -> Gallery:
        """This gallery with no others than these people."""
        wanted = set(subjects)
        return Gallery(
            {subject: rows for subject, rows in self._rows().items() if subject in wanted}, unit=self.unit
        )

    def joined(self, other: Gallery) -> Gallery:
        """The people of both; who is in both has the other's templates."""
        return Gallery({**self._rows(), **other._rows()}, unit=self.unit)

    def _rows(self) -> dict[str, Vector]:
        return (
            dict(zip(self.subjects, np.split(self._matrix, self._starts[1:]), strict=True))
            if self.subjects
            else {}
        )


def vector(template: Template) -> Vector:
    return np.frombuffer(template, dtype="<f4").astype(np.float32)


def template(vector: Vector) -> Template:
    """A vector as the vault keeps it."""
    return np.asarray(vector).astype("<f4").tobytes()


def _ready(rows: Vector, unit: bool) -> Vector:
    if not unit:
        return np.ascontiguousarray(rows)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Over how many frames a name must hold: `need` of them agree and none names somebody else. After `limit` frames
    without agreement the answer is "unknown"."""

    need: int = 2
    limit: int = 5


class Consensus:
    """Collects the matches of one track's frames until they agree on a person, or on nobody."""

    def __init__(self, rules: Agreement | None = None) -> None:
        self.rules = rules or Agreement()
        self._matches: list[Match] = []

    def add(self, match: Match) -> Match | None:
        """The decision, once there is one: the best of the agreeing matches, or the best of those that named nobody.

        Two frames that name two people are no agreement on either of them, however many frames follow: None until
        the limit, then AMBIGUOUS.
        """
        self._matches.append(match)
        named = [one for one in self._matches if one.subject is not None]
        subjects = {one.subject for one in named}
        if len(subjects) == 1 and len(named) >= self.rules.need:
            return min(named, key=lambda one: one.distance)
        if len(self._matches) < self.rules.limit:
            return None
        nearest = min(self._matches, key=lambda one: one.distance)
        outcome = Outcome.AMBIGUOUS if len(subjects) > 1 else nearest.outcome
        if outcome is Outcome.MATCHED:
            outcome = Outcome.TOO_FAR
        return Match(outcome, None, nearest.distance, nearest.second)


# ------------------------------------------------------------------------------------------- what a threshold means


@dataclass(frozen=True, slots=True)
class Rate:
    """A measured rate with its 95 % interval (Wilson), which holds for few errors too."""

    errors: int
    trials: int

    @property
    def value(self) -> float:
        return self.errors / self.trials if self.trials else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.errors, self.trials)

    @property
    def soft(self) -> bool:
        """Fewer than ten errors: the figure could as well be twice as large."""
        return self.errors < 10


def wilson(errors: int, trials: int, z: float = 1.96) -> tuple[float, float]:
    """The interval in which a rate lies with 95 % confidence, (0, 1) without trials."""
    if trials <= 0:
        return 0.0, 1.0
    share = errors / trials
    middle = share + z * z / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def mean_vector(vectors: Iterable[Vector]) -> NDArray[np.float32]:
    """The middle of several embeddings of one track."""
    return np.asarray(np.mean(np.stack(list(vectors)), axis=0), dtype=np.float32)
