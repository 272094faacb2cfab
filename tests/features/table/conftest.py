"""The features of the catalogue by their definitions, counted in plain loops over records."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

import pytest

from features.answers import EVIDENCE_SMOOTHING
from features.catalogue import Feature
from features.policy import LabelPolicy
from features.records import CalendarEntry, Change, Incident, Item, Record, Relation
from features.tallies import SMOOTHING
from features.texts import masked_title

DAY = timedelta(days=1)
INSTANT = timedelta(microseconds=1)
STANDING = ("dependents", "dependent_services", "dependent_criticality", "criticality")

# the definitions, in plain loops -----------------------------------------------------------------


def asked_names(change: Change, entity: str) -> list[object]:
    """The names under which a change asks for an entity."""
    title = change.short_description or ""
    team, ci = change.assignment_group, change.ci
    action = title.split(": ")[-1].split(" ")[0].lower()
    found: dict[str, list[object]] = {
        "ci": [ci],
        "affected": [ci, *change.affected_cis],
        "further": [item for item in change.affected_cis if item != ci],
        "service": [change.service],
        "team": [team],
        "change_model": [change.change_model or (title and ("title", masked_title(title)))],
        "category": [change.category],
        "action": [action],
        "action_ci": [ci and action and f"{action}\x1f{ci}"],
        "attempt": [attempted(title)],
        "title_word": words_of(title),
        "team_ci": [team and ci and (team, ci)],
        "reference": list(change.references),
        "organisation": ["*"],
        "title_template": [title_template(change)],
        "implementation_text": [text_key(change.implementation_plan)],
        "backout_text": [text_key(change.backout_plan)],
        "scope": ["*", ci, *change.affected_cis, change.service, *change.impacted_services],
    }
    return [name for name in dict.fromkeys(found[entity]) if name]


def words_of(title: str) -> list[object]:
    """Runs of letters, in lower case, a capital after a small letter begins another; and pairs."""
    letters = [
        f" {char}" if char.isupper() and before.islower() else char if char.isalpha() else " "
        for before, char in zip(f" {title}", title, strict=False)
    ]
    words = [word.lower() for word in "".join(letters).split() if len(word) > 1]
    pairs = [f"{words[n]} {words[n + 1]}" for n in range(len(words) - 1)]
    return [*words, *pairs]


def attempted(title: str) -> object:
    words = masked_title(title).split(" ")
    while words[:1] in (["revert"], ["reapply"]):
        words = words[1:]
    return " ".join(words) and ("attempt", *words)


def title_template(change: Change) -> object:
    title = change.short_description or ""
    for name in [change.ci, *change.affected_cis, change.service]:
        title = title.replace(str(name), " ") if name else title
    return masked_title(title) and ("like", masked_title(title))


def text_key(text: str | None) -> object:
    words = re.sub("[0-9]+", "0", (text or "").lower()).split()
    return len(words) >= 4 and tuple(words)


def counts_for(record: Change | Incident, entity: str, name: object) -> bool:
    """Whether a record counts under a name: a change under every item, an incident under one."""
    if isinstance(record, Incident):
        under = {"service": record.service, "team": record.assignment_group, "organisation": "*"}
        return name == under.get(entity, record.ci)
    by_item = ("ci", "further", "neighbour", "second_neighbour")
    return name in asked_names(record, "affected" if entity in by_item else entity)


@dataclass
class Estate:
    """What items and relations say before a moment."""

    known: Any
    as_of: datetime

    @cached_property
    def needs(self) -> set[tuple[str, str]]:
        last = {(r.parent, r.child, r.kind): r for r in self.known.of(Relation)}
        return {
            (r.parent, r.child)
            for r in last.values()
            if r.parent
            and r.parent != r.child
            and r.occurred_at < self.as_of
            and (r.ended_at is None or self.as_of <= r.ended_at)
        }

    @cached_property
    def described(self) -> dict[str, Item]:
        return {item.ci: item for item in self.known.of(Item)}

    def below(self, item: object) -> set[str]:
        return {child for parent, child in self.needs if parent == item}

    def above(self, item: object) -> set[str]:
        return {parent for parent, child in self.needs if child == item}

    def dependents(self, item: object) -> set[str]:
        direct = self.above(item)
        return (direct | {g for p in direct for g in self.above(p)}) - {item}

    def beside(self, change: Change, entity: str) -> list[object]:
        """Neighbours of a change's items, those it names itself left out."""
        found: set[object] = set()
        named = asked_names(change, "affected")
        for item in named:
            below, above = self.below(item), self.above(item)
            if entity == "neighbour":
                found |= below | above
            else:
                found |= {c for p in below for c in self.below(p)}
                found |= {g for p in above for g in self.above(p)}
        return sorted(found - set(named))

    def level(self, item: object) -> int:
        said = self.described[item].criticality if item in self.described else None
        return 0 if said is None else 6 - min(max(said, 1), 5)

    def standing(self, stream: str, item: object) -> float:
        above = self.dependents(item)
        if stream == "dependents":
            return len(above)
        if stream == "criticality":
            return self.level(item)
        if stream == "dependent_criticality":
            return max(map(self.level, above), default=0)
        told = [self.described[one].service for one in above if one in self.described]
        return len({service for service in told if service})


@dataclass
class Counting:
    """The counts at a moment, from facts known before it and the verdicts they allow."""

    known: Any
    as_of: datetime

    def __post_init__(self) -> None:
        self.estate = Estate(self.known, self.as_of)
        self._events: dict[str, list[tuple[str, Change | Incident, datetime]]] = {}

    def events(self, stream: str) -> list[tuple[str, Change | Incident, datetime]]:
        if stream not in self._events:
            self._events[stream] = list(self.told(stream))
        return self._events[stream]

    def told(self, stream: str) -> Iterator[tuple[str, Change | Incident, datetime]]:
        """(whose event, under whose names it counts, when it became known)."""
        for change_id, verdict in self.known.verdicts.items():
            failed = verdict.failed_at is not None
            if stream == "changes":
                first = self.known.revisions[change_id][0]
                yield change_id, first, first.known_at
            elif stream == "decided":
                yield change_id, verdict.deciding, verdict.decided_at
            elif stream == "failed" and failed:
                yield change_id, verdict.deciding, max(verdict.failed_at, verdict.decided_at)
            elif stream == "failures" and failed:
                yield change_id, verdict.failing, verdict.failed_at
        for incident_id, first_word in self.known.first_word.items():
            rows = [row for row in self.known.of(Incident) if row.incident_id == incident_id]
            urgent = [row.known_at for row in rows if row.priority and row.priority <= 2][:1]
            ended = [max(row.known_at, row.resolved_at) for row in rows if row.resolved_at][:1]
            moments = {
                "incidents": [first_word.known_at],
                "major_incidents": urgent,
                "resolved": ended,
                "major_resolved": [max(*urgent, *ended)] if urgent and ended else [],
            }
            yield from [(incident_id, first_word, at) for at in moments.get(stream, [])]

    def times(self, stream: str, entity: str, name: object, days: int | None, own: str) -> list:
        earliest = datetime.min.replace(tzinfo=self.as_of.tzinfo)
        since = earliest if days is None else self.as_of - days * DAY
        return [
            moment
            for owner, record, moment in self.events(stream)
            if owner != own and since <= moment < self.as_of and counts_for(record, entity, name)
        ]

    def count(self, *arguments: Any) -> int:
        return len(self.times(*arguments))

    def rate(self, entity: str, name: object, days: int, own: str) -> tuple[float, int, int]:
        """The smoothed rate of one name and what stands behind it."""
        failed, decided = self.shares(entity, name, days, own)
        all_failed, all_decided = self.shares("organisation", "*", 365, own)
        usual = all_failed / all_decided if all_decided else math.nan
        return (failed + SMOOTHING * usual) / (decided + SMOOTHING), failed, decided

    def evidence(self, entity: str, name: object, own: str) -> tuple[float, int, int]:
        """How far one name speaks for a failure, and what stands behind it."""
        failed, decided = self.shares(entity, name, None, own)
        all_failed, all_decided = self.shares("organisation", "*", 365, own)
        if not all_failed:
            return math.nan, failed, decided
        usual = all_failed / all_decided
        weight = EVIDENCE_SMOOTHING.get(entity, SMOOTHING)
        smoothed = (failed + weight * usual) / (decided + weight)
        return math.log(smoothed / usual), failed, decided

    def shares(self, entity: str, name: object, days: int | None, own: str) -> tuple[int, int]:
        failed = self.count("failed", entity, name, days, own)
        # A failure whose link came after the verdict of "clean" counts as decided when it came.
        return failed, max(self.count("decided", entity, name, days, own), failed)

    def names(self, change: Change, entity: str) -> list[object]:
        if entity in ("neighbour", "second_neighbour"):
            return self.estate.beside(change, entity)
        return asked_names(change, entity)

    def overlaps(self, change: Change, entity: str) -> float:
        base = "affected" if entity == "neighbour" else entity
        if change.planned_start is None or not asked_names(change, base):
            return math.nan
        names = self.names(change, entity)
        start, end = planned(change)
        found = 0
        for other, revisions in self.known.revisions.items():
            standing = revisions[-1]
            if other != change.change_id and standing.planned_start is not None:
                first, last = planned(standing)
                shares_a_name = any(counts_for(standing, entity, name) for name in names)
                found += shares_a_name and first < end and start < last
        return float(found)

    def calendar(self, feature: Feature, change: Change) -> float:
        if change.planned_start is None:
            return math.nan
        start, end = planned(change)
        last = {entry.entry_id: entry for entry in self.known.of(CalendarEntry)}
        entries = [
            (entry.starts_at, entry.ends_at)
            for entry in last.values()
            if entry.kind == feature.stream
            and entry.starts_at < entry.ends_at
            and entry.scope in asked_names(change, "scope")
        ]
        if feature.aggregate == "inside":
            return float(any(first < end and start < last for first, last in entries))
        if feature.aggregate == "covered":
            return float(any(first <= start and end <= last for first, last in entries))
        ahead = [e for e in entries if e[0] < start + 30 * DAY and start < e[1]]
        return min((max((e[0] - start) / DAY, 0.0) for e in ahead), default=math.nan)

    def reschedules(self, change: Change) -> float:
        starts = {one.planned_start for one in self.known.revisions.get(change.change_id, [])}
        return float(len(starts - {None, change.planned_start}))

    def answer(self, feature: Feature, change: Change, name: object) -> float:
        own, entity, days = change.change_id, feature.entity, feature.window_days
        if feature.stream in STANDING:
            return self.estate.standing(feature.stream, name)
        if feature.stream == "items":
            seen = [one.known_at for one in self.known.of(Item) if one.ci == name]
            return (self.as_of - min(seen)) / DAY if seen else math.nan
        if feature.aggregate == "rate":
            return self.rate(entity, name, days, own)[0]
        if feature.aggregate == "evidence":
            return self.evidence(entity, name, own)[0]
        if feature.aggregate == "open":
            closed = {"incidents": "resolved", "major_incidents": "major_resolved"}
            ended = self.count(closed[feature.stream], entity, name, None, own)
            return float(self.count(feature.stream, entity, name, None, own) - ended)
        times = self.times(feature.stream, entity, name, days, own)
        if feature.aggregate == "days_since":
            return (self.as_of - max(times)) / DAY if times else math.nan
        return float(len(times))

    def value(self, feature: Feature, change: Change) -> float:
        if feature.aggregate == "overlap":
            return self.overlaps(change, feature.entity)
        if feature.aggregate == "reschedules":
            return self.reschedules(change)
        if feature.entity == "scope":
            return self.calendar(feature, change)
        names = self.names(change, feature.entity)
        answers = [self.answer(feature, change, name) for name in names]
        answers = [answer for answer in answers if not math.isnan(answer)]
        if not answers and "neighbour" in feature.entity and asked_names(change, "affected"):
            return 0.0  # its items are known to stand alone
        across = {"max": max, "min": min, "sum": sum}[feature.across]
        return across(answers) if answers else math.nan


def planned(change: Change) -> tuple[datetime, datetime]:
    """The planned window; one without length lasts an instant."""
    start = change.planned_start
    return start, max(change.planned_end or start, start + INSTANT)


@pytest.fixture(scope="session")
def counting(definitions: Any) -> Callable[..., Counting]:
    """What is to be counted at a moment, from all facts; those known later are left out."""

    def counting(facts: Iterable[Record], policy: LabelPolicy, as_of: datetime) -> Counting:
        return Counting(definitions([f for f in facts if f.known_at < as_of], policy), as_of)

    return counting
