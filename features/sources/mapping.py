"""The mapping file: which column of which table holds which field of a record.

Everything in it is checked before a row is read, so that a misspelt name is an error with a
suggestion and not an empty field. ``docs/csv-mapping.md`` says the same for people who write one.
"""

from __future__ import annotations

import codecs
import dataclasses
import difflib
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from features.columns import kinds
from features.policy import POLICIES
from features.records import (
    FORBIDDEN_FIELDS,
    CalendarEntry,
    Change,
    ChangeEvent,
    Incident,
    Item,
    Link,
    Relation,
)
from features.request import ATTRIBUTES
from features.sources.advice import no_changes, no_column
from features.sources.reading import SourceError

NAME = "mapping.toml"
SUFFIXES = (".csv", ".tsv", ".txt", ".parquet")
_BOOKKEEPING = {"change_id", "revision", "known_at"}
"""Fields that tell revisions apart and that no feature reads, so that any column may give them."""
_FORMATS = {"timezone", "encoding", "delimiter", "time_format"}


@dataclass(frozen=True, kw_only=True)
class TableKind:
    """A table that can be read.

    Parameters
    ----------
    extra : mapping of str to str
        Columns beyond the record's own fields, with their kinds; they become other records.
    fallback : mapping of str to str
        Field to take where another is empty.
    defaults : mapping of str to object
        Values of required fields where no column gives them.
    """

    record_type: type
    extra: Mapping[str, str] = field(default_factory=dict)
    fallback: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, object] = field(default_factory=dict)

    @property
    def fields(self) -> dict[str, str]:
        """Kind of every field a column may hold, as in :func:`features.columns.kinds`."""
        own = {name: kind for name, kind in kinds(self.record_type).items() if kind != "map"}
        return own | dict(self.extra)

    @property
    def required(self) -> tuple[str, ...]:
        """Fields without which there is no record."""
        missing = dataclasses.MISSING
        return tuple(
            f.name
            for f in dataclasses.fields(self.record_type)
            if f.default is missing and f.default_factory is missing
        )

    @property
    def strict(self) -> frozenset[str]:
        """Fields whose unreadable value costs the row: the required ones and all clocks."""
        return frozenset({*self.required, *self.fallback.values(), "linked_at"})


TABLES: dict[str, TableKind] = {
    "changes": TableKind(record_type=Change, fallback={"known_at": "submitted_at"}),
    "incidents": TableKind(
        record_type=Incident,
        extra={"opened_at": "time", "caused_by": "list", "rfc": "list", "linked_at": "time"},
        fallback={"occurred_at": "opened_at", "known_at": "occurred_at"},
    ),
    "links": TableKind(
        record_type=Link,
        fallback={"known_at": "occurred_at", "occurred_at": "known_at"},
        defaults={"source": "explicit", "confidence": 1.0},
    ),
    "items": TableKind(record_type=Item),
    "relations": TableKind(
        record_type=Relation,
        fallback={"known_at": "occurred_at", "occurred_at": "known_at"},
        defaults={"kind": "depends_on"},
    ),
    "calendar": TableKind(
        record_type=CalendarEntry,
        fallback={"known_at": "starts_at"},
        defaults={"scope": "*"},
    ),
    "events": TableKind(
        record_type=ChangeEvent,
        extra={"started_at": "time", "closed_at": "time", "backed_out_at": "time"},
        fallback={"known_at": "occurred_at"},
    ),
}
"""Every table by its name in the mapping file and as a file, in reading order."""

EVENT_COLUMNS = {"started_at": "started", "closed_at": "closed", "backed_out_at": "backed_out"}
"""Columns that each give one event, for exports with one row a change, and the event's kind."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """Where a field's values come from: a column of the file, or one value for all rows."""

    name: str | None = None
    value: str | datetime | None = None
    separator: str = ";"


@dataclass(frozen=True, kw_only=True)
class Formats:
    """How the text of a file is to be read."""

    zone: ZoneInfo | None = None
    encoding: str | None = None
    delimiter: str | None = None
    time_format: str | None = None


@dataclass(frozen=True, kw_only=True)
class TableMapping:
    """What is known of one table before its file is opened."""

    name: str
    file: Path
    formats: Formats
    columns: Mapping[str, Column | None] = field(default_factory=dict)
    attributes: Mapping[str, str] | None = None
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def kind(self) -> TableKind:
        """The kind of table it is."""
        return TABLES[self.name]


@dataclass(frozen=True, kw_only=True)
class MappingFile:
    """A whole mapping: the tables found, in reading order, and the label asked for."""

    tables: Sequence[TableMapping]
    label: str | None = None


def load(folder: Path, given: str | Path | None = None) -> MappingFile:
    """The mapping of a folder of exports.

    Parameters
    ----------
    given : path, optional
        The mapping file; by default ``mapping.toml`` in the folder, if there is one.

    Raises
    ------
    SourceError
        If the folder holds no changes, or the mapping names something that does not exist.
    """
    if not folder.is_dir():
        raise SourceError(f"expected a folder of CSV or Parquet files, found none at {folder}")
    path = folder / NAME if given is None else Path(given)
    content = _parsed(path) if given is not None or path.is_file() else {}
    _known(content, {"source", *TABLES}, path.name, "table")
    source = _section(content, "source", path.name)
    _known(source, _FORMATS | {"label"}, f"{path.name}: [source]", "setting")
    label = source.get("label")
    if label is not None and label not in POLICIES:
        raise unknown(f"{path.name}: [source]", "label", str(label), POLICIES)
    tables = [
        found
        for name in TABLES
        if (found := _table(name, content, source, folder, path.name)) is not None
    ]
    if not tables or tables[0].name != "changes":
        raise SourceError(no_changes(folder))
    return MappingFile(tables=tables, label=label)


def resolve(table: TableMapping, header: Sequence[str]) -> dict[str, Column]:
    """The column of every field and attribute, by its name, for a file with these columns.

    Fields that the mapping does not name are taken from columns of the same name.

    Raises
    ------
    SourceError
        If a column named is not in the file, or a required field has no column.
    """
    named = {name: column for name, column in table.columns.items() if column is not None}
    if table.attributes is not None:
        named |= {name: Column(name=column) for name, column in table.attributes.items()}
    for name, column in named.items():
        if column.name is not None and column.name not in header:
            raise unknown(f"{table.file.name}: {name}", "column", column.name, header)
    usual = [*table.kind.fields]
    if table.name == "changes" and table.attributes is None:
        usual += ATTRIBUTES
    for name in usual:
        if name in header and name not in table.columns and name not in named:
            named[name] = Column(name=name)
    for name, column in named.items():
        if header.count(column.name or "") > 1:
            raise SourceError(f"{table.file.name}: {name}: two columns are called {column.name!r}")
    _check_required(table, named, header)
    return named


def unknown(where: str, what: str, name: str, known: Collection[str]) -> SourceError:
    """The error for a name that means nothing, with the nearest one that does."""
    near = difflib.get_close_matches(name, list(known), 1)
    hint = f"; did you mean {near[0]!r}?" if near else ";"
    return SourceError(f"{where}: unknown {what} {name!r}{hint} known are {', '.join(known)}")


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SourceError(f"expected a mapping file at {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SourceError(f"{path.name} is not a TOML file: {error}") from error


def _known(section: Mapping[str, Any], known: Collection[str], where: str, what: str) -> None:
    for name in section:
        if name not in known:
            raise unknown(where, what, name, sorted(known))


def _section(content: Mapping[str, Any], name: str, where: str) -> dict[str, Any]:
    section = content.get(name, {})
    if not isinstance(section, dict):
        raise SourceError(f"{where}: expected [{name}] to be a table, got {section!r}")
    return section


def _table(
    name: str, content: Mapping[str, Any], source: Mapping[str, Any], folder: Path, where: str
) -> TableMapping | None:
    """One table's mapping; None where there is neither a mapping nor a file."""
    section = _section(content, name, where)
    place = f"{where}: [{name}]"
    settings = _FORMATS | {"file", "columns", "values"}
    _known(section, settings | ({"attributes"} if name == "changes" else set()), place, "setting")
    columns = _section(section, "columns", place)
    attributes = _section(section, "attributes", place) if "attributes" in section else None
    if name == "changes":
        _refuse_forbidden(columns, attributes or {}, place)
    _known(columns, TABLES[name].fields, f"{where}: [{name}.columns]", "field")
    file = _file(name, section.get("file"), folder, described=name in content)
    if file is None:
        return None
    values = _section(section, "values", place)
    _known(values, [*TABLES[name].fields, *(attributes or {})], f"{place} values", "field")
    return TableMapping(
        name=name,
        file=file,
        formats=_formats({**source, **section}, place),
        columns={key: _column(spec, f"{place} {key}") for key, spec in columns.items()},
        attributes=_attributes(attributes, place),
        values={
            key: {word: str(ours) for word, ours in _section(values, key, place).items()}
            for key in values
        },
    )


def _refuse_forbidden(columns: dict[str, Any], attributes: dict[str, Any], place: str) -> None:
    """A change is what was asked for: nothing that came after may get into it."""
    for name, spec in [*columns.items(), *attributes.items()]:
        column = spec.get("column") if isinstance(spec, dict) else spec
        for word in (name, None if name in _BOOKKEEPING else column):
            if isinstance(word, str) and word.lower() in FORBIDDEN_FIELDS:
                raise SourceError(
                    f"{place} {name}: {word!r} is known only after the change was submitted, so "
                    "it may not be part of a change; what happened afterwards belongs in [events]"
                )


def _file(name: str, given: object, folder: Path, *, described: bool) -> Path | None:
    if given is not None:
        file = folder / str(given)
        if file.suffix.lower() not in SUFFIXES:
            raise SourceError(f"[{name}] file: expected {', '.join(SUFFIXES)}, got {given!r}")
        if not file.is_file():
            there = [entry.name for entry in sorted(folder.iterdir())]
            raise unknown(f"[{name}]", "file", str(given), there)
        return file
    found = [f for suffix in (".csv", ".parquet") if (f := folder / f"{name}{suffix}").is_file()]
    if len(found) > 1:
        raise SourceError(f"found both {name}.csv and {name}.parquet; name one: [{name}] file =")
    if described and not found:
        raise SourceError(f"[{name}]: expected {name}.csv or {name}.parquet in {folder}, or file =")
    return found[0] if found else None


def _formats(settings: Mapping[str, Any], place: str) -> Formats:
    for key in _FORMATS & set(settings):
        if not isinstance(settings[key], str):
            raise SourceError(f"{place} {key}: expected text in quotes, got {settings[key]!r}")
    zone, encoding = settings.get("timezone"), settings.get("encoding")
    delimiter, time_format = settings.get("delimiter"), settings.get("time_format")
    if zone is not None and zone not in available_timezones():
        near = difflib.get_close_matches(zone, available_timezones(), 1) or ["Europe/Berlin"]
        raise SourceError(f"{place}: unknown timezone {zone!r}; expected a name like {near[0]!r}")
    if delimiter is not None and len(delimiter) != 1:
        raise SourceError(f"{place} delimiter: expected one character, got {delimiter!r}")
    try:
        codecs.lookup(encoding or "utf-8")
    except LookupError as error:
        raise SourceError(f"{place}: unknown encoding {encoding!r}") from error
    if time_format is not None and not _reads_back(time_format):
        raise SourceError(f"{place} time_format: {time_format!r} does not describe a time")
    return Formats(
        zone=None if zone is None else ZoneInfo(zone),
        encoding=encoding,
        delimiter=delimiter,
        time_format=time_format,
    )


def _reads_back(time_format: str) -> bool:
    example = datetime(2026, 11, 24, 22, 30, tzinfo=UTC)
    try:
        again = datetime.strptime(example.strftime(time_format), time_format)  # noqa: DTZ007
    except ValueError:
        return False
    return (again.year, again.month, again.day) == (2026, 11, 24)


def _column(spec: object, place: str) -> Column | None:
    if spec is False:
        return None
    if isinstance(spec, str):
        return Column(name=spec)
    if not isinstance(spec, dict) or ("column" in spec) == ("value" in spec):
        raise SourceError(
            f"{place}: expected a column's name, {{ column = … }}, {{ value = … }} or false, "
            f"got {spec!r}"
        )
    _known(spec, ("column", "value", "separator"), place, "setting")
    value = spec.get("value")
    if value is not None and not isinstance(value, datetime):
        value = str(value)
    separator = spec.get("separator", ";")
    if not isinstance(separator, str) or not separator:
        raise SourceError(f"{place} separator: expected text, got {separator!r}")
    return Column(name=spec.get("column"), value=value, separator=separator)


def _attributes(section: dict[str, Any] | None, place: str) -> dict[str, str] | None:
    for name, column in (section or {}).items():
        if not isinstance(column, str):
            raise SourceError(f"{place} attributes {name}: expected a column, got {column!r}")
        if name in TABLES["changes"].fields:
            raise SourceError(f"{place} attributes: {name!r} is a field; put it under columns")
    return section


def _check_required(
    table: TableMapping, named: Mapping[str, Column], header: Sequence[str]
) -> None:
    wide = bool(set(EVENT_COLUMNS) & set(named))
    if wide and {"kind", "occurred_at"} & set(named):
        raise SourceError(
            f"{table.file.name}: expected either kind and occurred_at, or columns for "
            f"{', '.join(EVENT_COLUMNS)}, not both"
        )
    for name in ("change_id",) if wide else table.kind.required:
        options = _sources(table.kind, name)
        if name not in table.kind.defaults and not options & set(named):
            raise SourceError(no_column(table.file.name, table.name, name, options, list(header)))


def _sources(kind: TableKind, name: str) -> set[str]:
    """A field and the fields that can stand in for it."""
    found = {name}
    while (name := kind.fallback.get(name, "")) and name not in found:
        found.add(name)
    return found
