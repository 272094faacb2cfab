"""Questions: the names of changes, each with its moment, put to the index many at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from features import instants, request
from features.catalogue import CATALOGUE, Feature
from features.columns import Array, Columns
from features.entities import ENTITIES, ORGANISATION
from features.index import Counted, Moments, Slot
from features.instants import MISSING
from features.names import Named
from features.segment import Ints
from features.state import FeatureState
from features.streams import CHANGE_STREAMS, SLOTS, streams_of
from features.tallies import Tallies
from features.topology import SLOTS as STANDING

Floats = NDArray[np.float64]

Wanted = tuple[str, int | None]
"""A stream and a window, days."""

YEAR = 365


@dataclass(frozen=True)
class Plan:
    """What to ask for one entity, all counts at once, and where each answer stands.

    Parameters
    ----------
    features : tuple of (int, Feature)
        With their columns, those that are not tallied.
    counted, places, tallies
        Of the index.
    standing, standing_tallies
        Of the topology.
    """

    entity: str
    features: tuple[tuple[int, Feature], ...]
    counted: Counted
    places: Mapping[Wanted, int]
    tallies: Tallies
    standing: Counted
    standing_tallies: Tallies


@cache
def windows() -> tuple[int | None, ...]:
    """All windows any feature asks for, microseconds."""
    found = {_micros(feature.window_days) for feature in CATALOGUE} | {_micros(YEAR)}
    return tuple(sorted(found, key=lambda window: window or 0))


def _counted(
    wanted: Iterable[Wanted], vocabulary: str, slots: Sequence[Slot] = SLOTS
) -> tuple[Counted, dict[Wanted, int]]:
    """What to ask an index to count certain streams and windows, and the place of each answer."""
    pairs = sorted(
        {pair for pair in wanted if (pair[0], vocabulary) in slots},
        key=lambda pair: (pair[0], pair[1] or 0),
    )
    streams = list(dict.fromkeys(stream for stream, _ in pairs))
    counted = Counted(
        np.array([slots.index((stream, vocabulary)) for stream in streams], np.int64),
        np.array([stream in CHANGE_STREAMS for stream in streams], bool),
        np.array([streams.index(stream) for stream, _ in pairs], np.int64),
        np.array([windows().index(_micros(days)) for _, days in pairs], np.int64),
    )
    return counted, {pair: number for number, pair in enumerate(pairs)}


@cache
def of_the_catalogue() -> tuple[Plan, ...]:
    """The plans of the whole catalogue."""
    return plans(CATALOGUE)


def plans(features: tuple[Feature, ...]) -> tuple[Plan, ...]:
    """One plan for each entity that the features name."""
    by_entity: dict[str, list[tuple[int, Feature]]] = defaultdict(list)
    for column, feature in enumerate(features):
        if feature.aggregate != "value":
            by_entity[feature.entity].append((column, feature))
    plans = []
    for entity, columns in by_entity.items():
        wanted = [
            (stream, feature.window_days)
            for _, feature in columns
            for stream in streams_of(feature)
        ]
        vocabulary = ENTITIES[entity].vocabulary
        counted, places = _counted(wanted, vocabulary)
        standing, standing_places = _counted(wanted, vocabulary, STANDING)
        tallied = Tallies.of(columns, places), Tallies.of(columns, standing_places)
        columns_of = {*tallied[0].columns.tolist(), *tallied[1].columns.tolist()}
        others = tuple(pair for pair in columns if pair[0] not in columns_of)
        plans.append(Plan(entity, others, counted, places, tallied[0], standing, tallied[1]))
    return tuple(plans)


def _micros(days: int | None) -> int | None:
    return None if days is None else days * instants.DAY


@dataclass(frozen=True)
class Asked:
    """One question for each name of each change: the names' codes, moments and owners.

    Parameters
    ----------
    row : ndarray of int64
        The change that asks, ascending.
    named : ndarray of bool, shape (n,)
        Whether each change names anything at all.
    """

    row: Ints
    codes: Ints
    times: Ints
    owners: Ints
    named: NDArray[np.bool_]

    @cached_property
    def one_each(self) -> bool:
        """Whether every change asks exactly once, so that its answer is its only one."""
        if len(self.named) == 1:
            return len(self.row) == 1
        return len(self.row) == len(self.named) == len(self.first)

    @cached_property
    def first(self) -> Ints:
        """Place of the first name of each change that asks anything."""
        new = np.ones(len(self.row), bool)
        new[1:] = self.row[1:] != self.row[:-1]
        return np.flatnonzero(new)

    def reduced(self, found: Floats, across: str) -> Floats:
        """One answer a change from one an asked name; NaN for a change that asks nothing."""
        if self.one_each:
            return found
        answers = np.full(len(self.named), np.nan)
        if len(found):
            function = {"max": np.fmax, "sum": np.add, "min": np.fmin}[across]
            answers[self.row[self.first]] = function.reduceat(found, self.first)
        return answers

    def highest(self, found: Floats, behind: Ints) -> Ints:
        """Place of each change's highest answer; of equals the one with the most behind it."""
        if len(self.first) == len(found):
            return self.first
        return np.lexsort((-behind, -found, self.row))[self.first]

    def at(self, places: Ints, counts: Ints) -> Floats:
        """The counts at one place a change; NaN for a change that names nothing."""
        if self.one_each:
            return counts.astype(np.float64)
        answers = np.full(len(self.named), np.nan)
        answers[self.row[places]] = counts[places]
        return answers


def ask(changes: Columns, as_of: Ints, owners: Ints, entity: str, state: FeatureState) -> Asked:
    """The questions that one entity of the changes raises.

    Parameters
    ----------
    owners : ndarray of int64, shape (n,)
        Numbers of the changes themselves, whose own events never count; -1 for new ones.
    """
    return asked_of(ENTITIES[entity].read(changes), as_of, owners, entity, state)


def asked_of(named: Named, as_of: Ints, owners: Ints, entity: str, state: FeatureState) -> Asked:
    """The questions that names read off the changes raise."""
    codes = named.found_in(state.vocabulary(ENTITIES[entity].vocabulary))
    row, has_name = named.row, np.zeros(len(as_of), bool)
    has_name[row] = True
    if ENTITIES[entity].hops:
        row, codes = state.topology.around(row, codes, as_of[row], ENTITIES[entity].hops)
    return Asked(row, codes, as_of[row], owners[row], has_name)


@dataclass(frozen=True)
class Behind:
    """What is behind rates and evidence, by feature.

    Parameters
    ----------
    kept : bool
        Whether it is kept at all; training has no use for it.
    counts : dict of str to (ndarray, ndarray)
        Failures and decided changes.
    words : dict of str to ndarray of object
        The word told.
    """

    kept: bool
    counts: dict[str, tuple[Floats, Floats]] = field(default_factory=dict)
    words: dict[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Asking:
    """The questions of one entity, and where to look for the answers."""

    changes: Columns
    asked: Asked
    moments: Moments
    usual: Floats
    plan: Plan
    state: FeatureState
    behind: Behind

    @property
    def vocabulary(self) -> str:
        """Where the names asked for are numbered."""
        return ENTITIES[self.plan.entity].vocabulary

    @cached_property
    def _counts(self) -> Ints:
        asked, index = self.asked, self.state.index
        return index.counts(self.plan.counted, asked.codes, self.moments, asked.owners, asked.row)

    @cached_property
    def _nobody(self) -> Ints:
        return np.full(len(self.asked.owners), -1)

    def count(self, stream: str, days: int | None) -> Ints:
        """Events of a stream in a window, for every question."""
        found: Ints = self._counts[self.plan.places[stream, days]]
        return found

    def tallied(self) -> Iterator[tuple[Ints, Floats]]:
        """The features made of counts, some at a time: columns, and values by column."""
        plan = self.plan
        if len(plan.tallies.columns):
            yield plan.tallies.columns, self._tally(plan.tallies, self._counts)
        if len(plan.standing_tallies.columns):
            asked, index = self.asked, self.state.topology.index
            counts = index.counts(plan.standing, asked.codes, self.moments, asked.owners, asked.row)
            yield plan.standing_tallies.columns, self._tally(plan.standing_tallies, counts)

    def _tally(self, tallies: Tallies, counts: Ints) -> Floats:
        asked = self.asked
        values, failed, decided = tallies.answers(counts, asked.row, asked.named, self.usual)
        if self.behind.kept:
            pairs = zip(failed, decided, strict=True)
            self.behind.counts.update(zip(tallies.rates, pairs, strict=True))
        return values

    def last(self, stream: str) -> Ints:
        """Moment of the last event of a stream, for every question."""
        asked, index = self.asked, self.state.index
        if (stream, self.vocabulary) not in index.slots:
            index = self.state.topology.index
        slot = index.slots[stream, self.vocabulary]
        owners = asked.owners if stream in CHANGE_STREAMS else self._nobody
        return index.last_before(slot, asked.codes, self.moments, owners, asked.row)

    @cached_property
    def planned(self) -> tuple[Ints, Ints, Ints]:
        """Code, start and end of the planned window of every question; no code without a start."""
        starts = self.changes.times("planned_start")[self.asked.row]
        codes = np.where(starts == MISSING, -1, self.asked.codes)
        ends = request.end(self.changes)[self.asked.row]
        return codes, np.where(starts == MISSING, 0, starts), np.where(starts == MISSING, 0, ends)

    def if_planned(self, found: Floats) -> Floats:
        """Answers about the planned window; NaN for a change without one, or without a name."""
        unknown = ~self.asked.named | (self.changes.times("planned_start") == MISSING)
        return np.where(unknown, np.nan, found)


@cache
def _of_last_year() -> tuple[Counted, dict[Wanted, int]]:
    return _counted([("decided", YEAR), ("failed", YEAR)], "organisation")


def usual_rate(moments: Moments, owners: Ints, state: FeatureState) -> Floats:
    """Failure rate of all changes in the year before each moment, as known then; NaN for none."""
    everyone = np.repeat(state.vocabulary("organisation").find([ORGANISATION]), len(owners))
    counted, places = _of_last_year()
    counts = state.index.counts(counted, everyone, moments, owners)
    failed = counts[places["failed", YEAR]]
    decided = at_least(counts[places["decided", YEAR]], failed)
    return np.where(decided > 0, failed / np.maximum(decided, 1), np.nan)


def at_least(decided: Ints, failed: Ints) -> Ints:
    """Decided changes, so many as failed at least, for a share of them is never more than all.

    A change that counted as clean when its window closed, and whose link came only later, counts as
    failed when the link came: a short window may hold that moment but not the earlier one.
    """
    return np.maximum(decided, failed)
