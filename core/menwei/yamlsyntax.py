"""A mistake in a file's YAML, in words an installer can act on: the parser's own are English, and for whoever writes parsers.

Both parsers of PyYAML are understood (libyaml's and Python's); what neither of the sentences here fits keeps their words.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import yaml

from menwei.problems import printable

_OPENED = {"mapping": "{", "sequence": "["}


@dataclass(frozen=True, slots=True)
class Mistake:
    """A message key with its values, and where in the text: line and column from 1."""

    key: str
    line: int
    column: int
    values: dict[str, str] = field(default_factory=dict)


def mistake(text: str, error: yaml.MarkedYAMLError) -> Mistake:
    """What `error`, raised while `text` was parsed, says to a person."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark is not None else (0, 0)
    context, problem = error.context or "", error.problem or ""
    lines = text.splitlines() or [""]
    here = lines[min(line, len(lines) - 1)]
    margin = here[: len(here) - len(here.lstrip())]
    if "\t" in margin:
        return Mistake("config.syntax.tab", line + 1, margin.index("\t") + 1)
    opened = error.context_mark
    if opened is not None and "quoted scalar" in context and "end of stream" in problem:
        return Mistake("config.syntax.quote", opened.line + 1, opened.column + 1)
    if opened is not None and context.startswith("while parsing a flow"):
        bracket = _OPENED.get(context.rpartition(" ")[2], "[")
        where = {"bracket": bracket, "opened": f"{opened.line + 1}:{opened.column + 1}"}
        return Mistake("config.syntax.bracket", line + 1, column + 1, where)
    if opened is not None and "could not find expected ':'" in problem:
        return Mistake("config.syntax.no_colon", opened.line + 1, opened.column + 1)
    if "mapping values are not allowed" in problem:
        return Mistake("config.syntax.colon", line + 1, column + 1)
    if "cannot start any token" in problem and column < len(here):
        return Mistake(
            "config.syntax.character", line + 1, column + 1, {"character": printable(here[column])}
        )
    if context.startswith("while parsing a block"):
        return Mistake("config.syntax.indent", line + 1, column + 1)
    detail = ", ".join(part for part in (context, problem) if part)
    return Mistake("config.syntax", line + 1, column + 1, {"detail": printable(detail)})


__all__ = ["Mistake", "mistake"]
