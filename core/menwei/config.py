"""config.yaml and adopted.yaml: read, merged, checked, with every mistake of a run told at its place.

`load` is called by `menwei check`, before the service starts and at a reload. It never raises for what stands in the
files; a configuration with any problem is not used at all, because half a set of rules is not the installer's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path as FilePath
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ValidationError

from menwei import yamlfile
from menwei.crossrefs import references
from menwei.faults import of_validation
from menwei.problems import HIDDEN, Fault, Path, Place, Problem, dotted, printable
from menwei.schedules import BUILT_IN, check
from menwei.settings import RESERVED, Settings
from menwei.site import Site, build_site

ADOPTED = "adopted.yaml"
ADOPTED_SECTIONS = ("devices", "doors")

Model = TypeVar("Model", bound=BaseModel)

_SENSITIVE = re.compile(r"pass(word|phrase)?$|secret|token|(^|[_-])(pin|key|code)$", re.IGNORECASE)
"""Keys whose values are not repeated in a message, even when they are written in the open."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the files say. `config` is None when there is any problem; `sound` is then what is left without the values at
    fault, for whoever looks for more of them, and names in it may lead nowhere.

    `raw` is the merged data with secrets filled in, `places` where each key of it stands.
    """

    path: FilePath
    config: Settings | None = field(repr=False)
    problems: tuple[Problem, ...]
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)
    places: Mapping[Path, Place] = field(default_factory=dict, repr=False)
    secret: frozenset[Path] = frozenset()
    sound: Settings | None = field(default=None, repr=False)

    @property
    def data(self) -> FilePath:
        """The folder for databases and keys; relative to the config file."""
        return data_folder(self.path, self.raw)

    def options(self, section: Path) -> dict[str, Any]:
        """A plugin's own keys at a section, such as `("devices", "sim-gate")`."""
        node: Any = self.raw
        for step in section:
            node = node[step]
        return {
            key: value for key, value in (node or {}).items() if key not in RESERVED.get(str(section[0]), ())
        }

    def check_plugin_options(self, section: Path, model: type[Model]) -> Model | list[Problem]:
        """The options at a section as the plugin's own model, or what is wrong with them and where. Called by the loader
        for each device, policy and plugin, once its class is known. Raises `KeyError` for a section that is not there."""
        options = self.options(section)
        try:
            return model.model_validate(options)
        except ValidationError as error:
            problems = [self.problem(fault) for fault in of_validation(error, model, options, section)]
            return sorted(problems, key=lambda found: (found.file, found.line, found.column))
        except Exception as error:  # a validator of the plugin's own that failed: nobody knows what it minds
            hidden = any(secret[: len(section)] == section for secret in self.secret)
            why = type(error).__name__ if hidden else f"{type(error).__name__}: {error}"
            detail = f"{model.__module__}.{model.__qualname__}: {why}"
            return [self.problem(Fault(section, "config.plugin_failed", {"detail": detail}))]

    def problem(self, fault: Fault) -> Problem:
        """A fault at its place in the file."""
        path, value = locate(fault.path, self.raw, self.places)
        place = self.places.get(path, Place(str(self.path)))
        hidden = any(path[: len(secret)] == secret for secret in self.secret)
        hidden = hidden or any(isinstance(step, str) and _SENSITIVE.search(step) for step in path[2:])
        values = dict(fault.values)
        shown = values.pop("value", printable(value))
        if hidden and "detail" in values:  # a library's own words may repeat what it was given
            values["detail"] = HIDDEN
        return Problem(
            place.file,
            place.line,
            place.column,
            dotted(path),
            HIDDEN if hidden else shown,
            fault.key,
            values,
            fault.hint,
        )


def load(path: FilePath | str, *, adopted: FilePath | None = None, today: date | None = None) -> Loaded:
    """Reads a configuration: `path`, and `adopted.yaml` beside it where there is one. Every problem is found in one run.

    `today` is the site's date from which schedules are tried out, by default this machine's.
    """
    path = FilePath(path)
    written = yamlfile.read(path)
    merged = _Merge(str(path))
    merged.add(written, tuple(Settings.model_fields))
    beside = adopted or path.with_name(ADOPTED)
    if beside.is_file():
        # The installer's secrets.yaml is never written to: what was adopted keeps its own, in the data folder.
        own = data_folder(path, merged.raw) / "secrets.yaml"
        merged.add(yamlfile.read(beside, own), ADOPTED_SECTIONS)
    loaded = Loaded(path, None, (), merged.raw, merged.places, frozenset(merged.secret))
    # A name that is written but wrong inside is still known: it is not reported a second time where it is used.
    faults, settings = _settings(merged.raw)
    faults += merged.faults
    if settings is not None:
        faults += references(settings, merged.raw)
        faults += _schedules(settings, faults, today)
    problems = [*merged.problems, *(loaded.problem(fault) for fault in faults)]
    order = {name: rank for rank, name in enumerate((str(path), str(beside)))}
    problems.sort(key=lambda found: (order.get(found.file, -1), found.file, found.line, found.column))
    unique = tuple({(p.file, p.line, p.column, p.path, p.key): p for p in problems}.values())
    return replace(loaded, config=None if unique else settings, problems=unique, sound=settings)


def data_folder(path: FilePath, raw: Mapping[str, Any]) -> FilePath:
    given = raw.get("data")
    return path.parent / (
        given if isinstance(given, str) and given and "\0" not in given else Settings().data
    )


def json_schema() -> dict[str, Any]:
    """The JSON schema of config.yaml, for editors."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Settings.model_json_schema(by_alias=True),
    }


def locate(path: Path, raw: Any, places: Mapping[Path, Place]) -> tuple[Path, Any]:
    """The nearest place in the file for a path in the checked data, and what stands there. They differ where the file
    says in short what the model spells out: one thing for a list of one."""
    found: Path = ()
    value = raw
    for step in path:
        if (*found, step) in places:
            found = (*found, step)
            value = value[step] if _has(value, step) else None
        elif step == 0 and not isinstance(value, list):
            continue
        else:
            break
    return found, value


def _has(value: Any, step: str | int) -> bool:
    if isinstance(value, dict):
        return step in value
    return isinstance(value, list) and isinstance(step, int) and step < len(value)


class _Merge:
    """The files laid over each other; the same id in two of them is a fault that names both places."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.raw: dict[str, Any] = {}
        self.places: dict[Path, Place] = {}
        self.secret: set[Path] = set()
        self.problems: list[Problem] = []
        self.faults: list[Fault] = []

    def add(self, document: yamlfile.Document, sections: tuple[str, ...]) -> None:
        self.problems += document.problems
        data = document.data
        if data is None:
            return
        if not isinstance(data, dict):
            self.problems.append(Problem(document.file, 1, 1, "", printable(data), "config.expected_section"))
            return
        skip: set[Path] = set()
        for name, section in data.items():
            if document.file != self.file and name not in sections:
                self._refuse(document, (name,), "config.adopted_section", sections=", ".join(sections))
                skip.add((name,))
            elif name not in self.raw or self.raw[name] is None:
                self.raw[name] = dict(section) if isinstance(section, dict) else section
            else:
                self._merge_section(document, name, section, skip)
        for path, place in document.places.items():
            if not any(path[: len(skipped)] == skipped for skipped in skip):
                self.places.setdefault(path, place)
        self.secret |= document.secret

    def _merge_section(self, document: yamlfile.Document, name: str, section: Any, skip: set[Path]) -> None:
        into = self.raw[name]
        if section is None:
            return
        if not isinstance(section, dict) or not isinstance(into, dict):
            if not isinstance(section, dict):
                self._refuse(document, (name,), "config.expected_section")
            skip.add((name,))
            return
        for key, value in section.items():
            if key in into:
                first = self.places.get((name, key), Place(self.file))
                self._refuse(document, (name, key), "config.duplicate", name=printable(key), first=str(first))
                skip.add((name, key))
            else:
                into[key] = value

    def _refuse(self, document: yamlfile.Document, path: Path, key: str, **values: str) -> None:
        place = document.places[path]
        self.problems.append(Problem(place.file, place.line, place.column, dotted(path), "", key, values))


def _settings(raw: Mapping[str, Any]) -> tuple[list[Fault], Settings | None]:
    """Every fault of the values, and the settings without the values at fault, so that names can still be checked."""
    faults: list[Fault] = []
    data = _copy(raw)
    for round in range(len(Settings.model_fields) * 4):
        try:
            return faults, Settings.from_data(data)
        except ValidationError as error:
            if round == 0:
                faults = of_validation(error, Settings, raw)
            # Where the faults stand is found out before anything is taken away.
            for path in [_smallest(data, mistake["loc"]) for mistake in error.errors(include_url=False)]:
                _drop(data, path)
    return faults, None


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(inner) for key, inner in value.items()}
    return [_copy(inner) for inner in value] if isinstance(value, list) else value


def _smallest(data: Any, loc: Path) -> Path:
    """The smallest key that holds the fault: the value at fault, or the section that lacks one. Not an item of a list:
    the positions of its other faults would shift."""
    found: list[str | int] = []
    for step in loc:
        if not _has(data, step):
            break
        found.append(step)
        data = data[step]
    while found and isinstance(found[-1], int):
        found.pop()
    return tuple(found)


def _drop(data: Any, path: Path) -> None:
    for step in path[:-1]:
        if not _has(data, step):
            return  # gone with what it was part of
        data = data[step]
    if path and isinstance(data, dict):
        data.pop(path[-1], None)


def _schedules(settings: Settings, before: list[Fault], today: date | None) -> list[Fault]:
    zone = ZoneInfo(settings.site.time_zone)
    today = today or datetime.now(UTC).astimezone(zone).date()
    faults = []
    broken = {fault.path[:2] for fault in before}
    for name, section in settings.schedules.items():
        if name not in BUILT_IN:
            found = check(section.spec(), zone, today, ("schedules", name))
            # It may be empty only because what it says was wrong, which is told already.
            faults += [f for f in found if f.key != "schedule.empty" or f.path not in broken]
    return faults


__all__ = ["Loaded", "Problem", "Settings", "Site", "build_site", "json_schema", "load"]
