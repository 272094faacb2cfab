"""Resamples: the same figures as scikit-learn with weights, and intervals that cover."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from training.bootstrap import draw, interval, ranking, ratio


def test_first_row_is_the_data_and_all_draws_are_of_one_size() -> None:
    drawn = draw(12, seed=3, draws=50)
    assert drawn.shape == (51, 12)
    assert (drawn[0] == 1).all()
    assert (drawn.sum(axis=1) == 12).all()
    assert drawn.tobytes() == draw(12, seed=3, draws=50).tobytes()
    assert drawn[1:].tobytes() != draw(12, seed=4, draws=50)[1:].tobytes()


@pytest.mark.parametrize("ties", [False, True])
def test_curves_of_every_resample_as_scikit_learn_has_them(
    ties: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.bootstrap.CELLS", 1_000)  # several parts
    rng = np.random.default_rng(0)
    score = rng.normal(size=300).round(1 if ties else 9)
    failed, unit = rng.random(300) < 0.2, rng.integers(0, 20, 300)
    drawn = draw(20, seed=1, draws=25)
    found = ranking(score, failed, unit, drawn)
    for number, counts in enumerate(drawn):
        weight = counts[unit]
        roc_auc = roc_auc_score(failed, score, sample_weight=weight)
        precision = average_precision_score(failed, score, sample_weight=weight)
        assert found.roc_auc[number] == pytest.approx(roc_auc)
        assert found.average_precision[number] == pytest.approx(precision)


def test_one_outcome_has_no_curve() -> None:
    score, unit, drawn = np.arange(4.0), np.zeros(4, int), draw(1, seed=0, draws=3)
    for failed in (np.zeros(4, bool), np.ones(4, bool)):
        found = ranking(score, failed, unit, drawn)
        assert np.isnan(found.roc_auc).all()
        assert np.isnan(found.average_precision).all()


def test_interval_by_hand() -> None:
    found = interval(np.array([5.0, *np.arange(101)]))
    assert found == {"value": 5.0, "low": pytest.approx(2.5), "high": pytest.approx(97.5)}


def test_interval_without_a_figure() -> None:
    nothing = {"value": None, "low": None, "high": None}
    assert interval(np.array([np.nan, 1.0])) == nothing
    assert interval(np.array([2.0, np.nan])) == {**nothing, "value": 2.0}
    assert interval(np.array([2.0, np.nan, 3.0]))["high"] == 3.0


def test_ratio_by_zero() -> None:
    assert ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0])).tolist()[0] == 0.5
    assert np.isnan(ratio(np.array([1.0]), np.array([0.0]))).all()


def test_intervals_cover_and_are_wider_where_weeks_differ() -> None:
    """Mean of weeks that differ by themselves: about 95 in 100 intervals hold the true mean."""
    held = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        weekly = rng.normal(2.0, 1.0, 40)
        drawn = draw(40, seed=seed, draws=300)
        found = interval(ratio(drawn @ weekly, drawn.sum(axis=1)))
        held += found["low"] <= 2.0 <= found["high"]
    assert 85 <= held <= 100
