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


def say(name: str, **figures: float) -> None:
    """One line of the report."""
    shown = "  ".join(f"{key} {value:,.3f}" for key, value in figures.items())
    sys.stdout.write(f"{name:44}{shown}\n")


def compared(
    name: str, estimator: HistGradientBoostingClassifier, groups: list[str], values: Floats
) -> None:
    """Everything measured of one estimator over rows of its columns."""
    forest = Forest.of(estimator)
    made: list[Tables] = []
    built = cpu_ms(lambda: made.append(Tables.build(forest, groups, values)))
    tables = made[0]
    say(
        f"{name}: tables",
        build_cpu_s=built / 1000,
        background=len(values),
        kib=sum(t.values.nbytes for t in (tables.groups, tables.columns)) / 1024,
        file_kib=len(to_bytes(tables)) / 1024,
    )
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
    own = statistics.median(ours)
    say(
        f"{name}: one row, score and groups",
        cpu_ms=own,
        p99_ms=sorted(ours)[int(0.99 * ROWS)],
        shap_path_dependent_ms=statistics.median(theirs),
        shap_interventional_2000_ms=statistics.median(longer),
        times_path_dependent=statistics.median(theirs) / own,
        times_interventional=statistics.median(longer) / own,
    )
    batch = values[-20_000:]
    say(f"{name}: batch", rows_per_s=1000 * len(batch) / cpu_ms(lambda: tables.by_group(batch)))
    gap = np.abs(tables.base + tables.by_group(batch).sum(axis=1) - forest.margin(batch)).max()
    sys.stdout.write(f"{name}: largest gap to the score {gap:.1e} log-odds, {len(batch)} rows\n")


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
