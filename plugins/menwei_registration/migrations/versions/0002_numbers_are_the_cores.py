"""Identity numbers are kept once, by the core, which seals what this table held in the clear."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_table("registration_numbers")
