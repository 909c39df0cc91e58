"""Is a head turned in front of the camera, or a picture of one?

The head turn makes a still photo harder to use. It does not stop a video, a tablet that plays one, or a mask; no
claim beyond that is made. The numbers are measured: simulated prints tilted about an oblique axis move the yaw proxy
by 0.12-0.21 and the roll by 7-9°, and at the turn dlib's frontal detector hardly knows them any more; so a change of
0.25 with a clear face and a level head is asked for, to a side that the person cannot know before.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from menwei_face.geometry import Box, Image, Pose


class Method(StrEnum):
    """How it was checked that a person stood there; recorded with the passage."""

    NONE = "none"
    HEAD_TURN = "head_turn"
    FASNET = "fasnet"


class Side(StrEnum):
    """The person's own left or right, as the door screen says it."""

    LEFT = "left"
    RIGHT = "right"

    @property
    def sign(self) -> int:
        """Of the yaw proxy, for a camera that does not mirror."""
        return 1 if self is Side.LEFT else -1


class Step(StrEnum):
    """Where a challenge stands. PASSED and FAILED are final."""

    STILL = "still"
    TURN = "turn"
    BACK = "back"
    PASSED = "passed"
    FAILED = "failed"


class Failure(StrEnum):
    """Why a challenge failed. The value ends the message key `face.liveness.<value>`."""

    TIMEOUT = "timeout"
    WRONG_SIDE = "wrong_side"
    ROLLED = "rolled"
    UNCLEAR = "unclear"
    SOMEBODY_ELSE = "somebody_else"
    LOST = "lost"
    FLAT = "flat"


@dataclass(frozen=True, slots=True)
class TurnRules:
    """`turn`: change of yaw that is asked for. `back`: how near to the start it must return. `score`: least HOG score
    in the turned frame. `roll`: degrees that the eye axis may change in any frame. `same`: largest distance to the
    first embedding (a turned face of the same person lies further off than a frontal one). `frames`: frontal frames
    at the start, whose median is the reference. `leap`: largest change of yaw from one frame to the next: a head turns
    through every pose in between, two photos that are swapped do not. `flat`: correlation with the still face through
    one projective map from which the turned one counts as the same flat picture (`planar.py`). `seconds`: for everything. `gap`: longest time
    without the face.
    """

    turn: float = 0.25
    back: float = 0.10
    score: float = 1.0
    roll: float = 5.0
    same: float = 0.60
    frontal: float = 0.20
    frames: int = 3
    leap: float = 0.20
    flat: float = 0.96
    seconds: float = 8.0
    gap: float = 0.7


@dataclass(frozen=True, slots=True)
class Sight:
    """One frame of a challenge. `distance`: from this frame's embedding to the one that was recognised; `score`: HOG."""

    at: float
    pose: Pose
    score: float
    distance: float
    flat: float = -1.0
    """`planar.flatness` against the still face; needed in the frames for which `HeadTurn.turned` is true."""


@dataclass(slots=True)
class HeadTurn:
    """One challenge: look ahead, turn to `side`, look ahead again. Feed it every frame in which the face is seen.

    Pure: the side is drawn by the caller (`secrets`), time comes with the frames. One object is one try.
    """

    side: Side
    started: float
    rules: TurnRules = field(default_factory=TurnRules)
    step: Step = Step.STILL
    failure: Failure | None = None
    change: float = 0.0
    """Largest change of yaw to the asked side in a frame that counted; for the record and the bench."""
    _still: list[Pose] = field(default_factory=list)
    _blocked: Failure | None = None
    _last: float = 0.0
    _yaw: float | None = None

    def see(self, sight: Sight) -> Step:
        """Take one frame; the step after it. Once PASSED or FAILED it stays so."""
        if self.step in (Step.PASSED, Step.FAILED):
            return self.step
        if self.expired(sight.at):
            return self.step
        leap = 0.0 if self._yaw is None else abs(sight.pose.yaw - self._yaw)
        self._last, self._yaw = sight.at, sight.pose.yaw
        if sight.distance > self.rules.same:
            return self._fail(Failure.SOMEBODY_ELSE)
        if self.step is Step.STILL:
            return self._hold_still(sight)
        if leap > self.rules.leap:
            return self._fail(Failure.UNCLEAR)
        yaw, roll = self._reference()
        moved = (sight.pose.yaw - yaw) * self.side.sign
        if abs(sight.pose.roll - roll) >= self.rules.roll:
            return self._fail(Failure.ROLLED)
        if moved <= -self.rules.turn:
            return self._fail(Failure.WRONG_SIDE)
        if self.step is Step.TURN:
            self._turn(sight, moved)
        elif abs(sight.pose.yaw - yaw) <= self.rules.back:
            self.step = Step.PASSED
        return self.step

    def turned(self, pose: Pose) -> bool:
        """Whether a frame with this pose would count as the turn, so that its flatness is worth computing."""
        if self.step is not Step.TURN:
            return False
        return (pose.yaw - self._reference()[0]) * self.side.sign >= self.rules.turn

    def expired(self, at: float) -> bool:
        """Whether it is over, or time is up, or the face was away too long; asked for frames without the face too."""
        if self.step in (Step.PASSED, Step.FAILED):
            return True
        if self._last and at - self._last > self.rules.gap:
            self._fail(Failure.LOST)
            return True
        if at - self.started > self.rules.seconds:
            self._fail(self._blocked or Failure.TIMEOUT)
            return True
        return False

    def _hold_still(self, sight: Sight) -> Step:
        if abs(sight.pose.yaw) <= self.rules.frontal:
            self._still.append(sight.pose)
        else:
            self._still.clear()
        if len(self._still) >= self.rules.frames:
            self.step = Step.TURN
        return self.step

    def _turn(self, sight: Sight, moved: float) -> None:
        if moved < self.rules.turn:
            return
        if sight.score < self.rules.score:
            self._blocked = Failure.UNCLEAR
            return
        if sight.flat >= self.rules.flat:
            self._fail(Failure.FLAT)
            return
        self.change = max(self.change, moved)
        self.step = Step.BACK

    def _reference(self) -> tuple[float, float]:
        return median(pose.yaw for pose in self._still), median(pose.roll for pose in self._still)

    def _fail(self, why: Failure) -> Step:
        self.step, self.failure = Step.FAILED, why
        return self.step


class Fasnet:
    """deepface's MiniFASNet pair, where its files were provided and verified. One frame, no prompt.

    Apache-2.0 (minivision-ai). `models.require` must have verified the files and prepared deepface before.
    """

    method = Method.FASNET

    def __init__(self, least: float = 0.8) -> None:
        from deepface.modules import modeling

        self._net: Any = modeling.build_model("spoofing", "Fasnet")
        self.least = least

    def real(self, frame: Image, box: Box) -> tuple[bool, float]:
        """Whether the face in `box` looks like a person, and how sure the nets are (0…1)."""
        left, top, right, bottom = box.within(frame.shape[1], frame.shape[0])
        real, score = self._net.analyze(frame, (left, top, right - left, bottom - top))
        return bool(real) and float(score) >= self.least, float(score)
