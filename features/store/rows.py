"""Records to rows of the store and back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

import orjson

from features import instants
from features.columns import Columns, array_of, kinds
from features.records import Change, Record

Row = dict[str, object]

ADDED_LATER = frozenset({"close_code"})
"""Fields that a stored fact may have been written without."""


def to_row(record: Record) -> Row:
    """A record as column values, with the digest that identifies its content.

    ``known_at`` of a change is left out of the digest: the same revision read twice is one fact,
    first known at the earlier reading. A field that came later is left out where it is empty, so
    that what an earlier version stored is not stored again.
    """
    row: Row = {}
    record_type: type = type(record)
    for name, kind in kinds(record_type).items():
        value = getattr(record, name)
        if kind == "time":
            value = None if value is None else instants.to_micros(value)
        elif kind == "list":
            value = orjson.dumps(list(value)).decode()
        elif kind == "text" and value is not None:
            # PostgreSQL cannot hold this character; in every store the text must be the same.
            value = value.replace("\0", "")
        elif kind == "map":
            value = orjson.dumps(dict(value), option=orjson.OPT_SORT_KEYS).decode()
        row[name] = value
    content = row
    if isinstance(record, Change):
        content = {name: value for name, value in row.items() if name != "known_at"}
    content = {k: v for k, v in content.items() if v is not None or k not in ADDED_LATER}
    canonical = orjson.dumps([record_type.__name__, content], option=orjson.OPT_SORT_KEYS)
    row["identity"] = hashlib.blake2b(canonical, digest_size=16).digest()
    return row


def to_columns(record_type: type, rows: Sequence[Sequence[object]]) -> Columns:
    """Rows as selected (``batch`` first, then the fields in their order) as a table."""
    names = kinds(record_type)
    series = list(zip(*rows, strict=True)) if rows else [()] * (len(names) + 1)
    data = {"batch": array_of("number", series[0])}
    for (name, kind), values in zip(names.items(), series[1:], strict=True):
        data[name] = array_of(kind, list(_read(kind, values)))
    return Columns(record_type, data)


def _read(kind: str, values: Sequence[object]) -> Iterator[object]:
    if kind == "list":
        return (tuple(orjson.loads(str(value))) if value != "[]" else () for value in values)
    if kind == "map":
        return (orjson.loads(str(value)) if value != "{}" else {} for value in values)
    return iter(values)
