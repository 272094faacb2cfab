"""Weekly queues: the budget is a share of each week's changes, not of a whole test window.

A board reads so many changes a week. A ranking that puts all its failures into one bad month looks
well over the pooled window and is of little use in the other weeks; so the riskiest share is taken
from every week by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.instants import DAY

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

MONDAY = 4 * DAY
"""1970-01-05, the first Monday of the Unix era, microseconds."""


def week_of(times: Ints) -> Ints:
    """Number of the week (Monday to Sunday, UTC) of each moment, 0 for the earliest week."""
    return np.asarray(np.unique((times - MONDAY) // (7 * DAY), return_inverse=True)[1], np.int64)


def day_of(times: Ints) -> Ints:
    """Number of the day (UTC) of each moment, 0 for the earliest day."""
    return np.asarray(np.unique(times // DAY, return_inverse=True)[1], np.int64)


@dataclass(frozen=True)
class Captured:
    """What the riskiest share of each week holds.

    Parameters
    ----------
    inside : ndarray, shape (n,)
        Chance of each change to be inside: 0 or 1, or for a tie at the cut, the chance that a
        random order puts it there.
    worst, best : float
        Failures inside, all ties broken against the ranking, and for it.
    """

    inside: Floats
    worst: float
    best: float


def captured(score: Floats, failed: Mask, week: Ints, share: float) -> Captured:
    """The riskiest ``share`` of each week's changes; of a week of 25, a tenth is 2.5 changes.

    Parameters
    ----------
    score : ndarray, shape (n,)
        The higher, the riskier.
    week : ndarray of int64, shape (n,)
        From :func:`week_of`: every number from 0 up occurs.
    """
    order = np.lexsort((-score, week))
    ranked, of_week = score[order], week[order]
    counts = np.bincount(of_week)
    first = np.cumsum(counts) - counts
    new = np.ones(len(order), bool)
    new[1:] = (ranked[1:] != ranked[:-1]) | (of_week[1:] != of_week[:-1])
    tie, start = np.cumsum(new) - 1, np.flatnonzero(new)
    size = np.bincount(tie).astype(np.float64)
    bad = np.bincount(tie, weights=failed[order])
    owner = of_week[start]
    left = np.clip(share * counts[owner] - (start - first[owner]), 0.0, size)
    inside = np.empty(len(order))
    inside[order] = (left / size)[tie]
    return Captured(
        inside=inside,
        worst=float(np.maximum(left - (size - bad), 0.0).sum()),
        best=float(np.minimum(bad, left).sum()),
    )
