"""Every feature of the catalogue against its definition, counted in plain loops over records."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import instants
from features.catalogue import BY_NAME, CATALOGUE, NAMES, Feature
from features.columns import Columns
from features.entities import ENTITIES, masked_title
from features.history import History
from features.policy import POLICIES
from features.records import Change, ChangeEvent, Incident, Link
from features.state import FeatureState
from features.store import Store
from features.table import SMOOTHING, build, overlapping

COUNTED = [feature for feature in CATALOGUE if feature.stream != "request"]
DAY = timedelta(days=1)


# the definitions, in plain loops -----------------------------------------------------------------


def asked_names(change: Change, entity: str) -> list[object]:
    """The names under which a change asks for an entity."""
    title = change.short_description or ""
    team, ci = change.assignment_group, change.ci
    found: dict[str, list[object]] = {
        "ci": [ci],
        "affected": [ci, *change.affected_cis],
        "service": [change.service],
        "team": [team],
        "change_model": [change.change_model or (title and ("title", masked_title(title)))],
        "category": [change.category],
        "action": [title.split(": ")[-1].split(" ")[0].lower()],
        "team_ci": [team and ci and (team, ci)],
        "reference": list(change.references),
        "organisation": ["*"],
    }
    return [name for name in dict.fromkeys(found[entity]) if name]


def counts_for(record: Change | Incident, entity: str, name: object) -> bool:
    """Whether a record counts under a name: a change under every item, an incident under one."""
    if isinstance(record, Incident):
        return name == {"affected": record.ci, "service": record.service}[entity]
    return name in asked_names(record, "affected" if entity == "ci" else entity)


@dataclass
class Counting:
    """The counts at a moment, from facts known before it and the verdicts they allow."""

    known: Any
    as_of: datetime

    def events(self, stream: str) -> Iterator[tuple[str, Change | Incident, datetime]]:
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
            if stream == "incidents":
                yield incident_id, first_word, first_word.known_at
            elif stream == "major_incidents":
                urgent = [row.known_at for row in rows if row.priority and row.priority <= 2]
                yield from [(incident_id, first_word, moment) for moment in urgent[:1]]
            elif stream == "resolved":
                ended = [max(row.known_at, row.resolved_at) for row in rows if row.resolved_at]
                yield from [(incident_id, first_word, moment) for moment in ended[:1]]

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

    def shares(self, entity: str, name: object, days: int, own: str) -> tuple[int, int]:
        failed = self.count("failed", entity, name, days, own)
        # A failure whose link came after the verdict of "clean" counts as decided when it came.
        return failed, max(self.count("decided", entity, name, days, own), failed)

    def overlaps(self, change: Change, entity: str) -> float:
        names = asked_names(change, entity)
        if change.planned_start is None or not names:
            return math.nan
        start, end = planned(change)
        found = 0
        for other, revisions in self.known.revisions.items():
            standing = revisions[-1]
            if other != change.change_id and standing.planned_start is not None:
                first, last = planned(standing)
                shares_a_name = any(counts_for(standing, entity, name) for name in names)
                found += shares_a_name and first < end and start < last
        return float(found)

    def answer(self, feature: Feature, change: Change, name: object) -> float:
        own, entity, days = change.change_id, feature.entity, feature.window_days
        if feature.aggregate == "rate":
            return self.rate(entity, name, days, own)[0]
        if feature.aggregate == "open":
            ended = self.count("resolved", entity, name, None, own)
            return float(self.count("incidents", entity, name, None, own) - ended)
        times = self.times(feature.stream, entity, name, days, own)
        if feature.aggregate == "days_since":
            return (self.as_of - max(times)) / DAY if times else math.nan
        return float(len(times))

    def value(self, feature: Feature, change: Change) -> float:
        if feature.aggregate == "overlap":
            return self.overlaps(change, feature.entity)
        names = asked_names(change, feature.entity)
        answers = [self.answer(feature, change, name) for name in names]
        answers = [answer for answer in answers if not math.isnan(answer)]
        return (
            {"max": max, "min": min, "sum": sum}[feature.across](answers) if answers else math.nan
        )


def planned(change: Change) -> tuple[datetime, datetime]:
    """The planned window; one without length lasts an instant."""
    start = change.planned_start
    return start, max(change.planned_end or start, start + timedelta(microseconds=1))


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_every_feature_is_what_its_declaration_says(
    data, histories, moments, policies, definitions, state_of, rows
):
    facts, policy = data.draw(histories), data.draw(policies)
    as_of = data.draw(moments)
    changes = [fact for fact in facts if isinstance(fact, Change)][:6]
    table = rows(state_of(facts, policy), changes, as_of)
    counting = Counting(definitions([f for f in facts if f.known_at < as_of], policy), as_of)
    wrong = {}
    for row, change in enumerate(changes):
        for feature in COUNTED:
            found = table.values[row, NAMES.index(feature.name)]
            expected = counting.value(feature, change)
            if not np.array_equal(found, expected, equal_nan=True):
                wrong[feature.name, change.change_id] = (float(found), expected)
    assert wrong == {}


@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_support_is_what_stands_behind_the_rate(
    data, histories, moments, policies, definitions, state_of, rows
):
    facts, policy = data.draw(histories), data.draw(policies)
    as_of = data.draw(moments)
    changes = [fact for fact in facts if isinstance(fact, Change)][:4]
    table = rows(state_of(facts, policy), changes, as_of)
    counting = Counting(definitions([f for f in facts if f.known_at < as_of], policy), as_of)
    for row, change in enumerate(changes):
        for name, (failed, decided) in table.support.items():
            feature = BY_NAME[name]
            rates = [
                counting.rate(feature.entity, one, feature.window_days, change.change_id)
                for one in asked_names(change, feature.entity)
            ]
            behind = max(
                rates, key=lambda r: (-1 if math.isnan(r[0]) else r[0], r[2]), default=None
            )
            expected = behind[1:] if behind else (math.nan, math.nan)
            found = (failed[row], decided[row])
            assert np.array_equal(found, expected, equal_nan=True), (name, found, expected)
            assert not table.values[row, NAMES.index(name)] > 1
