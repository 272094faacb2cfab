"""The sorted index: how many events of an entity lie in a window of time, for many at once.

Events are sorted once by (entity, time). A count over a window is the difference of two prefix sums
at two binary-search positions; "the last one before" is the position before. All windows are
half-open, ``[t - window, t)``: an event at the very moment asked about is not known yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.instants import MISSING

Ints = NDArray[np.int64]

FORGOTTEN: int = np.iinfo(np.int64).max
"""The moment from which a window that is left out would be known: none comes after it."""

MERGE_AT = 4_096
"""Events a tail may hold before it is merged into the base."""


class Events(NamedTuple):
    """Events of one stream and one kind of entity, in any order.

    Parameters
    ----------
    code : ndarray of int64
        The entity.
    time : ndarray of int64
        When the event became known, microseconds.
    owner : ndarray of int64
        The record the event tells of. One owner has at most one event an entity, apart from
        corrections.
    weight : ndarray of int64
        1, or -1 where the event takes an earlier one back.
    """

    code: Ints
    time: Ints
    owner: Ints
    weight: Ints

    @classmethod
    def of(cls, code: Ints, time: Ints, owner: Ints, weight: int = 1) -> Events:
        """Events that all carry one weight."""
        return cls(code, time, owner, np.full(len(code), weight, np.int64))

    @classmethod
    def concatenate(cls, parts: Sequence[Events]) -> Events:
        """All events of several sets."""
        return cls(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


class Segment:
    """Immutable sorted events."""

    def __init__(self, events: Events) -> None:
        order = np.lexsort((events.time, events.code))
        self.events = Events(*(array[order] for array in events))
        self._times = np.unique(events.time)
        # One integer for (entity, rank of the time): a single search finds both.
        self._stride = len(self._times) + 1
        rank = np.searchsorted(self._times, self.events.time)
        self._sorted = self.events.code * self._stride + rank
        self._cumulated = np.concatenate([[0], np.cumsum(self.events.weight)])
        self._owned, self._owned_order = self._by_owner()

    def _by_owner(self) -> tuple[Ints, Ints]:
        """(owner, code) of every event as one integer, sorted, and the events' places."""
        self._codes = int(self.events.code.max(initial=0)) + 1
        pairs = self.events.owner * self._codes + self.events.code
        order = np.argsort(pairs, kind="stable")
        return pairs[order], order

    def positions(self, codes: Ints, times: Ints) -> Ints:
        """Where events of ``codes`` at ``times`` would be put in, before those of equal time."""
        rank = np.searchsorted(self._times, times)
        return np.searchsorted(self._sorted, codes * self._stride + rank)

    def sum_before(self, positions: Ints) -> Ints:
        """Sum of the weights before each position, over all entities."""
        return self._cumulated[positions]

    def own(self, codes: Ints, owners: Ints, since: Ints, until: Ints) -> Ints:
        """Sum of the weights of the owner's own events of that entity in ``[since, until)``."""
        known = (codes >= 0) & (codes < self._codes) & (owners >= 0)
        if not known.any():
            return np.zeros(len(codes), np.int64)
        pairs = np.where(known, owners * self._codes + codes, -1)
        low = np.searchsorted(self._owned, pairs, "left")
        high = np.searchsorted(self._owned, pairs, "right")
        total = np.zeros(len(codes), np.int64)
        for step in range(int((high - low).max(initial=0))):
            rows = np.flatnonzero(low + step < high)
            at = self._owned_order[low[rows] + step]
            inside = (self.events.time[at] >= since[rows]) & (self.events.time[at] < until[rows])
            total[rows] += np.where(inside, self.events.weight[at], 0)
        return total

    def last_before(self, codes: Ints, times: Ints, owners: Ints) -> Ints:
        """Time of the last event of another owner before ``times``; ``MISSING`` for none."""
        first = self.positions(codes, np.full(len(codes), MISSING))
        place = self.positions(codes, times) - 1
        while True:
            own = (place >= first) & (self.events.owner[np.maximum(place, 0)] == owners)
            if len(place) == 0 or not own.any():
                break
            place = np.where(own, place - 1, place)
        found = place >= first
        return np.where(found, self.events.time[np.maximum(place, 0)], MISSING)


class EventIndex:
    """A large sorted base and a small sorted tail of what came since."""

    def __init__(self, events: Events) -> None:
        self._base = Segment(events)
        self._tail: Segment | None = None

    def append(self, events: Events) -> None:
        """Add events; they count from now on."""
        if not len(events.code):
            return
        parts = [events] if self._tail is None else [self._tail.events, events]
        tail = Events.concatenate(parts)
        if len(tail.code) < MERGE_AT:
            self._tail = Segment(tail)
        else:
            self._base = Segment(Events.concatenate([self._base.events, tail]))
            self._tail = None

    @property
    def _segments(self) -> list[Segment]:
        filled = [self._base] if len(self._base.events.code) else []
        return filled if self._tail is None else [*filled, self._tail]

    def counts(
        self, codes: Ints, times: Ints, windows: Sequence[int | None], owners: Ints
    ) -> dict[int | None, Ints]:
        """Events of each entity in each window before each time, the owner's own left out.

        Parameters
        ----------
        codes, times, owners : ndarray of int64, shape (n,)
            Entity (-1: unknown, counts nothing), moment in microseconds, owner to leave out (-1:
            nobody).
        windows : sequence of int or None
            Lengths in microseconds; None reaches back to the beginning.
        """
        totals: dict[int | None, Ints] = {w: np.zeros(len(codes), np.int64) for w in windows}
        for segment in self._segments:
            until = segment.sum_before(segment.positions(codes, times))
            for window in windows:
                since = np.full(len(codes), MISSING) if window is None else times - window
                from_ = segment.sum_before(segment.positions(codes, since))
                totals[window] += until - from_ - segment.own(codes, owners, since, times)
        return totals

    def last_before(self, codes: Ints, times: Ints, owners: Ints) -> Ints:
        """Time of the last event before each time, the owner's own left out."""
        last = np.full(len(codes), MISSING)
        for segment in self._segments:
            last = np.maximum(last, segment.last_before(codes, times, owners))
        return last

    def owned(self, codes: Ints, owners: Ints, since: Ints, until: Ints) -> Ints:
        """Number of the owners' own events of each entity in ``[since, until)``."""
        total = np.zeros(len(codes), np.int64)
        for segment in self._segments:
            total += segment.own(codes, owners, since, until)
        return total

    def recent(self, code: int, time: int, window: int | None, owner: int, limit: int) -> list[int]:
        """Owners of the last events of one entity in a window, newest first."""
        found: Counter[tuple[int, int]] = Counter()
        since = MISSING if window is None else time - window
        for segment in self._segments:
            ends = segment.positions(np.array([code, code]), np.array([since, time]))
            for at in range(int(ends[1]) - 1, int(ends[0]) - 1, -1):
                event = int(segment.events.time[at]), int(segment.events.owner[at])
                found[event] += int(segment.events.weight[at])
        newest = sorted((e for e, n in found.items() if n > 0 and e[1] != owner), reverse=True)
        return [who for _, who in newest[:limit]]


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
        return Windows(
            self.code[rows],
            self.starts[rows],
            self.ends[rows],
            self.known[rows],
            self.superseded[rows],
            self.owner[rows],
        )

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

    Windows are kept in classes of length (powers of two), so that the candidates of a query are
    never much more than twice its answers. A window without length lasts a microsecond, so that two
    of the same moment overlap.
    """

    def __init__(self, windows: Windows) -> None:
        windows = replace(windows, ends=np.maximum(windows.ends, windows.starts + 1))
        self._windows = windows
        length = windows.ends - windows.starts
        level = np.ceil(np.log2(length)).astype(np.int64)
        self._classes: list[tuple[int, Segment, Windows]] = []
        for exponent in np.unique(level):
            rows = np.flatnonzero(level == exponent)
            part = windows.take(rows)
            segment = Segment(Events.of(part.code, part.starts, np.arange(len(rows))))
            # The longest itself: a power of two found by a logarithm may be too small for it.
            longest = int(length[rows].max())
            self._classes.append((longest, segment, part.take(segment.events.owner)))

    def windows_with(self, more: Windows) -> Windows:
        """The windows of this index, without the forgotten ones, and more."""
        kept = np.flatnonzero(self._windows.known < FORGOTTEN)
        return Windows.concatenate([self._windows.take(kept), more])

    def forget(self, owners: Ints) -> None:
        """Leave out all windows of some owners from now on."""
        for windows in (self._windows, *(part for _, _, part in self._classes)):
            windows.known[np.isin(windows.owner, owners)] = FORGOTTEN

    def pairs(
        self, codes: Ints, starts: Ints, ends: Ints, times: Ints, owners: Ints
    ) -> tuple[Ints, Ints, Ints]:
        """Overlaps as (query row, owner of the other window, microseconds of overlap)."""
        ends = np.maximum(ends, starts + 1)
        found: list[tuple[Ints, Ints, Ints]] = []
        for longest, segment, windows in self._classes:
            low = segment.positions(codes, starts - longest)
            high = segment.positions(codes, ends)
            counts = np.maximum(high - low, 0)
            query = np.repeat(np.arange(len(codes)), counts)
            offset = np.arange(len(query)) - np.repeat(np.cumsum(counts) - counts, counts)
            at = low[query] + offset
            keep = (
                (windows.ends[at] > starts[query])
                & (windows.known[at] < times[query])
                & (windows.superseded[at] >= times[query])
                & (windows.owner[at] != owners[query])
            )
            query, at = query[keep], at[keep]
            overlap = np.minimum(windows.ends[at], ends[query]) - np.maximum(
                windows.starts[at], starts[query]
            )
            found.append((query, windows.owner[at], overlap))
        if not found:
            nothing = np.zeros(0, np.int64)
            return nothing, nothing, nothing
        query, owner, overlap = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
        return query, owner, overlap
