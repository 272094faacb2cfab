"""Evaluation end to end on a small organisation: shape, repetition, what is said in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import orjson
import pytest

from features import instants
from features.history import History
from features.policy import LabelPolicy
from features.synthetic import organisation
from models.baselines import BASELINES
from training.config import TrainingConfig, TrainingError
from training.evaluate import Evaluation, best_gain, evaluate
from training.evaluation_report import lines
from training.figures import Window, figures
from training.judging import Subject, judge, pooled

SMALL = TrainingConfig(estimator={"max_iter": 15})
UNTIL = datetime(2025, 6, 1, tzinfo=UTC)
FIGURES = ("roc_auc", "average_precision", "ece", "brier", "brier_skill")


@pytest.fixture(scope="module")
def history() -> History:
    """A smaller organisation than the session's: it is evaluated twice."""
    made = organisation(seed=2, until=UNTIL, changes=2_500, days=300)
    return History.from_records(made.records)


@pytest.fixture(scope="module")
def found(history: History, policy: LabelPolicy) -> Evaluation:
    return evaluate(history, policy, config=SMALL, folds=3)


def test_shape_of_the_report(found: Evaluation) -> None:
    report = orjson.loads(orjson.dumps(found.report))
    assert {"label", "splits", "overall", "placebo", "slices", "bands", "audits"} <= set(report)
    assert len(report["splits"]) == 3
    for part in (*report["splits"], report["overall"]):
        assert {"rows", "positives", "models"} <= set(part)
        assert {"champion", "random", "base_rate", *BASELINES} == set(part["models"])
        for one in part["models"].values():
            for name in FIGURES:
                assert set(one[name]) == {"value", "low", "high"}
            for share in ("0.05", "0.1", "0.2", "0.5"):
                assert set(one["recall_at"][share]) == {"value", "low", "high"}
    for split in report["splits"]:
        assert split["train_until"] < split["test_from"] <= split["test_to"]


def test_windows_follow_one_another_and_labels_ripen(
    found: Evaluation, policy: LabelPolicy
) -> None:
    rows = found.rows
    tested = np.concatenate([np.flatnonzero(fold.split.test) for fold in found.folds])
    assert len(tested) == len(set(tested.tolist())) == found.report["overall"]["rows"]
    for fold in found.folds:
        split, gap = fold.split, policy.embargo // timedelta(microseconds=1)
        assert (rows.table.as_of[split.learnt] < split.test_from - gap).all()
        assert (rows.decided_at[split.learnt] <= split.test_from).all()
        assert fold.window.base_rate < 0.5
    said, window = pooled(found.folds)
    assert {len(scores) for scores in said.values()} == {len(window.failed)}


def test_learns_more_than_nothing(found: Evaluation) -> None:
    models = found.report["overall"]["models"]
    assert models["champion"]["roc_auc"]["low"] > 0.5
    assert models["random"]["roc_auc"]["low"] < 0.5 < models["random"]["roc_auc"]["high"]


def test_one_window_from_a_day_on(history: History, policy: LabelPolicy) -> None:
    subject = Subject.of(history, policy, SMALL)
    moment = instants.from_micros(int(np.quantile(subject.rows.table.as_of, 0.8)))
    assert moment is not None
    (fold,) = judge(subject, folds=4, test_from=moment)
    assert fold.split.test_from == instants.to_micros(moment)
    inside = subject.rows.table.as_of >= instants.to_micros(moment)
    assert np.array_equal(fold.split.test, inside & subject.usable)


def test_same_digits_again(found: Evaluation, history: History, policy: LabelPolicy) -> None:
    again = evaluate(history, policy, config=SMALL, folds=3)
    assert orjson.dumps(again.report) == orjson.dumps(found.report)


def test_audits_and_bands_are_told(found: Evaluation) -> None:
    outcomes = {one["code"]: one["outcome"] for one in found.report["audits"]}
    assert len(outcomes) == 8
    assert outcomes["time_overlap"] == "passed"
    assert outcomes["forbidden_fields"] == "passed"
    assert outcomes["instability"] == "not_applicable"
    quarters = found.report["bands"]["quarters"]
    assert sum(one["changes"] for one in quarters) == found.report["overall"]["rows"]
    assert sum(one["failures"] for one in quarters) == found.report["overall"]["positives"]
    assert "type standard" in found.report["slices"]


def test_lines_for_people(found: Evaluation) -> None:
    text = "\n".join(lines(found.report))
    assert "this model" in text
    assert "logistic regression" in text
    assert "directional" in text
    assert "would have gone to the board" in text
    assert "placebo: the label names its change" in text
    assert "audit time_overlap" in text
    assert "None" not in text
    assert "nan" not in text


@pytest.mark.parametrize(
    ("noise", "verdict"), [(0.0, "ship the simple one"), (3.0, "ship the model")]
)
def test_verdict_is_plain(noise: float, verdict: str) -> None:
    """Against a baseline as good as the model, and against one that hardly ranks."""
    rng = np.random.default_rng(0)
    margin = rng.normal(-3, 1, 4_000)
    failed = rng.random(4_000) < 1 / (1 + np.exp(-margin))
    window = Window(times=np.sort(rng.integers(0, 10**13 * 2, 4_000)), failed=failed, base_rate=0.1)
    other = margin + noise * rng.normal(size=4_000)
    judged = {
        name: figures(1 / (1 + np.exp(-scores)), window)
        for name, scores in {"champion": margin, "item_rate": other}.items()
    }
    found = best_gain(judged)
    assert found["over"] == "item_rate"
    assert found["verdict"] == verdict


def test_refuses_a_history_too_short(history: History, policy: LabelPolicy) -> None:
    with pytest.raises(TrainingError, match="holds nothing that decides the label"):
        evaluate(History.from_records([]), policy)
    first = history.until
    assert first is not None
    with pytest.raises(TrainingError, match="no changes are left for the test part"):
        evaluate(history, policy, config=SMALL, test_from=first + timedelta(days=1))


def test_moments_are_aware(found: Evaluation) -> None:
    for split in found.report["splits"]:
        assert datetime.fromisoformat(split["test_from"]).tzinfo is not None
