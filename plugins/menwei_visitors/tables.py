"""The plugin's own tables: today's passes, who may invite for which flat, and deletions not yet told.

No name, telephone or card number stands here. A pass lives until the next local day; `migrations/versions` must make
exactly these tables, a test compares.
"""

from __future__ import annotations

from functools import partial

from sqlalchemy import (
    Date,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

from menwei.columns import ID, column

DAY = "day"
"""Until the next local day."""

_column = partial(column, keeps=DAY)


metadata = MetaData(info={"head": "0002"})

passes = Table(
    "visitors_passes",
    metadata,
    _column("id", ID, primary_key=True, autoincrement=False),
    _column("external_id", LargeBinary(16), personal=True, nullable=True, unique=True),
    _column("day", Date),
    _column("flat", String(60)),
    _column("kind", String(20)),
    _column("purpose", String(20)),
    _column("means", String(20)),
    _column("attempt", Integer),
    _column("holder", ID),
    _column("credential", ID, unique=True),
    _column("created", Double),
    _column("ended", Double, nullable=True),
    _column("host", ID, nullable=True),
    Index("visitors_passes_day", "day", "flat"),
    info={"subject": "holder"},
)
"""`flat` is empty for couriers. `attempt` counts the numeric codes that were taken already; with it and the id the code
is computed again, so that it stands nowhere. `ended` is when it ended, if its credential has. `host` is the account that
invited; null where the desk did."""

hosts = Table(
    "visitors_hosts",
    metadata,
    _column("account", ID, keeps="account", primary_key=True, autoincrement=False),
    _column("flat", String(60), keeps="account"),
    info={"subject": "account"},
)
"""For which flat an account of the role tenant invites."""

deletions = Table(
    "visitors_deletions",
    metadata,
    _column("id", ID, keeps="site", primary_key=True, autoincrement=False),
    _column("day", Date, keeps="site"),
    _column("passes", Integer, keeps="site"),
    info={"subject": "site"},
)
"""Written with the deletion, in its transaction; gone once the journal has the proof."""

TABLES = tuple(metadata.tables)
