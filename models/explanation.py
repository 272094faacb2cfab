"""STEP 6. Explain: exact Shapley values of the model that scores, summed by factor group.

Values are log-odds of the calibrated probability: the Platt line is affine, so its slope scales
them and their sum with the base is the score itself [1]_. Only this module speaks to ``shap``.

.. [1] Lundberg et al. (2020), "From local explanations to global understanding with explainable AI
   for trees", Nature Machine Intelligence 2, 56-67.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from features.catalogue import BY_NAME, GROUPS, NAMES, Feature
from features.columns import Columns
from features.sentences import reference_words, sentence
from features.table import FeatureTable
from models.bundle import RiskModel

Floats = NDArray[np.float64]

TOLERANCE = 1e-6
"""Largest difference allowed between base plus factors and the score, log-odds."""

SHOWN = 8
"""Factors shown one by one; the others are summed."""

ALMOST_ALL_SAME = 1.5
"""A value within this ratio of the usual one is not worth a comparison."""


UNORDERED = ("yes/no", "hour", "weekday", "level")
"""Units whose usual value says nothing in a sentence."""


class ExplanationError(Exception):
    """The factors do not add up to the score: nothing may be shown."""


@dataclass(frozen=True, kw_only=True)
class Factor:
    """One group's part in a score.

    Parameters
    ----------
    group : str
        Key of the factor group; ``other`` for the rest summed.
    text : str
        The fact behind it, from its strongest feature.
    feature : str or None
        That feature.
    value, reference : float or None
        Its value and the usual one.
    log_odds : float
        The part in log-odds; all parts and the base make the score.
    points : float
        The part in probability; all parts and the base probability make the probability.
    changeable : bool
        Whether the requester can change that fact.
    """

    group: str
    text: str
    feature: str | None
    value: float | None
    reference: float | None
    log_odds: float
    points: float
    changeable: bool

    @property
    def direction(self) -> str:
        """``raises`` or ``lowers``."""
        return "raises" if self.log_odds > 0 else "lowers"


class Explainer:
    """Explanations of one bundle's scores.

    Parameters
    ----------
    model : RiskModel
    """

    def __init__(self, model: RiskModel) -> None:
        import shap  # seconds to import: only those who explain pay

        self._model = model
        self._trees = shap.TreeExplainer(
            model.estimator, feature_perturbation="tree_path_dependent"
        )
        base = float(np.ravel(self._trees.expected_value)[0])
        self.base_log_odds = model.platt.slope * base + model.platt.intercept

    def contributions(self, selected: Floats) -> Floats:
        """Log-odds of every column of rows of the model's columns, shape (n, columns).

        Raises
        ------
        ExplanationError
            If any row's values do not add up to its score.
        """
        values = np.asarray(self._trees.shap_values(selected, check_additivity=False), np.float64)
        parts = self._model.platt.slope * values
        score = self._model.platt.log_odds(self._model.margin(selected))
        gap = np.abs(self.base_log_odds + parts.sum(axis=1) - score)
        if not gap.max(initial=0.0) <= TOLERANCE:
            raise ExplanationError(
                f"factors and score differ by {gap.max():.2g} log-odds, allowed are {TOLERANCE}"
            )
        return parts

    def factors(self, table: FeatureTable, changes: Columns, row: int = 0) -> list[Factor]:
        """The factors of one row, strongest first, at most ``SHOWN`` and the others summed."""
        selected = self._model.select(table.values[row : row + 1])
        parts = self.contributions(selected)[0]
        score = float(self._model.platt.log_odds(self._model.margin(selected))[0])
        per_log_odds = _points_per_log_odds(self.base_log_odds, score)
        # What is said of a change is what is known of it, never the usual that stood in for it.
        told = table.values[row, [NAMES.index(name) for name in self._model.columns]]
        grouped: dict[str, list[int]] = {}
        for column, name in enumerate(self._model.columns):
            grouped.setdefault(BY_NAME[name].group, []).append(column)
        found = [
            self._factor(group, columns, parts, told, per_log_odds, table, changes, row)
            for group, columns in grouped.items()
        ]
        found.sort(key=lambda factor: (-abs(factor.log_odds), factor.group))
        return _with_others([factor for factor in found if factor.log_odds != 0])

    def _factor(
        self,
        group: str,
        columns: Sequence[int],
        parts: Floats,
        values: Floats,
        per_log_odds: float,
        table: FeatureTable,
        changes: Columns,
        row: int,
    ) -> Factor:
        log_odds = float(parts[list(columns)].sum())
        # The fact shown is the one that pushes hardest in the direction of the whole group.
        strongest = max(columns, key=lambda column: (parts[column] * np.sign(log_odds), -column))
        feature = BY_NAME[self._model.columns[strongest]]
        value = float(values[strongest])
        reference = self._model.reference.get(feature.name)
        support = table.support.get(feature.name)
        text = sentence(
            feature,
            value,
            change=changes,
            row=row,
            support=None if support is None else (float(support[0][row]), float(support[1][row])),
            means=self._model.policy.means,
        )
        return Factor(
            group=group,
            text=text + _comparison(feature, value, reference),
            feature=feature.name,
            value=None if np.isnan(value) else value,
            reference=reference,
            log_odds=log_odds,
            points=log_odds * per_log_odds,
            changeable=feature.changeable,
        )


def _points_per_log_odds(base: float, score: float) -> float:
    """Probability gained by each log-odd on the way from the base to the score, so that points are
    proportional to log-odds and add up to the probability.
    """
    if abs(score - base) < 1e-12:
        probability = float(expit(score))
        return probability * (1 - probability)
    return float((expit(score) - expit(base)) / (score - base))


def _comparison(feature: Feature, value: float, reference: float | None) -> str:
    """How the value compares with the usual one; empty where they are about the same."""
    if reference is None or np.isnan(value) or feature.unit in UNORDERED:
        return ""
    if value == reference:
        return ""
    ratio = value / reference if reference else np.inf
    if 1 / ALMOST_ALL_SAME <= ratio <= ALMOST_ALL_SAME:
        return ""
    return f"; usual: {reference_words(feature, reference)}"


def _with_others(factors: list[Factor]) -> list[Factor]:
    if len(factors) <= SHOWN:
        return factors
    rest = factors[SHOWN:]
    others = Factor(
        group="other",
        text=f"{len(rest)} other factors together",
        feature=None,
        value=None,
        reference=None,
        log_odds=sum(factor.log_odds for factor in rest),
        points=sum(factor.points for factor in rest),
        changeable=False,
    )
    return [*factors[:SHOWN], others]


def heading(group: str) -> str:
    """A factor group's heading for people."""
    return GROUPS.get(group, "Other factors")
