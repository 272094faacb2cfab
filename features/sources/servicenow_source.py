"""What every feed of a ServiceNow instance works with: pages by update, names, audit entries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from features.records import Record
from features.sources.connections import Connection
from features.sources.patience import ForbiddenError
from features.sources.servicenow_history import AUDIT, Version, by_record, versions
from features.sources.servicenow_rows import Row, database_time
from features.sources.sync import Page
from features.sources.vendor import DeliveryError, Directory, Oddities

if TYPE_CHECKING:
    from features.sources.servicenow_api import ServiceNow

SYSTEM = "servicenow"
_DATABASE = "%Y-%m-%d %H:%M:%S"

RowContent = Mapping[str, Any]


@dataclass
class Source:
    """What every feed of an instance works with.

    Parameters
    ----------
    on_record : callable
        Whether a change, by number, was read before.
    """

    instance: ServiceNow
    connection: Connection
    on_record: Callable[[str], bool]
    names: Directory = field(default_factory=Directory)
    odd: Oddities = field(default_factory=Oddities)
    audited: bool = True

    def __post_init__(self) -> None:
        self.audited = bool(self.connection.wanted("audit"))

    @property
    def limit(self) -> int:
        """Rows a request."""
        return int(self.connection.wanted("page"))

    def row(self, content: RowContent) -> Row:
        """A row to be read cell by cell."""
        return Row(content, self.connection, self.names, self.odd)

    def page(self, rows: Sequence[RowContent], records: Sequence[Record], until: datetime) -> Page:
        """A page, with the names learnt on the way."""
        learnt = tuple(self.names.learnt.values())
        self.names.learnt.clear()
        return Page(rows=len(rows), records=tuple(records), references=learnt, until=until)

    def each(
        self, rows: Sequence[RowContent], make: Callable[[RowContent], Record | None]
    ) -> list[Record]:
        """A record of every row that is one; what is missing in the others is told."""
        found = []
        for row in rows:
            try:
                made = make(row)
            except DeliveryError as error:
                self.odd.note("no_record", error.pointer, error.detail)
                continue
            if made is not None:
                found.append(made)
        return found

    def updated(
        self, table: str, since: datetime, also: str = ""
    ) -> Iterator[tuple[list[dict[str, Any]], datetime]]:
        """Pages of a table in the order of updates.

        Rows of one second may fill more than a page: after a full one the rest of its last second
        comes first, by id. Nothing is counted by position, since rows move while they are read.
        """
        at, last = _written(since), ""
        order = ["sys_updated_on", "sys_id"]
        first = f"sys_updated_on>={at}"
        while True:
            query = "^".join(filter(None, [first, also]))
            rows = self.instance.rows(table, query, limit=self.limit, order=order)
            if rows:
                at, last = value_of(rows[-1], "sys_updated_on"), value_of(rows[-1], "sys_id")
                yield rows, database_time(at) or since
            if len(rows) < self.limit:
                if not first.startswith("sys_updated_on="):
                    return
                first = f"sys_updated_on>{at}"
            else:
                first = f"sys_updated_on={at}^sys_id>{last}"

    def history(self, table: str, rows: Sequence[RowContent]) -> dict[str, list[RowContent]]:
        """Audit entries of some rows by their ids; none where they may not be read."""
        if not self.audited:
            return {}
        ids = [value_of(row, "sys_id") for row in rows]
        try:
            entries = self.instance.about(
                AUDIT, "documentkey", ids, limit=self.limit, also=f"tablename={table}"
            )
            return by_record(entries)
        except ForbiddenError:
            self.audited = False
            text = "sys_audit may not be read: changes are known only as they are now"
            self.odd.note("no_audit", AUDIT, text)
            return {}

    def versions(self, row: RowContent, audits: Sequence[RowContent]) -> list[Version]:
        """A row as it stood, oldest first.

        Raises
        ------
        DeliveryError
            If nobody can tell when it was written.
        """
        read = self.row(row)
        updated = read.stamp("sys_updated_on") or read.stamp("sys_created_on")
        if updated is None:
            raise DeliveryError("/sys_updated_on", "expected the time of the last update")
        created = read.stamp("sys_created_on") or updated
        return versions(row, audits, created=min(created, updated), updated=updated)


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime(_DATABASE)


def value_of(row: RowContent, column: str) -> str:
    """The database value of a column, empty for none."""
    cell = row.get(column)
    value = cell.get("value") if isinstance(cell, Mapping) else cell
    return "" if value is None else str(value)
