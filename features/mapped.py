"""Tables of records in Arrow files, mapped from disk: rows are read where they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from features.columns import Array, Columns, array_of, kinds

_BATCH = 65_536

_TYPES = {
    "text": pa.large_string(),
    "time": pa.int64(),
    "number": pa.float64(),
    "flag": pa.float64(),
    "list": pa.large_string(),
    "map": pa.large_string(),
}


def write_table(table: Columns, path: Path) -> None:
    """Write a table to a new file, lists and maps as JSON."""
    schema = schema_of(table.record_type)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, schema) as writer:
        for low in range(0, len(table), _BATCH):
            part = table.take(np.arange(low, min(low + _BATCH, len(table))))
            writer.write_batch(batch_of(part))


def schema_of(record_type: type) -> Any:
    """How records of one kind are written."""
    return pa.schema([(name, _TYPES[kind]) for name, kind in kinds(record_type).items()])


def batch_of(table: Columns) -> Any:
    """A table as it is written, lists and maps as JSON."""
    arrays = [
        pa.array(_written(kind, table[name]), _TYPES[kind])
        for name, kind in kinds(table.record_type).items()
    ]
    return pa.record_batch(arrays, schema=schema_of(table.record_type))


def _written(kind: str, values: Array) -> object:
    if kind == "list":
        return [orjson.dumps(list(value)).decode() if value else "[]" for value in values]
    if kind == "map":
        return [orjson.dumps(dict(value)).decode() if value else "{}" for value in values]
    return values


def read_table(record_type: type, path: Path) -> Columns:
    """A table in a file, mapped.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    file = pa.ipc.open_file(pa.memory_map(str(path), "r"))
    return columns_of(record_type, [file.get_batch(n) for n in range(file.num_record_batches)])


def columns_of(record_type: type, batches: list[Any]) -> Columns:
    """The table of batches as :func:`batch_of` makes them; other columns are not looked at."""
    data = _Mapped(record_type, batches)
    return Columns.of(record_type, data, data.length)


class _Mapped(Mapping[str, Array]):
    """Columns of an Arrow file; a column is only read whole if it is asked for whole."""

    def __init__(self, record_type: type, batches: list[Any]) -> None:
        self._kinds = kinds(record_type)
        self._batches = batches
        self._ends = np.cumsum([0, *(len(batch) for batch in self._batches)])
        self.length = int(self._ends[-1])

    def __getitem__(self, name: str) -> Array:
        return self._read(name, [batch.column(name) for batch in self._batches])

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __contains__(self, name: object) -> bool:
        return name in self._kinds

    def __len__(self) -> int:
        return len(self._kinds)

    def rows(self, name: str, rows: NDArray[np.int64]) -> Array:
        """Some of the rows of one column."""
        if len(rows) * 4 > self.length:
            return self[name][rows]
        number = np.searchsorted(self._ends, rows, "right") - 1
        found = np.empty(len(rows), array_of(self._kinds[name], []).dtype)
        for one in np.unique(number).tolist():
            of_batch = np.flatnonzero(number == one)
            column = self._batches[one].column(name).take(rows[of_batch] - self._ends[one])
            found[of_batch] = self._read(name, [column])
        return found

    def _read(self, name: str, columns: list[Any]) -> Array:
        kind = self._kinds[name]
        if kind in ("time", "number", "flag"):
            empty = array_of(kind, [])
            return np.concatenate([empty, *(column.to_numpy() for column in columns)])
        return array_of(kind, _plain(kind, [v for column in columns for v in column.to_pylist()]))


def _plain(kind: str, values: list[Any]) -> list[Any]:
    if kind == "list":
        return [tuple(orjson.loads(value)) if value != "[]" else () for value in values]
    if kind == "map":
        return [orjson.loads(value) if value != "{}" else {} for value in values]
    return values
