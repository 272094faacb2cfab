"""Items next to others, compiled: what the items of each change are related to, each once."""

from __future__ import annotations

import numpy as np

from features.ordering import compiled
from features.segment import Ints

_SCATTER = 0x9E3779B1
"""Spreads numbers that follow one another: 2**32 over the golden ratio."""


@compiled
def _entered(whose: Ints, what: Ints, change: int, item: int) -> bool:
    """Whether a change is told of an item for the first time; it is noted.

    The table is one by a hash of the item; its entries are of the change last written there, so
    that it need not be emptied.
    """
    place = item * _SCATTER & len(whose) - 1
    while whose[place] == change and what[place] != item:
        place = place + 1 & len(whose) - 1
    new = whose[place] != change
    whose[place], what[place] = change, item
    return bool(new)


@compiled
def _room(first: Ints, rows: Ints, codes: Ints) -> tuple[int, int]:
    """The most items that any change may be told of, and how many there may be in all."""
    most, total, own = 0, 0, 0
    for at in range(len(rows)):
        if at and rows[at] != rows[at - 1]:
            own = 0
        known = 0 <= codes[at] < len(first) - 2
        count = first[codes[at] + 1] - first[codes[at]] if known else 0
        own += 1 + count
        most, total = max(most, own), total + count
    return most, total


@compiled
def related(
    first: Ints, right: Ints, since: Ints, until: Ints, rows: Ints, codes: Ints, times: Ints
) -> tuple[Ints, Ints]:
    """What the items of each change are related to; see :meth:`features.topology.Topology.around`.

    Parameters
    ----------
    first, right, since, until : ndarray of int64
        As of :class:`features.topology.Neighbours`.
    rows, codes : ndarray of int64, shape (n,)
        Changes, ascending, and their items.
    times : ndarray of int64, shape (changes,)
        The moment of each change.
    """
    most, total = _room(first, rows, codes)
    size = 1
    while size < 2 * most:
        size *= 2
    whose, what = np.full(size, -1), np.empty(size, np.int64)
    row, other = np.empty(total, np.int64), np.empty(total, np.int64)
    found, noted = 0, -1
    for at in range(len(rows)):
        change, code = rows[at], codes[at]
        several = (at > 0 and rows[at - 1] == change) or (
            at + 1 < len(rows) and rows[at + 1] == change
        )
        if several and noted != change:
            noted, own = change, at
            while own < len(rows) and rows[own] == change:
                _entered(whose, what, change, codes[own])
                own += 1
        known = 0 <= code < len(first) - 2
        for span in range(first[code], first[code + 1]) if known else range(0):
            holds = since[span] < times[change] <= until[span]
            if holds and (not several or _entered(whose, what, change, right[span])):
                row[found], other[found] = change, right[span]
                found += 1
    return row[:found], other[:found]
