"""What matters to a model as a whole: for notebooks and the model card.

Every result holds a ``frame`` to read and a ``plot`` to look at. Importances describe the model,
not the world: what a factor does to the score, not what it does to changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.catalogue import BY_NAME, NAMES
from features.language import say
from features.sentences import reference_words
from models.bundle import RiskModel
from models.explanation import Explainer, heading
from models.palette import BLUE, GREY

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]

MOST_BINS = 10
"""Steps of a dependence; a feature of fewer values has one for each."""

TOP = 3
"""Factors of an explanation that are compared between retrains."""


@dataclass(frozen=True)
class Importance:
    """How far each factor group moves scores.

    Parameters
    ----------
    frame : DataFrame
        A row a group, strongest first: ``group``, ``heading``, ``log_odds`` (mean absolute Shapley
        value), ``share`` of their sum, ``first`` (share of rows where it is the strongest).
    """

    frame: pd.DataFrame

    def draw(self, axes: Axes) -> None:
        """Draw bars onto axes, the strongest on top."""
        shown = self.frame.iloc[::-1]
        axes.barh(shown["heading"], shown["log_odds"], color=BLUE)
        axes.set_xlabel("mean absolute part in the score, log-odds")

    def plot(self) -> Axes:
        """The bars on axes of their own."""
        axes = _axes(height=0.35 * len(self.frame) + 1)
        self.draw(axes)
        return axes


@dataclass(frozen=True)
class Dependence:
    """What a feature does to scores over its values.

    Parameters
    ----------
    feature, unit : str
    frame : DataFrame
        A row a step of the values, lowest first, and one for "not known": ``value`` (median),
        ``words`` (as a sentence says it), ``rows``, and ``low, middle, high`` (quartiles of the
        feature's Shapley values, log-odds).
    """

    feature: str
    unit: str
    frame: pd.DataFrame

    def draw(self, axes: Axes) -> None:
        """Draw the middle over the steps onto axes, with the quartiles as bars.

        What is not known stands apart from the known values: it is no step of them.
        """
        known = self.frame["value"].notna().to_numpy()
        places = np.arange(len(self.frame)) + np.where(known, 0.0, 0.5)
        middle = self.frame["middle"].to_numpy()
        gaps = [middle - self.frame["low"], self.frame["high"] - middle]
        axes.axhline(0, color=GREY, linewidth=0.8)
        axes.plot(places[known], middle[known], color=BLUE, linewidth=1)
        axes.errorbar(places, middle, yerr=gaps, fmt="o", color=BLUE, capsize=2)
        axes.set_xticks(places, self.frame["words"], rotation=40, ha="right")
        axes.set_xlabel(self.unit)
        axes.set_ylabel("part in the score, log-odds")

    def plot(self) -> Axes:
        """The same on axes of their own."""
        axes = _axes()
        self.draw(axes)
        return axes


@dataclass(frozen=True)
class Stability:
    """Whether retrained models give the same reasons.

    Parameters
    ----------
    frame : DataFrame
        A row a pair of models: ``first``, ``second`` (their places), ``jaccard`` (mean over rows of
        the share of the ``TOP`` strongest groups they have in common among those either names).
    """

    frame: pd.DataFrame

    @property
    def mean(self) -> float:
        """Mean over the pairs, 0 (nothing in common) to 1 (the same)."""
        return float(self.frame["jaccard"].mean())

    def plot(self) -> Axes:
        """A point a pair."""
        axes = _axes(height=2)
        axes.plot(self.frame["jaccard"], np.zeros(len(self.frame)), "o", color=BLUE, alpha=0.5)
        axes.set_xlim(0, 1)
        axes.set_yticks([])
        axes.set_xlabel(f"strongest {TOP} factors in common (Jaccard), pairs of retrains")
        return axes


def importance(model: RiskModel, values: Floats) -> Importance:
    """Importance of the factor groups over rows of a feature table.

    Parameters
    ----------
    values : ndarray, shape (n, columns of the catalogue)
        Rows of a feature table.

    Raises
    ------
    ValueError
        If there are no rows.
    """
    explainer = Explainer(model)
    parts = np.abs(explainer.parts(_some(model, values)).groups)
    mean = parts.mean(axis=0)
    first = np.bincount(parts.argmax(axis=1), minlength=len(mean)) / len(parts)
    frame = pd.DataFrame(
        {
            "group": explainer.groups,
            "heading": [heading(group) for group in explainer.groups],
            "log_odds": mean,
            "share": mean / mean.sum() if mean.any() else mean,
            "first": first,
        }
    )
    return Importance(frame.sort_values("log_odds", ascending=False, ignore_index=True))


def dependence(model: RiskModel, values: Floats, feature: str) -> Dependence:
    """What one feature does to the scores of rows of a feature table, by its value.

    Parameters
    ----------
    values : ndarray, shape (n, columns of the catalogue)
        Rows of a feature table.
    feature : str
        A column the model sees.

    Raises
    ------
    ValueError
        If the model does not see the feature, or there are no rows.
    """
    if feature not in model.columns:
        raise ValueError(f"the model does not see {feature!r}; it sees {', '.join(model.columns)}")
    declared = BY_NAME[feature]
    parts = Explainer(model).parts(_some(model, values)).columns[:, model.columns.index(feature)]
    asked = values[:, NAMES.index(feature)]
    rows = []
    for chosen in _steps(asked):
        low, middle, high = np.quantile(parts[chosen], [0.25, 0.5, 0.75])
        value = float(np.median(asked[chosen]))
        words = say("not known") if np.isnan(value) else reference_words(declared, value)
        rows.append((value, words, int(chosen.sum()), low, middle, high))
    columns = ["value", "words", "rows", "low", "middle", "high"]
    return Dependence(feature, declared.unit, pd.DataFrame(rows, columns=columns))


def stability(models: Sequence[RiskModel], values: Floats) -> Stability:
    """How alike the reasons of several models are, over rows of a feature table.

    Parameters
    ----------
    models : sequence of RiskModel
        Retrains of one way of training.
    values : ndarray, shape (n, columns of the catalogue)
        Rows of a feature table.

    Raises
    ------
    ValueError
        If there are fewer than two models, or no rows.
    """
    if len(models) < 2:
        raise ValueError(f"expected at least two models to compare, got {len(models)}")
    tops = [
        strongest(model.tables.names, model.tables.by_group(_some(model, values)))
        for model in models
    ]
    rows = [
        (first, second, agreement(a, b))
        for (first, a), (second, b) in combinations(enumerate(tops), 2)
    ]
    return Stability(pd.DataFrame(rows, columns=["first", "second", "jaccard"]))


def strongest(names: Sequence[str], parts: Floats) -> list[frozenset[str]]:
    """The ``TOP`` strongest factor groups of each row.

    Parameters
    ----------
    names : sequence of str, length g
    parts : ndarray, shape (n, g)
        Shapley values of the groups, log-odds.
    """
    order = np.argsort(-np.abs(parts), axis=1, kind="stable")[:, :TOP]
    return [frozenset(names[place] for place in row) for row in order.tolist()]


def agreement(ours: Sequence[frozenset[str]], theirs: Sequence[frozenset[str]]) -> float:
    """Mean Jaccard index of two models' strongest groups, row by row, 0 to 1.

    Examples
    --------
    >>> agreement([frozenset("ab"), frozenset("a")], [frozenset("ac"), frozenset("a")])
    0.6666666666666666
    """
    return float(np.mean([len(a & b) / len(a | b) for a, b in zip(ours, theirs, strict=True)]))


def _some(model: RiskModel, values: Floats) -> Floats:
    if len(values) == 0:
        raise ValueError("expected at least one row, got none")
    return model.select(values)


def _steps(values: Floats) -> list[NDArray[np.bool_]]:
    """Rows of each step of a feature's values, lowest first, those not known last."""
    known = ~np.isnan(values)
    distinct = np.unique(values[known])
    if len(distinct) <= MOST_BINS:
        steps = [values == value for value in distinct]
    else:
        edges = np.unique(np.quantile(values[known], np.linspace(0, 1, MOST_BINS + 1)))
        place = np.searchsorted(edges[1:-1], values, side="right")
        steps = [known & (place == step) for step in range(len(edges) - 1)]
    return [step for step in [*steps, ~known] if step.any()]


def _axes(height: float = 4.0) -> Axes:
    from matplotlib.figure import Figure  # slow to import: only those who look pay

    return Figure(figsize=(8, height), layout="constrained").subplots()
