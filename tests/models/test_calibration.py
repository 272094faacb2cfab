"""Platt: one rising line, as many failures expected as there were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit

from models.calibration import LEAST_POSITIVES, Platt, fit_platt

WINDOWS = st.tuples(
    st.integers(0, 10_000),  # seed
    st.sampled_from([60, 300, 2_000]),  # rows
    st.floats(-5.0, 0.5),  # level of the truth
    st.floats(-1.0, 3.0),  # slope of the truth
    st.sampled_from([0.0, 0.1, 1.0, 4.0]),  # spread of the margins
)


def window(
    seed: int, rows: int, level: float, slope: float, spread: float
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    margin = level + spread * rng.normal(size=rows)
    failed = rng.random(rows) < expit(level + slope * (margin - level))
    return margin, failed


@settings(max_examples=100, deadline=None)
@given(window_of=WINDOWS)
def test_rises_and_expects_what_was_observed(
    window_of: tuple[int, int, float, float, float],
) -> None:
    margin, failed = window(*window_of)
    line = fit_platt(margin, failed)
    assert line.slope > 0
    order = np.argsort(margin)
    assert (np.diff(line.probability(margin)[order]) >= 0).all()
    if 0 < failed.sum() < len(failed):
        assert line.probability(margin).sum() == pytest.approx(failed.sum(), rel=1e-3)


def test_is_the_maximum_likelihood_line() -> None:
    margin, failed = window(1, 2_000, -2.0, 0.6, 1.0)
    assert failed.sum() >= LEAST_POSITIVES

    def loss(line: np.ndarray) -> float:
        odds = line[0] * margin + line[1]
        return float(np.sum(np.logaddexp(0, odds) - failed * odds))

    best = minimize(loss, [1.0, 0.0], tol=1e-12).x
    line = fit_platt(margin, failed)
    assert (line.slope, line.intercept) == pytest.approx(tuple(best), abs=1e-4)


@pytest.mark.parametrize("positives", [1, LEAST_POSITIVES - 1])
def test_few_failures_move_the_level_only(positives: int) -> None:
    margin = np.linspace(-4, 1, 500)
    failed = np.zeros(500, bool)
    failed[-positives:] = True  # a steep slope would fit best
    line = fit_platt(margin, failed)
    assert line.slope == 1.0
    assert line.probability(margin).sum() == pytest.approx(positives, abs=1e-6)


def test_enough_failures_move_the_slope() -> None:
    margin, failed = window(2, 2_000, -2.0, 0.5, 1.0)
    assert fit_platt(margin, failed).slope == pytest.approx(0.5, abs=0.2)


@pytest.mark.parametrize("failed", [False, True], ids=["no failure", "nothing but failures"])
def test_one_outcome_moves_nothing(failed: bool) -> None:
    line = fit_platt(np.linspace(-3, 3, 50), np.full(50, failed))
    assert line == Platt(slope=1.0, intercept=0.0)


def test_a_falling_line_is_refused() -> None:
    margin, failed = window(3, 2_000, -1.5, -1.0, 1.0)
    assert failed.sum() >= LEAST_POSITIVES
    assert np.corrcoef(margin, failed)[0, 1] < -0.1
    line = fit_platt(margin, failed)
    assert line.slope == 1.0
    assert line.probability(margin).sum() == pytest.approx(failed.sum(), abs=1e-6)


def test_the_same_margin_for_all() -> None:
    margin, failed = np.full(400, -3.0), np.arange(400) < 100
    assert fit_platt(margin, failed).probability(margin) == pytest.approx(np.full(400, 0.25))


def test_log_odds_and_probability_agree() -> None:
    line = Platt(slope=0.5, intercept=-1.0)
    assert line.log_odds(np.array([2.0])) == [0.0]
    assert line.probability(np.array([2.0, 1e6, -1e6])) == pytest.approx([0.5, 1.0, 0.0])
