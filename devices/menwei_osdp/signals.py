"""What a reader shows, as commands of the library. Pure.

Source: SIA OSDP 2.2, 6.10 (osdp_LED), 6.11 (osdp_BUZ), 6.12 (osdp_TEXT). Counts are in units of 100 ms. Only temporary
states are set: the reader goes back to its own light by itself, whatever becomes of this program.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from menwei import Feedback, FeedbackKind

LONGEST: Final = 25.5
"""Seconds of a timed light or output: the library's Python interface cuts timers to one byte."""
TEXT: Final = 32
"""Characters of a display line that the library sends."""

RED, GREEN, AMBER = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Signal:
    """Light: colour, 100 ms on, 100 ms off (0: steady). Sound: 100 ms on, 100 ms off, how often."""

    colour: int
    on: int
    off: int
    beep: int
    pause: int
    beeps: int


SIGNALS: Final[Mapping[FeedbackKind, Signal]] = {
    FeedbackKind.GRANTED: Signal(GREEN, 1, 0, 2, 0, 1),
    FeedbackKind.DENIED: Signal(RED, 2, 2, 1, 1, 3),
    FeedbackKind.WAITING: Signal(AMBER, 3, 3, 1, 0, 1),
    FeedbackKind.PRE_ALARM: Signal(RED, 5, 5, 5, 5, 3),
}


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a reader said it has. It refuses anything else, and the library then drops the session: never try."""

    light: bool = False
    sound: bool = False
    display: bool = False
    outputs: int = 0


def tenths(seconds: float) -> int:
    """For a timer of the library: at least one tenth, at most `LONGEST`."""
    return max(1, min(round(seconds * 10), round(LONGEST * 10)))


@dataclass(frozen=True, slots=True)
class Light:
    signal: Signal
    timer: int


@dataclass(frozen=True, slots=True)
class Sound:
    signal: Signal


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Output:
    """A relay: on for `timer` tenths of a second and then off by itself, or off now with `timer` 0."""

    number: int
    timer: int


Order = Light | Sound | Text | Output


def orders(feedback: Feedback, abilities: Abilities) -> list[Order]:
    """What to send so that this reader shows `feedback`, as far as it can.

    A text that is not ASCII is not sent: the protocol knows no other letters, and readers show nonsense for them.
    """
    signal = SIGNALS[feedback.kind]
    found: list[Order] = []
    if abilities.light:
        found.append(Light(signal, tenths(feedback.seconds)))
    if abilities.sound:
        found.append(Sound(signal))
    text = feedback.text[:TEXT]
    if abilities.display and text.isascii() and text.isprintable() and text.strip():
        found.append(Text(text, max(1, min(round(feedback.seconds), 255))))
    return found
