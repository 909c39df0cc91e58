"""The first tables of faces."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "face_consents",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("holder", ID, nullable=False),
        sa.Column("answer", sa.String(length=10), nullable=False),
        sa.Column("purpose", sa.String(length=10), nullable=False),
        sa.Column("given", sa.Double(), nullable=False),
        sa.Column("recorded", sa.Double(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("language", sa.String(length=10), nullable=False),
        sa.Column("minor", sa.Boolean(), nullable=False),
        sa.Column("guardian", ID, nullable=True),
        sa.Column("guardian_entered", sa.Boolean(), nullable=False),
        sa.Column("account", ID, nullable=True),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("withdrawn", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("face_consents_holder", "face_consents", ["holder", "recorded"])
    op.create_table(
        "face_enrolments",
        sa.Column("holder", ID, autoincrement=False, nullable=False),
        sa.Column("subject", sa.String(length=60), nullable=False),
        sa.Column("credential", ID, nullable=False),
        sa.Column("consent", ID, nullable=False),
        sa.Column("templates", sa.Integer(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("source", sa.String(length=10), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("idle_since", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("holder"),
        sa.UniqueConstraint("subject"),
        sa.UniqueConstraint("credential"),
    )
    op.create_table(
        "face_withdrawals",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("holder", ID, nullable=False),
        sa.Column("subject", sa.String(length=60), nullable=True),
        sa.Column("why", sa.String(length=20), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("done", sa.Double(), nullable=True),
        sa.Column("templates", sa.Integer(), nullable=False),
        sa.Column("key_destroyed", sa.Boolean(), nullable=False),
        sa.Column("account", ID, nullable=True),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("face_withdrawals_holder", "face_withdrawals", ["holder", "at"])
