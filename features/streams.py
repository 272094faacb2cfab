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

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from features import request
from features.columns import Columns
from features.entities import EMITTED, ENTITIES, ORGANISATION, Vocabulary
from features.history import History
from features.index import Events, Ints, Windows
from features.instants import MISSING
from features.policy import LabelPolicy
from features.records import Incident
from features.verdicts import NEVER, Revisions, Verdicts, verdicts

MAJOR = 2
"""Priority up to which an incident counts as major."""

SCHEDULED = ("affected", "service", "team")
"""Entities under which planned windows are kept."""

_INCIDENT_FIELDS = {"ci": "ci", "service": "service", "team": "assignment_group"}

Streams = Mapping[tuple[str, str], Events]
"""Events by (stream, vocabulary)."""


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


def streams(history: History, policy: LabelPolicy, names: Vocabularies) -> Streams:
    """All events of a history."""
    found = verdicts(history, policy)
    return {
        **_change_streams(found, names),
        **_planned_starts(found.revisions, names),
        **_incident_streams(history[Incident], names),
    }


def planned_windows(revisions: Revisions, names: Vocabularies) -> dict[str, Windows]:
    """Planned windows of every revision, by vocabulary, and while each of them held."""
    table = revisions.table
    rows = np.flatnonzero(table.times("planned_start") != MISSING)
    table = table.take(rows)
    superseded = revisions.superseded[rows]
    owners = names["change"].learn(table["change_id"])
    found = {}
    for entity in SCHEDULED:
        named = ENTITIES[entity].read(table)
        found[ENTITIES[entity].vocabulary] = Windows(
            code=names[ENTITIES[entity].vocabulary].learn(named.names),
            starts=request.start(table)[named.row],
            ends=request.end(table)[named.row],
            known=table.times("known_at")[named.row],
            superseded=superseded[named.row],
            owner=owners[named.row],
        )
    return found


def _change_streams(found: Verdicts, names: Vocabularies) -> Streams:
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
    events = {}
    for stream, (rows, times) in moments.items():
        table = revisions.table.take(rows)
        owners = names["change"].learn(table["change_id"])
        for entity in EMITTED:
            named = ENTITIES[entity].read(table)
            vocabulary = ENTITIES[entity].vocabulary
            codes = names[vocabulary].learn(named.names)
            events[stream, vocabulary] = Events.of(codes, times[named.row], owners[named.row])
    return events


def _planned_starts(revisions: Revisions, names: Vocabularies) -> Streams:
    """Each planned start of each change when it was first known: under the change, and alone."""
    named = ENTITIES["planned_start"].read(revisions.table)
    codes = names["planned_start"].learn(named.names)
    # Revisions are in the order in which they became known.
    _, first = np.unique(codes, return_index=True)
    rows, codes = named.row[first], codes[first]
    times = revisions.table.times("known_at")[rows]
    changes = names["change"].learn(revisions.table["change_id"][rows])
    return {
        ("planned_starts", "change"): Events.of(changes, times, codes),
        ("planned_starts", "planned_start"): Events.of(codes, times, codes),
    }


def _incident_streams(incidents: Columns, names: Vocabularies) -> Streams:
    owners = names["incident"].learn(incidents["incident_id"])
    known, resolved = incidents.times("known_at"), incidents.times("resolved_at")
    order = np.argsort(known, kind="stable")

    def first(rows: Ints) -> Ints:
        """The first of the given rows, which are in order, for each incident."""
        return rows[np.unique(owners[rows], return_index=True)[1]]

    urgent = incidents.numbers("priority") <= MAJOR
    opened = first(order)
    closed = first(order[resolved[order] != MISSING])
    major = first(order[urgent[order]])
    _, at, of = np.intersect1d(owners[closed], owners[major], return_indices=True)
    ended = np.maximum(known[closed], resolved[closed])
    moments = {
        "incidents": (opened, known[opened]),
        "major_incidents": (major, known[major]),
        "resolved": (closed, ended),
        "major_resolved": (closed[at], np.maximum(ended[at], known[major[of]])),
    }
    # A resolution takes its incident off the item it was opened on.
    at_opening = dict(zip(owners[opened].tolist(), opened.tolist(), strict=True))
    events = {}
    for stream, (rows, times) in moments.items():
        source = np.array([at_opening[owner] for owner in owners[rows].tolist()], np.int64)
        for vocabulary, name in _INCIDENT_FIELDS.items():
            values = incidents[name][source]
            keep = np.array([bool(value) for value in values], bool)
            codes = names[vocabulary].learn(values[keep])
            events[stream, vocabulary] = Events.of(codes, times[keep], owners[rows][keep])
        everyone = names["organisation"].learn([ORGANISATION] * len(rows))
        events[stream, "organisation"] = Events.of(everyone, times, owners[rows])
    return events
