"""What a score does where nothing is known: it takes the usual, and says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from features.catalogue import BY_NAME, NAMES

Floats = NDArray[np.float64]

USUALLY_KNOWN = 0.9
"""Share of past changes in which a column must be known for its absence to matter."""


def medians(values: Floats, columns: Sequence[str]) -> dict[str, float]:
    """Medians of what is known of some columns; those of which nothing is known are left out.

    Parameters
    ----------
    values : ndarray, shape (n, columns of the catalogue)
        Rows of a feature table.
    """
    found = {}
    for name in columns:
        column = values[:, NAMES.index(name)]
        known = column[~np.isnan(column)]
        if len(known):
            found[name] = float(np.median(known))
    return found


@dataclass(frozen=True, kw_only=True)
class Usual:
    """The usual values of the columns that nearly every change has.

    A factor group of which a change has nothing, though nearly all past changes had it, tells
    nothing of that change: the few that lacked it were of another kind, and a tree that learnt from
    them would give a number out of thin air. Its columns are set to their medians instead, and the
    score is marked as degraded.

    Parameters
    ----------
    columns : tuple of str
        Features the model sees.
    reference, coverage : mapping of str to float
        Median of each, and the share of past changes that had it.
    """

    columns: tuple[str, ...]
    reference: Mapping[str, float]
    coverage: Mapping[str, float]

    def unknown(self, selected: Floats) -> dict[str, NDArray[np.bool_]]:
        """For each group that nearly every change has: the rows that have nothing of it."""
        return {
            group: np.asarray(np.isnan(selected[:, columns]).all(axis=1), bool)
            for group, columns in self._groups.items()
        }

    def filled(self, selected: Floats) -> Floats:
        """The rows with the medians of their unknown groups filled in; the others as they are."""
        filled = selected
        for group, rows in self.unknown(selected).items():
            if rows.any():
                filled = filled.copy() if filled is selected else filled
                for column in self._groups[group]:
                    filled[rows, column] = self.reference[self.columns[column]]
        return filled

    @cached_property
    def _groups(self) -> dict[str, list[int]]:
        groups: dict[str, list[int]] = {}
        for column, name in enumerate(self.columns):
            if self.coverage.get(name, 0.0) >= USUALLY_KNOWN and name in self.reference:
                groups.setdefault(BY_NAME[name].group, []).append(column)
        return groups
