"""ServiceNow's tables as feeds: what was updated since a moment, as records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from features.records import CalendarEntry, Change, ChangeEvent, Item, Link, Record, Relation
from features.sources import servicenow
from features.sources import servicenow_calendar as calendar
from features.sources import servicenow_estate as estate
from features.sources.patience import ForbiddenError
from features.sources.servicenow_history import Version
from features.sources.servicenow_rows import Row
from features.sources.servicenow_source import RowContent, Source, value_of
from features.sources.sync import Feed, Page
from features.sources.vendor import DeliveryError

# changes -----------------------------------------------------------------------------------------


@dataclass
class Changes:
    """Change requests with their revisions, affected items and what happened to them."""

    source: Source
    name: str = "change"

    def pages(self, since: datetime) -> Iterator[Page]:
        """Pages of changes updated at ``since`` or later."""
        table = self.source.connection.table("tables")["change"]
        for rows, until in self.source.updated(table, since):
            yield self.source.page(rows, self.records(rows, table), until)

    def records(self, rows: Sequence[RowContent], table: str) -> list[Record]:
        """Everything that some rows say."""
        audits = self.source.history(table, rows)
        affected = self._affected(rows)
        found: list[Record] = []
        for row in rows:
            sys_id = value_of(row, "sys_id")
            try:
                found += self._one(row, audits.get(sys_id, []), affected.get(sys_id, []))
            except DeliveryError as error:
                self.source.odd.note("no_record", error.pointer, error.detail)
        return found

    def _one(
        self, row: RowContent, audits: Sequence[RowContent], items: Sequence[tuple[datetime, str]]
    ) -> Iterator[Record]:
        source = self.source
        steps = source.versions(row, audits)
        latest = steps[-1]
        added = max((moment for moment, _ in items), default=latest.known_at)
        if added > latest.known_at:
            steps.append(Version(row, added, latest.number))
        read = source.row(row)
        number = read.named("change", "change_id") or ""
        if len(steps) == 1 and self._taken_as_opened(number):
            opened = read.moment("change", "submitted_at") or latest.known_at
            steps = [Version(row, min(opened, latest.known_at), latest.number)]
        for step in steps:
            names = [name for moment, name in items if moment <= step.known_at or len(steps) == 1]
            made = servicenow.change(source.row(step.row), known_at=step.known_at, affected=names)
            yield _numbered(made, step.number)
        source.names.learn("change_request", value_of(row, "sys_id"), number)
        yield from servicenow.events(read, number, known_at=latest.known_at)

    def _taken_as_opened(self, number: str) -> bool:
        """Whether a change without a history is to be taken as it stood when it was opened."""
        wanted = self.source.connection.wanted("without_audit") == "opened"
        return wanted and not self.source.on_record(number)

    def _affected(self, rows: Sequence[RowContent]) -> dict[str, list[tuple[datetime, str]]]:
        """Affected items of some changes by their ids, each with the moment it was added."""
        table = self.source.connection.table("tables")["affected"]
        found: dict[str, list[tuple[datetime, str]]] = {}
        if not table:
            return found
        ids = [value_of(row, "sys_id") for row in rows]
        try:
            for entry in self.source.instance.about(table, "task", ids, limit=self.source.limit):
                read = self.source.row(entry)
                name = read.name("cmdb_ci", read.cell("ci_item"))
                added = read.stamp("sys_created_on")
                if name and added is not None:
                    found.setdefault(value_of(entry, "task"), []).append((added, name))
        except ForbiddenError as error:
            self.source.odd.note("no_affected_items", table, str(error))
        return {sys_id: sorted(items) for sys_id, items in found.items()}


def _numbered(change: Change, number: str | None) -> Change:
    return change if number is None else replace(change, revision=number)


@dataclass
class Affected:
    """Changes whose affected items were added to: that alone does not update a change."""

    source: Source
    name: str = "affected"

    def pages(self, since: datetime) -> Iterator[Page]:
        """Pages of the changes of affected items added at ``since`` or later."""
        tables = self.source.connection.table("tables")
        changes = Changes(self.source)
        for rows, until in self.source.updated(tables["affected"], since):
            ids = sorted({value_of(row, "task") for row in rows} - {""})
            found = list(
                self.source.instance.about(tables["change"], "sys_id", ids, limit=self.source.limit)
            )
            yield self.source.page(rows, changes.records(found, tables["change"]), until)


@dataclass
class Deleted:
    """Changes that were deleted: they count as withdrawn."""

    source: Source
    name: str = "deleted"

    def pages(self, since: datetime) -> Iterator[Page]:
        """Pages of what was deleted at ``since`` or later."""
        tables = self.source.connection.table("tables")
        only = f"tablename={tables['change']}"
        for rows, until in self.source.updated(tables["deleted"], since, only):
            found: list[Record] = []
            for row in rows:
                read = self.source.row(row)
                moment = read.stamp("sys_created_on") or until
                number = read.cell("display_value").shown or self.source.names.name(
                    value_of(row, "documentkey")
                )
                if number:
                    found.append(
                        ChangeEvent(
                            change_id=number, kind="canceled", occurred_at=moment, known_at=moment
                        )
                    )
            yield self.source.page(rows, found, until)


# incidents ---------------------------------------------------------------------------------------


@dataclass
class Incidents:
    """Incidents as they were opened, corrected and resolved, and the changes they name."""

    source: Source
    name: str = "incident"

    def pages(self, since: datetime) -> Iterator[Page]:
        """Pages of incidents updated at ``since`` or later."""
        table = self.source.connection.table("tables")["incident"]
        for rows, until in self.source.updated(table, since):
            audits = self.source.history(table, rows)
            found: list[Record] = []
            for row in rows:
                try:
                    found += self._one(row, audits.get(value_of(row, "sys_id"), []))
                except DeliveryError as error:
                    self.source.odd.note("no_record", error.pointer, error.detail)
            yield self.source.page(rows, found, until)

    def _one(self, row: RowContent, audits: Sequence[RowContent]) -> Iterator[Record]:
        steps = self.source.versions(row, audits)
        read = self.source.row(row)
        created = read.stamp("sys_created_on")
        if not audits and created is not None and created < steps[0].known_at:
            yield servicenow.incident(read, known_at=created, resolved=False)
        named: set[tuple[str, str]] = set()
        for step in steps:
            then = self.source.row(step.row)
            made = servicenow.incident(then, known_at=step.known_at)
            yield made
            for link in self._links(then, made.incident_id, made.occurred_at, step.known_at):
                if (link.kind, link.change_id) not in named:
                    named.add((link.kind, link.change_id))
                    yield link
        number = read.named("incident", "incident_id") or ""
        self.source.names.learn("incident", value_of(row, "sys_id"), number)

    def _links(
        self, row: Row, number: str, occurred_at: datetime, known_at: datetime
    ) -> Iterator[Link]:
        return servicenow.links(row, number, occurred_at=occurred_at, known_at=known_at)


# items, relations, calendar ----------------------------------------------------------------------


@dataclass
class Items:
    """Configuration items."""

    source: Source
    name: str = "item"

    def pages(self, since: datetime) -> Iterator[Page]:
        """Pages of items updated at ``since`` or later."""
        table = self.source.connection.table("tables")["item"]
        for rows, until in self.source.updated(table, since):
            yield self.source.page(rows, self.source.each(rows, self._one), until)

    def _one(self, row: RowContent) -> Item | None:
        read = self.source.row(row)
        known = read.stamp("sys_updated_on")
        if known is None:
            return None
        made = estate.item(read, known_at=known)
        self.source.names.learn("cmdb_ci", value_of(row, "sys_id"), made.ci)
        return made


@dataclass
class Relations:
    """Which item depends on which."""

    source: Source
    name: str = "relation"

    def pages(self, since: datetime) -> Iterator[Page]:
        """Pages of relations updated at ``since`` or later."""
        table = self.source.connection.table("tables")["relation"]
        for rows, until in self.source.updated(table, since):
            yield self.source.page(rows, self.source.each(rows, self._one), until)

    def _one(self, row: RowContent) -> Relation | None:
        read = self.source.row(row)
        known = read.stamp("sys_created_on") or read.stamp("sys_updated_on")
        return None if known is None else estate.relation(read, known_at=known)


@dataclass
class Blackouts:
    """Spans of blackout schedules; a schedule with a condition of its own is not for everybody."""

    source: Source
    name: str = "blackout"

    def pages(self, since: datetime) -> Iterator[Page]:
        """Pages of spans updated at ``since`` or later."""
        tables = self.source.connection.table("tables")
        for rows, until in self.source.updated(tables["span"], since):
            ids = sorted({value_of(row, "schedule") for row in rows} - {""})
            chosen = self.source.instance.about(
                tables["schedule"], "sys_id", ids, limit=self.source.limit
            )
            schedules = {value_of(schedule, "sys_id"): schedule for schedule in chosen}
            made = self.source.each(rows, partial(self._one, schedules))
            yield self.source.page(rows, made, until)

    def _one(self, schedules: Mapping[str, RowContent], row: RowContent) -> CalendarEntry | None:
        read, schedule = self.source.row(row), schedules.get(value_of(row, "schedule"))
        known = read.stamp("sys_updated_on")
        if schedule is None or known is None:
            return None
        found = calendar.Schedule.of(self.source.row(schedule))
        sys_id = calendar.reference_id(value_of(schedule, "sys_id"))
        self.source.names.learn(calendar.SCHEDULE, sys_id, found.told())
        if found.kind not in calendar.KINDS:
            return None  # most schedules are about people
        return calendar.span(read, found, known_at=known)


def feeds(source: Source) -> list[Feed]:
    """Every feed whose table is wanted: first what the others refer to."""
    tables = source.connection.table("tables")
    every: list[tuple[str, Feed]] = [
        ("item", Items(source)),
        ("relation", Relations(source)),
        ("change", Changes(source)),
        ("affected", Affected(source)),
        ("incident", Incidents(source)),
        ("span", Blackouts(source)),
        ("deleted", Deleted(source)),
    ]
    return [feed for table, feed in every if tables[table]]
