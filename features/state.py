"""The indexed history: answers questions about any moment, and grows as facts arrive."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from features.columns import Columns
from features.entities import Vocabulary
from features.history import History
from features.index import MERGE_AT, EventIndex, OverlapIndex, Windows
from features.policy import LabelPolicy
from features.records import Change, ChangeEvent, Incident, Link
from features.streams import Vocabularies, planned_windows, streams
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
    """

    def __init__(self, history: History, policy: LabelPolicy) -> None:
        self.policy = policy
        self.watermark = history.watermark
        self._parts = [history]
        self._rows: list[dict[str, int]] = []
        self._names = Vocabularies()
        self._events = {
            key: EventIndex(events) for key, events in streams(history, policy, self._names).items()
        }
        planned = planned_windows(Revisions.of(history[Change]), self._names)
        self._schedule = {kind: [OverlapIndex(windows)] for kind, windows in planned.items()}
        self._tails: dict[str, list[Windows]] = {kind: [] for kind in planned}

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

        New changes and incidents are laid over the index, in place. Facts that can turn what was
        counted already (links, back-outs, revisions, resolutions, incidents that name a change, and
        the first record of a change or incident that others named before) make a new index, so that
        a reader of the old one is never disturbed.
        """
        if self._turns(newer):
            return FeatureState(self.history.plus(newer), self.policy)
        if len(newer):
            self._append(newer)
        self.watermark = max(self.watermark, newer.watermark)
        return self

    def change(self, change_id: str) -> tuple[Columns, int] | None:
        """The last revision on record of a change, as (table, row); None for an unknown one."""
        for number, part in enumerate(self._parts):
            if number == len(self._rows):
                ids = part[Change]["change_id"]
                order = np.argsort(part[Change].times("known_at"), kind="stable")
                self._rows.append({ids[row]: row for row in order.tolist()})
        for part, rows in zip(reversed(self._parts), reversed(self._rows), strict=True):
            if change_id in rows:
                return part[Change], rows[change_id]
        return None

    def _turns(self, newer: History) -> bool:
        if len(newer[Link]) or len(newer[ChangeEvent]):
            return True
        changes, incidents = newer[Change], newer[Incident]
        if "same_item" in self.policy.sources and len(changes) + len(incidents):
            return True
        return (
            self._knows("change", [*changes["change_id"], *_spoken_of(newer, self.policy)])
            or self._knows("incident", incidents["incident_id"])
            or not self._awaited[Change].isdisjoint(changes["change_id"])
            or not self._awaited[Incident].isdisjoint(incidents["incident_id"])
            or _repeats(changes, "change_id")
            or _repeats(incidents, "incident_id")
        )

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

    def _append(self, newer: History) -> None:
        self._awaited[Change].update(_spoken_of(newer, self.policy))
        self._parts.append(newer)
        for key, events in streams(newer, self.policy, self._names).items():
            if len(events.code):
                self._events[key].append(events)
        for kind, windows in planned_windows(Revisions.of(newer[Change]), self._names).items():
            if len(windows.code):
                tail = Windows.concatenate([*self._tails[kind], windows])
                self._tails[kind] = [tail]
                merged = len(tail.code) >= MERGE_AT
                base = self._schedule[kind][0]
                if merged:
                    self._tails[kind] = []
                    self._schedule[kind] = [OverlapIndex(base.windows_with(tail))]
                else:
                    self._schedule[kind] = [base, OverlapIndex(tail)]


def _spoken_of(history: History, policy: LabelPolicy) -> set[str]:
    """Numbers in the texts of incidents that may be a change's, where texts decide."""
    incidents = history[Incident]
    rows = range(len(incidents)) if "text" in policy.sources else range(0)
    return {number for row in rows for number in mentioned_numbers(incidents, row)}


def _repeats(table: Columns, name: str) -> bool:
    return len(set(table[name])) < len(table)
