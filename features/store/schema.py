"""The tables, derived from the records so that a field is declared once."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from features.columns import RECORD_TYPES, kinds
from features.records import CalendarEntry, Change, ChangeEvent, Incident, Item, Link, Relation

metadata = sa.MetaData()

TABLE_NAMES: dict[type, str] = {
    Change: "change_revision",
    Incident: "incident",
    Link: "link",
    ChangeEvent: "change_event",
    Item: "item",
    Relation: "relation",
    CalendarEntry: "calendar_entry",
}

# Moments are whole microseconds (BIGINT): SQLite drops time zones. Lists and maps are JSON text.
_SQL_TYPES: dict[str, type[sa.types.TypeEngine[Any]]] = {
    "text": sa.Text,
    "time": sa.BigInteger,
    "number": sa.Double,
    "flag": sa.Boolean,
    "list": sa.Text,
    "map": sa.Text,
}
_REQUIRED = {"change_id", "incident_id", "entry_id", "known_at", "kind"}


def _record_table(record_type: type) -> sa.Table:
    name = TABLE_NAMES[record_type]
    columns = [
        sa.Column(field, _SQL_TYPES[kind], nullable=field not in _REQUIRED)
        for field, kind in kinds(record_type).items()
    ]
    return sa.Table(
        name,
        metadata,
        sa.Column("batch", sa.BigInteger, nullable=False, index=True, doc="Write it came with"),
        sa.Column(
            "identity", sa.LargeBinary(16), nullable=False, unique=True, doc="Digest of the fact"
        ),
        *columns,
    )


batch = sa.Table(
    "batch",
    metadata,
    sa.Column(
        "batch", sa.BigInteger, primary_key=True, autoincrement=False, doc="Number of the write"
    ),
    sa.Column("source", sa.Text, nullable=False, doc="Who wrote"),
    sa.Column("written_at", sa.BigInteger, nullable=False, doc="When, microseconds"),
)

record_tables: dict[type, sa.Table] = {kind: _record_table(kind) for kind in RECORD_TYPES}
sa.Index("ix_change_revision_change_id", record_tables[Change].c.change_id)
sa.Index("ix_link_incident_id", record_tables[Link].c.incident_id)
sa.Index("ix_item_ci", record_tables[Item].c.ci)
sa.Index("ix_relation_parent", record_tables[Relation].c.parent)
sa.Index("ix_calendar_entry_entry_id", record_tables[CalendarEntry].c.entry_id)
sa.Index("ix_change_event_change_id", record_tables[ChangeEvent].c.change_id)
sa.Index("ix_link_change_id", record_tables[Link].c.change_id)
sa.Index("ix_incident_incident_id", record_tables[Incident].c.incident_id)

journal = sa.Table(
    "journal",
    metadata,
    sa.Column(
        "seq",
        sa.BigInteger,
        primary_key=True,
        autoincrement=False,
        doc="Place in the chain",
    ),
    sa.Column(
        "entry_id",
        sa.Text,
        nullable=False,
        unique=True,
        doc="Name of the entry; of a score its score_id",
    ),
    sa.Column(
        "kind", sa.Text, nullable=False, doc="score, decision, feedback, promotion and others"
    ),
    sa.Column("change_id", sa.Text, index=True, doc="Change it is about"),
    sa.Column("written_at", sa.BigInteger, nullable=False, doc="When, microseconds"),
    sa.Column("body", sa.Text, nullable=False, doc="Content, JSON"),
    sa.Column("previous_hash", sa.Text, nullable=False, doc="Hash of the entry before"),
    sa.Column("hash", sa.Text, nullable=False, doc="SHA-256 over this entry and the hash before"),
)

setting = sa.Table(
    "setting",
    metadata,
    sa.Column(
        "name", sa.Text, primary_key=True, doc="label, source, place, observed_until and others"
    ),
    sa.Column("value", sa.Text, nullable=False, doc="JSON"),
)

api_key = sa.Table(
    "api_key",
    metadata,
    sa.Column("key_id", sa.Text, primary_key=True, doc="Name of the key in commands and logs"),
    sa.Column("name", sa.Text, nullable=False, doc="Whose it is"),
    sa.Column(
        "role", sa.Text, nullable=False, doc="requester, approver, data_scientist, service or admin"
    ),
    sa.Column(
        "digest",
        sa.Text,
        nullable=False,
        unique=True,
        doc="Digest of the key; the key itself is not kept",
    ),
    sa.Column("created_at", sa.BigInteger, nullable=False, doc="Microseconds"),
    sa.Column("expires_at", sa.BigInteger, doc="Microseconds; empty where it does not"),
    sa.Column("revoked_at", sa.BigInteger, doc="Microseconds; empty where it is not"),
    # Permissions it is narrowed to, as JSON; those of its role where empty.
    sa.Column("scopes", sa.Text, doc="Permissions it is narrowed to, JSON"),
    sa.Column("also", sa.Text, doc="Further names of its holder, JSON"),
)

# Requests with an Idempotency-Key, and their answers once there are any.
request = sa.Table(
    "request",
    metadata,
    sa.Column("client", sa.Text, primary_key=True, doc="Key it came with"),
    sa.Column("request_key", sa.Text, primary_key=True, doc="Its Idempotency-Key"),
    sa.Column("digest", sa.Text, nullable=False, doc="Digest of its content"),
    sa.Column("begun_at", sa.BigInteger, nullable=False, index=True, doc="Microseconds"),
    sa.Column("status", sa.Integer, doc="HTTP status of the answer; empty while under way"),
    sa.Column("headers", sa.Text, doc="Of the answer, JSON"),
    sa.Column("body", sa.LargeBinary, doc="Of the answer"),
)

# Names of an ITSM's own ids, which its records refer to one another by.
reference = sa.Table(
    "reference",
    metadata,
    sa.Column("system", sa.Text, primary_key=True, doc="servicenow, jira or rt"),
    sa.Column("ref_id", sa.Text, primary_key=True, doc="Its own id"),
    sa.Column("kind", sa.Text, nullable=False, doc="What it names: an item, a team, a change"),
    sa.Column("name", sa.Text, nullable=False, doc="As people know it"),
    sa.Index("ix_reference_name", "system", "kind", "name"),
)

# The review: what journal entries say, kept so that a queue or a page can be asked for quickly.

change_state = sa.Table(
    "change_state",
    metadata,
    sa.Column("change_id", sa.Text, primary_key=True, doc="The change"),
    sa.Column(
        "seq", sa.BigInteger, nullable=False, index=True, doc="Journal entry of its last score"
    ),
    sa.Column("score_id", sa.Text, nullable=False, doc="Its last score"),
    sa.Column("revision", sa.Text, nullable=False, doc="Revision scored"),
    sa.Column("scored_at", sa.BigInteger, nullable=False, doc="Microseconds"),
    sa.Column("status", sa.Text, nullable=False, doc="scored, degraded or not_scored"),
    sa.Column("probability", sa.Double, doc="0 to 1"),
    sa.Column("band", sa.Text, doc="low, moderate, high or very_high"),
    sa.Column("change_type", sa.Text, doc="As submitted"),
    sa.Column("service", sa.Text, doc="As submitted"),
    sa.Column("ci", sa.Text, doc="As submitted"),
    sa.Column("assignment_group", sa.Text, doc="As submitted"),
    sa.Column("planned_start", sa.BigInteger, index=True, doc="Microseconds"),
    sa.Column("planned_end", sa.BigInteger, index=True, doc="Microseconds"),
    # What an entry of the queue shows beside that, as JSON.
    sa.Column("card", sa.Text, nullable=False, doc="What the queue shows beside that, JSON"),
    # The decision that stands, and the last entry about one, which may have opened it again.
    sa.Column("decision", sa.Text, doc="The decision that stands"),
    sa.Column("decision_id", sa.Text, doc="Last entry about a decision"),
)

decision = sa.Table(
    "decision",
    metadata,
    sa.Column("entry_id", sa.Text, primary_key=True, doc="Its journal entry"),
    sa.Column("seq", sa.BigInteger, nullable=False, doc="Place of that entry"),
    sa.Column("change_id", sa.Text, nullable=False, index=True, doc="The change"),
    sa.Column(
        "kind",
        sa.Text,
        nullable=False,
        doc="approve, approve_with_conditions, send_back, reject or reopen",
    ),
    sa.Column(
        "override", sa.Boolean, nullable=False, doc="Approved as planned although the band is high"
    ),
    sa.Column("reason", sa.Text, doc="In words"),
    sa.Column("conditions", sa.Text, nullable=False, doc="JSON list"),
    sa.Column("decided_by", sa.Text, nullable=False, doc="Who"),
    sa.Column("role", sa.Text, nullable=False, doc="In which role"),
    sa.Column("decided_at", sa.BigInteger, nullable=False, doc="Microseconds"),
    sa.Column("score_id", sa.Text, nullable=False, doc="Score it was made upon"),
    sa.Column("revision", sa.Text, nullable=False, doc="Revision it was made upon"),
    sa.Column("band", sa.Text, doc="Band then"),
    sa.Column("probability", sa.Double, doc="Then, 0 to 1"),
)

feedback = sa.Table(
    "feedback",
    metadata,
    sa.Column("entry_id", sa.Text, primary_key=True, doc="Its journal entry"),
    sa.Column(
        "number", sa.Integer, primary_key=True, autoincrement=False, doc="Place within the entry"
    ),
    sa.Column("seq", sa.BigInteger, nullable=False, doc="Place of that entry"),
    sa.Column("change_id", sa.Text, nullable=False, index=True, doc="The change"),
    sa.Column("score_id", sa.Text, nullable=False, doc="The score"),
    sa.Column("about", sa.Text, nullable=False, doc="score, or a factor group"),
    sa.Column(
        "verdict",
        sa.Text,
        nullable=False,
        doc="too_low, about_right, too_high, not_useful or looks_wrong",
    ),
    sa.Column("comment", sa.Text, doc="In words"),
    sa.Column("given_by", sa.Text, nullable=False, doc="Who"),
    sa.Column("role", sa.Text, nullable=False, doc="In which role"),
    sa.Column("given_at", sa.BigInteger, nullable=False, doc="Microseconds"),
)
