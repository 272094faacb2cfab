"""STEP 3. The table: one row a change, built only from facts known before its score time.

The same function builds the training table, one online row and a thousand what-if rows; training
and serving both call it, and nobody else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features import instants, request
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
    """

    change_ids: Array
    as_of: Ints
    values: Floats
    support: Mapping[str, tuple[Floats, Floats]]

    def to_frame(self) -> pd.DataFrame:
        """The table as a data frame, indexed by change."""
        frame = pd.DataFrame(self.values, columns=list(NAMES), index=self.change_ids)
        frame.insert(0, "as_of", instants.micros_to_series(self.as_of).to_numpy())
        return frame.rename_axis("change_id")


@dataclass(frozen=True)
class _Plan:
    """What to ask the index for one entity."""

    entity: str
    features: tuple[tuple[int, Feature], ...]
    windows: Mapping[str, tuple[int | None, ...]]


@cache
def _plans() -> tuple[_Plan, ...]:
    by_entity: dict[str, list[tuple[int, Feature]]] = defaultdict(list)
    for column, feature in enumerate(CATALOGUE):
        if feature.stream != "request":
            by_entity[feature.entity].append((column, feature))
    plans = []
    for entity, features in by_entity.items():
        windows: dict[str, set[int | None]] = defaultdict(set)
        for _, feature in features:
            for stream in _streams_of(feature):
                windows[stream].add(_micros(feature.window_days))
        ordered = {name: tuple(sorted(w, key=lambda x: x or 0)) for name, w in windows.items()}
        plans.append(_Plan(entity, tuple(features), ordered))
    return tuple(plans)


def _streams_of(feature: Feature) -> tuple[str, ...]:
    """The streams whose counts a feature needs."""
    return {
        "count": (feature.stream,),
        "rate": ("decided", "failed"),
        "open": ("incidents", "resolved"),
    }.get(feature.aggregate, ())


def _micros(days: int | None) -> int | None:
    return None if days is None else days * instants.DAY


def build(changes: Columns, as_of: Ints, state: FeatureState) -> FeatureTable:
    """The features of changes, each as its record and the history stood at ``as_of``.

    Parameters
    ----------
    changes : Columns
        One row a change, in the revision to be scored.
    as_of : ndarray of int64, shape (n,)
        Moments in microseconds; only facts known strictly before count.
    state : FeatureState
        The indexed history. It may hold later facts; they are not looked at.
    """
    values = np.full((len(changes), len(CATALOGUE)), np.nan)
    for column, feature in enumerate(CATALOGUE):
        if feature.stream == "request":
            values[:, column] = request.VALUES[feature.name](changes)
    owners = state.vocabulary("change").find(changes["change_id"])
    usual = usual_rate(as_of, owners, state)
    support: dict[str, tuple[Floats, Floats]] = {}
    for plan in _plans():
        _fill(values, support, plan, changes, as_of, owners, usual, state)
    return FeatureTable(changes["change_id"], as_of, values, support)


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


def _fill(
    values: Floats,
    support: dict[str, tuple[Floats, Floats]],
    plan: _Plan,
    changes: Columns,
    as_of: Ints,
    owners: Ints,
    usual: Floats,
    state: FeatureState,
) -> None:
    entity = ENTITIES[plan.entity]
    asked = ask(changes, as_of, owners, plan.entity, state)
    counts = {
        stream: state.events(stream, entity.vocabulary).counts(
            asked.codes, asked.times, windows, _left_out(stream, asked.owners)
        )
        for stream, windows in plan.windows.items()
    }
    for column, feature in plan.features:
        window = _micros(feature.window_days)
        if feature.aggregate == "rate":
            failed = counts["failed"][window]
            decided = _at_least(counts["decided"][window], failed)
            prior = usual[asked.named.row]
            found = (failed + SMOOTHING * prior) / (decided + SMOOTHING)
            highest = asked.highest(found, decided)
            support[feature.name] = asked.at(highest, failed), asked.at(highest, decided)
        elif feature.aggregate == "count":
            found = counts[feature.stream][window].astype(np.float64)
        elif feature.aggregate == "open":
            found = (counts["incidents"][window] - counts["resolved"][window]).astype(np.float64)
        elif feature.aggregate == "days_since":
            found = _days_since(feature, entity.vocabulary, asked, state)
        else:
            values[:, column] = _overlaps(changes, entity.vocabulary, asked, state)
            continue
        values[:, column] = asked.reduced(found, feature.across)


@dataclass(frozen=True)
class Asked:
    """One question for each name of each change: the names' codes, moments and owners."""

    named: Named
    codes: Ints
    times: Ints
    owners: Ints
    changes: int

    @cached_property
    def first(self) -> Ints:
        """Place of the first name of each change that names anything."""
        return np.flatnonzero(np.diff(self.named.row, prepend=-1))

    def reduced(self, found: Floats, across: str) -> Floats:
        """One answer a change from one an asked name; NaN for a change that names nothing."""
        answers = np.full(self.changes, np.nan)
        if len(found):
            function = {"max": np.fmax, "sum": np.add, "min": np.fmin}[across]
            answers[self.named.row[self.first]] = function.reduceat(found, self.first)
        return answers

    def highest(self, found: Floats, behind: Ints) -> Ints:
        """Place of each change's highest answer; of equals the one with the most behind it."""
        if len(self.first) == len(found):
            return self.first
        return np.lexsort((-behind, -found, self.named.row))[self.first]

    def at(self, places: Ints, counts: Ints) -> Floats:
        """The counts at one place a change; NaN for a change that names nothing."""
        answers = np.full(self.changes, np.nan)
        answers[self.named.row[places]] = counts[places]
        return answers


def ask(changes: Columns, as_of: Ints, owners: Ints, entity: str, state: FeatureState) -> Asked:
    """The questions that one entity of the changes raises.

    Parameters
    ----------
    owners : ndarray of int64, shape (n,)
        Numbers of the changes themselves, whose own events never count; -1 for new ones.
    """
    named = ENTITIES[entity].read(changes)
    codes = state.vocabulary(ENTITIES[entity].vocabulary).find(named.names)
    return Asked(named, codes, as_of[named.row], owners[named.row], len(changes))


def _left_out(stream: str, owners: Ints) -> Ints:
    """A change never counts its own events; incidents have other owners."""
    return owners if stream in ("changes", "decided", "failed", "failures") else owners * 0 - 1


def _days_since(feature: Feature, vocabulary: str, asked: Asked, state: FeatureState) -> Floats:
    owners = _left_out(feature.stream, asked.owners)
    last = state.events(feature.stream, vocabulary).last_before(asked.codes, asked.times, owners)
    known = last != MISSING
    return np.where(known, (asked.times - np.where(known, last, 0)) / instants.DAY, np.nan)


def _overlaps(changes: Columns, vocabulary: str, asked: Asked, state: FeatureState) -> Floats:
    """How many other changes are planned at the same time on any of the names, each once."""
    rows, others, _ = overlapping(changes, vocabulary, asked, state)
    pairs = np.unique(np.stack([rows, others]), axis=1)
    found = np.bincount(pairs[0], minlength=asked.changes).astype(np.float64)
    unknown = np.ones(asked.changes, bool)
    unknown[asked.named.row] = False
    unknown |= changes.times("planned_start") == MISSING
    return np.where(unknown, np.nan, found)


def overlapping(
    changes: Columns, vocabulary: str, asked: Asked, state: FeatureState
) -> tuple[Ints, Ints, Ints]:
    """Planned windows that overlap, as (row, number of the other change, microseconds)."""
    rows = asked.named.row
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
