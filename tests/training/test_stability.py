"""Stability: models of the same past agree, and the same seed gives the same digits."""

from __future__ import annotations

from features.history import History
from features.policy import LabelPolicy
from training.config import TrainingConfig
from training.folds import make_folds
from training.judging import Subject
from training.stability import _jaccard, stability

SMALL = TrainingConfig(estimator={"max_iter": 10})


def test_retrains_agree_more_than_chance(history: History, policy: LabelPolicy) -> None:
    subject = Subject.of(history, policy, SMALL)
    split = make_folds(subject.rows, subject.usable, policy, SMALL, folds=2)[-1]
    found = stability(subject.rows, split, SMALL, 2)
    assert found["retrains"] == 2
    assert 0.2 < found["top_overlap"] <= 1  # two lists of a tenth share a tenth by chance
    assert 0.2 < found["factor_jaccard"] <= 1
    assert stability(subject.rows, split, SMALL, 2) == found


def test_jaccard_by_hand() -> None:
    assert _jaccard(frozenset("abc"), frozenset("abd")) == 0.5
    assert _jaccard(frozenset("abc"), frozenset("cab")) == 1.0
