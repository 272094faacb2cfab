"""STEP 4. Fit: history to a bundle and an honest account of what it is worth.

The configuration is judged on the newest mature window with everything (labels included) as it was
known before that window; then the same configuration is fitted again up to the end of the history,
and that is the model that scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from features import instants
from features.catalogue import NAMES
from features.history import History
from features.policy import LabelPolicy
from features.progress import Progress, silent
from models.additive import fit_additive
from models.bands import make_bands, rehearse
from models.bundle import PERCENTILES, RiskModel
from models.calibration import Platt, fit_platt, levelled
from models.estimator import make_estimator
from models.trees import Forest, blended
from models.usual import Usual, medians
from training.baselines import baselines
from training.config import TrainingConfig, TrainingError
from training.figures import Window, quarter_of
from training.folds import check_learnable, embargo, ripened
from training.metrics import metrics
from training.placebo import placebo
from training.related import Related, apart
from training.rows import TrainingRows, observed_until, training_rows
from training.splits import Split, TemporalSplit

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

STAGES = ("build the table", "fit for the test", "baselines", "placebo", "fit to the end")


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A bundle, the report of its training, and the test window behind the report.

    Parameters
    ----------
    model : RiskModel
        The bundle.
    report : dict
        Counts, metrics, bands and placebo.
    said : mapping of str to ndarray
        Probabilities of the test changes by ``champion`` and every baseline.
    window : Window
        The test changes and what followed.
    """

    model: RiskModel
    report: dict[str, Any]
    said: Mapping[str, Floats]
    window: Window


@dataclass(frozen=True)
class Fitted:
    """An estimator with its columns, its calibration, and the calibrated probabilities of the
    calibration window as an estimator gave them that had not seen it.
    """

    estimator: HistGradientBoostingClassifier
    additive: Forest
    columns: list[int]
    platt: Platt
    window: Floats
    usual: Usual

    @property
    def forest(self) -> Forest:
        """The trees whose margin is calibrated."""
        return blended(self.estimator, self.additive)

    def scored(self, rows: TrainingRows, chosen: Mask) -> Floats:
        """Probabilities of the chosen rows as the bundle made of it would give them."""
        selected = self.usual.filled(rows.table.values[chosen][:, self.columns])
        return self.platt.probability(self.forest.margin(selected))


def train(
    history: History,
    policy: LabelPolicy,
    *,
    now: datetime,
    config: TrainingConfig | None = None,
    as_of: datetime | None = None,
    history_from: datetime | None = None,
    progress: Progress = silent,
) -> Trained:
    """Fit, judge and fit again.

    Parameters
    ----------
    now : datetime
        Time of the training, for the record only.
    as_of : datetime, optional
        Use only what was known by then; by default the last moment at which failures were still
        being recorded.
    history_from : datetime, optional
        Learn only from changes submitted since.

    Raises
    ------
    TrainingError
        If the history holds too little to learn from.
    """
    config = config or TrainingConfig()
    end = as_of or observed_until(history, policy)
    if end is None:
        raise TrainingError(
            f"the history holds nothing that decides the label {policy.name!r} "
            f"(sources {', '.join(policy.sources)}); import incidents or back-outs, "
            "or choose another label"
        )
    progress(STAGES[0], 0, len(STAGES))
    rows = training_rows(history, policy, as_of=end, history_from=history_from)
    limit = instants.to_micros(end)
    usable = rows.taught & rows.decided(limit)
    split = _split(rows, usable, policy, config)
    progress(STAGES[1], 1, len(STAGES))
    judged = fit_split(rows, split, config)
    test = split.test
    probability = judged.scored(rows, test)
    failed = rows.failed(limit)
    report = _counts(rows, usable, split, limit)
    progress(STAGES[2], 2, len(STAGES))
    said = {"champion": probability, **baselines(rows, split, judged.columns)}
    models = {name: metrics(one, failed[test]) for name, one in said.items()}
    progress(STAGES[3], 3, len(STAGES))
    moved = [placebo(rows, test, probability, policy, shift) for shift in config.placebo_days]
    progress(STAGES[4], 4, len(STAGES))
    report.update({"models": models, "placebo": moved})
    model = _final(rows, usable, split, judged, policy, config, now, end, report)
    since = None if history_from is None else history_from.isoformat()
    made = {"config": config.facts(), "watermark": history.watermark, "history_from": since}
    model = replace(model, training={**made, "table": rows.digest()})
    progress("done", len(STAGES), len(STAGES))
    report["bands"] = model.facts()["bands"]
    window = Window(
        times=rows.table.as_of[test],
        failed=failed[test],
        base_rate=float(rows.failed(split.test_from)[split.learnt].mean()),
        seed=config.seed,
    )
    return Trained(model=model, report=report, said=said, window=window)


def _split(rows: TrainingRows, usable: Mask, policy: LabelPolicy, config: TrainingConfig) -> Split:
    """The split of the usable rows, each part with the labels known before the next one began and
    without what is related to a later part.
    """
    splitter = TemporalSplit(
        test_share=config.test_share,
        calibration_share=config.calibration_share,
        gap=embargo(policy),
    )
    related = Related.of(rows.changes, rows.table.as_of)
    split = apart(ripened(splitter.split(rows.table.as_of[usable]), rows, usable), related)
    check_learnable(split, rows, policy)
    return split


def fit_split(rows: TrainingRows, split: Split, config: TrainingConfig) -> Fitted:
    """Calibrate on changes an earlier fit has not seen, then fit again with them included.

    Recent changes are worth most to a model of a drifting organisation. The slope is kept; the
    level is set anew, for the second fit has learnt the window's level itself.
    """
    values = rows.table.values
    columns = _informative(values[split.train])
    before, after = split.calibrate_from, split.test_from
    target = rows.failed(before)[split.train]
    earlier = blended(*_halves(values[split.train][:, columns], target, config))
    margin = earlier.margin(values[split.calibrate][:, columns])
    platt = fit_platt(margin, rows.failed(after)[split.calibrate])
    window = platt.probability(margin)
    learnt = split.learnt
    halves = _halves(values[learnt][:, columns], rows.failed(after)[learnt], config)
    again = blended(*halves).margin(values[split.calibrate][:, columns])
    platt = levelled(platt, again, rows.failed(after)[split.calibrate])
    names = tuple(NAMES[column] for column in columns)
    usual = Usual(
        columns=names,
        reference=medians(values[learnt], names),
        coverage=_coverage(values[learnt], columns),
    )
    return Fitted(*halves, columns, platt, window, usual)


def _halves(
    values: Floats, failed: Mask, config: TrainingConfig
) -> tuple[HistGradientBoostingClassifier, Forest]:
    """The two halves of a score."""
    estimator = make_estimator(config.estimator, rows=len(values), seed=config.seed)
    with threadpool_limits(1):  # same digits; on a busy machine several threads wait for each other
        estimator.fit(values, failed)
    return estimator, fit_additive(values, failed)


def _informative(values: Floats) -> list[int]:
    """Columns that hold at least two different values (missing counts as one)."""
    found = []
    for column in range(values.shape[1]):
        known = values[~np.isnan(values[:, column]), column]
        missing = len(known) < len(values)
        if len(known) and (known.min() < known.max() or missing):
            found.append(column)
    return found


def _final(
    rows: TrainingRows,
    usable: Mask,
    split: Split,
    judged: Fitted,
    policy: LabelPolicy,
    config: TrainingConfig,
    now: datetime,
    end: datetime,
    report: Mapping[str, Any],
) -> RiskModel:
    """The same configuration on all mature changes, calibrated on the newest of them."""
    limit = instants.to_micros(end)
    times = rows.table.as_of
    newest = np.sort(times[usable])
    share = config.calibration_share
    cut = int(newest[min(int(len(newest) * (1 - share)), len(newest) - 1)])
    last = Split(
        train=usable & (times < cut - embargo(policy)) & rows.decided(cut),
        calibrate=usable & (times >= cut),
        learnt=usable,
        test=split.test,
        calibrate_from=cut,
        test_from=limit,
    )
    fitted = fit_split(rows, last, config)
    failed = rows.failed(limit)
    base_rate = float(failed[last.learnt].mean())
    bands = make_bands(fitted.window, base_rate, config.review_budget)
    test = split.test
    cuts = make_bands(
        judged.window,
        float(rows.failed(split.test_from)[split.learnt].mean()),
        config.review_budget,
    )
    said, seen = judged.scored(rows, test), failed[test]
    past = rehearse(cuts, quarter_of(times[test]), said, seen)
    bands = replace(bands, observed=cuts.measured(said, seen).observed, rehearsal=past)
    model = RiskModel(
        fitted=fitted.estimator,
        additive=fitted.additive,
        columns=fitted.usual.columns,
        platt=fitted.platt,
        bands=bands,
        base_rate=base_rate,
        reference=fitted.usual.reference,
        coverage=fitted.usual.coverage,
        score_quantiles=tuple(np.quantile(fitted.window, PERCENTILES).tolist()),
        policy=policy,
        trained_at=now,
        history_until=end,
        metrics={k: report[k] for k in ("models", "placebo", "test", "rows", "base_rate")},
        place=rows.state.place,
    )
    return model.against(rows.table.values[last.learnt])


def _coverage(values: Floats, columns: list[int]) -> dict[str, float]:
    return {NAMES[column]: float(1 - np.isnan(values[:, column]).mean()) for column in columns}


def _counts(rows: TrainingRows, usable: Mask, split: Split, limit: int) -> dict[str, Any]:
    """How many changes went where: each is usable, undecided or left out, whatever its outcome."""
    failed = rows.failed(limit)
    test_times = rows.table.as_of[split.test]

    def part(mask: Mask) -> dict[str, int]:
        return {"changes": int(mask.sum()), "failures": int(failed[mask].sum())}

    return {
        "rows": {
            "changes": len(rows.table.as_of),
            "usable": int(usable.sum()),
            "undecided": int((rows.taught & ~rows.decided(limit)).sum()),
            "left_out": int((~rows.taught).sum()),
        },
        "base_rate": float(failed[usable].mean()),
        "train": part(split.train),
        "calibrate": part(split.calibrate),
        "test": {
            **part(split.test),
            "base_rate": float(failed[split.test].mean()),
            "from": instants.to_iso(split.test_from),
            "to": instants.to_iso(int(test_times.max())),
        },
    }
