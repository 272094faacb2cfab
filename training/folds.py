"""Splits of training rows: only what had ripened, and related changes on one side."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from features import instants
from features.policy import LabelPolicy
from training.config import TrainingConfig, TrainingError
from training.related import Related, apart
from training.rows import TrainingRows
from training.splits import RollingOrigin, Split, TemporalSplit

Mask = NDArray[np.bool_]

LEAST_FAILURES = 10
"""With fewer failures before the test there is nothing to learn."""


def embargo(policy: LabelPolicy) -> int:
    """The gap between the parts, microseconds: the label window and its settling time."""
    return round(policy.embargo.total_seconds() * 1e6)


def ripened(parts: Split, rows: TrainingRows, usable: Mask) -> Split:
    """A split of the usable rows as one of all rows, each part with the labels known in time.

    Parameters
    ----------
    parts : Split
        Masks over the usable rows alone.
    """
    at = np.flatnonzero(usable)

    def spread(mask: Mask) -> Mask:
        whole = np.zeros(len(usable), bool)
        whole[at[mask]] = True
        return whole

    return replace(
        parts,
        train=spread(parts.train) & rows.decided(parts.calibrate_from),
        calibrate=spread(parts.calibrate) & rows.decided(parts.test_from),
        learnt=spread(parts.learnt) & rows.decided(parts.test_from),
        test=spread(parts.test),
    )


def check_learnable(split: Split, rows: TrainingRows, policy: LabelPolicy) -> None:
    """Refuse a split with next to no failures to learn from.

    Raises
    ------
    TrainingError
        If fewer than ``LEAST_FAILURES`` were known when calibration began.
    """
    before = split.train & rows.failed(split.calibrate_from)
    if before.sum() < LEAST_FAILURES:
        raise TrainingError(
            f"only {before.sum()} of the {split.train.sum()} changes to learn from failed under "
            f"the label {policy.name!r}; at least {LEAST_FAILURES} are needed. A longer history, "
            "more links between incidents and changes, or a wider label would help"
        )


def make_folds(
    rows: TrainingRows,
    usable: Mask,
    policy: LabelPolicy,
    config: TrainingConfig,
    *,
    folds: int,
    test_from: datetime | None = None,
) -> list[Split]:
    """The splits of an evaluation: several origins, or one from a given day on.

    Raises
    ------
    TrainingError
        If the history is too short, or holds too few failures before a test.
    """
    times = rows.table.as_of[usable]
    if test_from is None:
        parts = RollingOrigin(
            folds=folds,
            tested_share=config.tested_share,
            calibration_share=config.calibration_share,
            gap=embargo(policy),
        ).split(times)
    else:
        single = TemporalSplit(
            test_share=config.test_share,
            calibration_share=config.calibration_share,
            gap=embargo(policy),
        )
        parts = [single.at(times, instants.to_micros(test_from))]
    related = Related.of(rows.changes, rows.table.as_of)
    found = [apart(ripened(part, rows, usable), related) for part in parts]
    for split in found:
        check_learnable(split, rows, policy)
    return found
