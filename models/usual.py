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
        return dict(zip(self._groups, self._nothing_of(selected).T, strict=True))

    def _nothing_of(self, selected: Floats) -> NDArray[np.bool_]:
        """Whether each row has nothing of each group, shape (rows, groups)."""
        members = self._members
        missing: NDArray[np.bool_] = np.isnan(selected) @ members == members.sum(axis=0)
        return missing

    def filled(self, selected: Floats) -> Floats:
        """The rows with the medians of their unknown groups filled in; the others as they are."""
        nothing = self._nothing_of(selected)
        if not nothing.any():
            return selected
        filled = selected.copy()
        for rows, columns in zip(nothing.T, self._groups.values(), strict=True):
            for column in columns:
                filled[rows, column] = self.reference[self.columns[column]]
        return filled

    @cached_property
    def _members(self) -> Floats:
        """1 where a column is of a group, else 0, shape (columns, groups)."""
        members = np.zeros((len(self.columns), len(self._groups)))
        for number, columns in enumerate(self._groups.values()):
            members[columns, number] = 1.0
        return members

    @cached_property
    def _groups(self) -> dict[str, list[int]]:
        groups: dict[str, list[int]] = {}
        for column, name in enumerate(self.columns):
            if self.coverage.get(name, 0.0) >= USUALLY_KNOWN and name in self.reference:
                groups.setdefault(BY_NAME[name].group, []).append(column)
        # That something has never happened is known: no days have passed since, and nothing lacks.
        return {
            group: columns
            for group, columns in groups.items()
            if any(BY_NAME[self.columns[column]].aggregate != "days_since" for column in columns)
        }
