"""Facts given to a store, and what it holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from features.records import Change, Record
from features.store import Store

NOW = datetime(2026, 6, 1, 12, 0, 0, 123_456, tzinfo=UTC)
LATER = NOW + timedelta(days=30, microseconds=1)


def add(store: Store, *records: Record, now: datetime = NOW) -> dict[str, int]:
    with store.write("test", now=now) as writer:
        return writer.add(records)


def change(number: int, **given: Any) -> Change:
    return Change(change_id=f"C{number}", known_at=NOW + timedelta(days=number), **given)


def held(store: Store, record_type: type) -> list[Record]:
    table = store.load()[record_type]
    return [table.record(row) for row in range(len(table))]
