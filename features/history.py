"""STEP 1. The history: every fact with its two clocks, and the only door to the past."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pandas as pd

from features import instants
from features.columns import RECORD_TYPES, Columns
from features.place import NOWHERE, Place
from features.records import Change, Record


@dataclass(frozen=True)
class History:
    """Everything known about an organisation's changes, or everything known at one moment.

    Parameters
    ----------
    tables : mapping of type to Columns
        One table for each of ``features.columns.RECORD_TYPES``.
    watermark : int
        Number of the last write of the store that these facts hold; 0 for a history without a
        store.
    place : Place
        Where the organisation is.
    read_until : int or None
        Newest ``known_at`` (microseconds) of the changes that were read from the organisation's
        records; changes that somebody only asked a score for say nothing about what followed
        others. None where no store tells them apart: then all count as read.

    Examples
    --------
    >>> history = History.from_records([])
    >>> len(history), history.until is None
    (0, True)
    """

    tables: Mapping[type, Columns]
    watermark: int = 0
    place: Place = NOWHERE
    read_until: int | None = None

    @classmethod
    def from_records(cls, records: Iterable[Record]) -> History:
        """A history of the given facts, in any order."""
        sorted_out: dict[type, list[Record]] = {kind: [] for kind in RECORD_TYPES}
        for record in records:
            sorted_out[type(record)].append(record)
        return cls({kind: Columns.from_records(kind, rows) for kind, rows in sorted_out.items()})

    def __len__(self) -> int:
        return sum(len(table) for table in self.tables.values())

    def __getitem__(self, record_type: type) -> Columns:
        return self.tables[record_type]

    def as_of(self, moment: datetime) -> History:
        """What was known at a moment: the facts whose ``known_at`` is not later.

        Parameters
        ----------
        moment : datetime
            Aware.

        Raises
        ------
        ValueError
            If the moment has no time zone.
        """
        limit = instants.to_micros(moment)
        tables = {
            kind: table.take(table.times("known_at") <= limit)
            for kind, table in self.tables.items()
        }
        read = None if self.read_until is None else min(self.read_until, limit)
        return replace(self, tables=tables, read_until=read)

    def plus(self, newer: History) -> History:
        """These facts and those of a later write.

        Parameters
        ----------
        newer : History
            What was written since.
        """
        return History(
            {
                kind: Columns.concatenate([table, newer[kind]])
                for kind, table in self.tables.items()
            },
            max(self.watermark, newer.watermark),
            self.place,
            max(self.changes_read_until, newer.changes_read_until),
        )

    def placed(self, place: Place) -> History:
        """The same facts of an organisation somewhere else.

        Parameters
        ----------
        place : Place
            Where it is.
        """
        return replace(self, place=place)

    @property
    def changes_read_until(self) -> int:
        """Up to when changes were read from the organisation's records; ``MISSING`` for never."""
        if self.read_until is not None:
            return self.read_until
        changes = self.tables[Change]
        return int(changes.times("known_at").max()) if len(changes) else instants.MISSING

    @property
    def until(self) -> datetime | None:
        """The last moment at which anything became known; None for an empty history."""
        latest = [table.times("known_at").max() for table in self.tables.values() if len(table)]
        return instants.from_micros(int(np.max(latest))) if latest else None

    def frame(self, record_type: type) -> pd.DataFrame:
        """One kind of facts as a data frame."""
        return self.tables[record_type].to_frame()
