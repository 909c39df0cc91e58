"""The first tables: people, credentials, rights, accounts."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("login", sa.LargeBinary(length=16), nullable=False),
        sa.Column("name_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("password", sa.String(length=200), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=True),
        sa.Column("disabled", sa.Boolean(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("login"),
    )
    op.create_table(
        "holders",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("external_id", sa.LargeBinary(length=16), nullable=True),
        sa.Column("external_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("name_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("phone_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("note_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("extended", sa.Boolean(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("ended", sa.Double(), nullable=True),
        sa.Column("indexed", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("external_id"),
    )
    op.create_table(
        "manager",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("machine", sa.LargeBinary(length=16), nullable=False),
        sa.Column("public", sa.LargeBinary(length=32), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "profiles",
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "revisions",
        sa.Column("revision", ID, autoincrement=False, nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("actor_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("role", sa.String(length=40), nullable=False),
        sa.Column("changes", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("revision"),
    )
    op.create_table(
        "tokens",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("name_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("role", sa.String(length=20), nullable=False),
        sa.Column("scope", sa.JSON(), nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("expires", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("digest"),
    )
    op.create_table(
        "credentials",
        sa.Column("id", ID, autoincrement=False, nullable=False),
        sa.Column("holder", ID, nullable=False),
        sa.Column("label_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("valid_from", sa.Double(), nullable=False),
        sa.Column("valid_to", sa.Double(), nullable=True),
        sa.Column("pin", sa.LargeBinary(length=16), nullable=True),
        sa.Column("duress", sa.LargeBinary(length=16), nullable=True),
        sa.ForeignKeyConstraint(["holder"], ["holders.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("credentials_holder", "credentials", ["holder"], unique=False)
    op.create_table(
        "holder_index",
        sa.Column("token", sa.LargeBinary(length=16), nullable=False),
        sa.Column("holder", ID, nullable=False),
        sa.ForeignKeyConstraint(["holder"], ["holders.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token", "holder"),
    )
    op.create_index("holder_index_holder", "holder_index", ["holder"], unique=False)
    op.create_table(
        "profile_rules",
        sa.Column("profile", sa.String(length=200), nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("access_point", sa.String(length=200), nullable=False),
        sa.Column("schedule", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["profile"], ["profiles.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("profile", "place", "access_point"),
    )
    op.create_table(
        "sessions",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("account", ID, nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("seen", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(["account"], ["accounts.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("sessions_account", "sessions", ["account"], unique=False)
    op.create_table(
        "credential_profiles",
        sa.Column("credential", ID, nullable=False),
        sa.Column("place", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("profile", sa.String(length=200), nullable=False),
        sa.ForeignKeyConstraint(["credential"], ["credentials.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("credential", "place"),
    )
    op.create_index("credential_profiles_profile", "credential_profiles", ["profile"], unique=False)
    op.create_table(
        "identifiers",
        sa.Column("digest", sa.LargeBinary(length=16), nullable=False),
        sa.Column("credential", ID, nullable=False),
        sa.Column("type", sa.String(length=20), nullable=False),
        sa.Column("format", sa.String(length=40), nullable=False),
        sa.ForeignKeyConstraint(["credential"], ["credentials.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("identifiers_credential", "identifiers", ["credential", "type"], unique=False)
