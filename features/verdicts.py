"""Every change's verdict and when it became known: the claims that decide a label."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.columns import Columns
from features.entities import ENTITIES
from features.history import History
from features.index import EventIndex, StreamIndex
from features.instants import MISSING
from features.mentions import numbers_among
from features.names import Vocabulary
from features.policy import LabelPolicy
from features.records import Change, ChangeEvent, Incident, Link
from features.segment import Events, Ints

NEVER: int = np.iinfo(np.int64).max
"""A moment that has not come."""


@dataclass(frozen=True)
class Revisions:
    """All revisions, those of a change together and in the order in which they became known.

    Parameters
    ----------
    code : ndarray of int64
        Number of the change, ascending.
    start : ndarray of int64
        Start of the label window: planned start, else submission, else first known.
    superseded : ndarray of int64
        When the next revision became known; ``NEVER`` for the last.
    first : ndarray of int64
        Row of each change's first revision, by its number.
    """

    table: Columns
    code: Ints
    start: Ints
    superseded: Ints
    first: Ints

    @classmethod
    def of(cls, changes: Columns) -> Revisions:
        """Sort a table of changes into revisions."""
        # Numbers anew, for of a table that was taken from another some names may have no row.
        code = pd.factorize(changes.once_each("change_id")[0])[0].astype(np.int64)
        order = np.lexsort((np.arange(len(code)), changes.times("known_at"), code))
        table, code = changes.take(order), code[order]
        known = table.times("known_at")
        superseded = np.full(len(known), NEVER)
        same = code[1:] == code[:-1]
        superseded[:-1][same] = known[1:][same]
        first = np.flatnonzero(np.concatenate([[True], ~same])[: len(code)])
        return cls(table, code, start_of(table), superseded, first)

    def standing(self, change: int, moment: int) -> int:
        """Row of the revision of a change that stood at a moment, else its first."""
        low = int(self.first[change])
        high = int(self.first[change + 1]) if change + 1 < len(self.first) else len(self.code)
        known = self.table.times("known_at")[low:high]
        return low + max(int(np.searchsorted(known, moment, "right")) - 1, 0)


@dataclass(frozen=True)
class Verdicts:
    """When each change's outcome was decided, and when a failure became known.

    All arrays have one element a change, in the order of ``revisions.first``.

    Parameters
    ----------
    deciding : ndarray of int64
        Row in ``revisions`` of the revision that stood when the label window closed.
    decided_at : ndarray of int64
        When that was: from then on a change without a link counts as clean.
    failing : ndarray of int64
        Row in ``revisions`` of the revision that stood when a failure became known, -1 for none.
    failed_at : ndarray of int64
        When the first qualifying link became known; ``NEVER`` for none.
    source : ndarray of object
        The source of that link, None without one.
    confidence : ndarray of float64
        Its confidence, NaN without one.
    """

    revisions: Revisions
    deciding: Ints
    decided_at: Ints
    failing: Ints
    failed_at: Ints
    source: NDArray[np.object_]
    confidence: NDArray[np.float64]


def verdicts(history: History, policy: LabelPolicy) -> Verdicts:
    """Every change's verdict under a policy, with the times that make it usable in the past.

    Every moment returned depends only on facts known by then, so that what a feature counts at
    ``t`` does not change when later facts are added.
    """
    revisions = Revisions.of(history[Change])
    deciding, decided_at = _deciding(revisions, policy)
    changes = len(deciding)
    found = Verdicts(
        revisions,
        deciding,
        decided_at,
        np.full(changes, -1),
        np.full(changes, NEVER),
        np.full(changes, None, dtype=object),
        np.full(changes, np.nan),
    )
    change_ids = revisions.table["change_id"][revisions.first]
    number = {change_id: code for code, change_id in enumerate(change_ids)}
    for claim in _claims(history, found, policy):
        change = number.get(claim.change_id)
        if change is not None:
            _weigh(claim, change, found, policy)
    return found


def _weigh(claim: _Claim, change: int, found: Verdicts, policy: LabelPolicy) -> None:
    """Let a claim decide, if it qualifies and became known before any other."""
    revisions = found.revisions
    recorded = int(revisions.table.times("known_at")[revisions.first[change]])
    known = max(claim.known_at, recorded)
    row = revisions.standing(change, known)
    start = int(revisions.start[row])
    submitted = int(revisions.table.times("submitted_at")[row])
    first = min(start, recorded if submitted == MISSING else submitted)
    in_time = first <= claim.occurred_at <= start + policy.window
    urgent = policy.max_priority is None or claim.priority <= policy.max_priority
    believed = claim.confidence >= policy.min_confidence
    if in_time and urgent and believed and known < found.failed_at[change]:
        found.failed_at[change] = known
        found.failing[change] = row
        found.source[change] = claim.source
        found.confidence[change] = claim.confidence


def start_of(changes: Columns) -> Ints:
    """Start of each revision's label window: planned start, else submission, else first known."""
    planned, submitted = changes.times("planned_start"), changes.times("submitted_at")
    fallback = np.where(submitted != MISSING, submitted, changes.times("known_at"))
    return np.where(planned != MISSING, planned, fallback)


def _deciding(revisions: Revisions, policy: LabelPolicy) -> tuple[Ints, Ints]:
    """For each change the revision that stood when its window closed, and when that was.

    A change that is put off before its window has closed is decided later.
    """
    decided = revisions.start + policy.window + policy.settle
    decided = np.maximum(decided, revisions.table.times("known_at"))
    rows = np.flatnonzero(decided < revisions.superseded)
    _, first = np.unique(revisions.code[rows], return_index=True)
    rows = rows[first]
    return rows, decided[rows]


@dataclass(frozen=True)
class _Claim:
    """Somebody's or something's word that a change led to an incident."""

    change_id: str
    source: str
    confidence: float
    occurred_at: int
    known_at: int
    priority: float = np.nan


def _claims(history: History, found: Verdicts, policy: LabelPolicy) -> Iterator[_Claim]:
    table = found.revisions.table
    if len(history[Link]):
        yield from _linked(history, policy)
    if "text" in policy.sources and len(history[Incident]):
        yield from _mentions(history, set(table["change_id"]))
    if "same_item" in policy.sources:
        yield from _rises(history, found, policy)
    if "back_out" in policy.sources and len(history[ChangeEvent]):
        yield from _back_outs(history[ChangeEvent])


def first_rows(incidents: Columns, wanted: set[str] | None = None) -> dict[str, int]:
    """Row of the first word on each incident, or on each of those wanted."""
    ids, rows = incidents["incident_id"], np.arange(len(incidents))
    if wanted is not None:
        rows = rows[[name in wanted for name in ids]]
    order = rows[np.argsort(incidents.times("known_at")[rows], kind="stable")]
    first: dict[str, int] = {}
    for row, name in zip(order.tolist(), ids[order], strict=True):
        first.setdefault(name, row)
    return first


def _linked(history: History, policy: LabelPolicy) -> Iterator[_Claim]:
    """The links that name a cause, of the sources that decide."""
    links, incidents = history[Link], history[Incident]
    source = np.array([name or "explicit" for name in links["source"]], object)
    causes = (links["kind"] == "caused_by") & np.isin(source, policy.sources)
    rows = first_rows(incidents, set(links["incident_id"][causes]))
    opened, known = incidents.times("occurred_at"), incidents.times("known_at")
    for at in np.flatnonzero(causes):
        incident = rows.get(links["incident_id"][at])
        if incident is None:
            continue
        yield _Claim(
            links["change_id"][at],
            source[at],
            float(links.numbers("confidence")[at]),
            int(opened[incident]),
            max(int(links.times("known_at")[at]), int(known[incident])),
            float(incidents.numbers("priority")[incident]),
        )


def _mentions(history: History, change_ids: set[str]) -> Iterator[_Claim]:
    """Change numbers in the incidents' texts, from the revision of the text that names them.

    An incident that a change repairs names it too: a mention is not a cause where a ``fixed_by``
    link was known by then.
    """
    incidents, links = history[Incident], history[Link]
    fixing = {
        (links["incident_id"][at], links["change_id"][at]): int(links.times("known_at")[at])
        for at in np.argsort(-links.times("known_at"), kind="stable")
        if links["kind"][at] == "fixed_by"
    }
    opened, known = incidents.times("occurred_at"), incidents.times("known_at")
    priority = incidents.numbers("priority")
    rows, numbers = numbers_among(incidents, change_ids)
    for row, number in zip(rows.tolist(), numbers, strict=True):
        fixed = fixing.get((incidents["incident_id"][row], number), NEVER)
        if fixed > known[row]:
            yield _Claim(
                number, "text", 0.9, int(opened[row]), int(known[row]), float(priority[row])
            )


def _back_outs(events: Columns) -> Iterator[_Claim]:
    unplanned = (events["kind"] == "backed_out") & (events.numbers("planned") == 0)
    for at in np.flatnonzero(unplanned):
        yield _Claim(
            events["change_id"][at],
            "back_out",
            1.0,
            int(events.times("occurred_at")[at]),
            int(events.times("known_at")[at]),
            1.0,
        )


def incident_index(incidents: Columns, items: Vocabulary, policy: LabelPolicy) -> StreamIndex:
    """First words on the incidents that count under a policy, by item."""
    rows = np.array(sorted(first_rows(incidents).values()), np.int64)
    if policy.max_priority is not None:
        rows = rows[incidents.numbers("priority")[rows] <= policy.max_priority]
    if policy.close_code is not None:
        rows = rows[_closed_as(incidents, rows, policy)]
    rows = rows[[ci is not None for ci in incidents["ci"][rows]]]
    known = incidents.times("known_at")[rows]
    events = Events.of(items.learn(incidents["ci"][rows]), known, rows)
    slot = "incidents", "ci"
    return EventIndex.of({slot: events}).stream(*slot)


def _closed_as(incidents: Columns, rows: Ints, policy: LabelPolicy) -> NDArray[np.bool_]:
    """Which incidents were closed with the policy's code within its settling time.

    The settling time runs from the opening of each incident, so that an incident before a change
    has as long to be closed as one after it, and all are by the time the change is decided.
    """
    known, latest = incidents.times("known_at"), dict[str, int]()
    for row in np.flatnonzero(incidents["close_code"] == policy.close_code).tolist():
        name = incidents["incident_id"][row]
        latest[name] = min(int(known[row]), latest.get(name, NEVER))
    opened = known[rows]
    closed = np.array(
        [latest.get(name, NEVER) for name in incidents["incident_id"][rows]], np.int64
    )
    return closed - opened <= policy.settle


def counts_around(
    incidents: StreamIndex, items: Vocabulary, changes: Columns, start: Ints, window: int
) -> tuple[Ints, Ints]:
    """Incidents on each change's items in the window after and the window before its start."""
    named = ENTITIES["affected"].read(changes)
    codes, nobody = named.found_in(items), np.full(len(named.row), -1)
    found = []
    for until in (start + window, start):
        counts = incidents.counts(codes, until[named.row], [window], nobody)[window]
        found.append(
            np.bincount(named.row, weights=counts, minlength=len(changes)).astype(np.int64)
        )
    return found[0], found[1]


def _rises(history: History, found: Verdicts, policy: LabelPolicy) -> Iterator[_Claim]:
    items = Vocabulary()
    incidents = incident_index(history[Incident], items, policy)
    changes = found.revisions.table.take(found.deciding)
    start = found.revisions.start[found.deciding]
    after, before = counts_around(incidents, items, changes, start, policy.window)
    for row in np.flatnonzero(after >= before + policy.min_rise):
        # Known only once the window has closed: until then "after" is still being counted.
        yield _Claim(
            changes["change_id"][row],
            "same_item",
            float((after[row] - before[row]) / after[row]),
            int(start[row]),
            int(found.decided_at[row]),
            1.0,
        )
