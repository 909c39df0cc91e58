"""What all tests share: a store is migrated once in a test run, and every other new store begins as a copy of it; and
how much is tried where a test tries anything."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from menwei.store import Store

# A machine with other work to do is slow, and no fault of what is tested.
settings.register_profile(
    "full", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
# `make unit` tries a few examples of each; `make e2e` tries all of them.
settings.register_profile("few", settings.get_profile("full"), max_examples=10)
settings.load_profile("full")

_migrating = Store.open


def pytest_collection_finish() -> None:
    """What is here now stays: modules and tests are not looked through again at every collection of garbage, of which
    there are fewer."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


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
