"""From looked-at photos to the three to five templates that are kept: pure, the pictures themselves are elsewhere.

A dozen photos are few enough to compute with in the core's process, which has no numpy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from menwei_face.flaw import Flaw
from menwei_face.quality import Quality
from menwei_face.template import Template, direction
from menwei_face.vault_files import MOST
from menwei_face.words import LEAST

SAME_PICTURE = 0.03
"""Distance below which two photos are one: a copy, or saved again. Two photos of a person lie at 0.2 and more."""


class Reject(StrEnum):
    """Why a photo or a whole enrolment is refused, beyond the flaws of the face (`quality.Flaw`). The value ends the
    message key `face.reject.<value>`."""

    UNREADABLE = "unreadable"
    SAME_PHOTO = "same_photo"
    SOMEBODY_ELSE = "somebody_else"
    """Another person than on the other photos."""
    TOO_FEW = "too_few"
    TOO_ALIKE = "too_alike"
    """As near to somebody who is enrolled as that person is to themselves."""


Why = Flaw | Reject


@dataclass(frozen=True, slots=True)
class Looked:
    """One photo after it was looked at: `template` and `quality` where a face was found."""

    name: str
    why: tuple[Why, ...]
    template: Template | None = field(default=None, repr=False)
    quality: Quality | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a photo: used as a template, good but not needed, or refused with why."""

    name: str
    used: bool
    why: tuple[Why, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """`templates`, three to five, or none with `why`. `photos` in the order they came."""

    templates: tuple[Template, ...] = field(repr=False)
    photos: tuple[Judged, ...]
    why: Reject | None = None

    def refused(self) -> Choice:
        """The same photos, which could be taken for somebody else's: nothing is kept of them."""
        none = tuple(Judged(one.name, False, one.why) for one in self.photos)
        return Choice((), none, Reject.TOO_ALIKE)


_WORDS: dict[str, Why] = {str(flaw): flaw for flaw in Flaw} | {str(reject): reject for reject in Reject}


def known(word: str) -> Why | None:
    """The reason that a word means."""
    return _WORDS.get(word)


def message(why: Why) -> str:
    """The message key of a reason."""
    return f"face.photo.{why}" if isinstance(why, Flaw) else f"face.reject.{why}"


def rank(quality: Quality) -> float:
    """How good a template a usable face makes, 0…1: large, frontal, level and sharp. No part saves the others."""
    size = min(1.0, quality.eyes / 90.0)
    sharp = min(1.0, quality.sharpness / 120.0)
    ahead = max(0.0, 1.0 - abs(quality.yaw) / 0.3)
    level = max(0.0, 1.0 - abs(quality.roll) / 30.0)
    light = 1.0 - min(1.0, abs(quality.brightness - 128.0) / 128.0)
    return float((size * sharp * ahead * level * light) ** 0.2)


def choose(photos: Sequence[Looked], threshold: float, *, unit: bool = False) -> Choice:
    """The templates among these photos of one person. `threshold`: distance within which two faces are one person's;
    `unit`: of vectors brought to length 1.

    The photo that lies nearest to all others says who it is; whoever lies further from it than `threshold` is somebody
    else. Of two photos that are one picture the first counts.
    """
    why: list[tuple[Why, ...]] = [photo.why for photo in photos]
    good = [index for index, photo in enumerate(photos) if not photo.why and photo.template is not None]
    if not good:
        return _none(photos, why)
    faces = [direction(_template(photos[index]), unit) for index in good]
    between = [[math.dist(one, other) for other in faces] for one in faces]
    middle = min(range(len(faces)), key=lambda place: sum(between[place]))
    kept: list[int] = []
    for place, index in enumerate(good):
        if between[place][middle] > threshold:
            why[index] = (Reject.SOMEBODY_ELSE,)
        elif any(between[place][other] < SAME_PICTURE for other in kept):
            why[index] = (Reject.SAME_PHOTO,)
        else:
            kept.append(place)
    if len(kept) < LEAST:
        return _none(photos, why)
    best = sorted(kept, key=lambda place: _rank(photos[good[place]]), reverse=True)[:MOST]
    used = {good[place] for place in best}
    judged = tuple(Judged(photo.name, index in used, why[index]) for index, photo in enumerate(photos))
    return Choice(tuple(_template(photos[index]) for index in sorted(used)), judged)


def _none(photos: Sequence[Looked], why: Sequence[tuple[Why, ...]]) -> Choice:
    judged = tuple(Judged(photo.name, False, reasons) for photo, reasons in zip(photos, why, strict=True))
    return Choice((), judged, Reject.TOO_FEW)


def _template(photo: Looked) -> Template:
    assert photo.template is not None
    return photo.template


def _rank(photo: Looked) -> float:
    return rank(photo.quality) if photo.quality is not None else 0.0
