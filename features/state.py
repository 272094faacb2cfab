"""The indexed history: answers questions about any moment, and grows as facts arrive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from features.calendar import Calendar
from features.columns import RECORD_TYPES, Columns
from features.entities import Vocabulary
from features.history import History
from features.index import MERGE_AT, EventIndex, Events, Ints, OverlapIndex, Windows
from features.policy import LabelPolicy
from features.records import CalendarEntry, Change, ChangeEvent, Incident, Item, Link, Relation
from features.streams import Vocabularies, planned_windows, streams
from features.topology import Topology
from features.verdicts import Revisions, mentioned_numbers


class FeatureState:
    """A history sorted for counting.

    Parameters
    ----------
    history : History
        All facts known; each counts only for moments after it became known.
    policy : LabelPolicy
        What counts as a failure.

    Attributes
    ----------
    watermark : int
        The last write of the store whose facts count.
    place : Place
        Where the organisation is.
    topology : Topology
        Items and their relations.
    calendar : Calendar
        Freezes, blackouts and maintenance windows.
    """

    def __init__(self, history: History, policy: LabelPolicy) -> None:
        self.policy = policy
        self.watermark = history.watermark
        self.place = history.place
        self._parts = [history]
        self._rows: list[dict[str, list[int]]] = []
        self._names = Vocabularies()
        self._events = {
            key: EventIndex(events) for key, events in streams(history, policy, self._names).items()
        }
        planned = planned_windows(Revisions.of(history[Change]), self._names)
        self._schedule = {kind: [OverlapIndex(windows)] for kind, windows in planned.items()}
        self._survey(history)

    def _survey(self, history: History) -> None:
        """Lay out items, relations and calendar: they are few and seldom change."""
        self.topology = Topology(history[Item], history[Relation], self._names.by_kind)
        self.calendar = Calendar(history[CalendarEntry], self._names["scope"])
        for stream, index in self.topology.events.items():
            self._events[stream, "ci"] = index

    @property
    def history(self) -> History:
        """All facts taken in so far."""
        while len(self._parts) > 1:
            last = self._parts.pop()
            self._parts[-1] = self._parts[-1].plus(last)
            self._rows.clear()
        return self._parts[0]

    @property
    def links(self) -> Columns:
        """All links on record: newer ones always make a new state."""
        return self._parts[0][Link]

    def tables(self, kind: type) -> list[Columns]:
        """The facts of one kind as they were taken in, oldest first, without joining them."""
        return [part[kind] for part in self._parts]

    def events(self, stream: str, vocabulary: str) -> EventIndex:
        """The index of one stream for one kind of entity."""
        return self._events[stream, vocabulary]

    def schedule(self, vocabulary: str) -> list[OverlapIndex]:
        """The indexes of planned windows for one kind of entity."""
        return self._schedule[vocabulary]

    def vocabulary(self, kind: str) -> Vocabulary:
        """The names of one kind of entity, of ``change`` or of ``incident``."""
        return self._names[kind]

    def extended(self, newer: History) -> FeatureState:
        """The state that also holds the facts of later writes.

        New changes, their revisions and new incidents are laid over the index, in place. Facts that
        can turn what was counted already (links, back-outs, resolutions, incidents that name a
        change, revisions or the first record of a change or incident that others name) make a new
        index, so that a reader of the old one is never disturbed.
        """
        moved = None if self._turns(newer) else self._moved(newer[Change])
        if moved is None:
            return FeatureState(self.history.plus(newer), self.policy)
        if len(newer):
            self._append(newer, moved)
        self.watermark = max(self.watermark, newer.watermark)
        return self

    def prepare(self) -> FeatureState:
        """Do now what the first extension would otherwise wait for."""
        self._lookup()
        _ = self._awaited
        return self

    def change(self, change_id: str) -> tuple[Columns, int] | None:
        """The last known revision of a change, as (table, row); None for an unknown one."""
        last = None
        for part, rows in zip(self._parts, self._lookup(), strict=True):
            if change_id in rows:
                table, row = part[Change], rows[change_id][-1]
                known = table.times("known_at")[row]
                if last is None or known >= last[0]:
                    last = known, table, row
        return last and last[1:]

    def _turns(self, newer: History) -> bool:
        if len(newer[Link]) or len(newer[ChangeEvent]):
            return True
        changes, incidents = newer[Change], newer[Incident]
        if "same_item" in self.policy.sources and len(changes) + len(incidents):
            return True
        spoken = _spoken_of(newer, self.policy)
        return (
            self._knows("change", spoken)
            or not spoken.isdisjoint(changes["change_id"])
            or self._knows("incident", incidents["incident_id"])
            or not self._awaited[Change].isdisjoint(changes["change_id"])
            or not self._awaited[Incident].isdisjoint(incidents["incident_id"])
            or _repeats(incidents, "incident_id")
        )

    def _moved(self, changes: Columns) -> _Moved | None:
        """What revisions of changes nobody else speaks of move; None where that cannot be told.

        Their own events are taken back and given again, as they stand with the new revisions.
        """
        ids = set(changes["change_id"])
        earlier = self._revisions(ids)
        both = Columns.concatenate([earlier, changes])
        before, after = (
            streams(_only_changes(table), self.policy, self._names) for table in (earlier, both)
        )
        delta = {key: _difference(after[key], before[key]) for key in after}
        first_moved = any(
            (events.weight < 0).any() for (name, _), events in delta.items() if name == "changes"
        )
        return None if first_moved else _Moved(delta, Revisions.of(both), earlier)

    def _revisions(self, change_ids: set[str]) -> Columns:
        """All revisions on record of some changes, in the order written."""
        found = [Columns.empty(Change)]
        for part, rows in zip(self._parts, self._lookup(), strict=True):
            chosen = sorted(row for name in change_ids for row in rows.get(name, ()))
            if chosen:
                found.append(part[Change].take(np.array(chosen, np.int64)))
        return Columns.concatenate(found)

    def _lookup(self) -> list[dict[str, list[int]]]:
        """For every part of the history, the rows of each change, the last known one last."""
        for part in self._parts[len(self._rows) :]:
            ids, rows = part[Change]["change_id"], dict[str, list[int]]()
            for row in np.argsort(part[Change].times("known_at"), kind="stable").tolist():
                rows.setdefault(ids[row], []).append(row)
            self._rows.append(rows)
        return self._rows

    @cached_property
    def _awaited(self) -> dict[type, set[str]]:
        """Names that facts on record speak of: a first record of one may make those facts count."""
        history = self.history
        return {
            Change: {
                *history[Link]["change_id"],
                *history[ChangeEvent]["change_id"],
                *_spoken_of(history, self.policy),
            },
            Incident: set(history[Link]["incident_id"]),
        }

    def _knows(self, kind: str, names: object) -> bool:
        return bool((self._names[kind].find(names) >= 0).any())  # type: ignore[arg-type]

    def _append(self, newer: History, moved: _Moved) -> None:
        self._awaited[Change].update(_spoken_of(newer, self.policy))
        self._parts.append(newer)
        for key, events in streams(_only_incidents(newer), self.policy, self._names).items():
            self._add(key, events)
        for key, events in moved.events.items():
            self._add(key, events)
        revised = self._names["change"].find(set(moved.earlier["change_id"]))
        for kind, windows in planned_windows(moved.revisions, self._names).items():
            self._plan(kind, windows, revised)
        if any(len(newer[kind]) for kind in (Item, Relation, CalendarEntry)):
            self._survey(self.history)

    def _add(self, key: tuple[str, str], events: Events) -> None:
        if len(events.code):
            self._events[key].append(events)

    def _plan(self, kind: str, windows: Windows, revised: Ints) -> None:
        """Lay planned windows over the schedule, in place of the revised changes' earlier ones."""
        if len(revised):
            for index in self._schedule[kind]:
                index.forget(revised)
        if not len(windows.code):
            return
        base, *tail = self._schedule[kind]
        recent = tail[0].windows_with(windows) if tail else windows
        if len(recent.code) >= MERGE_AT:
            self._schedule[kind] = [OverlapIndex(base.windows_with(recent))]
        else:
            self._schedule[kind] = [base, OverlapIndex(recent)]


@dataclass(frozen=True)
class _Moved:
    """Events that revisions add and take back, the changes' revisions old and new, and the old."""

    events: Mapping[tuple[str, str], Events]
    revisions: Revisions
    earlier: Columns


def _only_changes(changes: Columns) -> History:
    others = {kind: Columns.empty(kind) for kind in RECORD_TYPES if kind is not Change}
    return History({Change: changes, **others})


def _only_incidents(history: History) -> History:
    others = {kind: Columns.empty(kind) for kind in RECORD_TYPES if kind is not Incident}
    return History({Incident: history[Incident], **others})


def _difference(after: Events, before: Events) -> Events:
    """The events of one set, and those of another taken back, without those in both."""
    rows = [
        dict.fromkeys(zip(e.code.tolist(), e.time.tolist(), e.owner.tolist(), strict=True))
        for e in (after, before)
    ]
    given = [event for event in rows[0] if event not in rows[1]]
    taken = [event for event in rows[1] if event not in rows[0]]
    codes = np.array([*given, *taken], np.int64).reshape(-1, 3)
    weights = np.repeat(np.array([1, -1], np.int64), [len(given), len(taken)])
    return Events(codes[:, 0], codes[:, 1], codes[:, 2], weights)


def _spoken_of(history: History, policy: LabelPolicy) -> set[str]:
    """Numbers in the texts of incidents that may be a change's, where texts decide."""
    incidents = history[Incident]
    rows = range(len(incidents)) if "text" in policy.sources else range(0)
    return {number for row in rows for number in mentioned_numbers(incidents, row)}


def _repeats(table: Columns, name: str) -> bool:
    return len(set(table[name])) < len(table)
