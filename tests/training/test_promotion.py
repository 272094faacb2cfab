"""The rule by which a challenger takes the champion's place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest
from scipy.special import expit

from features import instants
from features.history import History
from features.policy import POLICIES
from models.registry import Registered
from training.config import TrainingError
from training.findings import Finding
from training.fit import Trained
from training.promotion import Comparison, _verdict, compare

Judge = Callable[..., Comparison]


@pytest.fixture
def pair(trained: Trained) -> tuple[Registered, Registered]:
    return (
        Registered(model=trained.model, name="change-risk", version="1"),
        Registered(model=trained.model, name="change-risk", version="2"),
    )


@pytest.fixture
def judge(pair: tuple[Registered, Registered], day: Callable[[float], datetime]) -> Judge:
    """The rule on 4,000 drawn changes of 40 weeks: how much noise is in each model's log-odds."""

    def judge(old: float, new: float, changes: int = 4_000, level: float = 0.0) -> Comparison:
        rng = np.random.default_rng(3)
        truth = -3.5 + 1.5 * rng.normal(size=changes)
        failed = rng.random(changes) < expit(truth)
        scores = [expit(truth + noise * rng.normal(size=changes)) for noise in (old, new)]
        scores[1] = expit(np.log(scores[1] / (1 - scores[1])) + level)
        first = instants.to_micros(day(0))
        times = first + np.sort(rng.integers(0, 280 * instants.DAY, changes))
        return _verdict(*pair, scores, failed, times, ())

    return judge


def failed_of(found: Comparison) -> set[str]:
    return {one.code for one in found.conditions if one.outcome == "failed"}


def test_a_better_model_is_let_in(judge: Judge) -> None:
    found = judge(old=2.0, new=0.3)
    assert found.promotes, found.conditions
    assert found.gain["average_precision"]["low"] > 0
    assert found.window["failures"] >= 200


def test_a_worse_model_is_refused(judge: Judge) -> None:
    found = judge(old=0.3, new=2.0)
    assert not found.promotes
    assert failed_of(found) >= {
        "not_worse_average_precision",
        "not_worse_recall_at_0.1",
        "better_somewhere",
    }


def test_wrong_probabilities_are_refused(judge: Judge) -> None:
    assert "calibrated" in failed_of(judge(old=0.3, new=0.0, level=1.0))


def test_too_few_failures_are_refused(judge: Judge) -> None:
    found = judge(old=2.0, new=0.1, changes=300)
    assert found.window["failures"] < 50
    assert failed_of(found) >= {"enough_failures"}


def test_the_same_model_twice_promises_nothing(judge: Judge) -> None:
    assert failed_of(judge(old=0.0, new=0.0)) == {"better_somewhere"}


def test_two_runs_give_the_same_digits(judge: Judge) -> None:
    assert judge(old=1.0, new=0.5).facts() == judge(old=1.0, new=0.5).facts()


def test_models_of_other_questions_are_not_compared(
    pair: tuple[Registered, Registered], history: History, day: Callable[[float], datetime]
) -> None:
    other = replace(pair[1].model, policy=POLICIES["failed"])
    with pytest.raises(TrainingError, match="cannot be compared"):
        compare(history, pair[0], replace(pair[1], model=other), as_of=day(500), now=day(501))


def test_a_model_that_has_seen_the_window_is_judged_by_its_twin(
    pair: tuple[Registered, Registered], history: History
) -> None:
    """The champion is older than the window; only the challenger needs a twin."""
    end = pair[1].model.history_until
    early = replace(pair[0].model, history_until=end - timedelta(days=200))
    found = compare(history, replace(pair[0], model=early), pair[1], as_of=end, now=end)
    assert found.twins == ("2",)
    assert found.window["changes"] > 500
    assert found.models["2"]["roc_auc"] != found.models["1"]["roc_auc"]
    codes = {one.code for one in found.conditions}
    assert codes >= {"time_overlap", "golden_feature", "forbidden_fields", "worse_than_baseline"}
    assert not failed_of(found) & {"time_overlap", "golden_feature", "forbidden_fields"}


def test_weakness_may_be_accepted_and_a_leak_may_not(
    judge: Judge,
    pair: tuple[Registered, Registered],
    history: History,
    day: Callable[[float], datetime],
) -> None:
    weak = Finding(code="drift", outcome="failed", figure=2.0, sentence="it drifts")
    good = judge(old=2.0, new=0.3)
    found = replace(good, conditions=(*good.conditions, weak))
    assert not found.promotes
    assert replace(found, accepted=("drift",)).promotes
    with pytest.raises(TrainingError, match="golden_feature cannot be accepted"):
        compare(history, *pair, as_of=day(500), now=day(501), accepted=["golden_feature"])
