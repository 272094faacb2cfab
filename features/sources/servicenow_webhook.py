"""Bodies of ServiceNow's webhooks: one row of a table, and what it says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from features.records import CalendarEntry, Record
from features.sources import servicenow
from features.sources import servicenow_calendar as calendar
from features.sources import servicenow_estate as estate
from features.sources.connections import Connection
from features.sources.servicenow_post import Post, unwrapped, within
from features.sources.servicenow_rows import SYS_ID, Row
from features.sources.vendor import Affects, Delivery, DeliveryError, Directory, Oddities

_TABLES = {
    "incident": "incident",
    "task": "change",
    "service_offering": "item",
    "cmdb_rel_ci": "relation",
    "task_ci": "affected",
    "cmn_schedule_span": "span",
    "cmn_schedule": "schedule",
    "cmn_schedule_condition": "schedule",
    "cmn_schedule_blackout": "schedule",
    "cmn_schedule_maintenance": "schedule",
}
"""What rows of a table are, by our name for it."""

_ITEMS = re.compile(r"((u|x)_\w*)?cmdb_ci(_\w+)?")
_SHAPES = {
    "relation": {"parent", "child"},
    "affected": {"task", "ci_item"},
    "span": {"schedule", "start_date_time"},
}
"""Columns by which a bare row is recognised that does not say what it is of."""

_TAKEN = (
    "expected change_request, incident, cmdb_ci or a class of it, cmdb_rel_ci, task_ci, "
    "cmn_schedule, cmn_schedule_span or a table of your own"
)


def delivery(
    body: object, connection: Connection, known: Mapping[str, str], *, now: datetime
) -> Delivery:
    """What a webhook's body says.

    Accepts a row, ``{"result": row}``, ``{"result": [row]}`` or ``{"record": row}``, the last with
    ``table``, ``operation`` (``delete``), ``affected_cis`` (of a change) and ``schedule`` (of a
    span) beside it.

    Parameters
    ----------
    known : mapping of str to str
        Names by id.
    now : datetime
        When it arrived.

    Raises
    ------
    DeliveryError
        If it holds no row, a row of a table that is not taken, or one without what makes it one: a
        number, a name, both ends, a known schedule.
    """
    row, envelope = unwrapped(body)
    post = Post(row, envelope, connection, Directory(known), Oddities(), now)
    read = _READ[_table_of(post)]
    with within(body):
        kept = read(post)
    return replace(kept, oddities=tuple(post.odd), references=tuple(post.names.learnt.values()))


# which table -------------------------------------------------------------------------------------


def _table_of(post: Post) -> str:
    """What the row is, by our name for its table.

    A table of the organisation's own (``u_…``, ``x_…``) may be one of changes.

    Raises
    ------
    DeliveryError
        If it says what it is of, and rows of that are not taken.
    """
    told = post.envelope.get("table")
    name = told.strip().casefold() if isinstance(told, str) else ""
    if name:
        found = _named(name, post.connection)
        if found is None and name.startswith(("u_", "x_")):
            return "change"
        if found is None:
            raise DeliveryError("/table", f"{_TAKEN}, got {name[:60]!r}")
        return found
    of_class = (post.read.cell("sys_class_name").shown or "").casefold()
    if of_class:
        return _named(of_class, post.connection) or "change"
    if (post.read.cell("number").shown or "").upper().startswith("INC"):
        return "incident"
    for shape, columns in _SHAPES.items():
        if "number" not in post.row and columns <= set(post.row):
            return shape
    caused = "caused_by" in post.row and "start_date" not in post.row
    return "incident" if caused else "change"


def _named(name: str, connection: Connection) -> str | None:
    """What rows of a table are, by its name there."""
    named = connection.table("tables")
    own = {str(table).casefold(): ours for ours, table in named.items() if ours in _READ}
    found = own.get(name) or _TABLES.get(name)
    if found is None and _ITEMS.fullmatch(name):
        return "item"
    return found or ("change" if "change" in name else None)


# changes and incidents ---------------------------------------------------------------------------


def _incident(post: Post) -> Delivery:
    """The incident as it was first on record, as it stands now, and the changes it names.

    Where it is on record already, only what differs will be stored.
    """
    read, now = post.read, post.now
    current = servicenow.incident(read, known_at=now)
    number, occurred = current.incident_id, current.occurred_at
    records: list[Record] = [current]
    created = read.stamp("sys_created_on")
    if created is not None and created < now:
        records.insert(0, servicenow.incident(read, known_at=created, resolved=False))
    records += servicenow.links(read, number, occurred_at=occurred, known_at=now)
    if read.moment("incident", "occurred_at") is None:
        text = "when the incident occurred is missing; it counts from its arrival on"
        post.odd.note("missing_field", "occurred_at", text)
    _learn(post, "incident", number)
    return Delivery(number=number, records=tuple(records))


def _change(post: Post) -> Delivery:
    read, now = post.read, post.now
    affected = _affected(post)
    made = servicenow.change(read, known_at=now, affected=affected or ())
    happened = list(servicenow.events(read, made.change_id, known_at=now))
    if post.deleted and not any(event.kind == "canceled" for event in happened):
        happened.append(servicenow.event(made.change_id, "canceled", now, now))
    _learn(post, "change_request", made.change_id)
    return Delivery(
        number=made.change_id,
        change=made,
        withdrawn=any(event.kind == "canceled" for event in happened),
        records=tuple(happened),
        numbered=read.named("change", "revision") is not None,
        affected_told=affected is not None,
    )


def _affected(post: Post) -> list[str] | None:
    """Names of the affected items beside a change, which are texts, references or rows of
    ``task_ci``; None where it is not said which there are.
    """
    given = post.envelope.get("affected_cis")
    if not isinstance(given, list):
        return None
    found = []
    for entry in given[:20_000]:
        inner = entry.get("ci_item", entry) if isinstance(entry, dict) else entry
        row = post.another({"cmdb_ci": inner})
        name = row.name("cmdb_ci", row.cell("cmdb_ci"))
        if name:
            found.append(name)
    return found


def _learn(post: Post, kind: str, name: str) -> None:
    """Remember the name of what the row itself is."""
    sys_id = post.read.cell("sys_id").shown
    if sys_id and SYS_ID.fullmatch(sys_id):
        post.names.learn(kind, sys_id, name)


# items, relations, affected items ----------------------------------------------------------------


def _item(post: Post) -> Delivery:
    made = estate.item(post.read, known_at=post.known_at("sys_updated_on"))
    _learn(post, "cmdb_ci", made.ci)
    if not post.deleted:
        return Delivery(number=made.ci, records=(made,))
    text = "an item that is deleted stays as it was described last; its relations can end"
    post.odd.note("item_stays", "operation", text)
    return Delivery(number=made.ci)


def _relation(post: Post) -> Delivery:
    """The relation since it was created, and its end where it was deleted."""
    read, now = post.read, post.now
    told = next((c for c in ("sys_created_on", "sys_updated_on") if read.cell(c).shown), None)
    made = estate.relation(read, known_at=post.known_at(told or "sys_created_on"))
    for end, name in (("parent", made.parent), ("child", made.child)):
        if name == read.cell(end).ref_id:
            text = "expected an item whose name is known: send it first, or synchronise once"
            raise DeliveryError(f"/{end}", text)
    records = [made]
    if post.deleted:
        records = [made] if made.known_at < now else []
        records.append(replace(made, known_at=now, ended_at=now))
    number = f"{made.parent} {made.kind} {made.child}"
    return Delivery(number=number, records=tuple(records))


def _task_item(post: Post) -> Delivery:
    """An item that a change affects, or no longer does."""
    read = post.read
    cell, task = read.cell("ci_item"), read.cell("task")
    item = read.name("cmdb_ci", cell)
    if not item:
        raise DeliveryError("/ci_item", "expected the item")
    number = task.shown
    if task.ref_id is not None:
        shown = task.display if task.display != task.ref_id else None
        number = shown or post.names.name(task.ref_id) or task.ref_id
    if number is None:
        raise DeliveryError("/task", "expected the change")
    affects = Affects(number[:200], item[: estate.LONGEST], cell.ref_id, removed=post.deleted)
    return Delivery(number=affects.change_id, affects=affects)


# calendar ----------------------------------------------------------------------------------------


def _schedule(post: Post) -> Delivery:
    """What the spans of a schedule have to know of it."""
    read = post.read
    sys_id = read.cell("sys_id").shown
    if not sys_id or not SYS_ID.fullmatch(sys_id):
        raise DeliveryError("/sys_id", "expected the id of the schedule")
    found = calendar.Schedule.of(_classed(post))
    post.names.learn(calendar.SCHEDULE, calendar.reference_id(sys_id), found.told())
    return Delivery(number=read.cell("name").shown or sys_id)


def _classed(post: Post) -> Row:
    """The row with the table it came from as its class, where it says none."""
    table = post.envelope.get("table")
    usual = {"sys_class_name": table} if isinstance(table, str) else {}
    return post.another({**usual, **post.row})


def _span(post: Post) -> Delivery:
    """An entry of the calendar, or that it was cancelled: then it ends where it begins."""
    read = post.read
    sys_id = calendar.span_id(read)
    number = read.cell("name").shown or sys_id
    if post.deleted:
        gone = CalendarEntry(
            entry_id=sys_id,
            kind=calendar.KINDS[0],
            scope="*",
            starts_at=post.now,
            ends_at=post.now,
            known_at=post.now,
        )
        return Delivery(number=number, records=(gone,))
    made = calendar.span(read, _schedule_of(post), known_at=post.known_at("sys_updated_on"))
    return Delivery(number=number, records=() if made is None else (made,))


def _schedule_of(post: Post) -> calendar.Schedule:
    """The schedule of a span: sent with it, known from before, or told by its name.

    Raises
    ------
    DeliveryError
        If nobody knows what it is.
    """
    cell = post.read.cell("schedule")
    known_as = None if cell.ref_id is None else calendar.reference_id(cell.ref_id)
    content = _sent_with(post)
    if "type" in content or "sys_class_name" in content:
        found = calendar.Schedule.of(post.another(content))
        if known_as is not None:
            post.names.learn(calendar.SCHEDULE, known_as, found.told())
        return found
    told = None if known_as is None else post.names.name(known_as)
    if told is not None:
        return calendar.Schedule.remembered(told)
    kind = calendar.kind_of_class(cell.kind) or calendar.kind_of_name(cell.shown)
    if kind is None:
        text = (
            "expected a schedule that is known: send its row (cmn_schedule) before, or beside this "
            "one as schedule, or synchronise once"
        )
        raise DeliveryError("/schedule", text)
    text = f"what its schedule is was told by its name: {kind}"
    post.odd.note("schedule_by_name", "schedule", text)
    return calendar.Schedule(kind)


def _sent_with(post: Post) -> Mapping[str, Any]:
    """What of its schedule came with a span: beside it, or as its own ``schedule.type``."""
    beside = post.envelope.get("schedule")
    if isinstance(beside, dict):
        return beside
    dotted = {name: f"schedule.{name}" for name in calendar.COLUMNS}
    return {name: post.row[column] for name, column in dotted.items() if column in post.row}


_READ: dict[str, Callable[[Post], Delivery]] = {
    "change": _change,
    "incident": _incident,
    "item": _item,
    "relation": _relation,
    "affected": _task_item,
    "schedule": _schedule,
    "span": _span,
}
"""How a row is read, by our name for its table."""
