"""A rule matrix as risk questionnaires of ITSM products have it: points for answers, added up.

The points are set by hand from common questionnaires (impact, complexity, preparation, experience)
and never fitted: this is what a model has to beat to be worth its keep.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Points for a change whose column lies in ``[least, most)``.

    Parameters
    ----------
    missing : bool
        Whether a change of which the column is not known gets the points too.
    """

    column: str
    points: float
    least: float = -np.inf
    most: float = np.inf
    missing: bool = False

    def given(self, values: Floats) -> Floats:
        """Points of each value."""
        unknown = np.isnan(values)
        inside = np.where(unknown, self.missing, (values >= self.least) & (values < self.most))
        return np.asarray(self.points * inside, np.float64)


RULES: tuple[Rule, ...] = (
    Rule(column="is_emergency", least=1, points=3),
    Rule(column="is_standard", least=1, points=-2),
    Rule(column="declared_risk_level", least=2, points=1),
    Rule(column="declared_risk_level", least=3, points=2),
    Rule(column="planned_downtime_hours", least=0.01, points=1),
    Rule(column="affected_ci_count", least=5, points=1),
    Rule(column="affected_ci_count", least=20, points=1),
    Rule(column="impacted_service_count", least=2, points=1),
    Rule(column="components_changed", least=2, points=1),
    Rule(column="files_changed", least=10, points=1),
    Rule(column="lines_added", least=100, points=1),
    Rule(column="depends_on", least=1, points=1),
    Rule(column="backout_plan_words", most=3, points=1, missing=True),
    Rule(column="test_plan_words", most=3, points=1, missing=True),
    Rule(column="lead_time_hours", most=24, points=1),
    Rule(column="team_ci_changes_365d", most=1, points=1),
    Rule(column="ci_days_since_failure", most=30, points=1),
)
"""The matrix."""

COLUMNS = tuple(dict.fromkeys(rule.column for rule in RULES))
"""Columns the matrix reads, in the order :func:`points` expects them."""


def points(values: Floats) -> Floats:
    """Points of changes, shape (n, 1).

    Parameters
    ----------
    values : ndarray, shape (n, len(COLUMNS))
    """
    total = sum(rule.given(values[:, COLUMNS.index(rule.column)]) for rule in RULES)
    return np.asarray(total, np.float64)[:, None]
