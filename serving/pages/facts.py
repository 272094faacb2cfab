"""Facts of the history that stand beside a score: titles, freezes, open incidents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import numpy as np

from features import instants
from features.catalogue import BY_NAME
from features.columns import Columns
from features.evidence import Question, records_behind
from features.records import Change, ChangeEvent, Incident, Link
from features.state import FeatureState
from serving.contract import ChangeIn
from serving.scorer import Scorer

OPEN_INCIDENTS = "affected_open_incidents"


@dataclass(frozen=True, kw_only=True)
class IncidentFact:
    """An incident, as far as it is known."""

    incident_id: str
    title: str | None
    priority: int | None
    occurred_at: datetime | None
    resolved_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ChangeFact:
    """A change, as far as it is known.

    Parameters
    ----------
    ended : str or None
        The close code once it was closed.
    """

    change_id: str
    title: str | None
    start: datetime | None
    end: datetime | None
    fields: Mapping[str, Any]
    ended: str | None = None
    ended_at: datetime | None = None
    backed_out: bool = False


@dataclass(frozen=True)
class Freeze:
    """A freeze or blackout of an item, a service or (``*``) everybody."""

    kind: str
    scope: str
    start: datetime
    end: datetime

    def holds(self, names: set[str], start: datetime | None, end: datetime | None) -> bool:
        """Whether a window on those names lies in it, wholly or in part."""
        inside = start is not None and start < self.end and (end or start) >= self.start
        return inside and (self.scope == "*" or self.scope in names)


def freeze_of(row: Mapping[str, Any]) -> Freeze | None:
    """The freeze or blackout of a calendar entry; None for one of another kind."""
    start, end = instants.from_micros(row["starts_at"]), instants.from_micros(row["ends_at"])
    if row["kind"] not in ("freeze", "blackout") or start is None or end is None:
        return None
    return Freeze(row["kind"], row["scope"], start, end)


@dataclass
class Facts:
    """The indexed history, held still while it is read.

    Parameters
    ----------
    state : FeatureState or None
        None where there is no model, or the history is being read anew: pages then go without.
    """

    state: FeatureState | None
    rows: dict[int, tuple[Columns, dict[str, list[int]]]] = field(default_factory=dict)

    def incident(self, incident_id: str) -> IncidentFact | None:
        """The last that is known of an incident."""
        found = self._last(Incident, "incident_id", incident_id)
        if found is None:
            return None
        table, row = found
        priority = table.numbers("priority")[row]
        return IncidentFact(
            incident_id=incident_id,
            title=table["short_description"][row],
            priority=None if np.isnan(priority) else int(priority),
            occurred_at=instants.from_micros(int(table.times("occurred_at")[row])),
            resolved_at=instants.from_micros(int(table.times("resolved_at")[row])),
        )

    def change(self, change_id: str) -> ChangeFact | None:
        """The last revision of a change, and how it ended."""
        found = None if self.state is None else self.state.change(change_id)
        if found is None:
            return None
        table, row = found
        record = table.record(row)
        assert isinstance(record, Change)  # noqa: S101 - it is a table of changes
        closed = self._events(change_id, "closed") or self._withdrawn(record)
        return ChangeFact(
            change_id=change_id,
            title=record.short_description,
            start=record.planned_start,
            end=record.planned_end,
            fields=vars(record),
            ended=None if closed is None else (closed.code or "closed"),
            ended_at=None if closed is None else closed.occurred_at,
            backed_out=self._events(change_id, "backed_out") is not None,
        )

    def _withdrawn(self, change: Change) -> ChangeEvent | None:
        """How a change was withdrawn; None for one that was not, or was taken up again."""
        event = self._events(change.change_id, "canceled")
        if event is None or (change.planned_start and change.known_at > event.known_at):
            return None
        return replace(event, code="canceled")

    def _events(self, change_id: str, kind: str) -> ChangeEvent | None:
        """The last event of a kind that a change had."""
        last: ChangeEvent | None = None
        for table in self._tables(ChangeEvent):
            for row in self._rows_of(table, "change_id").get(change_id, ()):
                if table["kind"][row] == kind:
                    event = table.record(row)
                    assert isinstance(event, ChangeEvent)  # noqa: S101 - a table of events
                    last = event
        return last

    def outcomes(self, change_ids: Sequence[str], now: datetime) -> list[str | None]:
        """``caused``, ``clean`` or None (not decided yet) of each change, as known by then.

        A failure found early waits for the clean changes of its week, or rates would run high.
        """
        if self.state is None or not change_ids:
            return [None] * len(change_ids)
        owners = self.state.vocabulary("change").find(list(change_ids))
        everyone = np.zeros(len(owners), np.int64)
        until = np.full(len(owners), instants.to_micros(now))
        failed, decided = (
            self.state.events(stream, "organisation").owned(everyone, owners, until) > 0
            for stream in ("failures", "decided")
        )
        pairs = zip(failed.tolist(), decided.tolist(), strict=True)
        return [None if not known else "caused" if bad else "clean" for bad, known in pairs]

    def links_in(self, since: int, until: int) -> tuple[int, int]:
        """Incidents of a span that are linked to a change as caused by it, and all of them."""
        linked = {
            incident
            for table in self._tables(Link)
            for incident, kind in zip(table["incident_id"], table["kind"], strict=True)
            if kind == "caused_by"
        }
        found: set[str] = set()
        for table in self._tables(Incident):
            moments = table.times("occurred_at")
            found.update(table["incident_id"][(moments >= since) & (moments < until)])
        return len(found & linked), len(found)

    def open_incidents(self, change: ChangeIn, now: datetime) -> list[IncidentFact]:
        """Incidents that are open now on the items a change affects, newest first."""
        if self.state is None:
            return []
        record = change.to_record(revision="1", known_at=now)
        table = Columns.from_records(Change, [record])
        question = Question(table, 0, instants.to_micros(now), self.state)
        ids = records_behind(question, BY_NAME[OPEN_INCIDENTS], of_all=True)
        return [fact for fact in map(self.incident, ids) if fact is not None]

    def _tables(self, kind: type) -> Sequence[Columns]:
        return () if self.state is None else self.state.tables(kind)

    def _last(self, kind: type, name: str, value: str) -> tuple[Columns, int] | None:
        last: tuple[Columns, int] | None = None
        for table in self._tables(kind):
            for row in self._rows_of(table, name).get(value, ()):
                known = table.times("known_at")[row]
                if last is None or known >= last[0].times("known_at")[last[1]]:
                    last = table, row
        return last

    def _rows_of(self, table: Columns, name: str) -> dict[str, list[int]]:
        """Rows of a table by one of its columns, kept for the next page."""
        kept = self.rows.get(id(table))
        if kept is None or kept[0] is not table:
            rows: dict[str, list[int]] = {}
            for row, value in enumerate(table[name]):
                rows.setdefault(value, []).append(row)
            self.rows[id(table)] = kept = (table, rows)
        return kept[1]


class History:
    """Gives pages the facts of a scorer's history, one reader at a time."""

    def __init__(self) -> None:
        self._rows: dict[int, tuple[Columns, dict[str, list[int]]]] = {}

    @contextmanager
    def reading(self, scorer: Scorer) -> Iterator[Facts]:
        """The facts, while nobody else reads or extends them."""
        with scorer.reading() as state:
            if state is not None:
                live = {id(t) for kind in (Incident, ChangeEvent) for t in state.tables(kind)}
                for gone in set(self._rows) - live:
                    del self._rows[gone]
            yield Facts(state, self._rows if state is not None else {})
