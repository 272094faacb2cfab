"""What is new among facts that are read again and again, as an ITSM gives the same rows every day.

A row of a later reading that says nothing else than the one before it is no new fact, though its
``known_at`` differs. Whatever was first known at a moment stays what was known then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from features.columns import kinds
from features.records import (
    CalendarEntry,
    Change,
    ChangeEvent,
    Incident,
    Item,
    Link,
    Record,
    Relation,
)
from features.store.rows import to_columns
from features.store.schema import record_tables
from features.store.standing import place_of

KEYS: dict[type, str] = {
    Change: "change_id",
    Incident: "incident_id",
    Item: "ci",
    Link: "incident_id",
    ChangeEvent: "change_id",
    Relation: "parent",
    CalendarEntry: "entry_id",
}
"""The field by which facts about the same thing are found."""

STATES = (Change, Incident, Item, Relation, CalendarEntry)
"""Facts that describe a thing until the next one about it."""

_SAID_ONCE = {"closed", "canceled"}
"""Events of which another moment alone is no news: it may be that of the reading."""


def held(connection: sa.Connection, record_type: type, keys: Iterable[str]) -> list[Record]:
    """The facts on record about things, in the order written."""
    table = record_tables[record_type]
    columns = [table.c.batch, *(table.c[name] for name in kinds(record_type))]
    wanted = sorted(set(keys))
    found: list[Record] = []
    for start in range(0, len(wanted), 500):
        query = sa.select(*columns).where(
            table.c[KEYS[record_type]].in_(wanted[start : start + 500])
        )
        rows = connection.execute(query.order_by(table.c.batch)).fetchall()
        read = to_columns(record_type, rows)
        found += [read.record(row) for row in range(len(read))]
    return found


def news(connection: sa.Connection, records: Sequence[Record]) -> list[Record]:
    """The records that say something which is not on record yet, in their order."""
    by_type: dict[type, list[Record]] = defaultdict(list)
    for record in records:
        by_type[type(record)].append(record)
    fresh: set[int] = set()
    for record_type, given in by_type.items():
        key = KEYS[record_type]
        before: dict[object, list[Record]] = defaultdict(list)
        for known in held(connection, record_type, (getattr(one, key) for one in given)):
            before[_subject(known)].append(known)
        choose = _new_states if record_type in STATES else _new_statements
        fresh |= choose(given, before)
    return [record for record in records if id(record) in fresh]


def current(connection: sa.Connection, change_ids: Iterable[str]) -> dict[str, Change]:
    """The revisions that stand of those of some changes that are on record."""
    found: dict[str, Change] = {}
    for record in held(connection, Change, change_ids):
        assert isinstance(record, Change)  # noqa: S101 - what was asked for
        known = found.get(record.change_id)
        if known is None or record.known_at >= known.known_at:
            found[record.change_id] = record
    return found


def is_withdrawn(connection: sa.Connection, change: Change) -> bool:
    """Whether a change was withdrawn, and not taken up again by the revision that stands."""
    events = held(connection, ChangeEvent, [change.change_id])
    gone = [one.known_at for one in events if getattr(one, "kind", None) == "canceled"]
    return bool(gone) and not (change.planned_start and change.known_at > max(gone))


def freed(connection: sa.Connection, gone: Sequence[ChangeEvent]) -> list[Change]:
    """Revisions without a planned window of changes that were withdrawn, from then on.

    A change that was revised after it was withdrawn was taken up again and keeps its window.
    """
    standing = current(connection, (event.change_id for event in gone))
    found = []
    for event in gone:
        last = standing.get(event.change_id)
        planned = last is not None and (last.planned_start or last.planned_end)
        if last is None or not planned or last.known_at > event.known_at:
            continue
        since = max(event.known_at, last.known_at + timedelta(microseconds=1))
        found.append(
            replace(
                last,
                known_at=since,
                revision=_after(last.revision),
                planned_start=None,
                planned_end=None,
            )
        )
    return found


def _after(mark: str) -> str:
    """A mark that no earlier revision has."""
    place = place_of(mark)
    return f"{mark}-withdrawn" if place is None else str(place[0] + 1)


def _subject(record: Record) -> object:
    """What a fact is about: one at a time of its states stands."""
    if isinstance(record, Relation):
        return record.parent, record.child, record.kind
    return getattr(record, KEYS[type(record)])


def _new_states(given: Sequence[Record], before: Mapping[object, Sequence[Record]]) -> set[int]:
    """Descriptions that differ from the one that stood before them."""
    about: dict[object, list[Record]] = defaultdict(list)
    for record in given:
        about[_subject(record)].append(record)
    fresh: set[int] = set()
    for subject, records in about.items():
        old = before.get(subject, ())
        told = {one.known_at for one in old}
        said = {(one.known_at, _content(one)) for one in old}
        # Where both are of one moment, what is on record comes first.
        entries = [*((one, 0) for one in old), *((one, 1) for one in records)]
        ordered = sorted(entries, key=lambda entry: (entry[0].known_at, entry[1]))
        last: tuple[Any, ...] | None = None
        for record, is_new in ordered:
            content = _content(record)
            if is_new:
                never_was = last is None and _ended(record)
                again = (record.known_at, content) in said and not isinstance(record, Change)
                if content == last or never_was or again or _is_taken(record, told):
                    continue
                fresh.add(id(record))
            last = content
    return fresh


def _is_taken(record: Record, told: set[datetime]) -> bool:
    """Whether its moment has its description: an incident is read as it was opened ever again. Of
    others there may be two in one second, of which the one written last stands.
    """
    return isinstance(record, Incident) and record.known_at in told


def _ended(record: Record) -> bool:
    """Whether a relation is over, or an entry of the calendar was cancelled."""
    if isinstance(record, Relation):
        return record.ended_at is not None and record.ended_at <= record.known_at
    return isinstance(record, CalendarEntry) and record.ends_at <= record.starts_at


def _new_statements(given: Sequence[Record], before: Mapping[object, Sequence[Record]]) -> set[int]:
    """Statements that nobody has made yet."""
    fresh: set[int] = set()
    made = {_content(one) for known in before.values() for one in known}
    for record in given:
        content = _content(record)
        if content not in made:
            made.add(content)
            fresh.add(id(record))
    return fresh


def _content(record: Record) -> tuple[Any, ...]:
    """What a record says, whenever it was known; a digest would hide what differs."""
    if _ended(record):
        return (_subject(record), "ended")  # when is no news: it may be the moment of the reading
    skipped = {"known_at"}
    if isinstance(record, Change):
        skipped.add("revision")
    dated = isinstance(record, ChangeEvent) and record.kind in _SAID_ONCE
    if dated or isinstance(record, (Link, Relation)):
        skipped.add("occurred_at")
    return tuple(_plain(getattr(record, f.name)) for f in fields(record) if f.name not in skipped)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return tuple(sorted(value.items()))
    if isinstance(value, datetime):
        return value.timestamp()
    return value.replace("\0", "") if isinstance(value, str) else value
