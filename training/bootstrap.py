"""Intervals: what the figures would have been with other weeks of the same kind.

Weeks are drawn with replacement and every figure is computed again with each change counted as
often as its week was drawn [1]_. Changes of one week share releases, people and troubles; drawing
single changes would make the intervals too narrow.

.. [1] Davison and Hinkley (1997), *Bootstrap Methods and their Application*, ch. 2 and 3
   (percentile intervals; resampling of clusters).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

DRAWS = 1_000
"""Resamples behind an interval."""

LEVEL = 0.95
"""Share of the resamples inside an interval."""

CELLS = 4_000_000
"""Draws × scores held at once; bounds the memory."""

Interval = dict[str, float | None]
"""``value``, ``low`` and ``high``; None where it cannot be told."""


def draw(units: int, seed: int, draws: int = DRAWS) -> Floats:
    """How often each week is drawn, shape (1 + draws, units); the first row is the data itself.

    The same draws for all models of a window make differences between them comparable.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(units, np.full(units, 1 / units), size=draws)
    return np.vstack([np.ones((1, units)), drawn]).astype(np.float64)


def interval(values: Floats) -> Interval:
    """Figure of the data (the first value) and the percentiles of the resamples.

    Resamples in which the figure does not exist (a draw of weeks without a failure) are left out;
    where it does not exist for the data, all three are None.
    """
    value, others = float(values[0]), values[1:]
    if not np.isfinite(value):
        return {"value": None, "low": None, "high": None}
    others = others[np.isfinite(others)]
    if len(others) == 0:
        return {"value": value, "low": None, "high": None}
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(others, [tail, 1 - tail])
    return {"value": value, "low": float(low), "high": float(high)}


def ratio(above: Floats, below: Floats) -> Floats:
    """Quotient of two sums in every resample, NaN where the divisor is 0."""
    return np.where(below > 0, above / np.where(below > 0, below, 1.0), np.nan)


@dataclass(frozen=True)
class Ranking:
    """Areas under both curves in every resample.

    Parameters
    ----------
    roc_auc, average_precision : ndarray, shape (1 + draws,)
        As scikit-learn defines them with each change's weight; NaN where only one outcome occurs.
    """

    roc_auc: Floats
    average_precision: Floats


def ranking(score: Floats, failed: Mask, unit: Ints, draws: Floats) -> Ranking:
    """Areas under the ROC and the precision-recall curve, for all resamples together.

    Both depend on the order of the scores alone, which no resample changes: scores are sorted once
    and the weights of each resample are summed along that order.
    """
    group = np.unique(-score, return_inverse=True)[1]
    size = int(group.max(initial=-1)) + 1
    shape = (draws.shape[1], size)
    bad, good = (
        sparse.csr_matrix((np.ones(int(chosen.sum())), (unit[chosen], group[chosen])), shape=shape)
        for chosen in (failed, ~failed)
    )
    roc_auc, average_precision = np.full(len(draws), np.nan), np.full(len(draws), np.nan)
    for part in _parts(len(draws), size):
        positive, negative = draws[part] @ bad, draws[part] @ good
        hits, misses = np.cumsum(positive, axis=1), np.cumsum(negative, axis=1)
        positives, negatives = hits[:, -1], misses[:, -1]
        behind = negatives[:, None] - misses + negative / 2
        roc_auc[part] = ratio((positive * behind).sum(axis=1), positives * negatives)
        seen = hits + misses
        precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
        found = ratio((positive * precision).sum(axis=1), positives)
        average_precision[part] = np.where(negatives > 0, found, np.nan)
    return Ranking(roc_auc, average_precision)


def _parts(draws: int, size: int) -> Iterator[slice]:
    step = max(1, CELLS // max(size, 1))
    for start in range(0, draws, step):
        yield slice(start, start + step)
