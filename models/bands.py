"""Bands: where a probability stands against the usual rate and the board's time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BANDS = ("low", "moderate", "high", "very_high")
"""Band names, from the safest on."""

VERY_HIGH_SHARE = 0.2
"""Share of the review budget that is very high: the riskiest fifth of what the board can read."""


@dataclass(frozen=True, kw_only=True)
class Bands:
    """Lowest probability of each band above ``low``, and what was observed in each.

    Parameters
    ----------
    moderate, high, very_high : float
        Where the band begins.
    review_budget : float
        Share of changes the board can read; the size of ``high`` and ``very_high`` together in the
        window the cuts come from.
    observed : mapping of str to mapping
        ``changes``, ``failures`` and ``rate`` of each band in a later window, not used to fit.
    """

    moderate: float
    high: float
    very_high: float
    review_budget: float
    observed: Mapping[str, Mapping[str, float | None]]

    def of(self, probability: float) -> str:
        """The band of a probability."""
        cuts = (self.moderate, self.high, self.very_high)
        return BANDS[sum(probability >= cut for cut in cuts)]

    def measured(self, probability: Floats, failed: NDArray[np.bool_]) -> Bands:
        """The same cuts with the rates observed in a window."""
        names = np.array([self.of(p) for p in probability.tolist()])
        observed: dict[str, dict[str, float | None]] = {}
        for band in BANDS:
            inside = names == band
            changes, failures = int(inside.sum()), int(failed[inside].sum())
            observed[band] = {
                "changes": changes,
                "failures": failures,
                "rate": failures / changes if changes else None,
            }
        return Bands(
            moderate=self.moderate,
            high=self.high,
            very_high=self.very_high,
            review_budget=self.review_budget,
            observed=observed,
        )


def make_bands(probability: Floats, base_rate: float, review_budget: float = 0.1) -> Bands:
    """Bands from the base rate and the review budget.

    ``high`` begins where the riskiest ``review_budget`` of a window's changes begin, ``very_high``
    at the riskiest fifth of those; ``moderate`` at the base rate: a change above it is riskier than
    usual. Where most changes have the same score, bands may be empty.

    Parameters
    ----------
    probability : ndarray, shape (n,)
        Calibrated probabilities of a recent window.

    Raises
    ------
    ValueError
        If the budget is not between 0 and 1 or there are no probabilities.
    """
    if not 0 < review_budget < 1:
        raise ValueError(f"expected a review budget between 0 and 1, got {review_budget}")
    if len(probability) == 0:
        raise ValueError("expected the probabilities of a window, got none")
    high, very_high = np.quantile(
        probability, [1 - review_budget, 1 - VERY_HIGH_SHARE * review_budget]
    )
    return Bands(
        moderate=float(min(base_rate, high)),
        high=float(high),
        very_high=float(very_high),
        review_budget=review_budget,
        observed={},
    )
