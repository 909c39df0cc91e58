"""The sentences people read, by key and language.

A key such as `door.granted` stands in code; the words stand in gettext catalogues,
`<package>/locale/<language>/LC_MESSAGES/menwei.po`, whose msgid is the key. They are read as they are, without a
compile step, at the first use of a language. A plugin ships its own catalogues for its own keys.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType

import structlog
from babel.messages.pofile import PoFileError, read_po

LANGUAGES = ("zh-CN", "en")
"""The languages every catalogue of ours has; the last is the one to fall back to."""

DOMAIN = "menwei.po"
PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")

log = structlog.get_logger("menwei.messages")


class UnknownMessage(LookupError):
    """A key no catalogue has, or a placeholder nobody filled. Raised by strict `Messages` only: a fault in code."""


class CatalogueError(ValueError):
    """A package's catalogue cannot be used: it is not there, not readable, or redefines somebody else's key."""


def placeholders(text: str) -> frozenset[str]:
    """The names in braces in a message."""
    return frozenset(PLACEHOLDER.findall(text))


@lru_cache(maxsize=64)
def negotiate(language: str) -> str:
    """The nearest language we have: `zh_Hans_CN`, `zh` → `zh-CN`; anything unknown → `en`."""
    base = re.split(r"[-_]", language, maxsplit=1)[0].lower()
    return next((known for known in LANGUAGES if known.split("-")[0] == base), LANGUAGES[-1])


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The messages of one package: language → key → text."""

    package: str
    texts: Mapping[str, Mapping[str, str]]

    @classmethod
    def of_package(cls, package: str) -> Catalogue:
        """Reads a package's catalogues without importing it. Raises `CatalogueError`."""
        spec = importlib.util.find_spec(package)
        folders = list(spec.submodule_search_locations or ()) if spec else []
        found = [Path(folder) / "locale" for folder in folders if (Path(folder) / "locale").is_dir()]
        if not found:
            raise CatalogueError(f"{package}: no folder locale/ in this package")
        return cls.of_folder(package, found[0])

    @classmethod
    def of_folder(cls, package: str, folder: Path) -> Catalogue:
        """Reads `<folder>/<language>/LC_MESSAGES/menwei.po` for each of our languages. Raises `CatalogueError`."""
        return cls(package, {language: _read(folder, language) for language in LANGUAGES})

    def keys(self) -> frozenset[str]:
        return frozenset(key for texts in self.texts.values() for key in texts)


def _read(folder: Path, language: str) -> Mapping[str, str]:
    path = folder / language.replace("-", "_") / "LC_MESSAGES" / DOMAIN
    if not path.is_file():
        return MappingProxyType({})
    try:
        with path.open("rb") as file:
            catalogue = read_po(file, locale=language.replace("-", "_"), abort_invalid=True)
    except (PoFileError, ValueError, OSError) as error:
        raise CatalogueError(f"{path}: {error}") from error
    texts = {
        message.id: message.string
        for message in catalogue
        if isinstance(message.id, str) and isinstance(message.string, str) and message.id and message.string
    }
    return MappingProxyType(texts)


class Messages:
    """The core's catalogues and those of the plugins that were added.

    `strict` raises `UnknownMessage` for what is missing; otherwise the key itself is shown and a line is logged: a
    missing word must not keep a door from opening.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self._catalogues = [_core()]

    def add(self, package: str) -> Catalogue:
        """Reads and adds a plugin's catalogues, when it is loaded. Raises `CatalogueError`."""
        added = Catalogue.of_package(package)
        self.include(added)
        return added

    def include(self, added: Catalogue) -> None:
        """Raises `CatalogueError`: a plugin has its own keys and cannot reword another's."""
        for known in self._catalogues:
            if clash := sorted(added.keys() & known.keys()):
                raise CatalogueError(
                    f"{added.package}: these message keys belong to {known.package}: {', '.join(clash)}"
                )
        self._catalogues.append(added)

    def find(self, language: str, key: str) -> str | None:
        """The text with its placeholders, in the nearest language that has it."""
        for wanted in dict.fromkeys((negotiate(language), *reversed(LANGUAGES))):
            for catalogue in self._catalogues:
                if text := catalogue.texts[wanted].get(key):
                    return text
        return None

    def all(self, language: str) -> dict[str, str]:
        """Every message in one language, for the browser."""
        keys = frozenset[str]().union(*(catalogue.keys() for catalogue in self._catalogues))
        return {key: self.find(language, key) or key for key in sorted(keys)}

    def t(self, language: str, key: str, /, **values: object) -> str:
        """The message `key` in `language` with its placeholders filled."""
        text = self.find(language, key)
        if text is None:
            self._missing(f"no message {key!r}", key)
            return key
        return PLACEHOLDER.sub(self._filler(key, values), text) if "{" in text else text

    def says(self, language: str, key: str, /, *, short: bool = False, **values: object) -> str:
        """The sentence for the person at the door: why, and what to do next. `short` is for a small display.

        A key nobody knows (a plugin's mistake) becomes the plain refusal: a person is never shown a key.
        """
        if short and self.find(language, f"{key}.short") is not None:
            return self.t(language, f"{key}.short", **values)
        if self.find(language, key) is None:
            self._missing(f"no sentence {key!r}", key)
            return self.says(language, "door.denied", short=short)
        return self.t(language, key, **values)

    def _filler(self, key: str, values: Mapping[str, object]) -> Callable[[re.Match[str]], str]:
        def fill(match: re.Match[str]) -> str:
            name = match[1]
            if name in values:
                return str(values[name])
            self._missing(f"message {key!r} needs a value for {{{name}}}", key)
            return match[0]

        return fill

    def _missing(self, what: str, key: str) -> None:
        if self.strict:
            raise UnknownMessage(what)
        log.error(what, key=key)


@cache
def _core() -> Catalogue:
    return Catalogue.of_folder("menwei", Path(__file__).parent / "locale")


@cache
def _messages() -> Messages:
    # pytest sets this variable for its whole session; there a missing message is a failing test.
    return Messages(strict="PYTEST_VERSION" in os.environ)


def t(language: str, key: str, /, **values: object) -> str:
    """The core's message `key` in `language` with its placeholders filled (plugins' keys: `Messages.t`)."""
    return _messages().t(language, key, **values)


def says(language: str, key: str, /, *, short: bool = False, **values: object) -> str:
    """The core's sentence for the person at the door, see `Messages.says`."""
    return _messages().says(language, key, short=short, **values)
