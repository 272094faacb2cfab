"""What an evaluation hands down to its auditors: ids, times, columns and probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.catalogue import NAMES
from features.policy import LabelPolicy
from training.figures import Window
from training.findings import Evidence, Part
from training.fit import Fitted
from training.folds import embargo
from training.rows import TrainingRows
from training.splits import Split

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]


def part_of(rows: TrainingRows, chosen: Mask, policy: LabelPolicy) -> Part:
    """The chosen changes as they were used."""
    changes = rows.changes.take(chosen)
    return Part(
        ids=changes["change_id"].tolist(),
        times=rows.table.as_of[chosen],
        windows_end=rows.start[chosen] + policy.window + policy.settle,
        tickets=changes["references"].tolist(),
    )


def evidence_of(
    rows: TrainingRows,
    policy: LabelPolicy,
    splits: list[Split],
    last: Fitted,
    said: Floats,
    window: Window,
    gain: Mapping[str, Any],
    coverage: Mapping[str, tuple[int, int]],
    stability: Mapping[str, float] | None = None,
) -> Evidence:
    """Everything the audits ask for.

    Parameters
    ----------
    last : Fitted
        The model of the last window.
    said, window
        Probabilities of all test changes, window after window, and what followed.
    """
    learnt = splits[-1].learnt
    tested = np.concatenate([np.flatnonzero(split.test) for split in splits])
    changes = rows.changes.take(tested)
    kinds = {"type": "change_type", "team": "assignment_group", "category": "category"}
    return Evidence(
        learnt=[part_of(rows, split.learnt, policy) for split in splits],
        tested=[part_of(rows, split.test, policy) for split in splits],
        gap=embargo(policy),
        columns=[NAMES[column] for column in last.columns],
        values=rows.table.values[learnt][:, last.columns],
        failed=rows.failed(splits[-1].test_from)[learnt],
        gain=gain,
        said=said,
        window=window,
        calibrated=last.window,
        latest=said[len(said) - int(splits[-1].test.sum()) :],
        groups={kind: changes[name] for kind, name in kinds.items() if any(changes[name])},
        coverage=coverage,
        stability=stability,
    )
