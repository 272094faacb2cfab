"""Monitoring: mature weeks only, alarms where the level or the changes moved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from scipy.special import expit, logit

from features import instants
from features.catalogue import NAMES
from features.history import History
from features.store import Store
from models.registry import Registered
from training.fit import Trained
from training.monitoring import Scores, journaled, lines, monitor
from training.rows import TrainingRows, training_rows


@pytest.fixture(scope="module")
def early(trained: Trained) -> Registered:
    """The model as if its training had ended 200 days before the history does."""
    until = trained.model.history_until - timedelta(days=200)
    model = replace(trained.model, history_until=until)
    return Registered(model=model, name="change-risk", version="1")


@pytest.fixture(scope="module")
def rows(trained: Trained, history: History) -> TrainingRows:
    return training_rows(history, trained.model.policy, as_of=trained.model.history_until)


@pytest.fixture(scope="module")
def said(early: Registered, rows: TrainingRows) -> Callable[[float], Scores]:
    """Answers to the changes since, their log-odds moved."""

    def said(moved: float) -> Scores:
        later = rows.table.as_of > instants.to_micros(early.model.history_until)
        values = rows.table.values[later]
        probability = expit(logit(early.model.probability(values)) + moved)
        names = list(rows.table.change_ids[later])
        at = rows.table.as_of[later]
        return Scores(change_ids=names, as_of=at, probability=probability, values=values)

    return said


def test_without_answers_the_history_is_judged(
    early: Registered, history: History, trained: Trained, rows: TrainingRows
) -> None:
    nothing = journaled([], "1")
    found = monitor(history, early, nothing, as_of=trained.model.history_until)
    assert found.judged_on == "history"
    assert found.undecided > 0
    limit = instants.to_micros(trained.model.history_until)
    later = rows.table.as_of > instants.to_micros(early.model.history_until)
    mature = later & rows.taught & rows.decided(limit)
    assert found.changes == mature.sum()
    assert sum(one["observed"] for one in found.months) == rows.failed(limit)[mature].sum()
    assert "no alarm" in lines(found)[-1] or found.alarms


def test_a_wrong_level_is_an_alarm(
    early: Registered, history: History, trained: Trained, said: Callable[[float], Scores]
) -> None:
    end = trained.model.history_until
    fine = monitor(history, early, said(0.0), as_of=end)
    assert fine.judged_on == "journal"
    high = monitor(history, early, said(1.5), as_of=end)
    assert high.observed_expected["high"] < 1
    assert any("failures came for each one expected" in text for text in high.alarms)
    assert any(one["alarm"] for one in high.months)
    assert high.score_psi > fine.score_psi
    assert sum("ALARM" in line for line in lines(high)) > len(high.alarms)


def test_changes_of_another_kind_are_an_alarm(
    early: Registered, history: History, trained: Trained, said: Callable[[float], Scores]
) -> None:
    scores = said(0.0)
    values = scores.values.copy()
    values[:, 0] = values[:, 0] + 1_000
    found = monitor(
        history, early, replace(scores, values=values), as_of=trained.model.history_until
    )
    assert found.features[0]["psi"] > 0.25
    assert any("of another kind" in text for text in found.alarms)


def test_an_open_window_is_not_judged(
    early: Registered, history: History, said: Callable[[float], Scores]
) -> None:
    soon = early.model.history_until + timedelta(days=3)
    found = monitor(history, early, said(0.0), as_of=soon)
    assert found.changes == 0
    assert found.observed_expected["value"] is None
    assert "no mature change yet" in " ".join(lines(found))


def test_only_scores_of_the_version_count(tmp_path: object, early: Registered) -> None:
    store = Store(f"sqlite:///{tmp_path}/history.db")
    now = early.model.history_until
    width = len(NAMES)
    with store.write("test", now=now) as writer:
        for number, version in enumerate(("1", "1", "2")):
            answer = {"incident_probability": 0.1 * (number + 1), "model": {"version": version}}
            body = {"answer": answer, "as_of": number, "features": [0.0] * width}
            writer.append_journal(f"e{number}", "score", "C1", body)
        writer.append_journal("p", "promotion", None, {"version": "2"})
    found = journaled(store.journal_entries(), "1")
    assert (found.change_ids, found.as_of.tolist()) == (["C1"], [1])
    assert found.probability.tolist() == [0.2]
    store.close()
