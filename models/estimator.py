"""The estimator: gradient-boosted shallow trees over numbers, nothing resampled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sklearn.ensemble import HistGradientBoostingClassifier

DEFAULTS: dict[str, Any] = {
    "max_iter": 300,
    "learning_rate": 0.03,
    "max_leaf_nodes": 4,
    "min_samples_leaf": 150,
    "l2_regularization": 10.0,
    "max_bins": 255,
    "max_features": 0.3,
}
"""Small, strongly regularised trees: outcomes are rare and ten years drift. A split chooses among
three in ten columns, so that columns that say nearly the same share it, in every retrain alike.
"""

SMALLEST_LEAF = 20
"""Below this many changes in a leaf a rate is noise, however small the history."""


def make_estimator(
    params: Mapping[str, Any] | None = None, *, rows: int, seed: int = 0
) -> HistGradientBoostingClassifier:
    """An unfitted estimator.

    Parameters
    ----------
    params : mapping, optional
        Settings that replace ``DEFAULTS``.
    rows : int
        Number of training rows. Leaves hold at most a hundredth of them, so that a young
        organisation's trees can split at all.
    seed : int
        Seed of the estimator.
    """
    settings = {**DEFAULTS, **(params or {})}
    leaf = min(settings["min_samples_leaf"], max(SMALLEST_LEAF, rows // 100))
    return HistGradientBoostingClassifier(
        **{**settings, "min_samples_leaf": leaf}, early_stopping=False, random_state=seed
    )
