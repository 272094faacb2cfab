"""Records of one kind side by side: one array a field, so that a million rows and one row take the
same path.

Texts are object arrays holding ``str`` or None, moments are ``int64`` microseconds, numbers are
``float64`` with NaN for missing, lists and attributes are object arrays of tuples and dicts.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from functools import cache, cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import instants
from features.chosen import LONG, Chosen, Joined, all_of, numbered_in, rows_of
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

RECORD_TYPES: tuple[type, ...] = (
    Change,
    Incident,
    Link,
    ChangeEvent,
    Item,
    Relation,
    CalendarEntry,
)
"""Every kind of fact a history holds."""

Made = typing.TypeVar("Made")

MANY = 256
"""Rows from which on looking for equal values first saves time."""

FEW = 4
"""A table is read through the one it was taken from if that is at most so many times larger."""

Array = NDArray[Any]


Rows = typing.TypeVar("Rows", covariant=True)


class Kept(typing.Protocol[Rows]):
    """What was read off the rows of a large table, in little room."""

    def whole(self) -> Rows:
        """All of it."""

    def take(self, rows: NDArray[np.int64]) -> Rows:
        """That of the chosen rows."""


class ByRow(typing.Protocol):
    """What was read off the rows of a table."""

    def kept(self, rows: int) -> Kept[typing.Self]:
        """The same in little room; ``rows`` is how many rows the table has."""


Read = typing.TypeVar("Read", bound=ByRow)


@cache
def kinds(record_type: type) -> dict[str, str]:
    """Kind of every field of a record type: ``text, time, number, flag, list`` or ``map``."""
    hints = typing.get_type_hints(record_type)
    return {f.name: _kind(hints[f.name]) for f in fields(record_type)}


def _kind(hint: object) -> str:
    options = [hint]
    if isinstance(hint, types.UnionType):
        options = [option for option in typing.get_args(hint) if option is not type(None)]
    inner = typing.get_origin(options[0]) or options[0]
    names = {
        str: "text",
        datetime: "time",
        int: "number",
        float: "number",
        bool: "flag",
        tuple: "list",
    }
    return names.get(typing.cast(type, inner), "map")


def array_of(kind: str, values: Sequence[object]) -> Array:
    """One field's values, as records or the store hold them, as its array.

    Parameters
    ----------
    kind : str
        As in :func:`kinds`. A ``time`` may be an aware datetime, microseconds or None.
    """
    if kind == "time":
        return np.fromiter((_micros(value) for value in values), np.int64, len(values))
    if kind in ("number", "flag"):
        return np.array([np.nan if value is None else value for value in values], np.float64)
    if len(values) >= LONG and values[0] is values[-1] and values.count(values[0]) == len(values):
        return all_of(values[0], len(values))
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def _micros(value: object) -> int:
    if isinstance(value, int):
        return value
    if value is None or isinstance(value, datetime):
        return instants.to_micros(value)
    raise TypeError(f"expected a datetime, microseconds or None, got {type(value).__name__}")


def once_each(values: Array) -> tuple[NDArray[np.int64], list[typing.Any]]:
    """Place and values of :meth:`Columns.once_each`, kept nowhere."""
    if len(values) < MANY:  # versions of one change share most of their texts
        known: dict[typing.Any, int] = {}
        at = [-1 if one is None else known.setdefault(one, len(known)) for one in values.tolist()]
        return np.array(at, np.int64), list(known)
    if values.strides == (0,):
        said = [value for value in values[:1].tolist() if value is not None]
        return np.full(len(values), len(said) - 1, np.int64), said
    place, distinct = pd.factorize(values)
    return place, distinct.tolist()


def _narrow(
    place: NDArray[np.int64], values: list[typing.Any]
) -> tuple[NDArray[np.int32], list[typing.Any]]:
    """The same in half the room."""
    return place.astype(np.int32), values


class Columns:
    """A table of records of one kind.

    Parameters
    ----------
    record_type : type
        One of ``RECORD_TYPES``.
    data : mapping of str to ndarray
        An array for every field of the record type, all of one length, and for rows that come from
        a store ``batch``, the number of the write that brought them.
    """

    def __init__(self, record_type: type, data: Mapping[str, Array]) -> None:
        lengths = {len(array) for array in data.values()}
        missing = set(kinds(record_type)) - set(data)
        if missing or len(lengths) != 1:
            raise ValueError(
                f"{record_type.__name__}: expected arrays of one length for every field, "
                f"got lengths {sorted(lengths)}, missing {sorted(missing)}"
            )
        self.record_type = record_type
        self.data: Mapping[str, Array] = dict(data)
        self._length = lengths.pop()
        self._derived: dict[object, typing.Any] = {}
        self._of: tuple[Columns, NDArray[np.int64]] | None = None
        self._in_parts = False

    @classmethod
    def of(cls, record_type: type, data: Mapping[str, Array], length: int) -> Columns:
        """A table of columns that are fetched when asked for.

        Parameters
        ----------
        data : mapping of str to ndarray
            It may have a method ``rows(name, rows)`` that fetches some rows of a column.
        length : int
            Number of rows.
        """
        made = cls.__new__(cls)
        made.record_type, made.data, made._length = record_type, data, length
        made._derived, made._of, made._in_parts = {}, None, False
        return made

    @classmethod
    def from_records(cls, record_type: type, records: Iterable[Record]) -> Columns:
        """A table of the given records, in their order."""
        rows = list(records)
        return cls(
            record_type,
            {
                name: array_of(kind, [getattr(row, name) for row in rows])
                for name, kind in kinds(record_type).items()
            },
        )

    @classmethod
    @cache
    def empty(cls, record_type: type) -> Columns:
        """A table without rows."""
        return cls.from_records(record_type, [])

    @classmethod
    def concatenate(cls, tables: Sequence[Columns]) -> Columns:
        """The rows of several tables of one record type, one after another."""
        return cls.of(tables[0].record_type, Joined(tables), sum(map(len, tables)))

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, name: str) -> Array:
        return self.data[name]

    def derived(self, name: object, make: Callable[[Columns], Made]) -> Made:
        """What is worked out from these rows, the first time it is asked for."""
        if name not in self._derived:
            self._derived[name] = make(self)
        return typing.cast(Made, self._derived[name])

    def once_each(self, name: str) -> tuple[NDArray[np.int64], list[typing.Any]]:
        """The values of a field, most of them once, and which of them every row has.

        Of a million rows many say the same, and what is read off a value is read once. None has
        no place, -1.
        """
        if self._mostly_of is not None:
            place, values = self._mostly_of[0]._once_each(name)
            return place[self._mostly_of[1]].astype(np.int64), values
        place, values = self._once_each(name)
        return place.astype(np.int64, copy=False), values

    def _once_each(self, name: str) -> tuple[NDArray[np.integer[Any]], list[typing.Any]]:
        if len(self) < MANY:
            return self.derived(f"once {name}", lambda table: once_each(table[name]))
        return self.derived(f"once {name}", lambda table: table.numbered(name))

    def numbered(self, name: str) -> tuple[NDArray[np.int32], list[typing.Any]]:
        """The same as :meth:`once_each` finds, kept nowhere and in half the room."""
        held = numbered_in(self.data, name)
        return _narrow(*once_each(self[name])) if held is None else held

    def read_once(
        self, name: str, read: Callable[[typing.Any], Made]
    ) -> tuple[NDArray[np.int64], list[Made]]:
        """What a function reads off the values of :meth:`once_each`, read once for all who ask."""
        if self._mostly_of is not None:
            place, made = self._mostly_of[0].read_once(name, read)
            return place[self._mostly_of[1]], made
        place, values = self.once_each(name)
        return place, self.derived((name, read), lambda _: [read(value) for value in values])

    def read_each(self, name: str, read: Callable[[typing.Any], float]) -> NDArray[np.float64]:
        """The number a function reads off the value of every row, None included, once a value."""
        table, rows = self._mostly_of or (self, None)
        place, values = table._once_each(name)
        numbers = table.derived(
            ("each", name, read), lambda _: np.array([*map(read, values), read(None)], np.float64)
        )
        found: NDArray[np.float64] = numbers[place if rows is None else place[rows]]
        return found

    def read_few(self, names: Sequence[str], read: Callable[..., Made]) -> list[Made]:
        """What a function makes of the values that each of few rows has in some fields.

        Versions of one change share most of their values, and what is read off them is read once.
        """
        if self.alike(names):
            return [read(*self.values_of(0, names))] * len(self)
        known: dict[tuple[typing.Any, ...], Made] = {}
        found = []
        for values in zip(*(self[name].tolist() for name in names), strict=True):
            if values not in known:
                known[values] = read(*values)
            found.append(known[values])
        return found

    def alike(self, names: Sequence[str]) -> bool:
        """Whether all rows say the same in some fields, and there is one at least."""
        return self._length == 1 or (self._length > 0 and all(map(self._all_one, names)))

    def _all_one(self, name: str) -> bool:
        key = "alike", name
        if key not in self._derived:
            values = self[name].tolist()
            self._derived[key] = values.count(values[0]) == len(values)
        return typing.cast(bool, self._derived[key])

    def values_of(self, row: int, names: Sequence[str]) -> list[typing.Any]:
        """The values of one row in some fields."""
        data = self.data
        return [data[name].item(row) for name in names]

    def by_row(self, read: Callable[[Columns], Read]) -> Read:
        """What a function reads off every row, read once; off a large table once for all that are
        taken from it.
        """
        if len(self) < MANY:
            return self.derived(read, read)
        if self._mostly_of is not None:
            return self._mostly_of[0]._kept(read).take(self._mostly_of[1])
        return self._kept(read).whole()

    def _kept(self, read: Callable[[Columns], Read]) -> Kept[Read]:
        return self.derived(("kept", read), lambda table: read(table).kept(len(table)))

    @cached_property
    def _mostly_of(self) -> tuple[Columns, NDArray[np.int64]] | None:
        """The table this one was taken from, by way of others or not, and the rows, where it is
        worth reading that whole.
        """
        if self._of is None or len(self) < MANY:
            return None
        table, rows = self._of
        if not self._in_parts and len(self) * FEW < len(table):
            return None
        further = table._mostly_of
        return (table, rows) if further is None else (further[0], further[1][rows])

    def times(self, name: str) -> NDArray[np.int64]:
        """A field's moments, microseconds, ``instants.MISSING`` where empty."""
        return self.data[name].astype(np.int64, copy=False)

    def numbers(self, name: str) -> NDArray[np.float64]:
        """A field's numbers, NaN where empty."""
        return self.data[name].astype(np.float64, copy=False)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Columns:
        """The chosen rows, by mask or position."""
        chosen = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows.astype(np.int64)
        made = Columns.of(self.record_type, Chosen(self.data, chosen), len(chosen))
        made._of = self, chosen
        return made

    def part(self, low: int, high: int) -> Columns:
        """Some rows that follow one another, of a table of which all are taken part by part: what
        is read off the whole is there for each.
        """
        rows = np.arange(low, min(high, len(self)))
        made = self.take(rows)
        made._in_parts = True
        return made

    def record(self, row: int) -> Record:
        """One row as its record."""
        values: dict[str, object] = {}
        at = np.array([row])
        for name, kind in kinds(self.record_type).items():
            values[name] = _plain(kind, rows_of(self.data, name, at)[0])
        if self.record_type is Incident and values["priority"] is not None:
            values["priority"] = int(typing.cast(float, values["priority"]))
        return typing.cast(Record, self.record_type(**values))

    def to_frame(self) -> pd.DataFrame:
        """The table for people: moments as UTC timestamps, missing numbers as NaN."""
        moments = {name for name, kind in kinds(self.record_type).items() if kind == "time"}
        return pd.DataFrame(
            {
                name: instants.micros_to_series(self.times(name)) if name in moments else array
                for name, array in self.data.items()
            }
        )


def _plain(kind: str, value: object) -> object:
    if kind == "time":
        return instants.from_micros(typing.cast(int, value))
    if kind == "number":
        number = typing.cast(float, value)
        return None if np.isnan(number) else float(number)
    if kind == "flag":
        flag = typing.cast(float, value)
        return None if np.isnan(flag) else bool(flag)
    return value
