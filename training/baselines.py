"""The baselines on one split, fitted and calibrated on the same rows as the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.baselines import BASELINES, columns_of
from models.calibration import fit_platt, levelled
from training.rows import TrainingRows
from training.splits import Split

Floats = NDArray[np.float64]

NOTHING = 1e-9
"""What the random order adds to the base rate: it ranks and says nothing."""


def baselines(rows: TrainingRows, split: Split, columns: list[int]) -> dict[str, Floats]:
    """Probabilities of the test rows by every baseline that has something to rank by.

    Parameters
    ----------
    columns : list of int
        The model's own columns, for the baselines that take all of them.
    """
    found = {}
    for name, (make, names) in BASELINES.items():
        chosen = columns if names is None else columns_of(names)
        if names is not None and not _ranks(rows.table.values[split.learnt][:, chosen]):
            continue  # the columns are the same for every change: there is nothing to rank by
        found[name] = _baseline(rows, split, make, chosen)
    return found


def without_model(rows: TrainingRows, split: Split, seed: int) -> dict[str, Floats]:
    """What is known without any feature: a random order, and the same rate for every change."""
    rate = float(rows.failed(split.test_from)[split.learnt].mean())
    same = np.full(int(split.test.sum()), rate)
    order = np.random.default_rng(seed).random(len(same))
    return {"random": same * (1 + NOTHING * order), "base_rate": same}


def _ranks(values: Floats) -> bool:
    """Whether the known values of any column differ at all."""
    for column in values.T:
        known = column[~np.isnan(column)]
        if len(known) and float(known.min()) < float(known.max()):
            return True
    return False


def _baseline(
    rows: TrainingRows, split: Split, make: Callable[[], Any], chosen: list[int]
) -> Floats:
    """One baseline, calibrated and fitted again as the model is."""
    values, before, after = rows.table.values, split.calibrate_from, split.test_from

    def fitted(mask: NDArray[np.bool_], moment: int) -> Any:
        with threadpool_limits(1):
            return make().fit(values[mask][:, chosen], rows.failed(moment)[mask])

    earlier = fitted(split.train, before).decision_function(values[split.calibrate][:, chosen])
    target = rows.failed(after)[split.calibrate]
    platt = fit_platt(np.asarray(earlier, np.float64), target)
    again = fitted(split.learnt, after)
    window = again.decision_function(values[split.calibrate][:, chosen])
    platt = levelled(platt, np.asarray(window, np.float64), target)
    margin = again.decision_function(values[split.test][:, chosen])
    return platt.probability(np.asarray(margin, np.float64))
