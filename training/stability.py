"""Stability: whether a retrain would call the same changes risky, and for the same reasons."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from features.catalogue import BY_NAME, NAMES
from features.progress import Progress, silent
from models.global_view import agreement, strongest
from models.shapley import Tables
from training.config import TrainingConfig
from training.fit import Fitted, fit_split
from training.rows import TrainingRows
from training.splits import Split

Ints = NDArray[np.int64]

KEPT = 1 - 1 / np.e
"""Share of the changes each retrain learns from: as many as a bootstrap draws at least once."""

TOP = 0.1
"""Share of the test changes whose list and reasons are compared."""

BACKGROUND = 500
"""Rows the values are taken against."""


def stability(
    rows: TrainingRows,
    split: Split,
    config: TrainingConfig,
    retrains: int,
    progress: Progress = silent,
) -> dict[str, float]:
    """Agreement between models fitted on random parts of what one model learnt from.

    Returns
    -------
    dict
        ``retrains``; ``top_overlap``, mean share of the riskiest tenth that two of them have in
        common; ``factor_jaccard``, mean Jaccard index of the three strongest factor groups two of
        them name for changes both hold risky (exact Shapley values with the groups as players).
    """
    rng = np.random.default_rng(config.seed)
    lists: list[Ints] = []
    factors: list[list[frozenset[str]]] = []
    tested = np.flatnonzero(split.test)
    size = max(1, round(TOP * len(tested)))
    background = rng.choice(np.flatnonzero(split.learnt), BACKGROUND)
    for number in range(retrains):
        progress("retrain", number, retrains)
        kept = rng.random(len(split.learnt)) < KEPT
        part = replace(split, train=split.train & kept, learnt=split.learnt & kept)
        fitted = fit_split(rows, part, replace(config, seed=config.seed + number))
        order = np.argsort(-fitted.scored(rows, split.test), kind="stable")[:size]
        lists.append(order)
        factors.append(_strongest(fitted, rows, tested, background))
    progress("retrain", retrains, retrains)
    pairs = list(combinations(range(retrains), 2))
    shared = [np.intersect1d(lists[a], lists[b]) for a, b in pairs]
    jaccard = [
        agreement([factors[a][row] for row in both], [factors[b][row] for row in both])
        for (a, b), both in zip(pairs, shared, strict=True)
        if len(both)
    ]
    return {
        "retrains": float(retrains),
        "top_overlap": float(np.mean([len(both) / size for both in shared])),
        "factor_jaccard": float(np.mean(jaccard)) if jaccard else 0.0,
    }


def _strongest(
    fitted: Fitted, rows: TrainingRows, chosen: Ints, background: Ints
) -> list[frozenset[str]]:
    """The strongest factor groups of each chosen row."""
    groups = [BY_NAME[NAMES[column]].group for column in fitted.columns]
    values = [
        fitted.usual.filled(rows.table.values[at][:, fitted.columns]) for at in (chosen, background)
    ]
    tables = Tables.build(fitted.forest, groups, np.ascontiguousarray(values[1]))
    return strongest(tables.names, tables.by_group(np.ascontiguousarray(values[0])))
