"""The model as a whole: what it rests on, what a feature does, and whether retrains agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from features.catalogue import GROUPS, NAMES
from models.bundle import RiskModel
from models.estimator import make_estimator
from models.explanation import Explainer
from models.global_view import MOST_BINS, dependence, importance, stability
from training.rows import TrainingRows


def test_importance_is_the_mean_part(model: RiskModel, rows: TrainingRows) -> None:
    found = importance(model, rows.table.values).frame
    explainer = Explainer(model)
    parts = np.abs(explainer.parts(model.select(rows.table.values)).groups)
    expected = dict(zip(explainer.groups, parts.mean(axis=0).tolist(), strict=True))
    assert dict(zip(found["group"], found["log_odds"], strict=True)) == expected
    assert found["log_odds"].is_monotonic_decreasing
    assert found["share"].sum() == pytest.approx(1)
    assert found["first"].sum() == pytest.approx(1)
    assert set(found["heading"]) <= set(GROUPS.values())


def test_dependence_steps_through_the_values(model: RiskModel, rows: TrainingRows) -> None:
    values = rows.table.values
    for feature in model.columns[::7]:
        frame = dependence(model, values, feature).frame
        asked = values[:, NAMES.index(feature)]
        assert frame["rows"].sum() == len(values)
        known = frame[frame["value"].notna()]
        assert len(known) <= MOST_BINS
        assert known["value"].is_monotonic_increasing
        assert (frame["low"] <= frame["middle"]).all()
        assert (frame["middle"] <= frame["high"]).all()
        assert (frame["words"] == "not known").sum() == int(np.isnan(asked).any())
        assert frame["words"].str.len().min() > 0
        assert not frame["words"].str.contains(r"nan|None").any()


def test_retrains_that_agree_and_that_do_not(model: RiskModel, rows: TrainingRows) -> None:
    values = rows.table.values[-300:]
    same = stability([model, model, model], values)
    assert same.mean == 1
    assert len(same.frame) == 3
    noise = np.random.default_rng(0).random(len(rows.start)) < 0.3
    other = make_estimator(rows=len(noise)).fit(model.select(rows.table.values), noise)
    found = stability([model, replace(model, fitted=other, trees=None, tables=None)], values)  # type: ignore[arg-type]
    assert 0 < found.mean < 0.9


def test_pictures(model: RiskModel, rows: TrainingRows) -> None:
    values = rows.table.values[-200:]
    for found in (
        importance(model, values),
        dependence(model, values, model.columns[0]),
        stability([model, model], values),
    ):
        assert isinstance(found.frame, pd.DataFrame)
        axes = found.plot()
        axes.figure.canvas.draw()
        assert axes.get_xlabel() or axes.get_ylabel()


def test_refusals(model: RiskModel, rows: TrainingRows) -> None:
    nothing = rows.table.values[:0]
    with pytest.raises(ValueError, match="at least one row, got none"):
        importance(model, nothing)
    with pytest.raises(ValueError, match="does not see 'phase_of_the_moon'; it sees "):
        dependence(model, rows.table.values, "phase_of_the_moon")
    with pytest.raises(ValueError, match="at least two models to compare, got 1"):
        stability([model], rows.table.values)
