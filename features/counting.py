"""What an index is asked to count, in which windows, and where the last ones were found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.columns import MANY
from features.instants import MISSING
from features.segment import NAME_BITS, NONE, Ints, Segment


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
        self._known_edges: Ints | None = None
        self._ranks: dict[int, NDArray[np.signedinteger[Any]]] = {}

    def _edges(self) -> Ints:
        """The moments, and under them the windows' beginnings."""
        if self._known_edges is None:
            edges = np.empty((1 + len(self.windows), len(self.times)), np.int64)
            edges[0] = self.times
            for number, window in enumerate(self.windows, 1):
                edges[number] = MISSING if window is None else self.times - window
            if len(self.times) >= MANY:
                return edges
            self._known_edges = edges
        return self._known_edges

    def part(self, low: int, high: int) -> Moments:
        """Some of the moments that follow one another."""
        made = Moments(self.times[low:high], self.windows)
        made._ranks.update((key, found[:, low:high]) for key, found in self._ranks.items())
        return made

    def ranks(self, segment: Segment) -> Ints:
        """Ranks of the moments and of the windows' beginnings, shape (1 + windows, n)."""
        # The segment outlives the question, so its address stands for it.
        found = self._ranks.get(id(segment))
        if found is None:
            ranks = segment.ranks_of(self._edges())
            # Of a million moments in half the room.
            found = ranks if len(self.times) < MANY else ranks.astype(np.int32)
            self._ranks[id(segment)] = found
        return found.astype(np.int64, order="C", copy=False)


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
    def without(self) -> Ints:
        """The slots, -1 where an owner's own events count, too."""
        return np.where(self.own, self.slots, -1)

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


@dataclass(frozen=True)
class Several:
    """What to count for several kinds of questions, one kind after another.

    Parameters
    ----------
    each : tuple of Counted
    """

    each: tuple[Counted, ...]

    @cached_property
    def joined(self) -> tuple[Ints, Ints, Ints, Ints, Ints]:
        """Entities, slots without own events, first counts, windows and places of last ones of all
        of them.
        """
        names = ("entities", "without", "first", "window", "last_of")
        parts = ([getattr(one, name) for one in self.each] for name in names)
        entities, own, first, window, last_of = (np.concatenate([NONE, *part]) for part in parts)
        return entities, own, first, window, last_of

    @cached_property
    def bounds(self) -> Ints:
        """Where the slots, counts and last events of each begin, and those after the last end."""
        sizes = [(len(one.slots), len(one.of), len(one.last)) for one in self.each]
        found: Ints = np.cumsum([(0, 0, 0), *sizes], axis=0)
        return found

    @cached_property
    def sizes(self) -> Ints:
        """Counts and last events of each, shape (kinds, 2)."""
        return np.array([(len(one.of), len(one.last)) for one in self.each], np.int64)


@dataclass(frozen=True)
class Answered:
    """Counts and last events' moments for several kinds of questions, one kind after another.

    Parameters
    ----------
    rows : ndarray of int64
        Which moment each question is about.
    ends : ndarray of int64, shape (kinds + 1,)
        Where the questions of each kind begin, and those of the last end.
    sizes : ndarray of int64, shape (kinds, 2)
        Counts and last events of each kind.
    total, last : ndarray of int64
        Every count for every question of the first kind, and so on.
    """

    rows: Ints
    ends: Ints
    sizes: Ints
    total: Ints
    last: Ints

    @classmethod
    def zero(cls, several: Several, rows: Ints, ends: Ints) -> Answered:
        """Room for the answers."""
        totals, lasts = ((ends[1:] - ends[:-1]) @ several.sizes).tolist()
        total, last = np.zeros(totals, np.int64), np.empty(lasts, np.int64)
        last.fill(MISSING)
        return cls(rows, ends, several.sizes, total, last)

    @cached_property
    def each(self) -> list[tuple[Ints, Ints]]:
        """The answers of each kind, shapes (c, n) and (l, n)."""
        found, totals, lasts = [], 0, 0
        ends = self.ends.tolist()
        for (wide, deep), begin, end in zip(self.sizes.tolist(), ends, ends[1:], strict=False):
            width = end - begin
            until, after = totals + wide * width, lasts + deep * width
            total, last = self.total[totals:until], self.last[lasts:after]
            found.append((total.reshape(wide, width), last.reshape(deep, width)))
            totals, lasts = until, after
        return found


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
