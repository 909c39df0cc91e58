"""`menwei new`: a small separate project for a plugin author, with tests that pass before the first line is changed."""

from __future__ import annotations

import keyword
import re
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

import yaml

from menwei.manifest import installed

KINDS = ("policy", "driver", "notifier")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,38}[a-z0-9]")


class ScaffoldError(ValueError):
    """The project cannot be made; nothing was written. `key` and `values` are the message for people."""

    def __init__(self, key: str, **values: str) -> None:
        super().__init__(key, values)
        self.key = key
        self.values = values


def create(kind: str, name: str, folder: Path) -> list[Path]:
    """Write a project for one `kind` (see `KINDS`) into `folder`/menwei-NAME and return the files, in order.

    Raises `ScaffoldError` for a name that is no Python name or a word of YAML, a plugin's that is installed, or a folder already there.
    """
    if kind not in KINDS:
        raise ScaffoldError("new.kind", kind=kind, kinds=", ".join(KINDS))
    name = name.replace("-", "_")
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise ScaffoldError("new.name", name=name)
    if not isinstance(yaml.safe_load(name), str):  # it is a key of every config.yaml that names the plugin
        raise ScaffoldError("new.yaml", name=name)
    if name in installed():  # pip would install the one over the other's files
        raise ScaffoldError("new.installed", name=name)
    root = folder / f"menwei-{name.replace('_', '-')}"
    if root.exists():
        raise ScaffoldError("new.exists", folder=str(root))
    words = {
        "name": name,
        "kind": kind,
        "package": f"menwei_{name}",
        "distribution": root.name,
        # With the kind at its end it is no name of the templates' own: a driver `card` beside the line `Card`.
        "class_name": "".join(part.capitalize() for part in (*name.split("_"), kind)),
    }
    written = []
    templates = files("menwei") / "scaffold"
    for source, where in _templates(templates / "common") + _templates(templates / kind):
        at_top = where in {"README.md", "pyproject.toml"} or where.startswith("tests/")
        target = root / where if at_top else root / words["package"] / where
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(Template(source.read_text("utf-8")).substitute(words), "utf-8")
        written.append(target)
    return sorted(written)


def _templates(folder: Traversable, prefix: str = "") -> list[tuple[Traversable, str]]:
    found: list[tuple[Traversable, str]] = []
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.is_dir():
            found += _templates(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith(".tmpl"):
            found.append((entry, prefix + entry.name.removesuffix(".tmpl")))
    return found
