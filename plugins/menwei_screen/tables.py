"""The plugin's own table: which tablet is which screen. Nothing in it is about a person.

`migrations/versions` must make exactly this table, a test compares.
"""

from __future__ import annotations

from functools import partial

from sqlalchemy import Double, LargeBinary, MetaData, String, Table

from menwei.columns import column

_column = partial(column, keeps="site")


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
