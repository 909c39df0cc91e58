"""A YAML file as plain data, with the place of every key.

The subset an installer needs, and nothing that surprises: text, numbers, true/false, lists, maps, and `!secret name`.
Aliases and other tags are refused, duplicate keys too (PyYAML keeps the last one silently). Plain scalars follow YAML
1.2, so `22:00` is a time and not 1320, `no` is a word and not false, and `007` keeps its zeros.
"""

from __future__ import annotations

import difflib
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

import yaml

from menwei.problems import HIDDEN, Path, Place, Problem, dotted, printable
from menwei.yamlsyntax import mistake

LARGEST = 4_000_000
"""Bytes. A village of a thousand doors is a tenth of it; more is a wrong file, and parsing it would stall the start."""

DEEPEST = 32
"""Levels of nesting. Ours need eight; without a bound a file of brackets overflows the stack."""

_Loader: Any = getattr(
    yaml, "CSafeLoader", yaml.SafeLoader
)  # libyaml where PyYAML was built with it: ten times as fast

_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?=.*[.eE])(?:0|[1-9][0-9]*|(?=\.))(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?")
_WORDS: Mapping[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


@dataclass(slots=True)
class Document:
    """What a file says: plain data, the place of every key and list item, and what is wrong with it.

    `secret` are the paths whose values came from the secrets file and are never shown.
    """

    file: str
    data: Any = None
    places: dict[Path, Place] = field(default_factory=dict)
    secret: set[Path] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)


def read(path: FilePath, secrets: FilePath | None = None) -> Document:
    """Reads a file; `!secret` names are looked up in `secrets` (default: `secrets.yaml` beside it). Never raises for
    what stands in the file or for its being absent: that is a problem of the document."""
    document = Document(str(path))
    text = _text(path, document)
    if text is not None:
        _Reader(document, _Secrets(secrets or path.with_name("secrets.yaml"))).read(text)
    return document


def parse(text: str, file: str, secrets: FilePath | None = None) -> Document:
    """The same for text that is already here."""
    document = Document(file)
    _Reader(document, _Secrets(secrets)).read(text)
    return document


def _text(path: FilePath, document: Document) -> str | None:
    def problem(key: str, line: int = 1, column: int = 1, **values: str) -> None:
        document.problems.append(Problem(document.file, line, column, "", "", key, values))

    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        problem("config.no_file")
        return None
    except (OSError, ValueError) as error:
        problem("config.unreadable", detail=printable(getattr(error, "strerror", None) or str(error)))
        return None
    if len(data) > LARGEST:
        problem("config.too_large", limit=str(LARGEST // 1_000_000))
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
        problem("config.not_utf8", line, column)
        return None


class _Secrets:
    """The secrets file, read at the first `!secret`."""

    def __init__(self, path: FilePath | None) -> None:
        self.path = path
        self._document: Document | None = None

    def open(self) -> Document:
        if self._document is None:
            self._document = self._read()
        return self._document

    def _read(self) -> Document:
        if self.path is None:
            return Document("secrets.yaml")
        try:
            mode = self.path.stat().st_mode
        except (OSError, ValueError):
            document = Document(str(self.path))
            document.problems.append(Problem(document.file, 1, 1, "", "", "config.secrets_missing"))
            return document
        if stat.S_IMODE(mode) & 0o077:
            document = Document(str(self.path))
            values = {"mode": f"{stat.S_IMODE(mode):04o}", "file": document.file}
            document.problems.append(
                Problem(document.file, 1, 1, "", "", "config.secrets_open", values, "config.hint.chmod")
            )
            return document
        document = Document(str(self.path))
        text = _text(self.path, document)
        if text is not None:
            _Reader(document, None).read(text)
        if not isinstance(document.data, dict):
            if document.data is not None:
                document.problems.append(Problem(document.file, 1, 1, "", "", "config.expected_section"))
            document.data = {}
        for name, value in list(document.data.items()):
            if not isinstance(value, str):
                place = document.places[(name,)]
                document.problems.append(
                    Problem(
                        place.file, place.line, place.column, dotted((name,)), HIDDEN, "config.expected_text"
                    )
                )
                del document.data[name]
        return document


class _Reader:
    """One pass over the events of one file. Without `secrets` it reads the secrets file itself: every scalar is text,
    and no value goes into a message."""

    def __init__(self, document: Document, secrets: _Secrets | None) -> None:
        self.document = document
        self.secrets = secrets
        self.depth = 0

    def read(self, text: str) -> None:
        loader = None
        try:
            loader = _Loader(text)
            self.loader = loader
            self.document.data = self._stream()
        except yaml.reader.ReaderError as error:
            # libyaml gives a byte offset here and the other reader an index: look for the character itself.
            index = next((i for i, c in enumerate(text) if not _yaml_character(c)), 0)
            before = text[:index]
            line, column = before.count("\n") + 1, index - before.rfind("\n")
            self._add(
                "config.syntax", Place(self.document.file, line, column), (), detail=printable(error.reason)
            )
        except yaml.MarkedYAMLError as error:
            found = mistake(text, error)
            place = Place(self.document.file, found.line, found.column)
            self._add(found.key, place, (), **found.values)
        except (
            yaml.YAMLError,
            ValueError,
            OverflowError,
        ) as error:  # an escape or directive with an impossible number
            self._add("config.syntax", Place(self.document.file), (), detail=printable(str(error)))
        except _TooDeep as error:
            self._add("config.too_deep", self._place(error.mark), (), limit=str(DEEPEST))
        finally:
            if loader is not None:
                loader.dispose()

    def _stream(self) -> Any:
        data = None
        documents = 0
        while self.loader.check_event():
            event = self._next()
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._add("config.second_document", self._place(event.start_mark), ())
                    break
                data = self._node(self._next(), ())
        return data

    def _next(self) -> Any:
        event = self.loader.get_event()
        if isinstance(event, yaml.ScalarEvent) and any(
            "\ud800" <= character <= "\udfff" for character in event.value
        ):
            # PyYAML's own reader lets "\uD800" through, which is no character and cannot be stored or shown.
            mark: Any = event.start_mark  # one of two classes, by the reader in use
            raise yaml.MarkedYAMLError(problem="half of a surrogate pair", problem_mark=mark)
        return event

    def _node(self, event: Any, path: Path) -> Any:
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            self._add("config.alias", self._place(event.start_mark), path)
        if isinstance(event, yaml.AliasEvent):
            return None
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        self._check_tag(event, path)
        self.depth += 1
        if self.depth > DEEPEST:
            raise _TooDeep(event.start_mark)
        value = self._map(path) if isinstance(event, yaml.MappingStartEvent) else self._list(path)
        self.depth -= 1
        return value

    def _list(self, path: Path) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            step = (*path, len(items))
            self.document.places[step] = self._place(event.start_mark)
            items.append(self._node(event, step))
        return items

    def _map(self, path: Path) -> dict[str, Any]:
        items: dict[str, Any] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            place = self._place(event.start_mark)
            if not isinstance(event, yaml.ScalarEvent) or not event.value or event.tag is not None:
                self._add("config.bad_key", place, path)
                self._skip(event)
                self._skip(self._next())
                continue
            name = event.value
            step = (*path, name)
            if name in items:
                first = self.document.places[step]
                self._add("config.duplicate", place, step, first=str(first), name=printable(name))
                self._skip(self._next())
                continue
            self.document.places[step] = place
            items[name] = None  # known before its value is read, so that an error inside still counts it
            items[name] = self._node(self._next(), step)
        return items

    def _skip(self, event: Any) -> None:
        depth = 0
        while True:
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth <= 0:
                return
            event = self._next()

    def _scalar(self, event: Any, path: Path) -> Any:
        if event.tag == "!secret":
            return self._secret(event, path)
        self._check_tag(event, path)
        if self.secrets is None or event.style:  # quoted, or a secret: text as it stands
            return event.value
        return plain(event.value)

    def _secret(self, event: Any, path: Path) -> str | None:
        place = self._place(event.start_mark)
        if self.secrets is None:
            self._add("config.tag", place, path, tag="!secret")
            return None
        self.document.secret.add(path)
        found = self.secrets.open()
        for problem in found.problems:
            if problem not in self.document.problems:
                self.document.problems.append(problem)
        names = found.data if isinstance(found.data, dict) else {}
        if event.value in names:
            return str(names[event.value])
        if not found.problems:
            near = difflib.get_close_matches(event.value, names, 1)
            values = {"name": printable(event.value), "file": found.file, "near": near[0] if near else ""}
            self._add("config.secret_unknown", place, path, hint="config.hint.near" if near else "", **values)
        return None

    def _check_tag(self, event: Any, path: Path) -> None:
        if event.tag is not None and event.tag != "!":
            self._add("config.tag", self._place(event.start_mark), path, tag=printable(event.tag))

    def _add(self, key: str, place: Place, path: Path, *, hint: str = "", **values: str) -> None:
        self.document.problems.append(
            Problem(place.file, place.line, place.column, dotted(path), "", key, values, hint)
        )

    def _place(self, mark: Any) -> Place:
        if mark is None:
            return Place(self.document.file)
        return Place(self.document.file, mark.line + 1, mark.column + 1)


class _TooDeep(Exception):
    def __init__(self, mark: Any) -> None:
        super().__init__()
        self.mark = mark


def plain(text: str) -> Any:
    """The value of an unquoted scalar, by the core schema of YAML 1.2 (10.3.2) without octal and hexadecimal."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if abs(number) < 1e300 else text
    return text


def _yaml_character(character: str) -> bool:
    """YAML 1.2, 5.1: what may stand in a stream at all."""
    code = ord(character)
    return (
        character in "\t\n\r\x85"
        or 0x20 <= code <= 0x7E
        or 0xA0 <= code <= 0xD7FF
        or (0xE000 <= code <= 0xFFFD and code != 0xFEFF)
        or 0x10000 <= code <= 0x10FFFF
    )
