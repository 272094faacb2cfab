"""A fitted estimator as bytes in skops' format, read back without trusting anything in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.bundle import BundleError

if TYPE_CHECKING:  # importing it takes seconds, which a server's first process does not need
    from sklearn.ensemble import HistGradientBoostingClassifier

TRUSTED = ("sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",)
"""Types beyond skops' own list that a bundle may hold."""


def to_bytes(estimator: HistGradientBoostingClassifier) -> bytes:
    """The estimator as a file's content."""
    import skops.io  # a second to import: only those who keep models pay

    return bytes(skops.io.dumps(estimator))


def from_bytes(content: bytes) -> HistGradientBoostingClassifier:
    """The estimator of a file's content; nothing is unpickled.

    Raises
    ------
    BundleError
        If it is damaged, or holds a type or an index it must not.
    """
    import skops.io

    try:
        untrusted = set(skops.io.get_untrusted_types(data=content)) - set(TRUSTED)
        if untrusted:
            raise BundleError(f"the estimator holds types that are not trusted: {untrusted}")
        estimator = skops.io.loads(content, trusted=list(TRUSTED))
        check_bounds(estimator)
    except BundleError:
        raise
    except Exception as error:  # a damaged file makes skops and numpy raise anything
        raise BundleError(f"the estimator cannot be read: {error!r}") from error
    return estimator


def check_bounds(estimator: object) -> None:
    """Check that every index in the trees stays inside its arrays.

    scikit-learn's compiled code walks the trees without checking; a damaged file would make it read
    foreign memory.

    Raises
    ------
    BundleError
        If the estimator is not gradient-boosted trees, or a tree points outside itself.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier

    if not isinstance(estimator, HistGradientBoostingClassifier):
        raise BundleError(f"expected gradient-boosted trees, got {type(estimator).__name__}")
    for stage in estimator._predictors:
        for tree in stage:
            nodes = tree.nodes
            inner = nodes[nodes["is_leaf"] == 0]
            places = np.flatnonzero(nodes["is_leaf"] == 0)
            children = np.stack([inner["left"], inner["right"]]).astype(np.int64)
            if (
                len(nodes) == 0
                or (nodes["depth"] >= len(nodes)).any()  # bounds the walk
                or (children >= len(nodes)).any()
                or (children <= places).any()  # children come after their parent: no loops
                or (inner["feature_idx"].astype(np.int64) >= estimator.n_features_in_).any()
                or (inner["feature_idx"].astype(np.int64) < 0).any()
                or inner["is_categorical"].any()
            ):
                raise BundleError("a tree of the estimator points outside itself")
