"""What an index is asked to count, in which windows, and where the last ones were found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from features.instants import MISSING
from features.segment import NAME_BITS, NONE, Ints, Segment, pair_of

if TYPE_CHECKING:
    from features.state import FeatureState

_BITS = 16
"""Streams of which whose events were passed can be noted."""


class Moments:
    """Moments asked about, and the beginnings of windows before them.

    Parameters
    ----------
    times : ndarray of int64, shape (n,)
        Microseconds.
    windows : sequence of int or None
        Lengths in microseconds; None reaches back to the beginning.
    """

    def __init__(self, times: Ints, windows: Sequence[int | None] = ()) -> None:
        self.times = times
        self.windows = tuple(windows)
        self._ranks: dict[int, Ints] = {}

    @cached_property
    def _edges(self) -> Ints:
        """The moments, and under them the windows' beginnings."""
        edges = np.empty((1 + len(self.windows), len(self.times)), np.int64)
        edges[0] = self.times
        for number, window in enumerate(self.windows, 1):
            edges[number] = MISSING if window is None else self.times - window
        return edges

    def part(self, low: int, high: int) -> Moments:
        """Some of the moments that follow one another."""
        made = Moments(self.times[low:high], self.windows)
        ranks = ((key, found[:, low:high]) for key, found in self._ranks.items())
        made._ranks.update((key, np.ascontiguousarray(found)) for key, found in ranks)
        return made

    def ranks(self, segment: Segment) -> Ints:
        """Ranks of the moments and of the windows' beginnings, shape (1 + windows, n)."""
        # The segment outlives the question, so its address stands for it.
        found = self._ranks.get(id(segment))
        if found is None:
            found = self._ranks[id(segment)] = segment.ranks(self._edges)
        return found


@dataclass(frozen=True)
class Counted:
    """Streams and windows to count in, many at once.

    Parameters
    ----------
    slots : ndarray of int64, shape (s,)
        Numbers of the slots.
    own : ndarray of bool, shape (s,)
        Whether an owner's own events are left out.
    of, window : ndarray of int64, shape (c,)
        For every count, which of the slots, ascending, and which of the windows asked about.
    last : ndarray of int64, shape (l,), optional
        Those of the slots of which the last event is asked for, too.
    """

    slots: Ints
    own: NDArray[np.bool_]
    of: Ints
    window: Ints
    last: Ints = field(default_factory=lambda: NONE)

    @cached_property
    def entities(self) -> Ints:
        """By slot the entity of code 0."""
        return self.slots << NAME_BITS

    @cached_property
    def pairs(self) -> Ints:
        """By slot the pair of owner 0 and code 0; -1 where an owner's own events count, too."""
        return np.where(self.own, pair_of(self.slots * 0, self.entities), -1)

    @cached_property
    def first(self) -> Ints:
        """By slot its first count, and the number of them all."""
        return np.searchsorted(self.of, np.arange(len(self.slots) + 1))

    @cached_property
    def last_of(self) -> Ints:
        """By slot its place among those of which the last event is asked for; -1 for none."""
        found = np.full(len(self.slots), -1)
        found[self.last] = np.arange(len(self.last))
        return found


class Cursors:
    """Where the events of every code were found, for questions whose moments never go back.

    Of the next question most are found where they were for the one before, or close by.

    Parameters
    ----------
    codes, owners : int
        How many there are; no event may have a code or an owner beyond them.

    Raises
    ------
    ValueError
        If more streams are counted than there are bits to note whose events were passed.
    """

    def __init__(self, counted: Counted, codes: int, owners: int) -> None:
        if len(counted.slots) > _BITS:
            raise ValueError(f"expected at most {_BITS} streams, got {len(counted.slots)}")
        width = 2 * (len(counted.slots) + len(counted.of))
        self.held = np.zeros(codes * width, np.int32)
        self.seen = np.zeros(owners, np.uint16)


NOWHERE = Cursors(Counted(NONE, np.zeros(0, bool), NONE, NONE), 0, 0)
"""Nothing was looked for before."""


@cache
def of_one_slot(slot: int, windows: int) -> Counted:
    """All windows of one slot, without an owner's own events, or only the last event."""
    each = np.arange(windows)
    last = NONE if windows else np.zeros(1, np.int64)
    return Counted(np.array([slot]), np.array([True]), each * 0, each, last)


@cache
def with_and_without(slots: tuple[int, ...]) -> Counted:
    """All events of some slots up to a moment: of each slot with an owner's own, then without."""
    twice = np.repeat(np.array(slots), 2)
    own = np.arange(len(twice)) % 2 == 1
    return Counted(twice, own, np.arange(len(twice)), np.zeros(len(twice), np.int64))


class AllCursors:
    """Where the events of all entities were found, while a large table is made in order of time.

    Parameters
    ----------
    kept : bool
        Whether it is kept at all; for few questions it would cost more than it saves.
    """

    def __init__(self, kept: bool) -> None:
        self.kept = kept
        self._by_name: dict[str, Cursors] = {}

    def of(self, name: str, vocabulary: str, counted: Counted, state: FeatureState) -> Cursors:
        """Where the events of one kind of names were found, for what is asked under a name."""
        if not self.kept:
            return NOWHERE
        if name not in self._by_name:
            owners = len(state.vocabulary("change").names)
            self._by_name[name] = Cursors(counted, len(state.vocabulary(vocabulary).names), owners)
        return self._by_name[name]
