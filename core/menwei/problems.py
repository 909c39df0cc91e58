"""What is wrong with a file the installer wrote, where, and what to do: a message key with its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from menwei import messages

Path = tuple[str | int, ...]
"""The way to a value inside a file: keys and list positions, `("doors", "gate", "access_points")`."""

SHOWN = 60
"""How much of a wrong value is shown; the rest of a line belongs to the editor."""

HIDDEN = "…"


class Words(Protocol):
    """`Messages.t`, or the module's."""

    def __call__(self, language: str, key: str, /, **values: object) -> str: ...


@dataclass(frozen=True, slots=True)
class Place:
    """A spot in a file; line and column count from 1."""

    file: str
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Fault:
    """A mistake in some data, before it is known where in a file that data stands.

    `key` and `hint` are message keys that share `values`.
    """

    path: Path
    key: str
    values: Mapping[str, str] = field(default_factory=dict)
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake in a file. `value` is what stands there, shortened; "…" where it is secret."""

    file: str
    line: int
    column: int
    path: str
    value: str
    key: str
    values: Mapping[str, str] = field(default_factory=dict)
    hint: str = ""
    words: Words = field(default=messages.t, compare=False, repr=False)
    """Who knows the keys: the core, or the catalogues of the plugin that found the mistake."""

    @property
    def place(self) -> Place:
        return Place(self.file, self.line, self.column)

    def text(self, language: str, words: Words | None = None) -> str:
        """One line: `config.yaml:12:5: doors.gate.lock: …`, in `language`."""
        words = words or self.words
        values = {**self.values, "value": self.value}
        parts = [words(language, self.key, **values)]
        if self.hint:
            parts.append(words(language, self.hint, **values))
        head = f"{self.place}: {self.path}: " if self.path else f"{self.place}: "
        return head + " · ".join(parts)


class Unusable(Exception):
    """What keeps a site or a command from beginning: a message key with its values, told in the person's language.
    `str()` is English, for logs."""

    def __init__(self, key: str, **values: object) -> None:
        super().__init__(key, values)
        self.key, self.values = key, values

    def __str__(self) -> str:
        return self.text("en")

    def text(self, language: str) -> str:
        return messages.t(language, self.key, **self.values)


def dotted(path: Path) -> str:
    """A path as it is shown: `profiles.residents[0].schedule`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + printable(step)
    return text


def printable(value: object) -> str:
    """A value as it may stand in a message: one line, short, nothing that moves a terminal's cursor."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "{…}"
    if isinstance(value, list):
        return "[…]"
    if isinstance(value, int) and value.bit_length() > 256:  # Python refuses to print very long numbers
        return HIDDEN
    text = value[: SHOWN + 1] if isinstance(value, str) else str(value)
    text = "".join(character if character.isprintable() else "�" for character in text)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"
