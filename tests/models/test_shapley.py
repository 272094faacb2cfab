"""Shapley values by lookup: equal to shap's, to the definition, and to the score."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from math import factorial
from typing import Literal

import numpy as np
import pytest
import shap
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from models import shapley
from models.bundle import RiskModel
from models.paths import DEEPEST, DepthError, take_apart
from models.shapley import Tables
from models.trees import Forest
from training.rows import TrainingRows

Floats = NDArray[np.float64]

EXACT = 1e-12


def random_forest(rng: np.random.Generator, trees: int, columns: int, depth: int) -> Forest:
    """Trees of random shape, thresholds (endless ones too) and ways for what is missing."""
    nodes: list[dict[str, float]] = []

    def grow(level: int, cover: float) -> int:
        at = len(nodes)
        nodes.append({"cover": cover, "value": 0.0, "left": at, "right": at, "feature": 0})
        if level == depth or cover < 2 or rng.random() < 0.2:
            nodes[at].update(value=float(rng.normal()), threshold=0.0, missing=0)
            return at
        share = rng.uniform(0.1, 0.9)
        nodes[at].update(
            feature=int(rng.integers(columns)),
            threshold=float(rng.choice([*rng.integers(-2, 3, 4), np.inf])),
            missing=int(rng.integers(2)),
        )
        nodes[at]["left"] = grow(level + 1, cover * share)
        nodes[at]["right"] = grow(level + 1, cover * (1 - share))
        return at

    roots = [grow(0, 1000.0) for _ in range(trees)]

    def column(name: str, kind: type) -> NDArray[np.generic]:
        return np.array([node[name] for node in nodes], kind)

    return Forest(
        roots=np.array(roots),
        feature=column("feature", np.int64),
        threshold=column("threshold", np.float64),
        left=column("left", np.int64),
        right=column("right", np.int64),
        missing_left=column("missing", np.bool_),
        value=column("value", np.float64),
        cover=column("cover", np.float64),
        baseline=float(rng.normal()),
        depth=depth,
    )


def random_rows(rng: np.random.Generator, rows: int, columns: int) -> Floats:
    values = rng.integers(-3, 4, (rows, columns)).astype(float)
    values[rng.random(values.shape) < 0.2] = np.nan
    values[rng.random(values.shape) < 0.02] = np.inf
    values[rng.random(values.shape) < 0.02] = -np.inf
    return values


def by_definition(forest: Forest, groups: list[str], row: Floats, background: Floats) -> Floats:
    """A row's Shapley values, from the mean margin of every coalition of groups."""
    names = list(dict.fromkeys(groups))
    n = len(names)

    def worth(coalition: tuple[int, ...]) -> float:
        inside = np.isin(groups, [names[player] for player in coalition])
        return float(forest.margin(np.where(inside, row, background)).mean())

    found = np.zeros(n)
    for player in range(n):
        others = [other for other in range(n) if other != player]
        for size in range(n):
            weight = factorial(size) * factorial(n - size - 1) / factorial(n)
            for coalition in combinations(others, size):
                gain = worth((*coalition, player)) - worth(coalition)
                found[player] += weight * gain
    return found


def mean(parts: Iterable[Floats]) -> Floats:
    return np.asarray(np.mean(list(parts), axis=0), np.float64)


SHAPES = st.tuples(
    st.integers(0, 100_000), st.integers(1, 6), st.integers(1, 6), st.integers(0, DEEPEST)
)


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.integers(1, 4))
def test_groups_are_the_definition_over_all_coalitions(
    shape: tuple[int, int, int, int], players: int
) -> None:
    seed, trees, columns, depth = shape
    rng = np.random.default_rng(seed)
    forest = random_forest(rng, trees, columns, depth)
    groups = [f"g{rng.integers(players)}" for _ in range(columns)]
    background, asked = random_rows(rng, 25, columns), random_rows(rng, 3, columns)
    tables = Tables.build(forest, groups, background)
    assert tables.base == pytest.approx(forest.margin(background).mean(), abs=EXACT)
    found = tables.by_group(asked)
    for row, values in zip(asked, found, strict=True):
        expected = by_definition(forest, groups, row, background)
        assert np.abs(values - expected).max() <= EXACT


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.booleans())
def test_values_add_up_to_the_margin(shape: tuple[int, int, int, int], against: bool) -> None:
    seed, trees, columns, depth = shape
    rng = np.random.default_rng(seed)
    forest = random_forest(rng, trees, columns, depth)
    groups = [f"g{rng.integers(3)}" for _ in range(columns)]
    background = random_rows(rng, 40, columns) if against else None
    tables = Tables.build(forest, groups, background)
    asked = random_rows(rng, 30, columns)
    by_group, by_column = tables.both(asked)
    assert by_group.shape == (30, len(set(groups)))
    assert by_column.shape == (30, columns)
    for found in (by_group, by_column):
        assert np.abs(tables.base + found.sum(axis=1) - forest.margin(asked)).max() <= 1e-11
    assert tables.by_group(asked).tobytes() == by_group.tobytes()
    assert tables.by_column(asked[:1]).tobytes() == by_column[:1].tobytes()


def fitted(
    seed: int, missing: float, **params: int
) -> tuple[HistGradientBoostingClassifier, Floats]:
    rng = np.random.default_rng(seed)
    # Halves: shap compares in single precision, where a value next to a threshold changes sides.
    values = (rng.normal(size=(600, 7)) * 2).round() / 2
    values[rng.random(values.shape) < missing] = np.nan
    signal = np.nan_to_num(values)
    failed = signal[:, 0] * signal[:, 1] + signal[:, 2] + rng.normal(size=600) > 0.7
    model = HistGradientBoostingClassifier(max_iter=25, min_samples_leaf=8, **params)
    return model.fit(values, failed), values


DEPTHS = [{"max_leaf_nodes": 4}, {"max_depth": 4, "max_leaf_nodes": 16}, {"max_depth": 7}]


@pytest.mark.parametrize("params", DEPTHS, ids=str)
@pytest.mark.parametrize("missing", [0.0, 0.25])
def test_path_dependent_values_are_those_of_shap(missing: float, params: dict[str, int]) -> None:
    model, values = fitted(1, missing, **params)
    tables = Tables.build(Forest.of(model), list("abcdefg"))
    oracle = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
    assert tables.base == pytest.approx(float(np.ravel(oracle.expected_value)[0]), abs=1e-9)
    expected = oracle.shap_values(values[:100], check_additivity=False)
    assert np.abs(tables.by_column(values[:100]) - expected).max() <= 1e-9
    assert np.abs(tables.by_group(values[:100]) - expected).max() <= 1e-9  # one column a group


@pytest.mark.parametrize("params", DEPTHS, ids=str)
@pytest.mark.parametrize("missing", [0.0, 0.25])
def test_interventional_values_are_those_of_shap(missing: float, params: dict[str, int]) -> None:
    model, values = fitted(2, missing, **params)
    background = values[:200]
    tables = Tables.build(Forest.of(model), list("abcdefg"), background)
    oracle = shap.TreeExplainer(
        model,
        data=shap.maskers.Independent(background, max_samples=len(background)),
        feature_perturbation="interventional",
    )
    expected = oracle.shap_values(values[200:230], check_additivity=False)
    assert np.abs(tables.by_column(values[200:230]) - expected).max() <= 1e-6


def test_a_group_is_more_than_the_sum_of_its_columns() -> None:
    """Columns that only matter together: their group keeps what it shares with nobody else."""
    model, values = fitted(3, 0.0, max_depth=4)
    groups = ["pair", "other", "pair", "other", "rest", "rest", "rest"]
    tables = Tables.build(Forest.of(model), groups, values)
    by_group, by_column = tables.both(values[:50])
    summed = np.stack(
        [by_column[:, [g == name for g in groups]].sum(axis=1) for name in tables.names], axis=1
    )
    assert np.abs(by_group - summed).max() > 0.01


def with_numpy(tables: Tables, rows: Floats) -> tuple[NDArray[np.uint8], list[Floats]]:
    """The words of rows and their values by group and by column, an array operation a step."""
    tests = tables.tests
    values = rows[:, tests.feature]
    passed = (values <= tests.threshold) | (np.isnan(values) & tests.missing)
    passed &= ~np.isnan(tests.threshold)
    words = np.packbits(passed, axis=2, bitorder="little")[:, :, 0]
    found = []
    for lookup in (tables.groups, tables.columns):
        told = [lookup.values[lookup.start + word[lookup.piece]] for word in words]
        sums = [np.bincount(lookup.player, one, lookup.players) for one in told]
        found.append(np.array(sums).reshape(len(rows), lookup.players))
    return words, found


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.booleans(), st.sampled_from("CF"))
def test_compiled_and_plain_lookups_give_the_same_bits(
    shape: tuple[int, int, int, int], against: bool, order: Literal["C", "F"]
) -> None:
    seed, trees, columns, depth = shape
    rng = np.random.default_rng(seed)
    forest = random_forest(rng, trees, columns, depth)
    groups = [f"g{rng.integers(3)}" for _ in range(columns)]
    background = random_rows(rng, 20, columns) if against else None
    tables = Tables.build(forest, groups, background)
    asked = np.asarray(random_rows(rng, 10, columns), order=order)
    words, expected = with_numpy(tables, asked)
    assert tables.tests.words(asked).tobytes() == words.tobytes()
    for found, plain in zip(tables.both(asked), expected, strict=True):
        assert found.tobytes() == plain.tobytes()


def test_batches_do_not_matter(model: RiskModel, rows: TrainingRows) -> None:
    selected = model.select(rows.table.values[:300])
    alone = [model.tables.both(selected[row : row + 1]) for row in range(len(selected))]
    for whole, parts in zip(model.tables.both(selected), zip(*alone, strict=True), strict=True):
        assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_background_counted_in_parts_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model, values = fitted(4, 0.2, max_depth=3)
    forest, groups = Forest.of(model), list("aabbccd")
    whole = Tables.build(forest, groups, values)
    monkeypatch.setattr(shapley, "COUNTED", 64)
    again = Tables.build(forest, groups, values)
    assert again.groups.values.tobytes() == whole.groups.values.tobytes()
    assert again.rows == len(values)


def test_another_background_another_base_the_same_score() -> None:
    model, values = fitted(5, 0.1, max_depth=3)
    forest, groups = Forest.of(model), list("aabbccd")
    low = Tables.build(forest, groups, values[forest.margin(values) < 0])
    every = Tables.build(forest, groups, values)
    assert low.base < every.base
    for tables in (low, every):
        total = tables.base + tables.by_group(values).sum(axis=1)
        assert np.abs(total - forest.margin(values)).max() <= EXACT


@settings(max_examples=20, deadline=None)
@given(SHAPES, st.integers(1, 3))
def test_a_bag_is_explained_as_exactly_as_one(
    shape: tuple[int, int, int, int], models: int
) -> None:
    """Its values are the mean of its members', whose margins are its own."""
    seed, trees, columns, depth = shape
    rng = np.random.default_rng(seed)
    members = [random_forest(rng, trees, columns, depth) for _ in range(models)]
    bag = Forest.averaged(members)
    groups = [f"g{rng.integers(3)}" for _ in range(columns)]
    background, asked = random_rows(rng, 30, columns), random_rows(rng, 20, columns)
    assert np.abs(bag.margin(asked) - mean(f.margin(asked) for f in members)).max() <= EXACT
    for against in (background, None):
        tables = Tables.build(bag, groups, against)
        alone = [Tables.build(forest, groups, against) for forest in members]
        expected = mean(one.by_group(asked) for one in alone)
        assert np.abs(tables.by_group(asked) - expected).max() <= EXACT * 10
        total = tables.base + tables.by_group(asked).sum(axis=1)
        assert np.abs(total - bag.margin(asked)).max() <= EXACT * 10


def test_a_bag_of_none() -> None:
    with pytest.raises(ValueError, match="at least one forest, got none"):
        Forest.averaged([])


@pytest.mark.parametrize("columns", [6, 8, 0])
def test_rows_of_other_columns_are_refused(columns: int) -> None:
    model, values = fitted(6, 0.0, max_depth=2)
    tables = Tables.build(Forest.of(model), list("abcdefg"), values)
    for asked in (tables.by_group, tables.by_column, tables.both):
        with pytest.raises(ValueError, match=rf"rows of 7 columns, got shape \(2, {columns}\)"):
            asked(np.zeros((2, columns)))


def test_a_column_that_is_all_missing() -> None:
    """Its splits send every row the way of what is missing, for shap as well."""
    model, values = fitted(7, 0.3, max_depth=4)
    asked = values[:40].copy()
    asked[:, 0] = np.nan
    tables = Tables.build(Forest.of(model), list("abcdefg"))
    oracle = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent")
    expected = oracle.shap_values(asked, check_additivity=False)
    assert np.abs(tables.by_column(asked) - expected).max() <= 1e-9


def test_too_deep() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3000, 2))
    chain = HistGradientBoostingClassifier(max_iter=2, max_leaf_nodes=60, min_samples_leaf=5)
    forest = Forest.of(chain.fit(values, rng.random(3000) < np.abs(values[:, 0]) / 4))
    assert forest.depth > DEEPEST
    with pytest.raises(
        DepthError, match=rf"{forest.depth} levels deep.*at most {DEEPEST}.*max_dep"
    ):
        Tables.build(forest, ["a", "b"])


@pytest.mark.parametrize(
    ("background", "message"),
    [(np.zeros((0, 7)), "at least one row, got none"), (np.zeros((3, 6)), r"7 columns.*\(3, 6\)")],
)
def test_refuses_a_background_that_is_none(background: Floats, message: str) -> None:
    model, _ = fitted(6, 0.0, max_depth=2)
    with pytest.raises(ValueError, match=message):
        Tables.build(Forest.of(model), list("abcdefg"), background)


def test_trees_without_a_split() -> None:
    values, failed = np.ones((50, 2)), np.arange(50) < 10
    forest = Forest.of(HistGradientBoostingClassifier(max_iter=3).fit(values, failed))
    for background in (None, values):
        tables = Tables.build(forest, ["a", "b"], background)
        assert tables.base == pytest.approx(forest.margin(values)[0], abs=EXACT)
        assert not tables.by_group(values).any()
        assert tables.by_column(values).shape == (50, 2)


def test_pieces_stay_small() -> None:
    forest = random_forest(np.random.default_rng(8), 20, 5, DEEPEST)
    tests, pieces = take_apart(forest, 5)
    leaves = int((forest.left == np.arange(len(forest.left))).sum())
    assert sum(len(piece.leaves) for piece in pieces) == leaves
    assert all(len(p.tests) <= DEEPEST for p in pieces)
    assert tests.words(np.zeros((2, 5))).max() < 2**DEEPEST


def test_no_rows(model: RiskModel) -> None:
    groups, columns = model.tables.both(np.zeros((0, len(model.columns))))
    assert groups.shape == (0, len(model.tables.names))
    assert columns.shape == (0, len(model.columns))
