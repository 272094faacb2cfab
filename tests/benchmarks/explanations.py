"""Explanations by lookup against shap in one run: ``python -m tests.benchmarks.explanations``.

CPU times of one thread, medians over turns of three hundred rows each, so that a busy machine
slows both alike. Both give a score with its reasons; shap's are those of columns, not groups.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import shap
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

from models.bundle import RiskModel
from models.estimator import make_estimator
from models.shapley import Tables
from models.shapley_arrays import to_bytes
from models.trees import Forest

Floats = NDArray[np.float64]

ROWS, TURN, BACKGROUND = 900, 300, 2_000


def cpu_ms(work: Callable[[], object]) -> float:
    """CPU milliseconds of one call."""
    begun = time.thread_time()
    work()
    return 1000 * (time.thread_time() - begun)


def tell(what: str, told: str, goal: str = "", *, met: bool = True) -> None:
    """One line of the report, and whether its goal was met."""
    judged = f"goal {goal}: {'met' if met else 'MISSED'}" if goal else ""
    sys.stdout.write(f"  {what:34}{told:38}{judged}".rstrip() + "\n")


def compared(
    name: str, estimator: HistGradientBoostingClassifier, groups: list[str], values: Floats
) -> None:
    """Everything measured of one estimator over rows of its columns."""
    sys.stdout.write(f"explanations, {name}:\n")
    forest = Forest.of(estimator)
    made: list[Tables] = []
    built = cpu_ms(lambda: made.append(Tables.build(forest, groups, values)))
    tables = made[0]
    held = sum(t.values.nbytes for t in (tables.groups, tables.columns)) / 2**20
    kept = len(to_bytes(tables)) / 2**20
    tell(f"tables from {len(values):,} rows", f"made in {built / 1000:.1f} s of CPU")
    tell("their size", f"{held:.1f} MiB, in the bundle {kept:.1f} MiB")
    one_row(estimator, tables, values)
    batch = values[-20_000:]
    rate = 1000 * len(batch) / cpu_ms(lambda: tables.by_group(batch))
    tell("batch, one core", f"{rate:,.0f} rows a second", "at least 10,000", met=rate >= 10_000)
    gap = np.abs(tables.base + tables.by_group(batch).sum(axis=1) - forest.margin(batch)).max()
    tell("largest gap to the score", f"{gap:.1e} log-odds", "at most 1e-9", met=gap <= 1e-9)


def one_row(estimator: HistGradientBoostingClassifier, tables: Tables, values: Floats) -> None:
    """Score and reasons of one row, ours and shap's in turns."""
    dependent = shap.TreeExplainer(estimator, feature_perturbation="tree_path_dependent")
    chosen = values[np.linspace(0, len(values) - 1, BACKGROUND).astype(int)]
    against = shap.TreeExplainer(
        estimator,
        data=shap.maskers.Independent(chosen, max_samples=BACKGROUND),
        feature_perturbation="interventional",
    )
    ours: list[float] = []
    theirs: list[float] = []
    for start in range(0, ROWS, TURN):  # in turns, each with its own tables in the cache
        rows = [values[-1 - n : len(values) - n] for n in range(start, start + TURN)]
        ours += [cpu_ms(lambda row=row: _score(tables.base, tables.by_group(row))) for row in rows]
        theirs += [cpu_ms(lambda row=row: _asked(dependent, row)) for row in rows]
    longer = [cpu_ms(lambda row=row: _asked(against, row)) for row in rows[:5]]
    own, most = statistics.median(ours), sorted(ours)[int(0.99 * ROWS)]
    told = f"{own:.3f} ms of CPU, 99 % within {most:.3f}"
    tell("one row, score and group reasons", told, "at most 1 ms", met=own <= 1)
    for what, taken, goal in (
        ("shap path-dependent", statistics.median(theirs), 5),
        (f"shap interventional, {BACKGROUND:,} rows", statistics.median(longer), 300),
    ):
        told = f"{taken:.2f} ms, {taken / own:,.1f} times as long"
        tell(what, told, f"at least {goal} times", met=taken >= goal * own)


def _asked(explainer: shap.TreeExplainer, row: Floats) -> float:
    values = explainer.shap_values(row, check_additivity=False)
    return _score(float(np.ravel(explainer.expected_value)[0]), values)


def _score(base: float, values: Floats) -> float:
    return base + sum(values[0].tolist())


def measure(model: RiskModel, values: Floats) -> None:
    """The trained model, and deeper trees over as many columns."""
    selected = model.select(values)
    compared("trained model", model.estimator, model.groups, selected)
    drawn, failed = _drawn(len(values), len(model.columns))
    compared(DEEPER, _deeper().fit(drawn, failed), model.groups, drawn)


DEEPER = "300 trees of depth 4"


def _deeper() -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        max_iter=300, learning_rate=0.05, max_leaf_nodes=16, max_depth=4, early_stopping=False
    )


def _drawn(rows: int, columns: int) -> tuple[Floats, NDArray[np.bool_]]:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(rows, columns))
    values[rng.random(values.shape) < 0.1] = np.nan
    failed = np.nan_to_num(values)[:, :10].sum(axis=1) + 3 * rng.normal(size=rows) > 6
    return values, failed


if __name__ == "__main__":
    drawn, failed = _drawn(20_000, 60)
    thirteen = [f"group {column % 13}" for column in range(60)]
    default = make_estimator(rows=len(drawn))
    compared("300 trees of 4 leaves", default.fit(drawn, failed), thirteen, drawn)
    compared(DEEPER, _deeper().fit(drawn, failed), thirteen, drawn)
