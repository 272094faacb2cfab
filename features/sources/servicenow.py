"""ServiceNow's changes and incidents, and what happened to them, as ours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from features.records import Change, ChangeEvent, Incident, Link
from features.sources.servicenow_rows import CHOICES, PROSE, Row
from features.sources.vendor import DeliveryError

_TIMES = ("submitted_at", "planned_start", "planned_end")
_NAMES = (
    "category",
    "change_model",
    "ci",
    "service",
    "assignment_group",
    "requested_by",
    "implementer",
)


def change(row: Row, *, known_at: datetime, affected: Sequence[str] = ()) -> Change:
    """A row of ``change_request`` as a change.

    Parameters
    ----------
    affected : sequence of str
        Names of the affected items, from ``task_ci``.

    Raises
    ------
    DeliveryError
        If it has no number.
    """
    number = row.named("change", "change_id")
    if not number:
        raise DeliveryError("/number", "expected the number of the change")
    fields: dict[str, Any] = {name: row.moment("change", name) for name in _TIMES}
    fields |= {name: row.named("change", name) for name in (*PROSE, *CHOICES, *_NAMES)}
    return Change(
        change_id=number[:200],
        known_at=known_at,
        revision=(row.named("change", "revision") or "1")[:100],
        cab_required=row.flag("change", "cab_required"),
        affected_cis=tuple(dict.fromkeys(affected)),
        **fields,
    )


def events(row: Row, number: str, *, known_at: datetime) -> Iterator[ChangeEvent]:
    """What happened to a change, as far as its row says."""
    started = row.moment("change", "started_at")
    if started is not None:
        yield event(number, "started", started, known_at)
    state = row.named("change", "state")
    closed = row.moment("change", "closed_at")
    if state == "canceled":
        yield event(number, "canceled", min(closed or known_at, known_at), known_at)
    elif state == "closed" or closed is not None:
        code = row.named("change", "close_code")
        yield event(number, "closed", min(closed or known_at, known_at), known_at, code)


def event(
    number: str, kind: str, occurred_at: datetime, known_at: datetime, code: str | None = None
) -> ChangeEvent:
    """What happened to a change at a moment."""
    return ChangeEvent(
        change_id=number,
        kind=kind,
        occurred_at=occurred_at,
        known_at=max(occurred_at, known_at),
        code=code,
    )


def incident(row: Row, *, known_at: datetime, resolved: bool = True) -> Incident:
    """A row of ``incident`` as an incident.

    Parameters
    ----------
    resolved : bool
        Whether its resolution may be told: it was known by then.

    Raises
    ------
    DeliveryError
        If it has no number.
    """
    number = row.named("incident", "incident_id")
    if not number:
        raise DeliveryError("/number", "expected the number of the incident")
    occurred = row.moment("incident", "occurred_at") or known_at
    priority = row.named("incident", "priority")
    texts = ("category", "short_description", "description", "ci", "service", "assignment_group")
    return Incident(
        incident_id=number[:200],
        occurred_at=occurred,
        known_at=max(known_at, occurred),
        resolved_at=row.moment("incident", "resolved_at") if resolved else None,
        priority=int(priority) if priority and priority.isdecimal() and len(priority) < 3 else None,
        **{name: row.named("incident", name) for name in texts},
    )


def links(row: Row, number: str, *, occurred_at: datetime, known_at: datetime) -> Iterator[Link]:
    """Which changes an incident names: ``caused_by`` as its cause, ``rfc`` as its repair."""
    for kind in ("caused_by", "fixed_by"):
        change_id = row.named("incident", kind)
        if change_id:
            yield Link(
                incident_id=number,
                change_id=change_id[:200],
                kind=kind,
                source="explicit",
                confidence=1.0,
                occurred_at=occurred_at,
                known_at=max(known_at, occurred_at),
            )
