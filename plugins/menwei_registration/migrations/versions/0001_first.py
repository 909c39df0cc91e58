"""The first table of registration."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "registration_numbers",
        sa.Column("holder", ID, autoincrement=False, nullable=False),
        sa.Column("number", sa.LargeBinary(length=16), nullable=False),
        sa.Column("last_four", sa.String(length=4), nullable=False),
        sa.PrimaryKeyConstraint("holder"),
    )
    op.create_index("registration_numbers_number", "registration_numbers", ["number"])
