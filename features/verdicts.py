"""Every change's verdict and when it became known: the claims that decide a label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.columns import MANY, Columns, array_of
from features.entities import ENTITIES
from features.history import History
from features.index import EventIndex, StreamIndex
from features.instants import MISSING, NEVER
from features.mentions import numbers_among
from features.names import Vocabulary
from features.policy import LabelPolicy
from features.records import Change, ChangeEvent, Incident, Link
from features.segment import Events, Ints


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
        code = changes.once_each("change_id")[0]
        if len(changes) >= MANY:  # of a large table that was taken from another some have no row
            code = pd.factorize(code)[0].astype(np.int64)
        order = np.lexsort((np.arange(len(code)), changes.times("known_at"), code))
        table, code = changes.take(order), code[order]
        known = table.times("known_at")
        superseded = np.full(len(known), NEVER)
        same = code[1:] == code[:-1]
        superseded[:-1][same] = known[1:][same]
        first = np.flatnonzero(np.concatenate([[True], ~same])[: len(code)])
        return cls(table, code, start_of(table), superseded, first)

    def standing(self, changes: Ints, moments: Ints) -> Ints:
        """Rows of the revisions of changes that stood at a moment each, else their first ones."""
        known = self.table.times("known_at")
        rows, last = self.first[changes], np.append(self.first[1:], len(known))[changes] - 1
        going = np.flatnonzero(rows < last)
        while len(going):
            going = going[known[rows[going] + 1] <= moments[going]]
            rows[going] += 1
            going = going[rows[going] < last[going]]
        return rows


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
    parts = [part for part in _claims(history, found, policy) if len(part.change_id)]
    if parts:
        _weigh(_Claims.together(parts), found, policy)
    return found


def _weigh(claims: _Claims, found: Verdicts, policy: LabelPolicy) -> None:
    """Let the claim decide that became known first of those that qualify; of equals the first."""
    revisions = found.revisions
    table, first = revisions.table, revisions.first
    number = dict(zip(table["change_id"][first].tolist(), range(len(first)), strict=True))
    change = np.array([number.get(name, -1) for name in claims.change_id.tolist()], np.int64)
    claims, change = claims.take(change >= 0), change[change >= 0]
    recorded = table.times("known_at")[first[change]]
    known = np.maximum(claims.known_at, recorded)
    row = revisions.standing(change, known)
    start, submitted = revisions.start[row], table.times("submitted_at")[row]
    earliest = np.minimum(start, np.where(submitted == MISSING, recorded, submitted))
    qualifies = (earliest <= claims.occurred_at) & (claims.occurred_at <= start + policy.window)
    qualifies &= claims.confidence >= policy.min_confidence
    if policy.max_priority is not None:
        qualifies &= claims.priority <= policy.max_priority
    chosen = np.flatnonzero(qualifies)
    chosen = chosen[np.lexsort((known[chosen], change[chosen]))]
    decides = np.ones(len(chosen), bool)
    decides[1:] = np.diff(change[chosen]) > 0
    chosen = chosen[decides]
    failed = change[chosen]
    found.failed_at[failed], found.failing[failed] = known[chosen], row[chosen]
    found.source[failed] = claims.source[chosen]
    found.confidence[failed] = claims.confidence[chosen]


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
class _Claims:
    """Somebody's or something's words that changes led to incidents."""

    change_id: NDArray[np.object_]
    source: NDArray[np.object_]
    confidence: NDArray[np.float64]
    occurred_at: Ints
    known_at: Ints
    priority: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        change_id: NDArray[np.object_],
        source: str,
        confidence: float | NDArray[np.float64],
        occurred_at: Ints,
        known_at: Ints,
        priority: float | NDArray[np.float64],
    ) -> _Claims:
        """Those of one source."""
        length = len(change_id)
        sources = np.full(length, source, dtype=object)
        sure, urgent = (np.broadcast_to(value, length) for value in (confidence, priority))
        return cls(change_id, sources, sure, occurred_at, known_at, urgent)

    @classmethod
    def together(cls, parts: Sequence[_Claims]) -> _Claims:
        """All of several sources, in their order."""
        names = [field.name for field in fields(cls)]
        return cls(*(np.concatenate([getattr(one, name) for one in parts]) for name in names))

    def take(self, chosen: NDArray[np.bool_]) -> _Claims:
        """The chosen ones."""
        return _Claims(*(getattr(self, field.name)[chosen] for field in fields(self)))


def _claims(history: History, found: Verdicts, policy: LabelPolicy) -> Iterator[_Claims]:
    if len(history[Link]):  # of a change just submitted nobody has said anything
        yield _linked(history, policy)
    if "text" in policy.sources and len(history[Incident]):
        yield _mentions(history, set(found.revisions.table["change_id"]))
    if "same_item" in policy.sources:
        yield _rises(history, found, policy)
    if "back_out" in policy.sources and len(history[ChangeEvent]):
        yield _back_outs(history[ChangeEvent])


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


def _linked(history: History, policy: LabelPolicy) -> _Claims:
    """The links that name a cause, of the sources that decide."""
    links, incidents = history[Link], history[Incident]
    source = np.array([name or "explicit" for name in links["source"]], object)
    causes = np.flatnonzero((links["kind"] == "caused_by") & np.isin(source, policy.sources))
    ids = links["incident_id"][causes].tolist()
    rows = first_rows(incidents, set(ids))
    incident = np.array([rows.get(name, -1) for name in ids], np.int64)
    causes, incident = causes[incident >= 0], incident[incident >= 0]
    known = incidents.times("known_at")[incident]
    return _Claims(
        links["change_id"][causes],
        source[causes],
        links.numbers("confidence")[causes],
        incidents.times("occurred_at")[incident],
        np.maximum(links.times("known_at")[causes], known),
        incidents.numbers("priority")[incident],
    )


def _mentions(history: History, change_ids: set[str]) -> _Claims:
    """Change numbers in the incidents' texts, from the revision of the text that names them.

    An incident that a change repairs names it too: a mention is not a cause where a ``fixed_by``
    link was known by then.
    """
    incidents, links = history[Incident], history[Link]
    fixed_by = np.flatnonzero(links["kind"] == "fixed_by")
    fixes = links.take(fixed_by[np.argsort(-links.times("known_at")[fixed_by], kind="stable")])
    named = zip(fixes["incident_id"].tolist(), fixes["change_id"].tolist(), strict=True)
    fixing = dict(zip(named, fixes.times("known_at").tolist(), strict=True))
    rows, numbers = numbers_among(incidents, change_ids)
    pairs = zip(incidents["incident_id"][rows].tolist(), numbers, strict=True)
    fixed = np.array([fixing.get(pair, NEVER) for pair in pairs], np.int64)
    causes = fixed > incidents.times("known_at")[rows]
    names, rows = array_of("text", numbers)[causes], rows[causes]
    opened, known = incidents.times("occurred_at")[rows], incidents.times("known_at")[rows]
    return _Claims.of(names, "text", 0.9, opened, known, incidents.numbers("priority")[rows])


def _back_outs(events: Columns) -> _Claims:
    unplanned = (events["kind"] == "backed_out") & (events.numbers("planned") == 0)
    rows = np.flatnonzero(unplanned)
    occurred, known = events.times("occurred_at")[rows], events.times("known_at")[rows]
    return _Claims.of(events["change_id"][rows], "back_out", 1.0, occurred, known, 1.0)


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


def _rises(history: History, found: Verdicts, policy: LabelPolicy) -> _Claims:
    items = Vocabulary()
    incidents = incident_index(history[Incident], items, policy)
    changes = found.revisions.table.take(found.deciding)
    start = found.revisions.start[found.deciding]
    after, before = counts_around(incidents, items, changes, start, policy.window)
    rows = np.flatnonzero(after >= before + policy.min_rise)
    confidence = (after[rows] - before[rows]) / after[rows]
    # Known only once the window has closed: until then "after" is still being counted.
    known = found.decided_at[rows]
    return _Claims.of(changes["change_id"][rows], "same_item", confidence, start[rows], known, 1.0)
