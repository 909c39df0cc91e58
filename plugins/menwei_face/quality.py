"""Whether a face in a frame is good enough to be compared, and if not, what the person could do about it.

The core imports this for its words; numpy is needed only where pictures are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from menwei_face.flaw import Flaw

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from menwei_face.geometry import Image, Pose


@dataclass(frozen=True, slots=True)
class Quality:
    """What was measured on one face.

    `eyes`: distance of the eye centres in the frame, pixels. `sharpness`: variance of the Laplacian of the grey
    150-pixel cut-out, so that it does not grow with the face. `yaw`, `roll`: see `geometry.Pose`. `brightness`: mean
    grey, 0-255. `clipped`: share of pixels at the ends of the scale. `score`: HOG score.
    """

    eyes: float
    sharpness: float
    yaw: float
    roll: float
    brightness: float
    clipped: float
    score: float


@dataclass(frozen=True, slots=True)
class Limits:
    """What a face must reach. The defaults are for a door; enrolment is stricter (`ENROLMENT`).

    Chosen on 100 news photos: poses spread to a yaw of ±0.17 (5-95 %); sharpness has its 2nd percentile at 21, and a
    blur of two pixels, which moves the vector by 0.29, leaves 4-8. dlib sees faces from an eye distance of about 27.
    """

    eyes: float = 26.0
    sharpness: float = 10.0
    yaw: float = 0.20
    roll: float = 25.0
    darkest: float = 45.0
    brightest: float = 215.0
    clipped: float = 0.35
    score: float = 0.3


DOOR = Limits()
ENROLMENT = Limits(
    eyes=34.0, sharpness=18.0, yaw=0.18, roll=15.0, darkest=60.0, brightest=205.0, clipped=0.25, score=0.7
)


def sharpness(grey: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian (4-neighbour stencil) of a grey picture; 0 for one smaller than 3×3."""
    if min(grey.shape) < 3:
        return 0.0
    g = grey.astype("float32")
    edges = g[:-2, 1:-1] + g[2:, 1:-1] + g[1:-1, :-2] + g[1:-1, 2:] - 4 * g[1:-1, 1:-1]
    return float(edges.var())


def measure(chip: Image, pose: Pose, score: float) -> Quality:
    """The quality of a face from its cut-out (BGR), pose and detector score. The middle of the cut-out is judged:
    its corners are hair and background."""
    import numpy as np

    edge = chip.shape[0] // 6
    middle = chip[edge:-edge, edge:-edge] if edge else chip
    grey = (middle @ np.array([0.114, 0.587, 0.299], dtype=np.float32)).astype(np.uint8)
    clipped = float(((grey < 8) | (grey > 247)).mean())
    return Quality(pose.eyes, sharpness(grey), pose.yaw, pose.roll, float(grey.mean()), clipped, score)


def flaws(quality: Quality, limits: Limits = DOOR) -> tuple[Flaw, ...]:
    """Everything that is wrong with the face, the easiest to mend first; empty when it can be used."""
    found: list[Flaw] = []
    if quality.eyes < limits.eyes:
        found.append(Flaw.TOO_SMALL)
    if not abs(quality.yaw) <= limits.yaw:
        found.append(Flaw.TURNED)
    if abs(quality.roll) > limits.roll:
        found.append(Flaw.TILTED)
    if quality.brightness < limits.darkest:
        found.append(Flaw.TOO_DARK)
    elif quality.brightness > limits.brightest or quality.clipped > limits.clipped:
        found.append(Flaw.TOO_BRIGHT)
    if quality.sharpness < limits.sharpness:
        found.append(Flaw.BLURRED)
    if quality.score < limits.score:
        found.append(Flaw.UNSURE)
    return tuple(found)


__all__ = ["DOOR", "ENROLMENT", "Flaw", "Limits", "Quality", "flaws", "measure", "sharpness"]
