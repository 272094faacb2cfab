"""Explanations of real histories: ``python -m tests.benchmarks.real_explanations HOME …``.

For every home, filled by ``changerisk import``: trains, and tells the largest gap between factors
and score over all changes, what every high answer of the newest fifth carries, which sentences are
not as a person would write them, and how alike the reasons of eight retrains are. Nothing of the
records is printed or kept.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from features import instants
from features.policy import policy_from
from features.records import Change
from features.store import Store
from models.bundle import RiskModel
from models.estimator import make_estimator
from models.explanation import SHOWN, Explainer
from models.global_view import importance, stability
from models.registry import Registered
from serving.answers import FEWEST_PRECEDENTS, Asked, with_score
from serving.contract import Answer
from serving.scoring import score_one
from training.fit import train
from training.rows import TrainingRows, training_rows

NOW = datetime(2026, 11, 22, tzinfo=UTC)
RETRAINS = 8
NEWEST = 0.2
"""Share of the changes whose high answers are looked at."""

WRONG = re.compile(r"\bnan\b|None|\binf\b|[{}]|(?<![\d,.])1 \w+s\b(?<!ss)(?<!is)|usual: *$|  ")
"""What no sentence may say, once the names of the change are taken out."""


@dataclass(frozen=True)
class Trained:
    """A model, every change of its history, and those that may be learnt from."""

    registered: Registered
    rows: TrainingRows

    @property
    def model(self) -> RiskModel:
        return self.registered.model

    @property
    def usable(self) -> NDArray[np.int64]:
        until = instants.to_micros(self.model.history_until)
        return np.flatnonzero(self.rows.taught & self.rows.decided(until))


def trained(store: Store) -> Trained:
    """As `changerisk train` does it."""
    moments = {
        name: None if (value := store.setting(key)) is None else datetime.fromisoformat(value)
        for name, key in (("as_of", "observed_until"), ("history_from", "history_from"))
    }
    history, policy = store.load(), policy_from(**store.setting("label"))
    model = train(history, policy, now=NOW, **moments).model
    rows = training_rows(history, policy, as_of=model.history_until)
    return Trained(Registered(model=model, name="bench", version="1"), rows)


def largest_gap(made: Trained) -> float:
    """Between base plus factors and the calibrated log-odds, over all changes."""
    explainer = Explainer(made.model)
    parts = explainer.parts(made.model.select(made.rows.table.values))
    total = explainer.base_log_odds + parts.groups.sum(axis=1)
    return float(np.abs(total - parts.log_odds).max())


def high_answers(made: Trained) -> Iterator[tuple[Change, Answer]]:
    """The answer to every high change of the newest part, as it would have been given then."""
    rows, model = made.rows, made.model
    newest = np.argsort(rows.table.as_of, kind="stable")[-int(NEWEST * len(rows.start)) :]
    probability = model.probability(rows.table.values[newest])
    explainer = Explainer(model)
    for row in newest[probability >= model.bands.high].tolist():
        record, moment = rows.changes.record(row), instants.from_micros(int(rows.table.as_of[row]))
        assert isinstance(record, Change)
        assert moment is not None
        scored = score_one(record, moment, made.registered, rows.state, explainer)
        asked = Asked(record=record, as_of=moment, now=moment, warnings=())
        yield record, with_score(asked, scored, made.registered, rows.state)


def carried(answer: Answer) -> Iterator[str]:
    """What a high answer has to act upon, or says that it lacks."""
    codes = {warning.code for warning in answer.warnings}
    changeable = any(factor.changeable for factor in answer.factors)
    precedents = len(answer.similar_changes) >= FEWEST_PRECEDENTS
    yield "something to change" if changeable else "nothing to change"
    yield "three precedents" if precedents else "fewer precedents"
    if answer.levers:
        yield "a lever"
    if changeable == ("nothing_changeable" in codes) or precedents == ("few_precedents" in codes):
        yield "silent or wrong about it"
    if len(answer.factors) > SHOWN + 1:
        yield "too many factors"
    parts = answer.base_log_odds, *(factor.log_odds for factor in answer.factors)
    odds = np.log(answer.incident_probability / (1 - answer.incident_probability))  # type: ignore[operator]
    if abs(sum(map(float, parts)) - odds) > 1e-9:  # type: ignore[arg-type]
        yield "factors that do not add up"


def wrong_words(record: Change, answer: Answer) -> int:
    """Sentences that are not as a person would write them."""
    names = [str(v) for v in vars(record).values() if isinstance(v, str) and v]
    texts = [answer.summary, *(f.text for f in answer.factors), *(w.text for w in answer.warnings)]
    texts += [lever.text for lever in answer.levers]
    found = 0
    for text in texts:
        plain = " ".join(text.split()) if "\n" in text else text
        for name in sorted(names, key=len, reverse=True):
            plain = plain.replace(" ".join(name.split())[:59], "·")
        found += bool(WRONG.search(re.sub("“[^”]*”", "“·”", plain)) or not plain.strip())
    return found


def retrains(made: Trained) -> list[RiskModel]:
    """The same configuration on changes drawn with replacement."""
    model, rows = made.model, made.rows
    failed = rows.failed(instants.to_micros(model.history_until))
    found = []
    for seed in range(RETRAINS):
        drawn = np.random.default_rng(seed).choice(made.usable, len(made.usable))
        estimator = make_estimator(rows=len(drawn), seed=seed)
        estimator.fit(model.select(rows.table.values[drawn]), failed[drawn])
        found.append(replace(model, fitted=estimator, trees=None, tables=None))  # type: ignore[arg-type]
    return found


def tell(text: str) -> None:
    """One line of the report."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main(homes: list[str]) -> None:
    """Report on every home."""
    for home in homes:
        made = trained(Store(f"sqlite:///{home}/history.db"))
        model, values = made.model, made.rows.table.values
        tell(f"{home} ({model.policy.name}): {len(values)} changes")
        tell(f"  largest gap between factors and score: {largest_gap(made):.1e} log-odds")
        seen: Counter[str] = Counter()
        for record, answer in high_answers(made):
            seen.update({"high answers": 1, "wrong sentences": wrong_words(record, answer)})
            seen.update(carried(answer))
        tell(f"  newest fifth: {', '.join(f'{name} {count}' for name, count in seen.items())}")
        riskiest = values[model.probability(values) >= model.bands.high][-2000:]
        alike = stability(retrains(made), riskiest).mean
        tell(f"  strongest three in common over {RETRAINS} retrains (Jaccard): {alike:.2f}")
        tell(importance(model, values).frame.round(3).head(8).to_string(index=False))


if __name__ == "__main__":
    main(sys.argv[1:])
