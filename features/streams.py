"""Facts to events: what the index counts, each event at the moment it became known.

``changes``
    A change was submitted; its first revision.
``decided``, ``failed``
    The label of a change was decided, and decided as a failure; the two halves of a rate. Both at
    the moment the window closed (or later, where the link came later), so that a rate never counts
    failures of changes whose clean neighbours are still undecided.
``failures``
    A failure became known, as early as it did.
``incidents``, ``major_incidents``, ``resolved``, ``major_resolved``
    An incident was first recorded, first recorded as priority 2 or more urgent, resolved; a major
    one was resolved.
``planned_starts``
    A revision brought a planned start that the change had not had before.

What items and relations say becomes events in :mod:`features.topology`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import pandas as pd

from features import request
from features.catalogue import CATALOGUE
from features.catalogue.feature import Feature
from features.columns import MANY, Columns
from features.entities import EMITTED, ENTITIES, ORGANISATION
from features.index import Slot, numbered
from features.instants import MISSING, NEVER
from features.names import Vocabulary, look_up
from features.overlap import Windows
from features.readings import all_of, coded
from features.segment import NAME_BITS, NO_EVENTS, Events, Ints, spread
from features.verdicts import Revisions, Verdicts

MAJOR = 2
"""Priority up to which an incident counts as major."""

SCHEDULED = ("affected", "service", "team")
"""Entities under which planned windows are kept."""

_SCHEDULED = {ENTITIES[entity].vocabulary: kind for kind, entity in enumerate(SCHEDULED)}

_INCIDENT_FIELDS = {"ci": "ci", "service": "service", "team": "assignment_group"}

CHANGE_STREAMS = ("changes", "decided", "failed", "failures")
"""Streams whose events tell of changes."""

_INCIDENT_STREAMS = ("incidents", "major_incidents", "resolved", "major_resolved")

RESOLVED = {"incidents": "resolved", "major_incidents": "major_resolved"}
"""The stream that takes off what another has opened."""

_PLANNED = (("planned_starts", "change"), ("planned_starts", "planned_start"))

Stream = tuple[Slot, Events]


@dataclass(frozen=True)
class Streams:
    """Events of many slots, made one slot after another.

    Parameters
    ----------
    moments : list of ndarray of int64
        All moments of the events.
    events : iterator of ((str, str), Events)
        In the order of ``SLOTS``.
    """

    moments: list[Ints]
    events: Iterator[Stream]


def streams_of(feature: Feature) -> tuple[str, ...]:
    """The streams of events that a feature needs."""
    if feature.aggregate in ("rate", "evidence"):
        return ("decided", "failed")
    if feature.aggregate == "open":
        return (feature.stream, RESOLVED[feature.stream])
    return (feature.stream,) if feature.aggregate in ("count", "days_since") else ()


_BEHIND = {
    *(("decided", vocabulary) for vocabulary in ("change_model", "ci", "action")),
    *((stream, "organisation") for stream in ("decided", "failures")),
    ("failures", "ci"),
    *_PLANNED,
}
"""What is asked for besides features: similar changes and their outcomes, the placebo,
reschedules."""


def _slots() -> tuple[Slot, ...]:
    asked = _BEHIND | {
        (stream, ENTITIES[feature.entity].vocabulary)
        for feature in CATALOGUE
        if feature.aggregate != "value"
        for stream in streams_of(feature)
    }
    emitted = [
        *((s, ENTITIES[entity].vocabulary) for entity in EMITTED for s in CHANGE_STREAMS),
        *_PLANNED,
        *((s, v) for s in _INCIDENT_STREAMS for v in (*_INCIDENT_FIELDS, "organisation")),
    ]
    return tuple(slot for slot in emitted if slot in asked)


SLOTS: tuple[Slot, ...] = _slots()
"""The streams kept and for whom: those that something asks for."""

_KEPT = frozenset(SLOTS)

_NUMBER = {slot: number for number, slot in enumerate(SLOTS)}

_CHANGE_SLOTS = [
    np.array([_NUMBER.get((stream, ENTITIES[entity].vocabulary), -1) for entity in EMITTED])
    for stream in CHANGE_STREAMS
]
"""By stream of changes and entity the number of the slot; -1 for one that is not kept."""

_OWNED = (*CHANGE_STREAMS, "resolved", "major_resolved")

OWNED = {n: _OWNED.index(stream) for n, (stream, _) in enumerate(SLOTS) if stream in _OWNED}
"""Numbers of the slots whose events are looked for by owner, and those of their streams: a change
never counts its own, and whether an incident was resolved is asked of it alone."""


@dataclass
class Vocabularies:
    """All names seen, by kind."""

    by_kind: dict[str, Vocabulary] = field(
        default_factory=lambda: {
            kind: Vocabulary()
            for kind in ("change", "incident", *(e.vocabulary for e in ENTITIES.values()))
        }
    )

    def __getitem__(self, kind: str) -> Vocabulary:
        return self.by_kind[kind]


def streams(found: Verdicts, incidents: Columns, names: Vocabularies) -> Streams:
    """All events of changes and their verdicts, and of incidents."""
    parts = change_streams(found, names), incident_streams(incidents, names)
    moments = chain.from_iterable(part.moments for part in parts)
    return Streams([*moments], chain.from_iterable(part.events for part in parts))


def planned_windows(revisions: Revisions, names: Vocabularies) -> Windows:
    """Planned windows of every revision, and while each of them held; by all that it names, whose
    codes say of which kind they are.
    """
    table = revisions.table
    rows = np.flatnonzero(table.times("planned_start") != MISSING)
    if len(rows) < len(table):
        table = table.take(rows)
    read = [ENTITIES[entity].read(table) for entity in SCHEDULED]
    kinds = (ENTITIES[entity].vocabulary for entity in SCHEDULED)
    codes = [
        schedule_of(kind) | named.learnt_by(names[kind])
        for kind, named in zip(kinds, read, strict=True)
    ]
    row = np.concatenate([named.row for named in read])
    return Windows(
        code=np.concatenate(codes),
        starts=request.start(table)[row],
        ends=request.end(table)[row],
        known=table.times("known_at")[row],
        superseded=revisions.superseded[rows][row],
        owner=_owners(revisions, names)[rows][row],
    )


def schedule_of(vocabulary: str) -> int:
    """What stands before a name's code where planned windows are kept by it."""
    return _SCHEDULED[vocabulary] << NAME_BITS


def change_streams(found: Verdicts, names: Vocabularies) -> Streams:
    """The events of changes."""
    revisions, moments = found.revisions, _moments(found)
    known = revisions.table.times("known_at")
    events = _change_events(revisions, _owners(revisions, names), moments, names)
    return Streams([known, *(times for _, times in moments.values())], events)


def _moments(found: Verdicts) -> dict[str, tuple[Ints, Ints]]:
    """Rows of the revisions and moments of every stream of changes, in the order of time."""
    revisions = found.revisions
    failed = found.failed_at < NEVER
    decided_failed = np.maximum(found.failed_at, found.decided_at)
    known = revisions.table.times("known_at")
    moments = {
        "changes": (revisions.first, known[revisions.first]),
        "decided": (found.deciding, found.decided_at),
        "failed": (found.deciding[failed], decided_failed[failed]),
        "failures": (found.failing[failed], found.failed_at[failed]),
    }
    for stream, (rows, times) in moments.items():
        order = np.argsort(times, kind="stable")  # once for all vocabularies
        moments[stream] = rows[order], times[order]
    return moments


def events_of_few(found: Verdicts, names: Vocabularies) -> Events:
    """The events of few changes, all slots together, with entities as codes: the same as those of
    :func:`change_streams` in a fraction of the time.
    """
    revisions = found.revisions
    owners = _owners(revisions, names)
    names_of = _names_of_few if len(revisions.table) < MANY else _names_of_many
    row, code, kind = names_of(revisions.table, names)
    count = np.bincount(row, minlength=len(revisions.code))
    first = np.cumsum(count) - count
    parts = []
    for slots, (rows, times) in zip(_CHANGE_SLOTS, _moments(found).values(), strict=True):
        if not len(rows):
            continue
        each, place = spread(first[rows], count[rows])
        slot = slots[kind[place]]
        kept = np.flatnonzero(slot >= 0)
        each, place = each[kept], place[kept]
        entity = slot[kept] << NAME_BITS | code[place]
        parts.append(Events.of(entity, times[each], owners[rows[each]]))
    planned = numbered(_planned_starts(revisions, owners, names), _NUMBER)
    return Events.concatenate([*parts, planned])


def _names_of_many(changes: Columns, names: Vocabularies) -> tuple[Ints, Ints, Ints]:
    """Rows, ascending, codes and kinds of all names under which changes enter the record."""
    read = [ENTITIES[entity].read(changes) for entity in EMITTED]
    learnt = zip(read, (names[ENTITIES[entity].vocabulary] for entity in EMITTED), strict=True)
    code = np.concatenate([named.learnt_by(vocabulary) for named, vocabulary in learnt])
    row = np.concatenate([named.row for named in read])
    kind = np.repeat(np.arange(len(read)), [len(named.row) for named in read])
    order = np.argsort(row, kind="stable")
    return row[order], code[order], kind[order]


def _names_of_few(changes: Columns, names: Vocabularies) -> tuple[Ints, Ints, Ints]:
    """The same of few changes in half the time."""
    each = [ENTITIES[entity].read.each(changes) for entity in EMITTED]
    vocabularies = [names[ENTITIES[entity].vocabulary] for entity in EMITTED]
    pairs = [*zip(vocabularies, each, strict=True)]
    look_up((vocabulary, all_of(found)) for vocabulary, found in pairs)
    row: list[int] = []
    code: list[int] = []
    kind: list[int] = []
    for number, (vocabulary, found) in enumerate(pairs):
        rows, codes = coded(found, vocabulary.numbers)
        row += rows
        code += codes
        kind += [number] * len(rows)
    flat = np.array([row, code, kind], np.int64)
    in_rows = flat[:, np.argsort(flat[0], kind="stable")]
    return in_rows[0], in_rows[1], in_rows[2]


def _change_events(
    revisions: Revisions, owners: Ints, moments: dict[str, tuple[Ints, Ints]], names: Vocabularies
) -> Iterator[Stream]:
    for entity in EMITTED:
        vocabulary = ENTITIES[entity].vocabulary
        named = ENTITIES[entity].read(revisions.table)
        codes = named.learnt_by(names[vocabulary])
        count = np.bincount(named.row, minlength=len(revisions.code))
        first = np.cumsum(count) - count
        for stream, (rows, times) in moments.items():
            if (stream, vocabulary) not in _KEPT:
                continue
            if not len(rows):
                yield (stream, vocabulary), NO_EVENTS
                continue
            each, place = spread(first[rows], count[rows])
            yield (stream, vocabulary), Events.of(codes[place], times[each], owners[rows[each]])

    yield from _planned_starts(revisions, owners, names)


def _owners(revisions: Revisions, names: Vocabularies) -> Ints:
    """Number of the change of every revision."""
    place, ids = revisions.table.once_each("change_id")
    return names["change"].learn(ids, again=True, once_each=True)[place]


def _planned_starts(revisions: Revisions, owners: Ints, names: Vocabularies) -> Iterator[Stream]:
    """Each planned start of each change when it was first known: under the change, and alone."""
    named = ENTITIES["planned_start"].read(revisions.table)
    codes = named.learnt_by(names["planned_start"])
    # Revisions are in the order in which they became known.
    _, first = np.unique(codes, return_index=True)
    rows, codes = named.row[first], codes[first]
    times = revisions.table.times("known_at")[rows]
    yield _PLANNED[0], Events.of(owners[rows], times, codes)
    yield _PLANNED[1], Events.of(codes, times, codes)


def incident_streams(incidents: Columns, names: Vocabularies) -> Streams:
    """The events of incidents."""
    number, ids = pd.factorize(incidents["incident_id"])
    owner = names["incident"].learn(ids, once_each=True)
    known, resolved = incidents.times("known_at"), incidents.times("resolved_at")
    order = np.argsort(known, kind="stable")

    def first(rows: Ints) -> Ints:
        """The first of the given rows, which are in order, for each incident."""
        found = np.full(len(ids), -1)
        found[number[rows[::-1]]] = rows[::-1]  # of several the one written last stays
        return found

    opened = first(order)
    major = first(order[(incidents.numbers("priority") <= MAJOR)[order]])
    closed = first(order[resolved[order] != MISSING])
    ended = np.maximum(known[closed], resolved[closed])
    moments = {
        "incidents": (opened >= 0, known[opened]),
        "major_incidents": (major >= 0, known[major]),
        "resolved": (closed >= 0, ended),
        "major_resolved": ((closed >= 0) & (major >= 0), np.maximum(ended, known[major])),
    }
    in_time = {}
    for stream, (there, times) in moments.items():
        which = np.flatnonzero(there)
        which = which[np.argsort(times[which], kind="stable")]
        in_time[stream] = which, times[which]
    # A resolution takes its incident off the item it was opened on.
    codes = {v: _codes_of(incidents, f, names[v])[opened] for v, f in _INCIDENT_FIELDS.items()}
    codes["organisation"] = np.repeat(names["organisation"].learn([ORGANISATION]), len(ids))
    events = _incident_events(in_time, codes, owner)
    return Streams([times for _, times in in_time.values()], events)


def _codes_of(incidents: Columns, field: str, names: Vocabulary) -> Ints:
    """Code of what a field of every incident names; -1 for nothing."""
    place, values = incidents.numbered(field)
    said = [value for value in values if value]
    codes = np.full(len(values) + 1, -1)
    codes[:-1][[bool(value) for value in values]] = names.learn(said)
    return codes[place]


def _incident_events(
    moments: dict[str, tuple[Ints, Ints]], codes: dict[str, Ints], owner: Ints
) -> Iterator[Stream]:
    for stream, (which, times) in moments.items():
        for vocabulary, code in codes.items():
            if (stream, vocabulary) in _KEPT:
                kept = code[which] >= 0
                some = which[kept]
                yield (stream, vocabulary), Events.of(code[some], times[kept], owner[some])
