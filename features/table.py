"""STEP 3. The table: one row a change, built only from facts known before its score time.

The same function builds the training table, one online row and a thousand what-if rows; training
and serving both call it, and nobody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from features import instants, request
from features.answers import ANSWERS
from features.asking import (
    Asking,
    Behind,
    Floats,
    asked_of,
    of_the_catalogue,
    plans,
    usual_rate,
    windows,
)
from features.catalogue import CATALOGUE, NAMES, Feature
from features.columns import Array, Columns
from features.entities import ENTITIES
from features.index import Moments
from features.names import Named
from features.segment import Ints
from features.state import FeatureState

CHUNK = 50_000
"""Changes looked at together, which bounds the memory."""


@dataclass(frozen=True)
class FeatureTable:
    """Features of changes, each at its own moment.

    Parameters
    ----------
    change_ids : ndarray of object, shape (n,)
    as_of : ndarray of int64, shape (n,)
        The moment each row speaks for, microseconds.
    values : ndarray of float64, shape (n, number of features)
        Columns in the order of the catalogue, NaN where not known.
    support : mapping of str to (ndarray, ndarray)
        For every rate: failures and decided changes behind it; where a change names several items,
        those of the item with the highest rate. For every evidence, the same of the word that
        gives it, or of the one that adds most to a sum.
    words : mapping of str to ndarray of object
        That word, for every evidence; None for a change that names nothing.
    names : tuple of str
        The columns.
    """

    change_ids: Array
    as_of: Ints
    values: Floats
    support: Mapping[str, tuple[Floats, Floats]]
    names: tuple[str, ...] = NAMES
    words: Mapping[str, Array] = field(default_factory=dict)

    def rows(self, low: int, high: int) -> FeatureTable:
        """Some rows that follow one another.

        Parameters
        ----------
        low, high : int
            Places of the first and of the one after the last.
        """
        return FeatureTable(
            self.change_ids[low:high],
            self.as_of[low:high],
            self.values[low:high],
            {name: (f[low:high], d[low:high]) for name, (f, d) in self.support.items()},
            self.names,
            {name: words[low:high] for name, words in self.words.items()},
        )

    def to_frame(self) -> pd.DataFrame:
        """The table as a data frame, indexed by change."""
        frame = pd.DataFrame(self.values, columns=list(self.names), index=self.change_ids)
        frame.insert(0, "as_of", instants.micros_to_series(self.as_of).to_numpy())
        return frame.rename_axis("change_id")


def build(
    changes: Columns,
    as_of: Ints,
    state: FeatureState,
    *,
    features: tuple[Feature, ...] = CATALOGUE,
    support: bool = True,
) -> FeatureTable:
    """The features of changes, each as its record and the history stood at ``as_of``.

    Parameters
    ----------
    changes : Columns
        One row a change, in the revision to be scored.
    as_of : ndarray of int64, shape (n,)
        Moments in microseconds; only facts known strictly before count.
    state : FeatureState
        The indexed history. It may hold later facts; they are not looked at.
    features : tuple of Feature
        The columns, in their order; a model needs those of the catalogue.
    support : bool
        Whether to keep what is behind the rates, too; training has no use for it.
    """
    # Column by column: a model reads few of them, and so they are written.
    values = np.full((len(changes), len(features)), np.nan, order="F")
    behind = []
    for low in range(0, max(len(changes), 1), CHUNK):
        rows = np.arange(low, min(low + CHUNK, len(changes)))
        some = changes if len(rows) == len(changes) else changes.take(rows)
        behind.append(_fill(values[low : low + CHUNK], features, some, as_of[rows], state, support))
    names = NAMES if features is CATALOGUE else tuple(feature.name for feature in features)
    counts, words = _joined(behind)
    return FeatureTable(changes["change_id"], as_of, values, counts, names, words)


def _joined(parts: list[Behind]) -> tuple[dict[str, tuple[Floats, Floats]], dict[str, Array]]:
    """What is behind the values of all parts, in their order."""
    if len(parts) == 1:
        return parts[0].counts, parts[0].words
    counts = {
        name: (
            np.concatenate([part.counts[name][0] for part in parts]),
            np.concatenate([part.counts[name][1] for part in parts]),
        )
        for name in parts[0].counts
    }
    words = {name: np.concatenate([part.words[name] for part in parts]) for name in parts[0].words}
    return counts, words


def _fill(
    values: Floats,
    features: tuple[Feature, ...],
    changes: Columns,
    as_of: Ints,
    state: FeatureState,
    support: bool,
) -> Behind:
    """Find every value of some changes; returns what is behind the rates."""
    for column, feature in enumerate(features):
        if feature.stream == "request":
            values[:, column] = request.VALUES[feature.name](changes)
        elif feature.stream == "place":
            values[:, column] = request.LOCAL_VALUES[feature.name](changes, state.place)
    owners = state.vocabulary("change").find(changes["change_id"])
    moments = Moments(as_of, windows())
    for segment in state.index.segments:
        moments.ranks(segment)  # once for all entities
    usual, behind = usual_rate(moments, owners, state), Behind(support)
    read: dict[object, Named] = {}  # several entities read the same names
    for plan in of_the_catalogue() if features is CATALOGUE else plans(features):
        entity = ENTITIES[plan.entity]
        if entity.read not in read:
            read[entity.read] = entity.read(changes)
        asked = asked_of(read[entity.read], as_of, owners, plan.entity, state)
        asking = Asking(changes, asked, moments, usual, plan, state, behind)
        for columns, found in asking.tallied():
            values[:, columns] = found.T
        for column, feature in plan.features:
            values[:, column] = ANSWERS[feature.aggregate](feature, asking)
    return behind
