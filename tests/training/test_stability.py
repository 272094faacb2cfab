"""Stability: models of the same past agree, and the same seed gives the same digits."""

from __future__ import annotations

import numpy as np

from features.history import History
from features.policy import LabelPolicy
from models.global_view import agreement, strongest
from training.config import TrainingConfig
from training.folds import make_folds
from training.judging import Subject
from training.stability import stability

SMALL = TrainingConfig(estimator={"max_iter": 10})


def test_retrains_agree_more_than_chance(history: History, policy: LabelPolicy) -> None:
    subject = Subject.of(history, policy, SMALL)
    split = make_folds(subject.rows, subject.usable, policy, SMALL, folds=2)[-1]
    found = stability(subject.rows, split, SMALL, 2)
    assert found["retrains"] == 2
    assert 0.2 < found["top_overlap"] <= 1  # two lists of a tenth share a tenth by chance
    assert 0.2 < found["factor_jaccard"] <= 1
    assert stability(subject.rows, split, SMALL, 2) == found


def test_agreement_by_hand() -> None:
    assert agreement([frozenset("abc")], [frozenset("abd")]) == 0.5
    assert agreement([frozenset("abc")], [frozenset("cab")]) == 1.0


def test_the_strongest_are_those_furthest_from_nothing() -> None:
    parts = np.array([[0.1, -3.0, 2.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    assert strongest("abcd", parts) == [frozenset("abc"), frozenset("abc")]
