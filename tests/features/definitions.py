"""What the definitions say of a history, in plain loops over records."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from features.policy import LabelPolicy
from features.records import (
    Change,
    ChangeEvent,
    Incident,
    Link,
    Record,
)


@dataclass(frozen=True)
class Claim:
    """Somebody's word that a change failed."""

    occurred_at: datetime
    known_at: datetime
    priority: float
    source: str
    confidence: float


@dataclass(frozen=True)
class Verdict:
    """A change's outcome and the revisions that count for it."""

    deciding: Change
    decided_at: datetime
    failing: Change | None = None
    failed_at: datetime | None = None
    claim: Claim | None = None


def start_of(change: Change) -> datetime:
    return change.planned_start or change.submitted_at or change.known_at


class Definitions:
    """What the facts given say; nothing else is known."""

    def __init__(self, facts: Iterable[Record], policy: LabelPolicy) -> None:
        self.facts = sorted(facts, key=lambda fact: fact.known_at)
        self.policy = policy
        self.window = timedelta(days=policy.window_days)
        self.revisions: dict[str, list[Change]] = {}
        for change in self.of(Change):
            self.revisions.setdefault(change.change_id, []).append(change)
        self.first_word: dict[str, Incident] = {}
        for incident in self.of(Incident):
            self.first_word.setdefault(incident.incident_id, incident)
        self.verdicts = {change_id: self.verdict(change_id) for change_id in self.revisions}

    def of(self, kind: type) -> list[Any]:
        return [fact for fact in self.facts if type(fact) is kind]

    # verdicts

    def verdict(self, change_id: str) -> Verdict:
        revisions = self.revisions[change_id]
        for revision, following in zip(revisions, [*revisions[1:], None], strict=True):
            closed = start_of(revision) + self.window + timedelta(days=self.policy.settle_days)
            decided_at = max(closed, revision.known_at)
            if following is None or decided_at < following.known_at:
                break
        best = Verdict(revision, decided_at)
        for claim in self.claims(change_id, best):
            failed_at = max(claim.known_at, revisions[0].known_at)
            standing = [one for one in revisions if one.known_at <= failed_at][-1]
            sooner = best.failed_at is None or failed_at < best.failed_at
            if sooner and self.qualifies(claim, standing, revisions[0]):
                best = replace(best, failing=standing, failed_at=failed_at, claim=claim)
        return best

    def qualifies(self, claim: Claim, standing: Change, first: Change) -> bool:
        start = start_of(standing)
        earliest = min(start, standing.submitted_at or first.known_at)
        limit = self.policy.max_priority
        return (
            earliest <= claim.occurred_at <= start + self.window
            and (limit is None or claim.priority <= limit)
            and claim.confidence >= self.policy.min_confidence
        )

    def claims(self, change_id: str, verdict: Verdict) -> list[Claim]:
        wanted = self.policy.sources
        found = self.linked(change_id)
        if "text" in wanted:
            found += self.mentions(change_id)
        if "same_item" in wanted:
            found += self.rise(verdict)
        if "back_out" in wanted:
            found += [
                Claim(event.occurred_at, event.known_at, 1, "back_out", 1.0)
                for event in self.of(ChangeEvent)
                if (event.change_id, event.kind) == (change_id, "backed_out") and not event.planned
            ]
        return found

    def linked(self, change_id: str) -> list[Claim]:
        found = []
        for link in self.of(Link):
            incident = self.first_word.get(link.incident_id)
            says_so = (link.change_id, link.kind) == (change_id, "caused_by")
            if says_so and incident and link.source in self.policy.sources:
                known_at = max(link.known_at, incident.known_at)
                priority = incident.priority or math.nan
                claim = (incident.occurred_at, known_at, priority, link.source, link.confidence)
                found.append(Claim(*claim))
        return found

    def mentions(self, change_id: str) -> list[Claim]:
        repairs = [
            (link.incident_id, link.known_at)
            for link in self.of(Link)
            if (link.change_id, link.kind) == (change_id, "fixed_by")
        ]
        return [
            Claim(row.occurred_at, row.known_at, row.priority or math.nan, "text", 0.9)
            for row in self.of(Incident)
            if change_id in f"{row.short_description} {row.description}"
            and not any(name == row.incident_id and t <= row.known_at for name, t in repairs)
        ]

    def rise(self, verdict: Verdict) -> list[Claim]:
        change = verdict.deciding
        start, items = start_of(change), {change.ci, *change.affected_cis} - {None, ""}
        limit = self.policy.max_priority
        counted = [
            incident.known_at
            for incident in self.first_word.values()
            if incident.ci in items
            and (limit is None or (incident.priority or 9) <= limit)
            and self.closed_in_time(incident)
        ]
        after = sum(start <= known_at < start + self.window for known_at in counted)
        before = sum(start - self.window <= known_at < start for known_at in counted)
        if after < before + self.policy.min_rise:
            return []
        return [Claim(start, verdict.decided_at, 1, "same_item", (after - before) / after)]

    def closed_in_time(self, incident: Incident) -> bool:
        code, patience = self.policy.close_code, timedelta(days=self.policy.settle_days)
        return code is None or any(
            row.incident_id == incident.incident_id
            and row.close_code == code
            and row.known_at - incident.known_at <= patience
            for row in self.of(Incident)
        )
