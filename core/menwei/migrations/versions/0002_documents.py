"""By which identity document somebody is known: a keyed hash of its number, and its last characters, sealed."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("holders", sa.Column("document", sa.LargeBinary(length=16), nullable=True))
    op.add_column("holders", sa.Column("document_sealed", sa.LargeBinary(), nullable=True))
    op.create_index("holders_document", "holders", ["document"], unique=False)
