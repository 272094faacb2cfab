"""All facts taken in, found by the names they bear: what is on record about a few changes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.columns import RECORD_TYPES, Columns
from features.entities import affected_in
from features.history import History
from features.mentions import mentioned_numbers
from features.names import digests_of
from features.policy import LabelPolicy
from features.records import Change, ChangeEvent, Incident, Link
from features.segment import NONE, Ints, distinct

Names = Iterator[tuple[Ints, Any]]
"""Rows and a name in each, some at a time."""

Door = tuple[type, str]
"""A kind of fact and what it is found by."""

_AT_ONCE = 100_000


def _field(name: str) -> Callable[[Columns], Names]:
    def read(table: Columns) -> Names:
        values = table[name]
        for low in range(0, len(values), _AT_ONCE):
            part = values[low : low + _AT_ONCE]
            rows = np.flatnonzero([bool(value) for value in part]).astype(np.int64)
            yield rows + low, part[rows]

    return read


def _affected(table: Columns) -> Names:
    for low in range(0, len(table), _AT_ONCE):
        part = table.take(np.arange(low, min(low + _AT_ONCE, len(table))))
        lists = affected_in(part)
        rows = np.repeat(np.arange(low, low + len(lists)), [len(names) for names in lists])
        yield rows, [name for names in lists for name in names]


DOORS: Mapping[Door, Callable[[Columns], Names]] = {
    (Change, "change_id"): _field("change_id"),
    (Change, "affected"): _affected,
    (Link, "change_id"): _field("change_id"),
    (Link, "incident_id"): _field("incident_id"),
    (ChangeEvent, "change_id"): _field("change_id"),
    (Incident, "incident_id"): _field("incident_id"),
    (Incident, "mentioned"): mentioned_numbers,
    (Incident, "ci"): _field("ci"),
}


def doors_of(policy: LabelPolicy) -> list[Door]:
    """What facts are found by where a policy decides."""
    unused: dict[str, set[Door]] = {
        "text": {(Incident, "mentioned")},
        "same_item": {(Change, "affected"), (Incident, "ci")},
    }
    without = {d for s, doors in unused.items() if s not in policy.sources for d in doors}
    return [door for door in DOORS if door not in without]


class Lookup:
    """Rows by name, for names that are too many to keep as text.

    Two names of one digest are taken for each other: what is found may be more than was asked for.

    Parameters
    ----------
    digests : ndarray of uint64
        Of the names, in order.
    rows : ndarray of int32
        The row of each.
    """

    def __init__(self, digests: NDArray[np.uint64], rows: NDArray[np.int32]) -> None:
        self.digests = digests
        self.rows = rows

    @classmethod
    def of(cls, names: Names) -> Lookup:
        """A lookup of the given names."""
        parts = [(digests_of(found), rows.astype(np.int32)) for rows, found in names]
        nothing = np.zeros(0, np.uint64), np.zeros(0, np.int32)
        digests, rows = (np.concatenate(arrays) for arrays in zip(nothing, *parts, strict=True))
        order = np.argsort(digests, kind="stable")
        return cls(digests[order], rows[order])

    def find(self, names: Sequence[str]) -> Ints:
        """Rows with any of the names, each once, in order."""
        wanted = digests_of(names)
        low = np.searchsorted(self.digests, wanted, "left")
        counts = np.searchsorted(self.digests, wanted, "right") - low
        if not counts.any():
            return NONE
        offset = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return distinct(self.rows[np.repeat(low, counts) + offset].astype(np.int64))


class Facts:
    """A history that grows, and the ways into it.

    Parameters
    ----------
    history : History
        What is known at the start.
    policy : LabelPolicy
        Says which facts can turn a verdict.
    lookups : mapping of (type, str) to Lookup, optional
        Those made before; others are made when they are needed.
    """

    def __init__(
        self, history: History, policy: LabelPolicy, lookups: Mapping[Door, Lookup] | None = None
    ) -> None:
        self.parts = [history]
        self._policy = policy
        self._lookups = dict(lookups or {})
        self._newer: dict[Door, dict[str, list[tuple[int, int]]]] = {
            door: defaultdict(list) for door in doors_of(policy)
        }

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)

    def lookup(self, door: Door) -> Lookup:
        """The way into the history of the start."""
        if door not in self._lookups:
            self._lookups[door] = Lookup.of(DOORS[door](self.parts[0][door[0]]))
        return self._lookups[door]

    def prepare(self) -> None:
        """Make all lookups now."""
        for door in self._newer:
            self.lookup(door)

    def add(self, newer: History) -> None:
        """Take in the facts of a later write."""
        number = len(self.parts)
        self.parts.append(newer)
        for door, by_name in self._newer.items():
            if len(newer[door[0]]):
                for rows, names in DOORS[door](newer[door[0]]):
                    for row, name in zip(rows.tolist(), names, strict=True):
                        by_name[name].append((number, row))

    def of(self, kind: type, by: str, names: Iterable[str], parts: int | None = None) -> Columns:
        """Facts of one kind with any of the names, in the order written.

        Parameters
        ----------
        parts : int, optional
            How many of the parts to look into; all by default.
        """
        found = self._found(kind, by, names, parts or len(self.parts))
        tables = [self.parts[part][kind].take(rows) for part, rows in found if len(rows)]
        return Columns.concatenate([Columns.empty(kind), *tables])

    def _found(
        self, kind: type, by: str, names: Iterable[str], parts: int
    ) -> list[tuple[int, Ints]]:
        """Rows with any of the names, as (part, rows)."""
        wanted = [name for name in dict.fromkeys(names) if name]
        if not wanted:
            return []
        found = [(0, self.lookup((kind, by)).find(wanted))] if len(self.parts[0][kind]) else []
        by_part: dict[int, set[int]] = defaultdict(set)
        newer = self._newer[kind, by]
        for name in wanted:
            for part, row in newer.get(name, ()):
                if part < parts:
                    by_part[part].add(row)
        return found + [(part, np.array(sorted(by_part[part]))) for part in sorted(by_part)]

    def about(self, change_ids: Iterable[str], parts: int | None = None) -> History:
        """Every fact that bears on the verdicts of some changes; of the first parts only."""
        names, sources = list(change_ids), self._policy.sources
        changes = self.of(Change, "change_id", names, parts)
        links = self.of(Link, "change_id", names, parts)
        incidents = {*links["incident_id"]}
        if "text" in sources:
            incidents.update(self.of(Incident, "mentioned", names, parts)["incident_id"])
        if "same_item" in sources:
            items = {ci for cis in affected_in(changes) for ci in cis}
            incidents.update(self.of(Incident, "ci", items, parts)["incident_id"])
        events = self.of(ChangeEvent, "change_id", names, parts)
        return history_of(
            changes, links, events, self.of(Incident, "incident_id", incidents, parts)
        )

    def latest(self, change_ids: Sequence[str]) -> dict[str, tuple[Columns, int]]:
        """The last known revision of each change on record, as (table, row)."""
        table = self.of(Change, "change_id", change_ids)
        rows, ids = {}, table["change_id"]
        for row in np.argsort(table.times("known_at"), kind="stable").tolist():
            rows[ids[row]] = table, row
        return {name: rows[name] for name in change_ids if name in rows}


def history_of(*tables: Columns) -> History:
    """A history of some kinds of facts and none of the others."""
    given = {table.record_type: table for table in tables}
    return History({kind: given.get(kind, Columns.empty(kind)) for kind in RECORD_TYPES})


def any_of(values: Iterable[Any]) -> set[str]:
    """The names among some values, without empty ones."""
    return {value for value in values if value}
