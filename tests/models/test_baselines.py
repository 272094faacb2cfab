"""What the model has to beat: estimators like any other, and the rates they give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from features.catalogue import NAMES
from models.baselines import BASELINES, ColumnRank, LevelRate, columns_of, logistic_regression


@parametrize_with_checks([LevelRate(), ColumnRank()])  # type: ignore[untyped-decorator]
def test_is_an_estimator(estimator: Any, check: Callable[[Any], None]) -> None:
    check(estimator)


def test_level_rate_is_the_smoothed_rate() -> None:
    level = np.array([[1.0]] * 4 + [[2.0]] * 5 + [[np.nan]])
    failed = np.array([True, False, False, False, True, True, False, False, False, False])
    rank = LevelRate(smoothing=10.0).fit(level, failed)
    usual = 0.3
    expected = np.array(
        [(1 + 10 * usual) / (4 + 10), (2 + 10 * usual) / (5 + 10), (0 + 10 * usual) / (1 + 10)]
    )
    odds = rank.decision_function(np.array([[1.0], [2.0], [np.nan]]))
    assert 1 / (1 + np.exp(-odds)) == pytest.approx(expected)
    unseen = rank.decision_function(np.array([[7.0]]))[0]
    assert 1 / (1 + np.exp(-unseen)) == pytest.approx(usual)


def test_level_rate_reads_one_column() -> None:
    rng = np.random.default_rng(0)
    level, failed = rng.integers(1, 4, (200, 1)).astype(float), rng.random(200) < 0.2
    noise = np.column_stack([level, rng.normal(size=200)])
    alone = LevelRate().fit(level, failed).decision_function(level)
    assert LevelRate().fit(noise, failed).decision_function(noise) == pytest.approx(alone)


def test_column_rank_is_the_column() -> None:
    column = np.array([[5.0], [1.0], [3.0], [np.nan], [9.0]])
    failed = np.array([True, False, False, False, True])
    score = ColumnRank().fit(column, failed).decision_function(column)
    known = np.array([5.0, 1.0, 3.0, 4.0, 9.0])  # the median stands in
    assert score == pytest.approx((known - 4.0) / np.std([5.0, 1.0, 3.0, 9.0]))
    assert np.array_equal(np.argsort(score), np.argsort(known))


@pytest.mark.parametrize("column", [[np.nan] * 4, [2.0] * 4], ids=["nothing known", "one value"])
def test_column_rank_without_a_rank(column: list[float]) -> None:
    values = np.array(column)[:, None]
    rank = ColumnRank().fit(values, np.array([True, False, True, False]))
    assert rank.decision_function(values) == pytest.approx(np.zeros(4))


@pytest.mark.parametrize("estimator", [LevelRate(), ColumnRank()], ids=lambda e: type(e).__name__)
def test_refuses_one_outcome(estimator: Any) -> None:
    with pytest.raises(ValueError, match=r"Only binary classification.* with 1 class\(es\)"):
        clone(estimator).fit(np.array([[1.0], [2.0]]), np.array([False, False]))


def test_logistic_regression_marks_what_is_missing() -> None:
    """Where only the gap tells, the gap is learnt; a column that is never known does no harm."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(600, 3))
    failed = rng.random(600) < 0.3
    values[failed & (rng.random(600) < 0.8), 0] = np.nan
    values[:, 2] = np.nan
    odds = logistic_regression().fit(values, failed).decision_function(values)
    assert odds[failed].mean() > odds[~failed].mean() + 0.3


def test_every_baseline_names_columns_of_the_table() -> None:
    for make, names in BASELINES.values():
        assert hasattr(make(), "decision_function")
        if names is not None:
            assert [NAMES[column] for column in columns_of(names)] == list(names)


def test_unknown_column() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        columns_of(("no_such_feature",))
