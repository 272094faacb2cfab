"""An answer for people at a terminal."""

from __future__ import annotations

import math

from features.language import say
from features.sentences import per_hundred
from models.explanation import alike
from serving.contract import Answer
from serving.levers import CAUTION


def lines(answer: Answer) -> list[str]:
    """The answer, a line each."""
    found = [f"{answer.change_id} (revision {answer.revision}): {answer.status}", answer.summary]
    if answer.incident_probability is not None:
        band = str(answer.risk_band).replace("_", " ")
        ratio = answer.times_base_rate or 1.0
        times = "" if alike(ratio) else f" {ratio:.1f} times the usual,"
        found.append(f"band {band},{times} riskier than {answer.percentile} in 100 changes")
    if answer.factors and answer.base_log_odds is not None:
        start = 100 / (1 + math.exp(-answer.base_log_odds))
        found.append(f"    {start:>5.1f}  Starting point, about the middle of all changes")
    for factor in answer.factors:
        sign = "▲" if factor.direction == "raises" else "▼"
        found.append(f"  {sign} {_points(factor.points):>5}  {factor.text}")
        if factor.evidence:
            found.append(f"           see {', '.join(factor.evidence)}")
    found += [
        f"  lower: {lever.text}: {per_hundred(lever.incident_probability)} in 100"
        for lever in answer.levers
    ]
    if answer.levers:
        found.append(f"         {say(CAUTION)}")
    for collision in answer.collisions[:5]:
        kind = collision.kind.replace("_", " ").replace("ci", "item")
        if (closed := collision.closed) is None:
            other = str(collision.change_id)
        else:
            scope = "everything" if closed.scope == "*" else closed.scope
            other = f"{closed.entry_id} of {scope}"
        found.append(f"  collides with {other} ({kind}, {collision.overlap_minutes:.0f} min)")
    if answer.recommendation is not None:
        route = answer.recommendation.route.replace("_", " ")
        found.append(f"suggested route: {route} ({'; '.join(answer.recommendation.reasons)})")
    found += [f"  note: {warning.text}" for warning in answer.warnings]
    found.append(f"score {answer.score_id}")
    return found


def _points(points: float) -> str:
    """Points of probability in 100, signed; "~0" for what would round to nothing."""
    return "~0" if abs(points) < 0.0005 else f"{100 * points:+.1f}"
