"""Forest: the same numbers as scikit-learn's, whatever the trees and the rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from models.bundle import RiskModel
from models.trees import Forest
from training.rows import TrainingRows

Floats = NDArray[np.float64]

PARAMS = st.fixed_dictionaries(
    {
        "max_iter": st.integers(1, 9),
        "max_leaf_nodes": st.sampled_from([None, 2, 3, 8, 31]),
        "max_depth": st.sampled_from([None, 1, 2, 6]),
        "min_samples_leaf": st.sampled_from([1, 5, 60]),
        "learning_rate": st.sampled_from([0.03, 0.5]),
        "max_bins": st.sampled_from([2, 10, 255]),
    }
)


def table(rng: np.random.Generator, rows: int, columns: int, missing: float) -> Floats:
    """Numbers with ties and gaps, and (where there are gaps) a column that is known once."""
    values = rng.normal(size=(rows, columns)).round(int(rng.integers(0, 4)))
    values[rng.random(values.shape) < missing] = np.nan
    if missing and columns > 1:
        values[1:, -1] = np.nan
    values[0] = np.nan_to_num(values[0])
    return values


def strange(values: Floats) -> Floats:
    """Rows a model may meet: seen ones, all missing, endless, huge, and zeros of both signs."""
    columns = values.shape[1]
    fill = [np.nan, np.inf, -np.inf, 1e300, 0.0, -0.0]
    return np.concatenate([values, np.repeat(np.array(fill)[:, None], columns, axis=1)])


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    rows=st.sampled_from([40, 150, 400]),
    columns=st.integers(1, 5),
    missing=st.sampled_from([0.0, 0.3, 0.9]),
    params=PARAMS,
)
def test_margin_is_decision_function_bit_for_bit(
    seed: int, rows: int, columns: int, missing: float, params: dict[str, object]
) -> None:
    rng = np.random.default_rng(seed)
    values = table(rng, rows, columns, missing)
    failed = rng.random(rows) < 0.3
    failed[:2] = False, True
    model = HistGradientBoostingClassifier(**params, early_stopping=False).fit(values, failed)
    asked = strange(np.concatenate([values, table(rng, 20, columns, 0.3)]))
    forest = Forest.of(model)

    batch = forest.margin(asked)

    assert batch.tobytes() == model.decision_function(asked).tobytes()
    alone = np.concatenate([forest.margin(asked[row : row + 1]) for row in range(len(asked))])
    assert alone.tobytes() == batch.tobytes()


def test_real_model(model: RiskModel, rows: TrainingRows) -> None:
    selected = model.select(rows.table.values)
    expected = model.estimator.decision_function(selected)
    assert Forest.of(model.estimator).margin(selected).tobytes() == expected.tobytes()
    assert model.additive is not None
    both = (expected + model.additive.margin(selected)) / 2
    assert np.allclose(model.margin(selected), both, rtol=0, atol=1e-12)


def test_too_few_columns_are_refused(model: RiskModel) -> None:
    asked = max(model.forest.feature.tolist())
    with pytest.raises(ValueError, match=f"expected at least {asked + 1} columns, got {asked}"):
        model.forest.margin(np.zeros((1, asked)))


def test_no_rows(model: RiskModel) -> None:
    assert model.forest.margin(np.zeros((0, len(model.columns)))).shape == (0,)


def test_columns_in_another_memory_order(model: RiskModel, rows: TrainingRows) -> None:
    selected = model.select(rows.table.values[:50])
    by_column = np.asfortranarray(selected)
    assert model.forest.margin(by_column).tobytes() == model.forest.margin(selected).tobytes()


def test_trees_without_a_split() -> None:
    values, failed = np.ones((50, 2)), np.arange(50) < 10
    model = HistGradientBoostingClassifier(max_iter=3).fit(values, failed)
    forest = Forest.of(model)
    assert forest.depth == 0
    assert forest.margin(values).tobytes() == model.decision_function(values).tobytes()


@pytest.mark.parametrize("leaves", [2, 8], ids=["declared, never split", "split"])
def test_refuses_categorical_features(leaves: int) -> None:
    # Even unsplit: scikit-learn moves categorical columns to the front before the trees see them.
    rng = np.random.default_rng(0)
    values = np.column_stack([rng.normal(size=300), rng.integers(0, 3, 300)])
    failed = values[:, 0] + (values[:, 1] == 1) * (leaves - 2) > 0.5
    model = HistGradientBoostingClassifier(
        max_iter=5, max_leaf_nodes=leaves, categorical_features=[1]
    ).fit(values, failed)
    splits = np.concatenate([stage[0].nodes for stage in model._predictors])
    assert bool(splits["is_categorical"].any()) is (leaves == 8)
    with pytest.raises(ValueError, match="without categorical features"):
        Forest.of(model)


def test_refuses_several_classes() -> None:
    rng = np.random.default_rng(0)
    model = HistGradientBoostingClassifier(max_iter=2)
    model.fit(rng.normal(size=(90, 2)), rng.integers(0, 3, 90))
    with pytest.raises(ValueError, match="expected a binary classifier"):
        Forest.of(model)


def test_adds_as_gradient_boosting_does() -> None:
    """One tree of two leaves by hand: baseline plus the leaf the row falls into."""
    values = np.array([[0.0]] * 30 + [[1.0]] * 30)
    failed = np.array([False] * 30 + [True] * 20 + [False] * 10)
    model = HistGradientBoostingClassifier(max_iter=1, learning_rate=1.0, min_samples_leaf=5)
    forest = Forest.of(model.fit(values, failed))
    baseline = np.log(20 / 40)
    probability = 1 / 3
    gradient, hessian = 30 * probability, 30 * probability * (1 - probability)
    left, right = forest.margin(np.array([[0.0], [1.0]]))
    assert left == pytest.approx(baseline - gradient / hessian, rel=1e-6)
    assert right == pytest.approx(baseline + (20 - gradient) / hessian, rel=1e-6)
    missing = forest.margin(np.array([[np.nan]]))[0]
    assert missing in (left, right)


def test_regressor_is_no_classifier() -> None:
    rng = np.random.default_rng(0)
    model = HistGradientBoostingRegressor(max_iter=1).fit(rng.normal(size=(60, 1)), rng.random(60))
    forest = Forest.of(model)  # the same trees; the registry refuses it
    assert forest.margin(np.zeros((1, 1))).shape == (1,)
