"""What the objects of plugins say can be mended (`repairs()`): asked so that no answer of theirs does harm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

import structlog

from menwei.announcement import clean
from menwei.context import Repair

log = structlog.get_logger(__name__)

LONGEST_VALUE = 1000
"""Characters of one value in a sentence that a person reads."""
SEVERITIES = frozenset({"error", "warning", "info"})


class Complains(Protocol):
    """A driver, recognizer, policy, notifier or service."""

    def repairs(self) -> list[Repair]: ...


def complaints(owner: Complains, otherwise: Callable[[str], Repair]) -> list[Repair]:
    """`owner.repairs()`. When it fails, or answers anything but sound `Repair`s, that is the one thing to mend:
    `otherwise` makes it a repair that names the plugin's part. Never raises for what a plugin does."""
    try:
        return [_sound(repair) for repair in owner.repairs()]
    except (Exception, SystemExit) as error:
        why = f"repairs(): {type(error).__name__}: {error}"
        log.error("a plugin's repairs() failed", of=type(owner).__qualname__, error=why)
        return [otherwise(clean(why, LONGEST_VALUE))]


def _sound(repair: Any) -> Repair:
    """Raises `TypeError` for what cannot be shown."""
    if not isinstance(repair, Repair):
        raise TypeError(f"a {type(repair).__name__} is no Repair")
    if not (isinstance(repair.key, str) and isinstance(repair.message, str)):
        raise TypeError("key and message of a Repair are texts")
    if not isinstance(repair.values, Mapping) or repair.severity not in SEVERITIES:
        raise TypeError(f"{clean(repair.key)}: values are a mapping, severity is error, warning or info")
    values = {str(name): clean(str(value), LONGEST_VALUE) for name, value in repair.values.items()}
    return replace(repair, key=clean(repair.key), message=clean(repair.message), values=values)


__all__ = ["complaints"]
