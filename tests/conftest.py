"""What all tests share: a store is migrated once in a test run, and every other new store begins as a copy of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from menwei.store import Store

_migrating = Store.open


@pytest.fixture(scope="session", autouse=True)
def migrated_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Alembic takes six times as long to make a store as it takes to open one, and hundreds of tests make one."""
    made = tmp_path_factory.mktemp("migrated") / "store.db"

    async def open(target: str | Path, **options: Any) -> Store:
        path = Path(target)
        if "://" in str(target) or path.exists() or not path.parent.is_dir():
            return await _migrating(target, **options)
        if not made.exists():
            await (await _migrating(made)).close()
        shutil.copyfile(made, path)
        path.chmod(0o600)
        return await _migrating(path, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "open", open)
        yield


@pytest.fixture
def own_migrations(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of the store itself: it is made as on a new machine."""
    monkeypatch.setattr(Store, "open", _migrating)
