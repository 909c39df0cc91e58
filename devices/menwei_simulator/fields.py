"""Reads the fields of one JSON object from outside with their types and bounds."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any, Final, TypeVar

import orjson

MAX_TEXT: Final = 1024
"""Characters of one text field."""
MAX_PARTS: Final = 256
"""Locks or readers of one controller."""
MAX_NUMBER: Final = 2**53
"""Largest integer that every JSON reader keeps exact."""


class Malformed(ValueError):
    """A line or a field is not what the protocol says."""


Word = TypeVar("Word", bound=StrEnum)
_REQUIRED: Final = object()


class Fields:
    """Reads the fields of one JSON object with their types and bounds. Every method raises `Malformed`."""

    def __init__(self, body: object) -> None:
        if not isinstance(body, dict):
            raise Malformed("not an object")
        self._body: dict[str, Any] = body

    @classmethod
    def of(cls, line: bytes) -> Fields:
        try:
            return cls(orjson.loads(line))
        except orjson.JSONDecodeError as error:
            raise Malformed(str(error)) from error

    def _get(self, name: str, default: object) -> Any:
        value = self._body.get(name, default)
        if value is _REQUIRED:
            raise Malformed(f"{name} is missing")
        return value

    def text(self, name: str, default: object = _REQUIRED) -> str:
        value = self._get(name, default)
        if not isinstance(value, str) or len(value) > MAX_TEXT:
            raise Malformed(f"{name} is not a text of up to {MAX_TEXT} characters")
        return value

    def whole(self, name: str, default: object = _REQUIRED) -> int:
        """A whole number from 0 up."""
        value = self._get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_NUMBER:
            raise Malformed(f"{name} is not a whole number from 0 up")
        return value

    def number(self, name: str, default: object = _REQUIRED) -> float:
        """A number from 0 up."""
        value = self._get(name, default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            raise Malformed(f"{name} is not a number")
        if not 0 <= value <= MAX_NUMBER:
            raise Malformed(f"{name} is out of bounds")
        return float(value)

    def flag(self, name: str, default: object = _REQUIRED) -> bool:
        value = self._get(name, default)
        if not isinstance(value, bool):
            raise Malformed(f"{name} is not true or false")
        return value

    def word(self, name: str, words: type[Word]) -> Word | None:
        """One of a closed set, None for a word that is not in it (yet)."""
        value = self._body.get(name)
        if not isinstance(value, str):
            return None
        try:
            return words(value)
        except ValueError:
            return None

    def rows(self, name: str) -> list[Fields]:
        value = self._get(name, _REQUIRED)
        if not isinstance(value, list) or len(value) > MAX_PARTS:
            raise Malformed(f"{name} is not a list of up to {MAX_PARTS}")
        return [Fields(row) for row in value]

    def age(self) -> dict[str, int]:
        """What all events carry."""
        return {"clock": self.whole("clock"), "age_ms": self.whole("age_ms")}
