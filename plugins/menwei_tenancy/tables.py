"""The plugin's own tables: places, landlords, leases, households, members, and what they were given.

People, cards and validity are the core's; here stand only the links (`holder`, `credential`) and what the rules of a
lease need. Names of people, telephone and card numbers are in none of these tables. Another system's numbers of people
and leases are keyed hashes; those of buildings, units and flats are in the clear.

`migrations/versions` must make exactly these tables; a test compares.
"""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Date,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

from menwei.columns import ID, column

SITE = "site"
HOUSEHOLD = "holder"
"""As long as the person: upkeep deletes a member whose holder was removed, and households nobody is left of."""


class LeaseState(StrEnum):
    """Whether a lease gives rights. One that has merely run out is still ACTIVE: its days say so."""

    ACTIVE = "active"
    ENDED = "ended"
    """Checked out."""


class CardKind(StrEnum):
    """What a person touches: cards they already have, or one of the site's own."""

    RESIDENT_ID = "resident-id"
    RESIDENCE_PERMIT = "residence-permit"
    CITIZEN_CARD = "citizen-card"
    KEY_CARD = "key-card"


_column = partial(column, keeps=SITE)


def _id(keeps: str = SITE) -> Column[Any]:
    return _column("id", ID, keeps=keeps, primary_key=True, autoincrement=False)


metadata = MetaData(info={"head": "0002"})

landlords = Table(
    "tenancy_landlords",
    metadata,
    _id(),
    _column("external_id", LargeBinary(16), personal=True, nullable=True, unique=True),
    _column("account", ID, nullable=True, unique=True),
    info={"subject": "account"},
)
"""`account` is the number of the account with which the landlord signs in."""

buildings = Table(
    "tenancy_buildings",
    metadata,
    _id(),
    _column("external_id", String(60), unique=True),
    _column("name", String(100)),
    _column("profiles", JSON),
    info={"subject": "site"},
)

units = Table(
    "tenancy_units",
    metadata,
    _id(),
    _column("building", ID, ForeignKey("tenancy_buildings.id")),
    _column("external_id", String(60), unique=True),
    _column("name", String(100)),
    _column("profiles", JSON),
    info={"subject": "site"},
)

flats = Table(
    "tenancy_flats",
    metadata,
    _id(),
    _column("unit", ID, ForeignKey("tenancy_units.id")),
    _column("external_id", String(60), unique=True),
    _column("name", String(100)),
    _column("profiles", JSON),
    _column("landlord", ID, ForeignKey("tenancy_landlords.id"), nullable=True),
    Index("tenancy_flats_landlord", "landlord"),
    info={"subject": "site"},
)
"""`profiles` of a building, unit or flat are the access profiles of its own doors; who lives there carries all three."""

households = Table(
    "tenancy_households",
    metadata,
    _id(HOUSEHOLD),
    _column("external_id", LargeBinary(16), keeps=HOUSEHOLD, personal=True, nullable=True, unique=True),
    _column("created", Double, keeps=HOUSEHOLD),
    info={"subject": "holder"},
)

leases = Table(
    "tenancy_leases",
    metadata,
    _column(
        "household",
        ID,
        ForeignKey("tenancy_households.id", ondelete="CASCADE"),
        keeps=HOUSEHOLD,
        primary_key=True,
    ),
    _column("flat", ID, ForeignKey("tenancy_flats.id"), keeps=HOUSEHOLD),
    _column("first_day", Date, keeps=HOUSEHOLD, nullable=True),
    _column("last_day", Date, keeps=HOUSEHOLD, nullable=True),
    _column("state", String(20), keeps=HOUSEHOLD),
    Index("tenancy_leases_flat", "flat"),
    info={"subject": "holder"},
)
"""Both days are included; null is open. A household has one lease at a time: renewing moves its days."""

members = Table(
    "tenancy_members",
    metadata,
    _id(HOUSEHOLD),
    _column("household", ID, ForeignKey("tenancy_households.id", ondelete="CASCADE"), keeps=HOUSEHOLD),
    _column("holder", ID, keeps=HOUSEHOLD),
    _column("external_id", LargeBinary(16), keeps=HOUSEHOLD, personal=True, nullable=True, unique=True),
    _column("role", String(20), keeps=HOUSEHOLD),
    _column("until", Date, keeps=HOUSEHOLD, nullable=True),
    _column("collected", Double, keeps=HOUSEHOLD, nullable=True),
    _column("ends", Double, keeps=HOUSEHOLD, nullable=True),
    _column("reminded", Integer, keeps=HOUSEHOLD, nullable=True),
    _column("left", Double, keeps=HOUSEHOLD, nullable=True),
    Index("tenancy_members_household", "household"),
    Index("tenancy_members_holder", "holder"),
    info={"subject": "holder"},
)
"""`ends` is the computed end as written into the credentials, null without end; `reminded` the last reminder (days
before) that was sent for it."""

passes = Table(
    "tenancy_passes",
    metadata,
    _column("credential", ID, keeps=HOUSEHOLD, primary_key=True, autoincrement=False),
    _column("member", ID, ForeignKey("tenancy_members.id", ondelete="CASCADE"), keeps=HOUSEHOLD),
    _column("kind", String(20), keeps=HOUSEHOLD),
    _column("issued", Double, keeps=HOUSEHOLD),
    Index("tenancy_passes_member", "member"),
    info={"subject": "holder"},
)

collections = Table(
    "tenancy_collections",
    metadata,
    _id(HOUSEHOLD),
    _column("member", ID, ForeignKey("tenancy_members.id", ondelete="CASCADE"), keeps=HOUSEHOLD),
    _column("at", Double, keeps=HOUSEHOLD),
    _column("ends", Double, keeps=HOUSEHOLD),
    _column("consent", String(60), keeps=HOUSEHOLD),
    _column("identifier", String(20), keeps=HOUSEHOLD),
    Index("tenancy_collections_member", "member"),
    info={"subject": "holder"},
)
"""A cohabitant's consent (which version of the text) and what was touched or captured with it."""

endings = Table(
    "tenancy_endings",
    metadata,
    _id(HOUSEHOLD),
    _column("household", ID, ForeignKey("tenancy_households.id", ondelete="CASCADE"), keeps=HOUSEHOLD),
    _column("at", Double, keeps=HOUSEHOLD),
    _column("undo_until", Double, keeps=HOUSEHOLD),
    Index("tenancy_endings_household", "household"),
    info={"subject": "holder"},
)
"""Check-outs that can still be undone; upkeep makes them final and deletes the row."""

ended = Table(
    "tenancy_ended",
    metadata,
    _column(
        "ending", ID, ForeignKey("tenancy_endings.id", ondelete="CASCADE"), keeps=HOUSEHOLD, primary_key=True
    ),
    _column("credential", ID, keeps=HOUSEHOLD, primary_key=True, autoincrement=False),
    _column("state", String(20), keeps=HOUSEHOLD),
    info={"subject": "holder"},
)
"""What each credential was before the check-out."""

ended_members = Table(
    "tenancy_ended_members",
    metadata,
    _column(
        "ending", ID, ForeignKey("tenancy_endings.id", ondelete="CASCADE"), keeps=HOUSEHOLD, primary_key=True
    ),
    _column(
        "member", ID, ForeignKey("tenancy_members.id", ondelete="CASCADE"), keeps=HOUSEHOLD, primary_key=True
    ),
    info={"subject": "holder"},
)

tenants = Table(
    "tenancy_tenants",
    metadata,
    _column("account", ID, keeps=HOUSEHOLD, primary_key=True, autoincrement=False),
    _column("holder", ID, keeps=HOUSEHOLD, unique=True),
    info={"subject": "holder"},
)
"""Who signs in with an account of the role tenant. They see what they hold themselves, and nobody else's."""

TABLES = tuple(metadata.tables)
