"""STEP 3. The table: one row a change, built only from facts known before its score time.

The same function builds the training table, one online row and a thousand what-if rows; training
and serving both call it, and nobody else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import instants, request
from features.calendar import Calendar
from features.catalogue import CATALOGUE, NAMES, Feature
from features.columns import Array, Columns
from features.entities import ENTITIES, ORGANISATION, Named
from features.index import Counted, Moments
from features.instants import MISSING
from features.segment import Ints
from features.state import FeatureState
from features.streams import CHANGE_STREAMS, RESOLVED, SLOTS, streams_of

SMOOTHING = 10.0
"""Weight of the global rate in a smoothed rate: as many imagined changes with the usual outcome.

A rate of an entity is ``(failed + SMOOTHING * usual) / (decided + SMOOTHING)``, where *usual* is
the rate of all changes over the last year as known at that moment [1]_.

.. [1] Micci-Barreca (2001), "A preprocessing scheme for high-cardinality categorical attributes",
   SIGKDD Explorations 3(1).
"""

CHUNK = 50_000
"""Changes looked at together, which bounds the memory."""

OWN = np.array([stream in CHANGE_STREAMS for stream, _ in SLOTS])
"""Slots of which a change never counts its own events; incidents have other owners."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class FeatureTable:
    """Features of changes, each at its own moment.

    Parameters
    ----------
    change_ids : ndarray of object, shape (n,)
    as_of : ndarray of int64, shape (n,)
        The moment each row speaks for, microseconds.
    values : ndarray of float64, shape (n, number of features)
        Columns in the order of the catalogue, NaN where not known.
    support : mapping of str to (ndarray, ndarray)
        For every rate: failures and decided changes behind it; where a change names several items,
        those of the item with the highest rate.
    names : tuple of str
        The columns.
    """

    change_ids: Array
    as_of: Ints
    values: Floats
    support: Mapping[str, tuple[Floats, Floats]]
    names: tuple[str, ...] = NAMES

    def to_frame(self) -> pd.DataFrame:
        """The table as a data frame, indexed by change."""
        frame = pd.DataFrame(self.values, columns=list(self.names), index=self.change_ids)
        frame.insert(0, "as_of", instants.micros_to_series(self.as_of).to_numpy())
        return frame.rename_axis("change_id")


@dataclass(frozen=True)
class _Plan:
    """What to ask the index for one entity: all counts at once, and where each answer stands."""

    entity: str
    features: tuple[tuple[int, Feature], ...]
    counted: Counted
    places: Mapping[tuple[str, int | None], int]


@cache
def _windows() -> tuple[int | None, ...]:
    """All windows any feature asks for, microseconds."""
    found = {_micros(feature.window_days) for feature in CATALOGUE} | {365 * instants.DAY}
    return tuple(sorted(found, key=lambda window: window or 0))


def _counted(
    wanted: Iterable[tuple[str, int | None]], vocabulary: str
) -> tuple[Counted, dict[tuple[str, int | None], int]]:
    """What to ask the index to count certain streams and windows, and the place of each answer."""
    pairs = sorted(
        {pair for pair in wanted if (pair[0], vocabulary) in SLOTS},
        key=lambda pair: (pair[0], pair[1] or 0),
    )
    streams = list(dict.fromkeys(stream for stream, _ in pairs))
    counted = Counted(
        np.array([SLOTS.index((stream, vocabulary)) for stream in streams], np.int64),
        np.array([stream in CHANGE_STREAMS for stream in streams], bool),
        np.array([streams.index(stream) for stream, _ in pairs], np.int64),
        np.array([_windows().index(window) for _, window in pairs], np.int64),
    )
    return counted, {pair: number for number, pair in enumerate(pairs)}


@cache
def _of_the_catalogue() -> tuple[_Plan, ...]:
    return _plans(CATALOGUE)


def _plans(features: tuple[Feature, ...]) -> tuple[_Plan, ...]:
    by_entity: dict[str, list[tuple[int, Feature]]] = defaultdict(list)
    for column, feature in enumerate(features):
        if feature.aggregate != "value":
            by_entity[feature.entity].append((column, feature))
    plans = []
    for entity, columns in by_entity.items():
        wanted = [
            (stream, _micros(feature.window_days))
            for _, feature in columns
            for stream in streams_of(feature)
        ]
        counted, places = _counted(wanted, ENTITIES[entity].vocabulary)
        plans.append(_Plan(entity, tuple(columns), counted, places))
    return tuple(plans)


def _micros(days: int | None) -> int | None:
    return None if days is None else days * instants.DAY


def build(
    changes: Columns,
    as_of: Ints,
    state: FeatureState,
    *,
    features: tuple[Feature, ...] = CATALOGUE,
    support: bool = True,
) -> FeatureTable:
    """The features of changes, each as its record and the history stood at ``as_of``.

    Parameters
    ----------
    changes : Columns
        One row a change, in the revision to be scored.
    as_of : ndarray of int64, shape (n,)
        Moments in microseconds; only facts known strictly before count.
    state : FeatureState
        The indexed history. It may hold later facts; they are not looked at.
    features : tuple of Feature
        The columns, in their order; a model needs those of the catalogue.
    support : bool
        Whether to keep what is behind the rates, too; training has no use for it.
    """
    # Column by column: a model reads few of them, and so they are written.
    values = np.full((len(changes), len(features)), np.nan, order="F")
    behind: dict[str, list[tuple[Floats, Floats]]] = defaultdict(list)
    for low in range(0, max(len(changes), 1), CHUNK):
        rows = np.arange(low, min(low + CHUNK, len(changes)))
        some = changes if len(rows) == len(changes) else changes.take(rows)
        part = values[low : low + CHUNK]
        for name, counts in _fill(part, features, some, as_of[rows], state).items():
            if support:
                behind[name].append(counts)
    joined = {
        name: (np.concatenate([f for f, _ in parts]), np.concatenate([d for _, d in parts]))
        for name, parts in behind.items()
    }
    names = NAMES if features is CATALOGUE else tuple(feature.name for feature in features)
    return FeatureTable(changes["change_id"], as_of, values, joined, names)


def _fill(
    values: Floats,
    features: tuple[Feature, ...],
    changes: Columns,
    as_of: Ints,
    state: FeatureState,
) -> dict[str, tuple[Floats, Floats]]:
    """Find every value of some changes; returns what is behind the rates."""
    for column, feature in enumerate(features):
        if feature.stream == "request":
            values[:, column] = request.VALUES[feature.name](changes)
        elif feature.stream == "place":
            values[:, column] = request.LOCAL_VALUES[feature.name](changes, state.place)
    owners = state.vocabulary("change").find(changes["change_id"])
    moments = Moments(as_of, _windows())
    for segment in state.index.segments:
        moments.ranks(segment)  # once for all entities
    usual = _usual_rate(moments, owners, state)
    support: dict[str, tuple[Floats, Floats]] = {}
    read: dict[object, Named] = {}  # several entities read the same names
    for plan in _of_the_catalogue() if features is CATALOGUE else _plans(features):
        entity = ENTITIES[plan.entity]
        if entity.read not in read:
            read[entity.read] = entity.read(changes)
        asked = _asked(read[entity.read], as_of, owners, plan.entity, state)
        asking = _Asking(changes, asked, moments.take(asked.row), usual, plan, state)
        for column, feature in plan.features:
            if feature.aggregate == "rate":
                values[:, column], support[feature.name] = _rate(feature, asking)
            else:
                values[:, column] = _ANSWERS[feature.aggregate](feature, asking)
    return support


def _usual_rate(moments: Moments, owners: Ints, state: FeatureState) -> Floats:
    """Failure rate of all changes in the year before each moment, as known then; NaN for none."""
    everyone = state.vocabulary("organisation").find([ORGANISATION] * len(owners))
    year = 365 * instants.DAY
    counted, places = _counted([("decided", year), ("failed", year)], "organisation")
    counts = state.index.counts(counted, everyone, moments, owners)
    failed = counts[places["failed", year]]
    decided = _at_least(counts[places["decided", year]], failed)
    return np.where(decided > 0, failed / np.maximum(decided, 1), np.nan)


def _at_least(decided: Ints, failed: Ints) -> Ints:
    """Decided changes, so many as failed at least, for a share of them is never more than all.

    A change that counted as clean when its window closed, and whose link came only later, counts as
    failed when the link came: a short window may hold that moment but not the earlier one.
    """
    return np.maximum(decided, failed)


@dataclass(frozen=True)
class Asked:
    """One question for each name of each change: the names' codes, moments and owners.

    Parameters
    ----------
    row : ndarray of int64
        The change that asks, ascending.
    named : ndarray of bool, shape (n,)
        Whether each change names anything at all.
    """

    row: Ints
    codes: Ints
    times: Ints
    owners: Ints
    named: NDArray[np.bool_]

    @cached_property
    def first(self) -> Ints:
        """Place of the first name of each change that asks anything."""
        new = np.ones(len(self.row), bool)
        new[1:] = self.row[1:] != self.row[:-1]
        return np.flatnonzero(new)

    def reduced(self, found: Floats, across: str, nothing: float = np.nan) -> Floats:
        """One answer a change from one an asked name; NaN for a change that names nothing, and
        ``nothing`` for one whose names stand for none.
        """
        answers = np.where(self.named, nothing, np.nan)
        if len(found):
            function = {"max": np.fmax, "sum": np.add, "min": np.fmin}[across]
            answers[self.row[self.first]] = function.reduceat(found, self.first)
        return answers

    def highest(self, found: Floats, behind: Ints) -> Ints:
        """Place of each change's highest answer; of equals the one with the most behind it."""
        if len(self.first) == len(found):
            return self.first
        return np.lexsort((-behind, -found, self.row))[self.first]

    def at(self, places: Ints, counts: Ints) -> Floats:
        """The counts at one place a change; NaN for a change that names nothing."""
        answers = np.full(len(self.named), np.nan)
        answers[self.row[places]] = counts[places]
        return answers


def ask(changes: Columns, as_of: Ints, owners: Ints, entity: str, state: FeatureState) -> Asked:
    """The questions that one entity of the changes raises.

    Parameters
    ----------
    owners : ndarray of int64, shape (n,)
        Numbers of the changes themselves, whose own events never count; -1 for new ones.
    """
    return _asked(ENTITIES[entity].read(changes), as_of, owners, entity, state)


def _asked(named: Named, as_of: Ints, owners: Ints, entity: str, state: FeatureState) -> Asked:
    codes = state.vocabulary(ENTITIES[entity].vocabulary).find(named.names)
    row, has_name = named.row, np.zeros(len(as_of), bool)
    has_name[row] = True
    if ENTITIES[entity].hops:
        row, codes = state.topology.around(row, codes, as_of[row], ENTITIES[entity].hops)
    return Asked(row, codes, as_of[row], owners[row], has_name)


@dataclass(frozen=True)
class _Asking:
    """The questions of one entity, and where to look for the answers."""

    changes: Columns
    asked: Asked
    moments: Moments
    usual: Floats
    plan: _Plan
    state: FeatureState

    @property
    def vocabulary(self) -> str:
        """Where the names asked for are numbered."""
        return ENTITIES[self.plan.entity].vocabulary

    @cached_property
    def _counts(self) -> Ints:
        asked, index = self.asked, self.state.index
        return index.counts(self.plan.counted, asked.codes, self.moments, asked.owners)

    def count(self, stream: str, days: int | None) -> Ints:
        """Events of a stream in a window, for every question."""
        window = _micros(days)
        if (stream, window) in self.plan.places:
            found: Ints = self._counts[self.plan.places[stream, window]]
            return found
        asked = self.asked
        index, nobody = self.state.topology.events[stream], asked.owners * 0 - 1
        return index.counts(asked.codes, asked.times, [window], nobody)[window]

    def last(self, stream: str) -> Ints:
        """Moment of the last event of a stream, for every question."""
        asked = self.asked
        if (stream, self.vocabulary) not in SLOTS:
            nobody = asked.owners * 0 - 1
            index = self.state.topology.events[stream]
            return index.last_before(asked.codes, asked.times, nobody)
        slot, index_ = np.array([SLOTS.index((stream, self.vocabulary))]), self.state.index
        last: Ints
        [last] = index_.last_before(slot, asked.codes, self.moments, asked.owners, OWN)
        return last

    @cached_property
    def planned(self) -> tuple[Ints, Ints, Ints]:
        """Code, start and end of the planned window of every question; no code without a start."""
        starts = self.changes.times("planned_start")[self.asked.row]
        codes = np.where(starts == MISSING, -1, self.asked.codes)
        ends = request.end(self.changes)[self.asked.row]
        return codes, np.where(starts == MISSING, 0, starts), np.where(starts == MISSING, 0, ends)

    def if_planned(self, found: Floats) -> Floats:
        """Answers about the planned window; NaN for a change without one, or without a name."""
        unknown = ~self.asked.named | (self.changes.times("planned_start") == MISSING)
        return np.where(unknown, np.nan, found)


def _rate(feature: Feature, asking: _Asking) -> tuple[Floats, tuple[Floats, Floats]]:
    """A smoothed rate, and the failures and decided changes behind it."""
    asked = asking.asked
    failed = asking.count("failed", feature.window_days)
    decided = _at_least(asking.count("decided", feature.window_days), failed)
    found = (failed + SMOOTHING * asking.usual[asked.row]) / (decided + SMOOTHING)
    highest = asked.highest(found, decided)
    return asked.reduced(found, feature.across), (
        asked.at(highest, failed),
        asked.at(highest, decided),
    )


def _count(feature: Feature, asking: _Asking) -> Floats:
    found = asking.count(feature.stream, feature.window_days).astype(np.float64)
    return asking.asked.reduced(found, feature.across, nothing=0.0)


def _open(feature: Feature, asking: _Asking) -> Floats:
    opened = asking.count(feature.stream, feature.window_days)
    found = opened - asking.count(RESOLVED[feature.stream], feature.window_days)
    return asking.asked.reduced(found.astype(np.float64), feature.across, nothing=0.0)


def _days_since(feature: Feature, asking: _Asking) -> Floats:
    last, times = asking.last(feature.stream), asking.asked.times
    known = last != MISSING
    found = np.where(known, (times - np.where(known, last, 0)) / instants.DAY, np.nan)
    return asking.asked.reduced(found, feature.across)


def _reschedules(_: Feature, asking: _Asking) -> Floats:
    """Planned starts the change had before, besides the one it has."""
    asked, state = asking.asked, asking.state
    nobody = asked.owners * 0 - 1
    everything = state.events("planned_starts", "change")
    had = everything.counts(asked.codes, asked.times, [None], nobody)[None]
    own = ENTITIES["planned_start"].read(asking.changes)
    codes = state.vocabulary("planned_start").find(own.names)
    same = state.events("planned_starts", "planned_start")
    had[own.row] -= same.counts(codes, asked.times[own.row], [None], nobody[own.row])[None]
    return had.astype(np.float64)


def _overlaps(_: Feature, asking: _Asking) -> Floats:
    """How many other changes are planned at the same time on any of the names, each once."""
    found = overlapping(asking.changes, asking.vocabulary, asking.asked, asking.state)
    rows, others = found[:2]
    width = int(others.max(initial=0)) + 1
    pairs = np.unique(rows * width + others)
    counts = np.bincount(pairs // width, minlength=len(asking.changes))
    return asking.if_planned(counts.astype(np.float64))


_CALENDAR: Mapping[str, Callable[..., Floats]] = {
    "inside": Calendar.inside,
    "covered": Calendar.covered,
    "days_until": Calendar.days_until,
}


def _calendar(feature: Feature, asking: _Asking) -> Floats:
    """What the calendar says of the planned window."""
    found = _CALENDAR[feature.aggregate](
        asking.state.calendar, feature.stream, *asking.planned, asking.asked.times
    )
    return asking.if_planned(asking.asked.reduced(found, feature.across))


_ANSWERS: Mapping[str, Callable[[Feature, _Asking], Floats]] = {
    "count": _count,
    "open": _open,
    "days_since": _days_since,
    "overlap": _overlaps,
    "reschedules": _reschedules,
    **dict.fromkeys(_CALENDAR, _calendar),
}


def overlapping(
    changes: Columns, vocabulary: str, asked: Asked, state: FeatureState
) -> tuple[Ints, Ints, Ints]:
    """Planned windows that overlap, as (row, number of the other change, microseconds)."""
    rows = asked.row
    starts = changes.times("planned_start")[rows]
    ends = request.end(changes)[rows]
    codes = np.where(starts == MISSING, -1, asked.codes)
    starts = np.where(starts == MISSING, 0, starts)
    found = [
        index.pairs(codes, starts, ends, asked.times, asked.owners)
        for index in state.schedule(vocabulary)
    ]
    query, others, overlap = (np.concatenate(part) for part in zip(*found, strict=True))
    return rows[query], others, overlap
