"""CSV and Parquet tables of anybody's making, read by a mapping file into records.

Takes a folder with ``changes`` and, if they are there, ``incidents``, ``links``, ``items``,
``relations``, ``calendar`` and ``events``. All headers are checked before the first row is read. A
row that cannot become a record is rejected with its line, and nothing is guessed.
"""

from __future__ import annotations

import codecs
import csv
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from features.records import FORBIDDEN_FIELDS, Change, ChangeEvent, Incident, Link, Record
from features.request import ATTRIBUTES
from features.sources.advice import unknown_types
from features.sources.cells import Cell, UnreadableError
from features.sources.mapping import EVENT_COLUMNS, TableMapping, load, resolve
from features.sources.reading import Reading, SourceError, line_that_fails

CHUNK = 50_000
"""Rows of a Parquet file in memory at once; a CSV file is read row by row."""

_DELIMITERS = ",;\t|"


def read(path: Path, reading: Reading) -> Iterator[Record]:
    """Records of the tables in a folder; ``reading.options["mapping"]`` may name a mapping file."""
    mapping = load(path, reading.options.get("mapping"))
    reading.label = mapping.label
    tables = [_Table(table, reading) for table in mapping.tables]
    for table in tables:
        yield from table.records()
    reading.notes.extend(_unread(tables))


# files -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Row:
    """A row as it stands in its file, and what is wrong with it as a row."""

    number: int
    values: Sequence[object]
    fault: str | None = None


class _Lines:
    """Lines of a text file, able to take back those of a row that could not be read."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self._again: list[str] = []
        self.number = 0
        self.taken: list[str] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._again.pop() if self._again else next(self._lines)
        self.number += 1
        self.taken.append(line)
        return line

    def take_back_all_but_first(self) -> str:
        """Make the lines taken come again, without the first, which is returned."""
        first, *others = self.taken
        self._again.extend(reversed(others))
        self.number -= len(others)
        return first.rstrip("\r\n")


class _CsvFile:
    """A text file with a header; a row is a line, or several where quotes enclose the breaks."""

    total: int | None = None

    def __init__(self, table: TableMapping) -> None:
        self._path = table.file
        self._encoding = table.formats.encoding or _byte_order_mark(table.file)
        if codecs.lookup(self._encoding).name == "utf-8":
            self._encoding = "utf-8-sig"
        self._delimiter = table.formats.delimiter
        header = next(self._rows(), None)
        if header is None or header.fault is not None:
            raise SourceError(f"{self._path.name}: expected a first line with the columns' names")
        self.header = [str(name).strip() for name in header.values]

    def rows(self) -> Iterator[_Row]:
        """Every row after the header, with its line."""
        width = len(self.header)
        for row in itertools.islice(self._rows(), 1, None):
            if row.fault is None and len(row.values) != width:
                yield _Row(row.number, row.values, f"the row does not have {width} values")
            else:
                yield row

    def _rows(self) -> Iterator[_Row]:
        with self._path.open(encoding=self._encoding, newline="") as file:
            lines = _Lines(file)
            try:
                if self._delimiter is None:
                    first = file.readline()
                    file.seek(0)
                    self._delimiter = max(_DELIMITERS, key=first.count)
                yield from _split(lines, self._delimiter)
            except UnicodeError as error:
                raise SourceError(
                    f"{self._path.name} could not be read as {self._encoding.removesuffix('-sig')} "
                    f"(line {line_that_fails(self._path, self._encoding)}); name its encoding in "
                    'the mapping file, for example encoding = "cp1252"'
                ) from error


def _split(lines: _Lines, delimiter: str) -> Iterator[_Row]:
    """Rows with their first line; a quote that is never closed costs its line, not the rest."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.taken.clear()
        start = lines.number + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error:
            first = lines.take_back_all_but_first()
            yield _Row(start, [first], "the quotation marks do not match")
            continue
        if values:
            yield _Row(start, values)


def _byte_order_mark(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(2)
    return "utf-16" if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8"


class _ParquetFile:
    """A Parquet file; its rows are counted from 1."""

    def __init__(self, table: TableMapping) -> None:
        self._path = table.file
        try:
            with pq.ParquetFile(self._path) as file:
                self.header: list[str] = file.schema_arrow.names
                self.total: int | None = file.metadata.num_rows
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{self._path.name} is not a Parquet file: {error}") from error

    def rows(self) -> Iterator[_Row]:
        """Every row, a chunk of them in memory at once."""
        number = 0
        try:
            with pq.ParquetFile(self._path) as file:
                for batch in file.iter_batches(CHUNK):
                    for values in zip(*map(_python, batch.columns), strict=True):
                        number += 1
                        yield _Row(number, values)
        except (pa.ArrowException, OSError) as error:
            raise SourceError(f"{self._path.name} broke off at row {number}: {error}") from error


def _opened(table: TableMapping) -> _CsvFile | _ParquetFile:
    return (_ParquetFile if table.file.suffix.lower() == ".parquet" else _CsvFile)(table)


def _python(column: Any) -> list[object]:
    """A Parquet column's values as Python has them."""
    zone = None
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        zone = getattr(column.type, "tz", None)
        column = column.cast(pa.timestamp("us", zone), safe=False)
    try:
        return cast(list[object], column.to_pylist())
    except (ValueError, OverflowError):
        first = datetime(1970, 1, 1, tzinfo=UTC if zone else None)
        return [_moment(first, micros) for micros in column.cast(pa.int64()).to_pylist()]


def _moment(first: datetime, micros: int | None) -> object:
    """A moment, or where Python has none so far away, its number, which is no time."""
    try:
        return None if micros is None else first + timedelta(microseconds=micros)
    except OverflowError:
        return str(micros)


# records -----------------------------------------------------------------------------------------


class _RowError(Exception):
    """A row cannot become a record; the message is the reason people read."""


class _Table:
    """One table: from its rows to records, with an account of what could not be read."""

    def __init__(self, table: TableMapping, reading: Reading) -> None:
        self._name, self._kind = table.name, table.kind
        self._reading = reading
        self._file = _opened(table)
        self.file_name = table.file.name
        self.header = self._file.header
        columns = resolve(table, self.header)
        self.read_columns = {column.name for column in columns.values()}
        self._cells = [
            Cell.of(table, name, column, self.header) for name, column in columns.items()
        ]
        self._one_event_a_column = bool(set(EVENT_COLUMNS) & set(columns))
        self._required = ("change_id",) if self._one_event_a_column else self._kind.required
        self._unreadable: Counter[tuple[str, str]] = Counter()
        self._examples: dict[tuple[str, str], object] = {}
        self._changes: dict[tuple[str, str, datetime], Change] = {}
        for cell in self._cells:
            self._check_constant(cell)

    def records(self) -> Iterator[Record]:
        """Everything the table's rows say."""
        stage = f"read {self._name}"
        done = 0
        for row in self._file.rows():
            if done % 5_000 == 0:
                self._reading.progress(stage, done, self._file.total)
            done += 1
            try:
                if row.fault is not None:
                    raise _RowError(row.fault)
                yield from self._made(self._read(row.values))
            except _RowError as error:
                content = self._content(row)
                self._reading.reject(self.file_name, row.number, str(error), content)
        self._reading.progress(stage, done, done)
        self._reading.rows_read[self.file_name] = done
        self._note()

    def _check_constant(self, cell: Cell) -> None:
        if cell.index < 0:
            try:
                cell.read(())
            except UnreadableError as error:
                raise SourceError(
                    f"[{self._name}.columns] {cell.name}: the value {cell.column.value!r} could "
                    f"not be read {error}"
                ) from error

    def _content(self, row: _Row) -> dict[str, object]:
        extra = (f"value {place}" for place in itertools.count(len(self.header) + 1))
        return dict(zip(itertools.chain(self.header, extra), row.values, strict=False))

    def _read(self, row: Sequence[object]) -> dict[str, Any]:
        """The fields a row fills, attributes apart, with defaults and stand-ins."""
        values: dict[str, Any] = dict(self._kind.defaults)
        attributes: dict[str, Any] = {}
        for cell in self._cells:
            try:
                value = cell.read(row)
            except UnreadableError as error:
                if cell.strict:
                    reason = f"{cell.name} could not be read {error}"
                    if reason not in self._reading.hints:
                        self._reading.hints[reason] = cell.hint(row, str(error), self.file_name)
                    raise _RowError(reason) from error
                self._unreadable[cell.name, str(error)] += 1
                self._examples.setdefault((cell.name, str(error)), cell.raw(row))
                continue
            if value is not None:
                (attributes if cell.kind == "attribute" else values)[cell.name] = value
        for name, other in self._kind.fallback.items():
            if name not in values and other in values:
                values[name] = values[other]
        for name in self._required:
            if name not in values:
                instead = self._kind.fallback.get(name)
                raise _RowError(f"{name} is empty" + (f", and so is {instead}" if instead else ""))
        return values | {"attributes": attributes} if attributes else values

    def _made(self, values: dict[str, Any]) -> Iterator[Record]:
        if self._name == "changes":
            yield self._change(values)
        elif self._name == "incidents":
            yield from _incident(values)
        elif self._one_event_a_column:
            yield from _events(values)
        else:
            if not 0 <= values.get("confidence", 1) <= 1:
                raise _RowError("confidence is not between 0 and 1")
            if self._name == "calendar" and values["ends_at"] < values["starts_at"]:
                raise _RowError("ends_at is before starts_at")
            yield self._kind.record_type(**values)

    def _change(self, values: dict[str, Any]) -> Change:
        change = Change(**values)
        known = self._changes.setdefault(
            (change.change_id, change.revision, change.known_at), change
        )
        if known != change:
            raise _RowError(
                "an earlier row has the same change_id, revision and known_at and says otherwise"
            )
        return change

    def _note(self) -> None:
        notes = self._reading.notes
        for (name, reason), count in self._unreadable.items():
            values = "value" if count == 1 else "values"
            example = self._examples[name, reason]
            notes.append(
                f"{self._name}.{name}: {count} {values} could not be read {reason}, "
                f"e.g. {example!r}"
            )
        if (types := unknown_types(self._changes.values())) is not None:
            notes.append(types)
        read = {cell.name for cell in self._cells}
        if "known_at" in self._kind.fallback and "known_at" not in read:
            instead = self._kind.fallback["known_at"]
            notes.append(f"{self._name}: no column for known_at, {instead} is taken")
        if read & {"caused_by", "rfc"} and "linked_at" not in read:
            notes.append(f"{self._name}: no column for linked_at, known_at is taken")
        own = [c.name for c in self._cells if c.kind == "attribute" and c.name not in ATTRIBUTES]
        if own:
            notes.append(
                f"{self._name}: no feature reads the attributes {', '.join(own)}; they read "
                f"{', '.join(ATTRIBUTES)}"
            )


def _unread(tables: Sequence[_Table]) -> Iterator[str]:
    """Columns that no table reads, by file, so that a forgotten one is seen."""
    unread: dict[str, list[str]] = {}
    for table in tables:
        columns = unread.get(table.file_name, table.header)
        unread[table.file_name] = [n for n in columns if n and n not in table.read_columns]
    for file, columns in unread.items():
        if columns:
            yield f"{file}: columns not read: {', '.join(columns)}"
        afterwards = [name for name in columns if name.lower() in FORBIDDEN_FIELDS]
        if afterwards:
            yield f"{file}: known only afterwards, of use in [events]: {', '.join(afterwards)}"


def _incident(values: dict[str, Any]) -> Iterator[Record]:
    """An incident, and a link for every change that its row names."""
    named = {kind: values.pop(name, ()) for name, kind in _LINKS.items()}
    values.pop("opened_at", None)
    linked_at = values.pop("linked_at", None)
    incident = Incident(**values)
    yield incident
    for kind, change_ids in named.items():
        for change_id in change_ids:
            yield Link(
                incident_id=incident.incident_id,
                change_id=change_id,
                kind=kind,
                source="explicit",
                confidence=1.0,
                occurred_at=incident.occurred_at,
                known_at=linked_at or incident.known_at,
            )


_LINKS = {"caused_by": "caused_by", "rfc": "fixed_by"}


def _events(values: dict[str, Any]) -> Iterator[Record]:
    """The events of a row that has a column for each; the code is that of the closing."""
    for name, kind in EVENT_COLUMNS.items():
        moment = values.get(name)
        if moment is not None:
            yield ChangeEvent(
                change_id=values["change_id"],
                kind=kind,
                occurred_at=moment,
                known_at=values.get("known_at", moment),
                code=values.get("code") if kind == "closed" else None,
                planned=kind == "backed_out" and values.get("planned", False),
            )
