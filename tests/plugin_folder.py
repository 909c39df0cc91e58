"""Third-party plugins as real packages on disk, with or without an entry point, for tests of what finds and loads them."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest

MANIFEST = """\
name: {name}
version: 1.2.3
api: ">=1,<2"
summary: {{zh: 测试, en: a test}}
"""

IMPORTS = "from menwei import *\nimport menwei\n"

DRIVER = '''
class Gate(menwei.Driver):
    """A gate that is always there."""

    name = "{driver}"

    class Config(menwei.Config):
        host: str = "127.0.0.1"

    @classmethod
    async def probe(cls, config):
        return menwei.DeviceInfo("1", "gate")

    async def run(self): ...
    async def access(self, lock, seconds, deadline): ...
    async def set_mode(self, lock, mode, deadline): ...


@menwei.hookimpl
def register_drivers():
    return [Gate]
'''


class PluginFolder:
    """A folder on `sys.path`. Packages imported from it are forgotten when the test ends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def package(
        self, package: str, code: str = "", *, manifest: str | None = None, entry_point: str = ""
    ) -> Path:
        """Write a package; `manifest` "" for none at all. `entry_point` installs it as pip would, under that name."""
        home = self.folder / package
        home.mkdir()
        (home / "__init__.py").write_text(IMPORTS + textwrap.dedent(code), encoding="utf-8")
        if manifest is None:
            manifest = MANIFEST.format(name=entry_point or package.removeprefix("menwei_"))
        if manifest:
            (home / "menwei-plugin.yaml").write_text(manifest, encoding="utf-8")
        if entry_point:
            installed = self.folder / f"{package}-1.2.3.dist-info"
            installed.mkdir()
            (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2.3\n")
            (installed / "entry_points.txt").write_text(f"[menwei]\n{entry_point} = {package}\n")
        return home


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "plugins"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    before = set(sys.modules)
    yield PluginFolder(folder)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "") or "").startswith(str(folder)):
            del sys.modules[name]
