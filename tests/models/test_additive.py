"""The additive half: a logistic regression on levels, written as trees."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from models import forest_arrays
from models.additive import SHARES, SPREAD, STRENGTH, Levels, fit_additive
from models.shapley import Tables
from models.trees import Forest


def table(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, 5))
    values[:, 1] = rng.integers(0, 3, rows)  # few values
    values[rng.random(rows) < 0.3, 2] = np.nan
    values[:, 3] = 7.0  # says nothing
    values[:, 4] = np.where(rng.random(rows) < 0.5, np.nan, 1.0)  # its being known says something
    failed = rng.random(rows) < 1 / (1 + np.exp(2 - values[:, 0] - np.isnan(values[:, 4])))
    failed[:2] = True, False
    return values, failed


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), rows=st.integers(20, 300))
def test_the_trees_say_what_the_regression_says(seed: int, rows: int) -> None:
    values, failed = table(rows, seed)
    levels = [one for j in range(5) if (one := Levels.of(values[:, j], j)) is not None]
    design = np.concatenate([one.design(values[:, one.column]) for one in levels], axis=1)
    model = LogisticRegression(C=STRENGTH, max_iter=500).fit(design, failed)
    forest = fit_additive(values, failed)
    assert np.allclose(forest.margin(values), model.decision_function(design), atol=1e-12)
    assert len(forest.roots) == len(levels)
    assert forest.cover[forest.roots].tolist() == [rows] * len(levels)


def test_levels_are_finer_at_the_ends() -> None:
    one = Levels.of(np.arange(800.0), 0)
    assert one is not None
    ends = np.cumsum(one.counts)[:-1] / 800
    assert np.allclose(ends, SHARES, atol=2 / 800)
    assert (np.diff(one.terms, axis=0) > 0).all()  # more is more, by rank and by logarithm
    means, spread = np.average(one.terms, axis=0, weights=one.counts), one.terms[:, 1]
    assert np.allclose(means, 0, atol=1e-12)
    assert np.average(spread**2, weights=one.counts) == pytest.approx(SPREAD**2)
    assert Levels.of(np.full(9, 3.0), 0) is None
    assert Levels.of(np.full(9, np.nan), 0) is None


def test_how_far_out_a_value_is_counts() -> None:
    rng = np.random.default_rng(0)
    values = rng.exponential(size=(4_000, 1)) ** 4
    failed = rng.random(4_000) < 1 / (1 + np.exp(3 - 1.5 * np.log1p(values[:, 0])))
    found = fit_additive(values, failed).margin(np.quantile(values, [0.5, 0.9, 0.995])[:, None])
    # By rank alone it would be a quarter: 0.095 of the values lie above, 0.4 below.
    assert found[2] - found[1] > 0.5 * (found[1] - found[0])


def test_a_value_never_missing_before_is_taken_as_the_middle() -> None:
    values, failed = table(400, 3)
    forest = fit_additive(values, failed)
    row = np.median(values[:, :1], axis=0)
    usual, unknown = (np.array([[first, 1.0, 0.0, 7.0, 1.0]]) for first in (row[0], np.nan))
    assert abs(forest.margin(usual) - forest.margin(unknown))[0] < 0.3
    extreme = np.array([[5.0, 1.0, 0.0, 7.0, 1.0]])
    assert forest.margin(extreme)[0] > forest.margin(unknown)[0]


def test_its_explanation_is_exact() -> None:
    values, failed = table(400, 5)
    forest = fit_additive(values, failed)
    tables = Tables.build(forest, list("aabcd"), values)
    found = tables.by_column(values)
    assert np.allclose(tables.base + found.sum(axis=1), forest.margin(values), atol=1e-12)
    # A column's value in an additive score is its own part less that part's mean.
    other = values.copy()
    other[:, 1:] = values[0, 1:]
    part = forest.margin(other)
    assert np.allclose(found[:, 0], part - part.mean(), atol=1e-12)


def test_a_forest_survives_a_file() -> None:
    values, failed = table(300, 1)
    forest = fit_additive(values, failed)
    again = forest_arrays.from_bytes(forest_arrays.to_bytes(forest), 5)
    assert np.array_equal(again.margin(values), forest.margin(values))


def damaged(**changed: np.ndarray | float) -> bytes:
    values, failed = table(300, 1)
    forest = fit_additive(values, failed)
    file = io.BytesIO()
    np.savez(file, **{**{name: getattr(forest, name) for name in vars(forest)}, **changed})
    return file.getvalue()


def changed(name: str, at: int, value: float) -> bytes:
    values, failed = table(300, 1)
    array = getattr(fit_additive(values, failed), name).copy()
    array[at] = value
    return damaged(**{name: array})


@pytest.mark.parametrize(
    "content",
    [
        b"no archive",
        damaged(baseline=np.nan),
        damaged(depth=99),
        damaged(value=np.zeros(3)),
        damaged(left=np.zeros(3)),
        changed("left", 0, 10_000),
        changed("right", 3, 0),
        changed("left", 0, 0),
        changed("feature", 0, 5),
        changed("feature", 0, -1),
        changed("roots", 0, 10_000),
        changed("threshold", 0, np.nan),
        changed("value", 2, np.inf),
        changed("cover", 0, 0),
    ],
)
def test_a_damaged_forest_is_refused(content: bytes) -> None:
    with pytest.raises(forest_arrays.ForestError):
        forest_arrays.from_bytes(content, 5)


def test_both_halves_have_equal_say() -> None:
    values, failed = table(300, 1)
    one = fit_additive(values, failed)
    two = fit_additive(values, ~failed)
    both = Forest.averaged([one, two])
    assert np.allclose(both.margin(values), (one.margin(values) + two.margin(values)) / 2)
