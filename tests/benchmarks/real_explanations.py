"""Explanations of real histories: ``python -m tests.benchmarks.real_explanations LABEL=STORE …``.

Trains on every store, then reports the largest gap between factors and score over all changes, how
many high answers among the newest changes name something to change and three precedents or say that
there are none, and how alike the reasons of eight retrains on resampled changes are.
"""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from features import instants
from features.policy import POLICIES
from features.records import Change
from features.store import Store
from models.bundle import RiskModel
from models.estimator import make_estimator
from models.explanation import Explainer
from models.global_view import importance, stability
from models.registry import Registered
from serving.answers import Asked, with_score
from serving.contract import Answer
from serving.scorer import score_one
from training.fit import train
from training.rows import TrainingRows, training_rows

NOW = datetime(2026, 11, 22, tzinfo=UTC)
RETRAINS, HIGH = 8, 200


def tell(text: str) -> None:
    """One line of the report."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def retrained(
    model: RiskModel, rows: TrainingRows, usable: NDArray[np.int64], seed: int
) -> RiskModel:
    """The same configuration on changes drawn with replacement."""
    drawn = np.random.default_rng(seed).choice(usable, len(usable))
    selected = model.select(rows.table.values[drawn])
    failed = rows.failed(instants.to_micros(model.history_until))[drawn]
    estimator = make_estimator(rows=len(drawn), seed=seed).fit(selected, failed)
    return replace(model, estimator=estimator, tables=None)


def answered(registered: Registered, rows: TrainingRows, row: int) -> Answer:
    """The answer to a past change, as it would have been given at its moment."""
    record, moment = rows.changes.record(row), instants.from_micros(int(rows.table.as_of[row]))
    assert isinstance(record, Change)
    assert moment is not None
    explainer = Explainer(registered.model)
    scored = score_one(record, moment, registered, rows.state, explainer)
    asked = Asked(record=record, as_of=moment, now=moment, warnings=())
    return with_score(asked, scored, registered, rows.state)


def highs(registered: Registered, rows: TrainingRows) -> str:
    """What the newest high answers carry."""
    probability = registered.model.probability(rows.table.values)
    found = np.flatnonzero(probability >= registered.model.bands.high)
    found = found[np.argsort(rows.table.as_of[found], kind="stable")][-HIGH:]
    seen: Counter[str] = Counter()
    for row in found.tolist():
        answer = answered(registered, rows, row)
        codes = {warning.code for warning in answer.warnings}
        changeable = any(factor.changeable for factor in answer.factors)
        precedents = len(answer.similar_changes) >= 3
        seen["something to change"] += changeable
        seen["says nothing can be changed"] += not changeable and "nothing_changeable" in codes
        seen["three precedents"] += precedents
        seen["says precedents are few"] += not precedents and "few_precedents" in codes
        seen["silent"] += (not changeable and "nothing_changeable" not in codes) or (
            not precedents and "few_precedents" not in codes
        )
    return f"{len(found)} newest high answers: " + ", ".join(f"{k} {v}" for k, v in seen.items())


def main(arguments: list[str]) -> None:
    """Report on every store."""
    for argument in arguments:
        label, _, path = argument.partition("=")
        policy = POLICIES[label]
        history = Store(f"sqlite:///{path}").load()
        model = train(history, policy, now=NOW).model
        rows = training_rows(history, policy, as_of=model.history_until)
        values = rows.table.values
        selected = model.select(values)
        gap = np.abs(
            model.tables.base + model.tables.by_group(selected).sum(axis=1) - model.margin(selected)
        ).max()
        tell(f"{path} ({label}): {len(values)} changes, largest gap {gap:.1e} log-odds")
        tell(highs(Registered(model=model, name="bench", version="1"), rows))
        usable = np.flatnonzero(rows.taught & rows.decided(instants.to_micros(model.history_until)))
        models = [retrained(model, rows, usable, seed) for seed in range(RETRAINS)]
        riskiest = values[model.probability(values) >= model.bands.high][-2000:]
        alike = stability(models, riskiest).mean
        tell(f"top-3 groups in common over {RETRAINS} retrains: {alike:.2f}")
        tell(importance(model, values).frame.round(3).head(8).to_string(index=False))


if __name__ == "__main__":
    main(sys.argv[1:])
