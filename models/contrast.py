"""One change against another, or many: exact Shapley values of the factor groups, the others as
background.

Their sum is the difference of the two scores, so they say what makes this change riskier or safer
than that one, where an explanation against many changes says it of an average one of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from features.catalogue import BY_NAME, Feature
from features.columns import Columns
from features.table import FeatureTable
from models.bundle import RiskModel
from models.explanation import SHOWN, Explainer, Factor, others, points_per_log_odds, told
from models.shapley import Tables

Floats = NDArray[np.float64]

LEAST = 1e-9
"""Log-odds below which a group makes no difference."""


@dataclass(frozen=True)
class Row:
    """One change with its features at one moment.

    Parameters
    ----------
    table : FeatureTable
        Holds its features.
    changes : Columns
        The changes of the table's rows.
    row : int
        Number of its row in both.
    """

    table: FeatureTable
    changes: Columns
    row: int = 0


@dataclass(frozen=True, kw_only=True)
class Difference:
    """What one factor group makes of the difference between two changes.

    Parameters
    ----------
    group : str
        Key of the factor group; ``other`` for the rest summed.
    text, other_text : str
        The fact of this change and of the other, of the group's strongest feature.
    feature : str or None
    log_odds, points : float
        The part in log-odds and in probability; all parts are the whole difference.
    """

    group: str
    text: str
    other_text: str
    feature: str | None
    log_odds: float
    points: float


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """Two probabilities and what lies between them.

    Parameters
    ----------
    probability, other_probability : float
        Of the change and of what it is compared with, between 0 and 1.
    differences : list of Difference
        Strongest first.
    """

    probability: float
    other_probability: float
    differences: list[Difference]


def contrast_average(model: RiskModel, explainer: Explainer, this: Row) -> Contrast:
    """What makes a change's score differ from the mean score of an explainer's background.

    Parameters
    ----------
    model : RiskModel
        The bundle that scores.
    explainer : Explainer
        ``Explainer(model)`` for the training changes, ``Explainer.against(model, values)`` for
        others.
    this : Row
        The change.
    """
    values = this.table.values[this.row : this.row + 1]
    factors = explainer.factors(this.table, this.changes, this.row)
    return Contrast(
        probability=float(model.probability(values)[0]),
        other_probability=float(expit(explainer.base_log_odds)),
        differences=[_from_factor(factor) for factor in factors],
    )


def _from_factor(factor: Factor) -> Difference:
    return Difference(
        group=factor.group,
        text=factor.text.removesuffix(factor.compared),
        other_text=factor.compared.removeprefix("; "),
        feature=factor.feature,
        log_odds=factor.log_odds,
        points=factor.points,
    )


def contrast(model: RiskModel, this: Row, other: Row) -> Contrast:
    """What makes one change's score differ from another's.

    Parameters
    ----------
    model : RiskModel
        The bundle that scores.
    this, other : Row
        The two changes, each with what was known at its own moment.

    Examples
    --------
    The parts add up: ``other_probability + sum(points) == probability`` up to rounding.
    """
    one, two = (model.select(each.table.values[each.row : each.row + 1]) for each in (this, other))
    against = replace(model, tables=Tables.build(model.forest, model.groups, two))
    explainer = Explainer(against)
    parts = explainer.parts(one)
    score = float(parts.log_odds[0])
    per_log_odds = points_per_log_odds(explainer.base_log_odds, score)
    found = []
    for group, log_odds in zip(explainer.groups, parts.groups[0].tolist(), strict=True):
        if abs(log_odds) <= LEAST:
            continue
        text, other_text, feature = _fact(model, group, parts.columns[0] * log_odds, this, other)
        found.append(
            Difference(
                group=group,
                text=text,
                other_text=other_text,
                feature=feature.name,
                log_odds=log_odds,
                points=log_odds * per_log_odds,
            )
        )
    found.sort(key=lambda difference: (-abs(difference.log_odds), difference.group))
    return Contrast(
        probability=float(expit(score)),
        other_probability=float(expit(explainer.base_log_odds)),
        differences=_with_others(found),
    )


def _fact(
    model: RiskModel, group: str, weights: Floats, this: Row, other: Row
) -> tuple[str, str, Feature]:
    """The strongest fact of a group that is told differently of both, else the strongest."""
    members = [n for n, of in enumerate(model.groups) if of == group]
    strongest = sorted(members, key=lambda column: -weights[column])
    found: list[tuple[str, str, Feature]] = []
    for column in strongest:
        if found and weights[column] <= 0:
            break
        feature = BY_NAME[model.columns[column]]
        text, other_text = (
            told(model, feature, each.table, each.changes, each.row) for each in (this, other)
        )
        found.append((text, other_text, feature))
        if text != other_text:
            return found[-1]
    return found[0]


def _with_others(differences: list[Difference]) -> list[Difference]:
    if len(differences) <= SHOWN:
        return differences
    rest = differences[SHOWN:]
    summed = Difference(
        group="other",
        text=others(len(rest)),
        other_text="",
        feature=None,
        log_odds=sum(difference.log_odds for difference in rest),
        points=sum(difference.points for difference in rest),
    )
    return [*differences[:SHOWN], summed]
