"""Retention: what stands in the journal's chain where entries were removed."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Create the anchors."""
    op.create_table(
        "journal_anchor",
        sa.Column("first_seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("previous_hash", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("retention_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("first_seq"),
    )
