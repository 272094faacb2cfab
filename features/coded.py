"""Large tables of which equal texts are held once, and numbered."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.chosen import Array, all_of

LARGE = 200_000
"""Rows from which on a table's texts are kept as numbers."""

Numbered = tuple[NDArray[np.int32], list[Any]]
"""Which of the values each row has, -1 for none of them, and the values."""


class Coded(Mapping[str, Array]):
    """Columns, some of which are put together when they are asked for.

    Parameters
    ----------
    plain : mapping of str to ndarray
        Those held as they are.
    coded : mapping of str to (ndarray of int32, list)
        Those held as numbers of their values.
    """

    def __init__(self, plain: Mapping[str, Array], coded: Mapping[str, Numbered]) -> None:
        self._plain, self._coded = dict(plain), dict(coded)
        self._values = {name: _or_none(values) for name, (_, values) in coded.items()}
        self._last: tuple[str, Array] | None = None

    def __getitem__(self, name: str) -> Array:
        if name in self._plain:
            return self._plain[name]
        if self._last is None or self._last[0] != name:  # many would take more than they save
            self._last = None
            self._last = name, self._values[name][self._coded[name][0]]
        return self._last[1]

    def __iter__(self) -> Iterator[str]:
        yield from self._plain
        yield from self._coded

    def __contains__(self, name: object) -> bool:
        return name in self._plain or name in self._coded

    def __len__(self) -> int:
        return len(self._plain) + len(self._coded)

    def rows(self, name: str, rows: NDArray[np.int64]) -> Array:
        """Some of the rows of one column."""
        if name in self._plain:
            return self._plain[name][rows]
        return self._values[name][self._coded[name][0][rows]]

    def numbered(self, name: str) -> Numbered | None:
        """The numbers and the values of a column, where it is held so."""
        return self._coded.get(name)


def whole(place: NDArray[np.int32], values: Sequence[Any]) -> Array:
    """Every row's value; None where it has none of them."""
    return _or_none(values)[place] if len(values) else all_of(None, len(place))


def _or_none(values: Sequence[Any]) -> Array:
    """The values and, in the last place, which is that of -1, None."""
    held = np.empty(len(values) + 1, dtype=object)
    held[:-1], held[-1] = values, None
    return held
