"""Slices: how the figures hold for kinds of changes, and for those the model knows least about."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.catalogue import NAMES
from features.columns import Columns
from features.records import Incident, Link
from training.bootstrap import interval, ranking, ratio
from training.figures import DIRECTIONAL, Window
from training.rows import TrainingRows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

TEAMS = 10
"""Teams shown by themselves: those with most test changes."""

LEAST_ROWS = 50
"""A smaller slice is not shown."""

TEMPORARY = re.compile(
    r"\b(?:temporar\w*|depool\w*|repool\w*|maintenance|downtime|switch ?over|fail ?over|tests?|"
    r"testing|debug\w*|experiment\w*|canary|read-?only|throttl\w*|for now)\b",
    re.IGNORECASE,
)
"""Titles of changes that are meant to be taken back: their reversal is no failure, and a model that
reads titles may only have learnt the rule that says so."""


def masks(
    rows: TrainingRows, tested: Ints, coverage: Mapping[str, tuple[int, int]]
) -> dict[str, Mask]:
    """Which test changes belong to each slice.

    Parameters
    ----------
    tested : ndarray of int64
        Rows of the test changes.
    coverage : mapping of str to (incidents, linked incidents)
        By team, from :func:`link_coverage`.
    """
    changes = rows.changes.take(tested)
    found = _named(changes, "change_type", "type", None)
    found.update(_named(changes, "assignment_group", "team", TEAMS))
    earlier = rows.table.values[tested][:, NAMES.index("ci_changes_365d")]
    found["item new for a year"] = np.isnan(earlier) | (earlier == 0)
    found["item known"] = ~found["item new for a year"]
    titles = changes["short_description"]
    if any(titles):
        temporary = np.array([bool(title and TEMPORARY.search(title)) for title in titles])
        found["title not of a temporary change"] = ~temporary
    found.update(_terciles(changes, coverage))
    return {name: mask for name, mask in found.items() if mask.sum() >= LEAST_ROWS}


def _named(changes: Columns, field: str, word: str, most: int | None) -> dict[str, Mask]:
    values = changes[field]
    common = Counter(value for value in values if value).most_common(most)
    return {f"{word} {name}": np.asarray(values == name, bool) for name, _ in common}


def _terciles(changes: Columns, coverage: Mapping[str, tuple[int, int]]) -> dict[str, Mask]:
    """Changes by how much of their team's incidents are linked to a change."""
    shares = {team: linked / count for team, (count, linked) in coverage.items() if count}
    teams = changes["assignment_group"]
    of = np.array([shares.get(team, np.nan) if team else np.nan for team in teams], np.float64)
    known = ~np.isnan(of)
    if len(set(of[known].tolist())) < 3:
        return {}
    low, high = np.quantile(of[known], [1 / 3, 2 / 3])
    return {
        "link coverage of the team: lowest third": known & (of <= low),
        "link coverage of the team: middle third": known & (of > low) & (of <= high),
        "link coverage of the team: highest third": known & (of > high),
    }


def link_coverage(rows: TrainingRows, until: int) -> dict[str, tuple[int, int]]:
    """Incidents of each team known by a moment, and how many of them are linked to a cause."""
    history = rows.state.history
    incidents, links = history[Incident], history[Link]
    causes = (links["kind"] == "caused_by") & (links.times("known_at") <= until)
    linked = set(links["incident_id"][causes])
    found: dict[str, list[int]] = {}
    seen: set[str] = set()
    known = incidents.take(incidents.times("known_at") <= until)
    pairs = zip(known["incident_id"].tolist(), known["assignment_group"].tolist(), strict=True)
    for name, team in pairs:
        if team and name not in seen:
            seen.add(name)
            counts = found.setdefault(team, [0, 0])
            counts[0] += 1
            counts[1] += name in linked
    return {team: (counts[0], counts[1]) for team, counts in sorted(found.items())}


def slice_figures(said: Floats, window: Window, inside: Mask) -> dict[str, Any]:
    """The figures of one slice; its own weeks are drawn."""
    part = Window(
        times=window.times[inside],
        failed=window.failed[inside],
        base_rate=window.base_rate,
        seed=window.seed,
    )
    scores, positives = said[inside], int(part.failed.sum())
    ranked = ranking(scores, part.failed, part.unit, part.draws)
    return {
        "rows": len(scores),
        "positives": positives,
        "base_rate": float(part.failed.mean()),
        "directional": positives < DIRECTIONAL,
        "roc_auc": interval(ranked.roc_auc),
        "average_precision": interval(ranked.average_precision),
        "observed_expected": interval(ratio(part.failures, part.sums(scores))),
    }
