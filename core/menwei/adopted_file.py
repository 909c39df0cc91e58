"""`adopted.yaml` and its secrets, as files: edited as text, checked whole, replaced in one step.

A crash at any moment leaves the old file or the new one. Two commands at once take turns.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import textwrap
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from menwei import yamlfile
from menwei.config import ADOPTED, Loaded, data_folder, load
from menwei.manifest import Explained, Failure
from menwei.problems import Place

HEADER = """\
# Written by `menwei adopt` and the installer's page; read together with config.yaml.
# You may edit it: your comments and order are kept. Secrets are in secrets.yaml in the data folder.
# To take a device out, delete it and its doors here and start the program again.
"""
SECRETS_HEADER = (
    "# Secrets of adopted devices, written by `menwei adopt`. Only the program's user may read this file.\n"
)
UNFINISHED = ".unfinished"
"""How the name of a new file ends until it is in its place; a swap file of an editor is called otherwise."""


class AdoptionError(Exception):
    """Why a device was not adopted or forgotten; every reason is a sentence for the installer."""

    def __init__(self, key: str, **values: str) -> None:
        self.failures: tuple[Explained, ...] = (Failure(key, values),)
        super().__init__(self.text("en"))

    @classmethod
    def of(cls, failures: Iterable[Explained]) -> AdoptionError:
        """Several reasons at once."""
        error = cls.__new__(cls)
        error.failures = tuple(failures)
        Exception.__init__(error, error.text("en"))
        return error

    def text(self, language: str) -> str:
        return "\n".join(failure.text(language) for failure in self.failures)


@dataclass(frozen=True, slots=True)
class Secret:
    """`!secret name` in the file."""

    name: str


class Adopted:
    """The `adopted.yaml` beside a `config.yaml`. Every method blocks on the disk: call them in a thread.

    `read` is what reads the config, as `config.load` does: a running site has more to say against one.
    """

    def __init__(self, config: Path, read: Callable[..., Loaded] = load) -> None:
        self.config = config
        self._read = read
        self.path = config.with_name(ADOPTED)
        self.secrets = data_folder(config, yamlfile.read(config).data or {}) / "secrets.yaml"

    def refuse_known(self, ids: Mapping[str, Sequence[str]]) -> None:
        """Raises `AdoptionError` naming every place where one of the ids (by section) stands already."""
        failures = []
        for file in (self.config, self.path):
            places = yamlfile.read(file, self.secrets).places if file.is_file() else {}
            for section, names in ids.items():
                known = [(name, places[section, name]) for name in names if (section, name) in places]
                failures += [
                    Failure("adopt.known", {"id": name, "place": str(place)}) for name, place in known
                ]
        if failures:
            raise AdoptionError.of(failures)

    def add(self, sections: Mapping[str, Mapping[str, Any]], secrets: Mapping[str, str]) -> None:
        """Add entries by section. Raises `AdoptionError` when one is there already, or when the config has any mistake
        with them: nobody could use it then, nor what was added. Then nothing has changed."""
        with self._turn():
            self.refuse_known({section: list(entries) for section, entries in sections.items()})
            text = self._text()
            for section, entries in sections.items():
                for id, entry in entries.items():
                    text = insert(text, section, id, entry)
            before = self._read_secrets()
            self._write_secrets({**before, **secrets})
            try:
                self._replace(text)
            except BaseException:
                self._write_secrets(before)
                raise

    def remove_device(self, id: str) -> tuple[str, ...]:
        """Remove a device, the doors of this file that it locks, and its secrets. Returns the doors' ids."""
        with self._turn():
            text = self._text()
            data = _parsed(text).data or {}
            if id not in (data.get("devices") or {}):
                raise AdoptionError("adopt.unknown", id=id, file=str(self.path))
            doors = [
                door
                for door, entry in (data.get("doors") or {}).items()
                if isinstance(entry, dict) and str(entry.get("lock", "")).startswith(f"{id}/")
            ]
            for section, name in (("devices", id), *(("doors", door) for door in doors)):
                text = remove(text, section, name)
            old = {(problem.key, problem.path) for problem in self._read(self.config).problems}
            self._replace(text, old)
            kept = {
                name: value for name, value in self._read_secrets().items() if not name.startswith(f"{id}.")
            }
            self._write_secrets(kept)
        return tuple(doors)

    def _text(self) -> str:
        if not self.path.is_file():
            return HEADER
        document = yamlfile.read(self.path, self.secrets)
        if document.problems:
            raise AdoptionError.of(document.problems)
        return self.path.read_text(encoding="utf-8-sig")

    def _replace(self, text: str, old: Collection[tuple[str, str]] = ()) -> None:
        """Put `text` in the place of the file if the whole config has no mistake with it but `old` ones (key, path)."""
        with _beside(self.path, text, _mode(self.path)) as new:
            worse = [
                replace(problem, file=str(self.path) if problem.file == str(new) else problem.file)
                for problem in self._read(self.config, adopted=new).problems
                if (problem.key, problem.path) not in old
            ]
            if worse:
                raise AdoptionError.of(worse)
            _settle(new, self.path)

    def _read_secrets(self) -> dict[str, str]:
        if not self.secrets.is_file():
            return {}
        document = yamlfile.parse(self.secrets.read_text(encoding="utf-8"), str(self.secrets))
        if document.problems:
            raise AdoptionError.of(document.problems)
        return {name: str(value) for name, value in (document.data or {}).items()}

    def _write_secrets(self, secrets: Mapping[str, str]) -> None:
        if secrets == self._read_secrets():
            return
        self.secrets.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _beside(self.secrets, SECRETS_HEADER + dump(dict(secrets)), 0o600) as new:
            _settle(new, self.secrets)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """One command at a time: the folder itself is the lock, so that no lock file stays behind."""
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            for file in (self.path, self.secrets):  # of a program that was killed: one may hold a secret
                for left in file.parent.glob(f".{file.name}.*{UNFINISHED}"):
                    left.unlink()
            yield
        finally:
            os.close(folder)


# ------------------------------------------------------------------------------------------------------- atomic files


@contextlib.contextmanager
def _beside(path: Path, text: str, mode: int) -> Iterator[Path]:
    """A durable new file beside `path`, gone at the end unless it was settled. Never readable by more than `mode`."""
    handle, name = tempfile.mkstemp(UNFINISHED, f".{path.name}.", path.parent)  # 0600
    new = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        yield new
    finally:
        new.unlink(missing_ok=True)


def _settle(new: Path, path: Path) -> None:
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)  # else the old name may be back after a power cut
    finally:
        os.close(folder)


def _mode(path: Path) -> int:
    return path.stat().st_mode & 0o777 if path.is_file() else 0o644


# ----------------------------------------------------------------------------------------------------- text of a file


def insert(text: str, section: str, id: str, entry: Any) -> str:
    """`text` with one more entry at the end of a section; everything else stays as it is, comments too.

    Raises `AdoptionError` when the file is not written in lines (`devices: {…}`), so that it cannot be done safely.
    """
    document = _parsed(text)
    lines = text.splitlines()
    if (section,) not in document.places:
        block = [f"{section}:", *_block(id, entry, 2)]
        lines = [*lines, *([""] if lines and lines[-1].strip() else []), *block]
    else:
        siblings = [place for path, place in document.places.items() if len(path) == 2 and path[0] == section]
        indent = siblings[0].column - 1 if siblings else 2
        end = _end(lines, document, document.places[(section,)])
        lines[end:end] = _block(id, entry, indent)
    return _verified(
        document, lines, section, {**((document.data or {}).get(section) or {}), id: _read_back(entry)}
    )


def remove(text: str, section: str, id: str) -> str:
    """`text` without one entry, and without its section when that was the last one. Raises `AdoptionError`."""
    document = _parsed(text)
    lines = text.splitlines()
    rest = {key: value for key, value in document.data[section].items() if key != id}
    gone = document.places[(section, id) if rest else (section,)]
    del lines[gone.line - 1 : _end(lines, document, gone)]
    return _verified(document, lines, section, rest)


def _end(lines: Sequence[str], document: yamlfile.Document, start: Place) -> int:
    """The index of the line after the last one that belongs to the key at `start`; comments before the next key are
    that key's."""
    outer = [
        place.line
        for path, place in document.places.items()
        if place.line > start.line and place.column <= start.column
    ]
    end = min(outer, default=len(lines) + 1) - 1
    while end > start.line and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    return end


def _verified(
    before: yamlfile.Document, lines: Sequence[str], section: str, wanted: Mapping[str, Any]
) -> str:
    text = "\n".join(lines).rstrip("\n") + "\n"
    after = _parsed(text).data or {}
    expected = {**(before.data or {}), section: dict(wanted)}
    if {key: value for key, value in expected.items() if value} != {
        key: value for key, value in after.items() if value
    }:
        raise AdoptionError("adopt.cannot_edit", section=section)
    return text


def _parsed(text: str) -> yamlfile.Document:
    """Without the secrets' values: a `!secret` reads as None here."""
    return yamlfile.parse(text, ADOPTED)


def _read_back(entry: Any) -> Any:
    return _parsed(dump({"entry": entry})).data["entry"]


def _block(id: str, entry: Any, indent: int) -> list[str]:
    return textwrap.indent(dump({id: entry}), " " * indent).splitlines()


class _Dumper(yaml.SafeDumper):
    """Writes what `yamlfile` reads: text that would be taken for a number or a word there is quoted."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    quoted = yamlfile.plain(text) != text or not text.isprintable()
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if quoted else None)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(Secret, lambda dumper, secret: dumper.represent_scalar("!secret", secret.name))


def dump(data: Mapping[str, Any]) -> str:
    """Plain data as the YAML that `yamlfile` reads back, one line a value."""
    return yaml.dump(
        data, Dumper=_Dumper, allow_unicode=True, sort_keys=False, default_flow_style=False, width=1_000_000
    )


__all__ = ["Adopted", "AdoptionError", "Secret", "dump", "insert", "remove"]
