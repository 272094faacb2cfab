"""The records behind a score: what a factor counted, what collides, what was done before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from itertools import islice

import numpy as np

from features import instants, request
from features.answers import overlapping
from features.asked import Asked, Questions, ask
from features.asking import at_least
from features.calendar import AHEAD, CLOSED, KINDS
from features.catalogue import Feature
from features.columns import Columns
from features.entities import ENTITIES
from features.index import StreamIndex
from features.instants import MISSING
from features.segment import NONE, Ints
from features.state import FeatureState
from features.streams import RESOLVED
from features.table import FeatureTable, build

SHOWN = 5
"""Records named behind one factor."""

_SPEAKS_FOR_ITSELF = ("request", "place", "planned_starts", "items", "criticality")
"""Streams behind which there is nothing but the change and its items."""

_KINDS = {
    "affected": "same_ci",
    "neighbour": "dependency",
    "second_neighbour": "indirect_dependency",
    "service": "same_service",
    "team": "same_team",
}
"""How near another change is, by the entity both name; the nearest first."""


@dataclass(frozen=True, kw_only=True)
class Collision:
    """Another change planned at the same time, or a closed time of the calendar.

    Parameters
    ----------
    kind : str
        ``same_ci``, ``dependency`` (an item that needs this one or is needed by it),
        ``indirect_dependency`` (over one item between), ``same_service`` or ``same_team``; the
        nearest that applies. Of a closed time ``freeze`` or ``blackout``.
    overlap_minutes : float
    change_id : str, optional
        The other change.
    closed : ClosedTime, optional
        The closed time.
    """

    kind: str
    overlap_minutes: float
    change_id: str | None = None
    closed: ClosedTime | None = None


@dataclass(frozen=True, kw_only=True)
class ClosedTime:
    """A freeze or a blackout.

    Parameters
    ----------
    scope : str
        An item, a service, or ``*`` for all.
    starts_at, ends_at : datetime
        The span, aware.
    """

    entry_id: str
    scope: str
    starts_at: datetime
    ends_at: datetime


@dataclass(frozen=True)
class Question:
    """One change at one moment against the history.

    Parameters
    ----------
    changes : Columns
        A table that holds the change.
    row : int
        Its row.
    as_of : int
        The moment, microseconds.
    table : FeatureTable, optional
        The features of the change at that moment, in one row, where they were built already.
    """

    changes: Columns
    row: int
    as_of: int
    state: FeatureState
    table: FeatureTable | None = None
    _asked: dict[str, Asked] = field(default_factory=dict, init=False, compare=False, repr=False)
    _met: dict[str, dict[int, int]] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @cached_property
    def _one(self) -> Columns:
        if len(self.changes) == 1:
            return self.changes
        return self.changes.take(np.array([self.row]))

    @cached_property
    def _owner(self) -> Ints:
        return self.state.vocabulary("change").find(self._one["change_id"].tolist())

    def one(self) -> Columns:
        """The change alone."""
        return self._one

    def owner(self) -> Ints:
        """Number of the change itself, -1 where it is new."""
        return self._owner

    def asked(self, entity: str) -> Asked:
        """What the change asks about one entity."""
        if entity not in self._asked:
            built = None if self.table is None else self.table.asked.get(entity)
            if built is None:
                at = np.array([self.as_of])
                built = ask(self._one, at, self._owner, entity, self.state)
            elif ENTITIES[entity].hops:  # in no order of their own
                built = replace(built, codes=np.sort(built.codes))
            self._asked[entity] = built
        return self._asked[entity]

    def planned(self, entity: str) -> dict[int, int]:
        """Longest overlap with each other change planned at the same time on a name, microseconds,
        by the other's number.
        """
        if entity not in self._met:
            met = self._met.setdefault(entity, {})
            found = None if self.table is None else self.table.met.get(entity)
            if found is None:
                found = overlapping(
                    self._one, Questions.of_one(entity, self.asked(entity)), self.state
                )[entity]
            for other, micros in zip(found[1].tolist(), found[2].tolist(), strict=True):
                met[other] = max(micros, met.get(other, 0))
        return self._met[entity]

    def codes(self, entity: str) -> list[int]:
        """Numbers of the names that the change asks about and the history knows."""
        return [code for code in self.asked(entity).codes.tolist() if code >= 0]


def records_behind(question: Question, feature: Feature, *, of_all: bool = False) -> list[str]:
    """Ids of the records a feature counted, newest first, as known then.

    Parameters
    ----------
    of_all : bool
        Those of every name of the change, even where the feature is that of the name with most.
    """
    state = question.state
    if feature.stream in _SPEAKS_FOR_ITSELF:
        return []
    if feature.stream.startswith("dependent"):
        return _dependents(question, feature)
    if feature.stream in KINDS:
        return _entries(question, feature)
    if feature.stream == "schedule":
        planned = question.planned(feature.entity)
        names = state.vocabulary("change").names
        return [names[n] for n in sorted(planned, key=lambda n: (-planned[n], names[n]))][:SHOWN]
    stream, kind = _told_of(feature)
    owner = int(question.owner()[0]) if kind == "change" else -1
    window = None if feature.window_days is None else feature.window_days * instants.DAY
    vocabulary = ENTITIES[feature.entity].vocabulary
    index = state.events(stream, vocabulary)
    counted: list[tuple[int, int]] = []
    for code in _counted_names(question, feature, of_all):
        found = index.newest(code, question.as_of, window, owner)
        if feature.aggregate == "open":
            ended = state.events(RESOLVED[stream], vocabulary)
            found = _unresolved(ended, question.as_of, code, found)
        counted += islice(found, SHOWN)
    names = state.vocabulary(kind).names
    newest = dict.fromkeys(number for _, number in sorted(counted, reverse=True))
    return [names[number] for number in newest][:SHOWN]


def _told_of(feature: Feature) -> tuple[str, str]:
    """The stream of the records behind a feature, and what they are."""
    stream = "failed" if feature.aggregate in ("rate", "evidence") else feature.stream
    return stream, "incident" if stream in ("incidents", "major_incidents") else "change"


def _dependents(question: Question, feature: Feature) -> list[str]:
    """Items that need the change's, by name; where they are counted, those of the item that most
    need.
    """
    topology, items = question.state.topology, question.state.vocabulary("ci").names
    codes = question.codes(feature.entity)
    groups = [[code] for code in codes] if feature.stream == "dependents" else [codes]
    found = [
        topology.dependents(np.array(group, np.int64), np.full(len(group), question.as_of))
        for group in groups
    ]
    return sorted(items[code] for code in max(found, key=len, default=NONE).tolist())[:SHOWN]


def _entries(question: Question, feature: Feature) -> list[str]:
    """Entries of the calendar that the planned window meets, or that come after its start."""
    one = question.one()
    start = int(one.times("planned_start")[0])
    if start == MISSING:
        return []
    end = start + AHEAD if feature.aggregate == "days_until" else int(request.end(one)[0])
    codes = np.array(question.codes(feature.entity), np.int64)
    spans = (np.full(len(codes), moment) for moment in (start, end, question.as_of))
    _, met, _ = question.state.calendar.meeting(feature.stream, codes, *spans)
    entries = question.state.calendar.ids
    return list(dict.fromkeys(entries[place] for place in np.sort(met).tolist()))[:SHOWN]


def _counted_names(question: Question, feature: Feature, of_all: bool) -> list[int]:
    """Numbers of the names a feature speaks of: all of them, the one that has most, or the one word
    of an evidence.
    """
    if feature.aggregate == "evidence":
        words = [word for word in _built(question).words[feature.name] if word is not None]
        found = question.state.vocabulary(ENTITIES[feature.entity].vocabulary).find(words)
        return [code for code in found.tolist() if code >= 0]
    codes = question.codes(feature.entity)
    counts = feature.aggregate in ("count", "open", "rate")
    several = bool(codes) and len(question.asked(feature.entity).codes) > 1
    if counts and several and feature.across == "max" and not of_all:
        return _with_most(question, feature, np.array(codes))
    return codes


def _with_most(question: Question, feature: Feature, codes: Ints) -> list[int]:
    """The name whose value a feature tells, in a list; none where it is one nobody knows."""
    window = None if feature.window_days is None else feature.window_days * instants.DAY
    vocabulary, (stream, kind) = ENTITIES[feature.entity].vocabulary, _told_of(feature)
    times, owners = np.full(len(codes), question.as_of), np.full(len(codes), -1)
    if kind == "change":
        owners[:] = question.owner()[0]

    def count(stream: str) -> Ints:
        index = question.state.events(stream, vocabulary)
        return index.counts(codes, times, [window], owners)[window]

    found = count(stream)
    if feature.aggregate == "rate":
        failed, decided = (counts[0] for counts in _built(question).support[feature.name])
        told = (found == failed) & (at_least(count("decided"), found) == decided)
    else:
        if feature.aggregate == "open":
            found = found - count(RESOLVED[stream])
        told = found == found.max()
    return [int(code) for code in codes[told][:1]]


def _built(question: Question) -> FeatureTable:
    """The features of the change at that moment, in one row."""
    if question.table is not None:
        return question.table
    return build(question.one(), np.array([question.as_of]), question.state)


def _unresolved(
    resolved: StreamIndex, as_of: int, code: int, incidents: Iterator[tuple[int, int]]
) -> Iterator[tuple[int, int]]:
    """Those of an entity's incidents that had not been resolved, as (time, number)."""
    while some := list(islice(incidents, 64)):
        owners = np.array([number for _, number in some], np.int64)
        codes, until = np.full(len(some), code), np.full(len(some), as_of)
        closed = resolved.owned(codes, owners, until) > 0
        yield from (one for one, gone in zip(some, closed.tolist(), strict=True) if not gone)


def collisions(question: Question) -> list[Collision]:
    """What the planned window meets: freezes and blackouts of its items, services or everybody,
    then other changes on the same items, on those next to them, on its service or of its team,
    the longest overlap first.
    """
    return [*_closed_times(question), *_other_changes(question)]


def _closed_times(question: Question) -> list[Collision]:
    """Freezes and blackouts that the planned window meets, by start."""
    one, calendar = question.one(), question.state.calendar
    start = int(one.times("planned_start")[0])
    if start == MISSING:
        return []
    codes = np.array(question.codes("scope"), np.int64)
    spans = [np.full(len(codes), at) for at in (start, int(request.end(one)[0]), question.as_of)]
    met: dict[int, Collision] = {}
    for kind in CLOSED:
        _, places, overlaps = calendar.meeting(kind, codes, *spans)
        for place, micros in zip(places.tolist(), overlaps.tolist(), strict=True):
            starts_at, ends_at = map(instants.from_micros, calendar.span(place))
            if starts_at is None or ends_at is None:
                continue  # an entry without both is in no index
            closed = ClosedTime(
                entry_id=calendar.ids[place],
                scope=calendar.scopes[place],
                starts_at=starts_at,
                ends_at=ends_at,
            )
            met[place] = Collision(kind=kind, overlap_minutes=_minutes(micros), closed=closed)
    return [met[place] for place in sorted(met, key=lambda place: (calendar.span(place), place))]


def _minutes(micros: int) -> float:
    return round(micros / (60 * instants.SECOND), 1)


def _other_changes(question: Question) -> list[Collision]:
    found: dict[int, Collision] = {}
    for entity, kind in _KINDS.items():
        for other, micros in question.planned(entity).items():
            if other not in found:
                found[other] = Collision(
                    change_id=question.state.vocabulary("change").names[other],
                    kind=kind,
                    overlap_minutes=_minutes(micros),
                )
    return sorted(found.values(), key=lambda c: (-c.overlap_minutes, c.change_id or ""))
