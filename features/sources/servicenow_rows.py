"""Rows of ServiceNow's Table API, cell by cell, whichever way they were written.

The same row comes in three serialisations: database values (``sysparm_display_value=false``, all
texts, references as ``{link, value}``), display values (``true``, dates in the caller's zone) and
both (``all``, also the Change Management API, with numbers as floats and native booleans). All give
the same record, as far as names and zone are known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from features import people
from features.records import PERSON_FIELDS
from features.sources import vendor
from features.sources.connections import Connection
from features.sources.vendor import Directory, Oddities

SYS_ID = re.compile(r"[0-9a-f]{32}")
LINK = re.compile(r"/([0-9A-Za-z_]+)/([0-9a-f]{32})(?:[?/].*)?$")
_DATABASE_TIME = "%Y-%m-%d %H:%M:%S"
_CODED = ("state", "impact", "urgency", "priority", "risk")
"""Columns whose database value is a number, so that a word in them is a display value."""
_REFERENCES = {
    "cmdb_ci": "cmdb_ci",
    "business_service": "cmdb_ci",
    "assignment_group": "sys_user_group",
    "caused_by": "change_request",
    "rfc": "change_request",
    "chg_model": "chg_model",
    "std_change_producer_version": "std_change_producer_version",
    "type": "cmdb_rel_type",
}
"""Tables that columns refer to, where no link says so."""
CHOICES = ("change_type", "declared_risk", "impact", "urgency", "priority")
PROSE = (
    "short_description",
    "description",
    "justification",
    "implementation_plan",
    "backout_plan",
    "test_plan",
)
"""Fields of a change that people write."""
_LABEL_FIRST = ("declared_risk",)
"""Choices whose numbers mean different things from one instance to another."""


@dataclass(frozen=True)
class Cell:
    """One value of a row: as the database has it, as people see it, and the id it refers to."""

    value: str | None = None
    display: str | None = None
    kind: str | None = None
    ref_id: str | None = None

    @property
    def shown(self) -> str | None:
        """The display value, else the database value."""
        return self.display or self.value


def serialisation(row: Mapping[str, Any]) -> str:
    """How a row was written: ``value``, ``display`` or ``both``."""
    pairs = [cell for cell in row.values() if isinstance(cell, dict)]
    if any("display_value" in cell and "value" in cell for cell in pairs):
        return "both"
    if any("display_value" in cell for cell in pairs):
        return "display"
    if pairs:
        return "value"
    coded = [str(row[name]).strip() for name in _CODED if isinstance(row.get(name), str)]
    worded = any(text and re.fullmatch(r"-?\d+(\.0+)?", text) is None for text in coded)
    return "display" if worded else "value"


class Row:
    """A row of a table, read cell by cell.

    Parameters
    ----------
    content : mapping
        The row in any serialisation.
    names : Directory
        Names of what it refers to; learns those it gives.
    odd : Oddities
        Told of what cannot be used.
    """

    def __init__(
        self,
        content: Mapping[str, Any],
        connection: Connection,
        names: Directory,
        odd: Oddities,
    ) -> None:
        self._content = content
        self._connection = connection
        self._names = names
        self._odd = odd
        self._written = serialisation(content)

    @property
    def zone(self) -> ZoneInfo | None:
        """The zone of times that are in none, if one is set."""
        return self._connection.zone

    def note(self, code: str, column: str, text: str) -> None:
        """Tell of what cannot be used."""
        self._odd.note(code, column, text)

    def cell(self, column: str) -> Cell:
        """A column's value; an empty cell where it has none or one that is no value."""
        raw = self._content.get(column)
        try:
            if isinstance(raw, dict):
                return self._pair(raw)
            scalar = vendor.text(raw)
        except TypeError:
            self._odd.note("unreadable_value", column, f"{column} holds no single value")
            return Cell()
        if self._written == "display":
            return Cell(display=scalar)
        ref_id = scalar if scalar and SYS_ID.fullmatch(scalar) else None
        return Cell(value=scalar, ref_id=ref_id)

    def _pair(self, raw: Mapping[str, Any]) -> Cell:
        value, display = vendor.text(raw.get("value")), vendor.text(raw.get("display_value"))
        link = raw.get("link")
        found = LINK.search(link) if isinstance(link, str) else None
        kind, ref_id = (found.group(1), found.group(2)) if found else (None, None)
        if ref_id is None and value and SYS_ID.fullmatch(value):
            ref_id = value
        return Cell(value, display, kind, ref_id)

    def first(self, columns: Sequence[str]) -> tuple[str, Cell]:
        """The first of several columns that is filled, and its value."""
        for column in columns:
            cell = self.cell(column)
            if cell.shown is not None:
                return column, cell
        return (columns[0] if columns else ""), Cell()

    def name(self, column: str, cell: Cell) -> str | None:
        """What a cell refers to, by name; a plain text as it is."""
        if cell.ref_id is None:
            return cell.shown
        kind = cell.kind or _REFERENCES.get(column, column)
        if cell.display and cell.display != cell.ref_id:
            self._names.learn(_table(kind), cell.ref_id, cell.display)
            return cell.display
        known = self._names.name(cell.ref_id)
        if known is None:
            text = f"{column} gives only an id, whose name is not known; synchronise once"
            self._odd.note("unresolved_reference", column, text)
        return known or cell.ref_id

    def time(self, column: str, cell: Cell) -> datetime | None:
        """A moment: the database value is UTC; a display value needs the zone it was shown in."""
        if cell.value is not None:
            moment = database_time(cell.value)
        elif cell.display is None:
            return None
        elif self._connection.zone is None:
            text = f"{column} comes only in a user's own time; set display_zone to use it"
            self._odd.note("time_without_zone", column, text)
            return None
        else:
            formats = self._connection.wanted("display_formats")
            moment = vendor.local_time(cell.display, formats, self._connection.zone)
        if moment is None:
            self._odd.note("unreadable_value", column, f"{cell.shown!r:.80} is not a time")
        return moment

    # by our names --------------------------------------------------------------------------------

    def named(self, record: str, field: str) -> str | None:
        """A text field of ours."""
        column, cell = self.first(self._connection.columns(record, field))
        words = self._connection.words(field)
        if field in CHOICES or field in ("state", "close_code"):
            order = [cell.value, cell.display]
            if field in _LABEL_FIRST:
                order.reverse()
            return vendor.put(field, order, words, self._odd)
        if field in ("category", *PROSE):
            shown = cell.value or cell.display
            return words.get(vendor.word(shown), shown) if shown else None
        if field in PERSON_FIELDS:
            if cell.ref_id and cell.display and cell.display != cell.ref_id:
                known_as = people.digests([cell.display])
                self._names.learn(people.PERSON, people.reference_id(cell.ref_id), known_as)
            return cell.ref_id or cell.shown  # an id says as much, and names nobody
        return self.name(column, cell)

    def moment(self, record: str, field: str) -> datetime | None:
        """A moment of ours: the first of its columns that holds one."""
        for column in self._connection.columns(record, field):
            moment = self.time(column, self.cell(column))
            if moment is not None:
                return moment
        return None

    def stamp(self, column: str) -> datetime | None:
        """A moment of a column of theirs, such as ``sys_updated_on``."""
        return self.time(column, self.cell(column))

    def flag(self, record: str, field: str) -> bool | None:
        """Yes or no."""
        _, cell = self.first(self._connection.columns(record, field))
        return vendor.flag(field, cell.value or cell.display, self._odd)

    def level(self, record: str, field: str) -> int | None:
        """A priority or criticality as a number."""
        _, cell = self.first(self._connection.columns(record, field))
        return vendor.level(field, cell.shown, self._odd)


def database_time(value: str) -> datetime | None:
    """A database time; also ISO 8601, with an offset or, being UTC anyway, without one."""
    try:
        return vendor.in_range(datetime.strptime(value, _DATABASE_TIME).replace(tzinfo=UTC))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return vendor.in_range(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _table(kind: str) -> str:
    """One kind for all tables that hold configuration items."""
    return "cmdb_ci" if kind.startswith("cmdb_ci") or kind == "service_offering" else kind
