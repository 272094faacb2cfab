"""The words of the domain: what an IT organisation records about its changes.

Every record carries two clocks. ``occurred_at`` says when the fact happened in the world;
``known_at`` says when the organisation's records could first have told anyone. A feature or a
label may only use facts whose ``known_at`` lies before the moment it speaks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

TEXT_FIELDS = (
    "change_type",
    "category",
    "change_model",
    "short_description",
    "description",
    "justification",
    "implementation_plan",
    "backout_plan",
    "test_plan",
    "ci",
    "service",
    "assignment_group",
    "requested_by",
    "implementer",
    "declared_risk",
    "impact",
    "urgency",
    "priority",
)
"""Fields of a change that hold one string, in the order they are stored."""

LIST_FIELDS = ("affected_cis", "impacted_services", "references")
"""Fields of a change that hold several strings."""

TIME_FIELDS = ("submitted_at", "planned_start", "planned_end")
"""Fields of a change that hold a moment."""

PERSON_FIELDS = ("requested_by", "implementer")
"""Named individuals. Kept for segregation of duties; never read by a feature."""

FORBIDDEN_FIELDS = frozenset(
    {
        "state",
        "phase",
        "approval",
        "close_code",
        "close_notes",
        "closed_at",
        "closed_by",
        "work_start",
        "work_end",
        "actual_start",
        "actual_end",
        "review_comments",
        "review_status",
        "cab_recommendation",
        "reassignment_count",
        "sys_mod_count",
        "conflict_status",
        "reverted_at",
        "revert_reason",
        "outcome",
    }
)
"""Fields known only after the fact. A feature that reads one of them is a leak."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One revision of a change request, as it stood when it became known.

    Parameters
    ----------
    change_id : str
        The number people use, for example ``CHG0031874``.
    known_at : datetime
        When this revision could first be read, aware.
    revision : str
        The ITSM's own revision mark, ``"1"`` where it keeps none.
    change_type : str or None
        ``normal``, ``standard`` or ``emergency``.
    category : str or None
        What kind of work it is, in the organisation's own words.
    change_model : str or None
        Template it was made from.
    short_description, description, justification : str or None
        Title, text, and why it is wanted.
    implementation_plan, backout_plan, test_plan : str or None
        How it is done, undone and tested.
    ci, service : str or None
        First configuration item and first service affected.
    affected_cis, impacted_services : tuple of str
        All configuration items and services named, beside the first ones in ``ci`` and ``service``.
    references : tuple of str
        Tracker, problem or parent numbers this change belongs to.
    assignment_group : str or None
        Team that carries it out.
    requested_by, implementer : str or None
        Persons; kept for the separation of duties, read by no feature.
    declared_risk, impact, urgency, priority : str or None
        What the form says: a number, or ``low``, ``moderate``, ``high``.
    cab_required : bool or None
        Whether the board must see it.
    submitted_at : datetime or None
        When it was first submitted, aware.
    planned_start, planned_end : datetime or None
        When it is to be carried out, aware.
    attributes : mapping of str to float
        Further numbers known at submission, such as ``lines_added``; see the feature catalogue.
    """

    change_id: str
    known_at: datetime
    revision: str = "1"
    change_type: str | None = None
    category: str | None = None
    change_model: str | None = None
    short_description: str | None = None
    description: str | None = None
    justification: str | None = None
    implementation_plan: str | None = None
    backout_plan: str | None = None
    test_plan: str | None = None
    ci: str | None = None
    affected_cis: tuple[str, ...] = ()
    service: str | None = None
    impacted_services: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    assignment_group: str | None = None
    requested_by: str | None = None
    implementer: str | None = None
    declared_risk: str | None = None
    impact: str | None = None
    urgency: str | None = None
    priority: str | None = None
    cab_required: bool | None = None
    submitted_at: datetime | None = None
    planned_start: datetime | None = None
    planned_end: datetime | None = None
    attributes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Incident:
    """An unplanned interruption or loss of quality of a service, as it stood when it became known.

    A later row for the same ``incident_id`` (a resolution, a corrected priority) is a new fact with
    its own ``known_at``; the earlier one stays.

    Parameters
    ----------
    incident_id : str
        The number people use, for example ``INC0100001``.
    occurred_at : datetime
        When it was opened, aware.
    known_at : datetime
        When this row could first be read, aware.
    resolved_at : datetime or None
        When the service was back, aware.
    priority : int or None
        Number from 1 (the most urgent) to 5.
    ci, service : str or None
        Configuration item and service it was seen on.
    assignment_group : str or None
        Team that works on it.
    category : str or None
        What kind of trouble it is, in the organisation's own words.
    short_description, description : str or None
        Title and text.
    close_code : str or None
        What it turned out to be (software, hardware, user error), on the row known at its closing.
    """

    incident_id: str
    occurred_at: datetime
    known_at: datetime
    resolved_at: datetime | None = None
    priority: int | None = None
    ci: str | None = None
    service: str | None = None
    assignment_group: str | None = None
    category: str | None = None
    short_description: str | None = None
    description: str | None = None
    close_code: str | None = None


@dataclass(frozen=True, kw_only=True)
class Link:
    """A statement that an incident and a change belong together.

    Parameters
    ----------
    incident_id, change_id : str
        Which belong together.
    kind : str
        ``caused_by``: the change caused the incident. ``fixed_by``: the change repairs it, which is
        what ServiceNow's ``rfc`` field means; never a cause.
    source : str
        Who says so: ``explicit`` (a field or a person), ``text`` or ``same_item``.
    confidence : float
        Between 0 and 1.
    occurred_at : datetime
        When the incident was opened, aware.
    known_at : datetime
        When the statement was made, aware.
    """

    incident_id: str
    change_id: str
    kind: str
    source: str
    confidence: float
    occurred_at: datetime
    known_at: datetime


@dataclass(frozen=True, kw_only=True)
class ChangeEvent:
    """What happened to a change after it was submitted. Never a feature of that change.

    Parameters
    ----------
    change_id : str
        The change.
    kind : str
        ``started`` (``occurred_at`` is the actual start), ``closed`` (``code`` is the close code),
        ``backed_out`` or ``canceled`` (withdrawn or deleted, so that it was never carried out).
    occurred_at, known_at : datetime
        When it happened and when it was recorded, aware.
    code : str or None
        The close code of ``closed``.
    planned : bool
        For ``backed_out``: the reversal belonged to the plan (maintenance over, test finished).
    """

    change_id: str
    kind: str
    occurred_at: datetime
    known_at: datetime
    code: str | None = None
    planned: bool = False


@dataclass(frozen=True, kw_only=True)
class Item:
    """A configuration item as described from ``known_at`` on.

    Parameters
    ----------
    ci : str
        Its name.
    known_at : datetime
        Since when it is described so, aware.
    ci_class : str or None
        What it is: a server, a database.
    service : str or None
        Service it belongs to.
    criticality : int or None
        A number; 1 is the most critical.
    """

    ci: str
    known_at: datetime
    ci_class: str | None = None
    service: str | None = None
    criticality: int | None = None


@dataclass(frozen=True, kw_only=True)
class Relation:
    """``parent`` depends on ``child`` from ``occurred_at`` until ``ended_at``.

    Parameters
    ----------
    parent, child : str
        Two items; the parent needs the child.
    kind : str
        What the tool calls it, such as ``depends_on``.
    occurred_at, known_at : datetime
        Since when it holds, and when it was recorded, aware.
    ended_at : datetime or None
        Until when it holds, aware; None while it does.
    """

    parent: str
    child: str
    kind: str
    occurred_at: datetime
    known_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class CalendarEntry:
    """A span of time with a meaning: ``freeze``, ``blackout`` or ``maintenance``; ``scope`` is an
    item, a service or ``*`` for the whole organisation.

    Parameters
    ----------
    entry_id : str
        What the calendar calls it.
    kind : str
        ``freeze``, ``blackout`` or ``maintenance``.
    scope : str
        An item, a service, or ``*`` for all.
    starts_at, ends_at : datetime
        The span, aware.
    known_at : datetime
        When it was announced, aware.
    """

    entry_id: str
    kind: str
    scope: str
    starts_at: datetime
    ends_at: datetime
    known_at: datetime


Record = Change | Incident | Link | ChangeEvent | Item | Relation | CalendarEntry
