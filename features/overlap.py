"""Planned windows: which of them overlap a given span, as the schedule was known at a moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from features.columns import MANY
from features.meetings import begins_of, classes_of, meeting
from features.ordering import APART
from features.segment import ENTITY_BITS, NONE, Ints, among, distinct

DOUBLINGS = 6
"""By how many powers of two the longest and the shortest windows of a class may differ."""

SPARSE = 1_024
"""Windows to a question from which on a name's are searched for among all."""


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
    axis : ndarray of int64
        All starts, each once, in order.
    keys : ndarray of int64
        Class of length, entity and rank of the start as one integer, in order.
    longest : ndarray of int64
        The longest window of each class, microseconds.
    ends, known, superseded : ndarray of int64
        Of each window, in the order of the keys.
    owner : ndarray of int32
        Whose it is, likewise.
    """

    def __init__(
        self,
        axis: Ints,
        keys: Ints,
        longest: Ints,
        ends: Ints,
        known: Ints,
        superseded: Ints,
        owner: NDArray[np.int32],
    ) -> None:
        self.axis = axis
        self.keys = keys
        self.longest = longest
        self.ends = ends
        self.known = known
        self.superseded = superseded
        self.owner = owner
        self._forgotten = np.zeros(0, np.int64)

    @classmethod
    def of(cls, windows: Windows) -> OverlapIndex:
        """An index of some windows."""
        ends = np.maximum(windows.ends, windows.starts + 1)
        keys, longest = classes_of(ends - windows.starts, DOUBLINGS)
        axis = distinct(windows.starts)
        keys = (keys << ENTITY_BITS | windows.code) * (len(axis) + 1)
        keys += np.searchsorted(axis, windows.starts)
        order = np.argsort(keys, kind="stable")
        return cls(
            axis,
            keys[order],
            longest,
            ends[order],
            windows.known[order],
            windows.superseded[order],
            windows.owner[order].astype(np.int32),
        )

    def __len__(self) -> int:
        return len(self.keys)

    def arrays(self) -> dict[str, NDArray[np.int32] | Ints]:
        """All it is made of, by name."""
        return {name: array for name, array in vars(self).items() if name in _ARRAYS}

    def windows_with(self, more: Windows) -> Windows:
        """The windows of this index, without the forgotten ones, and more."""
        owner = self.owner.astype(np.int64)
        kept = np.flatnonzero(~among(owner, self._forgotten))
        held = Windows(
            self.keys[kept] // self._stride & (1 << ENTITY_BITS) - 1,
            self._starts(kept),
            self.ends[kept],
            self.known[kept],
            self.superseded[kept],
            owner[kept],
        )
        return Windows.concatenate([held, more])

    @property
    def _stride(self) -> int:
        return len(self.axis) + 1

    def _starts(self, places: Ints) -> Ints:
        return self.axis[self.keys[places] % self._stride]

    @cached_property
    def _coarse(self) -> Ints:
        return self.keys[::APART].copy()

    @cached_property
    def _near(self) -> tuple[NDArray[np.int32], Ints]:
        """Where the windows of every name were last looked for, by many questions."""
        return begins_of(self.keys, self._stride, len(self.longest))

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
        query, at, owner = self._met(codes, rows, starts, ends, times, owners)
        if not len(query):
            return NONE, NONE, NONE
        row, ends = rows[query], np.maximum(ends, starts + 1)
        first = np.maximum(self._starts(at), starts[row])
        return query, owner, np.minimum(self.ends[at], ends[row]) - first

    def others(
        self, codes: Ints, rows: Ints, starts: Ints, ends: Ints, times: Ints, owners: Ints
    ) -> tuple[Ints, Ints]:
        """Question and owner of the same windows."""
        query, _, owner = self._met(codes, rows, starts, ends, times, owners)
        return query, owner

    def _met(
        self, codes: Ints, rows: Ints, starts: Ints, ends: Ints, times: Ints, owners: Ints
    ) -> tuple[Ints, Ints, Ints]:
        """Questions, places of the windows that overlap theirs, and whose these are."""
        if not len(self.keys) or not (codes >= 0).any():
            return NONE, NONE, NONE
        ends = np.maximum(ends, starts + 1)
        many = len(codes) >= max(MANY, len(self.keys) // SPARSE)
        query, at, owner = meeting(
            self.keys,
            self._stride,
            NONE if many else self._coarse,
            self._near if many else (_NOWHERE, NONE),
            (self.ends, self.known, self.superseded, self.owner),
            (self.axis.searchsorted(starts - self.longest[:, None]), self.axis.searchsorted(ends)),
            (codes, rows, starts, times, owners),
        )
        if len(self._forgotten):
            keep = ~among(owner, self._forgotten)
            query, at, owner = query[keep], at[keep], owner[keep]
        return query, at, owner


_NOWHERE = np.zeros(0, np.int32)

_ARRAYS = frozenset(("axis", "keys", "longest", "ends", "known", "superseded", "owner"))
