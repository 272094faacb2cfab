"""What followed a change, as it becomes known: incidents, closing, backing out.

They become facts of the history with the moment they were reported as ``known_at``, so that the
features of later scores count them and those of earlier ones never do.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from features import instants
from features.records import ChangeEvent, Incident, Link, Record
from features.store import Store
from serving.keys import Caller
from serving.problems import RefusedError
from serving.values import Moment, Text, identifier, text_or_none

SKEW_SECONDS = 300
"""How far another system's clock may be ahead of ours."""

Name = Annotated[str, BeforeValidator(identifier), Field(min_length=1, max_length=200)]


class IncidentIn(BaseModel):
    """An incident as it stands; a later report of the same one adds to it."""

    model_config = ConfigDict(hide_input_in_errors=True)

    incident_id: Name
    occurred_at: Moment
    resolved_at: Moment = None
    priority: Annotated[int | None, Field(ge=1, le=5)] = None
    ci: Text = None
    service: Text = None
    assignment_group: Text = None
    category: Text = None
    short_description: Text = None
    description: Text = None
    caused_by: Annotated[list[Name], Field(max_length=50)] = Field(
        default_factory=list,
        description="The changes that caused it. Never the change that repairs it.",
    )


class OutcomeIn(BaseModel):
    """What happened to a change after its submission."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    kind: Literal["started", "closed", "backed_out", "canceled"]
    occurred_at: Moment = None
    code: Annotated[Annotated[str, Field(max_length=200)] | None, BeforeValidator(text_or_none)] = (
        Field(default=None, description="Close code, such as successful.")
    )
    planned: bool = Field(
        default=False, description="For backed_out: the reversal belonged to the plan."
    )


class Taken(BaseModel):
    """What was taken into the history; nothing where it was there already."""

    recorded: dict[str, int]


def report_incident(store: Store, said: IncidentIn, by: Caller, *, now: datetime) -> Taken:
    """Take an incident, and which changes caused it, into the history.

    Raises
    ------
    RefusedError
        ``invalid`` without a moment, or with one still to come.
    """
    if said.occurred_at is None:
        raise RefusedError("invalid", "this field is needed", pointer="/occurred_at")
    _passed(said.occurred_at, "/occurred_at", now)
    facts: list[Record] = [
        Incident(**said.model_dump(exclude={"caused_by"}), known_at=now),
        *(_link(said, change_id, now) for change_id in said.caused_by),
    ]
    with store.write("incident", now=now) as writer:
        taken = _counted(writer.add_news(facts))
        if taken.recorded:
            about = said.caused_by[0] if said.caused_by else None
            body = {"incident": said.model_dump(mode="json"), "by": by.signed()}
            writer.append_journal(str(uuid.uuid4()), "incident", about, body)
    return taken


def report_outcome(
    store: Store, change_id: str, said: OutcomeIn, by: Caller, *, now: datetime
) -> Taken:
    """Take what happened to a change into the history; one that is closed or withdrawn leaves the
    queue.

    Raises
    ------
    RefusedError
        ``not-found`` for a change that is not on record, ``invalid`` for a moment still to come.
    """
    occurred_at = said.occurred_at or now
    _passed(occurred_at, "/occurred_at", now)
    if not store.known_changes([change_id]):
        raise RefusedError("not-found", "this change is not on record")
    event = ChangeEvent(
        change_id=change_id,
        kind=said.kind,
        occurred_at=occurred_at,
        known_at=now,
        code=said.code,
        planned=said.planned,
    )
    with store.write("outcome", now=now) as writer:
        taken = _counted(writer.add_news([event]))
        if taken.recorded:
            body = {"outcome": said.model_dump(mode="json"), "by": by.signed()}
            writer.append_journal(str(uuid.uuid4()), "outcome", change_id, body)
    return taken


def followed(store: Store, change_id: str) -> dict[str, Any]:
    """What is on record of what followed a change: ``events`` and ``incidents``."""
    with store.review() as review:
        events, incidents = review.events(change_id), review.incidents(change_id)
    return {"events": [_spoken(row) for row in events], "incidents": list(map(_spoken, incidents))}


def _spoken(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with moments and whole numbers in place of the store's."""
    found = dict(row)
    for name in {"occurred_at", "known_at"} & set(row):
        found[name] = instants.from_micros(row[name])
    if found.get("priority") is not None:
        found["priority"] = int(found["priority"])
    return found


def _link(said: IncidentIn, change_id: str, now: datetime) -> Link:
    return Link(
        incident_id=said.incident_id,
        change_id=change_id,
        kind="caused_by",
        source="explicit",
        confidence=1.0,
        occurred_at=said.occurred_at or now,
        known_at=now,
    )


def _passed(moment: datetime, pointer: str, now: datetime) -> None:
    if (moment - now).total_seconds() > SKEW_SECONDS:
        raise RefusedError("invalid", "expected a moment that has passed", pointer=pointer)


def _counted(added: dict[str, int]) -> Taken:
    return Taken(recorded={name: count for name, count in added.items() if count})
