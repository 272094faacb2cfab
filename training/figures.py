"""All figures of one ranking over one test window, each with its interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2
from sklearn.linear_model import LogisticRegression

from features import instants
from training.bootstrap import Interval, draw, interval, ranking, ratio
from training.metrics import BUDGETS, recall_at
from training.queues import captured, day_of, week_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

SAFEST = (0.25, 0.5)
"""Shares of each week's changes that a fast lane would let through unread."""

BINS = 10
"""Quantile bins of the calibration error."""

MULTIPLES = (1.0, 2.0, 3.0)
"""Thresholds of the net benefit, in multiples of the base rate known before the window."""

LEAST_WEEKS = 8
"""With fewer weeks in a window a bootstrap over them tells nothing: days are drawn instead."""

DIRECTIONAL = 200
"""With fewer failures behind a figure it is a direction, not a digit."""

LEAST_SPREAD = 0.5
"""Log-odds between the highest and the lowest score below which a slope tells nothing."""

SMALLEST = 1e-6
"""Distance from 0 and 1 kept by probabilities whose log-odds are taken."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """The changes of a test and what followed.

    Parameters
    ----------
    times : ndarray of int64, shape (n,)
        Score times, microseconds.
    failed : ndarray of bool, shape (n,)
        What is known today of each change.
    base_rate : float
        Rate of failures known before the window.
    seed : int
        Seed of the resamples.
    """

    times: Ints
    failed: Mask
    base_rate: float
    seed: int = 0

    @cached_property
    def week(self) -> Ints:
        """Number of each change's week."""
        return week_of(self.times)

    @property
    def resampled(self) -> str:
        """What is drawn: weeks, or days where the window has fewer than ``LEAST_WEEKS``."""
        return "weeks" if int(self.week.max(initial=-1)) + 1 >= LEAST_WEEKS else "days"

    @cached_property
    def unit(self) -> Ints:
        """Number of each change's week or day, whichever is drawn."""
        return self.week if self.resampled == "weeks" else day_of(self.times)

    @cached_property
    def draws(self) -> Floats:
        """How often each resample counts each week; the first row is the data."""
        return draw(int(self.unit.max(initial=-1)) + 1, self.seed)

    def sums(self, values: Floats | Mask) -> Floats:
        """Sum of a number over the changes, in every resample."""
        units = self.draws.shape[1]
        return self.draws @ np.bincount(self.unit, weights=values, minlength=units)

    @cached_property
    def failures(self) -> Floats:
        """Failures in every resample."""
        return self.sums(self.failed)

    @cached_property
    def changes(self) -> Floats:
        """Changes in every resample."""
        return self.sums(np.ones(len(self.failed)))


@dataclass(frozen=True)
class Figures:
    """Every figure of one ranking, for the data and for every resample.

    Parameters
    ----------
    drawn : mapping of str to ndarray, shape (1 + draws,)
        One array a figure; names such as ``recall_at.0.1``.
    facts : mapping
        Figures without resamples, as the report prints them.
    """

    drawn: Mapping[str, Floats]
    facts: Mapping[str, Any]

    def report(self) -> dict[str, Any]:
        """Plain data: every figure as ``value``, ``low`` and ``high``."""
        found: dict[str, Any] = {}
        for name, values in self.drawn.items():
            family, _, share = name.partition(".")
            if share:
                found.setdefault(family, {})[share] = interval(values)
            else:
                found[family] = interval(values)
        return {**found, **self.facts}


def figures(probability: Floats, window: Window) -> Figures:
    """Ranking, weekly queues, calibration and usefulness of the probabilities of a window."""
    ranked = ranking(probability, window.failed, window.unit, window.draws)
    queued, ties = _queue_figures(probability, window)
    drawn = {
        "roc_auc": ranked.roc_auc,
        "average_precision": ranked.average_precision,
        "average_precision_over_base": ratio(
            ranked.average_precision, ratio(window.failures, window.changes)
        ),
        **queued,
        **_safest(probability, window),
        **_calibration(probability, window),
        **_net_benefit(probability, window),
    }
    pooled = {str(share): recall_at(probability, window.failed, share) for share in BUDGETS}
    return Figures(
        drawn,
        {
            "recall_at_ties": ties,
            "recall_at_pooled": pooled,
            "calibration_slope": calibration_slope(probability, window.failed),
            "observed_expected_by_month": by_month(probability, window),
            "expected": float(probability.sum()),
            "observed": int(window.failed.sum()),
        },
    )


def _queue_figures(probability: Floats, window: Window) -> tuple[dict[str, Floats], dict[str, Any]]:
    """Recall, precision and lift of the riskiest share of each week, and how far ties move them."""
    found: dict[str, dict[str, Floats]] = {"recall_at": {}, "precision_at": {}, "lift_at": {}}
    ties = {}
    rate, total = ratio(window.failures, window.changes), float(window.failed.sum())
    for share in BUDGETS:
        one = captured(probability, window.failed, window.week, share)
        caught, read = window.sums(one.inside * window.failed), window.sums(one.inside)
        found["recall_at"][str(share)] = ratio(caught, window.failures)
        found["precision_at"][str(share)] = ratio(caught, read)
        found["lift_at"][str(share)] = ratio(ratio(caught, read), rate)
        ends = {"worst": one.worst, "best": one.best}
        ties[str(share)] = {end: value / total if total else None for end, value in ends.items()}
    flat = {f"{name}.{at}": v for name, shares in found.items() for at, v in shares.items()}
    return flat, ties


def _safest(probability: Floats, window: Window) -> dict[str, Floats]:
    """Share of the failures left in the safest part of each week."""
    found = {}
    for share in SAFEST:
        left = captured(-probability, window.failed, window.week, share).inside
        found[f"safest.{share}"] = ratio(window.sums(left * window.failed), window.failures)
    return found


def _calibration(probability: Floats, window: Window) -> dict[str, Floats]:
    changes, failures = window.changes, window.failures
    rate = failures / changes
    brier = window.sums((probability - window.failed) ** 2) / changes
    order = np.argsort(probability, kind="stable")
    gaps = np.zeros(len(changes))
    for part in np.array_split(order, min(BINS, len(order))):
        gap = np.zeros(len(probability))
        gap[part] = probability[part] - window.failed[part]
        gaps += np.abs(window.sums(gap))
    return {
        "ece": gaps / changes,
        "brier": brier,
        "brier_skill": 1 - ratio(brier, rate * (1 - rate)),
        "observed_expected": ratio(failures, window.sums(probability)),
    }


def _net_benefit(probability: Floats, window: Window) -> dict[str, Floats]:
    """Failures caught for each change, reviews counted at the odds of the threshold [1]_.

    ``net_benefit_all`` is that of reviewing every change; reviewing none has 0.

    .. [1] Vickers and Elkin (2006), "Decision curve analysis", Medical Decision Making 26(6).
    """
    found = {}
    for multiple in MULTIPLES:
        threshold = min(multiple * window.base_rate, 1 - SMALLEST)
        odds = threshold / (1 - threshold)
        gain = np.where(window.failed, 1.0, -odds)
        read = probability >= threshold
        found[f"net_benefit.{multiple:g}"] = window.sums(gain * read) / window.changes
        found[f"net_benefit_all.{multiple:g}"] = window.sums(gain) / window.changes
    return found


def calibration_slope(probability: Floats, failed: Mask) -> float | None:
    """Slope of what happened on the log-odds said [1]_; 1 is right, below 1 says too much.

    None where only one outcome occurs or all probabilities are much the same.

    .. [1] Cox (1958), "Two further applications of a model for binary regression", Biometrika 45.
    """
    if failed.all() or not failed.any():
        return None
    kept = np.clip(probability, SMALLEST, 1 - SMALLEST)
    margin = np.log(kept) - np.log1p(-kept)
    if np.ptp(margin) < LEAST_SPREAD:
        return None
    line = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1_000).fit(margin[:, None], failed)
    return float(line.coef_[0, 0])


def quarter_of(times: Ints) -> NDArray[np.str_]:
    """Calendar quarter (UTC) of each moment, such as ``2024-Q1``."""
    quarters = instants.micros_to_series(times).dt.tz_localize(None).dt.to_period("Q")
    return np.asarray(quarters.dt.strftime("%Y-Q%q"), str)


def by_month(probability: Floats, window: Window) -> list[dict[str, Any]]:
    """Observed and expected failures of every calendar month (UTC) of the score times.

    The interval is of a Poisson count over the expected one [1]_.

    .. [1] Garwood (1936), "Fiducial limits for the Poisson distribution", Biometrika 28.
    """
    months = instants.micros_to_series(window.times).dt.strftime("%Y-%m").to_numpy(dtype=str)
    found = []
    for month in np.unique(months):
        inside = months == month
        observed, expected = int(window.failed[inside].sum()), float(probability[inside].sum())
        found.append(
            {
                "month": str(month),
                "changes": int(inside.sum()),
                "observed": observed,
                "expected": expected,
                "ratio": poisson_ratio(observed, expected),
            }
        )
    return found


def poisson_ratio(observed: int, expected: float, level: float = 0.95) -> Interval:
    """Observed over expected with the exact interval of a Poisson count."""
    if expected <= 0:
        return {"value": None, "low": None, "high": None}
    tail = (1 - level) / 2
    low = float(chi2.ppf(tail, 2 * observed)) / 2 if observed else 0.0
    high = float(chi2.ppf(1 - tail, 2 * observed + 2)) / 2
    return {"value": observed / expected, "low": low / expected, "high": high / expected}


def gain(ours: Figures, theirs: Figures) -> dict[str, Any]:
    """How much more one ranking has than another, over the same resamples."""
    return {
        name: interval(ours.drawn[name] - theirs.drawn[name])
        for name in ("roc_auc", "average_precision", "recall_at.0.1", "recall_at.0.2")
    }
