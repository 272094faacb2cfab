"""Audits: what would make an evaluation worthless, each looked for by itself.

An audit looks only at what an evaluation hands down (ids, times, columns, probabilities), never at
how it was made: the splitter's own masks are not trusted. Each gives an outcome, the figure it
rests on and a sentence; *not applicable* is an outcome of its own, not a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from features.records import FORBIDDEN_FIELDS, PERSON_FIELDS
from training.bootstrap import Interval
from training.distributions import CHANGED, stability_index
from training.figures import by_month, poisson_ratio
from training.findings import FAILED, NOT_APPLICABLE, PASSED, Evidence, Finding

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

GOLDEN = 0.85
"""A single column that ranks this well is more likely a leak than a finding."""

EXPECTED_RANGE = (0.85, 1.15)
"""Observed over expected failures outside it is drift."""

SURE = 0.99
"""Level of a month's interval: twelve months a year are looked at, and chance strikes some."""

LEAST_EXPECTED = 5.0
"""A month with fewer expected failures cannot be told from chance."""

LEAST_HALF_YEAR = 50
"""Failures a half-year must have for its ratio to count."""

LEAST_SCORES = 100
"""Scores a window must have for its distribution to be compared: ten a bin."""

GROUP_RANGE = (0.5, 2.0)
"""Observed over expected failures of a group outside it, interval and all, is a gap."""

LEAST_GROUP = 20
"""Failures, observed or expected, a group must have."""

LEAST_INCIDENTS = 50
"""Incidents a team must have for its link coverage to be told."""

COVERAGE_GAP = 0.5
"""A team with less than this share of the usual link coverage is one whose failures go unseen."""

STABLE_LIST = 0.70
"""Least overlap of the riskiest tenth between two retrains."""

STABLE_FACTORS = 0.75
"""Least Jaccard index of the three strongest factor groups between two retrains."""


def _outcome(good: bool) -> str:
    return PASSED if good else FAILED


def time_overlap(evidence: Evidence) -> Finding:
    """Whether anything learnt could tell of the test: same change, same ticket, open window."""
    if not evidence.tested:
        return _none("time_overlap", "there is no test window")
    same = late = shared = 0
    for learnt, tested in zip(evidence.learnt, evidence.tested, strict=True):
        first = int(tested.times.min())
        same += len(set(learnt.ids) & set(tested.ids))
        late += int(((learnt.times > first - evidence.gap) | (learnt.windows_end > first)).sum())
        named = {ticket for names in tested.tickets for ticket in names}
        shared += sum(not named.isdisjoint(names) for names in learnt.tickets)
    total = same + late + shared
    return Finding(
        code="time_overlap",
        outcome=_outcome(total == 0),
        figure=float(total),
        sentence=f"{same} changes are learnt from and tested, {late} were learnt from inside the "
        f"gap before a test, {shared} share a ticket with a tested change",
        details={"same": same, "inside_gap": late, "shared_ticket": shared},
    )


def golden_feature(evidence: Evidence) -> Finding:
    """Whether a single column ranks too well to be honest."""
    values, failed = evidence.values, evidence.failed
    if values is None or failed is None or failed.all() or not failed.any():
        return _none("golden_feature", "nothing was learnt, or only one outcome")
    areas = {name: _area(values[:, at], failed) for at, name in enumerate(evidence.columns)}
    name, best = max(areas.items(), key=lambda entry: entry[1])
    suspects = sorted(n for n, area in areas.items() if area > GOLDEN)
    return Finding(
        code="golden_feature",
        outcome=_outcome(not suspects),
        figure=best,
        sentence=f"the best single feature, {name}, has a ROC AUC of {best:.3f}; above {GOLDEN} a "
        "leak, or a label that restates the feature, is likelier than a finding",
        details={"suspects": suspects},
    )


def _area(column: Floats, failed: Mask) -> float:
    """ROC AUC of one column in its better direction, what is missing ranked lowest."""
    ranks = rankdata(np.where(np.isnan(column), -np.inf, column))
    positives = int(failed.sum())
    negatives = len(failed) - positives
    above = ranks[failed].sum() - positives * (positives + 1) / 2
    area = float(above / (positives * negatives))
    return max(area, 1 - area)


def worse_than_baseline(evidence: Evidence) -> Finding:
    """Whether the model ranks worse than the best of what it is compared with."""
    gain = evidence.gain
    if gain is None or gain[gain["decided_by"]]["value"] is None:
        return _none("worse_than_baseline", "there is no baseline to compare with")
    more: Interval = gain[gain["decided_by"]]
    value = float(more["value"] or 0.0)
    return Finding(
        code="worse_than_baseline",
        outcome=_outcome(value > 0),
        figure=value,
        sentence=f"gain in ROC AUC over the best baseline, {gain['over']}: {value:+.3f}"
        + ("" if more["low"] is None else f" (95 % {more['low']:+.3f} to {more['high']:+.3f})"),
    )


def drift(evidence: Evidence) -> Finding:
    """Whether what was said and what happened have parted, or the scores themselves moved."""
    said, window = evidence.said, evidence.window
    if said is None or window is None or len(said) == 0:
        return _none("drift", "there is no test window")
    months = [month for month in by_month(said, window) if _parted(month)]
    halves = _half_years(by_month(said, window))
    off = [half for half in halves if not _within(half["ratio"])]
    latest = said if evidence.latest is None else evidence.latest
    index = _moved(evidence.calibrated, latest)
    moved = index is not None and index > CHANGED
    names = [month["month"] for month in months] + [half["half_year"] for half in off]
    total = float(window.failed.sum()) / float(said.sum()) if said.sum() else None
    shown = f"apart in {', '.join(names)}" if names else "no month or half-year is apart"
    score = "" if index is None else f"; stability index of the scores {index:.2f}"
    return Finding(
        code="drift",
        outcome=_outcome(not names and not moved),
        figure=total,
        sentence=f"observed over expected failures {total:.2f}; {shown}{score}"
        if total is not None
        else f"{shown}{score}",
        details={"months": months, "half_years": halves, "stability_index": index},
    )


def _within(ratio: float | None) -> bool:
    return ratio is None or EXPECTED_RANGE[0] <= ratio <= EXPECTED_RANGE[1]


def _parted(month: Mapping[str, Any]) -> bool:
    if month["expected"] < LEAST_EXPECTED:
        return False
    found = poisson_ratio(month["observed"], month["expected"], SURE)
    low, high = found["low"] or 0.0, found["high"] or 0.0
    return not low <= 1 <= high and not _within(found["value"])


def _half_years(months: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Observed and expected failures of the half-years that have enough of them."""
    found: dict[str, list[float]] = {}
    for month in months:
        name = f"{month['month'][:4]}-H{1 if int(month['month'][5:]) <= 6 else 2}"
        sums = found.setdefault(name, [0.0, 0.0])
        sums[0] += month["observed"]
        sums[1] += month["expected"]
    return [
        {"half_year": name, "observed": int(o), "expected": e, "ratio": o / e if e else None}
        for name, (o, e) in found.items()
        if max(o, e) >= LEAST_HALF_YEAR
    ]


def _moved(before: Floats | None, after: Floats) -> float | None:
    """How far the scores have moved; None where a side has too few to say."""
    if before is None or min(len(before), len(after)) < LEAST_SCORES:
        return None
    return stability_index(before, after)


def coverage(evidence: Evidence) -> Finding:
    """Whether some teams record which change caused an incident much less than others."""
    known = {t: c for t, c in evidence.coverage.items() if c[0] >= LEAST_INCIDENTS}
    if len(known) < 2 or not sum(linked for _, linked in known.values()):
        return _none(
            "coverage", "no two teams have incidents enough, or none is linked to a change"
        )
    usual = sum(c[1] for c in known.values()) / sum(c[0] for c in known.values())
    shares = {team: linked / incidents for team, (incidents, linked) in known.items()}
    low = sorted(team for team, share in shares.items() if share < COVERAGE_GAP * usual)
    least = min(shares, key=lambda team: shares[team])
    return Finding(
        code="coverage",
        outcome=_outcome(not low),
        figure=shares[least],
        sentence=f"{usual:.1%} of the incidents are linked to a change; least by {least} with "
        f"{shares[least]:.1%}: failures that nobody links count as clean",
        details={"usual": usual, "teams_below": low, "by_team": shares},
    )


def group_gaps(evidence: Evidence) -> Finding:
    """Whether the probabilities are far off for some group of changes."""
    said, window = evidence.said, evidence.window
    if said is None or window is None or not evidence.groups:
        return _none("group_gaps", "no groups are on record")
    found, looked = [], 0
    for kind, names in evidence.groups.items():
        for name in sorted({str(n) for n in names if n is not None}):
            inside = names == name
            observed, expected = int(window.failed[inside].sum()), float(said[inside].sum())
            if max(observed, expected) < LEAST_GROUP:
                continue
            looked += 1
            ratio = poisson_ratio(observed, expected)
            low, high = ratio["low"] or 0.0, ratio["high"] or 0.0
            if high < GROUP_RANGE[0] or low > GROUP_RANGE[1]:
                found.append({"kind": kind, "group": name, "ratio": ratio["value"]})
    if not looked:
        return _none("group_gaps", f"no group has {LEAST_GROUP} failures")
    worst = max((abs(np.log(one["ratio"] or 1e-9)) for one in found), default=None)
    shown = ", ".join(f"{one['group']} ({one['ratio']:.2f})" for one in found)
    return Finding(
        code="group_gaps",
        outcome=_outcome(not found),
        figure=None if worst is None else float(worst),
        sentence=f"{looked} groups with enough failures; observed over expected far off for "
        + (shown or "none"),
        details={"groups": found, "looked_at": looked},
    )


def forbidden_fields(evidence: Evidence) -> Finding:
    """Whether the model sees what is known only afterwards, or a person."""
    if not evidence.columns:
        return _none("forbidden_fields", "the model sees no columns")
    banned = FORBIDDEN_FIELDS | set(PERSON_FIELDS)
    found = sorted(name for name in evidence.columns if banned & {name, *name.split("__")})
    shown = ", ".join(found) or "none"
    return Finding(
        code="forbidden_fields",
        outcome=_outcome(not found),
        figure=float(len(found)),
        sentence=f"of {len(evidence.columns)} features read after the fact or about a person: "
        f"{shown}",
        details={"found": found},
    )


def instability(evidence: Evidence) -> Finding:
    """Whether a retrain would call other changes risky, or for other reasons."""
    stability = evidence.stability
    if stability is None:
        return _none("instability", "no retrains were asked for (--retrains)")
    top, factors = stability["top_overlap"], stability.get("factor_jaccard")
    good = top >= STABLE_LIST and (factors is None or factors >= STABLE_FACTORS)
    reasons = (
        ""
        if factors is None
        else f"; Jaccard index of the three strongest factor groups {factors:.2f} (least "
        f"{STABLE_FACTORS})"
    )
    return Finding(
        code="instability",
        outcome=_outcome(good),
        figure=top,
        sentence=f"two retrains share {top:.0%} of the riskiest tenth (least {STABLE_LIST:.0%})"
        + reasons,
        details=dict(stability),
    )


def _none(code: str, why: str) -> Finding:
    return Finding(code=code, outcome=NOT_APPLICABLE, figure=None, sentence=why)


AUDITS: tuple[Callable[[Evidence], Finding], ...] = (
    time_overlap,
    golden_feature,
    worse_than_baseline,
    drift,
    coverage,
    group_gaps,
    forbidden_fields,
    instability,
)
"""Every audit, in the order they are told."""


def audit(evidence: Evidence) -> list[Finding]:
    """Run every audit."""
    return [one(evidence) for one in AUDITS]
