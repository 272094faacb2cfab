"""Changes and incidents in few words, and a question about one of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from features import instants
from features.columns import Columns
from features.evidence import Question
from features.history import History
from features.policy import POLICIES, LabelPolicy
from features.records import Change, Incident, Link, Record
from features.state import FeatureState

POLICY = POLICIES["incident"]


def question(
    facts: Iterable[Record], change: Change, as_of: datetime, policy: LabelPolicy = POLICY
) -> Question:
    state = FeatureState(History.from_records(facts), policy)
    return Question(Columns.from_records(Change, [change]), 0, instants.to_micros(as_of), state)


def planned(change_id: str, start: datetime, hours: float = 1, **fields: Any) -> Change:
    """A change submitted a day before its window."""
    return Change(
        change_id=change_id,
        known_at=fields.pop("known_at", start - timedelta(days=1)),
        submitted_at=start - timedelta(days=1),
        planned_start=start,
        planned_end=start + timedelta(hours=hours),
        **fields,
    )


def opened(incident_id: str, at: datetime, **fields: Any) -> Incident:
    return Incident(incident_id=incident_id, occurred_at=at, known_at=at, **fields)


def caused(incident_id: str, change_id: str, at: datetime) -> Link:
    return Link(
        incident_id=incident_id,
        change_id=change_id,
        kind="caused_by",
        source="explicit",
        confidence=1.0,
        occurred_at=at,
        known_at=at,
    )
