"""The placebo of an evaluation: the same changes moved back to times at which nothing was done.

For labels made of incidents on the same items the whole evaluation is done again with every change
moved back: features, labels, fit and test. If it comes out as well there, the label finds noisy
items. For labels whose links name their change the score is asked about trouble on the change's
items at either time; see :mod:`training.placebo`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features import instants
from features.columns import Columns
from features.history import History
from features.instants import MISSING
from features.names import Vocabulary
from features.policy import POLICIES, LabelPolicy
from features.progress import Progress
from features.records import Change, ChangeEvent, Incident
from features.verdicts import counts_around, incident_index
from training.bootstrap import Interval, interval, ranking, ratio
from training.figures import Window
from training.placebo import trouble
from training.rows import TrainingRows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

SHIFTS = (7, 14, 21)
"""By how many days the changes are moved back: whole weeks, so that the weekday stays."""

_MOMENTS = {
    Change: ("known_at", "submitted_at", "planned_start", "planned_end"),
    ChangeEvent: ("occurred_at", "known_at"),
}


def moved_back(history: History, days: int) -> History:
    """The history with all changes, and what happened to them, moved back; incidents stay."""
    by = days * instants.DAY
    tables = dict(history.tables)
    for kind, names in _MOMENTS.items():
        data = dict(tables[kind].data)
        for name in names:
            times = tables[kind].times(name)
            data[name] = np.where(times == MISSING, MISSING, times - by)
        tables[kind] = Columns(kind, data)
    return History(tables, history.watermark)


def seeks_items(policy: LabelPolicy) -> bool:
    """Whether the label is made of incidents on the same items, which come without a change too."""
    return "same_item" in policy.sources


def shift_figures(
    rows: TrainingRows, tested: Ints, score: Floats, window: Window, policy: LabelPolicy, days: int
) -> dict[str, Any]:
    """Trouble on the changes' items at their real and at the moved time, and the score's AUC.

    Parameters
    ----------
    tested : ndarray of int64
        Rows of the test changes, in the order of ``score`` and ``window``.
    """
    order = np.argsort(tested)
    mask = np.zeros(len(rows.start), bool)
    mask[tested] = True
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    start = rows.start[mask]
    real = trouble(rows, mask, start, policy)[back]
    placebo = trouble(rows, mask, start - days * instants.DAY, policy)[back]
    found = {"shift_days": days}
    return {
        **found,
        "rate": interval(ratio(window.sums(real), window.changes)),
        "placebo_rate": interval(ratio(window.sums(placebo), window.changes)),
        "rate_ratio": interval(ratio(window.sums(real), window.sums(placebo))),
        "roc_auc": interval(ranking(score, real, window.unit, window.draws).roc_auc),
        "placebo_roc_auc": interval(ranking(score, placebo, window.unit, window.draws).roc_auc),
    }


@dataclass(frozen=True, kw_only=True)
class Span:
    """Changes around whose start incidents are counted, each once.

    Parameters
    ----------
    changes : Columns
    start : ndarray of int64
        Planned or actual starts, microseconds.
    """

    changes: Columns
    start: Ints


def label_effects(
    history: History, rows: TrainingRows, *, until: datetime, seed: int, progress: Progress
) -> list[dict[str, Any]]:
    """For every label of incidents on the same items: how often it says yes, and for the placebo.

    Around planned and, where they are on record, actual starts. ``rate_ratio`` compares the share
    of changes with a yes, ``incident_ratio`` the incidents themselves; above 1 with its whole
    interval an effect remains that noisy items cannot explain.
    """
    limit = instants.to_micros(until)
    actual = _actual_starts(history)
    ids = rows.changes["change_id"]
    started = np.array([actual.get(name, MISSING) for name in ids], np.int64)
    spans = {"planned": rows.start, "actual": started}
    found = []
    policies = [policy for policy in POLICIES.values() if seeks_items(policy)]
    for number, policy in enumerate(policies):
        progress("placebo of every label", number, len(policies))
        for name, start in spans.items():
            ripe = rows.taught & (start != MISSING)
            ripe &= start + policy.window + policy.settle <= limit
            if ripe.any():
                span = Span(changes=rows.changes.take(ripe), start=start[ripe])
                found.append(_effect(history, policy, span, name, seed))
    progress("placebo of every label", len(policies), len(policies))
    return found


def _actual_starts(history: History) -> dict[str, int]:
    events = history[ChangeEvent]
    rows = np.flatnonzero(events["kind"] == "started")
    moments = events.times("occurred_at")[rows].tolist()
    return dict(zip(events["change_id"][rows], moments, strict=True))


def _effect(
    history: History, policy: LabelPolicy, span: Span, starts: str, seed: int
) -> dict[str, Any]:
    items = Vocabulary()
    incidents = incident_index(history[Incident], items, policy)
    said, counted = {}, {}
    for days in (0, *SHIFTS):
        start = span.start - days * instants.DAY
        after, before = counts_around(incidents, items, span.changes, start, policy.window)
        said[days], counted[days] = after >= before + policy.min_rise, after.astype(np.float64)
    window = Window(times=span.start, failed=said[0], base_rate=0.0, seed=seed)
    moved_yes = np.mean([window.sums(said[days]) for days in SHIFTS], axis=0)
    moved_count = np.mean([window.sums(counted[days]) for days in SHIFTS], axis=0)
    rate_ratio = interval(ratio(window.failures, moved_yes))
    return {
        "label": policy.name,
        "means": policy.means,
        "window_days": policy.window_days,
        "starts": starts,
        "changes": len(span.start),
        "yes": int(said[0].sum()),
        "rate": interval(ratio(window.failures, window.changes)),
        "placebo_rate": interval(ratio(moved_yes, window.changes)),
        "rate_ratio": rate_ratio,
        "incident_ratio": interval(ratio(window.sums(counted[0]), moved_count)),
        "effect_remains": above_one(rate_ratio),
    }


def above_one(found: Interval) -> bool:
    """Whether a ratio's whole interval lies above 1."""
    return found["low"] is not None and found["low"] > 1


def verdict(
    policy: LabelPolicy, real: Interval, shifts: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What the placebo says of the label, in one sentence.

    Parameters
    ----------
    real : mapping
        The model's ROC AUC at the real times.
    """
    if not seeks_items(policy):
        return {
            "noise_seeking": False,
            "verdict": "the label names its change and cannot come before it: the figures above "
            "are about changes; those below say how far the score also finds items that make "
            "trouble at any time",
        }
    refitted = [one["refitted"]["roc_auc"]["value"] for one in shifts if one.get("refitted")]
    best = max((value for value in refitted if value is not None), default=None)
    low = real["low"]
    noisy = best is not None and low is not None and best >= low
    more = all(above_one(one["rate_ratio"]) for one in shifts)
    if noisy or not more:
        sentence = (
            "this label finds noisy items, not risky changes: moved to times at which nothing was "
            "done, it says yes about as often and is predicted about as well"
        )
    else:
        sentence = "more follows the changes than comes without them: an effect remains"
    return {"noise_seeking": noisy or not more, "verdict": sentence}


def moved_moment(moment: datetime | None, days: int) -> datetime | None:
    """A moment as many days earlier."""
    return None if moment is None else moment - timedelta(days=days)
