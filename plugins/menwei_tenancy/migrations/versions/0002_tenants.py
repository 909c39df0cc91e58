"""Which person signs in with an account of the role tenant."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "tenancy_tenants",
        sa.Column("account", ID, autoincrement=False, nullable=False),
        sa.Column("holder", ID, nullable=False),
        sa.PrimaryKeyConstraint("account"),
        sa.UniqueConstraint("holder"),
    )
