"""The first tables of leases and households."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "tenancy_buildings",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("external_id", sa.String(length=60), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("profiles", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("external_id"),
    )
    op.create_table(
        "tenancy_households",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("external_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("created", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("external_id"),
    )
    op.create_table(
        "tenancy_landlords",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("external_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("account", ID, nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("external_id"),
        sa.UniqueConstraint("account"),
    )
    op.create_table(
        "tenancy_endings",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("household", ID, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("undo_until", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["household"], ["tenancy_households.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("tenancy_endings_household", "tenancy_endings", ["household"])
    op.create_table(
        "tenancy_members",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("household", ID, nullable=False),
        sa.Column("holder", ID, nullable=False),
        sa.Column("external_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("until", sa.Date(), nullable=True),
        sa.Column("collected", sa.Double(), nullable=True),
        sa.Column("ends", sa.Double(), nullable=True),
        sa.Column("reminded", sa.Integer(), nullable=True),
        sa.Column("left", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(["household"], ["tenancy_households.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("external_id"),
    )
    op.create_index("tenancy_members_holder", "tenancy_members", ["holder"])
    op.create_index("tenancy_members_household", "tenancy_members", ["household"])
    op.create_table(
        "tenancy_units",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("building", ID, nullable=False),
        sa.Column("external_id", sa.String(length=60), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("profiles", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["building"], ["tenancy_buildings.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("external_id"),
    )
    op.create_table(
        "tenancy_collections",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("member", ID, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("ends", sa.Double(), nullable=False),
        sa.Column("consent", sa.String(length=60), nullable=False),
        sa.Column("identifier", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["member"], ["tenancy_members.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("tenancy_collections_member", "tenancy_collections", ["member"])
    op.create_table(
        "tenancy_ended",
        sa.Column("ending", ID, autoincrement=False, nullable=False),
        sa.Column("credential", ID, autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["ending"], ["tenancy_endings.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("ending", "credential"),
    )
    op.create_table(
        "tenancy_ended_members",
        sa.Column("ending", ID, autoincrement=False, nullable=False),
        sa.Column("member", ID, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["ending"], ["tenancy_endings.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["member"], ["tenancy_members.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("ending", "member"),
    )
    op.create_table(
        "tenancy_flats",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("unit", ID, nullable=False),
        sa.Column("external_id", sa.String(length=60), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("profiles", sa.JSON(), nullable=False),
        sa.Column("landlord", ID, nullable=True),
        sa.ForeignKeyConstraint(["landlord"], ["tenancy_landlords.id"]),
        sa.ForeignKeyConstraint(["unit"], ["tenancy_units.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("external_id"),
    )
    op.create_index("tenancy_flats_landlord", "tenancy_flats", ["landlord"])
    op.create_table(
        "tenancy_passes",
        sa.Column("credential", ID, autoincrement=False, nullable=False),
        sa.Column("member", ID, nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("issued", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["member"], ["tenancy_members.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("credential"),
    )
    op.create_index("tenancy_passes_member", "tenancy_passes", ["member"])
    op.create_table(
        "tenancy_leases",
        sa.Column("household", ID, autoincrement=False, nullable=False),
        sa.Column("flat", ID, nullable=False),
        sa.Column("first_day", sa.Date(), nullable=True),
        sa.Column("last_day", sa.Date(), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["flat"], ["tenancy_flats.id"]),
        sa.ForeignKeyConstraint(["household"], ["tenancy_households.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("household"),
    )
    op.create_index("tenancy_leases_flat", "tenancy_leases", ["flat"])
