"""The plugin's own table: every test, with its report once it is ended.

Who tested stands in a column of its own, so that the report itself holds nobody's name; `migrations/versions` must make
exactly this table, a test compares.
"""

from __future__ import annotations

from functools import partial

from sqlalchemy import Double, Index, MetaData, String, Table, Text

from menwei.columns import ID, column

_column = partial(column, keeps="site")


metadata = MetaData(info={"head": "0001"})

runs = Table(
    "wiring_runs",
    metadata,
    _column("id", ID, primary_key=True, autoincrement=False),
    _column("door", String(64)),
    _column("open_door", String(64), nullable=True, unique=True),
    _column("begun", Double),
    _column("ended", Double, nullable=True),
    _column("result", String(16)),
    _column("tester", String(100), personal=True),
    _column("report", Text),
    Index("wiring_runs_door", "door", "begun"),
    info={"subject": "account"},
)
"""`open_door` is the door while the test is under way, and nothing after it: two cannot be under way at one door."""

TABLES = tuple(metadata.tables)
