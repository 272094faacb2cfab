"""Events in order: one immutable array of them, in which a binary search finds a moment's place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from features.ordering import compiled, in_order, laid_out, ranks_in
from features.owned import OWNER_BITS, Owners, once

Ints = NDArray[np.int64]

NAME_BITS = 26
"""Bits of an entity's number that hold its name."""

ENTITY_BITS = NAME_BITS + 2
"""Bits of a name and of its kind, where planned windows are kept by them."""

SLOT_BITS = 6
"""Bits above them that hold its slot."""


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
        return cls(code, time, owner, np.broadcast_to(np.int64(weight), len(code)))

    @classmethod
    def concatenate(cls, parts: Sequence[Events]) -> Events:
        """All events of several sets."""
        if len(parts) == 1:
            return parts[0]
        return cls(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def netted(self) -> Events:
        """The same without the events that were taken back, and what took them back."""
        if (self.weight > 0).all():
            return self
        order = np.lexsort((self.owner, self.time, self.code))
        code, time, owner, weight = (array[order] for array in self)
        same = (np.diff(code) == 0) & (np.diff(time) == 0) & (np.diff(owner) == 0)
        first = np.flatnonzero(np.concatenate([[True], ~same]))
        total = np.add.reduceat(weight, first)
        kept = first[total != 0]
        return Events(code[kept], time[kept], owner[kept], total[total != 0])


NONE: Ints = np.zeros(0, np.int64)
"""No numbers at all."""

NO_EVENTS = Events.of(NONE, NONE, NONE)
"""Of a stream in which nothing happened."""


def axis_of(times: Iterable[Ints]) -> Ints:
    """All moments, each once, in order."""
    return distinct(np.concatenate([np.zeros(0, np.int64), *map(distinct, times)]))


def distinct(values: Ints) -> Ints:
    """Whole numbers in order, each once; NumPy's own way by hashes takes several times longer.

    Moments mostly come in runs that are in order already, which a stable sort only merges.
    """
    ordered = np.sort(values, kind="stable")
    new = np.ones(len(ordered), bool)
    new[1:] = ordered[1:] != ordered[:-1]
    return ordered[new]


def among(values: Ints, ordered: Ints) -> NDArray[np.bool_]:
    """Which of the values are among others, which are in order."""
    if not len(ordered):
        return np.zeros(len(values), bool)
    place = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    found: NDArray[np.bool_] = ordered[place] == values
    return found


def spread(low: Ints, counts: Ints) -> tuple[Ints, Ints]:
    """Every place of the ranges ``[low, low + count)``, as (number of the range, place)."""
    row = np.repeat(np.arange(len(low)), counts)
    return row, np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts - low, counts)


Directory = tuple[Ints, Ints, NDArray[np.int32]]
"""Where the events of every entity lie: ``listed``, ``first`` and ``begins`` of a segment."""


@compiled
def span_of(directory: Directory, entity: int) -> tuple[int, int]:
    """Where the events of an entity begin and end; an empty span for one without any."""
    listed, first, begins = directory
    if len(listed):
        at = int(np.searchsorted(listed, entity))
        if at == len(listed) or listed[at] != entity:
            return 0, 0
    elif len(first) and entity >= 0:
        slot = entity >> NAME_BITS
        at = first[slot] + (entity & (1 << NAME_BITS) - 1)
        if at >= first[slot + 1]:
            return 0, 0
    else:
        return 0, 0
    return int(begins[at]), int(begins[at + 1])


class Segment:
    """Events in the order of their entities and moments; nothing in it changes.

    Parameters
    ----------
    axis : ndarray of int64
        All moments of the events, each once, in order.
    listed : ndarray of int64
        The entities, in order; none where names are counted.
    first : ndarray of int64
        Where names are counted, by slot the number of its first; there ``begins`` has one for every
        name from code 0 on.
    begins : ndarray of int32
        Where the events of each entity begin, and where those of the last end.
    ranks : ndarray of int32
        Rank of each event's moment, by entity in order.
    owners : ndarray of int32
        Owner of each event; those of one entity and moment are in order where ``stream_of`` knows
        their slot.
    cumulated : ndarray of int64 or None
        Sums of the weights before each place; None where every weight is 1.
    owned, owned_at : ndarray of int64, of int32
        Stream and owner of the events as one integer, in order, and the rank of their moment: an
        owner's events are found by it, for in one stream all of them mostly have the same.
    stream_of : ndarray of int64
        By slot the number of its stream; -1 where an owner's own events are not looked for.
    """

    def __init__(
        self,
        axis: Ints,
        listed: Ints,
        first: Ints,
        begins: NDArray[np.int32],
        ranks: NDArray[np.int32],
        owners: NDArray[np.int32],
        cumulated: Ints | None,
        owned: Ints,
        owned_at: NDArray[np.int32],
        stream_of: Ints,
    ) -> None:
        self.axis = axis
        self.listed = listed
        self.first = first
        self.begins = begins
        self.ranks = ranks
        self.owners = owners
        self.cumulated = cumulated
        self.owned = owned
        self.owned_at = owned_at
        self.stream_of = stream_of

    @classmethod
    def of(cls, events: Events) -> Segment:
        """A segment of some events, whose codes are entities."""
        axis = axis_of([events.time])
        order = np.lexsort((events.owner, events.time, events.code))
        code, time, owner, weight = (array[order] for array in events)
        ranks = axis.searchsorted(time)
        ones = bool((weight == 1).all())
        cumulated = None if ones else np.concatenate([[0], np.cumsum(weight)])
        listed = distinct(code)
        begins = np.append(np.searchsorted(code, listed), len(code)).astype(np.int32)
        laid = ranks.astype(np.int32), owner.astype(np.int32)
        own = once((code >> NAME_BITS) << OWNER_BITS | owner, ranks)
        return cls(axis, listed, NONE, begins, *laid, cumulated, *own, np.arange(1 << SLOT_BITS))

    @classmethod
    def of_slots(
        cls, axis: Ints, slots: Iterable[tuple[int, Events]], streams: Mapping[int, int]
    ) -> Segment:
        """A segment of the events of many slots, in the order of their numbers.

        Parameters
        ----------
        axis : ndarray of int64
            Holds the moments of all events.
        streams : mapping of int to int
            The slots of which an owner's own events can be found, each with the number of its
            stream.

        Raises
        ------
        OverflowError
            If one kind has more names, or all have more events, than can be numbered.
        """
        ones, first = True, np.zeros((1 << SLOT_BITS) + 1, np.int64)
        begins, ranks_held, owners = (np.empty(0, np.int32) for _ in range(3))
        weights, own = [np.zeros(1, np.int64)], Owners()
        for slot, (code, time, owner, weight) in slots:
            names, place = int(code.max(initial=-1)) + 1, len(owners)
            _check_size(names, place + len(code))
            order, ranks = _in_order(code, time, axis)
            _grow((ranks_held, owners), len(order))
            _grow((begins,), names)
            first[slot + 1] = names
            laid = begins[len(begins) - names :], ranks_held[place:], owners[place:]
            alike = laid_out(order, code, ranks, owner, place, *laid)
            if slot in streams:
                own.note(streams[slot], owner, ranks)
                if not alike:
                    order = np.lexsort((owner, ranks, code))
                    laid_out(order, code, ranks, owner, place, *laid)
            # Not kept where all are 1, which those of changes and incidents are.
            weights.append(np.broadcast_to(np.int64(1), len(order)))
            if not (weight == 1).all():
                weights[-1], ones = weight[order], False
        cumulated = None if ones else np.cumsum(np.concatenate(weights))
        stream_of = np.full(1 << SLOT_BITS, -1)
        stream_of[list(streams)] = list(streams.values())
        begins = np.append(begins, np.int32(len(owners)))
        directory = NONE, np.cumsum(first), begins
        return cls(axis, *directory, ranks_held, owners, cumulated, *own.found(), stream_of)

    def __len__(self) -> int:
        return len(self.owners)

    @cached_property
    def directory(self) -> Directory:
        """Where the events of every entity lie, for the compiled searches."""
        return self.listed, self.first, self.begins

    @cached_property
    def searched(
        self,
    ) -> tuple[
        Directory,
        Ints,
        NDArray[np.int32],
        NDArray[np.int32],
        Ints,
        tuple[Ints, NDArray[np.int32], Ints],
    ]:
        """What the compiled searches look through."""
        cumulated = NONE if self.cumulated is None else self.cumulated
        own = self.owned, self.owned_at, self.stream_of
        return self.directory, self.axis, self.ranks, self.owners, cumulated, own

    @cached_property
    def looked_up(self) -> tuple[Directory, Ints, NDArray[np.int32], NDArray[np.int32]]:
        """What single events are looked up in."""
        return self.directory, self.axis, self.ranks, self.owners

    def ranks_of(self, times: Ints) -> Ints:
        """Where moments stand among those of the events; soonest found for moments in order."""
        found: Ints = ranks_in(self.axis, times.ravel())
        return found.reshape(times.shape)

    def between(self, low: Ints, high: Ints) -> Ints:
        """Sum of the weights from one place to another."""
        if self.cumulated is None:
            return high - low
        return self.cumulated[high] - self.cumulated[low]

    def weights(self, places: Ints) -> Ints:
        """The weights of the events at some places."""
        return self.between(places, places + 1)

    @cached_property
    def taken(self) -> Ints:
        """Entities of which an event takes an earlier one back."""
        if self.cumulated is None:
            return NONE
        places = np.flatnonzero(self.weights(np.arange(len(self))) < 0)
        return self._entities[np.searchsorted(self.begins, places, "right") - 1]

    @property
    def _entities(self) -> Ints:
        """The entity of every beginning."""
        if not len(self.first):
            return self.listed
        names = np.diff(self.first)
        return np.concatenate([NONE, *(s << NAME_BITS | np.arange(n) for s, n in enumerate(names))])

    def events(self) -> Events:
        """All events, with entities as codes."""
        return Events(
            np.repeat(self._entities, np.diff(self.begins)),
            self.axis[self.ranks],
            self.owners.astype(np.int64),
            self.weights(np.arange(len(self))),
        )

    def backwards(self, entity: int, since: int, until: int) -> Iterator[tuple[int, int, int]]:
        """Events of one entity in ``[since, until)`` as (-time, owner, weight), newest first."""
        low, high = span_of(self.directory, entity)
        edges = self.axis.searchsorted([since, until])
        low, high = (low + self.ranks[low:high].searchsorted(edges)).tolist()
        for end in range(high, low, -64):
            places = np.arange(max(low, end - 64), end)[::-1]
            yield from zip(
                (-self.axis[self.ranks[places]]).tolist(),
                self.owners[places].tolist(),
                self.weights(places).tolist(),
                strict=True,
            )

    def names_in(self, slot: int) -> NDArray[np.int32]:
        """Where the events of every name of a slot begin, and where those of the last end; only
        where names are counted.
        """
        return self.begins[self.first[slot] : self.first[slot + 1] + 1]

    def owners_in(self, slot: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Ranks of the owners' own events in the stream of a slot, and where those of each owner
        begin.
        """
        first = int(self.stream_of[slot]) << OWNER_BITS
        low, high = np.searchsorted(self.owned, [first, first + (1 << OWNER_BITS)]).tolist()
        count = np.bincount(self.owned[low:high] - first)
        begins = np.zeros(len(count) + 1, np.int32)
        np.cumsum(count, out=begins[1:])
        return begins, self.owned_at[low:high]


def _check_size(names: int, events: int) -> None:
    if names > 1 << NAME_BITS:
        raise OverflowError(f"expected at most {1 << NAME_BITS:,} names of one kind, got {names:,}")
    if events > np.iinfo(np.int32).max:
        raise OverflowError(f"expected fewer than 2,147,483,648 events, got {events:,}")


def _grow(arrays: Iterable[NDArray[Any]], by: int) -> None:
    """Make arrays longer where they lie: joined from parts they would be held twice."""
    for array in arrays:
        array.resize(len(array) + by, refcheck=False)


def _in_order(code: Ints, time: Ints, axis: Ints) -> tuple[Ints, Ints]:
    """The order of events by code and time, and the rank of each moment."""
    if not (time[1:] < time[:-1]).any():
        return in_order(code), ranks_in(axis, time)
    by_time = np.argsort(time, kind="stable")
    ranks = np.empty(len(time), np.int64)
    ranks[by_time] = ranks_in(axis, time[by_time])
    return by_time[in_order(code[by_time])], ranks
