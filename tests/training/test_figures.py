"""Figures of a window: by hand, against the plain measures, and repeated to the digit."""

from __future__ import annotations

import numpy as np
import orjson
import pytest
from scipy.stats import poisson

from features.instants import DAY
from training.figures import (
    Window,
    by_month,
    calibration_slope,
    figures,
    gain,
    poisson_ratio,
)
from training.metrics import metrics


def world(seed: int, rows: int = 3_000, days: int = 200) -> tuple[np.ndarray, Window]:
    rng = np.random.default_rng(seed)
    probability = rng.beta(1, 18, rows)
    window = Window(
        times=np.sort(rng.integers(0, days * DAY, rows)),
        failed=rng.random(rows) < probability,
        base_rate=0.05,
    )
    return probability, window


def test_values_are_those_of_the_plain_measures() -> None:
    probability, window = world(0)
    found, plain = figures(probability, window).report(), metrics(probability, window.failed)
    for name in ("roc_auc", "average_precision", "ece", "brier", "brier_skill"):
        assert found[name]["value"] == pytest.approx(plain[name])
        assert found[name]["low"] < found[name]["high"]
    assert found["recall_at_pooled"] == plain["recall_at"]
    assert found["observed"] == plain["observed"]
    over_base = found["average_precision_over_base"]["value"]
    assert over_base == pytest.approx(plain["average_precision"] / window.failed.mean())
    assert set(found["recall_at"]) == {"0.05", "0.1", "0.2", "0.5"}
    assert window.resampled == "weeks"


def test_same_digits_again() -> None:
    probability, window = world(1)
    again = Window(times=window.times, failed=window.failed, base_rate=window.base_rate)
    first, second = (figures(probability, w).report() for w in (window, again))
    assert orjson.dumps(first) == orjson.dumps(second)


def test_queues_by_hand() -> None:
    """Two weeks of ten; the riskiest change of each fails, and one of the safest."""
    score = np.tile(np.arange(10) / 100, 2)
    failed = np.zeros(20, bool)
    failed[[9, 19, 0]] = True
    times = np.repeat([0, 7], 10) * DAY + 4 * DAY
    found = figures(score, Window(times=times, failed=failed, base_rate=0.1)).report()
    assert found["recall_at"]["0.1"]["value"] == pytest.approx(2 / 3)
    assert found["precision_at"]["0.1"]["value"] == pytest.approx(1.0)
    assert found["lift_at"]["0.1"]["value"] == pytest.approx(20 / 3)
    assert found["safest"]["0.25"]["value"] == pytest.approx(1 / 3)
    assert found["recall_at_ties"]["0.1"] == {"worst": 2 / 3, "best": 2 / 3}


def test_net_benefit_by_hand() -> None:
    """Threshold 0.1: odds 1 to 9; two changes read, one failed: (1 - 1/9) / 4."""
    score, failed = np.array([0.5, 0.2, 0.05, 0.01]), np.array([True, False, False, False])
    window = Window(times=np.arange(4) * DAY, failed=failed, base_rate=0.1)
    found = figures(score, window).report()
    assert found["net_benefit"]["1"]["value"] == pytest.approx((1 - 1 / 9) / 4)
    assert found["net_benefit_all"]["1"]["value"] == pytest.approx((1 - 3 / 9) / 4)


def test_few_weeks_are_resampled_by_day() -> None:
    probability, window = world(2, rows=400, days=30)
    assert window.resampled == "days"
    assert window.draws.shape[1] == len(np.unique(window.times // DAY))
    found = figures(probability, window).report()
    assert found["roc_auc"]["low"] < found["roc_auc"]["value"] < found["roc_auc"]["high"]


def test_gain_is_over_the_same_resamples() -> None:
    probability, window = world(3)
    ours, noise = figures(probability, window), np.random.default_rng(0).random(len(probability))
    more = gain(ours, figures(noise, window))["roc_auc"]
    assert more["low"] > 0
    itself = gain(ours, figures(2 * probability, window))["roc_auc"]
    assert (itself["value"], itself["low"], itself["high"]) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(("factor", "slope"), [(1.0, 1.0), (2.0, 0.5)])
def test_calibration_slope(factor: float, slope: float) -> None:
    rng = np.random.default_rng(0)
    margin = rng.normal(-2, 1, 40_000)
    failed = rng.random(len(margin)) < 1 / (1 + np.exp(-margin))
    said = 1 / (1 + np.exp(-factor * margin))
    assert calibration_slope(said, failed) == pytest.approx(slope, abs=0.05)


def test_no_slope_without_a_spread() -> None:
    failed = np.arange(10) < 2
    assert calibration_slope(np.full(10, 0.2), failed) is None
    assert calibration_slope(np.linspace(0.1, 0.9, 10), np.zeros(10, bool)) is None


def test_months() -> None:
    times = np.array([0, 1, 30, 31, 32]) * DAY  # 1970: three in January, two in February
    failed = np.array([True, False, True, False, False])
    probability = np.array([0.5, 0.5, 0.5, 0.2, 0.3])
    found = by_month(probability, Window(times=times, failed=failed, base_rate=0.1))
    assert [(m["month"], m["changes"], m["observed"]) for m in found] == [
        ("1970-01", 3, 2),
        ("1970-02", 2, 0),
    ]
    assert [m["expected"] for m in found] == pytest.approx([1.5, 0.5])
    assert found[1]["ratio"]["value"] == 0.0


@pytest.mark.parametrize("observed", [0, 1, 7, 40])
def test_poisson_interval_is_exact(observed: int) -> None:
    found = poisson_ratio(observed, 1.0)
    assert poisson.cdf(observed, found["high"]) == pytest.approx(0.025)
    if observed:
        assert poisson.sf(observed - 1, found["low"]) == pytest.approx(0.025)
    assert poisson_ratio(observed, 0.0)["value"] is None


def test_no_failure_at_all() -> None:
    window = Window(times=np.arange(20) * DAY, failed=np.zeros(20, bool), base_rate=0.1)
    found = figures(np.linspace(0.01, 0.2, 20), window).report()
    assert found["roc_auc"]["value"] is None
    assert found["recall_at"]["0.1"]["value"] is None
    assert found["recall_at_ties"]["0.1"] == {"worst": None, "best": None}
    assert found["brier_skill"]["value"] is None
    assert found["observed_expected"]["value"] == 0.0
    orjson.dumps(found)
