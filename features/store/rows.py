"""Records to rows of the store and back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from features import instants
from features.chosen import LONG, Array, all_of, joined
from features.coded import LARGE, Coded, Numbered, whole
from features.columns import MANY, Columns, array_of, kinds
from features.records import Change, Record

Row = dict[str, object]

MOST_SHARED = 200_000
"""Different values of a field up to which equal ones are looked for; of more, most come once."""

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
    if len(rows) >= MANY:
        return gathered(record_type, [rows])
    fields = {"batch": "number", **kinds(record_type)}
    series = zip(*rows, strict=True) if rows else [()] * len(fields)
    return Columns(
        record_type,
        {
            name: array_of(kind, [*map(_READ[kind], values)] if kind in _READ else values)
            for (name, kind), values in zip(fields.items(), series, strict=True)
        },
    )


def gathered(record_type: type, parts: Iterable[Sequence[Sequence[object]]]) -> Columns:
    """The same of rows that come some at a time: only these are held as rows."""
    columns: dict[str, _Column | _Texts] = {"batch": _Column("number")}
    for name, kind in kinds(record_type).items():
        columns[name] = _Texts() if kind == "text" else _Column(kind)
    length = 0
    for rows in parts:
        length += len(rows)
        series = zip(*rows, strict=True) if rows else [()] * len(columns)
        for column, values in zip(columns.values(), series, strict=True):
            column.add(values)
    coded = {
        name: column.numbered()
        for name, column in columns.items()
        if isinstance(column, _Texts) and length >= LARGE and column.several
    }
    plain = {name: column.whole() for name, column in columns.items() if name not in coded}
    if coded:
        return Columns.of(record_type, Coded(plain, coded), length)
    return Columns(record_type, plain)


class _Column:
    """One field of records that are read some at a time; equal lists are held once."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._parts: list[Array] = []
        self._known: dict[object, object] = {}
        self._shared = kind in ("list", "map")

    def add(self, values: Sequence[object]) -> None:
        """Take in the values of further rows."""
        read = _READ.get(self._kind)
        if self._shared and read is not None:
            known = self._known
            known.update((one, read(one)) for one in {*values}.difference(known))
            values = [known[one] for one in values]
            if len(known) > MOST_SHARED:
                self._shared, self._known = False, {}
        elif read is not None:
            values = list(map(read, values))
        self._parts.append(array_of(self._kind, values))

    def whole(self) -> Array:
        """All values; what they were made of is let go."""
        parts, self._parts, self._known = self._parts, [], {}
        return joined(parts) if parts else array_of(self._kind, [])


class _Numbers(dict[object, int]):
    """Texts numbered as they come; None is none of them."""

    def __missing__(self, text: object) -> int:
        self[text] = number = len(self) - 1
        return number


class _Texts:
    """A field of texts, which are numbered until there are too many different ones."""

    def __init__(self) -> None:
        self._known: _Numbers | None = _Numbers({None: -1})
        self._parts: list[Array] = []

    def add(self, values: Sequence[object]) -> None:
        """Take in the values of further rows."""
        if self._known is None:
            self._parts.append(array_of("text", values))
            return
        found = np.fromiter(map(self._known.__getitem__, values), np.int32, len(values))
        self._parts.append(found)
        if len(self._known) > MOST_SHARED:
            texts = [*self._known][1:]
            self._known = None
            self._parts = [whole(part, texts) for part in self._parts]

    @property
    def several(self) -> bool:
        """Whether the texts are numbered, and there is more than one."""
        return self._known is not None and len(self._known) > 2

    def numbered(self) -> Numbered:
        """Which of the texts each row has, and these; what they were made of is let go."""
        texts, parts = [*(self._known or ())][1:], self._parts
        self._known, self._parts = None, []
        return np.concatenate([np.zeros(0, np.int32), *parts]), texts

    def whole(self) -> Array:
        """All values, likewise."""
        if self._known is not None:
            return _plain(*self.numbered())
        parts, self._parts = self._parts, []
        return joined(parts)


def _plain(place: NDArray[np.int32], texts: list[Any]) -> Array:
    """Every row's text; a column that says one thing in many rows takes no room."""
    if len(texts) < 2 and len(place) >= LONG and (place == place[0]).all():
        return all_of(texts[0] if texts and place[0] == 0 else None, len(place))
    return whole(place, texts) if texts else array_of("text", [None] * len(place))


def _list(text: object) -> object:
    return tuple(orjson.loads(str(text)))


def _map(text: object) -> object:
    return orjson.loads(str(text))


_READ = {"list": _list, "map": _map}
"""How the store's text of a field is read, by its kind."""
