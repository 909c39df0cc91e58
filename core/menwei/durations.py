"""Durations as people write them in a config: `5s`, `10m`, `1h30m`, `30d`, ISO 8601 `PT5S`, or a number of seconds."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

_DURATION = re.compile(
    r"(?=.)(?:(?P<d>[0-9]{1,6})d)?(?:(?P<h>[0-9]{1,6})h)?(?:(?P<m>[0-9]{1,6})m)?(?:(?P<s>[0-9]{1,9}(?:\.[0-9]{1,3})?)s)?"
)
_ISO_DURATION = re.compile(
    r"P(?=.)(?:(?P<w>[0-9]{1,4})W)?(?:(?P<d>[0-9]{1,6})D)?"
    r"(?:T(?=.)(?:(?P<h>[0-9]{1,6})H)?(?:(?P<m>[0-9]{1,6})M)?(?:(?P<s>[0-9]{1,9}(?:\.[0-9]{1,3})?)S)?)?"
)
_UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}


def seconds(value: object) -> float:
    """A duration in seconds: `5s`, `10m`, `1h30m`, `30d`, ISO 8601 `PT5S` (no months or years: they have no fixed
    length), or a number of seconds."""
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12:
        return float(value)
    if (
        isinstance(value, str)
        and len(value) <= 32
        and (match := _DURATION.fullmatch(value) or _ISO_DURATION.fullmatch(value))
    ):
        return sum(float(amount) * _UNITS[unit] for unit, amount in match.groupdict().items() if amount)
    raise PydanticCustomError("config.duration", "a duration such as 5s, 10m or PT5S is expected")


DURATION_SCHEMA = WithJsonSchema(
    {
        "anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^([0-9.]+[dhms])+$|^P"}],
        "examples": ["5s", "PT5S"],
    }
)
Seconds = Annotated[float, BeforeValidator(seconds), DURATION_SCHEMA]
"""A field of a plugin's `Config` that takes durations; add `Field(gt=0, le=…)` for its limits."""
