"""Counts, open ones and rates of an entity's features, all at once: one value a change from one a
name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.catalogue import Feature
from features.ordering import compiled
from features.segment import Ints
from features.streams import streams_of

Floats = NDArray[np.float64]
Bits = NDArray[np.bool_]

KINDS = ("count", "open", "rate")
"""Aggregates that are made of counts and nothing else."""

_RATE = KINDS.index("rate")

_OPEN = KINDS.index("open")

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
    """Features of one entity that are made of counts.

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
        one.
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
    ) -> Tallies:
        """Those of some features, with their columns, whose counts have a place.

        Parameters
        ----------
        places : mapping of (str, int or None) to int
            Rows of the counts by stream and days.
        """
        kept, rows = [], []
        for column, feature in features:
            wanted = [(stream, feature.window_days) for stream in streams_of(feature)]
            if feature.aggregate in KINDS and all(one in places for one in wanted):
                kept.append((column, feature))
                rows.append([places[wanted[0]], places[wanted[-1]]])
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
        self, counts: Ints, row: Ints, named: Bits, usual: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """The features of every change, and the counts behind the rates.

        Parameters
        ----------
        counts : ndarray of int64, shape (c, q)
            Every count for every question.
        row : ndarray of int64, shape (q,)
            The change that asks.
        named : ndarray of bool, shape (n,)
            Whether a change names anything at all.
        usual : ndarray of float64, shape (n,)
            Failure rate of all changes, NaN where none is known.

        Returns
        -------
        values : ndarray of float64, shape (f, n)
            NaN for a change that names nothing; a count is 0, and a rate NaN, for one whose names
            stand for none.
        failed, decided : ndarray of float64, shape (rates, n)
            Behind each rate, of the name with the highest; of equals the one with the most decided.
        """
        found = np.full((len(self.columns), len(named)), np.nan)
        failed, decided = np.full((2, len(self.rates), len(named)), np.nan)
        made_of = self.kinds, self.across, self.first, self.second
        _tally(counts, row, named, usual, *made_of, SMOOTHING, found, failed, decided)
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
    """One answer for two names."""
    if how == _SUM:
        return value + held
    return max(value, held) if how == _MAX else min(value, held)


@compiled
def _tally(
    counts: Ints,
    row: Ints,
    named: Bits,
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
        kind, left, right = kinds[feature], counts[first[feature]], counts[second[feature]]
        rate += kind == _RATE
        if kind != _RATE:
            found[feature][named] = 0.0
        for question in range(len(row)):
            change = row[question]
            ends = left[question], right[question]
            value = _made_of(kind, ends[0], ends[1], usual[change], smoothing)
            held, again = found[feature, change], asked[change] == feature
            if kind == _RATE:
                behind = max(ends[0], ends[1])
                alike = value == held or np.isnan(value)
                if not again or value > held or (alike and behind > decided[rate, change]):
                    failed[rate, change], decided[rate, change] = ends[1], behind
            found[feature, change] = _with(across[feature], value, held) if again else value
            asked[change] = feature
