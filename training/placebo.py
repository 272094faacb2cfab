"""The placebo: the same question about the same changes, moved back in time.

Items that always make trouble have trouble after a change, and before it. If as many changes seem
to fail when they are moved to a time at which nothing was done, a score that predicts those
failures finds noisy items, not risky changes. Any claim about a model is shown beside this.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from features import instants
from features.entities import ENTITIES
from features.policy import LabelPolicy
from features.records import Incident
from features.verdicts import counts_around, incident_index
from training.rows import TrainingRows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


def placebo(
    rows: TrainingRows, chosen: Mask, probability: Floats, policy: LabelPolicy, shift_days: int
) -> dict[str, Any]:
    """How often the label's own question is answered yes at the real time and at the moved one.

    Parameters
    ----------
    chosen : ndarray of bool
        The rows asked about (the test window).
    probability : ndarray, shape (number chosen,)
        The score whose claim is put to the test.
    shift_days : int
        By how many days the changes are moved back.

    Returns
    -------
    dict
        ``rate`` and ``placebo_rate``: share of changes with trouble on their items in the window
        after their real and after their moved start. Labels made of links name their change, so for
        them *trouble* is any failed change on the same items. ``roc_auc`` and ``placebo_roc_auc``:
        how well the score predicts either; equal figures mean it finds noisy items.
    """
    start = rows.start[chosen]
    moved = start - shift_days * instants.DAY
    real_trouble, placebo_trouble = (trouble(rows, chosen, s, policy) for s in (start, moved))
    return {
        "shift_days": shift_days,
        "question": "incidents_rose" if "same_item" in policy.sources else "item_had_a_failure",
        "rate": float(real_trouble.mean()),
        "placebo_rate": float(placebo_trouble.mean()),
        "roc_auc": _auc(real_trouble, probability),
        "placebo_roc_auc": _auc(placebo_trouble, probability),
    }


def trouble(rows: TrainingRows, chosen: Mask, start: Ints, policy: LabelPolicy) -> Mask:
    """Which of the chosen changes have trouble on their items in the window after a start."""
    changes = rows.changes.take(chosen)
    if "same_item" in policy.sources:
        items = rows.state.vocabulary("ci")
        incidents = incident_index(rows.state.history[Incident], items, policy)
        after, before = counts_around(incidents, items, changes, start, policy.window)
        return np.asarray(after >= before + policy.min_rise)
    named = ENTITIES["affected"].read(changes)
    codes = rows.state.vocabulary("ci").find(named.names)
    nobody = np.full(len(codes), -1)
    until = (start + policy.window)[named.row]
    failures = rows.state.events("failures", "ci")
    counts = failures.counts(codes, until, [policy.window], nobody)[policy.window]
    return np.bincount(named.row, weights=counts, minlength=len(changes)) > 0


def _auc(trouble: Mask, probability: Floats) -> float | None:
    if trouble.all() or not trouble.any():
        return None
    return float(roc_auc_score(trouble, probability))
