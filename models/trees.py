"""Trees as plain arrays: the same numbers as scikit-learn's, in microseconds for one row.

scikit-learn starts a parallel region for every tree, which costs milliseconds for one row and, on a
busy machine, seconds. Here they are walked in one compiled loop over plain arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.lookups import margins

if TYPE_CHECKING:  # importing it takes seconds, which a server's first process does not need
    from sklearn.ensemble import HistGradientBoostingClassifier

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Forest:
    """Numeric binary trees whose values add up.

    Parameters
    ----------
    roots : ndarray of int64, shape (number of trees,)
        Node at which each tree begins.
    feature : ndarray of int64, shape (number of nodes,)
        Column a node asks for; 0 at a leaf.
    threshold : ndarray of float64
        A row goes left if its value is at most this.
    left, right : ndarray of int64
        Children; a leaf is its own child.
    missing_left : ndarray of bool
        Where a row goes whose value is NaN.
    value : ndarray of float64
        What a leaf adds, log-odds.
    cover : ndarray of float64
        Training rows that reached a node.
    baseline : float
        What every row starts with, log-odds.
    depth : int
        Steps from a root to the deepest leaf.
    """

    roots: Ints
    feature: Ints
    threshold: Floats
    left: Ints
    right: Ints
    missing_left: NDArray[np.bool_]
    value: Floats
    cover: Floats
    baseline: float
    depth: int

    @classmethod
    def of(cls, estimator: HistGradientBoostingClassifier) -> Forest:
        """The trees of a fitted binary classifier without categorical features.

        Raises
        ------
        ValueError
            If there are categorical features (even unsplit they change the columns' order) or there
            is more than one tree a stage.
        """
        trees = [stage[0].nodes for stage in estimator._predictors]
        if (
            estimator._preprocessor is not None
            or any(len(stage) != 1 for stage in estimator._predictors)
            or any(nodes["is_categorical"].any() for nodes in trees)
        ):
            raise ValueError("expected a binary classifier without categorical features")
        sizes = [len(nodes) for nodes in trees]
        roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
        nodes = np.concatenate(trees)
        offset = np.repeat(roots, sizes)
        leaf = nodes["is_leaf"].astype(bool)
        itself = np.arange(len(nodes))
        return cls(
            roots=roots,
            feature=np.where(leaf, 0, nodes["feature_idx"]).astype(np.int64),
            threshold=nodes["num_threshold"].astype(np.float64),
            left=np.where(leaf, itself, nodes["left"] + offset).astype(np.int64),
            right=np.where(leaf, itself, nodes["right"] + offset).astype(np.int64),
            missing_left=nodes["missing_go_to_left"].astype(bool),
            value=nodes["value"].astype(np.float64),
            cover=nodes["count"].astype(np.float64),
            baseline=float(np.ravel(estimator._baseline_prediction)[0]),
            depth=int(nodes["depth"].max(initial=0)),
        )

    @classmethod
    def averaged(cls, forests: Sequence[Forest]) -> Forest:
        """The trees of a bag of models as one forest, whose margin is the mean of theirs.

        Raises
        ------
        ValueError
            If there are none.
        """
        if not forests:
            raise ValueError("expected at least one forest, got none")
        sizes = [len(forest.feature) for forest in forests]
        offsets = (np.cumsum(sizes) - sizes).tolist()
        pairs = list(zip(forests, offsets, strict=True))
        return cls(
            roots=np.concatenate([forest.roots + offset for forest, offset in pairs]),
            feature=np.concatenate([forest.feature for forest in forests]),
            threshold=np.concatenate([forest.threshold for forest in forests]),
            left=np.concatenate([forest.left + offset for forest, offset in pairs]),
            right=np.concatenate([forest.right + offset for forest, offset in pairs]),
            missing_left=np.concatenate([forest.missing_left for forest in forests]),
            value=np.concatenate([forest.value for forest in forests]) / len(forests),
            cover=np.concatenate([forest.cover for forest in forests]),
            baseline=sum(forest.baseline for forest in forests) / len(forests),
            depth=max(forest.depth for forest in forests),
        )

    @cached_property
    def _width(self) -> int:
        return int(self.feature.max(initial=-1)) + 1

    def margin(self, X: Floats) -> Floats:  # noqa: N803 - scikit-learn's name
        """Raw scores of rows, shape (n,): equal, bit for bit, to ``decision_function``.

        Raises
        ------
        ValueError
            If a tree asks for a column that there is none of.
        """
        if X.shape[1] < self._width:
            raise ValueError(f"expected at least {self._width} columns, got {X.shape[1]}")
        found = np.full(len(X), self.baseline)
        margins(
            np.ascontiguousarray(X, np.float64),
            self.roots,
            self.feature,
            self.threshold,
            self.missing_left,
            self.left,
            self.right,
            self.value,
            self.depth,
            found,
        )
        return found


def blended(estimator: HistGradientBoostingClassifier, additive: Forest | None) -> Forest:
    """The trees of an estimator, averaged with an additive half where there is one."""
    trees = Forest.of(estimator)
    return trees if additive is None else Forest.averaged([trees, additive])
