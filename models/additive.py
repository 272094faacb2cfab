"""The additive half of a score: a logistic regression on levels of the columns, written as trees.

Trees find what columns do together; a penalised regression shares weight among columns that say
nearly the same, which rare outcomes over drifting years reward. Their mean ranked better than
either (docs/decisions.md). Each column enters twice, by its rank and by its logarithm: ranks are
safe from outliers, logarithms tell how far out a value is, which is where failures are dense.
Written as one tree a column, the regression adds to the trees' margin, and is explained with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.trees import Forest

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

SHARES = (0.01, 0.05, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 0.95, 0.99)
"""Shares of a column's known values at which its levels end; the ends are finer."""

STRENGTH = 0.05
"""Inverse of the L2 penalty."""

SPREAD = 12**-0.5
"""Standard deviation that logarithms are given: that of ranks, so that both are penalised alike."""


@dataclass(frozen=True)
class Levels:
    """A column in levels.

    Parameters
    ----------
    column : int
        Its place.
    cuts : ndarray of float64
        A value is in the first level whose cut it does not exceed, else in the last.
    terms : ndarray of float64, shape (len(cuts) + 1, 2)
        Mean rank of a level's values among the known ones, and their mean logarithm, both centred.
    counts : ndarray of float64, shape (len(cuts) + 1,)
        Rows in each.
    missing : int
        Rows without a value; they count as average, beside the weight of being missing.
    """

    column: int
    cuts: Floats
    terms: Floats
    counts: Floats
    missing: int

    @classmethod
    def of(cls, values: Floats, column: int) -> Levels | None:
        """The levels of a column; None for one that is the same for every row."""
        known = values[~np.isnan(values)]
        missing = len(values) - len(known)
        if not len(known) or (not missing and known.min() == known.max()):
            return None
        cuts = np.unique(np.quantile(known, SHARES, method="lower"))
        cuts = cuts[cuts < known.max()]
        level = np.searchsorted(cuts, known)
        counts = np.bincount(level, minlength=len(cuts) + 1).astype(np.float64)
        ranks = (np.cumsum(counts) - counts / 2) / len(known) - 0.5
        logs = np.bincount(level, np.sign(known) * np.log1p(np.abs(known)), len(counts)) / counts
        logs -= np.average(logs, weights=counts)
        scale = np.sqrt(np.average(logs**2, weights=counts))
        logs *= SPREAD / scale if scale > 0 else 0.0
        return cls(column, cuts, np.stack([ranks, logs], axis=1), counts, missing)

    def design(self, values: Floats) -> Floats:
        """Terms of every value and, where some were missing, whether it is; shape (n, 2 or 3)."""
        absent = np.isnan(values)
        terms = self.terms[np.searchsorted(self.cuts, values).clip(max=self.size - 1)]
        terms = np.where(absent[:, None], 0.0, terms)
        return np.column_stack([terms, absent]) if self.missing else terms

    @property
    def size(self) -> int:
        """Number of levels."""
        return len(self.counts)


def fit_additive(values: Floats, failed: Mask) -> Forest:
    """A logistic regression on the columns' levels, as a forest of one tree a column.

    Parameters
    ----------
    values : ndarray, shape (n, columns)
        NaN where not known.
    failed : ndarray of bool, shape (n,)
    """
    from sklearn.linear_model import LogisticRegression  # a server never fits
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    levels = [
        found
        for column in range(values.shape[1])
        if (found := Levels.of(values[:, column], column)) is not None
    ]
    design = np.concatenate([one.design(values[:, one.column]) for one in levels], axis=1)
    model = LogisticRegression(C=STRENGTH, max_iter=500)
    with threadpool_limits(1):
        model.fit(design, failed)
    weights, place = model.coef_[0], 0
    trees = _Trees()
    for one in levels:
        absent = float(weights[place + 2]) if one.missing else 0.0
        trees.plant(one, (one.terms @ weights[place : place + 2]).tolist(), absent)
        place += 3 if one.missing else 2
    return trees.forest(float(model.intercept_[0]))


class _Trees:
    """Nodes of trees as they are planted, each before its children."""

    def __init__(self) -> None:
        self._nodes: list[list[float]] = []
        self._roots: list[int] = []
        self._depth = 0

    def plant(self, levels: Levels, adds: Sequence[float], missing: float) -> None:
        """The tree of one column: whether it is missing, if any was; then its levels halved.

        Parameters
        ----------
        adds : sequence of float
            What each level adds.
        missing : float
            What a missing value adds.
        """
        self._roots.append(len(self._nodes))
        at, depth = levels.column, 0
        if levels.missing:
            total = levels.counts.sum() + levels.missing
            root = self._node(at, np.inf, False, 0.0, total)
            self._grow(levels, adds, 0, levels.size)
            absent = self._node(0, 0.0, False, missing, levels.missing)
            self._join(root, root + 1, absent)
            depth = 1
        else:
            self._grow(levels, adds, 0, levels.size)
        self._depth = max(self._depth, depth + int(np.ceil(np.log2(levels.size))))

    def _grow(self, levels: Levels, adds: Sequence[float], low: int, high: int) -> int:
        count = float(levels.counts[low:high].sum())
        if high - low == 1:
            return self._node(0, 0.0, False, adds[low], count)
        middle = (low + high) // 2
        usual = int(np.argmin(np.abs(levels.terms[:, 0])))
        cut = float(levels.cuts[middle - 1])
        node = self._node(levels.column, cut, usual < middle, 0.0, count)
        left = self._grow(levels, adds, low, middle)
        right = self._grow(levels, adds, middle, high)
        self._join(node, left, right)
        return node

    def _node(
        self, column: int, threshold: float, missing_left: bool, value: float, cover: float
    ) -> int:
        at = len(self._nodes)
        self._nodes.append([column, threshold, at, at, missing_left, value, cover])
        return at

    def _join(self, node: int, left: int, right: int) -> None:
        self._nodes[node][2:4] = [left, right]

    def forest(self, baseline: float) -> Forest:
        """All trees planted."""
        column, threshold, left, right, missing_left, value, cover = np.array(self._nodes).T
        return Forest(
            roots=np.array(self._roots, np.int64),
            feature=column.astype(np.int64),
            threshold=threshold,
            left=left.astype(np.int64),
            right=right.astype(np.int64),
            missing_left=missing_left.astype(bool),
            value=value,
            cover=cover,
            baseline=baseline,
            depth=self._depth,
        )
