"""STEP 5. Promote: whether a challenger may take the champion's place, by a written rule.

Both models are judged on the same changes, none of which either has seen. A model that was trained
on later facts is judged by its twin: the same configuration trained on what was known before those
changes. The rule is in docs/promotion.md; every condition is a :class:`Condition` with the figures
it rests on, so that a refusal says what is missing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features import instants
from features.history import History
from features.progress import Progress, silent
from models.registry import Registered
from training.audits import EXPECTED_RANGE
from training.bootstrap import Interval, draw, interval, ranking, ratio
from training.config import TrainingConfig, TrainingError
from training.evaluate import audited
from training.figures import DIRECTIONAL
from training.findings import FAILED, PASSED, Finding
from training.fit import train
from training.judging import Subject, judge
from training.metrics import metrics
from training.queues import captured, week_of
from training.rows import TrainingRows, training_rows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

LEAST_FAILURES = 50
"""Failures a window must hold before one model can be called no worse than another."""

NEWEST_SHARE = 0.2
"""Share of the mature changes that is judged on where no model is older than enough changes."""

ACCEPTABLE = ("worse_than_baseline", "drift", "coverage", "group_gaps", "instability")
"""Audits that tell of weakness; the others tell of a meaningless figure, and always refuse."""

SEED = 20_140_211
"""Seed of the resamples; the same for every comparison, so that two runs give the same digits."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Champion and challenger on the same unseen changes, and what the rule says.

    Parameters
    ----------
    champion, challenger : str
        Versions.
    window : mapping
        ``from``, ``to``, ``changes``, ``failures``.
    twins : tuple of str
        Versions that were judged by their twin.
    models : mapping of str to mapping
        Metrics of each.
    gain : mapping of str to Interval
        Challenger minus champion, with 95 % intervals by resampling weeks.
    conditions : tuple of Finding
        The conditions of the rule, and the audits of the way the challenger was trained.
    accepted : tuple of str
        Codes of audits whose failure somebody has accepted.
    """

    champion: str
    challenger: str
    window: Mapping[str, Any]
    twins: tuple[str, ...]
    models: Mapping[str, Mapping[str, Any]]
    gain: Mapping[str, Interval]
    conditions: tuple[Finding, ...]
    accepted: tuple[str, ...] = ()

    @property
    def promotes(self) -> bool:
        """Whether no condition failed that nobody has accepted."""
        return not any(
            found.outcome == FAILED and found.code not in self.accepted for found in self.conditions
        )

    def facts(self) -> dict[str, Any]:
        """The comparison as plain data."""
        return {**asdict(self), "promotes": self.promotes}


def compare(
    history: History,
    champion: Registered,
    challenger: Registered,
    *,
    as_of: datetime,
    now: datetime,
    accepted: Collection[str] = (),
    progress: Progress = silent,
) -> Comparison:
    """Judge two models on changes that neither has seen.

    Parameters
    ----------
    champion, challenger : Registered
        The two models.
    as_of : datetime
        Use only what was known then.
    now : datetime
        Time of the comparison, for the record of the twins.
    accepted : collection of str
        Codes of audits whose failure does not refuse; see ``ACCEPTABLE``.

    Raises
    ------
    TrainingError
        If they answer different questions, or the history holds no changes to judge on.
    """
    policy = champion.model.policy
    if challenger.model.policy != policy:
        raise TrainingError(
            f"version {champion.version} tells how likely changes {policy.means} "
            f"(label {policy.name!r}), version {challenger.version} the label "
            f"{challenger.model.policy.name!r}: they cannot be compared. Set the service to the "
            "new label with `changerisk train --alias champion` if that is what you want"
        )
    if foreign := sorted(set(accepted) - set(ACCEPTABLE)):
        raise TrainingError(
            f"{', '.join(foreign)} cannot be accepted; what can is {', '.join(ACCEPTABLE)}"
        )
    progress("build the table", 0, 4)
    since = challenger.model.training.get("history_from")
    rows = training_rows(
        history,
        policy,
        as_of=as_of,
        history_from=None if since is None else datetime.fromisoformat(since),
    )
    limit = instants.to_micros(as_of)
    opens, chosen = _window(rows, limit, [champion, challenger])
    failed, times = rows.failed(limit)[chosen], rows.table.as_of[chosen]
    scores, twins = [], []
    for step, one in enumerate((champion, challenger), start=1):
        progress(f"judge version {one.version}", step, 4)
        model = one.model
        if instants.to_micros(model.history_until) > opens:
            model = _twin(history, one, opens, now).model
            twins.append(one.version)
        scores.append(model.probability(rows.table.values[chosen]))
    progress("audit", 3, 4)
    found = _verdict(champion, challenger, scores, failed, times, tuple(twins))
    audits = _audits(rows, challenger, as_of)
    progress("done", 4, 4)
    conditions = (*found.conditions, *audits)
    return replace(found, conditions=conditions, accepted=tuple(sorted(accepted)))


def _audits(rows: TrainingRows, challenger: Registered, as_of: datetime) -> list[Finding]:
    """What the audits find in the way the challenger was trained, judged on one newest window."""
    limit = instants.to_micros(as_of)
    subject = Subject(
        rows=rows,
        policy=challenger.model.policy,
        config=TrainingConfig.from_facts(challenger.model.training.get("config", {})),
        limit=limit,
        end=as_of,
        usable=rows.taught & rows.decided(limit),
    )
    return audited(subject, judge(subject, folds=1))


def _window(rows: TrainingRows, limit: int, models: list[Registered]) -> tuple[int, Mask]:
    """Where the judging begins, and its rows: changes newer than both models if they hold enough
    failures, else the newest share of the mature ones.
    """
    usable = rows.taught & rows.decided(limit)
    if not usable.any():
        raise TrainingError("the history holds no mature change to judge on")
    failed, times = rows.failed(limit), rows.table.as_of
    opens = max(instants.to_micros(one.model.history_until) for one in models)
    chosen = usable & (times > opens)
    if (chosen & failed).sum() < LEAST_FAILURES:
        ordered = np.sort(times[usable])
        opens = int(ordered[min(int(len(ordered) * (1 - NEWEST_SHARE)), len(ordered) - 1)])
        chosen = usable & (times > opens)
    if not chosen.any():
        raise TrainingError("the history holds no mature change that is newer than the models")
    return opens, chosen


def _twin(history: History, registered: Registered, opens: int, now: datetime) -> Any:
    """The same configuration, trained on what was known when the window opened."""
    model = registered.model
    if "config" not in model.training:
        raise TrainingError(
            f"version {registered.version} has seen the changes it would be judged on and does not "
            "say how it was trained; train it again with `changerisk train`"
        )
    since = model.training.get("history_from")
    return train(
        history,
        model.policy,
        now=now,
        config=TrainingConfig.from_facts(model.training["config"]),
        as_of=instants.from_micros(opens),
        history_from=None if since is None else datetime.fromisoformat(since),
    )


def _verdict(
    champion: Registered,
    challenger: Registered,
    scores: list[Floats],
    failed: Mask,
    times: Ints,
    twins: tuple[str, ...],
) -> Comparison:
    weeks = week_of(times)
    draws = draw(int(weeks.max()) + 1, SEED)
    gain = _gain(scores, failed, weeks, draws)
    names = (champion.version, challenger.version)
    models = {name: metrics(score, failed) for name, score in zip(names, scores, strict=True)}
    failures = int(failed.sum())
    window = {
        "from": instants.to_iso(int(times.min())),
        "to": instants.to_iso(int(times.max())),
        "changes": len(failed),
        "failures": failures,
    }
    old, new = (models[name] for name in names)
    conditions = (
        _enough(failures),
        _not_worse("average_precision", "average precision", gain),
        _not_worse("recall_at_0.1", "failures among the riskiest 10 % of each week", gain),
        _better_somewhere(gain),
        _calibrated(old, new),
        _skilled(new),
    )
    return Comparison(
        champion=champion.version,
        challenger=challenger.version,
        window=window,
        twins=twins,
        models=models,
        gain=gain,
        conditions=conditions,
    )


def _gain(scores: list[Floats], failed: Mask, weeks: Ints, draws: Floats) -> dict[str, Interval]:
    """Challenger minus champion in every resample; the same weeks are drawn for both."""
    areas = [ranking(score, failed, weeks, draws) for score in scores]
    seen = np.bincount(weeks, weights=failed)
    shares = []
    for score in scores:
        caught = np.bincount(weeks, weights=captured(score, failed, weeks, 0.1).inside * failed)
        shares.append(ratio(draws @ caught, draws @ seen))
    errors = []
    counts = np.bincount(weeks).astype(np.float64)
    for score in scores:
        squared = np.bincount(weeks, weights=(score - failed) ** 2)
        errors.append(ratio(draws @ squared, draws @ counts))
    return {
        "roc_auc": interval(areas[1].roc_auc - areas[0].roc_auc),
        "average_precision": interval(areas[1].average_precision - areas[0].average_precision),
        "recall_at_0.1": interval(shares[1] - shares[0]),
        "brier": interval(errors[1] - errors[0]),
    }


def _enough(failures: int) -> Finding:
    text = f"{failures} failures among the changes judged on; at least {LEAST_FAILURES} are needed"
    if LEAST_FAILURES <= failures < DIRECTIONAL:
        text += f" (fewer than {DIRECTIONAL}: directional)"
    return _finding("enough_failures", failures >= LEAST_FAILURES, failures, text)


def _not_worse(name: str, words: str, gain: Mapping[str, Interval]) -> Finding:
    found = gain[name]
    value, low, high = found["value"], found["low"], found["high"]
    if value is None or low is None or high is None:
        return _finding(f"not_worse_{name}", False, None, f"{words}: not known")
    text = f"{words}: {value:+.3f} (95 % {low:+.3f} to {high:+.3f}) against the champion"
    return _finding(f"not_worse_{name}", high >= 0, value, text)


def _better_somewhere(gain: Mapping[str, Interval]) -> Finding:
    """A change of model is work for everybody: it must promise something, if only a little."""
    precision, brier = gain["average_precision"]["value"], gain["brier"]["value"]
    better = [
        word
        for word, gained in (
            ("ranking", precision is not None and precision > 0),
            ("probabilities", brier is not None and brier < 0),
        )
        if gained
    ]
    text = f"better in: {', '.join(better) or 'nothing'}; expected ranking or probabilities"
    return _finding("better_somewhere", bool(better), None, text)


def _calibrated(old: Mapping[str, Any], new: Mapping[str, Any]) -> Finding:
    """Failures as many as said, or at least no further off than the champion's."""
    ratios = [
        found["observed"] / found["expected"] if found["expected"] else 0.0 for found in (old, new)
    ]
    low, high = EXPECTED_RANGE
    fine = low <= ratios[1] <= high or abs(np.log(max(ratios[1], 1e-9))) <= abs(
        np.log(max(ratios[0], 1e-9))
    )
    text = (
        f"{ratios[1]:.2f} failures seen per failure expected (champion {ratios[0]:.2f}); "
        f"expected between {low} and {high}, or nearer to 1 than the champion"
    )
    return _finding("calibrated", bool(fine), ratios[1], text)


def _skilled(new: Mapping[str, Any]) -> Finding:
    skill = new["brier_skill"]
    if skill is None:
        return _finding("skilled", False, None, "Brier skill: not known")
    text = f"Brier skill {skill:+.4f} over always saying the usual rate; expected above 0"
    return _finding("skilled", skill > 0, skill, text)


def _finding(code: str, good: bool, figure: float | None, sentence: str) -> Finding:
    outcome = PASSED if good else FAILED
    return Finding(code=code, outcome=outcome, figure=figure, sentence=sentence)
