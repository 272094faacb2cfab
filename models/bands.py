"""Bands: where a probability stands against the usual rate and the board's time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

BANDS = ("low", "moderate", "high", "very_high")
"""Band names, from the safest on."""

BOARD = ("high", "very_high")
"""Bands that go to the board."""

VERY_HIGH_SHARE = 0.2
"""Share of the review budget that is very high: the riskiest fifth of what the board can read."""


@dataclass(frozen=True, kw_only=True)
class Bands:
    """Lowest probability of each band above ``low``, and what was observed in each.

    Parameters
    ----------
    moderate, high, very_high : float
        Probability from which the band is given.
    review_budget : float
        Share of changes the board can read; the size of ``high`` and ``very_high`` together in the
        window the cuts come from.
    observed : mapping of str to mapping
        ``changes``, ``failures`` and ``rate`` of each band in a later window, not used to fit.
    rehearsal : sequence of mapping
        What these cuts would have asked of the board in past quarters; see :func:`rehearse`.
    """

    moderate: float
    high: float
    very_high: float
    review_budget: float
    observed: Mapping[str, Mapping[str, float | None]]
    rehearsal: Sequence[Mapping[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        cuts = (self.moderate, self.high, self.very_high)
        if not 0 <= cuts[0] <= cuts[1] <= cuts[2] <= 1:
            raise ValueError(f"expected cuts that ascend between 0 and 1, got {cuts}")
        if not 0 < self.review_budget < 1:
            raise ValueError(f"expected a review budget between 0 and 1, got {self.review_budget}")
        for quarter in self.rehearsal:
            if not 0 <= quarter["failures_to_board"] <= quarter["failures"] <= quarter["changes"]:
                raise ValueError(f"a rehearsal that cannot have been: {dict(quarter)}")

    @property
    def cuts(self) -> tuple[float, float, float]:
        """Where each band above ``low`` begins."""
        return self.moderate, self.high, self.very_high

    def of(self, probability: float) -> str:
        """The band of a probability.

        Parameters
        ----------
        probability : float
            Between 0 and 1.
        """
        return BANDS[sum(probability >= cut for cut in self.cuts)]

    def measured(self, probability: Floats, failed: NDArray[np.bool_]) -> Bands:
        """The same cuts with the rates observed in a window.

        Parameters
        ----------
        probability, failed : ndarray, shape (n,)
            Scores of changes not used to make the cuts, and what happened.
        """
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
        return replace(self, observed=observed)


def rehearse(
    bands: Bands, quarters: NDArray[np.str_], probability: Floats, failed: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    """What the cuts would have asked of the board, quarter by quarter, and what was there.

    Parameters
    ----------
    bands : Bands
        The cuts.
    quarters : ndarray of str, shape (n,)
        Name of each change's quarter, ``2024-Q1``.
    probability, failed : ndarray, shape (n,)
        Scores of changes not used to make the cuts, and what happened.

    Returns
    -------
    list of dict
        ``quarter``, ``changes``, ``failures``; ``to_board`` and ``failures_to_board``, those of the
        bands ``high`` and ``very_high``; ``low`` and ``failures_low``, those of the band ``low``.
    """
    names = np.array([bands.of(p) for p in probability.tolist()])
    board, low = np.isin(names, BOARD), names == BANDS[0]
    return [
        {
            "quarter": str(quarter),
            "changes": int((inside := quarters == quarter).sum()),
            "failures": int(failed[inside].sum()),
            "to_board": int((inside & board).sum()),
            "failures_to_board": int((inside & board & failed).sum()),
            "low": int((inside & low).sum()),
            "failures_low": int((inside & low & failed).sum()),
        }
        for quarter in np.unique(quarters)
    ]


def together(quarters: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Parts of one quarter, scored by different models, added up."""
    found: dict[str, dict[str, Any]] = {}
    for part in quarters:
        whole = found.setdefault(part["quarter"], {"quarter": part["quarter"]})
        for name, count in part.items():
            if name != "quarter":
                whole[name] = whole.get(name, 0) + count
    return list(found.values())


def rehearsed_sentence(quarters: Sequence[Mapping[str, Any]]) -> str:
    """The rehearsal in a sentence.

    Examples
    --------
    >>> quarter = {"changes": 200, "failures": 5, "to_board": 22, "failures_to_board": 3}
    >>> rehearsed_sentence([quarter])[:65]
    'with these bands 11 % of the changes would have gone to the board'
    """
    changes, failures, board, there = (
        sum(quarter[name] for quarter in quarters)
        for name in ("changes", "failures", "to_board", "failures_to_board")
    )
    if not changes or not failures:
        return "no failure to rehearse the bands on"
    return (
        f"with these bands {board / changes:.0%} of the changes would have gone to the board, and "
        f"{there / failures:.0%} of the failures were there"
    ).replace("%", " %")


def make_bands(probability: Floats, base_rate: float, review_budget: float = 0.1) -> Bands:
    """Bands from the base rate and the review budget.

    ``high`` begins where the riskiest ``review_budget`` of a window's changes begin, ``very_high``
    at the riskiest fifth of those; ``moderate`` at the base rate: a change above it is riskier than
    usual. Where most changes have the same score, bands may be empty.

    Parameters
    ----------
    probability : ndarray, shape (n,)
        Calibrated probabilities of a recent window.
    base_rate : float
        Share of the changes that fail, 0 to 1.
    review_budget : float
        Share of the changes the board can read, 0 to 1.

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
