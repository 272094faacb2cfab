"""The canary: where nothing can be learnt, nothing is; and a leak would be seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from features.catalogue import NAMES
from features.columns import Columns
from features.history import History
from features.policy import LabelPolicy
from features.state import FeatureState
from features.synthetic import Organisation, organisation
from features.table import FeatureTable, build
from training import baselines, rows
from training.config import TrainingConfig
from training.fit import train

UNTIL = datetime(2025, 6, 1, tzinfo=UTC)
CONFIG = TrainingConfig(test_share=0.6, estimator={"max_iter": 60})


@dataclass(frozen=True)
class Judged:
    """Ranking of a test window and the failures behind it."""

    roc_auc: float
    failures: int


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch, policy: LabelPolicy) -> Callable[[Organisation], Judged]:
    """Train and judge; without the baselines, whose figures nobody reads here."""
    monkeypatch.setattr(baselines, "BASELINES", {})

    def judge(made: Organisation) -> Judged:
        history = History.from_records(made.records)
        report = train(history, policy, now=UNTIL, config=CONFIG).report
        found = report["models"]["champion"]
        return Judged(found["roc_auc"], found["observed"])

    return judge


def noise(seed: int, changes: int = 7_500, days: int = 450) -> Organisation:
    return organisation(seed=seed, until=UNTIL, changes=changes, days=days, noise_only=True)


def pooled(judged: list[Judged]) -> float:
    weights = [one.failures for one in judged]
    return float(np.average([one.roc_auc for one in judged], weights=weights))


def test_noise_teaches_nothing(judge: Callable[[Organisation], Judged]) -> None:
    judged = [judge(noise(seed)) for seed in (1, 2, 3)]
    assert sum(one.failures for one in judged) >= 400
    assert abs(pooled(judged) - 0.5) <= 0.03


@pytest.mark.slow
def test_noise_teaches_nothing_at_length(judge: Callable[[Organisation], Judged]) -> None:
    judged = [judge(noise(seed)) for seed in range(10, 22)]
    assert sum(one.failures for one in judged) >= 1_800
    assert abs(pooled(judged) - 0.5) <= 0.02


def test_a_leak_would_be_seen(
    judge: Callable[[Organisation], Judged], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column that knows the outcome, nine times of ten, lifts noise far over chance."""
    made = noise(4, changes=3_000, days=400)
    caused = pd.Series(made.causes["caused"].to_numpy(), index=made.causes["change_id"])
    told = caused ^ (np.random.default_rng(0).random(len(caused)) < 0.1)

    def leaking(changes: Columns, as_of: np.ndarray, state: FeatureState) -> FeatureTable:
        table = build(changes, as_of, state)
        values = table.values.copy()
        values[:, NAMES.index("title_words")] = told.reindex(changes["change_id"]).to_numpy()
        return replace(table, values=values)

    honest = judge(made)
    monkeypatch.setattr(rows, "build", leaking)
    leaked = judge(made)
    assert leaked.failures == honest.failures
    assert abs(honest.roc_auc - 0.5) < 0.12
    assert leaked.roc_auc > 0.8
