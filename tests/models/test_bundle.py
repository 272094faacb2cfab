"""The bundle as plain data: everything comes back, nothing foreign comes in."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, TypeAlias

import numpy as np
import orjson
import pytest
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier

from features.catalogue import NAMES, fingerprint
from features.place import Place
from features.policy import policy_from
from models.bands import make_bands
from models.bundle import PROTOCOL, BundleError, RiskModel
from models.calibration import Platt
from training.rows import TrainingRows

Estimator: TypeAlias = HistGradientBoostingClassifier
BundleOf = Callable[..., RiskModel]

NEEDED = {
    *("columns", "platt", "bands", "base_rate", "reference", "coverage", "score_quantiles"),
    *("policy", "trained_at", "history_until", "metrics", "features"),
}


def read(model: RiskModel, **changed: Any) -> RiskModel:
    """The bundle as it comes back from JSON, with some facts changed; None leaves one out."""
    facts = orjson.loads(orjson.dumps({**model.facts(), **changed}))
    kept = {key: value for key, value in facts.items() if value is not None}
    return RiskModel.from_facts(kept, model.estimator, additive=model.additive)


def test_facts_come_back(bundle_of: BundleOf, estimator: Estimator) -> None:
    model = bundle_of(
        estimator,
        policy=policy_from("incident", max_priority=2, window_days=3.5),
        history_until=datetime(2025, 3, 1, 4, 5, 6, 789, tzinfo=UTC),
        bands=make_bands(np.linspace(0, 0.3, 77), 0.07).measured(
            np.array([0.01, 0.2]), np.array([False, True])
        ),
        platt=Platt(slope=1 / 3, intercept=-0.1),
        place=Place(country="DE", timezone="Europe/Berlin"),
    )
    again = read(model)
    for name in {*NEEDED, "place"} - {
        "reference",
        "coverage",
        "score_quantiles",
        "trained_at",
        "features",
    }:
        assert getattr(again, name) == getattr(model, name), name
    assert again.facts() == model.facts()


def test_trained_model_comes_back(model: RiskModel, rows: TrainingRows) -> None:
    again = read(model)
    assert again.facts() == model.facts()
    values = rows.table.values
    assert again.probability(values).tobytes() == model.probability(values).tobytes()


def test_probability_is_the_platt_line_over_the_margin(bundle: RiskModel) -> None:
    values = np.full((5, len(NAMES)), np.nan)
    values[:, [NAMES.index(name) for name in bundle.columns]] = np.arange(20.0).reshape(5, 4)
    selected = np.arange(20.0).reshape(5, 4)
    odds = 0.9 * bundle.estimator.decision_function(selected) - 0.25
    assert bundle.probability(values) == pytest.approx(expit(odds), rel=1e-12)


def test_select_takes_the_columns_in_the_models_order(
    bundle_of: BundleOf, estimator: Estimator
) -> None:
    columns = ("start_hour", "affected_ci_count", "team_changes_7d", "lead_time_hours")
    selected = bundle_of(estimator, columns=columns).select(
        np.arange(len(NAMES), dtype=np.float64)[None]
    )
    assert [NAMES[int(place)] for place in selected[0]] == list(columns)
    assert selected.flags.c_contiguous


def test_unknown_groups(bundle: RiskModel) -> None:
    values = np.full((1, len(NAMES)), np.nan)
    assert set(bundle.unknown_groups(values)) == {
        "size",
        "schedule",
        "ci_track_record",
        "incidents",
    }
    values[0, NAMES.index("affected_ci_count")] = 1.0
    assert "size" not in bundle.unknown_groups(values)


@pytest.mark.parametrize(
    ("probability", "percentile"), [(0.0, 0), (0.01, 0), (0.1051, 50), (0.2, 99), (0.5, 100)]
)
def test_percentile(bundle: RiskModel, probability: float, percentile: int) -> None:
    """Scores of the window run evenly from 0.01 to 0.2."""
    assert bundle.percentile(probability) == percentile


@pytest.mark.parametrize("fact", sorted(NEEDED))
def test_missing_fact(bundle: RiskModel, fact: str) -> None:
    message = f"the bundle's facts cannot be read: KeyError\\('{fact}'\\)"
    with pytest.raises(BundleError, match=message):
        read(bundle, **{fact: None})


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("platt", {"slope": 1.0}),
        ("platt", {"slope": 1.0, "intercept": None}),
        ("platt", {"slope": "steep", "intercept": 0.0}),
        ("platt", [1.0, 0.0]),
        ("bands", {"moderate": 0.1}),
        ("bands", {"moderate": 0.1, "lambda": 2}),
        ("base_rate", "often"),
        ("reference", ["lead_time_hours"]),
        ("coverage", {"lead_time_hours": None}),
        ("score_quantiles", [0.1, None]),
        ("policy", {"name": "incident"}),
        ("policy", {"name": "incident", "sources": ["text"], "power": 3}),
        ("place", {"country": "Atlantis"}),
        ("place", {"planet": "Mars"}),
        ("trained_at", "yesterday"),
        ("history_until", 5),
        ("columns", 4),
    ],
)
def test_unreadable_fact(bundle: RiskModel, fact: str, value: object) -> None:
    with pytest.raises(BundleError, match="the bundle's facts cannot be read"):
        read(bundle, **{fact: value})


@pytest.mark.parametrize("protocol", [None, 0, PROTOCOL + 1, str(PROTOCOL)])
def test_other_protocol(bundle: RiskModel, protocol: object) -> None:
    message = re.escape(f"expected a bundle of layout {PROTOCOL}, got {protocol!r}")
    with pytest.raises(BundleError, match=message):
        read(bundle, protocol=protocol)


def test_other_features(bundle: RiskModel) -> None:
    message = f"fitted on feature catalogue 0123abcd, this version has {fingerprint()}: train again"
    with pytest.raises(BundleError, match=message):
        read(bundle, features="0123abcd")


def test_foreign_columns(bundle: RiskModel) -> None:
    columns = [*bundle.columns[:-1], "close_code"]
    with pytest.raises(BundleError, match="the catalogue has no feature close_code"):
        read(bundle, columns=columns)


def test_every_fact_is_needed(bundle: RiskModel) -> None:
    assert set(bundle.facts()) == {*NEEDED, "protocol", "training", "place"}


def test_facts_hold_no_code_and_no_arrays(model: RiskModel) -> None:
    facts = model.facts()
    assert orjson.loads(orjson.dumps(facts)) == {
        **facts,
        "policy": {**asdict(model.policy), "sources": list(model.policy.sources)},
    }
