"""What pydantic found, as messages of ours with the path in the file."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from menwei.problems import Fault, Path, printable
from menwei.yamlfile import plain

NEAR = "config.hint.near"

_PLAIN = frozenset({"int_type", "int_parsing", "float_type", "float_parsing", "bool_type", "bool_parsing"})
"""Errors of a value that stands without quotes in the file."""

_KEYS = {
    "missing": "config.missing",
    "extra_forbidden": "config.unknown_key",
    "string_type": "config.expected_text",
    "int_type": "config.expected_integer",
    "int_parsing": "config.expected_integer",
    "int_from_float": "config.expected_integer",
    "float_type": "config.expected_number",
    "float_parsing": "config.expected_number",
    "finite_number": "config.expected_number",
    "bool_type": "config.expected_bool",
    "bool_parsing": "config.expected_bool",
    "dict_type": "config.expected_section",
    "mapping_type": "config.expected_section",
    "model_type": "config.expected_section",
    "model_attributes_type": "config.expected_section",
    "list_type": "config.expected_list",
    "tuple_type": "config.expected_list",
    "set_type": "config.expected_list",
    "frozen_set_type": "config.expected_list",
    "greater_than": "config.greater_than",
    "greater_than_equal": "config.at_least",
    "less_than": "config.less_than",
    "less_than_equal": "config.at_most",
    "string_too_short": "config.text_too_short",
    "string_too_long": "config.text_too_long",
    "too_short": "config.too_few",
    "too_long": "config.too_many",
    "literal_error": "config.one_of",
    "enum": "config.one_of",
    "string_pattern_mismatch": "config.pattern",
}
"""pydantic's error types → message keys; every other one is `config.invalid` with pydantic's own words."""

_LIMITS = ("gt", "ge", "lt", "le", "min_length", "max_length")

_PATTERNS = {
    r"^[a-z0-9][a-z0-9-]*$": "config.id",
    r"^[a-z0-9][a-z0-9_-]*$": "config.name",
    r"^[a-z0-9][a-z0-9_-]*\.[A-Za-z0-9_-]+$": "config.policy_name",
    r"^[A-Z]{2,3}$": "config.country",
}
"""Patterns of `settings.py` in words."""


def of_validation(
    error: ValidationError, model: type[BaseModel], data: Any, section: Path = ()
) -> list[Fault]:
    """Each thing that `model` has against `data`; paths begin with `section`."""
    details = error.errors(include_url=False, include_input=True)
    return [_fault(detail, model, data, section) for detail in details]


def _fault(detail: Mapping[str, Any], model: type[BaseModel], data: Any, section: Path) -> Fault:
    loc: Path = detail["loc"]
    kind: str = detail["type"]
    context: Mapping[str, Any] = detail.get("ctx") or {}
    if loc and loc[-1] == "[key]":
        loc = loc[:-1]
    path = (*section, *loc)
    if kind == "missing":
        found = near(
            str(loc[-1]), [k for k in keys_at(data, loc[:-1]) if k not in known_keys(model, loc[:-1])]
        )
        values = {"name": printable(loc[-1]), "near": found}
        return Fault(path[:-1], "config.missing", values, "config.hint.instead" if found else "")
    if kind == "extra_forbidden":
        found = near(str(loc[-1]), known_keys(model, loc[:-1]))
        return Fault(
            path, "config.unknown_key", {"name": printable(loc[-1]), "near": found}, NEAR if found else ""
        )
    if kind.startswith("config."):
        values = {name: printable(value) for name, value in context.items()}
        return Fault(path, kind, values, NEAR if values.get("near") else "")
    if kind == "string_pattern_mismatch" and (words := _PATTERNS.get(context["pattern"])):
        values = {"value": printable(loc[-1])} if detail["loc"][-1:] == ("[key]",) else {}
        return Fault(path, words, values)
    if kind in {"literal_error", "enum"}:
        found = near(
            str(detail["input"])[:60],
            str(context["expected"]).replace("'", "").replace(" or ", ", ").split(", "),
        )
        return Fault(
            path,
            "config.one_of",
            {"expected": printable(context["expected"]), "near": found},
            NEAR if found else "",
        )
    if key := _KEYS.get(kind):
        limit = next((context[name] for name in _LIMITS if name in context), "")
        hint = _quotes(kind, detail["input"])
        return Fault(
            path,
            key,
            {
                "limit": f"{limit:g}" if isinstance(limit, float) else printable(limit),
                "pattern": printable(context.get("pattern", "")),
            },
            hint,
        )
    return Fault(path, "config.invalid", {"detail": printable(detail["msg"].removeprefix("Value error, "))})


def _quotes(kind: str, given: object) -> str:
    """The hint where quotes are all that is wrong: text that looks like a number, or the other way round."""
    if kind == "string_type" and isinstance(given, int | float):
        return "config.hint.quote"
    if kind in _PLAIN and isinstance(given, str) and not isinstance(plain(given), str | None):
        return "config.hint.unquote"
    return ""


def near(word: str, known: Iterable[str]) -> str:
    """The known word that was probably meant, or ""."""
    word = word[:60]
    by_folded = {name.lower().replace("-", "_"): name for name in known}
    found = difflib.get_close_matches(word.lower().replace("-", "_"), by_folded, 1)
    return by_folded[found[0]] if found else ""


def keys_at(data: Any, loc: Path) -> list[str]:
    """The keys that stand at a path of plain data."""
    for step in loc:
        try:
            data = data[step]
        except (KeyError, IndexError, TypeError):
            return []
    return list(data) if isinstance(data, dict) else []


def known_keys(model: type[BaseModel], loc: Path) -> list[str]:
    """The keys that may stand at a path: names and aliases of the model there."""
    annotation: Any = model
    for step in loc:
        annotation = _inside(annotation, step)
    found = _bare(annotation)
    if not (isinstance(found, type) and issubclass(found, BaseModel)):
        return []
    return [field.alias or name for name, field in found.model_fields.items()]


def _inside(annotation: Any, step: str | int) -> Any:
    """What an annotation has behind one key or position."""
    bare = _bare(annotation)
    if isinstance(bare, type) and issubclass(bare, BaseModel):
        for name, field in bare.model_fields.items():
            if step in (name, field.alias):
                return field.annotation
        return None
    arguments = get_args(bare)
    return (
        arguments[-1]
        if get_origin(bare) in (dict, list, tuple, Mapping) and len(arguments) and arguments[-1] is not ...
        else (arguments[0] if arguments else None)
    )


def _bare(annotation: Any) -> Any:
    """An annotation without `Annotated` and `| None`."""
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = get_args(annotation)[0]
        elif origin in (Union, types.UnionType):
            others = [argument for argument in get_args(annotation) if argument is not type(None)]
            if not others:
                return None
            annotation = next((o for o in others if _is_model(o)), others[0])
        elif isinstance(annotation, typing.TypeVar):
            annotation = annotation.__bound__
        else:
            return annotation


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
