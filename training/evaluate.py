"""Evaluate: how good the way of training is, over several windows that it had not seen.

Each window is scored by a model fitted only on what was known before it. The table of features is
built once, for each of its rows speaks for the row's own score time; labels are cut at every split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features import instants
from features.history import History
from features.policy import LabelPolicy
from features.progress import Progress, silent
from features.records import Incident
from models.bands import make_bands, rehearse, together
from training.audits import audit
from training.bootstrap import interval, ranking
from training.config import TrainingConfig, TrainingError
from training.figures import DIRECTIONAL, Figures, by_month, figures, gain, quarter_of
from training.findings import Finding
from training.folds import embargo
from training.handed_down import evidence_of
from training.judging import CHAMPION, Fold, Subject, judge, pooled
from training.kept import Kept
from training.moved import (
    SHIFTS,
    label_effects,
    moved_back,
    moved_moment,
    seeks_items,
    shift_figures,
    verdict,
)
from training.pictures import save_pictures, text_picture
from training.rows import TrainingRows
from training.slices import link_coverage, masks, slice_figures
from training.stability import stability

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

FOLDS = 4
"""Tests of a rolling evaluation."""

NO_COMPETITORS = (CHAMPION, "random", "base_rate")
"""What the champion is not compared with: itself, and what ranks nothing."""

DECIDING = "roc_auc"
"""The figure by which model and baseline are compared: it uses every failure of the window, where
the riskiest tenth uses a few dozen."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The folds of an evaluation, the rows they are of, and the report.

    Parameters
    ----------
    rows : TrainingRows
        What was evaluated.
    folds : sequence of Fold
        One a window.
    report : dict
        As ``changerisk evaluate --json`` prints it.
    """

    rows: TrainingRows
    folds: Sequence[Fold]
    report: dict[str, Any]

    def draw(self, folder: Path) -> list[Path]:
        """Draw splits, reliability and months into a folder; the files written.

        Parameters
        ----------
        folder : Path
            Made where it is missing.
        """
        said, window = pooled(self.folds)
        return save_pictures(
            folder,
            [fold.split for fold in self.folds],
            self.rows.table.as_of,
            said[CHAMPION],
            window.failed,
            by_month(said[CHAMPION], window),
        )


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What an evaluation was asked for."""

    end: datetime
    history_from: datetime | None
    test_from: datetime | None
    folds: int


def evaluate(
    history: History,
    policy: LabelPolicy,
    *,
    config: TrainingConfig | None = None,
    as_of: datetime | None = None,
    history_from: datetime | None = None,
    folds: int = FOLDS,
    test_from: datetime | None = None,
    retrains: int = 0,
    kept: Kept | None = None,
    progress: Progress = silent,
) -> Evaluation:
    """Fit and judge on several windows one after another, the baselines beside the model.

    Parameters
    ----------
    as_of : datetime, optional
        Use only what was known by then.
    history_from : datetime, optional
        Learn only from changes submitted since.
    folds : int
        Number of windows.
    test_from : datetime, optional
        One window from then on, in place of several.
    retrains : int
        Models fitted on random parts of the last window's past, to see how stable they are.
    kept : Kept, optional
        Where finished folds are kept: an evaluation that was interrupted goes on from there.

    Raises
    ------
    TrainingError
        If the history holds too little.
    """
    progress("build the table", 0, None)
    subject = Subject.of(
        history,
        policy,
        config or TrainingConfig(),
        as_of=as_of,
        history_from=history_from,
        kept=kept,
    )
    found = judge(subject, folds=folds, test_from=test_from, progress=progress)
    progress("figures", 0, None)
    report = _report(subject, found)
    asked = Asked(end=subject.end, history_from=history_from, test_from=test_from, folds=folds)
    stable = None
    if retrains >= 2:
        stable = stability(subject.rows, found[-1].split, subject.config, retrains, progress)
    report["stability"] = stable
    report.update(_beside(subject, found, report["overall"]["gain"], stable))
    report["placebo"] = _placebo(history, asked, subject, found, progress)
    return Evaluation(rows=subject.rows, folds=found, report=report)


def _report(subject: Subject, folds: Sequence[Fold]) -> dict[str, Any]:
    said, window = pooled(folds)
    judged = {name: figures(scores, window) for name, scores in said.items()}
    return {
        "label": _label(subject),
        "protocol": _protocol(subject, folds),
        "picture": text_picture([fold.split for fold in folds], subject.rows.table.as_of),
        "splits": [_split_report(subject, fold) for fold in folds],
        "overall": {
            "rows": len(window.failed),
            "positives": int(window.failed.sum()),
            "base_rate": float(window.failed.mean()),
            "directional": int(window.failed.sum()) < DIRECTIONAL,
            "resampled": window.resampled,
            "models": {name: one.report() for name, one in judged.items()},
            "gain": best_gain(judged),
            "idle_baselines": sorted(set.intersection(*(set(fold.idle) for fold in folds))),
        },
    }


def _beside(
    subject: Subject,
    folds: Sequence[Fold],
    gain: Mapping[str, Any],
    stable: Mapping[str, float] | None,
) -> dict[str, Any]:
    """Slices, the rehearsal of the bands, and what the audits found."""
    rows, (said, window) = subject.rows, pooled(folds)
    champion, budget = said[CHAMPION], subject.config.review_budget
    tested = np.concatenate([np.flatnonzero(fold.split.test) for fold in folds])
    covered = link_coverage(rows, folds[-1].split.test_from)
    return {
        "slices": {
            name: slice_figures(champion, window, inside)
            for name, inside in masks(rows, tested, covered).items()
        },
        "bands": {"review_budget": budget, "quarters": rehearsed(folds, budget)},
        "audits": [finding.plain() for finding in audited(subject, folds, gain, stable)],
    }


def audited(
    subject: Subject,
    folds: Sequence[Fold],
    gain: Mapping[str, Any] | None = None,
    stable: Mapping[str, float] | None = None,
) -> list[Finding]:
    """What the audits find in windows that were judged with their baselines.

    Parameters
    ----------
    gain : mapping, optional
        From :func:`best_gain`, where somebody has it already.
    stable : mapping, optional
        Stability over retrains; without it that audit is not applicable.
    """
    said, window = pooled(folds)
    if gain is None:
        gain = best_gain({name: figures(scores, window) for name, scores in said.items()})
    evidence = evidence_of(
        subject.rows,
        subject.policy,
        [fold.split for fold in folds],
        folds[-1].fitted,
        said[CHAMPION],
        window,
        gain,
        link_coverage(subject.rows, folds[-1].split.test_from),
        stable,
    )
    return audit(evidence)


def rehearsed(folds: Sequence[Fold], budget: float) -> list[dict[str, Any]]:
    """What the bands of each model would have asked of the board, quarter by quarter.

    Parameters
    ----------
    budget : float
        Share of the changes the board can read, 0 to 1.

    Raises
    ------
    ValueError
        If the budget is not between 0 and 1.
    """
    quarters: list[Mapping[str, Any]] = []
    for fold in folds:
        bands = make_bands(fold.fitted.window, fold.window.base_rate, budget)
        scores = fold.said[CHAMPION]
        quarters += rehearse(bands, quarter_of(fold.window.times), scores, fold.window.failed)
    return together(quarters)


def _placebo(
    history: History, asked: Asked, subject: Subject, folds: Sequence[Fold], progress: Progress
) -> dict[str, Any]:
    """The claim put to the test at times at which nothing was done."""
    said, window = pooled(folds)
    tested = np.concatenate([np.flatnonzero(fold.split.test) for fold in folds])
    policy, rows = subject.policy, subject.rows
    shifts = []
    for number, days in enumerate(SHIFTS):
        progress("placebo", number, len(SHIFTS))
        one = shift_figures(rows, tested, said[CHAMPION], window, policy, days)
        if seeks_items(policy):
            one["refitted"] = _refitted(history, asked, subject, days)
        shifts.append(one)
    progress("placebo", len(SHIFTS), len(SHIFTS))
    real = interval(ranking(said[CHAMPION], window.failed, window.unit, window.draws).roc_auc)
    labels = []
    if len(history[Incident]) and "back_out" not in policy.sources:
        labels = label_effects(
            history, rows, until=asked.end, seed=subject.config.seed, progress=progress
        )
    return {
        "question": "incidents_rose" if seeks_items(policy) else "item_had_a_failure",
        "roc_auc": real,
        "shifts": shifts,
        **verdict(policy, real, shifts),
        "labels": labels,
    }


def _refitted(history: History, asked: Asked, subject: Subject, days: int) -> dict[str, Any]:
    """The whole evaluation of the changes moved back: features, labels, fit and test."""
    earlier = Subject.of(
        moved_back(history, days),
        subject.policy,
        subject.config,
        as_of=moved_moment(asked.end, days),
        history_from=moved_moment(asked.history_from, days),
        kept=subject.kept,
    )
    try:
        folds = judge(
            earlier,
            folds=asked.folds,
            test_from=moved_moment(asked.test_from, days),
            champion_only=True,
        )
    except TrainingError as error:
        return {"not_applicable": str(error), "roc_auc": interval(np.array([np.nan]))}
    said, window = pooled(folds)
    ranked = ranking(said[CHAMPION], window.failed, window.unit, window.draws)
    return {
        "rows": len(window.failed),
        "positives": int(window.failed.sum()),
        "roc_auc": interval(ranked.roc_auc),
        "average_precision": interval(ranked.average_precision),
    }


def _label(subject: Subject) -> dict[str, Any]:
    policy, rows = subject.policy, subject.rows
    failed = rows.failed(subject.limit)
    return {
        "name": policy.name,
        "means": policy.means,
        "sources": list(policy.sources),
        "window_days": policy.window_days,
        "settle_days": policy.settle_days,
        "max_priority": policy.max_priority,
        "as_of": instants.to_iso(subject.limit),
        "changes": len(failed),
        "usable": int(subject.usable.sum()),
        "base_rate": float(failed[subject.usable].mean()),
    }


def _protocol(subject: Subject, folds: Sequence[Fold]) -> dict[str, Any]:
    return {
        "folds": len(folds),
        "embargo_days": embargo(subject.policy) / instants.DAY,
        "budget": "a share of each week's changes",
        "intervals": "95 %, percentiles of a bootstrap over weeks (days where a window is short)",
        "directional_below": DIRECTIONAL,
    }


def _split_report(subject: Subject, fold: Fold) -> dict[str, Any]:
    split, window = fold.split, fold.window
    judged = {name: figures(scores, window) for name, scores in fold.said.items()}
    positives = int(window.failed.sum())
    return {
        "train_until": instants.to_iso(split.test_from - embargo(subject.policy)),
        "calibrate_from": instants.to_iso(split.calibrate_from),
        "test_from": instants.to_iso(split.test_from),
        "test_to": instants.to_iso(int(window.times.max())),
        "learnt": int(split.learnt.sum()),
        "calibrated": int(split.calibrate.sum()),
        "related_left_out": split.left_out,
        "rows": len(window.failed),
        "positives": positives,
        "base_rate": float(window.failed.mean()),
        "directional": positives < DIRECTIONAL,
        "resampled": window.resampled,
        "models": {name: one.report() for name, one in judged.items()},
        "gain": best_gain(judged),
    }


def best_gain(judged: Mapping[str, Figures]) -> dict[str, Any]:
    """The model against the best single baseline, and what follows from it."""

    def deciding(name: str) -> float:
        value = float(judged[name].drawn[DECIDING][0])
        return value if np.isfinite(value) else -1.0

    best = max((name for name in judged if name not in NO_COMPETITORS), key=deciding)
    found = gain(judged[CHAMPION], judged[best])
    low = found[DECIDING]["low"]
    better = low is not None and low > 0
    verdict = "ship the model" if better else "ship the simple one"
    return {"over": best, "decided_by": DECIDING, **found, "verdict": verdict}
