"""`make bench`: how long the parts take on the synthetic organisation, and against what.

Absolute times are of this machine and this moment; quote the ratios.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import orjson

from features.history import History
from features.policy import POLICIES
from features.records import Change
from features.state import FeatureState
from features.store import Store
from features.synthetic import organisation
from features.table import build
from models.registry import Registered
from serving.contract import ChangeIn, neutral
from serving.scorer import Scorer
from tests.benchmarks import engine, explanations, featuretools_peer, over_http
from training.fit import train

UNTIL = datetime(2026, 11, 22, tzinfo=UTC)
ROWS = 200


def clocked(work: Callable[[], object]) -> float:
    """CPU seconds of one call."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def each(work: Callable[[int], object], times: int = ROWS) -> list[float]:
    """Wall milliseconds of repeated calls, sorted."""
    found = []
    for number in range(times):
        begun = time.perf_counter()
        work(number)
        found.append(1000 * (time.perf_counter() - begun))
    return sorted(found)


def say(name: str, **figures: float) -> None:
    """One line of the report."""
    shown = "  ".join(f"{key} {value:,.3f}" for key, value in figures.items())
    sys.stdout.write(f"{name:44}{shown}\n")


def main() -> None:
    """Run every measurement."""
    made = organisation(seed=7, until=UNTIL)
    engine.compare(engine.sizes())
    try:
        featuretools_peer.main()
    except (OSError, subprocess.CalledProcessError) as error:
        sys.stdout.write(f"featuretools could not be asked: {error}\n")
    history = History.from_records(made.records)
    policy = POLICIES["incident"]
    states: list[FeatureState] = []
    seconds = clocked(lambda: states.append(FeatureState(history, policy)))
    state, changes = states[0], history[Change]
    say("index 20,000 changes and their incidents", cpu_s=seconds)
    times = changes.times("known_at")
    seconds = clocked(lambda: build(changes, times, state))
    say("training table", cpu_s=seconds, rows_per_s=len(changes) / seconds)
    rows = np.arange(len(changes))[-ROWS:]
    alone = each(lambda n: build(changes.take(rows[n : n + 1]), times[rows[n : n + 1]], state))
    say("one online row", p50_ms=statistics.median(alone), p99_ms=alone[int(0.99 * ROWS)])

    trained = train(history, policy, now=UNTIL)
    model = trained.model
    selected = model.select(build(changes.take(rows), times[rows], state).values)
    ours = each(lambda n: model.margin(selected[n : n + 1]))
    theirs = each(lambda n: model.estimator.decision_function(selected[n : n + 1]))
    say(
        "score of one row against scikit-learn's",
        p50_ms=statistics.median(ours),
        sklearn_ms=statistics.median(theirs),
        times_faster=statistics.median(theirs) / statistics.median(ours),
    )
    explanations.measure(model, build(changes, times, state).values)
    _answers(made.records, made.upcoming, Registered(model=model, name="bench", version="1"))
    over_http.compare()


def _answers(records: object, upcoming: object, registered: Registered) -> None:
    """The whole answer: features, score, factors, evidence, levers, journal on disk."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(f"sqlite:///{Path(folder) / 'history.db'}")
        with store.write("bench", now=UNTIL) as writer:
            writer.add(records)  # type: ignore[arg-type]
        scorer = Scorer(store, registered)
        bodies = [ChangeIn.model_validate(orjson.loads(neutral(c))) for c in upcoming]  # type: ignore[attr-defined]
        taken = each(lambda n: scorer.answer(bodies[n % len(bodies)], now=UNTIL), times=ROWS)
        say("whole answer", p50_ms=statistics.median(taken), p99_ms=taken[int(0.99 * ROWS)])
        fresh = [
            body.model_copy(update={"change_id": f"NEW{number}"})
            for number, body in enumerate(bodies * 4)
        ][:ROWS]
        taken = each(lambda n: scorer.answer(fresh[n], now=UNTIL), times=len(fresh))
        say(
            "whole answer, change never seen before",
            p50_ms=statistics.median(taken),
            p99_ms=taken[int(0.99 * len(taken))],
        )
        store.close()


if __name__ == "__main__":
    main()
