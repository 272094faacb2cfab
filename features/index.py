"""The sorted index: how many events of an entity lie in a window of time, for many at once.

Events are sorted once by (stream and kind of entity, entity, time). A count over a window is the
difference of two binary-search positions; "the last one before" is the position before. All windows
are half-open, ``[t - window, t)``: an event at the very moment asked about is not known yet.

A large base never changes. What comes later lies in small segments beside it, where an event may
also take an earlier one back.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby, islice

import numpy as np

from features.counting import (
    Answered,
    Counted,
    Moments,
    Several,
    of_one_slot,
    with_and_without,
)
from features.instants import MISSING, NEVER
from features.ordering import in_order
from features.search import add_counts, add_several, newest_of, own_events
from features.segment import (
    NAME_BITS,
    NO_EVENTS,
    NONE,
    Events,
    Ints,
    Segment,
    among,
    axis_of,
    distinct,
)
from features.sweep import Cursors

MERGE_AT = 1_024
"""Events the last segment may hold before it is closed."""

RATIO = 4
"""A segment is merged with the one before it unless that is so many times larger."""

NEWEST = 64
"""Events of an entity that are looked up at once, newest first."""

Slot = tuple[str, str]
"""A stream and a vocabulary."""


class EventIndex:
    """A large sorted base and small segments of what came since.

    Parameters
    ----------
    slots : sequence of (str, str)
        The streams and vocabularies, by their numbers.
    base : Segment

    Attributes
    ----------
    segments : list of Segment
        Those that hold anything.
    """

    def __init__(self, slots: Sequence[Slot], base: Segment) -> None:
        self.slots = {slot: number for number, slot in enumerate(slots)}
        self.base = base
        self._tails: list[Segment] = []
        self.segments = [base] if len(base) else []
        self._taken = np.zeros(0, np.int64)

    @classmethod
    def of(cls, events: Mapping[Slot, Events], *, owned: bool = True) -> EventIndex:
        """An index of some events; of those that belong to nobody, none is looked for by owner."""
        slots = list(events)
        axis = axis_of(one.time for one in events.values())
        numbered = ((number, events[slot]) for number, slot in enumerate(slots))
        streams = {number: number for number in range(len(slots)) if owned}
        return cls(slots, Segment.of_slots(axis, numbered, streams))

    def append(self, events: Events) -> None:
        """Add events whose codes are entities, as :func:`numbered` gives them; they count from now
        on.
        """
        if not len(events.code):
            return
        parts = [events]
        if self._tails and len(self._tails[-1]) < MERGE_AT:
            parts.append(self._tails.pop().events())
        self._tails.append(Segment.of(Events.concatenate(parts).netted()))
        while (
            len(self._tails) > 1
            and len(self._tails[-1]) >= MERGE_AT
            and len(self._tails[-2]) < RATIO * len(self._tails[-1])
        ):
            pair = [self._tails.pop().events(), self._tails.pop().events()]
            self._tails.append(Segment.of(Events.concatenate(pair).netted()))
        taken = [tail.taken for tail in self._tails]
        self._taken = distinct(np.concatenate(taken))
        self.segments = [segment for segment in (self.base, *self._tails) if len(segment)]

    def stream(self, stream: str, vocabulary: str) -> StreamIndex:
        """The part of one stream and one kind of entity.

        Raises
        ------
        KeyError
            If the index does not hold it.
        """
        return StreamIndex(self, self.slots[stream, vocabulary])

    def counts(
        self,
        counted: Counted,
        codes: Ints,
        moments: Moments,
        owners: Ints,
        rows: Ints | None = None,
    ) -> Ints:
        """Events of each entity in windows before each moment; see :meth:`ask`."""
        return self.ask(counted, codes, moments, owners, rows)[0]

    def ask(
        self,
        counted: Counted,
        codes: Ints,
        moments: Moments,
        owners: Ints,
        rows: Ints | None = None,
        cursors: Cursors | None = None,
    ) -> tuple[Ints, Ints]:
        """Events of each entity in windows before each moment, and the last of them.

        Parameters
        ----------
        counted : Counted
            c streams and windows, and l streams of which the last event is asked for.
        codes : ndarray of int64, shape (n,)
            Names; -1 for an unknown one, which counts nothing.
        moments : Moments
        owners : ndarray of int64, shape (moments,)
            Owner to leave out (-1: nobody).
        rows : ndarray of int64, shape (n,), optional
            Which moment each question is about; by default one each, in their order.
        cursors : Cursors, optional
            Of the base for these streams and windows, where no question's moment lies before that
            of the one before it.

        Returns
        -------
        counts, last : ndarray of int64, shapes (c, n) and (l, n)
            Numbers, and microseconds, ``MISSING`` where there is no event.
        """
        rows = np.arange(len(codes)) if rows is None else rows
        total = np.zeros((len(counted.of), len(codes)), np.int64)
        last = np.full((len(counted.last), len(codes)), MISSING)
        order = NONE
        for segment in self.segments:
            if cursors is not None and segment is self.base:
                cursors.counts(total, last, rows, codes, owners, moments.ranks(segment))
                continue
            order = order if len(order) else in_order(codes)
            add_counts(
                total,
                last,
                *segment.searched,
                counted.entities,
                counted.without,
                counted.first,
                counted.window,
                counted.last_of,
                order,
                rows,
                codes,
                owners,
                moments.ranks(segment),
            )
        if len(self._taken):
            self._look_again(last, counted, codes, moments, owners, rows)
        return total, last

    def ask_several(
        self,
        several: Several,
        codes: Ints,
        rows: Ints,
        ends: Ints,
        moments: Moments,
        owners: Ints,
    ) -> Answered:
        """The same for several kinds of questions, each with its own names; where there are few
        it takes a fraction of the time.

        Parameters
        ----------
        codes, rows : ndarray of int64
            Those of each kind, one kind after another.
        ends : ndarray of int64, shape (kinds + 1,)
            Where the questions of each kind begin, and those of the last end.
        """
        found = Answered.zero(several, rows, ends)
        for segment in self.segments:
            add_several(
                found.total,
                found.last,
                *segment.searched,
                *several.joined,
                several.bounds,
                found.ends,
                rows,
                codes,
                owners,
                moments.times,
                moments.ranks(segment),
            )
        if len(self._taken):
            of_kind = np.split(codes, ends[1:-1]), np.split(rows, ends[1:-1])
            for asked in zip(found.each, several.each, *of_kind, strict=True):
                (_, last), counted, own_codes, own_rows = asked
                self._look_again(last, counted, own_codes, moments, owners, own_rows)
        return found

    def _look_again(
        self,
        last: Ints,
        counted: Counted,
        codes: Ints,
        moments: Moments,
        owners: Ints,
        rows: Ints,
    ) -> None:
        """Mend the last events of entities of which an event was taken back."""
        for number, slot in enumerate(counted.last.tolist()):
            entity, own = int(counted.entities[slot]), bool(counted.own[slot])
            taken = among(entity + codes, self._taken) & (codes >= 0)
            for at in np.flatnonzero(taken).tolist():
                until = int(moments.times[rows[at]])
                owner = int(owners[rows[at]]) if own else -1
                newest = self.newest(entity + int(codes[at]), MISSING, until, owner)
                last[number, at] = next((time for time, _ in newest), MISSING)

    def owned(self, slots: Iterable[int], codes: Ints, owners: Ints, until: Ints) -> Ints:
        """Number of the owners' own events of each entity before ``until``, by slot."""
        counted = with_and_without(tuple(slots))
        found = self.counts(counted, codes, Moments(until, [None]), owners)
        return found[::2] - found[1::2]

    def newest(self, entity: int, since: int, until: int, owner: int) -> Iterator[tuple[int, int]]:
        """Events of one entity as (time, owner), newest first, without one owner's."""
        if len(self._taken) and among(np.array([entity]), self._taken)[0]:
            return self._newest_left(entity, since, until, owner)
        parts = [newest_of(*s.looked_up, entity, since, until, NEWEST) for s in self.segments]
        if any(len(times) >= NEWEST for times, _ in parts):
            return self._newest_of_all(entity, since, until, owner)
        pairs = (zip(times.tolist(), owners.tolist(), strict=True) for times, owners in parts)
        events = sorted(dict.fromkeys(chain.from_iterable(pairs)), reverse=True)
        return (event for event in events if event[1] != owner)

    def _newest_of_all(
        self, entity: int, since: int, until: int, owner: int
    ) -> Iterator[tuple[int, int]]:
        """The same of an entity of many events."""
        parts = (_backwards(segment, entity, since, until) for segment in self.segments)
        for (time, who), _ in groupby(heapq.merge(*parts)):
            if who != -owner:
                yield -time, -who

    def _newest_left(
        self, entity: int, since: int, until: int, owner: int
    ) -> Iterator[tuple[int, int]]:
        """The same where some of them were taken back."""
        parts = [segment.backwards(entity, since, until) for segment in self.segments]
        together = heapq.merge(*parts, key=lambda event: event[0])
        for time, events in groupby(together, key=lambda event: event[0]):
            total: Counter[int] = Counter()
            for _, who, weight in events:
                total[who] += weight
            for who in sorted((w for w, n in total.items() if n > 0 and w != owner), reverse=True):
                yield -time, who


def numbered(events: Iterable[tuple[Slot, Events]], slots: Mapping[Slot, int]) -> Events:
    """The events of many slots together, with entities as codes; without those of no slot known.

    Parameters
    ----------
    slots : mapping of (str, str) to int
        The slots' numbers.
    """
    parts = [
        one._replace(code=one.code + (slots[slot] << NAME_BITS))
        for slot, one in events
        if slot in slots
    ]
    return Events.concatenate([NO_EVENTS, *parts])


def _backwards(segment: Segment, entity: int, since: int, until: int) -> Iterator[tuple[int, int]]:
    """Events of one entity as (-time, -owner) in ascending order; none of them was taken back."""
    asked = NEWEST
    while asked == NEWEST:
        times, owners = newest_of(*segment.looked_up, entity, since, until, NEWEST)
        yield from zip((-times).tolist(), (-owners).tolist(), strict=True)
        asked = min(len(times), NEWEST)
        until = int(times[-1]) if asked else until


@dataclass(frozen=True)
class StreamIndex:
    """One stream of events, for one kind of entity."""

    index: EventIndex
    slot: int

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
        counted = of_one_slot(self.slot, len(windows))
        found: Ints = self.index.counts(counted, codes, Moments(times, windows), owners)
        return dict(zip(windows, found, strict=True))

    def last_before(self, codes: Ints, times: Ints, owners: Ints) -> Ints:
        """Time of the last event before each time, the owner's own left out."""
        found: Ints = self.index.ask(of_one_slot(self.slot, 0), codes, Moments(times), owners)[1][0]
        return found

    def owned(self, codes: Ints, owners: Ints, until: Ints) -> Ints:
        """Number of the owners' own events of each entity before ``until``."""
        found: Ints = self.index.owned([self.slot], codes, owners, until)[0]
        return found

    def newest(
        self, code: int, time: int, window: int | None, owner: int
    ) -> Iterator[tuple[int, int]]:
        """Events of one entity in a window before a time as (time, owner), newest first."""
        since = MISSING if window is None else time - window
        entity = (self.slot << NAME_BITS) + code
        return self.index.newest(entity, since, time, owner)

    def recent(self, code: int, time: int, window: int | None, owner: int, limit: int) -> list[int]:
        """Owners of the last events of one entity in a window, newest first."""
        return [who for _, who in islice(self.newest(code, time, window, owner), limit)]

    def own_times(self, code: int, owners: Sequence[int]) -> list[int]:
        """When each owner's event of an entity became known; the greatest moment for none."""
        entity, every = (self.slot << NAME_BITS) + code, np.array(owners, np.int64)
        total: Counter[tuple[int, int]] = Counter()
        for segment in self.index.segments:
            for whose, time, weight in own_events(*segment.searched, entity, every):
                total[whose, time] += weight
        first = [NEVER] * len(owners)
        for (whose, time), weight in total.items():
            if weight > 0:
                first[whose] = min(first[whose], time)
        return first
