"""What can be wrong with a face before a camera, and what is said meanwhile. Needs nothing installed."""

from __future__ import annotations

from enum import StrEnum


class Flaw(StrEnum):
    """Why a face is not used. The value is the end of the message key shown to the person: `face.flaw.<value>`."""

    NO_FACE = "no_face"
    TWO_FACES = "two_faces"
    TOO_SMALL = "too_small"
    BLURRED = "blurred"
    TURNED = "turned"
    TILTED = "tilted"
    TOO_DARK = "too_dark"
    TOO_BRIGHT = "too_bright"
    UNSURE = "unsure"


class Hint(StrEnum):
    """What is said beside the flaws while somebody enrols before a camera. The value ends the message key
    `face.camera.<value>`."""

    HOLD = "hold"
    MOVE = "move"
