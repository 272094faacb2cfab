"""A model fitted on a small synthetic organisation, and a tiny one for tests that break it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from features.history import History
from features.policy import POLICIES
from features.synthetic import organisation
from models.bands import make_bands
from models.bundle import PERCENTILES, RiskModel
from models.calibration import Platt
from training.fit import Trained, train
from training.rows import TrainingRows, training_rows

UNTIL = datetime(2025, 6, 1, tzinfo=UTC)
COLUMNS = ("affected_ci_count", "lead_time_hours", "ci_failure_rate_365d", "affected_incidents_30d")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Small fits, and a machine shared with others: more threads would only wait."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def history() -> History:
    made = organisation(seed=3, until=UNTIL, changes=2_000, days=300)
    return History.from_records(made.records)


@pytest.fixture(scope="session")
def trained(history: History) -> Trained:
    return train(history, POLICIES["incident"], now=UNTIL)


@pytest.fixture(scope="session")
def model(trained: Trained) -> RiskModel:
    """A model as `changerisk train` makes it."""
    return trained.model


@pytest.fixture(scope="session")
def rows(history: History, model: RiskModel) -> TrainingRows:
    """Every change of the organisation with its features."""
    return training_rows(history, model.policy, as_of=model.history_until)


@pytest.fixture(scope="session")
def estimator() -> HistGradientBoostingClassifier:
    """A few small trees over four columns."""
    rng = np.random.default_rng(5)
    values = rng.normal(size=(400, len(COLUMNS)))
    values[rng.random(values.shape) < 0.2] = np.nan
    failed = np.nan_to_num(values).sum(axis=1) + rng.normal(size=400) > 1.5
    return HistGradientBoostingClassifier(max_iter=6, max_leaf_nodes=5).fit(values, failed)


@pytest.fixture(scope="session")
def bundle_of() -> Callable[..., RiskModel]:
    """A bundle around an estimator, with some of its facts replaced."""

    def bundle_of(estimator: HistGradientBoostingClassifier, **changed: Any) -> RiskModel:
        scores = np.linspace(0.01, 0.2, 500)
        facts: dict[str, Any] = {
            "columns": COLUMNS,
            "platt": Platt(slope=0.9, intercept=-0.25),
            "bands": make_bands(scores, 0.05),
            "base_rate": 0.05,
            "reference": dict.fromkeys(COLUMNS, 1.0),
            "coverage": dict.fromkeys(COLUMNS, 1.0),
            "score_quantiles": tuple(np.quantile(scores, PERCENTILES).tolist()),
            "policy": POLICIES["incident"],
            "trained_at": UNTIL,
            "history_until": UNTIL,
            "metrics": {"models": {"champion": {"roc_auc": None}}},
        }
        return RiskModel(fitted=estimator, **{**facts, **changed})

    return bundle_of


@pytest.fixture(scope="session")
def bundle(
    estimator: HistGradientBoostingClassifier, bundle_of: Callable[..., RiskModel]
) -> RiskModel:
    return bundle_of(estimator)
