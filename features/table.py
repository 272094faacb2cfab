"""STEP 3. The table: one row a change, built only from facts known before its score time.

The same function builds the training table, one online row and a thousand what-if rows; training
and serving both call it, and nobody else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd

from features import instants, request
from features.answers import ANSWERS, overlapping
from features.asked import Asked, Floats, Questions, asked_of, look_up_names
from features.asking import Asking, Behind, Met, Plan, usual_rate, windows
from features.catalogue import CATALOGUE, NAMES, Feature
from features.columns import Array, Columns
from features.counting import Moments
from features.entities import ENTITIES
from features.instants import MISSING
from features.names import Named
from features.packed import Pack, packed
from features.place import Place
from features.segment import NONE, Ints
from features.state import FeatureState
from features.sweep import AllCursors

CHUNK = 16_000
"""Changes looked at together, which bounds the memory."""

OF_NEIGHBOURS = 8
"""Part of them that is looked at together where each asks about all its neighbours."""

MANY = 256
"""Fewest changes that are answered in the order of their moments."""

EVENTS_A_ROW = 2_500
"""Events of the index to a row up to which it pays to pass them all in the order of time."""


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
    asked : mapping of str to Asked
        What the rows asked the index, by entity; only of few rows, and beside their support.
    met : mapping of str to (ndarray, ndarray, ndarray)
        Planned windows that overlap theirs, by entity, as (row, number of the other change,
        microseconds); where ``asked`` is.
    """

    change_ids: Array
    as_of: Ints
    values: Floats
    support: Mapping[str, tuple[Floats, Floats]]
    names: tuple[str, ...] = NAMES
    words: Mapping[str, Array] = field(default_factory=dict)
    asked: Mapping[str, Asked] = field(default_factory=dict)
    met: Mapping[str, Met] = field(default_factory=dict)

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
            _Cut(self.support, lambda pair: (pair[0][low:high], pair[1][low:high])),
            self.names,
            _Cut(self.words, lambda words: words[low:high]),
            _Cut(self.asked, lambda asked: asked.part(low, high)),
            _Cut(self.met, lambda met: _met_by(met, low, high)),
        )

    def to_frame(self) -> pd.DataFrame:
        """The table as a data frame, indexed by change."""
        frame = pd.DataFrame(self.values, columns=list(self.names), index=self.change_ids)
        frame.insert(0, "as_of", instants.micros_to_series(self.as_of).to_numpy())
        return frame.rename_axis("change_id")


Whole = TypeVar("Whole")


class _Cut(Mapping[str, Whole]):
    """Parts of some things, each made when it is asked for: of most rows few are."""

    def __init__(self, whole: Mapping[str, Whole], part: Callable[[Whole], Whole]) -> None:
        self._whole, self._part = whole, part

    def __getitem__(self, name: str) -> Whole:
        return self._part(self._whole[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._whole)

    def __len__(self) -> int:
        return len(self._whole)


def _met_by(met: Met, low: int, high: int) -> Met:
    kept = (met[0] >= low) & (met[0] < high)
    row, others, micros = (part[kept] for part in met)
    return row - low, others, micros


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
    return Building(state, len(changes), features=features, support=support).add(changes, as_of)


def combined(own: Floats, alone: Sequence[Floats], changes: Columns, place: Place) -> Floats:
    """The features of changes with several edits each, from the rows with each edit alone.

    The edits of a change are of different fields, and none of them of what it is about. What is
    counted in the history follows from one of such fields at most, so it is what the edit of that
    field alone makes of it; what the record itself says is read anew.

    Parameters
    ----------
    own : ndarray of float64, shape (n, features)
        The rows without any edit, in the columns of the catalogue.
    alone : sequence of ndarray of float64, shape (edits, features)
        For each of them the rows with one edit.
    changes : Columns
        The changes with all edits.
    """
    values = own.copy(order="F")
    for row, edited in enumerate(alone):
        for one in edited:
            turned = ~((one == own[row]) | np.isnan(one) & np.isnan(own[row]))
            values[row, turned] = one[turned]
    _read_off(values, changes, CATALOGUE, place)
    return values


def _read_off(values: Floats, changes: Columns, features: Sequence[Feature], place: Place) -> None:
    """Find the values that the records themselves say."""
    said = _of_the_catalogue() if features is CATALOGUE else _said(features)
    if len(changes) < MANY and said.by_values:
        found = [read.each(changes) for _, read in said.by_values]
        values[:, [column for column, _ in said.by_values]] = np.array(found, np.float64).T
    for column, read in (*said.others, *(() if len(changes) < MANY else said.by_values)):
        values[:, column] = read(changes)
    for column, read_at in said.local:
        values[:, column] = read_at(changes, place)


class _Said(NamedTuple):
    """How the features are read that the records themselves say, with their columns."""

    by_values: list[tuple[int, request.ByValues]]
    others: list[tuple[int, request.Reader]]
    local: list[tuple[int, request.LocalReader]]


def _said(features: Sequence[Feature]) -> _Said:
    said = _Said([], [], [])
    for column, feature in enumerate(features):
        if feature.stream == "request":
            read = request.VALUES[feature.name]
            if isinstance(read, request.ByValues):
                said.by_values.append((column, read))
            else:
                said.others.append((column, read))
        elif feature.stream == "place":
            said.local.append((column, request.LOCAL_VALUES[feature.name]))
    return said


@cache
def _of_the_catalogue() -> _Said:
    return _said(CATALOGUE)


class Building:
    """A table in the making, some rows at a time.

    Parameters
    ----------
    state : FeatureState
        As for :func:`build`. It must not be extended meanwhile.
    rows : int
        How many rows are to come in all. Where there are many they are answered in the order of
        their moments, which takes a fraction of the time.
    features, support
        As for :func:`build`.
    """

    def __init__(
        self,
        state: FeatureState,
        rows: int,
        *,
        features: tuple[Feature, ...] = CATALOGUE,
        support: bool = True,
    ) -> None:
        self._state, self._features, self._support = state, features, support
        self._in_order = rows >= MANY and rows * EVENTS_A_ROW > len(state.index.base)
        self._cursors = AllCursors(self._in_order)
        self._until, self._rows = MISSING, rows
        self._codes: dict[str, tuple[Array, Ints]] = {}

    def add(self, changes: Columns, as_of: Ints) -> FeatureTable:
        """The features of some changes; the parameters are those of :func:`build`."""
        order = None
        if self._in_order:
            if (as_of[1:] < as_of[:-1]).any():
                order = np.argsort(as_of, kind="stable")
            if len(as_of) and as_of.min() < self._until:
                self._cursors = AllCursors(self._in_order)
            self._until = as_of.max(initial=self._until)
        # Column by column: a model reads few of them, and so they are written.
        values = np.full((len(changes), len(self._features)), np.nan, order="F")
        if order is None:
            behind = self._fill(values, changes, as_of)
        else:
            behind = self._fill(values, changes.take(order), as_of[order])
            back = np.empty(len(order), np.int64)
            back[order] = np.arange(len(order))
            for column in values.T:
                column[:] = column[back]
            behind = behind.take(back)
        names = NAMES if self._features is CATALOGUE else tuple(f.name for f in self._features)
        ids = changes["change_id"]
        said = behind.counts, names, behind.words, behind.asked, behind.met
        return FeatureTable(ids, as_of, values, *said)

    def _fill(self, values: Floats, changes: Columns, as_of: Ints) -> Behind:
        """Find every value of some changes; returns what is behind the rates."""
        state = self._state
        _read_off(values, changes, self._features, state.place)
        pack = packed(self._features)
        if len(changes) < MANY:
            look_up_names(pack.entities, changes, state)
        place, ids = changes.once_each("change_id")
        owners = state.vocabulary("change").find(ids)[place]
        moments = Moments(as_of, windows())
        for index in (state.index, state.topology.index):
            for segment in index.segments:
                moments.ranks(segment)  # once for all entities
        if len(as_of) < MANY:
            return self._answer_few(values, changes, as_of, owners, moments, pack)
        usual = usual_rate(moments, owners, state, self._cursors)
        if len(as_of) == self._rows:
            self._cursors.forget("usual")
        rows = _Rows(changes, as_of, owners, moments, usual)
        behind = Behind(self._support)
        for plan, named in zip(pack.plans, self._named(changes, pack), strict=True):
            behind.add(self._answer(values, plan, rows, *named))
        return behind

    def _named(self, changes: Columns, pack: Pack) -> Iterator[tuple[Ints, Ints]]:
        """Rows and codes of the names that the changes bear, for every plan."""
        read: dict[object, tuple[Ints, Ints]] = {}  # several entities read the same names
        for plan in pack.plans:
            entity = ENTITIES[plan.entity]
            if entity.read not in read:
                named = entity.read(changes)
                codes = self._codes_of(named, plan.entity)
                if self._in_order:
                    read.clear()  # those of a million rows are not kept for long
                read[entity.read] = named.row, codes
            yield read[entity.read]

    def _codes_of(self, named: Named, entity: str) -> Ints:
        """The codes of names; those of a large table that comes in parts are looked up once."""
        names, codes = self._codes.get(entity, (None, NONE))
        if names is not named.distinct:
            names = named.distinct
            codes = self._state.vocabulary(ENTITIES[entity].vocabulary).find(names)
            if self._in_order:
                self._codes[entity] = names, codes
        return codes[named.place]

    def _answer_few(
        self,
        values: Floats,
        changes: Columns,
        as_of: Ints,
        owners: Ints,
        moments: Moments,
        pack: Pack,
    ) -> Behind:
        """Find the values of all entities, by the names that few changes bear."""
        state = self._state
        asked = Questions.of(pack.entities, changes, as_of, owners, state)
        behind = Behind(self._support, asked=asked if self._support else {})
        found, usual = pack.fill(values, asked, moments, state, behind)
        planned = [number for number, plan in enumerate(pack.plans) if plan.overlaps]
        met = overlapping(changes, asked.only(planned), state)
        if self._support:
            behind.met.update(met)
        for plan in pack.plans:
            if plan.features:
                of_rows = changes, asked[plan.entity], moments, usual
                where_to = plan, state, behind, self._cursors
                already = found.get(plan.entity), met.get(plan.entity)
                asking = Asking(*of_rows, *where_to, *already)
                for column, feature in plan.features:
                    values[:, column] = ANSWERS[feature.aggregate](feature, asking)
        return behind

    def _answer(
        self, values: Floats, plan: Plan, rows: _Rows, row: Ints, codes: Ints
    ) -> list[Behind]:
        """Find the values of one entity, by the names that the changes bear."""
        size = CHUNK // OF_NEIGHBOURS if ENTITIES[plan.entity].hops else CHUNK
        parts = []
        for low in range(0, max(len(rows.as_of), 1), size):
            some, names = rows, slice(None)
            if len(rows.as_of) > size:
                some = rows.part(low, low + size)
                names = slice(*np.searchsorted(row, (low, low + size)))
            arguments = some.as_of, some.owners, plan.entity, self._state
            asked = asked_of(row[names] - low, codes[names], *arguments)
            where = plan, self._state, Behind(self._support), self._cursors
            asking = Asking(some.changes, asked, some.moments, some.usual, *where)
            high = low + len(some.as_of)
            for columns, found in asking.tallied():
                values[low:high, columns] = found.T
            for column, feature in plan.features:
                values[low:high, column] = ANSWERS[feature.aggregate](feature, asking)
            parts.append(asking.behind)
        if len(rows.as_of) == self._rows:
            self._cursors.forget(plan.entity)
        return parts


@dataclass(frozen=True)
class _Rows:
    """Changes, their moments and numbers, and the usual rate then."""

    changes: Columns
    as_of: Ints
    owners: Ints
    moments: Moments
    usual: Floats

    def part(self, low: int, high: int) -> _Rows:
        """Some that follow one another."""
        return _Rows(
            self.changes.part(low, high),
            self.as_of[low:high],
            self.owners[low:high],
            self.moments.part(low, high),
            self.usual[low:high],
        )
