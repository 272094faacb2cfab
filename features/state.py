"""The indexed history: answers questions about any moment, and grows as facts arrive."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from features.calendar import Calendar
from features.columns import Columns
from features.facts import Facts, any_of
from features.freed import give_back
from features.history import History
from features.index import MERGE_AT, RATIO, EventIndex, StreamIndex, numbered
from features.likeness import Memory
from features.mentions import mentioned_numbers
from features.names import Vocabulary
from features.overlap import OverlapIndex
from features.policy import LabelPolicy
from features.records import CalendarEntry, Change, ChangeEvent, Incident, Item, Link, Relation
from features.segment import NO_EVENTS, Events, Segment, axis_of
from features.streams import (
    OWNED,
    SLOTS,
    Streams,
    Vocabularies,
    events_of_few,
    incident_streams,
    planned_windows,
    streams,
)
from features.topology import Topology
from features.verdicts import Revisions, Verdicts, start_of, verdicts

LARGE = 100_000
"""Facts from which on what making the index took is given back."""


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
    schedule : list of OverlapIndex
        Planned windows; those of later facts beside those of the beginning.
    memory : Memory
        What is compared of changes on record; those that later facts bear on are forgotten.
    """

    def __init__(self, history: History, policy: LabelPolicy) -> None:
        names = Vocabularies()
        found = verdicts(history, policy)
        index = _index_of(streams(found, history[Incident], names))
        if len(history) > LARGE:
            give_back()
        schedule = OverlapIndex.of(planned_windows(found.revisions, names))
        self._hold(policy, Facts(history, policy), names, index, schedule)
        self._survey()
        del found  # nothing asks for it any more
        if len(history) > LARGE:
            give_back()

    @classmethod
    def of_parts(
        cls,
        policy: LabelPolicy,
        facts: Facts,
        names: Vocabularies,
        index: EventIndex,
        schedule: OverlapIndex,
        topology: Topology,
    ) -> FeatureState:
        """A state of parts that were made before."""
        state = cls.__new__(cls)
        state._hold(policy, facts, names, index, schedule)
        state._lay_out(topology)
        return state

    def _hold(
        self,
        policy: LabelPolicy,
        facts: Facts,
        names: Vocabularies,
        index: EventIndex,
        schedule: OverlapIndex,
    ) -> None:
        self.policy = policy
        self.watermark = facts.parts[0].watermark
        self.facts = facts
        self.names = names
        self.index = index
        self.schedule = [schedule]
        self.place = facts.parts[0].place
        self.memory = Memory()

    def _survey(self) -> None:
        """Lay out items, relations and calendar anew: they are few and seldom change."""
        items, relations = (Columns.concatenate(self.tables(kind)) for kind in (Item, Relation))
        self._lay_out(Topology.of(items, relations, self.names.by_kind))

    def _lay_out(self, topology: Topology) -> None:
        self.topology = topology
        entries = Columns.concatenate(self.tables(CalendarEntry))
        self.calendar = Calendar(entries, self.names["scope"])

    @property
    def history(self) -> History:
        """All facts taken in so far."""
        first, *newer = self.facts.parts
        for part in newer:
            first = first.plus(part)
        return first

    def events(self, stream: str, vocabulary: str) -> StreamIndex:
        """The index of one stream for one kind of entity."""
        return self.index.stream(stream, vocabulary)

    def vocabulary(self, kind: str) -> Vocabulary:
        """The names of one kind of entity, of ``change`` or of ``incident``."""
        return self.names[kind]

    def changes(self, change_ids: Sequence[str]) -> dict[str, tuple[Columns, int]]:
        """The last known revision of each of the changes on record, as (table, row)."""
        return self.facts.latest(change_ids)

    def change(self, change_id: str) -> tuple[Columns, int] | None:
        """The last known revision of a change, as (table, row); None for an unknown one."""
        return self.facts.latest([change_id]).get(change_id)

    def tables(self, kind: type) -> list[Columns]:
        """The facts of one kind as they were taken in, oldest first, without joining them."""
        return [part[kind] for part in self.facts.parts]

    def links(self, change_ids: Sequence[str]) -> Columns:
        """The links that name any of the changes."""
        return self.facts.of(Link, "change_id", change_ids)

    def extended(self, newer: History) -> FeatureState:
        """Take in the facts of later writes; returns the state itself.

        They are laid over the index, in place. What they turn among the things counted already is
        taken back and given again: the verdicts of the changes they bear on are found anew from all
        facts about these changes, before and after.
        """
        if len(newer):
            self._take_in(newer)
        self.watermark = max(self.watermark, newer.watermark)
        return self

    def prepare(self) -> FeatureState:
        """Do now what the first extension would otherwise wait for."""
        self.facts.prepare()
        return self

    def without_facts(self) -> FeatureState:
        """Let go of the facts, of which a table asks for nothing; returns the state itself, which
        can then neither grow nor be saved.
        """
        self.facts = Facts(History.from_records([]), self.policy)
        if len(self.index.base) > LARGE:
            give_back()
        return self

    def _take_in(self, newer: History) -> None:
        known = len(self.facts.parts)
        self.facts.add(newer)
        incidents = any_of(newer[Incident]["incident_id"])
        changes = self._turned(newer, incidents)
        found = self._verdicts(changes)
        heard_of = any_of(self.facts.of(Change, "change_id", changes, known)["change_id"])
        taken = self._events_of(self._verdicts(heard_of, known), incidents, known)
        given = self._events_of(found, incidents)
        events = Events.concatenate([given, taken._replace(weight=-taken.weight)])
        self.index.append(events.netted())
        if any(len(newer[kind]) for kind in (Item, Relation, CalendarEntry)):
            self._survey()
        self.memory.forget(self.names["change"].find(changes).tolist())
        if revised := any_of(newer[Change]["change_id"]):
            if found is None or revised != changes:
                self._replan(Revisions.of(self.facts.of(Change, "change_id", revised)))
            else:
                self._replan(found.revisions)

    def _turned(self, newer: History, incidents: set[str]) -> set[str]:
        """The changes whose verdict newer facts may have turned: those they bear on."""
        turned = {
            *newer[Change]["change_id"],
            *newer[ChangeEvent]["change_id"],
            *newer[Link]["change_id"],
            *self.facts.of(Link, "incident_id", incidents)["change_id"],
        }
        if "text" in self.policy.sources:
            for _, numbers in mentioned_numbers(newer[Incident]):
                turned.update(numbers)
        if "same_item" in self.policy.sources:
            turned |= self._near(self.facts.of(Incident, "incident_id", incidents))
        return turned

    def _near(self, incidents: Columns) -> set[str]:
        """The changes on the incidents' items around whose start an incident became known."""
        changes = self.facts.of(Change, "affected", any_of(incidents["ci"]))
        starts, window = start_of(changes), self.policy.window
        known = np.sort(incidents.times("known_at"))
        inside = np.searchsorted(known, starts - window) < np.searchsorted(
            known, starts + window, "right"
        )
        return set(changes["change_id"][inside])

    def _verdicts(self, changes: set[str], parts: int | None = None) -> Verdicts | None:
        """The verdicts of some changes by all facts, or by those of the first parts."""
        about = self.facts.about(changes, parts) if changes else None
        if about is None or not len(about[Change]):  # nobody had heard of them
            return None
        return verdicts(about, self.policy)

    def _events_of(
        self, found: Verdicts | None, incidents: set[str], parts: int | None = None
    ) -> Events:
        """The events of some changes and incidents, with entities as codes."""
        events = NO_EVENTS if found is None else events_of_few(found, self.names)
        if incidents:
            rows = self.facts.of(Incident, "incident_id", incidents, parts)
            happened = incident_streams(rows, self.names).events if len(rows) else ()
            events = Events.concatenate([events, numbered(happened, self.index.slots)])
        return events

    def _replan(self, revisions: Revisions) -> None:
        """Lay the planned windows of changes over the schedule, in place of their earlier ones."""
        several = np.flatnonzero(np.diff(revisions.first, append=len(revisions.code)) > 1)
        ids = revisions.table["change_id"][revisions.first[several]]
        windows = planned_windows(revisions, self.names)
        base, *tails = self.schedule
        for index in self.schedule if len(ids) else ():
            index.forget(self.names["change"].learn(ids))
        if tails and len(tails[-1]) < MERGE_AT:
            windows = tails.pop().windows_with(windows)
        while (
            tails and len(windows.code) >= MERGE_AT and len(tails[-1]) < RATIO * len(windows.code)
        ):
            windows = tails.pop().windows_with(windows)
        self.schedule = [base, *tails, OverlapIndex.of(windows)]


def _index_of(found: Streams) -> EventIndex:
    """The index of a history's events."""
    axis = axis_of(found.moments)
    numbered = ((SLOTS.index(slot), events) for slot, events in found.events)
    return EventIndex(SLOTS, Segment.of_slots(axis, numbered, OWNED))
