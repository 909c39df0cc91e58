"""The first table of screens."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "screen_tablets",
        sa.Column("screen", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("paired", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("screen"),
        sa.UniqueConstraint("digest"),
    )
