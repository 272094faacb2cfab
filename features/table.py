"""STEP 3. The table: one row a change, built only from facts known before its score time.

The same function builds the training table, one online row and a thousand what-if rows; training
and serving both call it, and nobody else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import instants, request
from features.calendar import Calendar
from features.catalogue import CATALOGUE, NAMES, Feature
from features.columns import Array, Columns
from features.entities import ENTITIES, ORGANISATION, Named
from features.index import Ints
from features.instants import MISSING
from features.state import FeatureState

SMOOTHING = 10.0
"""Weight of the global rate in a smoothed rate: as many imagined changes with the usual outcome.

A rate of an entity is ``(failed + SMOOTHING * usual) / (decided + SMOOTHING)``, where *usual* is
the rate of all changes over the last year as known at that moment [1]_.

.. [1] Micci-Barreca (2001), "A preprocessing scheme for high-cardinality categorical attributes",
   SIGKDD Explorations 3(1).
"""

CHUNK = 50_000
"""Changes whose neighbours are looked at together, which bounds the memory."""
EVIDENCE_SMOOTHING = 50.0
"""The same for the evidence of a word: there are many words, and most of them are rare.

The evidence of a name is ``ln(smoothed rate / usual)``. Added up over the words of a title it is
the score of a naive Bayes classifier with words that are there or not [2]_.

.. [2] Manning, Raghavan and Schütze (2008), "Introduction to Information Retrieval", chapter 13.
"""

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


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
        those of the item with the highest rate. For every evidence, the same of the word that
        gives it, or of the one that adds most to a sum.
    words : mapping of str to ndarray of object
        That word, for every evidence; None for a change that names nothing.
    names : tuple of str
        The columns.
    """

    change_ids: Array
    as_of: Ints
    values: Floats
    support: Mapping[str, tuple[Floats, Floats]]
    names: tuple[str, ...] = NAMES
    words: Mapping[str, Array] = field(default_factory=dict)

    def to_frame(self) -> pd.DataFrame:
        """The table as a data frame, indexed by change."""
        frame = pd.DataFrame(self.values, columns=list(self.names), index=self.change_ids)
        frame.insert(0, "as_of", instants.micros_to_series(self.as_of).to_numpy())
        return frame.rename_axis("change_id")


@dataclass(frozen=True)
class _Plan:
    """What to ask the index for one entity."""

    entity: str
    features: tuple[tuple[int, Feature], ...]
    windows: Mapping[str, tuple[int | None, ...]]


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
        windows: dict[str, set[int | None]] = defaultdict(set)
        for _, feature in columns:
            for stream in _streams_of(feature):
                windows[stream].add(_micros(feature.window_days))
        ordered = {name: tuple(sorted(w, key=lambda x: x or 0)) for name, w in windows.items()}
        plans.append(_Plan(entity, tuple(columns), ordered))
    return tuple(plans)


_RESOLVED = {"incidents": "resolved", "major_incidents": "major_resolved"}


def _streams_of(feature: Feature) -> tuple[str, ...]:
    """The streams whose counts a feature needs."""
    if feature.aggregate in ("rate", "evidence"):
        return ("decided", "failed")
    if feature.aggregate == "open":
        return (feature.stream, _RESOLVED[feature.stream])
    return (feature.stream,) if feature.aggregate == "count" else ()


def _micros(days: int | None) -> int | None:
    return None if days is None else days * instants.DAY


def build(
    changes: Columns,
    as_of: Ints,
    state: FeatureState,
    *,
    features: tuple[Feature, ...] = CATALOGUE,
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
    """
    values = np.full((len(changes), len(features)), np.nan)
    for column, feature in enumerate(features):
        if feature.stream == "request":
            values[:, column] = request.VALUES[feature.name](changes)
        elif feature.stream == "place":
            values[:, column] = request.LOCAL_VALUES[feature.name](changes, state.place)
    owners = state.vocabulary("change").find(changes["change_id"])
    usual = usual_rate(as_of, owners, state)
    support = {
        feature.name: (np.full(len(changes), np.nan), np.full(len(changes), np.nan))
        for feature in features
        if feature.aggregate in _SUPPORTED
    }
    words: dict[str, Array] = {}
    read: dict[object, Named] = {}  # several entities read the same names
    for plan in _of_the_catalogue() if features is CATALOGUE else _plans(features):
        entity = ENTITIES[plan.entity]
        if entity.read not in read:
            read[entity.read] = entity.read(changes)
        # Neighbours are many: their questions are asked for some changes at a time.
        step = CHUNK if entity.hops else max(len(changes), 1)
        for low in range(0, len(changes), step):
            rows = slice(low, low + step)
            part = changes if step >= len(changes) else changes.take(np.arange(len(changes))[rows])
            named = read[entity.read].among(low, low + step)
            asked = _asked(named, as_of[rows], owners[rows], plan.entity, state)
            asking = _Asking(part, asked, usual[rows], plan, state, words)
            for column, feature in plan.features:
                if feature.aggregate in _SUPPORTED:
                    values[rows, column], behind = _SUPPORTED[feature.aggregate](feature, asking)
                    for whole, found in zip(support[feature.name], behind, strict=True):
                        whole[rows] = found
                else:
                    values[rows, column] = _ANSWERS[feature.aggregate](feature, asking)
    names = NAMES if features is CATALOGUE else tuple(feature.name for feature in features)
    return FeatureTable(changes["change_id"], as_of, values, support, names, words)


def usual_rate(as_of: Ints, owners: Ints, state: FeatureState) -> Floats:
    """Failure rate of all changes in the year before each moment, as known then; NaN for none."""
    everyone = state.vocabulary("organisation").find([ORGANISATION] * len(as_of))
    year = 365 * instants.DAY
    failed, decided = (
        state.events(stream, "organisation").counts(everyone, as_of, [year], owners)[year]
        for stream in ("failed", "decided")
    )
    decided = _at_least(decided, failed)
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
        return np.flatnonzero(np.diff(self.row, prepend=-1))

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
    usual: Floats
    plan: _Plan
    state: FeatureState
    words: dict[str, Array]

    @property
    def vocabulary(self) -> str:
        """Where the names asked for are numbered."""
        return ENTITIES[self.plan.entity].vocabulary

    @cached_property
    def _counts(self) -> Mapping[str, Mapping[int | None, Ints]]:
        asked = self.asked
        return {
            stream: self.state.events(stream, self.vocabulary).counts(
                asked.codes, asked.times, windows, _left_out(stream, asked.owners)
            )
            for stream, windows in self.plan.windows.items()
        }

    def count(self, stream: str, days: int | None) -> Ints:
        """Events of a stream in a window, for every question."""
        return self._counts[stream][_micros(days)]

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


def _left_out(stream: str, owners: Ints) -> Ints:
    """A change never counts its own events; incidents have other owners."""
    return owners if stream in ("changes", "decided", "failed", "failures") else owners * 0 - 1


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


def _evidence(feature: Feature, asking: _Asking) -> tuple[Floats, tuple[Floats, Floats]]:
    """Evidence of the title's words, and the failures and decided changes behind the one told."""
    asked = asking.asked
    found, place, failed, decided = _told(feature, asking)
    asking.words[feature.name] = _words(asking, place, decided[place] + failed[place] > 0)
    return asked.reduced(found, feature.across), (asked.at(place, failed), asked.at(place, decided))


def _words(asking: _Asking, place: Ints, told: Mask) -> Array:
    """The words at one place a change; None where no outcome of theirs was known."""
    words = np.full(len(asking.changes), None, dtype=object)
    names = asking.state.vocabulary(asking.vocabulary).names
    codes = asking.asked.codes[place]
    named = zip(codes.tolist(), told.tolist(), strict=True)
    words[asking.asked.row[place]] = [names[code] if known else None for code, known in named]
    return words


def _told(feature: Feature, asking: _Asking) -> tuple[Floats, Ints, Ints, Ints]:
    """Evidence of every word, the place of the one told of for each change, and their counts."""
    asked = asking.asked
    failed = asking.count("failed", feature.window_days)
    decided = _at_least(asking.count("decided", feature.window_days), failed)
    usual = asking.usual[asked.row]
    known = np.where(usual > 0, usual, np.nan)
    smoothed = (failed + EVIDENCE_SMOOTHING * known) / (decided + EVIDENCE_SMOOTHING)
    found = np.log(smoothed / known)
    lowest = np.full(len(found), feature.across == "min")
    if feature.across == "sum":
        lowest = asked.reduced(found, "sum")[asked.row] < 0
    return found, asked.highest(np.where(lowest, -found, found), decided), failed, decided


_SUPPORTED: Mapping[str, Callable[[Feature, _Asking], tuple[Floats, tuple[Floats, Floats]]]] = {
    "rate": _rate,
    "evidence": _evidence,
}


def _count(feature: Feature, asking: _Asking) -> Floats:
    found = asking.count(feature.stream, feature.window_days).astype(np.float64)
    return asking.asked.reduced(found, feature.across, nothing=0.0)


def _open(feature: Feature, asking: _Asking) -> Floats:
    opened = asking.count(feature.stream, feature.window_days)
    found = opened - asking.count(_RESOLVED[feature.stream], feature.window_days)
    return asking.asked.reduced(found.astype(np.float64), feature.across, nothing=0.0)


def _days_since(feature: Feature, asking: _Asking) -> Floats:
    asked = asking.asked
    owners = _left_out(feature.stream, asked.owners)
    index = asking.state.events(feature.stream, asking.vocabulary)
    last = index.last_before(asked.codes, asked.times, owners)
    known = last != MISSING
    found = np.where(known, (asked.times - np.where(known, last, 0)) / instants.DAY, np.nan)
    return asked.reduced(found, feature.across)


def _reschedules(_: Feature, asking: _Asking) -> Floats:
    """Planned starts the change had before, besides the one it has."""
    asked = asking.asked
    everything = asking.state.events("planned_starts", "change")
    nobody = _left_out("planned_starts", asked.owners)
    had = everything.counts(asked.codes, asked.times, [None], nobody)[None]
    own = ENTITIES["planned_start"].read(asking.changes)
    codes = asking.state.vocabulary("planned_start").find(own.names)
    same = asking.state.events("planned_starts", "planned_start")
    times = asked.times[own.row]
    had[own.row] -= same.counts(codes, times, [None], nobody[own.row])[None]
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
