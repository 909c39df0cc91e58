"""What boards that decide alone are given: card numbers, sealed, and what each board holds."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "board_numbers",
        sa.Column("digest", sa.LargeBinary(length=16), nullable=False),
        sa.Column("format", sa.String(length=40), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["digest"], ["identifiers.digest"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("board_numbers_format", "board_numbers", ["format"], unique=False)
    op.create_table(
        "board_cards",
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=16), nullable=False),
        sa.Column("credential", ID, nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("holding", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("device", "digest"),
    )
