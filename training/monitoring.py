"""Monitoring: whether the model still sees the world it was trained on, and says what happens.

Outcomes are judged on mature weeks only: a change whose label window is open is neither clean nor
failed, and counting it as clean would make every recent week look safe.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from features import instants
from features.catalogue import BY_NAME, NAMES
from features.history import History
from features.progress import Progress, silent
from features.store.chain import JournalEntry
from models.registry import Registered
from training.audits import EXPECTED_RANGE
from training.distributions import CHANGED, stability_index
from training.rows import TrainingRows, training_rows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

LEAST_SCORED = 200
"""Scores on record that must be mature before they are judged instead of the history."""

SHOWN = 10
"""Features named in the report."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Scored changes: moment, probability and feature row of each."""

    change_ids: list[str]
    as_of: Ints
    probability: Floats
    values: Floats


@dataclass(frozen=True, kw_only=True)
class Monitored:
    """What a look at the model in service found.

    Parameters
    ----------
    version : str
        The model's.
    judged_on : str
        ``journal`` (answers given) or ``history`` (scores the model would have given since its
        training), where too few answers are mature.
    changes : int
        Number of changes judged.
    undecided : int
        Number of changes whose outcome cannot be known yet.
    observed_expected : mapping
        ``value`` (failures seen for each one expected), ``low`` and ``high`` (95 % interval).
    months : list of mapping
        ``month``, ``changes``, ``expected``, ``observed``, ``low`` and ``high`` (95 % interval of
        observed per expected), ``alarm``.
    score_psi : float or None
        Stability index of the probabilities against the training's newest window.
    features : list of mapping
        ``feature``, ``group``, ``psi``, worst first.
    alarms : list of str
        What somebody should look at, in sentences.
    """

    version: str
    judged_on: str
    changes: int
    undecided: int
    observed_expected: Mapping[str, float | None]
    months: list[dict[str, Any]]
    score_psi: float | None
    features: list[dict[str, Any]]
    alarms: list[str] = field(default_factory=list)

    def facts(self) -> dict[str, Any]:
        """The finding as plain data."""
        return asdict(self)


def journaled(entries: Iterable[JournalEntry], version: str) -> Scores:
    """The last answer a version gave for each change, from the journal.

    Parameters
    ----------
    entries : iterable of JournalEntry
        The journal, oldest first.
    version : str
        Whose answers are wanted.
    """
    latest: dict[str, tuple[int, float, list[float]]] = {}
    for entry in entries:
        answer = entry.body.get("answer") if entry.kind == "score" else None
        if not answer or answer["incident_probability"] is None:
            continue
        if answer["model"]["version"] != version or entry.change_id is None:
            continue
        row = (entry.body["as_of"], answer["incident_probability"], entry.body["features"])
        latest[entry.change_id] = row
    rows = list(latest.values())
    values = np.array([row[2] for row in rows], np.float64).reshape(len(rows), len(NAMES))
    return Scores(
        change_ids=list(latest),
        as_of=np.array([row[0] for row in rows], np.int64),
        probability=np.array([row[1] for row in rows], np.float64),
        values=values,
    )


def monitor(
    history: History,
    registered: Registered,
    scores: Scores,
    *,
    as_of: datetime,
    progress: Progress = silent,
) -> Monitored:
    """Compare what the model was trained on, and what it says, with what came since.

    Parameters
    ----------
    registered : Registered
        The model.
    scores : Scores
        Its answers on record, from :func:`journaled`.
    as_of : datetime
        Use only what was known then.
    """
    model = registered.model
    progress("build the table", 0, 2)
    since = model.training.get("history_from")
    rows = training_rows(
        history,
        model.policy,
        as_of=as_of,
        history_from=None if since is None else datetime.fromisoformat(since),
    )
    limit, seen = instants.to_micros(as_of), instants.to_micros(model.history_until)
    times = rows.table.as_of
    learnt = rows.taught & (times <= seen)
    progress("judge", 1, 2)
    failed_at, decided = rows.failed(limit), rows.decided(limit)
    place = {name: at for at, name in enumerate(rows.changes["change_id"])}
    known = np.array([place.get(name, -1) for name in scores.change_ids], np.int64)
    mature = known >= 0
    mature[mature] = decided[known[mature]]
    if int(mature.sum()) >= LEAST_SCORED:
        judged_on, at = "journal", scores.as_of[mature]
        probability, failed = scores.probability[mature], failed_at[known[mature]]
        recent, undecided = scores.values, int((~mature).sum())
        said = scores.probability
    else:
        later = rows.taught & (times > seen)
        judged_on, chosen = "history", later & decided
        at, failed = times[chosen], failed_at[chosen]
        probability = model.probability(rows.table.values[chosen])
        recent, undecided = rows.table.values[later], int((later & ~decided).sum())
        said = model.probability(recent)
    features = _features(rows, learnt, recent, model.columns)
    found = Monitored(
        version=registered.version,
        judged_on=judged_on,
        changes=len(at),
        undecided=undecided,
        observed_expected=_interval(int(failed.sum()), float(probability.sum())),
        months=_months(at, probability, failed),
        score_psi=_score_psi(np.array(model.score_quantiles), said),
        features=features[:SHOWN],
    )
    found.alarms.extend(_alarms(found))
    progress("done", 2, 2)
    return found


def _features(
    rows: TrainingRows, learnt: Mask, recent: Floats, columns: tuple[str, ...]
) -> list[dict[str, Any]]:
    if len(recent) < LEAST_SCORED or not learnt.any():
        return []
    reference = rows.table.values[learnt]
    found = []
    for name in columns:
        at = NAMES.index(name)
        psi = stability_index(reference[:, at], recent[:, at])
        found.append({"feature": name, "group": BY_NAME[name].group, "psi": psi})
    return sorted(found, key=lambda one: (-one["psi"], one["feature"]))


def _score_psi(quantiles: Floats, said: Floats) -> float | None:
    """Against the probabilities of the calibration window, of which the quantiles are kept."""
    return stability_index(quantiles, said) if len(said) >= LEAST_SCORED else None


def _months(at: Ints, probability: Floats, failed: Mask) -> list[dict[str, Any]]:
    """Expected against observed, by calendar month of the score (UTC)."""
    if len(at) == 0:
        return []
    months = at.astype("datetime64[us]").astype("datetime64[M]")
    found = []
    for month in np.unique(months):
        inside = months == month
        observed, expected = int(failed[inside].sum()), float(probability[inside].sum())
        ratio = _interval(observed, expected)
        low, high = ratio["low"], ratio["high"]
        alarm = low is not None and high is not None and not low <= 1 <= high
        found.append(
            {
                "month": str(month),
                "changes": int(inside.sum()),
                "expected": expected,
                "observed": observed,
                **ratio,
                "alarm": bool(alarm),
            }
        )
    return found


def _interval(observed: int, expected: float) -> dict[str, float | None]:
    """Observed per expected with the exact 95 % interval of a Poisson count (Garwood, 1936)."""
    if expected <= 0:
        return {"value": None, "low": None, "high": None}
    low = chi2.ppf(0.025, 2 * observed) / 2 if observed else 0.0
    high = chi2.ppf(0.975, 2 * (observed + 1)) / 2
    return {
        "value": observed / expected,
        "low": float(low / expected),
        "high": float(high / expected),
    }


def _alarms(found: Monitored) -> list[str]:
    alarms = []
    ratio = found.observed_expected
    value, low, high = ratio["value"], ratio["low"], ratio["high"]
    if value is not None and low is not None and high is not None:
        least, most = EXPECTED_RANGE
        if not least <= value <= most and not low <= 1 <= high:
            alarms.append(
                f"{value:.2f} failures came for each one expected (95 % {low:.2f} to {high:.2f}): "
                "train again, or look for what changed"
            )
    bad = [one["month"] for one in found.months if one["alarm"]]
    if bad:
        alarms.append(f"the level was off in {', '.join(bad)}")
    if found.score_psi is not None and found.score_psi >= CHANGED:
        alarms.append(f"the probabilities have another distribution (index {found.score_psi:.2f})")
    moved = [one["feature"] for one in found.features if one["psi"] >= CHANGED]
    if moved:
        alarms.append(f"the changes are of another kind: {', '.join(moved[:5])}")
    return alarms


def lines(found: Monitored) -> list[str]:
    """The finding for people, a line each."""
    where = "answers on record" if found.judged_on == "journal" else "changes since its training"
    ratio = found.observed_expected
    said = [
        f"version {found.version}, judged on {found.changes:,} mature {where}; "
        f"{found.undecided:,} undecided"
    ]
    if ratio["value"] is None:
        said.append("no mature change yet: come back when the label window has closed")
    else:
        said.append(
            f"failures seen per failure expected: {ratio['value']:.2f} "
            f"(95 % {ratio['low']:.2f} to {ratio['high']:.2f})"
        )
        said.append("")
        said.append(f"{'month':10}{'changes':>9}{'expected':>10}{'observed':>10}   per expected")
        for one in found.months:
            mark = "  ALARM" if one["alarm"] else ""
            said.append(
                f"{one['month']:10}{one['changes']:>9,}{one['expected']:>10.1f}"
                f"{one['observed']:>10,}   {one['value']:.2f} ({one['low']:.2f} to "
                f"{one['high']:.2f}){mark}"
            )
    if found.score_psi is not None:
        said += ["", f"stability index of the probabilities: {found.score_psi:.3f}"]
    said += [f"  {one['psi']:.3f}  {one['feature']}" for one in found.features[:5]]
    said += ["", *(f"ALARM: {text}" for text in found.alarms)] if found.alarms else ["", "no alarm"]
    return said


__all__ = ["Monitored", "Scores", "journaled", "lines", "monitor"]
