"""What an incident turned out to be."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0004"


def upgrade() -> None:
    """Add the column."""
    op.add_column("incident", sa.Column("close_code", sa.Text(), nullable=True))
