"""Where the face plugin keeps its files, below the site's data folder."""

from __future__ import annotations

from pathlib import Path


def models_folder(data: Path) -> Path:
    """deepface's home: the files of the networks, their sums and the choice among them."""
    return models_in(data / "face")


def vault_folder(data: Path) -> Path:
    """`templates.db` and `keys.db`, see `vault.py`."""
    return vault_in(data / "face")


def models_in(own: Path) -> Path:
    """`models_folder`, below the plugin's own folder (`Context.files`)."""
    return own / "models"


def vault_in(own: Path) -> Path:
    """`vault_folder`, below the plugin's own folder."""
    return own / "vault"
