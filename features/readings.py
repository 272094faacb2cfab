"""Ways to read names off a table of changes: one by one where there are few, all at once where many
are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.columns import MANY, Columns
from features.names import Named
from features.segment import Ints

Read = Callable[[Columns], Named]

Names = tuple[str, ...]


class Reading:
    """A reading of names, made once for all rows that are taken from one table.

    Parameters
    ----------
    fields : tuple of str
        What is read.
    one
        The names of a change, each once, by its values of the fields.
    many
        The same of many changes in a fraction of the time that it would take one by one.
    """

    def __init__(self, fields: tuple[str, ...], one: Callable[..., Names], many: Read) -> None:
        self._fields, self._one, self._many = fields, one, many

    def __call__(self, changes: Columns) -> Named:
        """The names of all changes."""
        return changes.by_row(self._read)

    def each(self, changes: Columns) -> list[Names]:
        """The names of every one of few changes; versions of one change mostly share theirs."""
        return changes.derived(self, self._each)

    def _each(self, changes: Columns) -> list[Names]:
        return changes.read_few(self._fields, self._one)

    def _read(self, changes: Columns) -> Named:
        if len(changes) >= MANY:
            return self._many(changes)
        found = self.each(changes)
        row = np.repeat(np.arange(len(found)), [*map(len, found)])
        if alike(found):
            each = np.arange(len(found[0]))
            return Named(row, objects(found[0]), np.tile(each, len(found)))
        return Named(row, objects([*chain.from_iterable(found)]), np.arange(len(row)))


def names_of(*fields: str, one: Callable[..., Names], many: Read) -> Reading:
    """A reading of some fields; the parameters are those of :class:`Reading`."""
    return Reading(fields, one, many)


def alike(found: Sequence[Names]) -> bool:
    """Whether all of few changes bear the same names, and there is one at least."""
    return len(found) > 0 and found.count(found[0]) == len(found)


def coded(
    found: Sequence[Names], number: Callable[[Iterable[str]], list[int]]
) -> tuple[list[int], list[int]]:
    """Rows and codes of the names that few changes bear."""
    if alike(found):
        codes = number(found[0])
        return [row for row in range(len(found)) for _ in codes], codes * len(found)
    row = [row for row, names in enumerate(found) for _ in names]
    return row, number(chain.from_iterable(found))


def all_of(found: Sequence[Names]) -> Iterable[str]:
    """The names of few changes; those that all of them share once."""
    return found[0] if alike(found) else chain.from_iterable(found)


def only(name: str | None) -> tuple[str, ...]:
    """A name alone, if it is one."""
    return (name,) if name else ()


def by(field: str, name_of: Callable[[str | None], str | None]) -> Reading:
    """The name that a function makes of one field."""

    def many(changes: Columns) -> Named:
        place, values = changes.once_each(field)
        return each_has(place, [name_of(value) for value in values])

    return names_of(field, one=lambda value: only(name_of(value)), many=many)


def single(field: str) -> Reading:
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
