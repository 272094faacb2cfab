"""Jira's issues as feeds: changes and incidents updated since a moment, with their history."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from features.records import Incident, Record
from features.sources import jira, vendor
from features.sources.connections import Connection
from features.sources.jira import FIELD, ISSUE, Issue
from features.sources.sync import EPOCH, Feed, Page
from features.sources.vendor import DeliveryError, Directory, Oddities, word

if TYPE_CHECKING:
    from features.sources.jira_api import Jira

SYSTEM = "jira"
_LISTS = {"component", "components", "fix version", "labels", "link", "attachment", "comment"}
"""Fields whose history tells one entry at a time; their present value is taken throughout."""
_MINUTE = timedelta(minutes=1)


@dataclass
class Site:
    """What every feed of a site works with."""

    jira: Jira
    connection: Connection
    now: Callable[[], datetime]
    names: Directory = field(default_factory=Directory)
    odd: Oddities = field(default_factory=Oddities)

    def learn_fields(self) -> None:
        """Ask the site for its fields' names."""
        for field_id, name in self.jira.field_names().items():
            self.names.learn(FIELD, field_id, name)

    def issues(self, jql: str, since: datetime) -> Iterator[tuple[list[dict[str, Any]], datetime]]:
        """Pages of issues in the order of updates, each with the last one's time.

        JQL knows minutes, and those in the account's own zone; so it is asked for "that many
        minutes ago". On Data Center, where pages are counted by position, every page begins anew
        at the minute the last one ended in: issues move to the end while they are read.
        """
        limit = int(self.connection.wanted("page"))
        at, start, token = since, 0, None
        query = self._query(jql, at)
        while True:
            answer = self.jira.search(query, limit=limit, start=start, token=token)
            found = [issue for issue in answer.get("issues") or [] if isinstance(issue, dict)]
            last = max(filter(None, map(updated, found)), default=at)
            if found:
                yield found, last
            if self.jira.cloud:
                token = answer.get("nextPageToken")
                if not token or answer.get("isLast"):
                    return
            elif len(found) < limit:
                return
            elif last - at > _MINUTE:
                at, start = last - _MINUTE, 0
                query = self._query(jql, at)
            else:
                start += len(found)

    def _query(self, jql: str, since: datetime) -> str:
        if since <= EPOCH:
            return f"({jql}) ORDER BY updated ASC, key ASC"
        minutes = math.ceil((self.now() - since) / _MINUTE) + 1
        return f'({jql}) AND updated >= "-{max(minutes, 1)}m" ORDER BY updated ASC, key ASC'

    def page(self, issues: Sequence[Any], records: Sequence[Record], until: datetime) -> Page:
        """A page, with the names learnt on the way."""
        learnt = tuple(self.names.learnt.values())
        self.names.learnt.clear()
        return Page(rows=len(issues), records=tuple(records), references=learnt, until=until)

    def issue(self, content: Mapping[str, Any]) -> Issue:
        """An issue to be read field by field."""
        return Issue(content, self.connection, self.names, self.odd)


def updated(issue: Mapping[str, Any]) -> datetime | None:
    """When an issue was last updated."""
    fields = issue.get("fields")
    return vendor.iso_time(fields.get("updated")) if isinstance(fields, dict) else None


def chosen(connection: Connection, kind: str) -> str:
    """The JQL that chooses changes or incidents."""
    own = connection.wanted(f"{kind}_jql")
    if own:
        return str(own)
    names = (
        name.replace("\\", "\\\\").replace('"', '\\"')
        for name in connection.wanted(f"{kind}_types")
    )
    return "issuetype in ({})".format(", ".join(f'"{name}"' for name in names))


# history -----------------------------------------------------------------------------------------


def versions(
    content: Mapping[str, Any], *, created: datetime
) -> list[tuple[Mapping[str, Any], datetime]]:
    """An issue as it stood from each moment of its history on, oldest first."""
    entries = sorted(histories(content), key=lambda entry: entry[0], reverse=True)
    fields = dict(content.get("fields") or {})
    found: list[tuple[Mapping[str, Any], datetime]] = []
    for moment, items in entries:
        if moment <= created:
            continue
        found.append(({**content, "fields": dict(fields)}, moment))
        for item in items:
            name = item.get("fieldId") or item.get("field")
            if name in fields and word(str(item.get("field"))) not in _LISTS:
                fields[str(name)] = _before(item)
    found.append(({**content, "fields": fields}, created))
    return found[::-1]


def histories(
    content: Mapping[str, Any],
) -> Iterator[tuple[datetime, list[Mapping[str, Any]]]]:
    """The entries of an issue's history with their moments."""
    changelog = content.get("changelog")
    entries = changelog.get("histories") if isinstance(changelog, dict) else None
    for entry in entries if isinstance(entries, list) else []:
        moment = vendor.iso_time(entry.get("created")) if isinstance(entry, dict) else None
        items = entry.get("items") if isinstance(entry, dict) else None
        if moment is not None and isinstance(items, list):
            yield moment, [item for item in items if isinstance(item, dict)]


def _before(item: Mapping[str, Any]) -> object:
    """What a field held before: a time or a person by its value, all else by its words."""
    value, words = item.get("from"), item.get("fromString")
    is_person = word(str(item.get("field"))) in ("assignee", "reporter")
    return value if is_person or vendor.iso_time(value) is not None else words


def linked_at(content: Mapping[str, Any]) -> dict[str, datetime]:
    """When an issue was first linked to each other one."""
    found: dict[str, datetime] = {}
    for moment, items in sorted(histories(content), key=lambda entry: entry[0]):
        for item in items:
            if word(str(item.get("field"))) == "link" and isinstance(item.get("to"), str):
                found.setdefault(item["to"], moment)
    return found


class _Moments(dict[str, datetime]):
    """Moments by key; for a key without one, when the issue was last updated."""

    def __init__(self, known: Mapping[str, datetime], otherwise: datetime) -> None:
        super().__init__(known)
        self._otherwise = otherwise

    def get(self, key: str, _default: object = None) -> datetime:
        return super().get(key, self._otherwise)


# feeds -------------------------------------------------------------------------------------------


@dataclass
class Issues:
    """Changes or incidents, by kind."""

    site: Site
    name: str

    def pages(self, since: datetime) -> Iterator[Page]:
        """Pages of issues updated at ``since`` or later."""
        read = self._change if self.name == "change" else self._incident
        for issues, until in self.site.issues(chosen(self.site.connection, self.name), since):
            found: list[Record] = []
            for content in issues:
                try:
                    found += read(content)
                except DeliveryError as error:
                    self.site.odd.note("no_record", error.pointer, error.detail)
            yield self.site.page(issues, found, until)

    def _known(self, content: Mapping[str, Any], key: str) -> None:
        """Remember the issue's id, and say where its history was cut."""
        if isinstance(content.get("id"), str):
            self.site.names.learn(ISSUE, content["id"], key)
        changelog = content.get("changelog")
        total = changelog.get("total") if isinstance(changelog, dict) else None
        if isinstance(total, int) and total > len(list(histories(content))):
            text = "a history was longer than the site gives: its beginning is taken as it was then"
            self.site.odd.note("history_cut", "changelog", text)

    def _moments(self, content: Mapping[str, Any]) -> tuple[datetime, datetime]:
        fields = content.get("fields")
        created = vendor.iso_time(fields.get("created")) if isinstance(fields, dict) else None
        last = updated(content) or created
        if last is None:
            raise DeliveryError("/fields/updated", "expected the time of the last update")
        return min(created or last, last), last

    def _change(self, content: Mapping[str, Any]) -> Iterator[Record]:
        key = jira.key_of(content)
        self._known(content, key)
        created, last = self._moments(content)
        number, before = 0, None
        for standing, moment in versions(content, created=created):
            made = jira.change(self.site.issue(standing), key, known_at=moment)
            said = {name: value for name, value in vars(made).items() if name != "known_at"}
            if said != before:
                number, before = number + 1, said
                yield jira.change(
                    self.site.issue(standing), key, known_at=moment, revision=str(number)
                )
        issue, connection = self.site.issue(content), self.site.connection
        yield from jira.events(issue, key, connection, known_at=last)
        when = _Moments(linked_at(content), last)
        yield from jira.links(content, key, connection, is_change=True, known_at=when)

    def _incident(self, content: Mapping[str, Any]) -> Iterator[Record]:
        key = jira.key_of(content)
        self._known(content, key)
        created, last = self._moments(content)
        for standing, moment in versions(content, created=created):
            made: Incident = jira.incident(
                self.site.issue(standing), key, known_at=moment, resolved=moment > created
            )
            yield made
        when = _Moments(linked_at(content), last)
        yield from jira.links(content, key, self.site.connection, is_change=False, known_at=when)


def feeds(site: Site) -> list[Feed]:
    """Changes, then incidents."""
    return [Issues(site, "change"), Issues(site, "incident")]
