"""Ways to read names off a table of changes: one by one where there are few, all at once where many
are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.columns import MANY, Columns
from features.names import Named
from features.segment import Ints

Read = Callable[[Columns], Named]


def names_of(*fields: str, one: Callable[..., tuple[str, ...]], many: Read) -> Read:
    """A reading of names, made once for all rows that are taken from one table.

    Parameters
    ----------
    one
        The names of a change, each once, by its values of the fields.
    many
        The same of many changes in a fraction of the time that it would take one by one.
    """

    def read(changes: Columns) -> Named:
        if len(changes) >= MANY:
            return many(changes)
        if changes.alike(fields):
            names = one(*changes.values_of(0, fields))
            each = np.arange(len(names))
            row = np.repeat(np.arange(len(changes)), len(names))
            return Named(row, objects(names), np.tile(each, len(changes)))
        found = changes.read_few(fields, one)
        row = np.repeat(np.arange(len(found)), [*map(len, found)])
        return Named(row, objects([*chain.from_iterable(found)]), np.arange(len(row)))

    return lambda changes: changes.by_row(read)


def only(name: str | None) -> tuple[str, ...]:
    """A name alone, if it is one."""
    return (name,) if name else ()


def by(field: str, name_of: Callable[[str | None], str | None]) -> Read:
    """The name that a function makes of one field."""

    def many(changes: Columns) -> Named:
        place, values = changes.once_each(field)
        return each_has(place, [name_of(value) for value in values])

    return names_of(field, one=lambda value: only(name_of(value)), many=many)


def single(field: str) -> Read:
    """The name in one field."""
    return by(field, lambda value: value or None)


def each_has(place: Ints, names: Sequence[str | None]) -> Named:
    """Rows that have one name at most: which of the names, some of them None."""
    has = np.array([*(name is not None for name in names), False], bool)
    row = np.flatnonzero(has[place])
    return Named(row, objects(names)[has[:-1]], (np.cumsum(has) - 1)[place[row]])


def objects(values: Sequence[Any]) -> NDArray[np.object_]:
    """Values as an array of objects."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


def listed(field: str) -> Read:
    """The names of a list, without empty ones."""

    def read(changes: Columns) -> Named:
        lists = changes[field].tolist()
        row = np.repeat(np.arange(len(lists)), list(map(len, lists)))
        named = Named.of(row, objects(list(chain.from_iterable(lists))))
        kept = np.array([*map(bool, named.distinct)], bool)[named.place]
        return named if kept.all() else Named(row[kept], named.distinct, named.place[kept])

    return read
