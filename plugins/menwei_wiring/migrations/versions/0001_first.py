"""The first table of wiring tests."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "wiring_runs",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("door", sa.String(length=64), nullable=False),
        sa.Column("open_door", sa.String(length=64), nullable=True),
        sa.Column("begun", sa.Double(), nullable=False),
        sa.Column("ended", sa.Double(), nullable=True),
        sa.Column("result", sa.String(length=16), nullable=False),
        sa.Column("tester", sa.String(length=100), nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("open_door"),
    )
    op.create_index("wiring_runs_door", "wiring_runs", ["door", "begun"])
