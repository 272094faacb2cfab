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
        sa.Column("batch", sa.BigInteger, nullable=False, index=True),
        # What makes two rows the same fact: a digest of its content.
        sa.Column("identity", sa.LargeBinary(16), nullable=False, unique=True),
        *columns,
    )


batch = sa.Table(
    "batch",
    metadata,
    sa.Column("batch", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("written_at", sa.BigInteger, nullable=False),
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
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("entry_id", sa.Text, nullable=False, unique=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("change_id", sa.Text, index=True),
    sa.Column("written_at", sa.BigInteger, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("previous_hash", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
)

setting = sa.Table(
    "setting",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

api_key = sa.Table(
    "api_key",
    metadata,
    sa.Column("key_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("digest", sa.Text, nullable=False, unique=True),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger),
    sa.Column("revoked_at", sa.BigInteger),
    # Permissions it is narrowed to, as JSON; those of its role where empty.
    sa.Column("scopes", sa.Text),
)

# Requests with an Idempotency-Key, and their answers once there are any.
request = sa.Table(
    "request",
    metadata,
    sa.Column("client", sa.Text, primary_key=True),
    sa.Column("request_key", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("begun_at", sa.BigInteger, nullable=False, index=True),
    sa.Column("status", sa.Integer),
    sa.Column("headers", sa.Text),
    sa.Column("body", sa.LargeBinary),
)

# Names of an ITSM's own ids, which its records refer to one another by.
reference = sa.Table(
    "reference",
    metadata,
    sa.Column("system", sa.Text, primary_key=True),
    sa.Column("ref_id", sa.Text, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Index("ix_reference_name", "system", "kind", "name"),
)

# The review: what journal entries say, kept so that a queue or a page can be asked for quickly.

change_state = sa.Table(
    "change_state",
    metadata,
    sa.Column("change_id", sa.Text, primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False, index=True),
    sa.Column("score_id", sa.Text, nullable=False),
    sa.Column("revision", sa.Text, nullable=False),
    sa.Column("scored_at", sa.BigInteger, nullable=False),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("probability", sa.Double),
    sa.Column("band", sa.Text),
    sa.Column("change_type", sa.Text),
    sa.Column("service", sa.Text),
    sa.Column("ci", sa.Text),
    sa.Column("assignment_group", sa.Text),
    sa.Column("planned_start", sa.BigInteger, index=True),
    sa.Column("planned_end", sa.BigInteger, index=True),
    # What an entry of the queue shows beside that, as JSON.
    sa.Column("card", sa.Text, nullable=False),
    # The decision that stands, and the last entry about one, which may have opened it again.
    sa.Column("decision", sa.Text),
    sa.Column("decision_id", sa.Text),
)

decision = sa.Table(
    "decision",
    metadata,
    sa.Column("entry_id", sa.Text, primary_key=True),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("change_id", sa.Text, nullable=False, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("override", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text),
    sa.Column("conditions", sa.Text, nullable=False),
    sa.Column("decided_by", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("decided_at", sa.BigInteger, nullable=False),
    sa.Column("score_id", sa.Text, nullable=False),
    sa.Column("revision", sa.Text, nullable=False),
    sa.Column("band", sa.Text),
    sa.Column("probability", sa.Double),
)

feedback = sa.Table(
    "feedback",
    metadata,
    sa.Column("entry_id", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("change_id", sa.Text, nullable=False, index=True),
    sa.Column("score_id", sa.Text, nullable=False),
    sa.Column("about", sa.Text, nullable=False),
    sa.Column("verdict", sa.Text, nullable=False),
    sa.Column("comment", sa.Text),
    sa.Column("given_by", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("given_at", sa.BigInteger, nullable=False),
)
