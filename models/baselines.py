"""What the model has to beat, as estimators over the same table."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, QuantileTransformer
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from features.catalogue import NAMES
from models import rules

Floats = NDArray[np.float64]

RAREST = 1e-4
"""A rate below it counts as this much, or one item's zero would drown its team."""


class _Ranker(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """What the rankers by one column share: two classes, NaN allowed."""

    def __sklearn_tags__(self) -> Tags:
        """One column of many is no good classifier, and is not meant to be."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.poor_score = True
        return tags

    def _checked(self, X: Floats, y: NDArray[np.generic]) -> tuple[Floats, NDArray[np.bool_]]:  # noqa: N803
        """The rows, and which of them are of the second class."""
        X, y = validate_data(self, X, y, ensure_all_finite="allow-nan")  # noqa: N806
        check_classification_targets(y)
        self.classes_ = np.unique(y)
        if len(self.classes_) != 2:
            found = type_of_target(y, input_name="y")
            raise ValueError(
                "Only binary classification is supported. "
                f"The type of the target is {found}, with {len(self.classes_)} class(es)."
            )
        return X, np.asarray(y == self.classes_[1], bool)

    def decision_function(self, X: Floats) -> Floats:  # noqa: N803
        """Score of each row."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False, ensure_all_finite="allow-nan")  # noqa: N806
        return self._score(X[:, 0])

    def _score(self, column: Floats) -> Floats:
        raise NotImplementedError

    def predict(self, X: Floats) -> NDArray[np.generic]:  # noqa: N803
        """The likelier class: the second where the score is positive."""
        likelier = (self.decision_function(X) > 0).astype(int)
        return np.asarray(self.classes_[likelier])


class LevelRate(_Ranker):
    """Score of a change: the smoothed failure rate of changes with the same value of one column.

    This is what a risk field people fill in is worth.

    Parameters
    ----------
    smoothing : float
        Weight of the overall rate, in changes.
    """

    def __init__(self, smoothing: float = 10.0) -> None:
        self.smoothing = smoothing

    def fit(self, X: Floats, y: NDArray[np.bool_]) -> LevelRate:  # noqa: N803
        """Count failures by value of the first column; NaN is a value of its own."""
        X, failed = self._checked(X, y)  # noqa: N806
        self.rate_ = float(failed.mean())
        self.rates_ = {}
        for value in np.unique(X[:, 0]):
            same = np.isnan(X[:, 0]) if np.isnan(value) else X[:, 0] == value
            self.rates_[_key(value)] = (failed[same].sum() + self.smoothing * self.rate_) / (
                same.sum() + self.smoothing
            )
        return self

    def _score(self, column: Floats) -> Floats:
        """Log-odds of the rate of each row's value."""
        rate = np.array([self.rates_.get(_key(value), self.rate_) for value in column])
        return np.asarray(np.log(rate) - np.log1p(-rate), np.float64)


def _key(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


class ColumnRank(_Ranker):
    """Score of a change: one column as it is, NaN counting as the column's median."""

    def fit(self, X: Floats, y: NDArray[np.bool_]) -> ColumnRank:  # noqa: N803
        """Learn the column's median and spread; that more is riskier is taken as given."""
        X, _ = self._checked(X, y)  # noqa: N806
        known = ~np.isnan(X[:, 0])
        self.median_ = float(np.median(X[known, 0])) if known.any() else 0.0
        spread = float(np.std(X[known, 0])) if known.any() else 0.0
        self.scale_ = spread if spread > 0 else 1.0
        return self

    def _score(self, column: Floats) -> Floats:
        """The column, centred and scaled."""
        known = np.where(np.isnan(column), self.median_, column)
        return np.asarray((known - self.median_) / self.scale_, np.float64)


def logistic_regression() -> Pipeline:
    """Logistic regression on ranks, missing values at the median and marked."""
    return make_pipeline(
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        QuantileTransformer(n_quantiles=200, subsample=50_000, random_state=0),
        LogisticRegression(C=0.05, max_iter=500),
    )


def mean_log_odds(rates: Floats) -> Floats:
    """Mean of the log-odds of the rates that are known, shape (n, 1); NaN where none is."""
    known = ~np.isnan(rates)
    kept = np.clip(np.where(known, rates, 0.5), RAREST, 1 - RAREST)
    total = np.where(known, np.log(kept) - np.log1p(-kept), 0.0).sum(axis=1)
    count = known.sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)[:, None]


def item_team_rate() -> Pipeline:
    """The smoothed rates of the item and of the team, with equal say."""
    return make_pipeline(FunctionTransformer(mean_log_odds), ColumnRank())


def rule_matrix() -> Pipeline:
    """Points of a risk questionnaire; see :mod:`models.rules`."""
    return make_pipeline(FunctionTransformer(rules.points), ColumnRank())


BASELINES: Mapping[str, tuple[Callable[[], BaseEstimator], tuple[str, ...] | None]] = {
    "declared_risk": (LevelRate, ("declared_risk_level",)),
    "item_rate": (ColumnRank, ("ci_failure_rate_365d",)),
    "item_team_rate": (item_team_rate, ("ci_failure_rate_365d", "team_failure_rate_365d")),
    "rule_matrix": (rule_matrix, rules.COLUMNS),
    "item_incidents": (ColumnRank, ("affected_incidents_30d",)),
    "logistic_regression": (logistic_regression, None),
}
"""Estimator and columns of every baseline; None takes the model's own columns."""


def columns_of(names: tuple[str, ...]) -> list[int]:
    """Places of features in the table."""
    return [NAMES.index(name) for name in names]
