"""`menwei-plugin.yaml`: what a plugin is and wants, read without importing it.

So a site with an empty config can still discover devices, and the installer sees what a plugin asks for before
switching it on. A plugin is found by its entry point (group `menwei`), or, in a checkout, as a top-level package
`menwei_*` with a manifest.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Protocol

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError, core_schema

from menwei import yamlfile
from menwei.announcement import template_trouble
from menwei.messages import t
from menwei.problems import Place, Problem, dotted, printable

FILE = "menwei-plugin.yaml"
GROUP = "menwei"
"""The entry point group, and the prefix of the packages that a checkout's folders are searched for."""

NAME = r"^[a-z][a-z0-9_-]{0,63}$"
SERVICE_TYPE = re.compile(r"_[A-Za-z0-9-]{1,15}\._(tcp|udp)(\.local\.?)?")
_RULE = re.compile(r"(>=|<=|==|!=|>|<)\s*(\d+(?:\.\d+)*)")


@dataclass(frozen=True, slots=True)
class VersionRange:
    """Which versions of the plugin API a plugin was written for, such as `>=1,<2`: every part must hold.

    `1` and `1.0` are the same version.
    """

    text: str
    rules: tuple[tuple[str, tuple[int, ...]], ...]

    @classmethod
    def parse(cls, text: str) -> VersionRange:
        """Raises `ValueError` for what is not a comma-separated list of comparisons."""
        rules = []
        for part in text.split(","):
            match = _RULE.fullmatch(part.strip())
            if match is None:
                raise ValueError(f"{part.strip()!r} is not a comparison such as >=1 or <2.1")
            rules.append((match[1], _version(match[2])))
        return cls(text, tuple(rules))

    def contains(self, version: str) -> bool:
        return all(_holds(_version(version), operator, bound) for operator, bound in self.rules)

    def __str__(self) -> str:
        return self.text

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(cls._validate)

    @classmethod
    def _validate(cls, value: object) -> VersionRange:
        if isinstance(value, VersionRange):
            return value
        if not isinstance(value, str):
            raise PydanticCustomError("version_range", 'write the range in quotes, such as ">=1,<2"')
        return cls.parse(value)


def _version(text: str) -> tuple[int, ...]:
    numbers = [int(part) for part in text.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _holds(version: tuple[int, ...], operator: str, bound: tuple[int, ...]) -> bool:
    match operator:
        case ">=":
            return version >= bound
        case "<=":
            return version <= bound
        case ">":
            return version > bound
        case "<":
            return version < bound
        case "==":
            return version == bound
        case _:
            return version != bound


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Summary(_Part):
    """One sentence on what the plugin is for, in both languages."""

    zh: str
    en: str


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class ZeroconfRule(_Part):
    """One kind of service whose announcements show a device that `driver` can speak to.

    `id`, `title` and the texts of `config` are templates: `{address}`, `{port}`, `{name}` (the service instance),
    `{host}`, `{txt.KEY}`. `id` must be stable for the device: a serial number or a MAC. `where` says which
    announcements are meant: TXT key (or `{name}`, `{host}`) to a glob or a list of globs, case does not matter.
    """

    type: str
    driver: Annotated[str, StringConstraints(pattern=NAME)]
    id: str
    title: str
    config: dict[str, str | int | bool]
    where: dict[str, Annotated[list[str], BeforeValidator(_as_list)]] = Field(default_factory=dict)

    @field_validator("type")
    @classmethod
    def _is_a_service_type(cls, value: str) -> str:
        if not SERVICE_TYPE.fullmatch(value):
            raise ValueError("a service type looks like _http._tcp.local.")
        return value.removesuffix(".").removesuffix(".local") + ".local."

    @field_validator("id", "title")
    @classmethod
    def _is_a_template(cls, value: str) -> str:
        if trouble := template_trouble(value):
            raise ValueError(trouble)
        return value

    @field_validator("config")
    @classmethod
    def _are_templates(cls, value: dict[str, str | int | bool]) -> dict[str, str | int | bool]:
        for key, template in value.items():
            if isinstance(template, str) and (trouble := template_trouble(template)):
                raise ValueError(f"{key}: {trouble}")
        return value

    @field_validator("where")
    @classmethod
    def _speaks_of_what_is_announced(cls, value: dict[str, list[str]]) -> dict[str, list[str]]:
        for key in value:
            if key.startswith("{") and key not in ("{name}", "{host}"):
                raise ValueError(f"{key} is not a TXT key, {{name}} or {{host}}")
        return value


class Discovers(_Part):
    """What the plugin's devices are recognised by."""

    zeroconf: tuple[ZeroconfRule, ...] = ()


class Permissions(_Part):
    """What the plugin wants. `facts` are journal kinds it hears, `publishes` kinds of its own that it writes, `shows`
    those of them that a guard sees go by among the passages (`entry.<package>.<Kind>` in its catalogue), `tables` its
    own tables, `services` plugins whose services it uses, `hosts` network hosts it speaks to (for the installer to
    read: a process cannot hold its own code to it), `files` a folder and keys of its own, `subjects` (recognizers) which
    of the people it has enrolled belong to a door; `rights` and `doors` must also be allowed in the config."""

    facts: tuple[str, ...] = ()
    publishes: tuple[Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Za-z]{0,63}$")], ...] = ()
    shows: tuple[str, ...] = ()
    services: tuple[Annotated[str, StringConstraints(pattern=NAME)], ...] = ()
    rights: bool = False
    doors: bool = False
    tables: tuple[str, ...] = ()
    pages: bool = False
    files: bool = False
    subjects: bool = False
    hosts: tuple[str, ...] = ()

    @field_validator("shows")
    @classmethod
    def _shows_what_it_publishes(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for kind in value:
            if kind not in info.data.get("publishes", value):
                raise ValueError(f"{kind} is not one of publishes")
        return value

    def asked(self) -> tuple[str, ...]:
        """As words for a table: `rights`, `doors`, `pages`, `facts:AccessGranted`, `tables:visits`, `hosts:…`."""
        flags = [word for word in ("rights", "doors", "pages", "files", "subjects") if getattr(self, word)]
        lists = [
            f"{word}:{value}"
            for word in ("facts", "publishes", "shows", "tables", "services", "hosts")
            for value in getattr(self, word)
        ]
        return (*flags, *lists)

    def allowed(self, allow: Collection[str]) -> tuple[str, ...]:
        """What of that the plugin has when the config says `allow`."""
        return tuple(word for word in self.asked() if word not in NEEDS_ALLOWING or word in allow)


NEEDS_ALLOWING: Final = frozenset({"rights", "doors"})
"""Issuing credentials and moving doors: the installer says yes to these by name, being configured is not enough."""


class Manifest(_Part):
    """The content of `menwei-plugin.yaml`."""

    name: Annotated[str, StringConstraints(pattern=NAME)]
    version: str
    api: VersionRange
    summary: Summary
    discovers: Discovers = Discovers()
    permissions: Permissions = Permissions()
    commands: tuple[Annotated[str, StringConstraints(pattern=NAME)], ...] = ()
    """Commands of its own, as `menwei NAME`: known here, so that a command can be found without importing every plugin."""


class Explained(Protocol):
    """Something that went wrong and can say so: a `Problem` with its place in a file, or a `Failure` without one."""

    def text(self, language: str, /) -> str: ...


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that went wrong with a plugin: a message key with its values. `trace` is for the log."""

    key: str
    values: Mapping[str, str]
    trace: str = ""

    def text(self, language: str, /) -> str:
        return t(language, self.key, **self.values)


@dataclass(frozen=True, slots=True)
class Found:
    """A plugin that is installed, configured or not. `manifest` is None when `faults` say why nobody can read it.

    `package` is what would be imported: the top package of the entry point.
    """

    name: str
    package: str
    path: Path | None
    manifest: Manifest | None
    faults: tuple[Explained, ...] = ()


class ManifestError(Exception):
    """A `menwei-plugin.yaml` has mistakes: all of them, each with its place."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(problem.text("en") for problem in problems))
        self.problems = tuple(problems)


def read(path: Path) -> Manifest:
    """Read one manifest. Raises `ManifestError` with every mistake in it."""
    document = yamlfile.read(path)
    if document.problems:
        raise ManifestError(document.problems)
    try:
        return Manifest.model_validate(document.data)
    except ValidationError as error:
        raise ManifestError([_problem(document, details) for details in error.errors()]) from error


def _problem(document: yamlfile.Document, details: ErrorDetails) -> Problem:
    steps = details["loc"]
    known = max(
        (steps[:length] for length in range(len(steps) + 1) if steps[:length] in document.places),
        key=len,
        default=(),
    )
    place = document.places.get(known, Place(document.file))
    value = "" if details["type"] in ("missing", "extra_forbidden") else printable(details["input"])
    values = {
        "name": printable(str(steps[-1]) if steps else ""),
        "detail": details["msg"].removeprefix("Value error, "),
    }
    key = {"missing": "plugin.manifest_missing", "extra_forbidden": "plugin.manifest_unknown"}.get(
        details["type"], "plugin.manifest_value"
    )
    return Problem(place.file, place.line, place.column, dotted(steps), value, key, values)


def installed(folders: Sequence[str] | None = None) -> dict[str, Found]:
    """Every plugin of this Python, by name, nothing imported. Called at start and by `menwei plugins`.

    `folders` are searched for packages `menwei_*` beside the entry points: `sys.path` unless given.
    """
    checkout = _checkout(sys.path if folders is None else folders)
    found: dict[str, Found] = {}
    packages: set[str] = set()
    for package, name in (*_entry_points(), *((package, None) for package in checkout)):
        if package in packages:
            continue
        packages.add(package)
        plugin = _find(package, name)
        if plugin.name not in found:
            found[plugin.name] = plugin
            continue
        # Neither is taken: which one came first is chance, and a package must not slip under another's name.
        other = found[plugin.name]
        clash = Failure(
            "plugin.name_twice", {"plugin": plugin.name, "first": other.package, "second": package}
        )
        found[plugin.name] = Found(plugin.name, other.package, other.path, None, (*other.faults, clash))
    return found


def available(found: Mapping[str, Found] | None = None) -> dict[str, Manifest]:
    """The manifests of all installed plugins that have a readable one, by plugin name. `found` is `installed()` unless
    given."""
    found = installed() if found is None else found
    return {name: plugin.manifest for name, plugin in found.items() if plugin.manifest is not None}


def _entry_points() -> Iterator[tuple[str, str]]:
    for point in importlib.metadata.entry_points(group=GROUP):
        yield re.split(r"[.:\s\[]", point.value.strip(), maxsplit=1)[0], point.name


def _checkout(folders: Iterable[str]) -> Iterator[str]:
    for folder in dict.fromkeys(folders):
        try:
            names = sorted(entry.name for entry in Path(folder).iterdir())
        except OSError:  # zip files and folders that do not exist stand on sys.path too
            continue
        for name in names:
            if (
                name.startswith(GROUP + "_")
                and name.isidentifier()
                and (Path(folder) / name / FILE).is_file()
            ):
                yield name


def _find(package: str, name: str | None) -> Found:
    """`name` is the entry point's; a package of a checkout has only the manifest's."""
    fallback = name or package.removeprefix(GROUP + "_")

    def fault(key: str, path: Path | None = None, **values: str) -> Found:
        return Found(fallback, package, path, None, (Failure(key, {"package": package, **values}),))

    try:
        spec = importlib.util.find_spec(package)  # of a top package: this imports nothing
    except (ImportError, ValueError) as error:
        return fault("plugin.package_missing", detail=str(error))
    if spec is None:
        return fault("plugin.package_missing", detail="")
    paths = [Path(folder) / FILE for folder in spec.submodule_search_locations or ()]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return fault("plugin.no_manifest", file=FILE)
    try:
        manifest = read(path)
    except ManifestError as error:
        return Found(fallback, package, path, None, error.problems)
    if name is not None and name != manifest.name:
        return fault("plugin.other_name", path, entry=name, manifest=manifest.name)
    return Found(manifest.name, package, path, manifest)
