"""Questions: the names of changes, each with its moment, put to the index many at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from features import instants, request
from features.asked import Asked, Floats
from features.catalogue import CATALOGUE, Feature
from features.columns import Array, Columns
from features.counting import Counted, Moments
from features.entities import ENTITIES, ORGANISATION
from features.index import Slot
from features.later import Later
from features.segment import Ints
from features.state import FeatureState
from features.streams import CHANGE_STREAMS, SLOTS, streams_of
from features.sweep import AllCursors
from features.tallies import Tallies
from features.topology import SLOTS as STANDING

Wanted = tuple[str, int | None]
"""A stream and a window, days."""

YEAR = 365


@dataclass(frozen=True)
class Part:
    """What to ask one index for an entity, all at once, and what is made of the answers.

    Parameters
    ----------
    places : mapping of (str, int or None) to int
        Where each count stands among the answers.
    """

    counted: Counted
    places: Mapping[Wanted, int]
    tallies: Tallies


@dataclass(frozen=True)
class Plan:
    """What to ask for one entity, and where each answer stands.

    Parameters
    ----------
    features : tuple of (int, Feature)
        With their columns, those that are not tallied.
    happening, standing : Part
        What to ask the index of what happened, and that of items and relations.
    """

    entity: str
    features: tuple[tuple[int, Feature], ...]
    happening: Part
    standing: Part

    @cached_property
    def overlaps(self) -> bool:
        """Whether planned windows are asked for that overlap."""
        return any(feature.aggregate == "overlap" for _, feature in self.features)


@cache
def windows() -> tuple[int | None, ...]:
    """All windows any feature asks for, microseconds."""
    found = {_micros(feature.window_days) for feature in CATALOGUE} | {_micros(YEAR)}
    return tuple(sorted(found, key=lambda window: window or 0))


def _part(
    features: Sequence[tuple[int, Feature]], vocabulary: str, slots: Sequence[Slot] = SLOTS
) -> Part:
    """What to ask an index for some features, with their columns."""
    wanted = {
        (stream, feature.window_days)
        for _, feature in features
        if feature.aggregate != "days_since"
        for stream in streams_of(feature)
    }
    last = {feature.stream for _, feature in features if feature.aggregate == "days_since"}
    counted, places, lasts = _counted(wanted, vocabulary, slots, last)
    return Part(counted, places, Tallies.of(features, places, lasts))


def _counted(
    wanted: Iterable[Wanted],
    vocabulary: str,
    slots: Sequence[Slot] = SLOTS,
    last: Iterable[str] = (),
) -> tuple[Counted, dict[Wanted, int], dict[str, int]]:
    """What to ask an index to count certain streams and windows, and for the last events of some;
    and the place of each answer.
    """
    pairs = sorted(
        {pair for pair in wanted if (pair[0], vocabulary) in slots},
        key=lambda pair: (pair[0], pair[1] or 0),
    )
    lasting = sorted({stream for stream in last if (stream, vocabulary) in slots})
    streams = list(dict.fromkeys([*(stream for stream, _ in pairs), *lasting]))
    counted = Counted(
        np.array([slots.index((stream, vocabulary)) for stream in streams], np.int64),
        np.array([stream in CHANGE_STREAMS for stream in streams], bool),
        np.array([streams.index(stream) for stream, _ in pairs], np.int64),
        np.array([windows().index(_micros(days)) for _, days in pairs], np.int64),
        np.array([streams.index(stream) for stream in lasting], np.int64),
    )
    places = {pair: number for number, pair in enumerate(pairs)}
    return counted, places, {stream: number for number, stream in enumerate(lasting)}


def plans(features: tuple[Feature, ...]) -> tuple[Plan, ...]:
    """One plan for each entity that the features name."""
    by_entity: dict[str, list[tuple[int, Feature]]] = defaultdict(list)
    for column, feature in enumerate(features):
        if feature.aggregate != "value":
            by_entity[feature.entity].append((column, feature))
    plans = []
    for entity, columns in by_entity.items():
        vocabulary = ENTITIES[entity].vocabulary
        happening, standing = (_part(columns, vocabulary, slots) for slots in (SLOTS, STANDING))
        tallied = {*happening.tallies.columns.tolist(), *standing.tallies.columns.tolist()}
        others = tuple(pair for pair in columns if pair[0] not in tallied)
        plans.append(Plan(entity, others, happening, standing))
    return tuple(sorted(plans, key=_rank))


def _rank(plan: Plan) -> tuple[bool, bool, bool]:
    """The order of plans: those that are asked the same follow one another, from the first on."""
    asked = plan.happening.counted.slots, plan.standing.counted.slots
    return not len(asked[0]), not plan.overlaps, not len(asked[1])


def _micros(days: int | None) -> int | None:
    return None if days is None else days * instants.DAY


Met = tuple[Ints, Ints, Ints]
"""Windows that overlap, as (row, number of the other change, microseconds)."""


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
    asked : mapping of str to Asked
        The questions, by entity, where there are few.
    met : dict of str to (ndarray, ndarray, ndarray)
        Planned windows that overlap, as (row, number of the other change, microseconds), likewise.
    """

    kept: bool
    counts: Later[tuple[Floats, Floats]] = field(default_factory=Later)
    words: Later[Array] = field(default_factory=Later)
    asked: Mapping[str, Asked] = field(default_factory=dict)
    met: dict[str, Met] = field(default_factory=dict)

    def add(self, parts: Sequence[Behind]) -> None:
        """What is behind further features, by parts of the changes that follow one another."""
        for name in parts[0].counts:
            failed, decided = zip(*(part.counts[name] for part in parts), strict=True)
            self.counts.put([(name, (np.concatenate(failed), np.concatenate(decided)))])
        for name in parts[0].words:
            self.words.put([(name, np.concatenate([part.words[name] for part in parts]))])

    def take(self, rows: Ints) -> Behind:
        """The same for the chosen changes."""
        taken = Behind(self.kept)
        taken.counts.put((name, (f[rows], d[rows])) for name, (f, d) in self.counts.items())
        taken.words.put((name, said[rows]) for name, said in self.words.items())
        return taken


@dataclass(frozen=True)
class Asking:
    """The questions of one entity, and where to look for the answers.

    Parameters
    ----------
    given : (ndarray, ndarray), optional
        Counts and last events of the index, where they were asked for already.
    met : (ndarray, ndarray, ndarray), optional
        Planned windows that overlap, likewise.
    """

    changes: Columns
    asked: Asked
    moments: Moments
    usual: Floats
    plan: Plan
    state: FeatureState
    behind: Behind
    cursors: AllCursors
    given: tuple[Ints, Ints] | None = None
    met: Met | None = None
    evidences: dict[tuple[int | None, float], tuple[Floats, Ints, Ints]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )
    """Evidence of the names that was worked out already, by window and weight."""

    @property
    def vocabulary(self) -> str:
        """Where the names asked for are numbered."""
        return ENTITIES[self.plan.entity].vocabulary

    @cached_property
    def _found(self) -> tuple[Ints, Ints]:
        if self.given is not None:
            return self.given
        asked, counted = self.asked, self.plan.happening.counted
        cursors = self.cursors.of(self.plan.entity, counted, self.state)
        arguments = asked.codes, self.moments, asked.owner, asked.row, cursors
        return self.state.index.ask(counted, *arguments)

    @cached_property
    def _standing(self) -> tuple[Ints, Ints]:
        asked, index = self.asked, self.state.topology.index
        arguments = asked.codes, self.moments, asked.owner, asked.row
        return index.ask(self.plan.standing.counted, *arguments)

    def count(self, stream: str, days: int | None) -> Ints:
        """Events of a stream in a window, for every question."""
        found: Ints = self._found[0][self.plan.happening.places[stream, days]]
        return found

    def tallied(self) -> Iterator[tuple[Ints, Floats]]:
        """The features made of counts and last events, some at a time: columns, and values by
        column.
        """
        if len((tallies := self.plan.happening.tallies).columns):
            yield tallies.columns, self._tally(tallies, *self._found)
        if len((tallies := self.plan.standing.tallies).columns):
            yield tallies.columns, self._tally(tallies, *self._standing)

    def _tally(self, tallies: Tallies, counts: Ints, lasts: Ints) -> Floats:
        values, failed, decided = tallies.answers(counts, lasts, self.asked, self.usual)
        if self.behind.kept:
            pairs = zip(failed, decided, strict=True)
            self.behind.counts.put(zip(tallies.rates, pairs, strict=True))
        return values

    @cached_property
    def planned(self) -> tuple[Ints, Ints, Ints]:
        """Code, start and end of the planned window of every question; no code without a start."""
        row, (unknown, starts, ends) = self.asked.row, request.planned(self.changes)
        return np.where(unknown[row], -1, self.asked.codes), starts[row], ends[row]

    def if_planned(self, found: Floats) -> Floats:
        """Answers about the planned window; NaN for a change without one, or without a name."""
        return np.where(self._unplanned, np.nan, found)

    @cached_property
    def _unplanned(self) -> NDArray[np.bool_]:
        unknown, _, _ = request.planned(self.changes)
        return unknown | ~self.asked.named


OF_LAST_YEAR: tuple[Wanted, ...] = (("decided", YEAR), ("failed", YEAR))
"""What the usual failure rate is made of."""


@cache
def _of_last_year() -> tuple[Counted, dict[Wanted, int]]:
    return _counted(OF_LAST_YEAR, "organisation")[:2]


def usual_rate(moments: Moments, owners: Ints, state: FeatureState, cursors: AllCursors) -> Floats:
    """Failure rate of all changes in the year before each moment, as known then; NaN for none."""
    everyone = np.repeat(state.vocabulary("organisation").find([ORGANISATION]), len(owners))
    counted, places = _of_last_year()
    held = cursors.of("usual", counted, state)
    counts = state.index.ask(counted, everyone, moments, owners, None, held)[0]
    return usual_of(counts, places)


def usual_of(counts: Ints, places: Mapping[Wanted, int]) -> Floats:
    """The same from counts of all changes.

    Parameters
    ----------
    places : mapping of (str, int or None) to int
        Rows of the counts by stream and days.
    """
    failed = counts[places["failed", YEAR]]
    decided = at_least(counts[places["decided", YEAR]], failed)
    found = np.full(len(decided), np.nan)
    np.divide(failed, decided, out=found, where=decided > 0)
    return found


def at_least(decided: Ints, failed: Ints) -> Ints:
    """Decided changes, so many as failed at least, for a share of them is never more than all.

    A change that counted as clean when its window closed, and whose link came only later, counts as
    failed when the link came: a short window may hold that moment but not the earlier one.
    """
    return np.maximum(decided, failed)
