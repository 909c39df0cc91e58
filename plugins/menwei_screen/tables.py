"""The plugin's own table: which tablet is which screen. Nothing in it is about a person.

`migrations/versions` must make exactly this table, a test compares.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Double, LargeBinary, MetaData, String, Table


def _column(name: str, kind: Any, **more: Any) -> Column[Any]:
    return Column(name, kind, nullable=False, info={"personal": False, "retention": "site"}, **more)


metadata = MetaData(info={"head": "0001"})

tablets = Table(
    "screen_tablets",
    metadata,
    _column("screen", String(64), primary_key=True),
    _column("digest", LargeBinary(32), unique=True),
    _column("paired", Double),
    info={"subject": "site"},
)
"""`screen` is the device's id in the config: one tablet a screen, a new one takes the old one's place. Of the tablet's
token only the SHA-256 is kept; the token has 256 random bits, so that nothing can be guessed from it."""

TABLES = tuple(metadata.tables)
