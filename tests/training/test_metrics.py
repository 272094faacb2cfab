"""Measures: against their definitions, and against scikit-learn where it has them."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from training.metrics import BUDGETS, expected_calibration_error, metrics, recall_at

SCORED = st.lists(
    st.tuples(st.sampled_from([0.1, 0.2, 0.2, 0.5]), st.booleans()), min_size=1, max_size=6
)


def in_order(score: np.ndarray, failed: np.ndarray, order: list[int], share: float) -> float:
    """Recall of one order, riskiest first; a change half inside the budget counts half."""
    ranked = sorted(order, key=lambda row: -score[row])  # stable: ties stay as they are
    room = np.clip(share * len(score) - np.arange(len(score)), 0, 1)
    return float(room[failed[ranked]].sum() / failed.sum())


@settings(deadline=None, max_examples=60)
@given(scored=SCORED, share=st.sampled_from([0.05, 0.25, 0.5, 2 / 3, 1.0]))
def test_recall_is_the_mean_over_all_orders_of_ties(
    scored: list[tuple[float, bool]], share: float
) -> None:
    score = np.array([s for s, _ in scored])
    failed = np.array([f for _, f in scored])
    if not failed.any():
        assert recall_at(score, failed, share) is None
        return
    orders = [list(order) for order in permutations(range(len(score)))]
    expected = np.mean([in_order(score, failed, order, share) for order in orders])
    assert recall_at(score, failed, share) == pytest.approx(expected)


def test_recall_by_hand() -> None:
    score = np.arange(100)[::-1] / 100
    failed = np.zeros(100, bool)
    failed[[0, 3, 4, 5, 30]] = True
    assert recall_at(score, failed, 0.05) == pytest.approx(3 / 5)
    assert recall_at(score, failed, 0.1) == pytest.approx(4 / 5)
    assert recall_at(score, failed, 0.5) == 1.0


def test_recall_of_one_score_for_all_is_the_share() -> None:
    failed = np.arange(200) < 7
    for share in BUDGETS:
        assert recall_at(np.full(200, 0.03), failed, share) == pytest.approx(share)


def test_calibration_error_by_hand() -> None:
    """Two bins of two: said 0.2 and seen 0.5, said 0.6 and seen 0.5."""
    probability = np.array([0.7, 0.1, 0.3, 0.5])
    failed = np.array([True, False, True, False])
    assert expected_calibration_error(probability, failed, bins=2) == pytest.approx(0.2)


def test_calibration_error_of_bins_of_unequal_size() -> None:
    probability = np.array([0.1, 0.2, 0.9])
    failed = np.array([False, False, True])
    expected = (2 * 0.15 + 1 * 0.1) / 3
    assert expected_calibration_error(probability, failed, bins=2) == pytest.approx(expected)


def test_calibration_error_of_few_changes() -> None:
    assert expected_calibration_error(np.array([0.25]), np.array([False])) == 0.25


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    probability = rng.permutation(np.linspace(0.001, 0.4, 500))
    failed = rng.random(500) < probability
    found = metrics(probability, failed)
    assert found["roc_auc"] == roc_auc_score(failed, probability)
    assert found["average_precision"] == average_precision_score(failed, probability)
    assert found["brier"] == pytest.approx(brier_score_loss(failed, probability))
    seen, said = calibration_curve(failed, probability, n_bins=10, strategy="quantile")
    assert found["ece"] == pytest.approx(np.abs(seen - said).mean())
    rate = failed.mean()
    always = brier_score_loss(failed, np.full(500, rate))
    assert found["brier_skill"] == pytest.approx(1 - found["brier"] / always)
    assert found["expected"] == pytest.approx(probability.sum())
    assert found["observed"] == failed.sum()
    assert list(found["recall_at"]) == ["0.05", "0.1", "0.2", "0.5"]


def test_no_skill_over_the_base_rate_is_zero() -> None:
    failed = np.arange(100) < 4
    found = metrics(np.full(100, 0.04), failed)
    assert found["brier_skill"] == pytest.approx(0.0)
    assert found["roc_auc"] == 0.5
    assert found["expected"] == pytest.approx(4.0)


@pytest.mark.parametrize("failed", [False, True])
def test_one_outcome_has_no_ranking(failed: bool) -> None:
    found = metrics(np.linspace(0.1, 0.2, 10), np.full(10, failed))
    assert found["roc_auc"] is None
    assert found["average_precision"] is None
    assert found["brier_skill"] is None
    assert found["observed"] == (10 if failed else 0)
    recalls = set(found["recall_at"].values())
    assert recalls == ({0.05, 0.1, 0.2, 0.5} if failed else {None})
