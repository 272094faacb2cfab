"""Jira's issues to our records: fields by name, wiki text or ADF.

Ids of custom fields differ from site to site, so fields are found by name: through the ``names`` of
the issue itself, or the site's field list, which a synchronisation keeps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from features import people
from features.records import Change, ChangeEvent, Incident, Link
from features.sources import jira_text, vendor
from features.sources.connections import Connection
from features.sources.vendor import DeliveryError, Directory, Oddities, word

FIELD = "field"
"""Kind of a reference that gives a field's name by its id."""

ISSUE = "issue"
"""Kind of a reference that gives an issue's key by its id."""

_PROSE = (
    "short_description",
    "description",
    "justification",
    "implementation_plan",
    "backout_plan",
    "test_plan",
)
_CHOICES = ("change_type", "declared_risk", "impact", "urgency", "priority")
_NAMES = ("category", "change_model", "assignment_group")
_PERSONS = ("requested_by", "implementer")
_TIMES = ("submitted_at", "planned_start", "planned_end")
PERSON_IDS = ("accountId", "key", "name")
"""Where a person's id stands; the first that is filled."""
_PERSON_NAMES = ("displayName", "emailAddress", "name", "key")


class Issue:
    """An issue, read field by field.

    Parameters
    ----------
    content : mapping
        The issue as REST v2 or v3, a webhook or an automation rule gives it.
    names : Directory
        Names of the site's fields by id.
    odd : Oddities
        Told of what cannot be used.
    """

    def __init__(
        self, content: Mapping[str, Any], connection: Connection, names: Directory, odd: Oddities
    ) -> None:
        fields = content.get("fields")
        self.fields: Mapping[str, Any] = fields if isinstance(fields, dict) else {}
        self._connection = connection
        self._odd = odd
        self._directory = names
        self._ids = {word(name): name for name in self.fields}
        given = content.get("names")
        own = given if isinstance(given, dict) else {}
        for field_id in self.fields:
            name = own.get(field_id) or names.name(field_id)
            if isinstance(name, str):
                self._ids.setdefault(word(name), field_id)
                if own.get(field_id):
                    names.learn(FIELD, field_id, name)
            elif (
                field_id.startswith("customfield_")
                and self.fields[field_id] is not None
                and word(field_id) not in connection.named
            ):
                text = f"{field_id} has no name here; synchronise once, or set its id"
                odd.note("unnamed_field", field_id, text)

    def raw(self, names: Sequence[str]) -> object:
        """The value of the first of several fields that is filled; None for none."""
        for name in names:
            value = self.fields.get(self._ids.get(word(name), ""))
            if value not in (None, "", [], {}):
                return value
        return None

    def of(self, record: str, field: str) -> object:
        """The value of a field of ours."""
        return self.raw(self._connection.columns(record, field))

    def names(self, record: str, field: str) -> tuple[str, ...]:
        """Every name that a field holds."""
        value = self.of(record, field)
        values = value if isinstance(value, list) else [value]
        found = (self._name(field, entry) for entry in values[:20_000])
        return tuple(dict.fromkeys(name for name in found if name))

    def name(self, record: str, field: str) -> str | None:
        """The first name that a field holds."""
        found = self.names(record, field)
        return found[0] if found else None

    def _name(self, field: str, value: object) -> str | None:
        """An option, user, component, service or plain text as a name."""
        if isinstance(value, dict):
            if jira_text.is_document(value):
                return vendor.text(jira_text.of_document(value))
            keys = PERSON_IDS if field in _PERSONS else ("value", "name", "label")
            for key in (*keys, "displayName", "title", "key", "id"):
                if isinstance(value.get(key), (str, int)):
                    name = vendor.text(value[key])
                    if name and field in _PERSONS:
                        self._learn_person(name, value)
                    return name
            self._odd.note("unreadable_value", field, f"{field} holds nothing that has a name")
            return None
        try:
            return vendor.text(value)
        except TypeError:
            self._odd.note("unreadable_value", field, f"{field} holds no name")
            return None

    def _learn_person(self, person_id: str, value: Mapping[str, Any]) -> None:
        known_as = people.digests(value.get(key) for key in _PERSON_NAMES)
        if known_as:
            self._directory.learn(people.PERSON, people.reference_id(person_id), known_as)

    def prose(self, record: str, field: str) -> str | None:
        """A text in plain words, from wiki markup or a document."""
        value = self.of(record, field)
        if isinstance(value, dict) and jira_text.is_document(value):
            return vendor.text(jira_text.of_document(value))
        name = self._name(field, value[0] if isinstance(value, list) and value else value)
        plain = name and (name if field == "short_description" else jira_text.of_wiki(name))
        return plain or None

    def choice(self, record: str, field: str) -> str | None:
        """A choice in our words."""
        return vendor.put(
            field, [self.name(record, field)], self._connection.words(field), self._odd
        )

    def moment(self, record: str, field: str) -> datetime | None:
        """A moment; None where there is none that can be read."""
        for name in self._connection.columns(record, field):
            value = self.raw((name,))
            if value is None:
                continue
            moment = vendor.iso_time(value)
            if moment is not None:
                return moment
            text = f"{str(value)[:60]!r} is not a time with an offset"
            self._odd.note("unreadable_value", field, text)
        return None

    def flag(self, record: str, field: str) -> bool | None:
        """Yes or no."""
        return vendor.flag(field, self.name(record, field), self._odd)

    def issue_type(self) -> str:
        """The name of its type, to be looked up."""
        value = self.fields.get("issuetype")
        name = value.get("name") if isinstance(value, dict) else None
        return word(name) if isinstance(name, str) else ""


def is_type(issue: Issue, wanted: Sequence[str]) -> bool:
    """Whether an issue is of one of the types named."""
    return issue.issue_type() in {word(name) for name in wanted}


def key_of(content: Mapping[str, Any]) -> str:
    """The key of an issue.

    Raises
    ------
    DeliveryError
        If it has none.
    """
    key = content.get("key")
    if not isinstance(key, str) or not key.strip():
        raise DeliveryError("/issue/key", "expected the key of the issue")
    return key.strip().replace("\x00", "\ufffd")[:200]


def change(issue: Issue, key: str, *, known_at: datetime, revision: str = "1") -> Change:
    """An issue as a change."""
    items = issue.names("change", "ci")
    services = issue.names("change", "service")
    fields: dict[str, Any] = {name: issue.prose("change", name) for name in _PROSE}
    fields |= {name: issue.choice("change", name) for name in _CHOICES}
    fields |= {name: issue.name("change", name) for name in (*_NAMES, *_PERSONS)}
    fields |= {name: issue.moment("change", name) for name in _TIMES}
    return Change(
        change_id=key,
        known_at=known_at,
        revision=revision,
        ci=items[0] if items else None,
        affected_cis=items,
        service=services[0] if services else None,
        impacted_services=services,
        cab_required=issue.flag("change", "cab_required"),
        **fields,
    )


def events(
    issue: Issue, key: str, connection: Connection, *, known_at: datetime
) -> Iterator[ChangeEvent]:
    """What happened to a change, as far as its issue says."""
    started = issue.moment("change", "started_at")
    if started is not None:
        yield event_of(key, "started", started, known_at)
    closed = issue.moment("change", "closed_at")
    canceled = {word(name) for name in connection.wanted("canceled")}
    words = {word(name) for name in (issue.name("change", "state"), _code(issue)) if name}
    if words & canceled:
        yield event_of(key, "canceled", closed or known_at, known_at)
    elif closed is not None:
        yield event_of(key, "closed", closed, known_at, _code(issue))


def _code(issue: Issue) -> str | None:
    return issue.name("change", "close_code")


def event_of(
    key: str, kind: str, occurred_at: datetime, known_at: datetime, code: str | None = None
) -> ChangeEvent:
    """What happened to a change, known no earlier than it happened."""
    known_at = max(occurred_at, known_at)
    return ChangeEvent(
        change_id=key, kind=kind, occurred_at=occurred_at, known_at=known_at, code=code
    )


def incident(issue: Issue, key: str, *, known_at: datetime, resolved: bool = True) -> Incident:
    """An issue as an incident."""
    occurred = issue.moment("incident", "occurred_at") or known_at
    priority = issue.choice("incident", "priority")
    return Incident(
        incident_id=key,
        occurred_at=occurred,
        known_at=max(known_at, occurred),
        resolved_at=issue.moment("incident", "resolved_at") if resolved else None,
        priority=int(priority) if priority and priority.isdecimal() and len(priority) < 3 else None,
        ci=issue.name("incident", "ci"),
        service=issue.name("incident", "service"),
        assignment_group=issue.name("incident", "assignment_group"),
        category=issue.name("incident", "category"),
        short_description=issue.prose("incident", "short_description"),
        description=issue.prose("incident", "description"),
    )


def links(
    content: Mapping[str, Any],
    key: str,
    connection: Connection,
    *,
    is_change: bool,
    known_at: Mapping[str, datetime] | datetime,
) -> Iterator[Link]:
    """Links between changes and incidents, from either end.

    A link has a type with two readings: this issue, ``outward`` ("causes"), the ``outwardIssue``;
    and the ``inwardIssue``, ``outward``, this issue.

    Parameters
    ----------
    known_at : datetime, or mapping of str to datetime
        When the links were made, if it is known by the other issue's key.
    """
    fields = content.get("fields")
    entries = fields.get("issuelinks") if isinstance(fields, dict) else None
    kinds = {
        **{word(name): "fixed_by" for name in connection.wanted("fix_links")},
        **{word(name): "caused_by" for name in connection.wanted("cause_links")},
    }
    for entry in entries if isinstance(entries, list) else []:
        other, outward, kind = _read_link(entry, kinds)
        # A change causes or fixes an incident; a link that says the reverse is of another kind.
        if (
            not other
            or kind is None
            or outward != is_change
            or _is_other(entry, connection, is_change)
        ):
            continue
        moment = known_at if isinstance(known_at, datetime) else known_at.get(other)
        if moment is not None:
            yield Link(
                incident_id=other if is_change else key,
                change_id=key if is_change else other,
                kind=kind,
                source="explicit",
                confidence=1.0,
                occurred_at=moment,
                known_at=moment,
            )


def _read_link(entry: object, kinds: Mapping[str, str]) -> tuple[str | None, bool, str | None]:
    """The other issue's key, whether it is the outward one, and what the link says."""
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), dict):
        return None, False, None
    outward = isinstance(entry.get("outwardIssue"), dict)
    other = entry.get("outwardIssue") if outward else entry.get("inwardIssue")
    key = other.get("key") if isinstance(other, dict) else None
    said = entry["type"].get("outward")
    kind = kinds.get(word(said)) if isinstance(said, str) else None
    return (key[:200] if isinstance(key, str) and key else None), outward, kind


def _is_other(entry: Mapping[str, Any], connection: Connection, is_change: bool) -> bool:
    """Whether the other end says that it is neither the incident nor the change it should be."""
    other = entry.get("outwardIssue") or entry.get("inwardIssue")
    fields = other.get("fields") if isinstance(other, dict) else None
    kind = fields.get("issuetype") if isinstance(fields, dict) else None
    name = kind.get("name") if isinstance(kind, dict) else None
    if not isinstance(name, str):
        return False
    wanted = connection.wanted("incident_types" if is_change else "change_types")
    return word(name) not in {word(one) for one in wanted}
