"""Names of an ITSM's ids; indexes to find what is on record about a thing."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0001"


def upgrade() -> None:
    """Create the table of names."""
    op.create_table(
        "reference",
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("ref_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("system", "ref_id"),
    )
    op.create_index("ix_reference_name", "reference", ["system", "kind", "name"], unique=False)
    op.create_index("ix_link_incident_id", "link", ["incident_id"], unique=False)
    op.create_index("ix_item_ci", "item", ["ci"], unique=False)
    op.create_index("ix_relation_parent", "relation", ["parent"], unique=False)
    op.create_index("ix_calendar_entry_entry_id", "calendar_entry", ["entry_id"], unique=False)
