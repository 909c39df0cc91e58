"""The first tables of visitors."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "visitors_passes",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("external_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("flat", sa.String(length=60), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("purpose", sa.String(length=20), nullable=False),
        sa.Column("means", sa.String(length=20), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("holder", ID, nullable=False),
        sa.Column("credential", ID, nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("ended", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("external_id"),
        sa.UniqueConstraint("credential"),
    )
    op.create_index("visitors_passes_day", "visitors_passes", ["day", "flat"])
    op.create_table(
        "visitors_hosts",
        sa.Column("account", ID, autoincrement=False, nullable=False),
        sa.Column("flat", sa.String(length=60), nullable=False),
        sa.PrimaryKeyConstraint("account"),
    )
    op.create_table(
        "visitors_deletions",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("passes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
