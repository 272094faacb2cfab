"""Planned windows: which of them overlap a given span, as the schedule was known at a moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from features.search import classes_of, meeting
from features.segment import ENTITY_BITS, NONE, Ints, among, distinct

DOUBLINGS = 4
"""By how many powers of two the longest and the shortest windows of a class may differ."""


@dataclass(frozen=True)
class Windows:
    """Planned spans of time of entities: from when on each was known, and until when it held."""

    code: Ints
    starts: Ints
    ends: Ints
    known: Ints
    superseded: Ints
    owner: Ints

    def take(self, rows: Ints) -> Windows:
        """The chosen rows."""
        return Windows(*(getattr(self, field.name)[rows] for field in fields(self)))

    @classmethod
    def concatenate(cls, parts: Sequence[Windows]) -> Windows:
        """All windows of several sets."""
        return cls(
            *(
                np.concatenate([getattr(part, field.name) for part in parts])
                for field in fields(cls)
            )
        )


class OverlapIndex:
    """Which planned windows of an entity overlap a given one, as the schedule was known then.

    Windows are kept in classes of length, so that a long one does not make candidates of all the
    short ones before a query; each class is one more search. A window without length lasts a
    microsecond, so that two of the same moment overlap.

    Parameters
    ----------
    windows : Windows
        In the order of ``keys``, which :meth:`of` finds.
    axis : ndarray of int64
        All starts, each once, in order.
    keys : ndarray of int64
        Class of length, entity and rank of the start as one integer, in order.
    longest : ndarray of int64
        The longest window of each class, microseconds.
    """

    def __init__(self, windows: Windows, axis: Ints, keys: Ints, longest: Ints) -> None:
        self.windows = windows
        self.axis = axis
        self.keys = keys
        self.longest = longest
        self._forgotten = np.zeros(0, np.int64)

    @classmethod
    def of(cls, windows: Windows) -> OverlapIndex:
        """An index of some windows."""
        ends = np.maximum(windows.ends, windows.starts + 1)
        number, longest = classes_of(ends - windows.starts, DOUBLINGS)
        axis = distinct(windows.starts)
        rank = np.searchsorted(axis, windows.starts)
        keys = (number << ENTITY_BITS | windows.code) * (len(axis) + 1) + rank
        order = np.argsort(keys, kind="stable")
        held = Windows(
            windows.code, windows.starts, ends, windows.known, windows.superseded, windows.owner
        )
        return cls(held.take(order), axis, keys[order], longest)

    def windows_with(self, more: Windows) -> Windows:
        """The windows of this index, without the forgotten ones, and more."""
        kept = np.flatnonzero(~among(self.windows.owner, self._forgotten))
        return Windows.concatenate([self.windows.take(kept), more])

    def forget(self, owners: Ints) -> None:
        """Leave out all windows of some owners from now on."""
        self._forgotten = distinct(np.concatenate([self._forgotten, owners]))

    def pairs(
        self, codes: Ints, rows: Ints, starts: Ints, ends: Ints, times: Ints, owners: Ints
    ) -> tuple[Ints, Ints, Ints]:
        """Windows of others that overlap given ones, as known at a moment.

        Parameters
        ----------
        codes, rows, times, owners : ndarray of int64, shape (n,)
            The entity of each question (-1: unknown, meets nothing), which of the given windows it
            is about, the moment, microseconds, and whose windows do not count.
        starts, ends : ndarray of int64, shape (m,)
            The given windows, microseconds; no question may be about one without a start.

        Returns
        -------
        query, owner, overlap : ndarray of int64
            Place of the question, owner of the other window, microseconds of overlap.
        """
        if not len(self.keys) or not (codes >= 0).any():
            return NONE, NONE, NONE
        held, ends = self.windows, np.maximum(ends, starts + 1)
        since = self.axis.searchsorted(starts - self.longest[:, None])
        query, at = meeting(
            self.keys,
            len(self.axis) + 1,
            (held.starts, held.ends, held.known, held.superseded, held.owner),
            (since, self.axis.searchsorted(ends)),
            (codes, rows, starts, ends, times, owners),
        )
        if not len(query):
            return NONE, NONE, NONE
        if len(self._forgotten):
            keep = ~among(held.owner[at], self._forgotten)
            query, at = query[keep], at[keep]
        row = rows[query]
        first = np.maximum(held.starts[at], starts[row])
        return query, held.owner[at].astype(np.int64), np.minimum(held.ends[at], ends[row]) - first
