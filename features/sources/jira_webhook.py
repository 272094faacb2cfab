"""Bodies of Jira's webhooks and automation rules: what they say, and whether it comes in order."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from features import people
from features.records import Change, Record
from features.sources import vendor
from features.sources.connections import Connection
from features.sources.jira import (
    ISSUE,
    PERSON_IDS,
    Issue,
    change,
    event_of,
    events,
    incident,
    is_type,
    key_of,
    links,
)
from features.sources.vendor import Delivery, DeliveryError, Directory, Oddities

UPDATED = "updated"
"""Kind of a reference that gives the moment of the last update seen of a change by its key."""

AHEAD = timedelta(minutes=5)
"""How far a site's clock may be ahead of ours; a later moment says nothing of the order."""


def delivery(
    body: object, connection: Connection, known: Mapping[str, str], *, now: datetime
) -> Delivery:
    """What a body of a webhook or an automation rule says.

    Accepts a webhook or "Jira format" (``{"issue": …, "timestamp": …}``) and a bare issue, as the
    "Automation format" has it.

    Parameters
    ----------
    known : mapping of str to str
        Names of the site's fields by id.
    now : datetime
        When it arrived.

    Raises
    ------
    DeliveryError
        If it holds no issue or the issue has no key.
    """
    if not isinstance(body, dict):
        raise DeliveryError("", "expected a JSON object")
    content = body.get("issue", body)
    if not isinstance(content, dict):
        raise DeliveryError("/issue", "expected an issue")
    key, odd, names = key_of(content), Oddities(), Directory(known)
    if isinstance(body.get("names"), dict) and "names" not in content:
        content = {**content, "names": body["names"]}
    issue = Issue(content, connection, names, odd)
    if isinstance(content.get("id"), str | int):
        names.learn(ISSUE, str(content["id"])[:100], key)
    records: list[Record] = []
    made: Change | None = None
    withdrawn = late = False
    if is_type(issue, connection.wanted("incident_types")):
        created = issue.moment("change", "submitted_at")
        if created is not None and created < now:
            records.append(incident(issue, key, known_at=created, resolved=False))
        records.append(incident(issue, key, known_at=now))
        records += links(content, key, connection, is_change=False, known_at=now)
    elif _is_late(issue, key, names, now):
        made = change(issue, key, known_at=now)
        late = True
    else:
        made = change(issue, key, known_at=now)
        records += events(issue, key, connection, known_at=now)
        records += links(content, key, connection, is_change=True, known_at=now)
        if body.get("webhookEvent") == "jira:issue_deleted":
            records.append(event_of(key, "canceled", now, now))
        withdrawn = any(getattr(r, "kind", "") == "canceled" for r in records)
    return Delivery(
        number=key,
        change=made,
        withdrawn=withdrawn,
        records=tuple(records),
        oddities=tuple(odd),
        references=tuple(names.learnt.values()),
        late=late,
    )


def _is_late(issue: Issue, key: str, names: Directory, now: datetime) -> bool:
    """Whether a later update of the change was seen before this one; else it is remembered."""
    moment = vendor.iso_time(issue.fields.get("updated"))
    if moment is None or moment > now + AHEAD:
        return False
    seen = vendor.iso_time(names.name(_updated(key)) or "")
    if seen is not None and moment < seen:
        return True
    names.learn(UPDATED, _updated(key), moment.isoformat())
    return False


def _updated(key: str) -> str:
    return f"{UPDATED}:{key}"


def references(body: object) -> set[str]:
    """Fields and people of a body and its issue's own id, so that names can be looked up."""
    content = body.get("issue", body) if isinstance(body, dict) else None
    if not isinstance(content, dict):
        return set()
    fields = content.get("fields")
    found = {name for name in fields if len(name) < 100} if isinstance(fields, dict) else set()
    for value in fields.values() if isinstance(fields, dict) else ():
        ids = [value.get(key) for key in PERSON_IDS] if isinstance(value, dict) else []
        found |= {people.reference_id(one) for one in ids if isinstance(one, str)}
    if isinstance(content.get("id"), str | int):
        found.add(str(content["id"])[:100])
    if isinstance(content.get("key"), str):
        found.add(_updated(content["key"].strip()[:200]))
    return found
