"""From what a screen shows to what its page is sent: every sentence in both languages, so that one touch changes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from menwei.messages import LANGUAGES
from menwei_screen.board import Shown
from menwei_screen.lines import Line
from menwei_screen.service import View

SPLIT = " · "
"""What stands in a sentence of the catalogues between why and what to do next."""
UI = (
    "ask", "code.hint", "lost", "lost.hint", "no_door", "no_door.hint", "keypad", "keypad.clear", "keypad.back",
    "keypad.send", "typed", "mute", "unmute", "language", "tap_for_voice", "refused", "ask.card", "ask.face", "ask.qrcode",
    "ask.pin",
)  # fmt: skip
"""What the page itself says: `screen.ui.<name>`."""


class Sentences(Protocol):
    """The catalogues (`Call.house.messages`)."""

    def find(self, language: str, key: str) -> str | None: ...
    def t(self, language: str, key: str, /, **values: object) -> str: ...


def page_words(messages: Sentences) -> dict[str, dict[str, str]]:
    """The page's own words by language."""
    return {
        language: {name: messages.t(language, f"screen.ui.{name}") for name in UI} for language in LANGUAGES
    }


def state(view: View, messages: Sentences, door: str) -> dict[str, Any]:
    """One `state` event. `door` is the name of the door; seconds are from now on."""
    if view.code:
        return {"code": view.code}
    point = view.point
    return {
        "screen": view.screen,
        "door": door,
        "side": point.name if point is not None and point.name != door else "",
        "served": point is not None,
        "asks": [str(kind).lower() for kind in view.asks],
        "keypad": view.keypad,
        "voice": view.voice,
        "language": view.language,
        "result": result(view.shown, view.left, messages) if view.shown is not None else None,
        "notices": [text for line in view.notices if (text := sentence(line, messages))],
    }


def result(shown: Shown, left: float, messages: Sentences) -> dict[str, Any]:
    """What the door said: large what, smaller what to do next."""
    return {
        "number": shown.number,
        "kind": str(shown.kind),
        "title": {language: _title(shown, language, messages) for language in LANGUAGES},
        "next": {language: _next(shown, language, messages) for language in LANGUAGES},
        "seconds": round(left, 2),
        "digits": shown.wants_digits,
        "lines": [text for line in shown.lines if (text := sentence(line, messages))],
    }


def sentence(line: Line, messages: Sentences) -> Mapping[str, str]:
    """A plugin's line by language; empty when its key is in no catalogue: nobody is shown a key."""
    if messages.find(LANGUAGES[0], line.key) is None:
        return {}
    return {language: messages.t(language, line.key, **line.values) for language in LANGUAGES}


def _whole(shown: Shown, language: str, messages: Sentences) -> str:
    return messages.find(language, shown.key) or shown.text if shown.key else shown.text


def _title(shown: Shown, language: str, messages: Sentences) -> str:
    """The short form where there is one, else the sentence up to its dot."""
    short = messages.find(language, f"{shown.key}.short") if shown.key else None
    return short or _whole(shown, language, messages).partition(SPLIT)[0]


def _next(shown: Shown, language: str, messages: Sentences) -> str:
    return _whole(shown, language, messages).partition(SPLIT)[2]
