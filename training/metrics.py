"""How good a ranking and a probability were."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.metrics import average_precision_score, roc_auc_score

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

BUDGETS = (0.05, 0.1, 0.2, 0.5)
"""Shares of the changes that somebody reviews."""


def metrics(probability: Floats, failed: Mask) -> dict[str, Any]:
    """Ranking and calibration of probabilities against what happened.

    Returns
    -------
    dict
        ``roc_auc``, ``average_precision`` (None where only one outcome occurred), ``recall_at``
        (share of the failures among the riskiest 5, 10, 20 and 50 %), ``ece`` (10 quantile bins),
        ``brier``, ``brier_skill`` (against always saying the window's own rate), ``expected`` and
        ``observed`` failures.
    """
    rate = float(failed.mean())
    brier = float(np.mean((probability - failed) ** 2))
    both = 0 < rate < 1
    return {
        "roc_auc": float(roc_auc_score(failed, probability)) if both else None,
        "average_precision": (
            float(average_precision_score(failed, probability)) if both else None
        ),
        "recall_at": {str(share): recall_at(probability, failed, share) for share in BUDGETS},
        "ece": expected_calibration_error(probability, failed),
        "brier": brier,
        "brier_skill": 1 - brier / (rate * (1 - rate)) if both else None,
        "expected": float(probability.sum()),
        "observed": int(failed.sum()),
    }


def recall_at(score: Floats, failed: Mask, share: float) -> float | None:
    """Share of the failures among the riskiest ``share`` of the changes.

    Where a tie straddles the cut, each of the tied changes counts with the chance that a random
    order would put it inside.

    Examples
    --------
    >>> recall_at(np.array([3.0, 2.0, 2.0, 1.0]), np.array([False, True, False, False]), 0.5)
    0.5
    """
    if not failed.any():
        return None
    room = share * len(score)
    ahead = len(score) - rankdata(score, method="max")
    tied = len(score) - rankdata(score, method="min") + 1 - ahead
    inside = np.clip((room - ahead) / tied, 0.0, 1.0)
    return float(inside[failed].sum() / failed.sum())


def expected_calibration_error(probability: Floats, failed: Mask, bins: int = 10) -> float:
    """Mean distance between said and seen over bins of equal size [1]_.

    .. [1] Naeini, Cooper and Hauskrecht (2015), "Obtaining well calibrated probabilities using
       Bayesian binning", AAAI.
    """
    order = np.argsort(probability, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    gaps = [abs(float(probability[part].mean() - failed[part].mean())) for part in parts]
    return float(np.average(gaps, weights=[len(part) for part in parts]))


def flat(found: Mapping[str, Any]) -> dict[str, float]:
    """Metrics as a run records them: one number a name."""
    numbers = {}
    for name, value in found.items():
        nested = value.items() if isinstance(value, Mapping) else [("", value)]
        numbers.update({f"{name}_{k}".rstrip("_"): float(v) for k, v in nested if v is not None})
    return numbers
