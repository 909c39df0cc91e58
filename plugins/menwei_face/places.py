"""Where the face plugin keeps its files, below the site's data folder."""

from __future__ import annotations

from pathlib import Path


def models_folder(data: Path) -> Path:
    """deepface's home: the files of the networks, their sums and the choice among them."""
    return data / "face" / "models"


def vault_folder(data: Path) -> Path:
    """`templates.db` and `keys.db`, see `vault.py`."""
    return data / "face" / "vault"
