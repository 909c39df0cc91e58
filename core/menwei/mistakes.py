"""What is wrong with input that a model refused: which message, at which place, about which field."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

NOT_BLANK = r"\S"
"""Pattern of a text that must say something: without it, it is as if nothing was given."""

_FIELD_KEYS = {
    "missing": "web.field.missing",
    "extra_forbidden": "web.field.unknown",
    "string_too_short": "web.field.missing",
    "string_too_long": "web.field.too_long",
    "too_long": "web.field.too_long",
    "enum": "web.field.choice",
    "literal_error": "web.field.choice",
    "int_parsing": "web.field.number",
    "int_type": "web.field.number",
    "float_parsing": "web.field.number",
    "greater_than_equal": "web.field.range",
    "greater_than": "web.field.range",
    "less_than_equal": "web.field.range",
    "less_than": "web.field.range",
    "date_parsing": "web.field.date",
    "date_from_datetime_parsing": "web.field.date",
    "datetime_parsing": "web.field.date",
    "datetime_from_date_parsing": "web.field.date",
    "json_invalid": "web.json",
}
"""pydantic's error types → message keys; anything else is "web.field.invalid"."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """`key` is the message's, `where` the place ("body.name"), `field` the field's path in its part."""

    key: str
    where: str
    field: str


def first_mistake(error: ValidationError, part: str) -> Mistake:
    """The first mistake of `part` ("body", "query"), without repeating what was typed."""
    first = error.errors(include_url=False, include_input=False)[0]
    steps = [str(step) for step in first["loc"]]
    key = _FIELD_KEYS.get(first["type"], "web.field.invalid")
    if first["type"] == "string_pattern_mismatch" and first["ctx"]["pattern"] == NOT_BLANK:
        key = "web.field.missing"
    return Mistake(key, ".".join([part, *steps]), ".".join(steps) or part)
