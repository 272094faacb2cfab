"""ServiceNow's records to ours: changes, incidents, what happened to them, and webhook bodies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from features import people
from features.records import Change, ChangeEvent, Incident, Link, Record
from features.sources.connections import Connection
from features.sources.servicenow_rows import CHOICES, LINK, PROSE, SYS_ID, Row
from features.sources.vendor import Delivery, DeliveryError, Directory, Oddities

ENVELOPES = ("result", "record")
"""Keys under which a body may hold the row."""

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
        yield _event(number, "started", started, known_at)
    state = row.named("change", "state")
    closed = row.moment("change", "closed_at")
    if state == "canceled":
        yield _event(number, "canceled", min(closed or known_at, known_at), known_at)
    elif state == "closed" or closed is not None:
        code = row.named("change", "close_code")
        yield _event(number, "closed", min(closed or known_at, known_at), known_at, code)


def _event(
    number: str, kind: str, occurred_at: datetime, known_at: datetime, code: str | None = None
) -> ChangeEvent:
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


# webhooks ----------------------------------------------------------------------------------------


def delivery(
    body: object, connection: Connection, known: Mapping[str, str], *, now: datetime
) -> Delivery:
    """What a webhook's body says.

    Accepts a row, ``{"result": row}``, ``{"result": [row]}`` or ``{"record": row}``, the last with
    ``table``, ``operation`` (``delete``) and ``affected_cis`` beside it.

    Parameters
    ----------
    known : mapping of str to str
        Names by id.
    now : datetime
        When it arrived.

    Raises
    ------
    DeliveryError
        If it holds no row, the row has no number, or its table is neither one of changes nor that
        of incidents.
    """
    row, envelope = unwrapped(body)
    _refuse_others(envelope.get("table"))
    odd, names = Oddities(), Directory(known)
    read = Row(row, connection, names, odd)
    with _within(body):
        if _is_incident(row, envelope, read):
            number, made = _incident_records(read, now)
            kept = Delivery(number=number, records=made)
            if read.moment("incident", "occurred_at") is None:
                text = "when the incident occurred is missing; it counts from its arrival on"
                odd.note("missing_field", "occurred_at", text)
        else:
            kept = _change_delivery(read, envelope, connection, names, odd, now)
    sys_id = read.cell("sys_id").shown
    if sys_id and SYS_ID.fullmatch(sys_id):
        kind = "incident" if kept.change is None and not kept.withdrawn else "change_request"
        names.learn(kind, sys_id, kept.number)
    return Delivery(
        number=kept.number,
        change=kept.change,
        withdrawn=kept.withdrawn,
        records=kept.records,
        oddities=tuple(odd),
        references=tuple(names.learnt.values()),
        numbered=read.named("change", "revision") is not None,
    )


@contextmanager
def _within(body: object) -> Iterator[None]:
    """Let the pointers of what is refused lead to where the row stands in a body."""
    try:
        yield
    except DeliveryError as refused:
        raise DeliveryError(f"{_place(body)}{refused.pointer}", refused.detail) from None


def _place(body: object) -> str:
    """JSON pointer of the row within a body."""
    if isinstance(body, dict):
        for key in ENVELOPES:
            if key in body:
                return f"/{key}/0" if isinstance(body[key], list) else f"/{key}"
    return ""


def unwrapped(body: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """The row of a body, and what stands beside it.

    Raises
    ------
    DeliveryError
        If there is not exactly one row.
    """
    if not isinstance(body, dict):
        raise DeliveryError("", "expected a JSON object")
    for key in ENVELOPES:
        if key in body:
            inner = body[key]
            if isinstance(inner, list) and len(inner) == 1:
                inner = inner[0]
            if not isinstance(inner, dict):
                raise DeliveryError(f"/{key}", "expected one record")
            # A number or sys_id beside the record stands in for one missing in it.
            beside = {k: v for k, v in body.items() if k != key}
            usual = {k: beside[k] for k in ("sys_id", "number", "sys_mod_count") if k in beside}
            return {**usual, **inner}, beside
    return body, {}


def references(body: object) -> set[str]:
    """Every id that a body refers to, be it a person's, so that names can be looked up."""
    found: set[str] = set()
    waiting, steps = [body], 0
    while waiting and steps < 50_000:
        steps += 1
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, str) and len(value) < 500:
            match = LINK.search(value)
            if match:
                found.add(match.group(2))
            elif SYS_ID.fullmatch(value):
                found.add(value)
    return found | {people.reference_id(one) for one in found}


def _refuse_others(table: object) -> None:
    """Refuse a row of a table that says what it is of, and is of neither changes nor incidents.

    A table of the organisation's own (``u_…``, ``x_…``) may be one of changes.
    """
    name = table.strip().casefold() if isinstance(table, str) else ""
    known = ("change" in name, name in ("", "task", "incident"), name.startswith(("u_", "x_")))
    if not any(known):
        text = (
            "expected change_request, incident or a table of your own; items, relations and other"
        )
        raise DeliveryError(
            "/table", f"{text} records come by `changerisk sync`, got {name[:60]!r}"
        )


def _is_incident(row: Mapping[str, Any], envelope: Mapping[str, Any], read: Row) -> bool:
    for name in (envelope.get("table"), read.cell("sys_class_name").shown):
        if isinstance(name, str) and name.strip():
            return name.strip().casefold() == "incident"
    number = read.cell("number").shown or ""
    return number.upper().startswith("INC") or ("caused_by" in row and "start_date" not in row)


def _incident_records(read: Row, now: datetime) -> tuple[str, tuple[Record, ...]]:
    """The incident as it was first on record, as it stands now, and the changes it names.

    Where it is on record already, only what differs will be stored.
    """
    current = incident(read, known_at=now)
    created = read.stamp("sys_created_on")
    linked = links(read, current.incident_id, occurred_at=current.occurred_at, known_at=now)
    if created is None or created >= now:
        return current.incident_id, (current, *linked)
    return current.incident_id, (incident(read, known_at=created, resolved=False), current, *linked)


def _change_delivery(
    read: Row,
    envelope: Mapping[str, Any],
    connection: Connection,
    names: Directory,
    odd: Oddities,
    now: datetime,
) -> Delivery:
    made = change(read, known_at=now, affected=_affected(envelope, connection, names, odd))
    happened = list(events(read, made.change_id, known_at=now))
    operation = envelope.get("operation")
    deleted = isinstance(operation, str) and operation.strip().casefold() in ("delete", "deleted")
    if deleted and not any(event.kind == "canceled" for event in happened):
        happened.append(_event(made.change_id, "canceled", now, now))
    withdrawn = any(event.kind == "canceled" for event in happened)
    return Delivery(
        number=made.change_id, change=made, withdrawn=withdrawn, records=tuple(happened)
    )


def _affected(
    envelope: Mapping[str, Any], connection: Connection, names: Directory, odd: Oddities
) -> list[str]:
    """Names of the affected items beside a record: texts, references or rows of ``task_ci``."""
    given = envelope.get("affected_cis")
    if not isinstance(given, list):
        return []
    found = []
    for entry in given[:20_000]:
        inner = entry.get("ci_item", entry) if isinstance(entry, dict) else entry
        row = Row({"cmdb_ci": inner}, connection, names, odd)
        name = row.name("cmdb_ci", row.cell("cmdb_ci"))
        if name:
            found.append(name)
    return found
