"""Further names of those who hold keys."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Add the names."""
    op.add_column("api_key", sa.Column("also", sa.Text(), nullable=True))
