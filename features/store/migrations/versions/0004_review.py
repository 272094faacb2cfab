"""The review: the queue, decisions and feedback; indexes to find what followed a change."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Create the tables of the review."""
    op.create_index("ix_change_event_change_id", "change_event", ["change_id"], unique=False)
    op.create_index("ix_link_change_id", "link", ["change_id"], unique=False)
    op.create_index("ix_incident_incident_id", "incident", ["incident_id"], unique=False)
    op.create_table(
        "change_state",
        sa.Column("change_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("score_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("scored_at", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("probability", sa.Double(), nullable=True),
        sa.Column("band", sa.Text(), nullable=True),
        sa.Column("change_type", sa.Text(), nullable=True),
        sa.Column("service", sa.Text(), nullable=True),
        sa.Column("ci", sa.Text(), nullable=True),
        sa.Column("assignment_group", sa.Text(), nullable=True),
        sa.Column("planned_start", sa.BigInteger(), nullable=True),
        sa.Column("planned_end", sa.BigInteger(), nullable=True),
        sa.Column("card", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("decision_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("change_id"),
    )
    for column in ("seq", "planned_start", "planned_end"):
        op.create_index(f"ix_change_state_{column}", "change_state", [column], unique=False)
    op.create_table(
        "decision",
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("change_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("override", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("conditions", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("decided_at", sa.BigInteger(), nullable=False),
        sa.Column("score_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.Text(), nullable=False),
        sa.Column("band", sa.Text(), nullable=True),
        sa.Column("probability", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("entry_id"),
    )
    op.create_index("ix_decision_change_id", "decision", ["change_id"], unique=False)
    op.create_table(
        "feedback",
        sa.Column("entry_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("change_id", sa.Text(), nullable=False),
        sa.Column("score_id", sa.Text(), nullable=False),
        sa.Column("about", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("given_by", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("given_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("entry_id", "number"),
    )
    op.create_index("ix_feedback_change_id", "feedback", ["change_id"], unique=False)
