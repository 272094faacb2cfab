"""STEP 6. Explain: exact Shapley values of the model that scores, with factor groups as players.

Values are log-odds of the calibrated probability: the Platt line is affine, so its slope scales
them and their sum with the base is the score itself. A group's own Shapley value is not the sum of
its columns' values, for they share what they do together; see :mod:`models.shapley`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from features.catalogue import BY_NAME, GROUPS, NAMES, Feature
from features.columns import Columns
from features.language import say, say_count
from features.sentences import AT_ZERO, reference_words, sentence
from features.table import FeatureTable
from models.bundle import RiskModel
from models.usual import medians

Floats = NDArray[np.float64]

TOLERANCE = 1e-9
"""Largest difference allowed between base plus factors and the score, log-odds."""

SHOWN = 8
"""Factors shown one by one; the others are summed."""

ALMOST_ALL_SAME = 1.5
"""A value within this ratio of the usual one is not worth a comparison."""

PUSHING = 0.25
"""A fact that reads the other way round gives way to one that pushes at least so much as hard."""

UNORDERED = ("yes/no", "hour", "weekday", "level", "log ratio")
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
        The fact behind it, from its strongest feature, and how it compares with the usual.
    compared : str
        The end of the text that compares; empty where there is nothing to compare.
    feature : str or None
        That feature.
    value, reference : float or None
        Its value and the usual one, in the feature's unit.
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
    compared: str = ""

    @property
    def direction(self) -> str:
        """``raises`` or ``lowers``."""
        return "raises" if self.log_odds > 0 else "lowers"


@dataclass(frozen=True)
class Parts:
    """What every row's score is made of, log-odds.

    Parameters
    ----------
    log_odds : ndarray, shape (n,)
        The calibrated scores.
    groups : ndarray, shape (n, groups)
        Shapley values with the factor groups as players, log-odds; with the base they add up to
        the score.
    columns : ndarray, shape (n, columns)
        Shapley values with the columns as players, log-odds; they tell which fact of a group
        weighs most.
    """

    log_odds: Floats
    groups: Floats
    columns: Floats


class Explainer:
    """Explanations of one bundle's scores.

    Parameters
    ----------
    model : RiskModel
        Its tables say against which background.
    usual : mapping of str to float, optional
        What values are compared with, in the features' units; by default the medians of the
        training changes.
    """

    def __init__(self, model: RiskModel, usual: Mapping[str, float] | None = None) -> None:
        self._model = model
        self._usual = model.reference if usual is None else usual
        self.groups = model.tables.names
        self.base_log_odds = float(model.platt.slope * model.tables.base + model.platt.intercept)
        self._columns = [NAMES.index(name) for name in model.columns]
        self._members = {
            group: [n for n, of in enumerate(model.groups) if of == group] for group in self.groups
        }

    @classmethod
    def against(cls, model: RiskModel, values: Floats) -> Explainer:
        """Explanations against chosen changes, a team's own for one; their medians are the usual.

        Parameters
        ----------
        values : ndarray, shape (n, columns of the catalogue)
            Rows of a feature table.

        Raises
        ------
        ValueError
            If there are no rows.
        """
        return cls(model.against(values), medians(values, model.columns))

    def parts(self, selected: Floats) -> Parts:
        """What the scores of rows of the model's columns are made of.

        Parameters
        ----------
        selected : ndarray, shape (n, columns of the model)
            Rows as :meth:`models.bundle.RiskModel.select` gives them.

        Raises
        ------
        ExplanationError
            If any row's values do not add up to its score.
        """
        slope = self._model.platt.slope
        groups, columns = (slope * part for part in self._model.tables.both(selected))
        score = self._model.platt.log_odds(self._model.margin(selected))
        for found in (groups, columns):
            gap = np.abs(self.base_log_odds + found.sum(axis=1) - score).max(initial=0.0)
            if not gap <= TOLERANCE:
                raise ExplanationError(
                    f"factors and score differ by {gap:.2g} log-odds, allowed are {TOLERANCE}"
                )
        return Parts(score, groups, columns)

    def factors(self, table: FeatureTable, changes: Columns, row: int = 0) -> list[Factor]:
        """The factors of one row, strongest first, at most ``SHOWN`` and the others summed.

        Parameters
        ----------
        table : FeatureTable
            The table that holds the row, with what stands behind its values.
        changes : Columns
            The changes of the table's rows.
        row : int
            Number of the row.
        """
        parts = self.parts(self._model.select(table.values[row : row + 1]))
        per_log_odds = points_per_log_odds(self.base_log_odds, float(parts.log_odds[0]))
        # What is said of a change is what is known of it, never the usual that stood in for it.
        told = table.values[row, self._columns]
        weights = zip(parts.groups[0].tolist(), self.groups, strict=True)
        strongest = sorted(
            ((log_odds, group) for log_odds, group in weights if log_odds != 0),
            key=lambda weight: (-abs(weight[0]), weight[1]),
        )
        found = [
            self._factor(group, log_odds, parts.columns[0], told, per_log_odds, table, changes, row)
            for log_odds, group in strongest[:SHOWN]
        ]
        rest = [log_odds for log_odds, _ in strongest[SHOWN:]]
        return [*found, _others(rest, per_log_odds)] if rest else found

    def _factor(
        self,
        group: str,
        log_odds: float,
        parts: Floats,
        values: Floats,
        per_log_odds: float,
        table: FeatureTable,
        changes: Columns,
        row: int,
    ) -> Factor:
        columns = self._members[group]
        told_of = self._fact(columns, parts * np.sign(log_odds), log_odds > 0, table, row)
        feature = BY_NAME[self._model.columns[told_of]]
        value = float(values[told_of])
        reference = self._usual.get(feature.name)
        text = told(self._model, feature, table, changes, row)
        unheard = feature.aggregate == "rate" and not behind(feature, table, row)[1] > 0
        compared = "" if unheard else comparison(feature, value, reference)
        return Factor(
            group=group,
            text=text + compared,
            compared=compared,
            feature=feature.name,
            value=None if np.isnan(value) else value,
            reference=reference,
            log_odds=log_odds,
            points=log_odds * per_log_odds,
            changeable=feature.changeable,
        )

    def _fact(
        self, columns: list[int], pushes: Floats, raises: bool, table: FeatureTable, row: int
    ) -> int:
        """The column told of: the one that pushes hardest in the direction of the whole group,
        unless it reads the other way round and another one pushes nearly as hard.
        """
        strongest = sorted(columns, key=lambda column: (-pushes[column], column))
        enough = PUSHING * pushes[strongest[0]]
        for column in strongest:
            if pushes[column] < enough:
                break
            if not self._contradicts(BY_NAME[self._model.columns[column]], raises, table, row):
                return column
        return strongest[0]

    def _contradicts(self, feature: Feature, raises: bool, table: FeatureTable, row: int) -> bool:
        """Whether few failures are to raise the score, or many to lower it."""
        failed, decided = behind(feature, table, row)
        if not decided > 0:
            return False
        usual = self._usual.get(feature.name) if feature.aggregate == "rate" else None
        more = failed / decided > (self._model.base_rate if usual is None else usual)
        return more != raises


def behind(feature: Feature, table: FeatureTable, row: int) -> tuple[float, float]:
    """Failures and decided changes behind a rate or an evidence; none behind other values."""
    support = table.support.get(feature.name)
    return (0.0, 0.0) if support is None else (float(support[0][row]), float(support[1][row]))


def told(
    model: RiskModel, feature: Feature, table: FeatureTable, changes: Columns, row: int
) -> str:
    """The fact behind one value of one change, in words."""
    words = table.words.get(feature.name)
    return sentence(
        feature,
        float(table.values[row, NAMES.index(feature.name)]),
        change=changes,
        row=row,
        support=behind(feature, table, row),
        word=None if words is None else words[row],
        means=model.policy.means,
    )


def points_per_log_odds(base: float, score: float) -> float:
    """Probability gained by each log-odd on the way from the base to the score, so that points are
    proportional to log-odds and add up to the probability.
    """
    if abs(score - base) < 1e-12:
        probability = float(expit(score))
        return probability * (1 - probability)
    return float((expit(score) - expit(base)) / (score - base))


def comparison(feature: Feature, value: float, reference: float | None) -> str:
    """How the value compares with the usual one; empty where they are about the same."""
    if reference is None or np.isnan(value) or feature.unit in UNORDERED:
        return ""
    if value == reference or (value == 0 and feature.name in AT_ZERO):
        return ""
    ratio = value / reference if reference else np.inf
    if alike(ratio):
        return ""
    usual = reference_words(feature, reference)
    if usual == reference_words(feature, value):
        return ""
    return say("; usual: {usual}", usual=usual)


def alike(ratio: float) -> bool:
    """Whether a value is so near the usual one that their ratio is not worth telling.

    Examples
    --------
    >>> alike(1.4), alike(1.6), alike(0.5)
    (True, False, False)
    """
    return 1 / ALMOST_ALL_SAME <= ratio <= ALMOST_ALL_SAME


def _others(log_odds: Sequence[float], per_log_odds: float) -> Factor:
    """The factors that are not shown one by one, as one."""
    return Factor(
        group="other",
        text=others(len(log_odds)),
        feature=None,
        value=None,
        reference=None,
        log_odds=sum(log_odds),
        points=sum(one * per_log_odds for one in log_odds),
        changeable=False,
    )


def others(number: int) -> str:
    """What is said of factors that are not shown one by one."""
    shown = str(number)
    return say_count(
        "{number} other factor", "{number} other factors together", number, number=shown
    )


def heading(group: str) -> str:
    """A factor group's heading for people."""
    return say(GROUPS[group]) if group in GROUPS else say("Other factors")
