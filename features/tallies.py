"""Counts, open ones, rates and days since the last one, of all features of an entity at once: one
value a change from one a name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from features import instants
from features.asked import Asked
from features.catalogue import Feature
from features.counting import Answered
from features.ordering import compiled
from features.segment import Ints
from features.streams import streams_of

Floats = NDArray[np.float64]
Bits = NDArray[np.bool_]

KINDS = ("count", "open", "rate", "days_since")
"""Aggregates that are made of counts or of the last event's moment and nothing else."""

_RATE = KINDS.index("rate")

_COUNT = KINDS.index("count")

_OPEN = KINDS.index("open")

_SINCE = KINDS.index("days_since")

_DAY = instants.DAY

_MISSING = instants.MISSING

_ACROSS = ("max", "sum", "min")

_MAX = _ACROSS.index("max")

_SUM = _ACROSS.index("sum")

SMOOTHING = 10.0
"""Weight of the global rate in a smoothed rate: as many imagined changes with the usual outcome.

A rate of an entity is ``(failed + SMOOTHING * usual) / (decided + SMOOTHING)``, where *usual* is
the rate of all changes over the last year as known at that moment [1]_.

.. [1] Micci-Barreca (2001), "A preprocessing scheme for high-cardinality categorical attributes",
   SIGKDD Explorations 3(1).
"""


@dataclass(frozen=True)
class Tallies:
    """Features of one entity that are made of counts, or of the moments of last events.

    Parameters
    ----------
    columns : ndarray of int64, shape (f,)
        Their places in the table.
    rates : tuple of str
        Names of those that are rates, in their order.
    kinds, across : ndarray of int64, shape (f,)
        Places in ``KINDS``, and of how the answers of a change's names become one.
    first, second : ndarray of int64, shape (f,)
        Rows of the counts that each is made of: decided and failed, opened and resolved, or only
        one; of the last events' moments that of one that is made of them.
    """

    columns: Ints
    rates: tuple[str, ...]
    kinds: Ints
    across: Ints
    first: Ints
    second: Ints

    @classmethod
    def of(
        cls,
        features: Sequence[tuple[int, Feature]],
        places: Mapping[tuple[str, int | None], int],
        lasts: Mapping[str, int],
    ) -> Tallies:
        """Those of some features, with their columns, whose counts or last events have a place.

        Parameters
        ----------
        places : mapping of (str, int or None) to int
            Rows of the counts by stream and days.
        lasts : mapping of str to int
            Rows of the last events' moments by stream.
        """
        kept, rows = [], []
        for column, feature in features:
            if feature.aggregate not in KINDS:
                continue
            found = [places.get((one, feature.window_days)) for one in streams_of(feature)]
            if feature.aggregate == "days_since":
                found = [lasts.get(feature.stream)]
            if None not in found:
                kept.append((column, feature))
                rows.append([found[0], found[-1]])
        made = np.array(rows, np.int64).reshape(-1, 2)
        return cls(
            np.array([column for column, _ in kept], np.int64),
            tuple(feature.name for _, feature in kept if feature.aggregate == "rate"),
            np.array([KINDS.index(feature.aggregate) for _, feature in kept], np.int64),
            np.array([_ACROSS.index(feature.across) for _, feature in kept], np.int64),
            np.ascontiguousarray(made[:, 0]),
            np.ascontiguousarray(made[:, 1]),
        )

    def answers(
        self, counts: Ints, lasts: Ints, asked: Asked, usual: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """The features of every change, and the counts behind the rates.

        Parameters
        ----------
        counts, lasts : ndarray of int64, shapes (c, q) and (l, q)
            Every count, and the moment of every last event, for every question.
        asked : Asked
            The q questions of n changes.
        usual : ndarray of float64, shape (n,)
            Failure rate of all changes, NaN where none is known.

        Returns
        -------
        values : ndarray of float64, shape (f, n)
            NaN for a change that names nothing; a count is 0, and all others NaN, for one whose
            names stand for none.
        failed, decided : ndarray of float64, shape (rates, n)
            Behind each rate, of the name with the highest; of equals the one with the most decided.
        """
        found, failed, decided = room(len(self.columns), len(self.rates), len(usual))
        made_of = self.kinds, self.across, self.first, self.second
        change = asked.row, asked.named, asked.as_of, usual
        _tally(counts, lasts, *change, *made_of, SMOOTHING, found, failed, decided)
        return found, failed, decided


@compiled
def _made_of(kind: int, first: int, second: int, usual: float, smoothing: float) -> float:
    """The answer for one name."""
    if kind == _RATE:
        # As many decided as failed at least: see at_least in features.asking.
        return (second + smoothing * usual) / (max(first, second) + smoothing)
    return float(first - second) if kind == _OPEN else float(first)


@compiled
def _with(how: int, value: float, held: float) -> float:
    """One answer for two names; one that is not known does not count."""
    if np.isnan(held) or np.isnan(value):
        return value if np.isnan(held) else held
    if how == _SUM:
        return value + held
    return max(value, held) if how == _MAX else min(value, held)


@compiled
def _count(found: Floats, row: Ints, left: Ints, right: Ints, less: bool, how: int) -> None:
    """Add the counts of all questions, or what is left of them, to their changes, or keep the most.

    A change names its neighbours by the dozen: theirs are added up before they are put away.
    """
    question, most = 0, how == _MAX
    while question < len(row):
        change, whole = row[question], np.int64(0)
        while question < len(row) and row[question] == change:
            value = left[question] - (right[question] if less else 0)
            whole = max(whole, value) if most else whole + value
            question += 1
        found[change] = max(found[change], whole) if most else found[change] + whole


@compiled
def _tally(
    counts: Ints,
    lasts: Ints,
    row: Ints,
    named: Bits,
    times: Ints,
    usual: Floats,
    kinds: Ints,
    across: Ints,
    first: Ints,
    second: Ints,
    smoothing: float,
    found: Floats,
    failed: Floats,
    decided: Floats,
) -> None:
    """Put the answers of :meth:`Tallies.answers` into ``found``, ``failed`` and ``decided``."""
    rate, asked = -1, np.full(len(named), -1, np.int32)
    for feature in range(len(kinds)):
        kind = kinds[feature]
        left = lasts[first[feature]] if kind == _SINCE else counts[first[feature]]
        right = left if kind == _SINCE else counts[second[feature]]
        rate += kind == _RATE
        if kind in (_COUNT, _OPEN):
            found[feature][named] = 0.0
            if across[feature] == _SUM or (across[feature] == _MAX and kind == _COUNT):
                _count(found[feature], row, left, right, kind == _OPEN, across[feature])
                continue
        for question in range(len(row)):
            change = row[question]
            ends = left[question], right[question]
            if kind == _SINCE:
                value = np.nan if ends[0] == _MISSING else (times[change] - ends[0]) / _DAY
            else:
                value = _made_of(kind, ends[0], ends[1], usual[change], smoothing)
            held, again = found[feature, change], asked[change] == feature
            if kind == _RATE:
                behind = max(ends[0], ends[1])
                alike = value == held or np.isnan(value)
                if not again or value > held or (alike and behind > decided[rate, change]):
                    failed[rate, change], decided[rate, change] = ends[1], behind
            found[feature, change] = _with(across[feature], value, held) if again else value
            asked[change] = feature


@dataclass(frozen=True)
class Together:
    """The tallies of several entities, one after another.

    Parameters
    ----------
    each : tuple of Tallies
    """

    each: tuple[Tallies, ...]

    @cached_property
    def columns(self) -> Ints:
        """The features' places in the table."""
        found: Ints = np.concatenate([one.columns for one in self.each])
        return found

    @cached_property
    def rates(self) -> tuple[str, ...]:
        """Names of the features that are rates."""
        return tuple(name for one in self.each for name in one.rates)

    @cached_property
    def _made_of(self) -> tuple[Ints, Ints, Ints, Ints]:
        names = ("kinds", "across", "first", "second")
        parts = ([getattr(one, name) for one in self.each] for name in names)
        kinds, across, first, second = map(np.concatenate, parts)
        return kinds, across, first, second

    @cached_property
    def _bounds(self) -> Ints:
        """Where the features and rates of each begin, and those after the last end."""
        sizes = [(len(one.columns), len(one.rates)) for one in self.each]
        found: Ints = np.cumsum([(0, 0), *sizes], axis=0)
        return found

    def answers(
        self, found: Answered, named: Bits, as_of: Ints, usual: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """The same as each of them answers, one after another; of few changes in a fraction of the
        time.

        Parameters
        ----------
        named : ndarray of bool, shape (entities, n)
            Whether each change names anything of each kind.
        as_of : ndarray of int64, shape (n,)
            The moment of each change.
        """
        values, failed, decided = room(len(self.columns), len(self.rates), len(usual))
        each = found.total, found.last, found.sizes, found.ends, found.rows
        change = named, as_of, usual
        made_of = *self._made_of, self._bounds
        _tally_several(*each, *change, *made_of, SMOOTHING, (values, failed, decided))
        return values, failed, decided


@compiled
def _tally_several(
    total: Ints,
    last: Ints,
    sizes: Ints,
    ends: Ints,
    row: Ints,
    named: Bits,
    times: Ints,
    usual: Floats,
    kinds: Ints,
    across: Ints,
    first: Ints,
    second: Ints,
    bounds: Ints,
    smoothing: float,
    answers: tuple[Floats, Floats, Floats],
) -> None:
    """Put the answers of :meth:`Together.answers` where they belong."""
    found, failed, decided = answers
    counts, lasts = 0, 0
    for entity in range(len(bounds) - 1):
        low, high = ends[entity], ends[entity + 1]
        until = counts + sizes[entity, 0] * (high - low)
        after = lasts + sizes[entity, 1] * (high - low)
        (begin, rate), (end, rates) = bounds[entity], bounds[entity + 1]
        _tally(
            total[counts:until].reshape((sizes[entity, 0], high - low)),
            last[lasts:after].reshape((sizes[entity, 1], high - low)),
            row[low:high],
            named[entity],
            times,
            usual,
            kinds[begin:end],
            across[begin:end],
            first[begin:end],
            second[begin:end],
            smoothing,
            found[begin:end],
            failed[rate:rates],
            decided[rate:rates],
        )
        counts, lasts = until, after


def room(features: int, rates: int, changes: int) -> tuple[Floats, Floats, Floats]:
    """Room for the answers of some tallies."""
    found = np.empty((features + 2 * rates, changes))
    found.fill(np.nan)
    return found[:features], found[features : features + rates], found[features + rates :]
