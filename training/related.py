"""Changes that belong together, and how they are kept on one side of a split.

Two changes under one ticket, or two copies of one change a few days apart, share what makes them
fail. With one copy learnt from and the other tested on, the test asks for what was told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from features.columns import Columns
from features.entities import ENTITIES
from features.instants import DAY, NEVER
from features.names import Vocabulary
from features.texts import masked_title
from training.splits import Split

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]

CLOSE = 30 * DAY
"""Copies of a change further apart than this are repetitions, not one piece of work."""


@dataclass(frozen=True)
class Related:
    """Which rows share a ticket, and which are copies of one another.

    Parameters
    ----------
    row, key : ndarray of int64
        Pairs: row ``row[i]`` belongs under ``key[i]``.
    near : ndarray of bool
        Whether the key relates only rows less than ``CLOSE`` apart.
    times : ndarray of int64, shape (number of rows,)
        Score times of all rows.
    """

    row: Ints
    key: Ints
    near: Mask
    times: Ints

    @classmethod
    def of(cls, changes: Columns, times: Ints) -> Related:
        """Relations between changes: the same reference, or the same masked title on one item."""
        names = Vocabulary()
        tickets = ENTITIES["reference"].read(changes)
        copies = [
            (row, f"{masked_title(title)}\x1f{ci}")
            for row, (title, ci) in enumerate(
                zip(changes["short_description"], changes["ci"], strict=True)
            )
            if title and ci and masked_title(title)
        ]
        key = np.concatenate(
            [
                names.learn(f"ticket\x1f{name}" for name in tickets.names),
                names.learn(name for _, name in copies),
            ]
        )
        row = np.concatenate([tickets.row, np.array([row for row, _ in copies], np.int64)])
        near = np.arange(len(row)) >= len(tickets.row)
        return cls(row, key, near, times)

    def to(self, later: Mask) -> Mask:
        """Rows that are related to one of the later rows."""
        asked = later[self.row]
        earliest = np.full(int(self.key.max(initial=-1)) + 1, NEVER)
        np.minimum.at(earliest, self.key[asked], self.times[self.row[asked]])
        first = earliest[self.key]
        reached = (first < NEVER) & (~self.near | (self.times[self.row] > first - CLOSE))
        found = np.zeros(len(later), bool)
        found[self.row[reached]] = True
        return found


def apart(split: Split, related: Related) -> Split:
    """The split without the earlier rows that are related to a later part's.

    The test stays whole, for it stands for what will be asked; what is learnt gives way.
    """
    tested, calibrated = related.to(split.test), related.to(split.calibrate)
    return replace(
        split,
        train=split.train & ~tested & ~calibrated,
        calibrate=split.calibrate & ~tested,
        learnt=split.learnt & ~tested,
        left_out=int((split.learnt & tested).sum()),
    )
