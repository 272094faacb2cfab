"""When changes are unwelcome or invited: freezes, blackouts, maintenance windows, holidays.

An entry counts at ``t`` in the last wording known before ``t``; one that ends before it starts was
cancelled.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from features import instants
from features.columns import Columns
from features.instants import MISSING, NEVER
from features.names import Vocabulary
from features.overlap import OverlapIndex, Windows
from features.segment import Ints

KINDS = ("freeze", "blackout", "maintenance")
"""Kinds of entries a feature can ask for."""

AHEAD = 30 * instants.DAY
"""How far ahead of a change the next closed time is looked for."""

CLOSED = ("freeze", "blackout")
"""Kinds of entries under which no change is welcome."""

Floats = NDArray[np.float64]


class Calendar:
    """The calendar's entries, by kind and scope.

    Parameters
    ----------
    entries : Columns
        All facts known; each counts only for moments after it became known.
    scopes : Vocabulary
        Numbers of what entries apply to, learnt along the way.
    """

    def __init__(self, entries: Columns, scopes: Vocabulary) -> None:
        names = Vocabulary().learn(entries["entry_id"])
        known = entries.times("known_at")
        order = np.lexsort((np.arange(len(known)), known, names))
        entries, names, known = entries.take(order), names[order], known[order]
        superseded = np.full(len(known), NEVER)
        same = names[1:] == names[:-1]
        superseded[:-1][same] = known[1:][same]
        self.ids, self.scopes = entries["entry_id"], entries["scope"]
        self._starts, self._ends = entries.times("starts_at"), entries.times("ends_at")
        ends = self._ends
        code, kind = scopes.learn(entries["scope"]), entries["kind"]
        possible = (self._starts != MISSING) & (ends > self._starts)
        self._by_kind = {}
        for name in KINDS:
            rows = np.flatnonzero(possible & (kind == name))
            windows = Windows(code, self._starts, ends, known, superseded, np.arange(len(known)))
            self._by_kind[name] = OverlapIndex.of(windows.take(rows))

    def holds(self, kind: str) -> bool:
        """Whether there is any entry of a kind."""
        return len(self._by_kind[kind]) > 0

    def meeting(
        self, kind: str, codes: Ints, starts: Ints, ends: Ints, times: Ints
    ) -> tuple[Ints, Ints, Ints]:
        """Entries that a window meets, as (query row, place of the entry, microseconds)."""
        nobody = np.full(len(codes), -1)
        each = np.arange(len(codes))
        return self._by_kind[kind].pairs(codes, each, starts, ends, times, nobody)

    def span(self, place: int) -> tuple[int, int]:
        """When an entry starts and ends, microseconds."""
        return int(self._starts[place]), int(self._ends[place])

    def inside(self, kind: str, codes: Ints, starts: Ints, ends: Ints, times: Ints) -> Floats:
        """1 where a window meets an entry, else 0."""
        query, _, _ = self.meeting(kind, codes, starts, ends, times)
        found = np.zeros(len(codes))
        found[query] = 1.0
        return found

    def covered(self, kind: str, codes: Ints, starts: Ints, ends: Ints, times: Ints) -> Floats:
        """1 where a window lies within one entry from beginning to end, else 0."""
        query, _, overlap = self.meeting(kind, codes, starts, ends, times)
        found = np.zeros(len(codes))
        length = np.maximum(ends - starts, 1)
        found[query[overlap == length[query]]] = 1.0
        return found

    def days_until(self, kind: str, codes: Ints, starts: Ints, _: Ints, times: Ints) -> Floats:
        """Days from the start of a window to that of the next entry, 0 inside one; NaN where none
        begins within ``AHEAD``.
        """
        query, entry, _overlap = self.meeting(kind, codes, starts, starts + AHEAD, times)
        days = np.maximum(self._starts[entry] - starts[query], 0) / instants.DAY
        found = np.full(len(codes), np.inf)
        np.minimum.at(found, query, days)
        return np.where(np.isinf(found), np.nan, found)
