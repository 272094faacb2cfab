"""Factors: they add up to the score, and say in words what is known."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.ensemble import HistGradientBoostingClassifier

from features.catalogue import BY_NAME, CATALOGUE, GROUPS, NAMES, Feature
from features.columns import Columns
from features.records import Change
from features.sentences import reference_words
from features.table import FeatureTable
from models.bundle import RiskModel
from models.calibration import Platt
from models.explanation import (
    PUSHING,
    SHOWN,
    Explainer,
    ExplanationError,
    Factor,
    comparison,
    heading,
    others,
)
from models.shapley import Tables
from training.rows import TrainingRows

EXACT = 1e-9
ROWS = 500

NEVER_SAID = re.compile(
    r"\bnan\b|None|\binf\b|[{}]|(?<![\d,.])1 changes\b|\bit it\b|on service it|by team it|  "
)


@pytest.fixture(scope="session")
def explainer(model: RiskModel) -> Explainer:
    return Explainer(model)


@pytest.fixture(scope="session")
def chosen(rows: TrainingRows) -> list[int]:
    """Rows over the whole history, the first changes of nobody's record among them."""
    return [int(row) for row in np.linspace(0, len(rows.start) - 1, ROWS)]


@pytest.fixture(scope="session")
def explained(explainer: Explainer, rows: TrainingRows, chosen: list[int]) -> list[list[Factor]]:
    return [explainer.factors(rows.table, rows.changes, row) for row in chosen]


def test_parts_add_up_to_the_calibrated_log_odds(
    explainer: Explainer, model: RiskModel, rows: TrainingRows, chosen: list[int]
) -> None:
    values = rows.table.values[chosen]
    parts = explainer.parts(model.select(values))
    assert parts.groups.shape == (ROWS, len(explainer.groups))
    assert parts.columns.shape == (ROWS, len(model.columns))
    for found in (parts.groups, parts.columns):
        total = explainer.base_log_odds + found.sum(axis=1)
        assert np.abs(total - logit(model.probability(values))).max() <= EXACT


def test_factors_add_up(
    explainer: Explainer,
    model: RiskModel,
    rows: TrainingRows,
    chosen: list[int],
    explained: list[list[Factor]],
) -> None:
    probability = model.probability(rows.table.values[chosen])
    odds = [sum(factor.log_odds for factor in factors) for factors in explained]
    points = [sum(factor.points for factor in factors) for factors in explained]
    base = explainer.base_log_odds
    assert np.abs(base + np.array(odds) - logit(probability)).max() <= EXACT
    assert np.abs(expit(base) + np.array(points) - probability).max() <= EXACT


def test_strongest_first_and_the_rest_summed(explained: list[list[Factor]]) -> None:
    sizes = {len(factors) for factors in explained}
    assert max(sizes) == SHOWN + 1, "the model has fewer groups than the test needs"
    for factors in explained:
        shown = [factor for factor in factors if factor.group != "other"]
        weights = [abs(factor.log_odds) for factor in shown]
        assert len(shown) <= SHOWN
        assert weights == sorted(weights, reverse=True)
        assert len({factor.group for factor in shown}) == len(shown)
        assert all(factor.group in GROUPS for factor in shown)
        others = factors[len(shown) :]
        assert all(
            re.fullmatch(r"1 other factor|\d+ other factors together", o.text) for o in others
        )
        assert all(not o.changeable and o.feature is None and o.value is None for o in others)


def test_direction_follows_the_sign(explained: list[list[Factor]]) -> None:
    for factor in (factor for factors in explained for factor in factors):
        assert factor.direction == ("raises" if factor.log_odds > 0 else "lowers")
        assert np.sign(factor.points) == np.sign(factor.log_odds)


def test_the_fact_pushes_the_way_its_group_does(
    explainer: Explainer, model: RiskModel, rows: TrainingRows, chosen: list[int]
) -> None:
    for row in chosen[:40]:
        parts = explainer.parts(model.select(rows.table.values[row : row + 1])).columns[0]
        for factor in explainer.factors(rows.table, rows.changes, row):
            if factor.feature is not None:
                part = parts[model.columns.index(factor.feature)] * np.sign(factor.log_odds)
                members = [n for n, group in enumerate(model.groups) if group == factor.group]
                assert part >= PUSHING * (parts[members] * np.sign(factor.log_odds)).max()
                assert BY_NAME[factor.feature].group == factor.group
                assert BY_NAME[factor.feature].changeable == factor.changeable


def test_few_failures_raise_no_score_where_another_fact_does(
    bundle_of: Callable[..., RiskModel],
) -> None:
    """Two facts of one group push up: the one told of has more failures behind it than usual."""
    names = ("ci_failure_rate_365d", "ci_failure_rate_7d")
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(2000, 2))
    failed = drawn @ [-2.0, 1.0] + rng.normal(size=2000) > 2  # the first the wrong way round
    fitted = HistGradientBoostingClassifier(max_iter=40, max_leaf_nodes=4).fit(drawn, failed)
    model = bundle_of(fitted, columns=names, reference=dict.fromkeys(names, 0.1))
    values = np.full((1, len(NAMES)), np.nan)
    values[0, [NAMES.index(name) for name in names]] = -1.0, 1.0
    about = Columns.from_records(
        Change, [Change(change_id="CHG", known_at=model.history_until, ci="web-01")]
    )

    def told(many: float) -> Factor:
        support = {
            names[0]: (np.array([0.0]), np.array([50.0])),
            names[1]: (np.array([many]), np.array([9.0])),
        }
        table = FeatureTable(about["change_id"], np.zeros(1, np.int64), values, support)
        return Explainer(model).factors(table, about)[0]

    assert told(4.0).text.startswith("4 of 9 changes on web-01 in the last 7 days")
    assert told(0.0).text.startswith("0 of 50 changes on web-01 in the last year")


def test_words(explained: list[list[Factor]]) -> None:
    texts = {factor.text for factors in explained for factor in factors}
    assert len(texts) > 200
    assert [text for text in texts if NEVER_SAID.search(text)] == []
    assert [text for text in texts if not (text[0].isupper() or text[0].isdigit())] == []


def test_values_are_those_of_the_table(
    rows: TrainingRows, chosen: list[int], explained: list[list[Factor]]
) -> None:
    for row, factors in zip(chosen, explained, strict=True):
        for factor in factors:
            if factor.feature is not None:
                value = rows.table.values[row, NAMES.index(factor.feature)]
                assert factor.value == (None if np.isnan(value) else value)


def test_what_stands_in_for_the_unknown_is_not_told_as_a_fact(
    explainer: Explainer, model: RiskModel, rows: TrainingRows
) -> None:
    """A change that names nothing is scored with the usual values; none of them is its own."""
    empty = Columns.from_records(Change, [Change(change_id="CHG", known_at=model.history_until)])
    values = np.full((1, len(NAMES)), np.nan)
    nothing = FeatureTable(empty["change_id"], rows.table.as_of[-1:], values, {})
    assert model.unknown_groups(nothing.values)
    factors = explainer.factors(nothing, empty)
    assert factors
    assert all(factor.value is None for factor in factors)
    shown = [factor.text for factor in factors if factor.feature is not None]
    assert [text for text in shown if re.search(r"\d|usual", text)] == []


def test_refuses_factors_that_do_not_add_up(bundle: RiskModel) -> None:
    explainer = Explainer(bundle)
    selected = np.zeros((3, len(bundle.columns)))
    assert explainer.parts(selected).columns.shape == (3, 4)
    explainer.base_log_odds += 1e-8
    with pytest.raises(ExplanationError, match="factors and score differ by 1e-08 log-odds"):
        explainer.parts(selected)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_refuses_factors_that_are_no_numbers(bundle: RiskModel, broken: float) -> None:
    explainer = Explainer(bundle)
    explainer.base_log_odds = broken
    with pytest.raises(ExplanationError, match="factors and score differ"):
        explainer.parts(np.zeros((1, len(bundle.columns))))


def test_no_rows(bundle: RiskModel) -> None:
    assert len(Explainer(bundle).parts(np.zeros((0, len(bundle.columns)))).groups) == 0


def test_shapley_values_of_two_stumps_by_hand(bundle_of: Callable[..., RiskModel]) -> None:
    """Trees that each ask one column: a column's part is its leaf less the mean leaf."""
    rng = np.random.default_rng(0)
    values = rng.integers(0, 2, (400, 2)).astype(float)
    failed = rng.random(400) < 0.1 + 0.3 * values[:, 0] + 0.2 * values[:, 1]
    stumps = HistGradientBoostingClassifier(max_iter=8, max_leaf_nodes=2).fit(values, failed)
    columns = ("is_emergency", "start_on_weekend")
    model = bundle_of(stumps, columns=columns, platt=Platt(slope=2.0, intercept=0.5))
    expected = np.zeros((400, 2))
    for (tree,) in stumps._predictors:
        root, left, right = tree.nodes
        column = root["feature_idx"]
        leaf = np.where(values[:, column] <= root["num_threshold"], left["value"], right["value"])
        mean = (left["value"] * left["count"] + right["value"] * right["count"]) / root["count"]
        expected[:, column] += 2.0 * (leaf - mean)
    parts: NDArray[np.float64] = Explainer(model).parts(values).columns
    assert np.abs(parts - expected).max() <= EXACT


def test_groups_of_a_trained_model_are_those_of_its_training_rows(
    model: RiskModel, rows: TrainingRows
) -> None:
    """They equal the definition over all coalitions (of groups taken together in sixes)."""
    assert model.tables.kind == "interventional"
    coarse = [f"{model.tables.names.index(group) % 6}" for group in model.groups]
    background = model.select(rows.table.values[::20])
    asked = model.select(rows.table.values[-1:])[0]
    tables = Tables.build(model.forest, coarse, background)
    player = np.array([tables.names.index(group) for group in coarse])
    inside = np.arange(64)[:, None] >> np.arange(6) & 1
    worth = np.array(
        [model.margin(np.where(held[player] == 1, asked, background)).mean() for held in inside]
    )
    size = inside.sum(axis=1)
    weight = np.array([factorial(s) * factorial(5 - s) / factorial(6) for s in range(6)])
    found = tables.by_group(asked[None])[0]
    for k in range(6):
        without = np.flatnonzero(inside[:, k] == 0)
        gains = worth[without | 1 << k] - worth[without]
        assert (weight[size[without]] * gains).sum() == pytest.approx(found[k], abs=1e-12)


NUMBERS = st.one_of(
    st.floats(-1e4, 1e4),
    st.sampled_from([0.0, 1.0, 2.0, 0.04, 1.0 + 1e-12, 1e12, np.nan]),
)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(CATALOGUE), NUMBERS, NUMBERS.filter(lambda n: not np.isnan(n)))
def test_a_comparison_says_another_value_or_nothing(
    feature: Feature, value: float, reference: float
) -> None:
    text = comparison(feature, value, reference)
    if text:
        usual = text.removeprefix("; usual: ")
        assert usual not in ("", text)
        assert usual == usual.strip() == reference_words(feature, reference)
        assert usual != reference_words(feature, value)
        assert not re.search(r"\bnan\b|None|\binf\b|(?<![\d,.-])1 \w+s\b", usual)
        assert not reference or not 2 / 3 <= value / reference <= 1.5


@pytest.mark.parametrize(
    ("value", "reference", "expected"),
    [
        (3.0, 2.0, ""),
        (3.1, 2.0, "; usual: 2 changes"),
        (4.0, 6.0, ""),
        (3.9, 6.0, "; usual: 6 changes"),
        (0.0, 1.0, "; usual: 1 change"),
        (0.0, 0.0, ""),
        (0.0, 0.02, ""),
        (1.0, 0.0, "; usual: 0 changes"),
        (np.nan, 2.0, ""),
        (5.0, None, ""),
    ],
)
def test_only_what_differs_by_half_is_compared(
    value: float, reference: float | None, expected: str
) -> None:
    assert comparison(BY_NAME["ci_changes_30d"], value, reference) == expected


@pytest.mark.parametrize(
    ("name", "value", "reference"),
    [
        ("is_emergency", 1.0, 0.0),
        ("start_hour", 3.0, 0.0),
        ("affected_criticality", 4.0, 0.0),
        ("days_to_freeze", 0.0, 12.0),  # "it starts within one"
    ],
)
def test_what_has_no_usual_is_not_compared(name: str, value: float, reference: float) -> None:
    assert comparison(BY_NAME[name], value, reference) == ""


@pytest.mark.parametrize(
    ("number", "end"), [(1, "1 other factor"), (2, "2 other factors together")]
)
def test_others(number: int, end: str) -> None:
    assert others(number) == end


def test_heading() -> None:
    assert heading("schedule") == "When it is planned"
    assert heading("other") == "Other factors"
