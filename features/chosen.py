"""Columns that are put together or fetched only when they are asked for, and those that say one
thing.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from features.columns import Columns

Array = NDArray[Any]

LONG = 256
"""Rows from which on it is looked whether a column says the same in all of them."""


def all_of(value: object, length: int) -> Array:
    """A column that says the same in every row, which takes no room; it cannot be written to."""
    one = np.empty((), dtype=object)
    one[()] = value
    return np.broadcast_to(one, length)


def joined(parts: Sequence[Array]) -> Array:
    """The values of several parts of one column, one after another."""
    full = [part for part in parts if len(part)] or list(parts[:1])
    if len(full) == 1:
        return full[0]
    first, length = full[0][0], sum(map(len, full))
    if length >= LONG and full[0].dtype == object and all(_says_only(first, one) for one in full):
        return all_of(first, length)
    return np.concatenate(full)


def _says_only(value: object, part: Array) -> bool:
    said = part[:1] if part.strides == (0,) else part
    return all(one is value for one in said)


class Chosen(Mapping[str, Array]):
    """Some rows of a table's columns, each column fetched when it is asked for.

    Most readers want a few of thirty columns, and of a million rows the others would be in the way.
    """

    def __init__(self, data: Mapping[str, Array], rows: NDArray[np.int64]) -> None:
        self._data, self._rows = data, rows
        self._found: dict[str, Array] = {}

    def __getitem__(self, name: str) -> Array:
        if name not in self._found:
            self._found[name] = rows_of(self._data, name, self._rows)
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._data)

    def __contains__(self, name: object) -> bool:
        return name in self._data

    def __len__(self) -> int:
        return len(self._data)

    def numbered(self, name: str) -> tuple[NDArray[np.int32], list[Any]] | None:
        """Numbers and values as the whole table holds them, if it does and most are chosen."""
        found = numbered_in(self._data, name)
        if found is None or len(self._rows) * 2 < len(found[0]):
            return None
        return found[0][self._rows], found[1]

    def rows(self, name: str, rows: NDArray[np.int64]) -> Array:
        """Some of the rows of one column."""
        if name in self._found:
            return self._found[name][rows]
        return rows_of(self._data, name, self._rows[rows])


class Joined(Mapping[str, Array]):
    """The rows of several tables, one after another; a column is joined where it is asked for."""

    def __init__(self, tables: Sequence[Columns]) -> None:
        self._tables = [table for table in tables if len(table)] or list(tables[:1])
        self._every = [table.data for table in tables]
        self._found: dict[str, Array] = {}

    @cached_property
    def _names(self) -> list[str]:
        """The columns that every table has."""
        first, *others = self._every
        return [name for name in first if all(name in data for data in others)]

    def __getitem__(self, name: str) -> Array:
        if name not in self._found:
            if not all(name in data for data in self._every):
                raise KeyError(name)
            self._found[name] = joined([table.data[name] for table in self._tables])
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __len__(self) -> int:
        return len(self._names)


def rows_of(data: Mapping[str, Array], name: str, rows: NDArray[np.int64]) -> Array:
    """Some rows of one column."""
    by_row = getattr(data, "rows", None)
    return data[name][rows] if by_row is None else typing.cast(Array, by_row(name, rows))


def numbered_in(data: Mapping[str, Array], name: str) -> tuple[NDArray[np.int32], list[Any]] | None:
    """A column as numbers of its values, -1 for none, and these, where it is held so."""
    numbered = getattr(data, "numbered", None)
    if numbered is None:
        return None
    return typing.cast("tuple[NDArray[np.int32], list[Any]] | None", numbered(name))
