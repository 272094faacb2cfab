"""Which items hang together: dependencies and descriptions, as they were known at any moment.

A relation counts at ``t`` if it held and was known before ``t``. What a relation, a description or
a chain of two relations says therefore holds for a span ``(since, until]`` of moments, which
depends on no later fact. Spans are laid out once, by item; a question expands an item to its
neighbours by taking its spans that hold, and the number of items that depend on another is a count
of events like any other: one comes when a span begins, and goes when it ends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from features.columns import Columns
from features.index import EventIndex
from features.instants import MISSING, NEVER
from features.names import Vocabulary
from features.nearby import related
from features.segment import Events, Ints, distinct, spread

MOST_RELATED = 64
"""Neighbours of an item that are looked at, those known first; what is related to more (a switch
under everything) says little of any of them, and would cost most of the time.
"""

LEAST_CRITICAL = 5
"""Criticality from which on an item counts as least critical; 1 is the most critical."""


@dataclass(frozen=True)
class Spans:
    """Statements ``(left, right)`` and the moments for which they hold: ``since < t <= until``."""

    left: Ints
    right: Ints
    since: Ints
    until: Ints

    def take(self, rows: Ints) -> Spans:
        """The chosen rows."""
        return Spans(self.left[rows], self.right[rows], self.since[rows], self.until[rows])

    def turned(self) -> Spans:
        """The same, left and right exchanged."""
        return Spans(self.right, self.left, self.since, self.until)

    def plus(self, other: Spans) -> Spans:
        """These and others."""
        return Spans(
            *(
                np.concatenate([getattr(self, name), getattr(other, name)])
                for name in ("left", "right", "since", "until")
            )
        )

    def held(self) -> Spans:
        """Those that hold for any moment at all, between two different things."""
        return self.take(np.flatnonzero((self.since < self.until) & (self.left != self.right)))

    def united(self) -> Spans:
        """The same statements, those of one pair that meet or overlap made one."""
        if not len(self.left):
            return self
        width = int(self.right.max()) + 1
        pair = self.left * width + self.right
        order = np.lexsort((self.since, pair))
        pair, since = pair[order], self.since[order]
        ends, rank = np.unique(self.until[order], return_inverse=True)
        new_pair = np.concatenate([[True], pair[1:] != pair[:-1]])
        offset = np.cumsum(new_pair) * len(ends)
        # The latest end so far of the same pair: the offset grows with the pair.
        latest = ends[np.maximum.accumulate(rank + offset) - offset]
        begins = new_pair.copy()
        begins[1:] |= since[1:] > latest[:-1]
        first = np.flatnonzero(begins)
        last = np.append(first[1:], len(pair)) - 1
        return Spans(pair[first] // width, pair[first] % width, since[first], latest[last])

    def joined(self, other: Spans) -> Spans:
        """``(left, right of other)`` wherever this right is the other's left, while both hold."""
        by_left = other.take(np.argsort(other.left, kind="stable"))
        low = np.searchsorted(by_left.left, self.right, "left")
        row, at = spread(low, np.searchsorted(by_left.left, self.right, "right") - low)
        return Spans(
            self.left[row],
            by_left.right[at],
            np.maximum(self.since[row], by_left.since[at]),
            np.minimum(self.until[row], by_left.until[at]),
        ).held()

    def first_known(self, names: Ints) -> Spans:
        """By left, the ``MOST_RELATED`` of each that were known first; of equals by name.

        What is left out at a moment depends on nothing known later.
        """
        order = np.lexsort((names[self.right], self.since, self.left))
        left = self.left[order]
        place = np.arange(len(left)) - np.searchsorted(left, left)
        return self.take(order[place < MOST_RELATED])

    def events(self, weight: Ints | int = 1) -> Events:
        """One event where each begins, and one that takes it back where it ends."""
        given = np.broadcast_to(np.asarray(weight, np.int64), self.left.shape)
        ended = np.flatnonzero(self.until < NEVER)
        return Events(
            np.concatenate([self.left, self.left[ended]]),
            np.concatenate([self.since, self.until[ended]]),
            np.concatenate([self.right, self.right[ended]]),
            np.concatenate([given, -given[ended]]),
        )


@dataclass(frozen=True)
class Neighbours:
    """Spans laid out by their left side, to be looked up for many items at once.

    Parameters
    ----------
    first : ndarray of int64
        Where the spans of each item begin; at the end those of no item, none.
    right, since, until : ndarray of int64
        The spans.
    """

    first: Ints
    right: Ints
    since: Ints
    until: Ints

    @classmethod
    def of(cls, spans: Spans) -> Neighbours:
        """The given spans, in their order for each item."""
        spans = spans.take(np.argsort(spans.left, kind="stable"))
        size = int(spans.left.max(initial=-1)) + 2
        first = np.searchsorted(spans.left, np.arange(size + 1))
        return cls(first, spans.right, spans.since, spans.until)

    def expand(self, codes: Ints, times: Ints) -> tuple[Ints, Ints]:
        """What each item is related to before each moment, as (place in ``codes``, item)."""
        # Codes that are unknown, or were learnt later, stand for the empty range at the end.
        known = np.where((codes >= 0) & (codes < len(self.first) - 1), codes, len(self.first) - 2)
        low = self.first[known]
        row, at = spread(low, self.first[known + 1] - low)
        holds = (self.since[at] < times[row]) & (times[row] <= self.until[at])
        return row[holds], self.right[at[holds]]


STREAMS = (
    "dependents",
    "dependent_services",
    "dependent_criticality",
    "criticality",
    "items",
)
"""Streams of what items and relations say; see :class:`Topology`."""

SLOTS = tuple((stream, "ci") for stream in STREAMS)
"""The same, each with the kind of entity that it tells of."""


class Topology:
    """The items of an organisation, what depends on what, and how critical it is.

    Parameters
    ----------
    hops : sequence of Neighbours
        By distance: what an item depends on and what depends on it; the same over one between.
    dependents : Neighbours
        What needs each item, directly or over one other.
    index : EventIndex
        The events of ``STREAMS``, for items. ``dependents`` and ``dependent_services``: items, and
        services they belong to, that need an item, directly or over one other.
        ``dependent_criticality``: the level of the most critical of those items. ``criticality``:
        the level of the item itself. A level is 5 for the most critical and 1 for the least.
        ``items``: the item was first described.
    """

    def __init__(
        self, hops: Sequence[Neighbours], dependents: Neighbours, index: EventIndex
    ) -> None:
        self.hops = tuple(hops)
        self.needed_by = dependents
        self.index = index

    @classmethod
    def of(cls, items: Columns, relations: Columns, names: Mapping[str, Vocabulary]) -> Topology:
        """What facts about items and relations say; each counts only once it was known.

        Parameters
        ----------
        items, relations : Columns
            All facts known.
        names : mapping of str to Vocabulary
            Numbers of items (``ci``) and services (``service``), learnt along the way.
        """
        edges = _related(relations, names["ci"])
        item, described = _described(items, names["ci"])
        rank = _ranks(names["ci"])
        needs = edges.first_known(rank)
        needed = edges.turned().first_known(rank)
        chains = needed.turned().joined(needs)
        beside, beyond = (spans.plus(spans.turned()).united() for spans in (edges, chains))
        dependents = edges.turned().plus(chains.turned()).united()
        level = _levels(items)
        events = (
            [dependents.events()],
            [_services(dependents, items, described, names["service"])],
            list(_criticality(dependents, described, level)),
            [described.events(level[described.right])],
            [_first_described(item, items.times("known_at"))],
        )
        joined = (Events.concatenate(parts) for parts in events)
        return cls(
            [Neighbours.of(spans.first_known(rank)) for spans in (beside, beyond)],
            Neighbours.of(dependents),
            EventIndex.of(dict(zip(SLOTS, joined, strict=True)), owned=False),
        )

    def around(self, rows: Ints, codes: Ints, times: Ints, hops: int) -> tuple[Ints, Ints]:
        """Neighbours of the items of some changes, each once a change, as (change, item).

        Parameters
        ----------
        rows, codes : ndarray of int64, shape (n,)
            Changes in ascending order, and an item of each.
        times : ndarray of int64, shape (changes,)
            The moment of each change.
        hops : int
            1: what an item depends on, and what depends on it. 2: the same over one item between.
            Items that the change itself names are left out.
        """
        one = self.hops[hops - 1]
        return related(one.first, one.right, one.since, one.until, rows, codes, times)

    def dependents(self, codes: Ints, times: Ints) -> Ints:
        """Items that need any of some items, directly or over one other, each once."""
        return distinct(self.needed_by.expand(codes, times)[1])


def _related(relations: Columns, items: Vocabulary) -> Spans:
    """``(parent, child)`` while the parent depends on the child: of each relation the last word
    known, and one span where several kinds of relation say so.
    """
    named = np.array(
        [bool(p and c) for p, c in zip(relations["parent"], relations["child"], strict=True)], bool
    )
    table = relations.take(np.flatnonzero(named))
    parent, child = items.learn(table["parent"]), items.learn(table["child"])
    kind = Vocabulary().learn(table["kind"])
    known = table.times("known_at")
    order = np.lexsort((np.arange(len(known)), known, kind, child, parent))
    parent, child, kind, known = parent[order], child[order], kind[order], known[order]
    same = (parent[1:] == parent[:-1]) & (child[1:] == child[:-1]) & (kind[1:] == kind[:-1])
    ended = table.times("ended_at")[order]
    until = np.minimum(_superseded(known, same), np.where(ended == MISSING, NEVER, ended))
    since = np.maximum(known, table.times("occurred_at")[order])
    return Spans(parent, child, since, until).held().united()


def _described(items: Columns, names: Vocabulary) -> tuple[Ints, Spans]:
    """Item of every row, and ``(item, row of its description)`` while that is the last word."""
    code, known = names.learn(items["ci"]), items.times("known_at")
    order = np.lexsort((np.arange(len(known)), known, code))
    same = code[order][1:] == code[order][:-1]
    until = _superseded(known[order], same)
    spans = Spans(code[order], order, known[order], until)
    return code, spans.take(np.flatnonzero(spans.since < spans.until))


def _superseded(known: Ints, same: Ints) -> Ints:
    """When the next word on the same thing became known; rows of one thing stand together."""
    until = np.full(len(known), NEVER)
    until[:-1][same] = known[1:][same]
    return until


def _ranks(names: Vocabulary) -> Ints:
    """The place of every name in their order: numbers depend on what was read first."""
    return np.unique(np.array(names.names, dtype=str), return_inverse=True)[1].astype(np.int64)


def _levels(items: Columns) -> Ints:
    """Criticality of every description as a level: 5 most critical, 1 least, 0 not said."""
    said = items.numbers("criticality")
    level = LEAST_CRITICAL + 1 - np.clip(np.nan_to_num(said, nan=1.0), 1, LEAST_CRITICAL)
    return np.where(np.isnan(said), 0, level).astype(np.int64)


def _services(dependents: Spans, items: Columns, described: Spans, names: Vocabulary) -> Events:
    """Services of the dependents of each item, each counted once."""
    service = np.full(len(items), -1)
    named = np.flatnonzero([bool(name) for name in items["service"]])
    service[named] = names.learn(items["service"][named])
    told = described.take(np.flatnonzero(service[described.right] >= 0))
    belongs = Spans(told.left, service[told.right], told.since, told.until)
    return _over(dependents, belongs).united().events()


def _criticality(dependents: Spans, described: Spans, level: Ints) -> list[Events]:
    """For each level an event where a dependent that critical comes: their number is the level."""
    found = _over(dependents, described)
    reached = level[found.right]
    return [
        Spans(part.left, np.zeros_like(part.left), part.since, part.until).united().events()
        for part in (
            found.take(np.flatnonzero(reached >= one)) for one in range(1, LEAST_CRITICAL + 1)
        )
    ]


def _over(dependents: Spans, described: Spans) -> Spans:
    """``(item, what is said of a dependent of it)``; the two are not of one kind."""
    shift = int(dependents.left.max(initial=0)) + 1
    apart = Spans(described.left, described.right + shift, described.since, described.until)
    found = dependents.joined(apart)
    return Spans(found.left, found.right - shift, found.since, found.until)


def _first_described(code: Ints, known: Ints) -> Events:
    order = np.lexsort((known, code))
    _, first = np.unique(code[order], return_index=True)
    rows = order[first]
    return Events.of(code[rows], known[rows], code[rows])
