"""Keys of narrower scope; answers kept for requests that come twice."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the scopes of keys and the table of requests."""
    op.add_column("api_key", sa.Column("scopes", sa.Text(), nullable=True))
    op.create_table(
        "request",
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("request_key", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("client", "request_key"),
    )
    op.create_index("ix_request_begun_at", "request", ["begun_at"], unique=False)
